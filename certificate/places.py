"""Every place where something may be struck, as values: what is struck, before or after which effect, which time it is reached."""

from __future__ import annotations

import enum
from dataclasses import dataclass


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
    FILE_DELIVERED = "file delivered"
    MERGE = "state merge"
    LETTING_GO = "letting go"
    SETS_JOB = "job of the sets"
    SET = "set write"
    SWITCH = "list of finished sets"
    PUT_BACK = "journal entry put back"
    OTHER_WRITE = "another write"
    OTHER_COMMIT = "another commit"
    CHUNK = "chunk write"


class When(enum.StrEnum):
    BEFORE = "before"
    AFTER = "after"
    DURING = "at a random instant after"


class Target(enum.StrEnum):
    """What is struck: killed with SIGKILL; taken for dead and replaced while it works; taken back to a backup; or (`is_fault`) what the
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
    ZOMBIE = "ingest taken for dead"
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
    def is_fault(self) -> bool:
        return self.name.startswith(("S3_", "POSTGRES_"))

    @property
    def is_kill(self) -> bool:
        return not self.is_fault and self not in {Target.ZOMBIE, Target.LEDGER}


@dataclass(frozen=True)
class Strike:
    """One blow: it falls when `effect` is reached for the `nth` time in a run; `delay` seconds later where it says DURING."""

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
    "network": tuple(target for target in Target if target.is_fault),
    "postgres": (Target.POSTGRES,),
    "s3": (Target.S3,),
    "worker": (Target.WORKER,),
    "zombie": (Target.ZOMBIE,),
    "spark": (Target.SPARK,),
    "airflow": (Target.SCHEDULER, Target.TASK),
    "restore": (Target.LEDGER, Target.RECONCILE),
}
"""What `--only` chooses from, and in which share: see `WEIGHTS`."""

WEIGHTS: dict[str, int] = {"ingest": 60, "producer": 8, "network": 16, "postgres": 5, "s3": 6, "worker": 3, "spark": 2, "zombie": 6}
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
IN_CATCHING_UP = (Effect.LEASE, Effect.LISTING, Effect.READING, Effect.PUT_BACK, Effect.OTHER_COMMIT, Effect.LETTING_GO)
OFTEN_REACHED = frozenset(
    {
        *(Effect.LISTING, Effect.LEASE, Effect.REGISTRATION, Effect.READING, Effect.BRONZE, Effect.VERDICTS, Effect.DECISION),
        *(Effect.ATTEMPT, Effect.REQUEST, Effect.JOB, Effect.STATE, Effect.MANIFEST, Effect.PUBLISH, Effect.FILE_DELIVERED),
        *(Effect.JOURNAL, Effect.BATCH_DELIVERED, Effect.COPY, Effect.DELETE, Effect.ARCHIVE, Effect.LETTING_GO),
        *IN_LAKE,
    }
)
"""Effects that nearly every run with files has; the others want luck, and are drawn more seldom so that rounds stay short."""


def effects_of(target: Target, never: frozenset[Effect] = frozenset()) -> tuple[Effect, ...]:
    """The effects of a run beside which striking this target says something, without those that no run of the domain has."""
    return tuple(effect for effect in _effects_of(target) if effect not in never)


def _effects_of(target: Target) -> tuple[Effect, ...]:
    if target is Target.PRODUCER:
        return (Effect.CHUNK,)
    if target in {Target.SPARK, Target.WORKER}:
        return IN_SPARK
    if target is Target.RECONCILE:
        return IN_CATCHING_UP
    of_the_ingest = tuple(effect for effect in Effect if effect not in {Effect.CHUNK, Effect.PUT_BACK})
    if target is Target.INGEST:
        return of_the_ingest
    if target is Target.ZOMBIE:  # inside a transaction it would hold the feed's row, and no other run could begin
        return (*(effect for effect in of_the_ingest if effect in IN_S3), Effect.JOB, Effect.LAKE_JOB, Effect.SETS_JOB)
    in_s3 = target is Target.S3 or target.name.startswith("S3_")
    return tuple(effect for effect in of_the_ingest if (effect in IN_S3) == in_s3 and (effect in IN_S3 or effect not in IN_SPARK))


def moments_of(target: Target) -> tuple[When, ...]:
    """When a target may be struck: the network only before an effect, a Spark worker only while it works."""
    if target.is_fault:
        return (When.BEFORE,)
    if target is Target.WORKER:
        return (When.DURING,)
    if target is Target.ZOMBIE:
        return (When.BEFORE, When.AFTER)
    return (When.BEFORE, When.AFTER, When.DURING)
