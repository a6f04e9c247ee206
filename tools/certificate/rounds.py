"""One round: a fresh history, the stream landing wave by wave, faults while it is ingested, recovery, comparison."""

from __future__ import annotations

import dataclasses
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from include.errors import SluiceError
from include.version import code_version
from tools.certificate.domain import Domain
from tools.certificate.domains import DOMAINS
from tools.certificate.history import History, fresh
from tools.certificate.places import OFTEN_REACHED, Draw, Effect, Fault, Target, When
from tools.certificate.records import Snapshot
from tools.certificate.report import Round
from tools.certificate.services import Services
from tools.certificate.stream import After, Stream, Wave
from tools.certificate.task import Ending, Task, Work
from tools.certificate.upkeep import left_behind, put_right
from tools.certificate.worker import WorkerProcess

Prepare = Callable[[], None]
_MOST_RUNS = 12
_BATCHES = (1, 2, 3, 100)


class NeverFinished(SluiceError):
    """Runs that nothing disturbed do not finish the work."""


def undisturbed(services: Services, domain: Domain, stream: Stream, *, archive: bool = True) -> Snapshot:
    """The baseline: the same stream, and nothing happens to it."""
    with fresh(services.environment, domain, stream) as history:
        draw = Draw(random.Random(0), Counter(), ())
        Disturbed(services, history, stream, draw, Round(domain.name, 0, 0), archive=archive).go(0, max_files=lambda: 100)
        return history.snapshot()


def disturbed(
    services: Services, stream: Stream, baseline: Snapshot, draw: Draw, done: Round, faults: int, prepare: Prepare | None = None
) -> Round:
    """A round with up to so many faults; `done` is filled in and returned."""
    began = time.monotonic()
    with fresh(services.environment, DOMAINS[done.feed], stream) as history:
        with concluding(done, history, stream, baseline, archive=True):
            Disturbed(services, history, stream, draw, done, prepare).go(faults, max_files=lambda: draw.chance.choice(_BATCHES))
        if prepare is None and not done.left_behind:
            done.compare(baseline, history.snapshot())  # collecting took nothing that anybody needs
    done.seconds = round(time.monotonic() - began, 1)
    return done


@contextmanager
def concluding(done: Round, history: History, stream: Stream, baseline: Snapshot, *, archive: bool) -> Iterator[None]:
    """After the block, compare what it made of a history, and see what it left behind."""
    done.code = code_version()
    try:
        yield
    except NeverFinished as never:
        done.differs("lost", f"lost: {never}")
    done.compare(baseline, history.snapshot())
    done.differs("left_behind", *left_behind(history, stream, archive=archive))


def ends_of(waves: Sequence[Wave]) -> list[int]:
    """The waves before which everything is finished, and the end: what is delivered by then has to come back, and nothing else is known."""
    return [number for number, wave in enumerate(waves) if number and wave.after is After.FINISHED] + [len(waves)]


def in_order(faults: Iterable[Fault]) -> list[Fault]:
    """Faults so that what one leaves undone the next can hit: by step, before an effect first; those that may meet nothing come last."""
    steps, moments = list(Effect), [When.BEFORE, When.DURING, When.AFTER]
    sorted_ = sorted(faults, key=lambda fault: (steps.index(fault.effect), moments.index(fault.when)))
    done: set[Effect] = set()
    first: list[Fault] = []
    last: list[Fault] = []
    for fault in sorted_:
        survived = not fault.target.is_kill or fault.target is Target.WORKER  # the run may go on, and leave nothing undone
        unsure = survived or fault.nth > 1 or fault.effect not in OFTEN_REACHED or fault.effect in done
        (last if unsure else first).append(fault)
        if fault.when is not When.BEFORE:
            done.add(fault.effect)
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

    def go(self, faults: int, max_files: Callable[[], int]) -> None:
        """Land all waves, inject the faults, and ingest until nothing is left."""
        waves = self.stream.waves
        shares = self.draw.shares(faults, len(waves))
        backed_up, restored = self.draw.restored(ends_of(waves)) or (None, None)
        for number, (wave, share) in enumerate(zip(waves, shares, strict=True)):
            self._until(wave.after, max_files)
            if number == restored:
                self._restore(max_files)
            if number == backed_up:
                self.history.back_up()
            put_right(self.history, self.stream, wave)
            left = self._land(wave, number, share)
            for fault in in_order(self.draw.fault(producer=False) for _ in range(left)):
                if not self._ingest(fault, max_files()):
                    break  # a run came to its end before the place was reached: nothing is left to be hit
        self._until(After.FINISHED, max_files)
        if restored == len(waves):
            self._restore(max_files)

    def _restore(self, max_files: Callable[[], int]) -> None:
        """Put the ledger back to its backup; reconcile, killed once on the way, brings it up to date."""
        self.history.restore()
        self._count(Fault(Target.LEDGER, When.AFTER, Effect.FILE_DELIVERED), Ending(injected=True))
        for fault in (self.draw.of_reconcile(), None):
            self._count(fault, WorkerProcess(dataclasses.replace(self._task(fault), work=Work.RECONCILE)).end())
        self._until(After.FINISHED, max_files)

    def _until(self, after: After, max_files: Callable[[], int]) -> None:
        reached = self.history.reached(after)
        for _ in range(_MOST_RUNS):
            if reached():
                return
            self._ingest(None, max_files())
        raise NeverFinished(f"{_MOST_RUNS} runs, none of them disturbed, and still not: {after.value}")

    def _land(self, wave: Wave, number: int, share: int) -> int:
        """Land a wave; how many of its faults are left for the ingest."""
        self.history.land(wave)
        if not wave.source:
            return share
        path = self.history.source_of(wave, number)
        faults = self.draw.of_producer(share)
        for _ in range(faults):
            self._produce(path, self.draw.fault(producer=True))
        while not self._produce(path, None):
            pass
        return share - faults

    def _produce(self, path: str, fault: Fault | None) -> bool:
        """A producer's run; whether it came to its end."""
        began = time.monotonic()
        ending = WorkerProcess(self._task(fault, source=path)).end()
        self._count(fault, ending)
        if fault is not None and ending.killed:
            self.done.recovered_after.append(round(time.monotonic() - began, 3))
        return not ending.killed and ending.code == 0

    def _ingest(self, fault: Fault | None, max_files: int) -> bool:
        """A run of the ingest, and what an operator does after it; whether the fault fell."""
        self._runs += 1
        ending = WorkerProcess(self._task(fault, max_files=max_files)).end(self._inject)
        if ending.working_after is not None:
            self.done.recovered_after += [round(max(0.0, ending.working_after - since), 3) for since in self._since]
            self._since.clear()
        self._count(fault, ending)
        if ending.killed or ending.code:
            self._since.append(time.monotonic())
        self.services.repair()
        self._come_back(ending)
        return ending.injected

    def _inject(self, fault: Fault) -> None:
        """Inject a fault into others than the run itself; it waits meanwhile, or works on where the fault has a delay."""
        if fault.target is not Target.FENCED_RUN:
            self.services.inject(fault)
            return
        self.history.release(self._run_id)
        other = dataclasses.replace(self._task(None), run_id=f"certificate-instead-{self._runs}")
        self._count(None, WorkerProcess(other).end())

    def _come_back(self, ending: Ending) -> None:
        """What happens after a death: Airflow tries the task again, or its callback releases the feed, or the lease runs out."""
        way = self.draw.chance.choices(("again", "released", "wait"), (5, 3, 1))[0] if ending.killed else "next"
        if way == "released":
            self.history.release(self._run_id)
        if way != "again":
            self._run_id = f"certificate-{self._runs}"

    def _count(self, fault: Fault | None, ending: Ending) -> None:
        if fault is not None and ending.injected:
            self.done.count(fault)
            self.draw.injected[fault.place] += 1
        how = "killed" if ending.killed else (ending.sentence.partition(":")[0] or ("crashed" if ending.crash else "well"))
        self.done.endings[how] = self.done.endings.get(how, 0) + 1
        if ending.crash or (ending.code > 0 and not ending.sentence):
            last = ending.crash.strip().splitlines()[-1] if ending.crash else f"exit {ending.code}"
            self.done.differs("unclear", f"{fault.place if fault else 'undisturbed'}: a run failed without a clear sentence: {last}")

    def _in_turn(self) -> tuple[str, ...]:
        """The feeds in the order of a run: another one each time, except where nothing is to be disturbed."""
        feeds = self.history.domain.feeds
        return feeds if self.done.number == 0 or len(feeds) == 1 else tuple(self.draw.chance.sample(feeds, len(feeds)))

    def _task(self, fault: Fault | None, *, source: str = "", max_files: int = 100) -> Task:
        return Task(
            domain=self.history.domain.name,
            feeds=(self.stream.produced,) if source else self._in_turn(),
            environment=self.history.through(self.services.s3.port, self.services.postgres.port),
            run_id=self._run_id if not source else f"certificate-producer-{self._runs}",
            parameters=self.stream.parameters,
            max_files=max_files,
            archive=self.archive,
            work=Work.PRODUCE if source else Work.INGEST,
            source=source,
            rows=self.stream.rows,
            fault=fault,
            prepare=self.prepare,
        )
