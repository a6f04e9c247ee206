"""A small stream of transactions, the same for the same seed: chunks with all kinds of faults among them; all three patterns fire."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from tools.certificate.stream import DAY as PRODUCED
from tools.certificate.stream import After, Stream, Wave, as_named

HEADER = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
FEED = "transactions"
DAY = f"landing/{FEED}/{PRODUCED}/"
LATE_DAY = f"landing/{FEED}/dt=2026-10-03/"
CHUNK_ROWS = 20
THRESHOLDS: Mapping[str, int] = {"min_total": 70, "min_count": 4, "max_avg_cents": 2300, "min_female": 3, "top": 30, "bottom": 30}
_MERCHANTS = ("M1", "M2", "Mé3")


@dataclass(frozen=True)
class Scale:
    """How large a stream is, so that the patterns fire under given thresholds.

    Attributes:
        rows: of a chunk.
        often: customers who have half of all rows between them.
        seldom: those who have the other half.
        ahead: rows of a first file that one merchant has alone.
    """

    rows: int
    often: int
    seldom: int
    ahead: int
    parameters: Mapping[str, int]


SMALL = Scale(CHUNK_ROWS, 7, 7, 0, THRESHOLDS)
AS_SCHEDULED = Scale(
    300, 12, 260, 50_100, {"min_total": 50_000, "min_count": 80, "max_avg_cents": 2300, "min_female": 100, "top": 10, "bottom": 10}
)
"""For runs that the schedule makes: they have the feed's own thresholds."""


def transactions(seed: int, scale: Scale = SMALL) -> Stream:
    chance = random.Random(f"stream {seed}")
    rows = _rows(chance, scale)

    def chunk() -> list[str]:
        return [next(rows) for _ in range(scale.rows)]

    def source(*chunks: list[str]) -> bytes:
        return (HEADER + "".join(line for chunk in chunks for line in chunk)).encode()

    def without_amount(lines: list[str]) -> bytes:
        return (HEADER.replace("amount,", "") + "".join(lines)).encode()

    first, again, broken = chunk(), chunk(), chunk()
    rejected = [_spoilt(line, chance) if place % 10 == 4 else line for place, line in enumerate(chunk())]
    quarantined = [_spoilt(line, chance) if place % 3 == 0 else line for place, line in enumerate(chunk())]
    headless = "".join(chunk()).encode()
    ahead = () if not scale.ahead else (Wave("a large file", After.NOTHING, ((f"{DAY}a_large.csv", source(_ahead(chance, scale))),)),)
    waves = (
        *ahead,
        Wave("chunks", After.REGISTERED, source=source(first, again, chunk())),
        Wave("a tolerated share of bad rows", After.NOTHING, source=source(chunk(), rejected)),
        Wave(
            "bad files",
            After.REGISTERED,
            (
                (f"{DAY}broken.csv", without_amount(broken)),
                (f"{DAY}bad_rows.csv", source(quarantined)),
                (f"{DAY}zipped.csv.gz", as_named(".gz", source(chunk()))),
                (f"{DAY}empty.csv", b""),
                (f"{DAY}notes.txt", b"not a file of the feed"),
            ),
        ),
        Wave("more chunks", After.REGISTERED, source=source(chunk(), chunk())),
        Wave(
            "the same bytes again, a key that sorts first, an older date",
            After.FINISHED,
            (
                (f"{DAY}zz_copy.csv", source(again)),
                (f"{DAY}zz_broken.csv", without_amount(broken)),
                (f"{DAY}a_first.csv", source(chunk())),
                (f"{LATE_DAY}late.csv", source(chunk())),
            ),
        ),
        Wave("chunks again", After.REGISTERED, source=source(chunk())),
        Wave(
            "keys overwritten, a corrected file, one that is back",
            After.FINISHED,
            (
                (f"{DAY}chunk_1.csv", source(chunk())),
                (f"{DAY}broken.csv", source(broken)),
                (f"{DAY}chunk_2.csv", source(again)),
                (f"{DAY}headless.csv", headless),
            ),
        ),
        Wave("one chunk", After.REGISTERED, source=source(chunk())),
        Wave("and one more", After.NOTHING, source=source(chunk())),
        Wave("another date", After.FINISHED, ((f"{LATE_DAY}chunk_9.csv", source(chunk())), (f"{LATE_DAY}chunk_10.csv", source(chunk())))),
        Wave("chunks of the other day", After.REGISTERED, source=source(chunk(), chunk())),
        Wave("the last chunk", After.NOTHING, source=source(chunk())),
    )
    return Stream(waves, FEED, scale.rows, scale.parameters, {(FEED, "importance"): _importance(chance, scale)})


def as_scheduled(seed: int) -> Stream:
    """The stream for runs that the schedule makes."""
    return transactions(seed, AS_SCHEDULED)


def _rows(chance: random.Random, scale: Scale) -> Iterator[str]:
    step = 0
    while True:
        step += 1
        merchant = chance.choices(_MERCHANTS, (6, 3, 1))[0]
        number = chance.randrange(scale.often) if chance.random() < 0.5 else scale.often + chance.randrange(scale.seldom)
        yield _row(chance, step, number, merchant)


def _ahead(chance: random.Random, scale: Scale) -> list[str]:
    """Rows of one merchant, told apart by amount and step."""
    return [_row(chance, 10**8 + step, chance.randrange(scale.often + scale.seldom), _MERCHANTS[1]) for step in range(scale.ahead)]


def _row(chance: random.Random, step: int, number: int, merchant: str) -> str:
    gender = "F" if number % 5 in {0, 2} else "M"
    amount = f"{chance.randrange(1, 40)}.{chance.randrange(100):02d}"
    return f"{step},'C{number}','4','{gender}','28007','{merchant}','28007','es_food',{amount},0\n"


def _spoilt(line: str, chance: random.Random) -> str:
    """The line with a fault in it."""
    fields = line.rstrip("\n").split(",")
    fault = chance.randrange(3)
    if fault == 0:
        fields[8] = "-1.00"
    elif fault == 1:
        fields[3] = "'X'"
    else:
        fields.append("more")
    return ",".join(fields) + "\n"


def _importance(chance: random.Random, scale: Scale) -> bytes:
    lines = ["Source,Target,Weight,typeTrans,fraud\n"]
    known = [number for number in range(scale.often + scale.seldom) if number % 5]
    for merchant in _MERCHANTS:
        lines += [f"'C{number}','{merchant}',{chance.randrange(500) / 100},'es_food',0\n" for number in known]
    return "".join(lines).encode()
