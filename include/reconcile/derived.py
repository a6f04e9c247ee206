"""What the gate made of a file: bronze and rejects. What is lost or damaged is judged again, if that gives what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from include.files.file import FileRecord, ObjectRef
from include.pipeline.revalidate import Revalidated, revalidate, take_back
from include.reconcile.context import ReconcileContext, in_groups
from include.reconcile.finding import Code, Finding
from include.reconcile.stock import BRONZE, REJECTS

_TOGETHER = 20
Problems = Mapping[Code, tuple[str, str]]


def derived(context: ReconcileContext) -> Iterator[Finding]:
    """Bronze and rejects objects that are missing or damaged, made again where the recorded digest results."""
    listed = {*context.inventory.mismatches(BRONZE), *context.inventory.mismatches(REJECTS)}
    suspects = {file_id for file_id in listed if problems(context, context.again(file_id))}
    if context.scope.reads:
        suspects.update(kept.file.file_id for kept in context.files() if kept.file.file_id not in listed and problems(context, kept))
    for group in in_groups(iter(sorted(suspects)), _TOGETHER):
        with context.lease() as token:
            yield from _rebuild(context, token, group)


def problems(context: ReconcileContext, kept: FileRecord) -> Problems:
    """What is wrong with the objects of a file as they lie now, by code: which object, and what about it."""
    found: dict[Code, tuple[str, str]] = {}
    for ref in kept.bronze:
        _compare(context, ref, Code.BRONZE_MISSING, Code.BRONZE_DIFFERS, found)
    if kept.rejects is not None:
        _compare(context, kept.rejects, Code.REJECTS_MISSING, Code.REJECTS_DIFFER, found)
    if not context.scope.reads:
        return found
    if kept.bronze and not found.keys() & {Code.BRONZE_MISSING, Code.BRONZE_DIFFERS}:
        again = context.ports.gate.reread(context.spec, kept.file.file_id, kept.bronze)
        if again.fault is not None:
            found[Code.BRONZE_DIFFERS] = again.key, again.fault
        elif again.digest != kept.bronze_digest:
            found[Code.BRONZE_DIFFERS] = again.key, f"holds {again.rows} rows of digest {again.digest}, recorded is {kept.bronze_digest}"
        else:
            _damaged(context, kept.bronze, Code.BRONZE_DIFFERS, found)
    if kept.rejects is not None and not found.keys() & {Code.REJECTS_MISSING, Code.REJECTS_DIFFER}:
        _damaged(context, [kept.rejects], Code.REJECTS_DIFFER, found)
    return found


def _compare(context: ReconcileContext, ref: ObjectRef, missing: Code, differs: Code, found: dict[Code, tuple[str, str]]) -> None:
    there = context.ports.store.head(context.ports.bucket, ref.key)
    if there is None:
        found.setdefault(missing, (ref.key, "is not there"))
    elif (there.size, there.etag) != (ref.size, ref.etag):
        found.setdefault(differs, (ref.key, f"has {there.size} bytes and etag {there.etag}, recorded are {ref.size} and {ref.etag}"))


def _damaged(context: ReconcileContext, refs: Sequence[ObjectRef], differs: Code, found: dict[Code, tuple[str, str]]) -> None:
    for ref in refs:
        if context.damaged(context.ports.bucket, ref.key, ref.etag):
            found.setdefault(differs, (ref.key, "does not hold the bytes that its etag names"))


def _rebuild(context: ReconcileContext, token: int, file_ids: Sequence[int]) -> Iterator[Finding]:
    """Under the lease: look again, judge again, and point at what was made if it is what was recorded."""
    wrong = {kept.file.file_id: found for kept in context.ports.ledger.files.records(file_ids) if (found := problems(context, kept))}
    if not wrong:
        return
    for again in revalidate(context.ports, context.spec, sorted(wrong), f"{token}-{context.ports.new_id()}"):
        file = again.kept.file
        found = wrong[file.file_id]
        if again.same_rows and again.verdict is not None:
            problem_text = "; ".join(f"{key} {what}" for key, what in found.values())
            context.checks.point_at_rows(
                context.spec, token, context.run, again.verdict, f"judged again with the recorded result: {problem_text}"
            )
        else:
            _undo(context, again)
        for code, (key, what) in found.items():
            yield Finding(
                code,
                f"s3://{context.ports.bucket}/{key}",
                what if again.same_rows else f"{what}, and cannot be made again: {again.what}",
                "" if again.same_rows else "put the original bytes back; docs/runbooks/ledger-and-bucket.md",
                again.same_rows,
                file.date,
                file.file_id,
            )


def _undo(context: ReconcileContext, again: Revalidated) -> None:
    if again.verdict is not None:
        take_back(context.ports, again.verdict)
