"""Counts and sums: of each file as its objects say, and of the whole feed as the ledger says."""

from __future__ import annotations

from collections.abc import Iterator

from include.errors import ObjectGone, ObjectRefused
from include.files.file import FileRecord, Kind, State
from include.reconcile.context import ReconcileContext
from include.reconcile.finding import Code, Finding
from include.storage.object_store import as_it_lies

_TAKEN = frozenset({State.ACCEPTED, State.PUBLISHED, State.SUPERSEDED})
_NEXT_STEP = "docs/runbooks/ledger-and-bucket.md"


def counted(context: ReconcileContext) -> Iterator[Finding]:
    """Each file read once more: its lines are those counted, and its amounts are what is in bronze and what was rejected."""
    if not context.scope.reads:
        return
    for kept in context.files():
        if kept.file.state in _TAKEN and kept.bronze and kept.file.kind is not Kind.ROW_FIX:
            yield from _file(context, kept)


def _file(context: ReconcileContext, kept: FileRecord) -> Iterator[Finding]:
    file = kept.file
    try:
        lying = as_it_lies(context.ports.store, context.ports.bucket, kept)
        if lying is None:
            return  # it moves, or is a finding of its own
        original = context.ports.gate.recount(context.spec, lying, kept.rejects)
        bronze = context.ports.gate.reread(context.spec, file.file_id, kept.bronze)
    except ObjectGone:
        return
    except ObjectRefused as refused:
        if refused.passing:
            raise
        return  # a finding of its own
    if original.sha256 != file.sha256 or bronze.fault is not None:
        return  # other bytes are a finding of their own
    where = f"s3://{file.bucket}/{file.key}"
    counts = (original.lines, bronze.rows, original.rejected)
    recorded = (file.lines, file.accepted, file.rejected)
    if counts != recorded:
        what = "has {} lines = {} in bronze + {} rejected, recorded are {} = {} + {}".format(*counts, *recorded)
        yield Finding(Code.COUNTS_DIFFER, where, what, _NEXT_STEP, date=file.date, file_id=file.file_id)
    column = context.spec.contract.amount
    if column is None or original.amount is None or bronze.amount is None or original.amount_rejected is None:
        return
    date = file.date if file.kind is Kind.LANDING else None
    context.amounts.add(date, file.file_id, original.amount, bronze.amount, original.amount_rejected)
    if original.amount != bronze.amount + original.amount_rejected:
        arrived, kept_amount, rejected = (column.in_units(one) for one in (original.amount, bronze.amount, original.amount_rejected))
        what = f"{column.name} amounts to {arrived}; {kept_amount} is in bronze and {rejected} was rejected"
        yield Finding(Code.AMOUNTS_DIFFER, where, what, _NEXT_STEP, date=file.date, file_id=file.file_id)


def sums(context: ReconcileContext) -> Iterator[Finding]:
    """What the ledger says of files and batches adds up. A difference counts if it is still there while nothing is published."""
    if not context.checks.sums_that_differ(context.spec):
        return
    with context.lease():
        for where, what in context.checks.sums_that_differ(context.spec):
            yield Finding(Code.COUNTS_DIFFER, where, what, _NEXT_STEP)
