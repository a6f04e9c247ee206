"""The main job: bring everything up, land a source chunk by chunk, let Airflow ingest it, watch until all of it is delivered."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from include.errors import EnvironmentFailure, SluiceError
from sluice.main_job.snapshot import Landing, Snapshot, newest_failure, take
from sluice.main_job.view import watching

if TYPE_CHECKING:
    from include.feed import FeedSpec
    from include.ledger import Ledger
    from sluice.services.state import State

INGEST_DAG = "transactions_ingest"
LANDING_ASSET = "sluice_landing_transactions"
_LOOK_EVERY_SECONDS = 0.5
_STILL_FOR_SECONDS = 300


@dataclass(frozen=True)
class Source:
    """What the producer cuts into chunks: a transactions file, from where it stopped or from its start, and the pace."""

    transactions: str
    rate: float
    chunks: int | None
    rows: int
    from_start: bool


class ProducerFailed(SluiceError):
    """The producer ended with an error; what it said is the error's text."""


class NothingMoves(EnvironmentFailure):
    """Files wait and nobody takes them."""


def synthetic(state: State, chunks: int, rows: int, seed: int, log: Console) -> tuple[str, str]:
    """Paths of a synthetic set of this size, made if it is not there yet."""
    from sluice.generate.transactions import write

    folder = state.folder("data") / f"synthetic-{chunks * rows}-{seed}"
    if not folder.is_dir():
        begun = time.monotonic()
        draft = folder.with_name(f"{folder.name}.new")
        write(chunks * rows, seed, draft)
        draft.rename(folder)
        log.print(f"made {chunks * rows:,} synthetic transactions and their CustomerImportance in {time.monotonic() - begun:.1f} s")
    return str(folder / "transactions.csv"), str(folder / "CustomerImportance.csv")


@contextmanager
def producing(state: State, source: Source) -> Iterator[subprocess.Popen[bytes]]:
    """The producer as a process of its own; what it says goes to its log. Ended with the block if it still runs."""
    command = [sys.executable, "-m", "sluice", "produce", "--rows", str(source.rows), "--every", str(1 / source.rate)]
    if source.chunks is not None:
        command += ["--limit", str(source.chunks)]
    if source.from_start:
        command.append("--from-start")
    with state.log("producer").open("ab") as log:
        variables = os.environ | {"SLUICE_SOURCE": source.transactions}  # no argument: a URL may hold a signature
        producer = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            yield producer
        finally:
            producer.terminate()
            producer.wait()


def watch(
    state: State,
    ledger: Ledger,
    spec: FeedSpec,
    source: Source,
    landing: Landing,
    console: Console,
    services: list[tuple[str, str]],
) -> Snapshot:
    """Produce, and show how far the ingest is, until all that landed is published or refused, and delivered.

    Raises:
        ProducerFailed: with what the producer said last.
        NothingMoves: files wait, and nothing has changed for minutes.
    """
    failures_before = newest_failure(ledger)
    title = f"{Path(source.transactions.partition('?')[0]).name}: a chunk of {source.rows:,} rows every {1 / source.rate:g} s"
    with producing(state, source) as producer, watching(console, title, services) as show:
        seen, seen_at = None, time.monotonic()
        while True:
            ended = producer.poll()
            if ended:
                raise ProducerFailed(f"the producer ended with {ended}: {_last_line(state.log('producer'))}")
            snapshot = take(ledger, spec, landing, failures_before)
            done = ended == 0 and snapshot.decided
            show(snapshot, done)
            if done:
                return snapshot
            progress = (snapshot.run, snapshot.feed, snapshot.undelivered)
            if progress != seen:
                seen, seen_at = progress, time.monotonic()
            elif time.monotonic() - seen_at > _STILL_FOR_SECONDS:
                why = snapshot.failure or f"is the DAG {INGEST_DAG} paused?"
                raise NothingMoves("Airflow", f"{snapshot.backlog} files wait and nothing has moved for {_STILL_FOR_SECONDS} s: {why}")
            time.sleep(_LOOK_EVERY_SECONDS)


def _last_line(log: Path) -> str:
    lines = log.read_text(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"it said nothing; see {log}"
