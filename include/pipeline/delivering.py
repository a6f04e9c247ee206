"""Delivering item by item: what fails rests and holds up nothing else, unless a service does not answer at all."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.errors import EnvironmentFailure, LeaseLost, SluiceError
from include.files.failure import Undone
from include.logs import described
from include.pipeline.outage import stores_down

if TYPE_CHECKING:
    from include.feed import FeedSpec
    from include.logs import Log
    from include.pipeline.services import Job, Services
    from include.run import Run

FIRST_REST_SECONDS = 5.0
LONGEST_REST_SECONDS = 600.0
OVERDUE = dt.timedelta(hours=1)


Part = Callable[[], None]


class NotDelivered(SluiceError):
    """Published and decided results stay as they are, but something that follows them cannot be done."""

    def __init__(self, group: str, undone: Sequence[Undone | str]) -> None:
        self.undone = tuple(undone)
        more = f"; and {len(undone) - 1} more" if len(undone) > 1 else ""
        super().__init__(
            f"{group}: not delivered: {undone[0]}{more}. What is published stays published, nothing else waits for it, and it is tried "
            "again (`sluice status` lists what failed, docs/runbooks/delivery.md)."
        )


class PartsFailed(SluiceError):
    """Parts of an item failed, each by itself."""

    def __init__(self, failed: Sequence[Exception]) -> None:
        super().__init__("; ".join(dict.fromkeys(map(failure_sentence, failed))))


def in_turn(parts: Iterable[Part]) -> None:
    """Do parts one after another, up to the first that fails."""
    for part in parts:
        part()


def rest(failures: int) -> dt.timedelta:
    """How long an item rests after so many failures in a row.

    >>> [rest(failures).seconds for failures in (1, 2, 5, 99)]
    [5, 10, 80, 600]
    """
    return dt.timedelta(seconds=min(FIRST_REST_SECONDS * 2 ** min(failures - 1, 20), LONGEST_REST_SECONDS))


def failure_sentence(failed: Exception) -> str:
    """What failed, without the advice that goes with an outage."""
    return f"{failed.service}: {failed.what}" if isinstance(failed, EnvironmentFailure) else described(failed)


def stuck(undone: Sequence[Undone], tried: int, done: int, now: dt.datetime) -> tuple[Undone, ...]:
    """Why a run that tried so many items and did so many of them fails: nothing could be delivered, or something has failed for an hour."""
    overdue = tuple(one for one in undone if now - one.since >= OVERDUE)
    return overdue or (tuple(undone) if tried and not done else ())


@dataclass
class Delivering:
    """One holder of a group's delivery lease at work.

    Attributes:
        undone: what failed before and is not done yet, by item; kept up to date.
        tried, done: how many items.
        down: that the job does not answer, which ends what needs it and nothing else.
    """

    ports: Services
    spec: FeedSpec
    run: Run
    token: int
    undone: dict[str, Undone] = field(default_factory=dict)
    tried: int = 0
    done: int = 0
    down: EnvironmentFailure | None = None

    @property
    def job(self) -> Job:
        return self.ports.job

    @property
    def log(self) -> Log:
        return self.ports.log

    def item(self, name: str, do: Part, *, by_job: bool = False) -> bool:
        """Do one item, which tells the ledger when it is done, and note it where it fails; whether it is done.

        `by_job`: the job does it, and is asked too where it fails.

        Raises:
            LeaseLost: another run delivers.
            EnvironmentFailure: the store or the ledger does not answer now, so that nothing else can be delivered either.
        """
        self.ports.ledger.outbox.refuse_lost(self.spec, self.token)
        self.tried += 1
        try:
            do()
        except LeaseLost:
            raise
        except Exception as failed:  # noqa: BLE001 (whatever it is, the others do not wait for it)
            self._refuse_outage(failed)
            if not (by_job and self._job_is_down()):
                self._note(name, failed)
            return False
        self.done += 1
        self.undone.pop(name, None)
        return True

    def each(self, parts: Iterable[Part]) -> None:
        """Do every part of an item, whatever becomes of those before it.

        Raises:
            PartsFailed: with what failed; the others are done.
        """
        failures: list[Exception] = []
        for part in parts:
            try:
                part()
            except LeaseLost:
                raise
            except Exception as failed:  # noqa: BLE001 (as above)
                self._refuse_outage(failed)
                failures.append(failed)
        if failures:
            raise PartsFailed(failures) from failures[0]

    def _refuse_outage(self, failed: Exception) -> None:
        down = stores_down(self.ports)
        if down is not None:
            raise down from failed

    def _job_is_down(self) -> bool:
        try:
            self.job.answers()
        except EnvironmentFailure as down:
            self.down = down
        return self.down is not None

    def _note(self, name: str, failed: Exception) -> None:
        now, before = self.ports.clock(), self.undone.get(name)
        failures = before.failures + 1 if before else 1
        undone = Undone(name, failures, before.since if before else now, now + rest(failures), failure_sentence(failed))
        self.undone[name] = undone
        self.ports.ledger.outbox.failed(self.spec, self.token, undone)
        self.log(f"not delivered: {undone}; tried again after {rest(failures).total_seconds():.0f} s")
