"""Every place where a fault may be injected, as values, and the draw of the next: by chance from a seed, rather where fewer fell so far."""

from __future__ import annotations

import enum
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

_COMMON_SHARE = 0.75
_LONGEST_DELAY = 0.6
_PRODUCER = "producer"
_RESTORE = "restore"
_RESTORED_SHARE = 0.4


class Effect(enum.StrEnum):
    """Something a run does that outlives it."""

    LISTING = "listing"
    LEASE = "lease"
    REGISTRATION = "registration"
    READING = "reading"
    BRONZE = "bronze write"
    VERDICTS = "verdicts"
    DECISION = "decision"
    ATTEMPT = "attempt"
    REQUEST = "request"
    JOB = "job start"
    STATE = "state write"
    MANIFEST = "manifest"
    PUBLISH = "publish commit"
    DELIVERY_LEASE = "delivery lease"
    JOURNAL = "journal entry"
    LAKE_JOB = "lake job"
    LAKE_COMMIT = "Delta commit"
    LAKE_MANIFEST = "lake manifest"
    DETECTION_FILE = "detection file"
    BATCH_DELIVERED = "batch delivered"
    REPORT = "report"
    REJECTS = "rejects copy"
    COPY = "move: copy"
    DELETE = "move: delete"
    ARCHIVE = "archive copy"
    RELOCATED = "new place noted"
    FILE_DELIVERED = "file delivered"
    MERGE = "state merge"
    RELEASE = "letting go"
    SETS_JOB = "job of the sets"
    SET = "set write"
    SWITCH = "list of finished sets"
    JOURNAL_RESTORED = "journal entry put back"
    OTHER_WRITE = "another write"
    OTHER_COMMIT = "another commit"
    CHUNK = "chunk write"


class When(enum.StrEnum):
    BEFORE = "before"
    AFTER = "after"
    DURING = "at a random instant after"


class Target(enum.StrEnum):
    """What a fault hits: killed with SIGKILL; taken for dead and fenced while it works; taken back to a backup; or (`is_network`) what the
    network does to it.
    """

    INGEST = "ingest process"
    PRODUCER = "producer"
    SPARK = "Spark Connect server"
    WORKER = "Spark Python worker"
    POSTGRES = "PostgreSQL"
    S3 = "S3 server"
    SCHEDULER = "Airflow scheduler"
    TASK = "Airflow task process"
    FENCED_RUN = "ingest taken for dead"
    RECONCILE = "reconcile process"
    LEDGER = "ledger restored from a backup"
    S3_REFUSED = "S3 refused"
    S3_RESET = "S3 reset"
    S3_DELAYED = "S3 delayed"
    S3_SILENT = "S3 time-out"
    S3_SLOW_DOWN = "S3 503 SlowDown"
    S3_LOST_ANSWER = "S3 answer lost"
    POSTGRES_REFUSED = "PostgreSQL refused"
    POSTGRES_RESET = "PostgreSQL reset"
    POSTGRES_DELAYED = "PostgreSQL delayed"
    POSTGRES_SILENT = "PostgreSQL time-out"
    POSTGRES_LOST_ANSWER = "PostgreSQL answer lost"

    @property
    def is_network(self) -> bool:
        return self.name.startswith(("S3_", "POSTGRES_"))

    @property
    def is_kill(self) -> bool:
        return not self.is_network and self not in {Target.FENCED_RUN, Target.LEDGER}


@dataclass(frozen=True)
class Fault:
    """One fault: it falls when `effect` is reached for the `nth` time in a run; `delay` seconds later where it says DURING."""

    target: Target
    when: When
    effect: Effect
    nth: int = 1
    delay: float = 0.0
    hits: int = 1

    @property
    def place(self) -> str:
        """How the certificate counts it."""
        return f"{self.target}, {self.when} {self.effect}"


KINDS: dict[str, tuple[Target, ...]] = {
    "ingest": (Target.INGEST,),
    "producer": (Target.PRODUCER,),
    "network": tuple(target for target in Target if target.is_network),
    "postgres": (Target.POSTGRES,),
    "s3": (Target.S3,),
    "worker": (Target.WORKER,),
    "fenced_run": (Target.FENCED_RUN,),
    "spark": (Target.SPARK,),
    "airflow": (Target.SCHEDULER, Target.TASK),
    "restore": (Target.LEDGER, Target.RECONCILE),
}
"""What `--only` chooses from, and in which share: see `WEIGHTS`."""

WEIGHTS: dict[str, int] = {"ingest": 60, "producer": 8, "network": 16, "postgres": 5, "s3": 6, "worker": 3, "spark": 2, "fenced_run": 6}
"""How often each kind is drawn in an ordinary round; a restart of Spark costs as much as twenty dead ingest processes."""

IN_LAKE = frozenset({Effect.LAKE_JOB, Effect.LAKE_COMMIT, Effect.LAKE_MANIFEST, Effect.SETS_JOB, Effect.SET, Effect.SWITCH})
IN_SPARK = (Effect.JOB, Effect.LAKE_JOB, Effect.LAKE_COMMIT, Effect.SETS_JOB)
IN_S3 = frozenset(
    {
        *(Effect.LAKE_COMMIT, Effect.LAKE_MANIFEST, Effect.SET, Effect.SWITCH),
        *(Effect.LISTING, Effect.READING, Effect.BRONZE, Effect.REQUEST, Effect.STATE, Effect.MANIFEST, Effect.DETECTION_FILE),
        *(
            Effect.JOURNAL,
            Effect.REPORT,
            Effect.REJECTS,
            Effect.COPY,
            Effect.DELETE,
            Effect.ARCHIVE,
            Effect.MERGE,
            Effect.CHUNK,
            Effect.OTHER_WRITE,
        ),
    }
)
IN_CATCHING_UP = (Effect.LEASE, Effect.LISTING, Effect.READING, Effect.JOURNAL_RESTORED, Effect.OTHER_COMMIT, Effect.RELEASE)
OFTEN_REACHED = frozenset(
    {
        *(Effect.LISTING, Effect.LEASE, Effect.REGISTRATION, Effect.READING, Effect.BRONZE, Effect.VERDICTS, Effect.DECISION),
        *(Effect.ATTEMPT, Effect.REQUEST, Effect.JOB, Effect.STATE, Effect.MANIFEST, Effect.PUBLISH, Effect.FILE_DELIVERED),
        *(Effect.JOURNAL, Effect.BATCH_DELIVERED, Effect.COPY, Effect.DELETE, Effect.ARCHIVE, Effect.RELEASE),
        *IN_LAKE,
    }
)
"""Effects that nearly every run with files has; the others want luck, and are drawn more seldom so that rounds stay short."""


def effects_of(target: Target, never: frozenset[Effect] = frozenset()) -> tuple[Effect, ...]:
    """The effects of a run beside which a fault of this target says something, without those that no run of the domain has."""
    return tuple(effect for effect in _effects_of(target) if effect not in never)


def _effects_of(target: Target) -> tuple[Effect, ...]:
    if target is Target.PRODUCER:
        return (Effect.CHUNK,)
    if target in {Target.SPARK, Target.WORKER}:
        return IN_SPARK
    if target is Target.RECONCILE:
        return IN_CATCHING_UP
    of_the_ingest = tuple(effect for effect in Effect if effect not in {Effect.CHUNK, Effect.JOURNAL_RESTORED})
    if target is Target.INGEST:
        return of_the_ingest
    if target is Target.FENCED_RUN:  # inside a transaction it would hold the feed's row, and no other run could begin
        return (*(effect for effect in of_the_ingest if effect in IN_S3), Effect.JOB, Effect.LAKE_JOB, Effect.SETS_JOB)
    in_s3 = target is Target.S3 or target.name.startswith("S3_")
    return tuple(effect for effect in of_the_ingest if (effect in IN_S3) == in_s3 and (effect in IN_S3 or effect not in IN_SPARK))


def moments_of(target: Target) -> tuple[When, ...]:
    """When a target may be hit: the network only before an effect, a Spark worker only while it works."""
    if target.is_network:
        return (When.BEFORE,)
    if target is Target.WORKER:
        return (When.DURING,)
    if target is Target.FENCED_RUN:
        return (When.BEFORE, When.AFTER)
    return (When.BEFORE, When.AFTER, When.DURING)


@dataclass
class Draw:
    """`injected` counts the faults of all rounds by place; `never` are effects that no run of the domain has."""

    chance: random.Random
    injected: Counter[str]
    kinds: Sequence[str]
    never: frozenset[Effect] = frozenset()

    def fault(self, *, producer: bool) -> Fault:
        """A fault at the ingest (or what it stands on), or at the producer."""
        kind = _PRODUCER if producer else self._kind()
        target = self.chance.choice(KINDS[kind])
        if self.chance.random() < _COMMON_SHARE:
            when, effect = self._often_reached(target)
            nth = 1
        else:
            when, effect = self._least_injected(target, effects_of(target, self.never))
            nth = self.chance.choice((1, 1, 2, 3))
        return Fault(
            target,
            when,
            effect,
            nth,
            delay=round(self.chance.uniform(0, _LONGEST_DELAY), 3) if when is When.DURING else 0.0,
            hits=self.chance.choice((1, 2, 5)) if target.is_network else 1,
        )

    def _kind(self) -> str:
        kinds = [kind for kind in self.kinds if kind in WEIGHTS and kind != _PRODUCER]
        return self.chance.choices(kinds, [WEIGHTS[kind] for kind in kinds])[0]

    def _often_reached(self, target: Target) -> tuple[When, Effect]:
        """Right before or after what nearly every run does, where the target allows it: the fault falls."""
        possible = effects_of(target, self.never)
        effects = [effect for effect in possible if effect in OFTEN_REACHED] or possible
        moments = [when for when in moments_of(target) if when is not When.DURING] or moments_of(target)
        return self.chance.choice(moments), self.chance.choice(effects)

    def _least_injected(self, target: Target, effects: Sequence[Effect]) -> tuple[When, Effect]:
        places = [(when, effect) for when in moments_of(target) for effect in effects]
        self.chance.shuffle(places)
        few = sorted(places, key=lambda place: self.injected[Fault(target, *place).place])[: max(3, len(places) // 3)]
        return self.chance.choice(few)

    def of_producer(self, share: int) -> int:
        """How many of a wave's faults its producer takes."""
        if _PRODUCER not in self.kinds:
            return 0
        if set(self.kinds) == {_PRODUCER}:
            return share
        return min(share, self.chance.choice((0, 0, 1, 1, 2)))

    def restored(self, ends: Sequence[int]) -> tuple[int, int] | None:
        """Before which wave the ledger is backed up, and before which, one of `ends`, it is restored; None in most rounds."""
        if _RESTORE not in self.kinds or (self.chance.random() >= _RESTORED_SHARE and not self._only_restores):
            return None
        restored = self.chance.choice(ends)
        return self.chance.randrange(restored), restored

    @property
    def _only_restores(self) -> bool:
        return set(self.kinds) == {_RESTORE}

    def of_reconcile(self) -> Fault:
        """A fault at the reconcile that brings a restored ledger up to date."""
        when, effect = self._least_injected(Target.RECONCILE, effects_of(Target.RECONCILE, self.never))
        return Fault(Target.RECONCILE, when, effect, delay=round(self.chance.uniform(0, _LONGEST_DELAY), 3))

    def shares(self, faults: int, waves: int) -> list[int]:
        """How many faults each wave gets."""
        counted = Counter(self.chance.choices(range(waves), k=0 if self._only_restores else faults))
        return [counted[wave] for wave in range(waves)]
