"""What the gate made of a file: bronze and rejects. What is lost or damaged is judged again, if that gives what was recorded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from include.ingestion.file import ObjectRef
from include.ingestion.kept import KeptFile
from include.ingestion.reconcile.finding import Code, Finding
from include.ingestion.reconcile.look import Look, in_groups
from include.ingestion.reconcile.stock import BRONZE, REJECTS
from include.ingestion.repair.rejudge import Rejudged, rejudge, take_back

_TOGETHER = 20
Problems = Mapping[Code, tuple[str, str]]


def derived(look: Look) -> Iterator[Finding]:
    """Bronze and rejects objects that are missing or damaged, made again where the recorded digest results."""
    listed = {*look.inventory.amiss(BRONZE), *look.inventory.amiss(REJECTS)}
    suspects = {file_id for file_id in listed if problems(look, look.again(file_id))}
    if look.scope.reads:
        suspects.update(kept.file.file_id for kept in look.files() if kept.file.file_id not in listed and problems(look, kept))
    for group in in_groups(iter(sorted(suspects)), _TOGETHER):
        with look.lease() as token:
            yield from _rebuild(look, token, group)


def problems(look: Look, kept: KeptFile) -> Problems:
    """What is wrong with the objects of a file as they lie now, by code: which object, and what about it."""
    found: dict[Code, tuple[str, str]] = {}
    for ref in kept.bronze:
        _compare(look, ref, Code.BRONZE_MISSING, Code.BRONZE_DIFFERS, found)
    if kept.rejects is not None:
        _compare(look, kept.rejects, Code.REJECTS_MISSING, Code.REJECTS_DIFFER, found)
    if not look.scope.reads:
        return found
    if kept.bronze and not found.keys() & {Code.BRONZE_MISSING, Code.BRONZE_DIFFERS}:
        again = look.ports.gate.reread(look.spec, kept.file.file_id, kept.bronze)
        if again.fault is not None:
            found[Code.BRONZE_DIFFERS] = again.key, again.fault
        elif again.digest != kept.bronze_digest:
            found[Code.BRONZE_DIFFERS] = again.key, f"holds {again.rows} rows of digest {again.digest}, recorded is {kept.bronze_digest}"
        else:
            _damaged(look, kept.bronze, Code.BRONZE_DIFFERS, found)
    if kept.rejects is not None and not found.keys() & {Code.REJECTS_MISSING, Code.REJECTS_DIFFER}:
        _damaged(look, [kept.rejects], Code.REJECTS_DIFFER, found)
    return found


def _compare(look: Look, ref: ObjectRef, missing: Code, differs: Code, found: dict[Code, tuple[str, str]]) -> None:
    there = look.ports.store.head(look.ports.bucket, ref.key)
    if there is None:
        found.setdefault(missing, (ref.key, "is not there"))
    elif (there.size, there.etag) != (ref.size, ref.etag):
        found.setdefault(differs, (ref.key, f"has {there.size} bytes and etag {there.etag}, recorded are {ref.size} and {ref.etag}"))


def _damaged(look: Look, refs: Sequence[ObjectRef], differs: Code, found: dict[Code, tuple[str, str]]) -> None:
    for ref in refs:
        if look.damaged(look.ports.bucket, ref.key, ref.etag):
            found.setdefault(differs, (ref.key, "does not hold the bytes that its etag names"))


def _rebuild(look: Look, token: int, file_ids: Sequence[int]) -> Iterator[Finding]:
    """Under the lease: look again, judge again, and point at what was made if it is what was recorded."""
    wrong = {kept.file.file_id: found for kept in look.ports.ledger.kept(file_ids) if (found := problems(look, kept))}
    if not wrong:
        return
    for again in rejudge(look.ports, look.spec, sorted(wrong), f"{token}-{look.ports.new_id()}"):
        file = again.kept.file
        found = wrong[file.file_id]
        if again.same_rows and again.verdict is not None:
            said = "; ".join(f"{key} {what}" for key, what in found.values())
            look.ports.ledger.point_at_rows(look.spec, token, look.run, again.verdict, f"judged again with the recorded result: {said}")
        else:
            _undo(look, again)
        for code, (key, what) in found.items():
            yield Finding(
                code,
                f"s3://{look.ports.bucket}/{key}",
                what if again.same_rows else f"{what}, and cannot be made again: {again.what}",
                "" if again.same_rows else "put the original bytes back; docs/runbooks/ledger-and-bucket.md",
                again.same_rows,
                file.date,
                file.file_id,
            )


def _undo(look: Look, again: Rejudged) -> None:
    if again.verdict is not None:
        take_back(look.ports, again.verdict)
