"""Counts and sums: of each file as its objects say, and of the whole feed as the ledger says."""

from __future__ import annotations

from collections.abc import Iterator

from include.ingestion.errors import ObjectGone
from include.ingestion.file import Kind
from include.ingestion.kept import KeptFile
from include.ingestion.lifecycle import State
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look
from include.ingestion.repair.rejudge import as_it_lies

_TAKEN = frozenset({State.ACCEPTED, State.PUBLISHED, State.SUPERSEDED})
_LOOK = "docs/runbooks/ledger-and-bucket.md"


def counted(look: Look) -> Iterator[Finding]:
    """Each file read once more: its lines are those counted, and its amounts are what is in bronze and what was rejected."""
    if not look.scope.reads:
        return
    for kept in look.files():
        if kept.file.state in _TAKEN and kept.bronze and kept.file.kind is not Kind.ROW_FIX:
            yield from _file(look, kept)


def _file(look: Look, kept: KeptFile) -> Iterator[Finding]:
    file = kept.file
    lying = as_it_lies(look.ports.store, look.ports.bucket, kept)
    if lying is None:
        return  # it moves, or is a finding of its own
    try:
        original = look.ports.gate.recount(look.spec, lying, kept.rejects)
        bronze = look.ports.gate.reread(look.spec, file.file_id, kept.bronze)
    except ObjectGone:
        return
    if original.sha256 != file.sha256 or bronze.fault is not None:
        return  # other bytes are a finding of their own
    where = f"s3://{file.bucket}/{file.key}"
    counts = (original.lines, bronze.rows, original.rejected)
    recorded = (file.lines, file.accepted, file.rejected)
    if counts != recorded:
        what = "has {} lines = {} in bronze + {} rejected, recorded are {} = {} + {}".format(*counts, *recorded)
        yield Finding(Code.COUNTS_DIFFER, where, what, _LOOK, date=file.date, file_id=file.file_id)
    column = look.spec.contract.amount
    if column is None or original.amount is None or bronze.amount is None or original.amount_rejected is None:
        return
    date = file.date if file.kind is Kind.LANDING else None
    look.amounts.add(date, file.file_id, original.amount, bronze.amount, original.amount_rejected)
    if original.amount != bronze.amount + original.amount_rejected:
        arrived, kept_amount, rejected = (column.in_units(one) for one in (original.amount, bronze.amount, original.amount_rejected))
        what = f"{column.name} amounts to {arrived}; {kept_amount} is in bronze and {rejected} was rejected"
        yield Finding(Code.AMOUNTS_DIFFER, where, what, _LOOK, date=file.date, file_id=file.file_id)


def sums(look: Look) -> Iterator[Finding]:
    """What the ledger says of files and batches adds up. A difference counts if it is still there while nothing is published."""
    if not look.ports.ledger.sums_that_differ(look.spec):
        return
    with look.lease():
        for where, what in look.ports.ledger.sums_that_differ(look.spec):
            yield Finding(Code.COUNTS_DIFFER, where, what, _LOOK)
