"""What `report.json` says of a file: counts, rules, places; bounded, versioned, and never a row's value."""

from __future__ import annotations

from include.contract import Contract
from include.feed import FeedSpec
from include.files.file import LedgerFile
from include.files.verdict import REPORT_FORMAT, Fault
from include.quality.gx import VERSION
from include.quality.rejects import Rejects
from include.quality.rules import READABLE, rules_of
from include.quality.suite import suite_of


def report(
    spec: FeedSpec, file: LedgerFile, sha256: str | None, lines: int | None, rejects: Rejects, fault: Fault | None, reason: str | None
) -> dict[str, object]:
    """The whole report as JSON values; `lines` is None where reading stopped."""
    counted = lines is not None
    return {
        "format": REPORT_FORMAT,
        "feed": spec.name,
        "file_id": file.file_id,
        "seq": file.seq,
        "bucket": file.bucket,
        "key": file.key,
        "etag": file.etag,
        "size": file.size,
        "sha256": sha256,
        "verdict": "accepted" if fault is None else "quarantined",
        "fault": fault,
        "reason": reason,
        "lines": lines,
        "accepted": lines - rejects.count if lines is not None else None,
        "rejected": rejects.count if counted else None,
        "tolerance": str(spec.contract.tolerance),
        "broken": [{"column": column, "rule": rule, "rows": rows} for (column, rule), rows in sorted(rejects.broken.items())]
        if counted
        else [],
        "first_rejected": rejects.first if counted else [],
        "expectations": _expectations(spec.contract, lines, rejects) if lines else [],
        "judged_by": {
            "contract_version": spec.contract.version,
            "contract_digest": spec.contract.digest,
            "suite_digest": suite_of(spec.contract).digest,
            "great_expectations": VERSION,
        },
    }


def too_many(contract: Contract, lines: int, rejected: int) -> str | None:
    """Why a file with so many rejected rows is refused, or None; the share itself is still tolerated.

    >>> too_many(Contract(1, ()), 10, 1)
    >>> too_many(Contract(1, ()), 1000, 101)
    '101 of 1,000 rows were rejected, more than the 10 % tolerated; rejects.csv names each line and its reasons'
    """
    if rejected <= contract.tolerance * lines:
        return None
    share = f"{float(contract.tolerance * 100):g} %"
    return f"{rejected:,} of {lines:,} rows were rejected, more than the {share} tolerated; rejects.csv names each line and its reasons"


def nothing_fixed(lines: int, rejects: Rejects) -> str | None:
    """Why a file of corrected rows is refused, or None where one of them comes in."""
    if rejects.count < lines:
        return None
    first = rejects.first[0]
    whole = "its one row is" if lines == 1 else f"all {lines:,} rows of it are"
    return f"{whole} refused; line {first['line']}: {', '.join(first['reasons'])}; rejects.csv names each line and its reasons"


def _expectations(contract: Contract, lines: int, rejects: Rejects) -> list[dict[str, object]]:
    """What the suite found in this file alone, an entry an expectation: the pages of the Data Docs are made from it."""
    unreadable = rejects.unreadable
    return [
        {
            "column": rule.column,
            "rule": rule.name,
            "checked": lines if rule.name == READABLE else lines - unreadable,
            "failed": unreadable if rule.name == READABLE else rejects.broken[rule.column, rule.name],
        }
        for rule in rules_of(contract)
    ]
