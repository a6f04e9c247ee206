"""Gate: judge files and put the verdicts into the ledger. Nothing is decided between files here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.ingestion.errors import EnvironmentFailure, LeaseLost
from include.ingestion.feed import FeedSpec
from include.ingestion.file import LedgerFile
from include.ingestion.logs import described
from include.ingestion.ports import Ports
from include.ingestion.repair.failing import WorkFailed, outage
from include.ingestion.run import Run
from include.ingestion.verdict import Verdict


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
        WorkFailed: the gate fails on a file although every service answers; the verdicts on the others are kept.
    """
    with ports.ledger.kept_lease(spec, token):
        files = ports.ledger.files(file_ids)
        attempt = f"{token}-{ports.new_id()}"
        verdicts, failed = _judge(ports, spec, files, attempt)
        ports.ledger.record_verdicts(spec, token, run, attempt, verdicts, ports.gate.suite_digest(spec))
        for file, error in failed:
            _count_failure(ports, spec, run, token, file, error)
    return Judged(
        files=len(verdicts),
        passed=sum(verdict.passed for verdict in verdicts),
        condemned=sum(not verdict.passed for verdict in verdicts),
        lines=sum(verdict.lines or 0 for verdict in verdicts),
        rejected=sum(verdict.rejected or 0 for verdict in verdicts),
    )


def _judge(
    ports: Ports, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str
) -> tuple[list[Verdict], list[tuple[LedgerFile, Exception]]]:
    """Judge files together; where that fails each alone, and say which of them fails alone too."""
    try:
        return ports.gate.judge(spec, files, attempt, ports.say), []
    except (EnvironmentFailure, LeaseLost):
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is one file's or an outage's)
        if len(files) == 1:
            return [], [(files[0], error)]
        ports.say(f"the gate failed on {len(files)} files together ({described(error)}): each is judged alone")
    verdicts: list[Verdict] = []
    failed: list[tuple[LedgerFile, Exception]] = []
    for file in files:
        alone, why = _judge(ports, spec, [file], attempt)
        verdicts += alone
        failed += why
    return verdicts, failed


def _count_failure(ports: Ports, spec: FeedSpec, run: Run, token: int, file: LedgerFile, error: Exception) -> None:
    """Count a failure of one file alone, unless a service is to blame; a file that had its last chance is put aside in its turn.

    Raises:
        EnvironmentFailure: a service does not answer: nothing is counted.
        WorkFailed: the file rests, and with it everything behind it.
    """
    down = outage(ports)
    if down is not None:
        raise down from error
    what = described(error)
    counted = ports.ledger.gate_failed(spec, token, run, file.file_id, what)
    if not counted.poison:
        raise WorkFailed(spec, counted, f"the gate failed on {file.key}: {what}") from error
    ports.say(f"{file.key}: {counted.reason}")
