"""What a process of the certificate is to do, and how it ended."""

from __future__ import annotations

import enum
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from tools.certificate.places import Effect, Fault, When
from tools.certificate.stream import Fix, Replay

At = Callable[[When, Effect], None]
"""Called before and after each effect of a process."""
Counts = dict[str, Any]
"""What a process returns of its work, by name."""


class Work(enum.Enum):
    """What a process is for."""

    INGEST = "sluice ingest --until-empty"
    PRODUCE = "sluice produce"
    RECONCILE = "sluice reconcile --collect --grace 0"
    REPAIR = "sluice quarantine replay --go, and a corrected rejects.csv"
    FOLLOW_UP = "what follows the ingest, when what nobody reads any more is old"


@dataclass(frozen=True)
class Task:
    """What a process is to do.

    Attributes:
        domain: whose feeds it works on.
        feeds: in which order.
        environment: the variables of `sluice env`, with the history's own bucket and schema.
        run_id: how the ledger names the run; a retry has the id of the run before it.
        lease_seconds: how long a lease lasts unless renewed; 60 in life, a few here, so that a death costs seconds.
        archive: whether published files are moved away.
        work: what it does.
        source: the file that a producer cuts into chunks of `rows`.
        repairs: what a person puts right.
        prepare: called before anything else; tests take a safeguard out here.
        patient: wait for another holder of the lease, as the command does; else stop with its line, as a scheduled task does.
    """

    domain: str
    feeds: tuple[str, ...]
    environment: Mapping[str, str]
    run_id: str
    parameters: Mapping[str, Any]
    max_files: int = 100
    lease_seconds: float = 3.0
    archive: bool = True
    work: Work = Work.INGEST
    source: str = ""
    rows: int = 20
    repairs: tuple[Replay | Fix, ...] = ()
    fault: Fault | None = None
    prepare: Callable[[], None] | None = None
    patient: bool = True


@dataclass
class Ending:
    """How a process ended: killed, failed with a sentence, crashed without one, or well."""

    killed: bool = False
    injected: bool = False
    code: int = 0
    sentence: str = ""
    crash: str = ""
    counts: Counts = field(default_factory=dict)
    working_after: float | None = None
    """When it had the lease (a producer: its prefix), on the clock of `time.monotonic`; None: it did not come so far."""
