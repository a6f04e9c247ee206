"""One round: a fresh history, the stream landing wave by wave, blows while it is ingested, recovery, comparison."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from certificate.compare import differences
from certificate.domain import Domain
from certificate.domains import DOMAINS
from certificate.draw import Draw
from certificate.found import Snapshot
from certificate.history import History, fresh
from certificate.places import OFTEN_REACHED, Effect, Strike, Target, When
from certificate.repairs import put_right
from certificate.report import Round
from certificate.services import Services
from certificate.snapshot import taken
from certificate.stream import After, Stream, Wave
from certificate.tidying import tidied
from certificate.victim import Ending, Task, Victim, Work
from include.ingestion.errors import SluiceError
from include.version import code_version

Prepare = Callable[[], None]
_MOST_RUNS = 12
_BATCHES = (1, 2, 3, 100)


class NeverFinished(SluiceError):
    """Runs that nothing disturbed do not finish the work."""


def undisturbed(services: Services, domain: Domain, stream: Stream, *, archive: bool = True) -> Snapshot:
    """The yardstick: the same stream, and nothing happens to it."""
    with fresh(services.environment, domain, stream) as history:
        round_ = Disturbed(services, history, stream, Draw(random.Random(0), Counter(), ()), Round(domain.name, 0, 0), archive=archive)
        round_.go(blows=0, max_files=lambda: 100)
        return taken(history)


def disturbed(
    services: Services, stream: Stream, yardstick: Snapshot, draw: Draw, done: Round, blows: int, prepare: Prepare | None = None
) -> Round:
    """A round with up to so many blows; `done` is filled in and returned."""
    began = time.monotonic()
    done.code = code_version()
    with fresh(services.environment, DOMAINS[done.feed], stream) as history:
        round_ = Disturbed(services, history, stream, draw, done, prepare)
        try:
            round_.go(blows, max_files=lambda: draw.chance.choice(_BATCHES))
        except NeverFinished as never:
            done.lost += 1
            done.first_difference = done.first_difference or f"lost: {never}"
        compare(done, yardstick, taken(history))
        left = tidied(history, stream, archive=True)
        done.left_behind += len(left)
        if left:
            done.first_difference = done.first_difference or left[0]
        elif prepare is None:
            compare(done, yardstick, taken(history))  # collecting took nothing that anybody needs
    done.seconds = round(time.monotonic() - began, 1)
    return done


def compare(done: Round, yardstick: Snapshot, found: Snapshot) -> None:
    unlike = differences(yardstick, found)
    for difference in unlike:
        setattr(done, difference.kind, getattr(done, difference.kind) + 1)
    if unlike and not done.first_difference:
        done.first_difference = str(unlike[0])


def ends_of(waves: Sequence[Wave]) -> list[int]:
    """The waves before which everything is finished, and the end: what is delivered by then has to come back, and nothing else is known."""
    return [number for number, wave in enumerate(waves) if number and wave.after is After.FINISHED] + [len(waves)]


def in_order(strikes: Iterable[Strike]) -> list[Strike]:
    """Blows so that what one leaves undone the next can fall on: by step, before an effect first; those that may meet nothing come last."""
    steps, moments = list(Effect), [When.BEFORE, When.DURING, When.AFTER]
    sorted_ = sorted(strikes, key=lambda strike: (steps.index(strike.effect), moments.index(strike.when)))
    done: set[Effect] = set()
    first: list[Strike] = []
    last: list[Strike] = []
    for strike in sorted_:
        survived = not strike.target.is_kill or strike.target is Target.WORKER  # the run may go on, and leave nothing undone
        unsure = survived or strike.nth > 1 or strike.effect not in OFTEN_REACHED or strike.effect in done
        (last if unsure else first).append(strike)
        if strike.when is not When.BEFORE:
            done.add(strike.effect)
    return first + last


@dataclass
class Disturbed:
    """A history on its way through the stream."""

    services: Services
    history: History
    stream: Stream
    draw: Draw
    done: Round
    prepare: Prepare | None = None
    archive: bool = True
    _run_id: str = "certificate-0"
    _runs: int = 0
    _since: list[float] = field(default_factory=list)

    def go(self, blows: int, max_files: Callable[[], int]) -> None:
        """Land all waves, deal the blows, and ingest until nothing is left."""
        waves = self.stream.waves
        shares = self.draw.shares(blows, len(waves))
        backed_up, restored = self.draw.restored(ends_of(waves)) or (None, None)
        for number, (wave, share) in enumerate(zip(waves, shares, strict=True)):
            self._until(wave.after, max_files)
            if number == restored:
                self._restore(max_files)
            if number == backed_up:
                self.history.back_up()
            put_right(self.history, self.stream, wave)
            left = self._land(wave, number, share)
            for strike in in_order(self.draw.strike(producer=False) for _ in range(left)):
                if not self._ingest(strike, max_files()):
                    break  # a run came to its end before the place was reached: nothing is left to be struck
        self._until(After.FINISHED, max_files)
        if restored == len(waves):
            self._restore(max_files)

    def _restore(self, max_files: Callable[[], int]) -> None:
        """Put the ledger back to its backup; reconcile, killed once on the way, brings it up to date."""
        self.history.restore()
        fallen = Strike(Target.LEDGER, When.AFTER, Effect.FILE_DELIVERED)
        self._count(fallen, Ending(struck=True))
        for strike in (self.draw.of_reconcile(), None):
            self._count(strike, Victim(dataclasses.replace(self._task(strike), work=Work.RECONCILE)).end())
        self._until(After.FINISHED, max_files)

    def _until(self, after: After, max_files: Callable[[], int]) -> None:
        reached = self.history.reached(after)
        for _ in range(_MOST_RUNS):
            if reached():
                return
            self._ingest(None, max_files())
        raise NeverFinished(f"{_MOST_RUNS} runs, none of them disturbed, and still not: {after.value}")

    def _land(self, wave: Wave, number: int, share: int) -> int:
        """Land a wave; how many of its blows are left for the ingest."""
        self.history.land(wave)
        if not wave.source:
            return share
        path = self.history.source_of(wave, number)
        blows = self.draw.of_producer(share)
        for _ in range(blows):
            self._produce(path, self.draw.strike(producer=True))
        while not self._produce(path, None):
            pass
        return share - blows

    def _produce(self, path: str, strike: Strike | None) -> bool:
        """A producer's run; whether it came to its end."""
        began = time.monotonic()
        ending = Victim(self._task(strike, source=path)).end()
        self._count(strike, ending)
        if strike is not None and ending.killed:
            self.done.recovered_after.append(round(time.monotonic() - began, 3))
        return not ending.killed and ending.code == 0

    def _ingest(self, strike: Strike | None, max_files: int) -> bool:
        """A run of the ingest, and what an operator does after it; whether the blow fell."""
        self._runs += 1
        ending = Victim(self._task(strike, max_files=max_files)).end(self._strike)
        if ending.working_after is not None:
            self.done.recovered_after += [round(max(0.0, ending.working_after - since), 3) for since in self._since]
            self._since.clear()
        self._count(strike, ending)
        if ending.killed or ending.code:
            self._since.append(time.monotonic())
        self.services.repair()
        self._come_back(ending)
        return ending.struck

    def _strike(self, strike: Strike) -> None:
        """Deal a blow to others than the run itself; it waits meanwhile, or works on where the strike has a delay."""
        if strike.target is not Target.ZOMBIE:
            self.services.strike(strike)
            return
        self.history.let_go(self._run_id)
        other = dataclasses.replace(self._task(None), run_id=f"certificate-instead-{self._runs}")
        self._count(None, Victim(other).end())

    def _come_back(self, ending: Ending) -> None:
        """What happens after a death: Airflow tries the task again, or its callback lets the feed go, or the lease runs out."""
        way = self.draw.chance.choices(("again", "let go", "wait"), (5, 3, 1))[0] if ending.killed else "next"
        if way == "let go":
            self.history.let_go(self._run_id)
        if way != "again":
            self._run_id = f"certificate-{self._runs}"

    def _count(self, strike: Strike | None, ending: Ending) -> None:
        if strike is not None and ending.struck:
            counted = self.done.kills if strike.target.is_kill else self.done.faults
            counted[strike.place] = counted.get(strike.place, 0) + 1
            self.draw.struck[strike.place] += 1
        how = "killed" if ending.killed else (ending.sentence.partition(":")[0] or ("crashed" if ending.crash else "well"))
        self.done.endings[how] = self.done.endings.get(how, 0) + 1
        if ending.crash or (ending.code > 0 and not ending.sentence):
            self.done.unclear += 1
            last = ending.crash.strip().splitlines()[-1] if ending.crash else f"exit {ending.code}"
            place = strike.place if strike else "undisturbed"
            self.done.first_difference = self.done.first_difference or f"{place}: a run failed without a clear sentence: {last}"

    def _in_turn(self) -> tuple[str, ...]:
        """The feeds in the order of a run: another one each time, except where nothing is to be disturbed."""
        feeds = self.history.domain.feeds
        return feeds if self.done.number == 0 or len(feeds) == 1 else tuple(self.draw.chance.sample(feeds, len(feeds)))

    def _task(self, strike: Strike | None, *, source: str = "", max_files: int = 100) -> Task:
        environment: Mapping[str, str] = self.history.through(self.services.s3.port, self.services.postgres.port)
        return Task(
            domain=self.history.domain.name,
            feeds=(self.stream.produced,) if source else self._in_turn(),
            environment=environment,
            run_id=self._run_id if not source else f"certificate-producer-{self._runs}",
            parameters=self.stream.parameters,
            max_files=max_files,
            archive=self.archive,
            work=Work.PRODUCE if source else Work.INGEST,
            source=source,
            rows=self.stream.rows,
            strike=strike,
            prepare=self.prepare,
        )
