"""What a person asks for, checked before anything is written, and then written."""

from __future__ import annotations

import dataclasses
import datetime as dt
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from include.errors import UsageError
from include.files.keys import landing, landing_file
from include.logs import Log
from include.settings import S3Settings
from include.storage.object_store import ObjectStore
from sluice.generate.sales.errors import FolderTaken, LandingTaken, NoRoom
from sluice.generate.sales.formats import Format
from sluice.generate.sales.plan import FactFile, Request
from sluice.generate.sales.population import Sizes
from sluice.generate.sales.targets import AnyFile, Folder, Landing, Nowhere
from sluice.generate.sales.write import Generated, all_files, bytes_a_row, files_a_day, generate

MB = 1_000_000
GB = 1_000_000_000
_SPARE = 1.1  # the sample is not exact
_SECOND_WAVE = 0.25  # of the first, at most
_CUSTOMER_BYTES = 150


@dataclass(frozen=True)
class Wish:
    """The size of a set as a person says it: `gb` or `rows`, one of them."""

    gb: float | None
    rows: int | None
    days: int
    file_mb: float


def request(wish: Wish, seed: int, start: dt.date, formats: Sequence[Format], sizes: Sizes, *, faults: bool) -> Request:
    """Turn a size into rows and files.

    Raises:
        UsageError: not exactly one of --gb and --rows, or fewer sales than days.
    """
    if (wish.gb is None) == (wish.rows is None):
        raise UsageError("say how much: either --gb N (of fact files) or --rows N (sales)")
    draft = Request(1, wish.days, seed, start, tuple(dict.fromkeys(formats)), 1, sizes, faults)
    row_bytes = bytes_a_row(draft)
    rows = wish.rows if wish.rows is not None else round((wish.gb or 0) * GB / row_bytes)
    if rows < wish.days:
        raise UsageError(f"{rows:,} sales on {wish.days:,} days leave days without any: give more --rows or --gb, or fewer --days")
    a_day = files_a_day(rows, wish.days, row_bytes, wish.file_mb * MB)
    return dataclasses.replace(draft, rows=rows, files_a_day=a_day)


def to_folder(generation: Request, folder: Path, processes: int, log: Log) -> Generated:
    """Write a set and what is expected of it into a folder of its own.

    Raises:
        FolderTaken: something is there.
        NoRoom: the disk is too full.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FolderTaken(folder)
    _check_room(_existing(folder), _needed(generation) * (1 + _SECOND_WAVE * generation.faults))
    return generate(generation, all_files(generation), lambda _: Folder(folder), processes, log, folder)


def to_landing(
    generation: Request,
    where: S3Settings,
    store: ObjectStore,
    wave: int,
    processes: int,
    log: Log,
    *,
    expected: Path | None,
    overwrite: bool,
    disk: Path | None = None,
) -> Generated:
    """Land one wave of a set; with the first, write down what is expected of both.

    Args:
        disk: where the store keeps its bytes, if that is known.

    Raises:
        LandingTaken: keys of the wave are there already, others than those it is to replace.
        NoRoom: the disk is too full.
    """
    _check_room(disk or Path(tempfile.gettempdir()), _needed(generation) * (_SECOND_WAVE if wave > 1 else 1))
    every = all_files(generation)
    landed = [file for file in every if file.wave == wave]
    if not landed:
        raise UsageError("without --faults a set has one wave only: everything is landed by the first")
    if not overwrite and (taken := sorted(_taken(store, where.bucket, landed))):
        raise LandingTaken(where.bucket, taken)
    of_others = [] if wave > 1 else every[len(landed) :]
    target, nowhere = Landing(where), Nowhere()
    return generate(
        generation,
        [*landed, *of_others],
        lambda file: target if file.wave == wave else nowhere,
        processes,
        log,
        expected if wave == 1 else None,
    )


def _taken(store: ObjectStore, bucket: str, files: Sequence[AnyFile]) -> Iterator[str]:
    wanted = {
        landing_file(landing(file.feed), file.day, file.name)
        for file in files
        if not (isinstance(file, FactFile) and file.wave > 1 and file.of is not None)
    }
    for feed in sorted({file.feed for file in files}):
        yield from (found.key for found in store.objects(bucket, landing(feed)) if found.key in wanted)


def _needed(generation: Request) -> float:
    """Bytes of the first wave."""
    return (generation.rows * bytes_a_row(generation) + generation.sizes.customers * _CUSTOMER_BYTES) * _SPARE + MB


def _check_room(where: Path, needed: float) -> None:
    free = shutil.disk_usage(where).free
    if needed > free:
        raise NoRoom(where, round(needed), free)


def _existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(path for path in (folder.resolve(), *folder.resolve().parents) if path.exists())
