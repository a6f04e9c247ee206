"""Which files a set has, decided before any row is drawn: the same for the same arguments, whoever writes them."""

from __future__ import annotations

import dataclasses
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from include.errors import UsageError
from sluice.generate.sales.faults import About
from sluice.generate.sales.formats import Format
from sluice.generate.sales.population import Population, Sizes, population

FEWEST_FILES, FEWEST_ROWS = 12, 1000  # below that, planted faults would be all there is


@dataclass(frozen=True)
class Request:
    """What a person asked for; everything in a set follows from it."""

    rows: int
    days: int
    seed: int
    start: dt.date
    formats: tuple[Format, ...]
    files_a_day: int
    sizes: Sizes
    faults: bool

    @property
    def population(self) -> Population:
        return population(self.sizes, self.seed, self.start, self.days, faults=self.faults)


@dataclass(frozen=True)
class FactFile:
    """One file of sales.

    Attributes:
        number, version: say which rows it holds; a copy has those of its original, a replacement version 1 of its key's number.
        of: the name of the file it copies or replaces.
    """

    number: int
    version: int
    wave: int
    day: dt.date
    name: str
    format: Format
    rows: int
    about: About = About.NOTHING
    of: str | None = None

    feed = "sales"


def fact_files(wanted: Request) -> list[FactFile]:
    """Every fact file, in the order in which a feed meets them: by wave, date and name.

    Raises:
        UsageError: too few files or rows for the faults asked for.
    """
    plain = [_plain(wanted, number) for number in range(wanted.days * wanted.files_a_day)]
    return sorted(_with_faults(wanted, plain) if wanted.faults else plain, key=lambda file: (file.wave, file.day, file.name))


def _plain(wanted: Request, number: int) -> FactFile:
    files = wanted.days * wanted.files_a_day
    day = wanted.start + dt.timedelta(days=number // wanted.files_a_day)
    rows = wanted.rows * (number + 1) // files - wanted.rows * number // files
    kind = wanted.formats[number % len(wanted.formats)]
    return FactFile(number, 0, 1, day, _name(wanted.seed, number, kind), kind, rows)


def _name(seed: int, number: int, kind: Format, suffix: str = "") -> str:
    return f"sales_{seed}_{number:06d}{suffix}.{kind}"


def _with_faults(wanted: Request, plain: Sequence[FactFile]) -> list[FactFile]:
    fewest = min(file.rows for file in plain)
    if len(plain) < FEWEST_FILES or fewest < FEWEST_ROWS:
        raise UsageError(
            f"--faults needs at least {FEWEST_FILES} files of {FEWEST_ROWS:,} rows, and these arguments make {len(plain)} of {fewest:,} "
            "and more: give more --days, more --rows or --gb, or another --file-mb"
        )
    order = np.random.default_rng([wanted.seed, 1]).permutation(len(plain)).tolist()
    about = dict(zip(order, _abouts(len(plain)), strict=False))
    files: list[FactFile] = []
    for file in plain:
        marked = dataclasses.replace(file, about=about.get(file.number, About.NOTHING))
        files.append(marked)
        files.extend(_followers(wanted, marked))
    files.extend(_late(wanted, plain))
    return files


def _abouts(files: int) -> list[About]:
    """What is special about how many of the first wave's files."""
    few = max(1, files // 40)
    return [
        *[About.MISSING_COLUMN] * few,
        *[About.COPIED] * few,
        *[About.REPLACED] * few,
        About.REPLACED_IN_VAIN,
        About.TOO_MANY_REJECTS,
        *[About.EXTRA_COLUMNS] * max(1, files // 10),
    ]


def _followers(wanted: Request, file: FactFile) -> list[FactFile]:
    """What comes after a file because of it: its copy, or what is put under its name in the second wave."""
    if file.about is About.COPIED:
        name = _name(wanted.seed, file.number, file.format, "_again")
        return [dataclasses.replace(file, name=name, about=About.COPY, of=file.name)]
    replacing = {About.REPLACED: About.REPLACEMENT, About.REPLACED_IN_VAIN: About.BAD_REPLACEMENT}.get(file.about)
    return [dataclasses.replace(file, version=1, wave=2, about=replacing, of=file.name)] if replacing else []


def _late(wanted: Request, plain: Sequence[FactFile]) -> list[FactFile]:
    """Files of the first date of each month, which arrive when the first wave was worked on; a seller behind catches up in them."""
    first_of_month = {file.day.replace(day=1): file for file in reversed(plain)}
    numbers = range(len(plain), len(plain) + len(first_of_month))
    return [
        dataclasses.replace(file, number=number, wave=2, name=_name(wanted.seed, number, file.format), about=About.LATE)
        for number, (_, file) in zip(numbers, sorted(first_of_month.items()), strict=True)
    ]
