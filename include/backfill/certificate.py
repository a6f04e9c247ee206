"""The backfill certificate: a comparison of one date as people and programs read it. A pure function of the comparison."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
from dataclasses import dataclass
from typing import Any

from include.backfill.comparison import Comparison, FileComparison, Kind
from include.files.outcome import Change

FORMAT = 1


@dataclass(frozen=True)
class Certificate:
    """A comparison of the files of one date, and of those that share a batch with them.

    Attributes:
        key: where it lies in the bucket, without its ending.
    """

    date: dt.date
    made_at: dt.datetime
    run_id: str
    key: str
    comparison: Comparison


def as_json(certificate: Certificate) -> dict[str, Any]:
    """Everything, as a program reads it. Holds keys of findings and values of the first row that differs."""
    comparison = certificate.comparison
    return {
        "format": FORMAT,
        "feed": comparison.feed,
        "date": certificate.date.isoformat(),
        "made_at": certificate.made_at.isoformat(),
        "run": certificate.run_id,
        "verdict": comparison.kind,
        "now": {**dataclasses.asdict(comparison.now.validated_by), "given": dict(comparison.now.overrides)},
        "counts": {kind.value: comparison.count(kind) for kind in Kind},
        "findings_added": [_change(change) for change in comparison.added],
        "findings_removed": [_change(change) for change in comparison.removed],
        "files": [file_as_json(file, comparison) for file in comparison.files],
    }


def file_as_json(file: FileComparison, comparison: Comparison) -> dict[str, Any]:
    kept, batch = file.kept, file.batch
    return {
        "file_id": kept.file.file_id,
        "seq": kept.file.seq,
        "key": kept.file.key,
        "date": kept.file.date.isoformat(),
        "state": kept.file.state,
        "batch": batch.number if batch else None,
        "verdict": file.kind,
        "note": file.note,
        "rows": kept.file.accepted,
        "state_rows": file.pairs,
        "findings": dict(file.found),
        "digests": {name: dataclasses.asdict(getattr(file, name)) for name in ("bronze", "state", "findings")},
        "recorded_by": {
            **dataclasses.asdict(file.validated_by),
            "job_code": file.job_code,
            "parameters": dict(batch.parameters) if batch else None,
            "reference_version": batch.reference_version if batch else None,
        },
        "compared_by": {
            **dataclasses.asdict(comparison.now.validated_by),
            "parameters": {**batch.parameters, **comparison.now.overrides} if batch else None,
            "reference_version": batch.reference_version if batch else None,
        },
        "changes": [_change(change) for change in file.changes],
        "first_difference": {"where": file.difference.where, "values": dict(file.difference.values)} if file.difference else None,
    }


def json_body(certificate: Certificate) -> bytes:
    return json.dumps(as_json(certificate), indent=2, ensure_ascii=False, default=str).encode("utf-8", "surrogatepass")


def text_body(certificate: Certificate) -> bytes:
    """The certificate as a page of Markdown."""
    comparison = certificate.comparison
    now, overrides = comparison.now.validated_by, comparison.now.overrides
    lines = [
        f"# Backfill certificate: {comparison.feed}, {certificate.date}",
        "",
        f"**{comparison.kind}**: {comparison.summary}.",
        "",
        f"Made at {certificate.made_at.isoformat(timespec='seconds')} by {certificate.run_id}.",
        f"With code {now.code_version}, contract {now.contract_digest}, suite {now.suite_digest or 'not needed'}.",
    ]
    if overrides:
        lines += ["", "In place of the recorded thresholds: " + ", ".join(f"{name} {value}" for name, value in overrides.items()) + "."]
    lines += ["", "| seq | file | verdict | bronze | state | findings | first difference |", "|---|---|---|---|---|---|---|"]
    lines += [_row(file) for file in comparison.files]
    for title, changes in (("would be added", comparison.added), ("would be taken away", comparison.removed)):
        if changes:
            lines += ["", f"## Findings that {title}", "", "| key | recorded at seq | now at seq |", "|---|---|---|"]
            lines += [f"| {_cell(' '.join(change.key))} | {change.was or ''} | {change.now or ''} |" for change in changes]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogatepass")


def _row(file: FileComparison) -> str:
    digests = [
        "" if side.recorded is None and side.now is None else ("same " + str(side.now)[:12] if side.same else "other")
        for side in (file.bronze, file.state, file.findings)
    ]
    note_text = file.difference.where if file.difference else file.note
    return f"| {file.kept.file.seq} | {_cell(file.kept.file.key)} | {file.kind} | {' | '.join(digests)} | {_cell(note_text)} |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _change(change: Change) -> dict[str, Any]:
    return {"key": list(change.key), "recorded_seq": change.was, "now_seq": change.now}
