"""Write a set with several processes. Each file is made whole by one of them, from the arguments alone."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.csv as pa_csv

from include.logs import Log
from sluice.generate.sales.dimension_file import dimension_files, write_dimension
from sluice.generate.sales.expected import Book, Outcome, after_wave, customer_cells, described, team_cells, winners_changed
from sluice.generate.sales.fact_file import Written, write_facts
from sluice.generate.sales.formats import Format
from sluice.generate.sales.plan import FactFile, Request, fact_files
from sluice.generate.sales.targets import AnyFile, Nowhere, Target

EXPECTED, EXPECTED_CUSTOMERS, EXPECTED_TEAM = "expected.json", "expected_customers.csv", "expected_team.csv"
_SAMPLE_ROWS, _SAMPLE_NUMBER = 1 << 16, 1 << 40  # a file number that no set reaches
_TELL_EVERY_SECONDS = 2.0
_MB = 1_000_000


class Made(NamedTuple):
    """What a process hands back of one file."""

    outcome: Outcome
    sums: Written | None
    cpu_seconds: float


@dataclass(frozen=True)
class Generated:
    """What one run wrote; `cpu_seconds` of all processes together."""

    files: int
    rows: int
    bytes: int
    seconds: float
    cpu_seconds: float
    expected: Path | None

    @property
    def mb_a_core_second(self) -> float:
        return self.bytes / _MB / self.cpu_seconds if self.cpu_seconds else 0.0


def bytes_a_row(wanted: Request) -> float:
    """The mean over the formats, learnt from a sample."""
    sizes = []
    for kind in wanted.formats:
        sample = FactFile(_SAMPLE_NUMBER, 0, 1, wanted.start, "sample", kind, _SAMPLE_ROWS)
        with Nowhere().opened(sample) as out:
            sizes.append(write_facts(sample, wanted.population, out, faults=False).bytes / _SAMPLE_ROWS)
    return sum(sizes) / len(sizes)


def files_a_day(rows: int, days: int, row_bytes: float, file_bytes: float) -> int:
    """How many files make a day, none much larger than wished.

    >>> files_a_day(rows=1_000_000, days=10, row_bytes=60.0, file_bytes=2e6)
    3
    """
    return max(1, math.ceil(rows / days * row_bytes / file_bytes))


def all_files(wanted: Request) -> list[AnyFile]:
    """Everything in a set: of each wave the dimensions, then the facts."""
    return sorted([*dimension_files(wanted), *fact_files(wanted)], key=lambda file: file.wave)


def generate(
    wanted: Request,
    files: Sequence[AnyFile],
    target_of: Callable[[AnyFile], Target],
    processes: int,
    log: Log,
    expected: Path | None,
) -> Generated:
    """Write these files of a set, and what is expected of them if there is a folder for it (then `files` are all of the set)."""
    begun = time.monotonic()
    book = Book(wanted.population, (1, 2) if wanted.faults else (1,))
    outcomes: dict[tuple[int, str, str], Outcome] = {}
    progress = _Progress(len(files), sum(file.rows for file in files if isinstance(file, FactFile)), log)
    cpu_seconds = 0.0
    with _made(wanted, files, target_of, processes) as every:
        for made in every:
            file = made.outcome.file
            outcomes[file.wave, file.feed, file.name] = made.outcome
            if isinstance(file, FactFile) and made.sums is not None:
                book.enter(file, made.sums)
            cpu_seconds += made.cpu_seconds
            progress.report(made.outcome)
    in_order = [outcomes[file.wave, file.feed, file.name] for file in files]
    if expected is not None:
        _write_expected(wanted, in_order, book, expected)
    return Generated(
        files=len(in_order),
        rows=sum(one.rows for one in in_order),
        bytes=sum(one.bytes for one in in_order),
        seconds=round(time.monotonic() - begun, 3),
        cpu_seconds=round(cpu_seconds, 3),
        expected=expected / EXPECTED if expected else None,
    )


def _make(wanted: Request, file: AnyFile, target: Target) -> Made:
    """In a process: make one file."""
    pa.set_cpu_count(1)
    begun = time.process_time()
    people = wanted.population
    written = None
    with target.opened(file) as out:
        if isinstance(file, FactFile):
            written = write_facts(file, people, out, faults=wanted.faults)
            outcome = Outcome(file, written.rows, written.bytes, written.sha256, tuple(written.planted))
            written.planted = []
        else:
            rows, counted = write_dimension(file, people, wanted.start, out)
            outcome = Outcome(file, rows, counted.bytes, counted.sha256)
    return Made(outcome, written, time.process_time() - begun)


@contextmanager
def _made(wanted: Request, files: Sequence[AnyFile], target_of: Callable[[AnyFile], Target], processes: int) -> Iterator[Iterator[Made]]:
    """The files as they are finished. What has not begun when the block fails is not begun any more."""
    if processes == 1:
        yield (_make(wanted, file, target_of(file)) for file in files)
        return
    pool = ProcessPoolExecutor(processes, get_context("spawn"))
    try:
        waiting: list[Future[Made]] = [pool.submit(_make, wanted, file, target_of(file)) for file in files]
        yield (done.result() for done in as_completed(waiting))
    finally:
        pool.shutdown(cancel_futures=True)


class _Progress:
    """Says now and then how far it is."""

    def __init__(self, files: int, rows: int, log: Log) -> None:
        self._files, self._rows, self._log = files, rows, log
        self._begun = self._reported_at = time.monotonic()
        self._done = self._written = self._bytes = 0

    def report(self, outcome: Outcome) -> None:
        self._done += 1
        self._bytes += outcome.bytes
        self._written += outcome.file.rows if isinstance(outcome.file, FactFile) else 0
        now = time.monotonic()
        if now - self._reported_at < _TELL_EVERY_SECONDS or self._done == self._files:
            return
        self._reported_at = now
        spent = now - self._begun
        left = f", about {spent * (self._rows - self._written) / self._written:.0f} s left" if self._written else ""
        self._log(
            f"{self._done:,} of {self._files:,} files, {self._written:,} of {self._rows:,} sales, "
            f"{self._bytes / _MB:,.0f} MB at {self._bytes / _MB / spent:.0f} MB/s{left}"
        )


def _write_expected(wanted: Request, outcomes: Sequence[Outcome], book: Book, folder: Path) -> None:
    people = wanted.population
    documents = [after_wave(people, sums, wave) for wave, sums in book.after.items()]
    content: dict[str, Any] = {
        "format": 1,
        "asked": {**asdict(wanted), "start": wanted.start.isoformat(), "formats": [Format(kind).value for kind in wanted.formats]},
        "files": [described(outcome) for outcome in outcomes],
        "after_wave": documents,
        "winners_changed": winners_changed(documents[0], documents[-1]),
    }
    folder.mkdir(parents=True, exist_ok=True)
    _replace(folder / EXPECTED, (json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    for name, cells in (
        (EXPECTED_CUSTOMERS, customer_cells(people, book.after)),
        (EXPECTED_TEAM, team_cells(people, book.after)),
    ):
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(cells, sink, pa_csv.WriteOptions(quoting_style="none", quoting_header="none"))
        _replace(folder / name, sink.getvalue().to_pybytes())


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content)
    part.replace(path)
