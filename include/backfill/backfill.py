"""Past dates: ingest what is missing of them, see that they add up, and compare them with what would result now."""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import time
from collections import Counter
from collections.abc import Iterator, Sequence

from include.backfill.certificate import Certificate, json_body, text_body
from include.backfill.compare import compare
from include.backfill.comparison import Comparison, Kind, Overrides, ReplayDiffers
from include.backfill.history import History
from include.errors import LeaseLost, SluiceError, UsageError
from include.feed import FeedSpec
from include.files import keys
from include.files.file import FileRecord, State
from include.pipeline.outage import WorkFailed
from include.pipeline.ports import Ports
from include.pipeline.run import Progress, ingest_once, waiting_for_others
from include.reconcile.context import Auditor, Scope
from include.reconcile.reconcile import reconcile, worst_first
from include.run import Run

_NOT_DECIDED = frozenset({State.REGISTERED, State.ACCEPTED, State.REPLAYING})
_MOST_DATES = 3660


class DateHeld(SluiceError):
    """Files of a date wait, and no run may take them."""

    def __init__(self, feed: str, date: dt.date, waiting: Sequence[FileRecord]) -> None:
        super().__init__(
            f"{feed} dt={date}: {len(waiting)} files wait and may not go on, the first is seq {waiting[0].file.seq} {waiting[0].file.key}; "
            "the feed holds what comes after a quarantined file until a person decides (docs/runbooks/quarantine.md)"
        )


class DateDoesNotAddUp(SluiceError):
    """What the ledger says of a date's files does not add up."""

    def __init__(self, feed: str, date: dt.date, problems: Sequence[str]) -> None:
        more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
        super().__init__(f"{feed} dt={date}: {problems[0]}{more}; `sluice reconcile {feed} --date {date}` says more")


def dates_between(first: dt.date, last: dt.date) -> list[dt.date]:
    """Every date from one to another, both included.

    Raises:
        UsageError: the last is before the first, or there are too many.
    """
    if last < first or (last - first).days >= _MOST_DATES:
        raise UsageError(f"from {first} to {last}: give the earlier date first, and at most {_MOST_DATES} dates")
    return [first + dt.timedelta(days=day) for day in range((last - first).days + 1)]


def ingest_date(ports: Ports, spec: FeedSpec, run: Run, date: dt.date, progress: Progress) -> list[FileRecord]:
    """Ingest what is missing of a date, by the five steps, until nothing of it waits; its files, in seq order.

    Dates that other runs asked for are registered with it, in date order, so that several runs at once give the order that one after
    another would. What waits before its files in the order goes first. Other runs of the feed are waited for.

    Raises:
        DateHeld: the feed's policy holds files of the date back.
        FeedPaused, EnvironmentFailure: as the steps do.
    """
    while True:
        before = _done(progress)
        _round(ports, spec, dataclasses.replace(run, started_at=ports.clock(), full=False), date, progress)
        files = History(ports.ledger.session).files_of_dates(spec, date, date)
        waiting = [kept for kept in files if kept.file.state in _NOT_DECIDED or kept.moving]
        if _done(progress) != before:
            continue
        if not waiting:
            History(ports.ledger.session).date_done(spec, date)
            return files
        overall = ports.ledger.files.waiting(spec)
        if overall.rest_seconds is not None:
            ports.log(f"{overall.files} files wait for the next try in {overall.rest_seconds:.0f} s")
            time.sleep(overall.rest_seconds)
        elif overall.nothing:
            raise DateHeld(spec.name, date, waiting)


def _done(progress: Progress) -> tuple[int, int, int]:
    return progress.registered, progress.decided, progress.published.get("files", 0)


def _round(ports: Ports, spec: FeedSpec, run: Run, date: dt.date, progress: Progress) -> None:
    def work() -> None:
        dates = frozenset({date, *History(ports.ledger.session).requested_dates(spec)})
        ingest_once(ports, spec, dataclasses.replace(run, dates=dates), progress)

    try:
        waiting_for_others(ports, work)
    except (LeaseLost, WorkFailed) as passing:
        ports.log(str(passing))


def problems_of(files: Sequence[FileRecord]) -> Iterator[str]:
    """What does not add up in what the ledger says of some files, in words."""
    for kept in files:
        file = kept.file
        where = f"seq {file.seq} {file.key}"
        if file.state in _NOT_DECIDED:
            yield f"{where} is {file.state} and not finished"
        if file.lines is not None and file.lines != (file.accepted or 0) + (file.rejected or 0):
            yield f"{where}: {file.lines} lines are not {file.accepted} accepted and {file.rejected} rejected"
        if file.state in {State.PUBLISHED, State.SUPERSEDED} and sum(ref.rows for ref in kept.bronze) != file.accepted:
            yield f"{where}: bronze has {sum(ref.rows for ref in kept.bronze)} rows, accepted are {file.accepted}"


def account(feed: str, date: dt.date, files: Sequence[FileRecord]) -> str:
    """A date in one sentence."""
    if not files:
        return f"{feed} dt={date}: no files, nothing to do"
    states = Counter(kept.file.state for kept in files)
    lines, accepted, rejected = (sum(getattr(kept.file, name) or 0 for kept in files) for name in ("lines", "accepted", "rejected"))
    states_text = ", ".join(f"{states[state]} {state}" for state in State if states[state])
    return f"{feed} dt={date}: {len(files)} files ({states_text}); {lines} lines = {accepted} accepted + {rejected} rejected"


def verify_date(ports: Ports, auditor: Auditor, spec: FeedSpec, run: Run, date: dt.date) -> str:
    """Compare a date's objects with the ledger, and see that every file is decided and its counts add up; the date in one sentence.

    Raises:
        DateDoesNotAddUp: naming the first difference that could not be made good.
    """
    found = reconcile(ports, auditor, spec, run, Scope(date))
    files = History(ports.ledger.session).files_of_dates(spec, date, date)
    problems = [*(str(finding) for finding in worst_first(found.findings) if finding.fails), *problems_of(files)]
    if problems:
        raise DateDoesNotAddUp(spec.name, date, problems)
    return account(spec.name, date, files)


def thresholds_changed(spec: FeedSpec, overrides: Overrides, *, reprocess: bool) -> dict[str, int]:
    """The thresholds given for a comparison.

    Raises:
        UsageError: one is out of its range, or nothing is to be compared.
    """
    if overrides and not reprocess:
        named = ", ".join(sorted(overrides))
        raise UsageError(f"{named}: thresholds are for a comparison, so give reprocess too; missing dates are ingested by the feed's own")
    chosen = spec.parameters_from(overrides)
    return {name: chosen[name] for name in overrides}


def reprocess(ports: Ports, spec: FeedSpec, run: Run, first: dt.date, last: dt.date, overrides: Overrides) -> Comparison:
    """Compare dates with what would result now, and leave a certificate for each date that has files. Publishes nothing.

    Raises:
        ReplayDiffers: something is not as it was published, and thresholds given on purpose do not explain it.
    """
    comparison = compare(ports, spec, first, last, overrides)
    place = ""
    for date in dates_between(first, last):
        part = of_date(comparison, date)
        if not part.files:
            ports.log(f"{spec.name} dt={date}: no files, nothing to compare")
            continue
        certificate = Certificate(date, ports.clock(), run.run_id, keys.certificate(spec.name, date, certificate_name(run)), part)
        ports.store.put(ports.bucket, keys.certificate_text(certificate.key), text_body(certificate))
        ports.store.put(ports.bucket, keys.certificate_json(certificate.key), json_body(certificate))
        History(ports.ledger.session).certify(spec, run, certificate, ports.bucket)
        for file in part.files:
            ports.log(file.line)
        here = f"s3://{ports.bucket}/{keys.certificate_text(certificate.key)}"
        place = place or (here if part.kind is Kind.DIFFERENT else "")
        ports.log(f"dt={date} {part.summary}; certificate {here}")
    if comparison.kind is Kind.DIFFERENT:
        raise ReplayDiffers(comparison, place)
    return comparison


def of_date(comparison: Comparison, date: dt.date) -> Comparison:
    """The files of a date and those that share a batch with them."""
    batches = {file.batch.number for file in comparison.files if file.kept.file.date == date and file.batch}
    return comparison.of(
        tuple(file for file in comparison.files if file.kept.file.date == date or (file.batch is not None and file.batch.number in batches))
    )


def certificate_name(run: Run) -> str:
    """The same for all tries of a run, so that a repeated one replaces its own certificate."""
    return f"{run.started_at.astimezone(dt.UTC):%Y%m%dT%H%M%SZ}-{hashlib.sha256(run.run_id.encode()).hexdigest()[:8]}"
