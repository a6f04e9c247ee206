"""Gate: judge files and put the verdicts into the ledger. Nothing is decided between files here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.ingestion.feed import FeedSpec
from include.ingestion.ports import Ports
from include.ingestion.run import Run


@dataclass(frozen=True)
class Judged:
    """What the gate found in its files, as counts."""

    files: int
    passed: int
    condemned: int
    lines: int
    rejected: int


def gate(ports: Ports, spec: FeedSpec, run: Run, token: int, file_ids: Sequence[int]) -> Judged:
    """Judge files, each on its own merits, under an attempt's own names.

    Raises:
        LeaseLost: another run took the feed over; its verdicts count.
        EnvironmentFailure: S3 or PostgreSQL does not answer.
    """
    with ports.ledger.kept_lease(spec, token):
        files = ports.ledger.files(file_ids)
        attempt = f"{token}-{ports.new_id()}"
        verdicts = ports.gate.judge(spec, files, attempt, ports.say)
        ports.ledger.record_verdicts(spec, token, run, attempt, verdicts, ports.gate.suite_digest(spec))
    return Judged(
        files=len(verdicts),
        passed=sum(verdict.passed for verdict in verdicts),
        condemned=sum(not verdict.passed for verdict in verdicts),
        lines=sum(verdict.lines or 0 for verdict in verdicts),
        rejected=sum(verdict.rejected or 0 for verdict in verdicts),
    )
