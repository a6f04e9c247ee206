"""Gate: judge files and put the verdicts into the ledger. Nothing is decided between files here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.errors import EnvironmentFailure, LeaseLost, ObjectRefused, Refused, refuse_if_short
from include.feed import FeedSpec
from include.files.file import LedgerFile
from include.files.verdict import Verdict
from include.logs import described
from include.pipeline.known_good import known_good_is_refused, not_the_object, refusal
from include.pipeline.outage import WorkFailed, outage
from include.pipeline.ports import Ports
from include.run import Run


@dataclass(frozen=True)
class GateResult:
    """What the gate found in its files, as counts."""

    files: int
    passed: int
    quarantined: int
    lines: int
    rejected: int
    failed: int = 0


FailedFile = tuple[LedgerFile, Exception]


def gate(ports: Ports, spec: FeedSpec, run: Run, token: int, file_ids: Sequence[int]) -> GateResult:
    """Judge files, each on its own merits, under an attempt's own names.

    A file that cannot be judged rests and keeps no other from its verdict; what comes before it is decided and published by the same run.

    Raises:
        LeaseLost: another run took the feed over; its verdicts count.
        EnvironmentFailure: S3 or PostgreSQL does not answer, or the deployment lacks something; the verdicts on the others are kept.
    """
    with ports.ledger.leases.held(spec, token):
        files = ports.ledger.files.by_id(file_ids)
        attempt = f"{token}-{ports.new_id()}"
        verdicts, failed = _validate(ports, spec, files, attempt)
        failed += _record(ports, spec, run, token, attempt, files, verdicts)
        for file, error in failed:
            _count_failure(ports, spec, run, token, file, error, files)
    return GateResult(
        files=len(verdicts),
        passed=sum(verdict.passed for verdict in verdicts),
        quarantined=sum(not verdict.passed for verdict in verdicts),
        lines=sum(verdict.lines or 0 for verdict in verdicts),
        rejected=sum(verdict.rejected or 0 for verdict in verdicts),
        failed=len(failed),
    )


def _validate(ports: Ports, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str) -> tuple[list[Verdict], list[FailedFile]]:
    """Judge files together; where that fails without those that the store refuses, or each alone, and say which of them fail alone too."""
    if not files:
        return [], []
    try:
        return ports.gate.validate(spec, files, attempt, ports.log), []
    except ObjectRefused as refused:
        own = [file for file in files if (file.bucket, file.key) == (refused.bucket, refused.key)]
        if not own:
            raise
        return _validate_others(ports, spec, files, attempt, own[0], refused)
    except (EnvironmentFailure, LeaseLost):
        raise
    except Exception as error:  # noqa: BLE001 (whatever it is, it is one file's or this machine's)
        refuse_if_short(error)
        if len(files) == 1:
            return [], [(files[0], error)]
        ports.log(f"the gate failed on {len(files)} files together ({described(error)}): each is judged alone")
    verdicts: list[Verdict] = []
    failed: list[FailedFile] = []
    for file in files:
        alone, why = _validate(ports, spec, [file], attempt)
        verdicts += alone
        failed += why
    return verdicts, failed


def _validate_others(
    ports: Ports, spec: FeedSpec, files: Sequence[LedgerFile], attempt: str, own: LedgerFile, refused: ObjectRefused
) -> tuple[list[Verdict], list[FailedFile]]:
    """Judge the files without one that the store refuses, and without those that it refuses too.

    Raises:
        EnvironmentFailure: the store gives no other: it is to blame, or the deployment.
    """
    to_blame = not_the_object(ports, own, refused, files)
    if to_blame is not None:
        raise to_blame from refused
    ports.log(f"{own.key}: {refused.what}; the others are judged without it")
    failed: list[FailedFile] = [(own, refused)]
    others: list[LedgerFile] = []
    for file in files:
        if file is not own:
            answer = refusal(ports.store, file)
            if isinstance(answer, ObjectRefused):
                failed.append((file, answer))
            else:
                others.append(file)
    verdicts, more = _validate(ports, spec, others, attempt)
    return verdicts, failed + more


def _record(
    ports: Ports, spec: FeedSpec, run: Run, token: int, attempt: str, files: Sequence[LedgerFile], verdicts: list[Verdict]
) -> list[FailedFile]:
    """Keep the verdicts; where PostgreSQL refuses them together each alone. Those that it refuses alone are taken out of `verdicts`."""
    suite = ports.gate.suite_digest(spec)
    try:
        ports.ledger.files.record_verdicts(spec, token, run, attempt, verdicts, suite)
    except Refused:
        by_id = {file.file_id: file for file in files}
        failed: list[FailedFile] = []
        for verdict in tuple(verdicts):
            try:
                ports.ledger.files.record_verdicts(spec, token, run, attempt, [verdict], suite)
            except Refused as refused:
                verdicts.remove(verdict)
                failed.append((by_id[verdict.file_id], refused))
        return failed
    return []


def _count_failure(
    ports: Ports, spec: FeedSpec, run: Run, token: int, file: LedgerFile, error: Exception, others: Sequence[LedgerFile]
) -> None:
    """Count a failure of one file alone, unless a service or the deployment is to blame; it rests, or is put aside in its turn.

    Raises:
        EnvironmentFailure: a service does not answer, or what is known to be good fails in the same way: nothing is counted.
    """
    is_refused = isinstance(error, ObjectRefused)
    to_blame = not_the_object(ports, file, error, others) if isinstance(error, ObjectRefused) else outage(ports)
    if to_blame is None and not is_refused and ports.ledger.failures.has_last_chance(spec, file.file_id):
        to_blame = known_good_is_refused(ports, spec, error)
    if to_blame is not None:
        raise to_blame from error
    what = f"{error.what} ({error.mend})" if isinstance(error, ObjectRefused) else described(error)
    counted = ports.ledger.failures.gate_failed(spec, token, run, file.file_id, what, refused=is_refused)
    if counted.poison:
        ports.log(f"{file.key}: {counted.reason}")
    else:
        ports.log(str(WorkFailed(spec, counted, f"{'' if is_refused else 'the gate failed on '}{file.key}: {what}")))
