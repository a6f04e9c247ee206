"""Synthetic card transactions and their CustomerImportance, of BankSim's shape, the same for the same seed.

Rows are drawn in blocks with a random generator each, so memory does not grow with their number and a longer set begins with a shorter one.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from sluice.generate.faults import Planted, plant
from sluice.generate.world import World

HEADER = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
IMPORTANCE_HEADER = "Source,Target,Weight,typeTrans,fraud\n"
CUSTOMERS = 4000
_BLOCK = 10_000
_ROWS_A_STEP = 3300
_FRAUD_SHARE = 0.012
_DOUBLED_SHARE = 0.01


@dataclass(frozen=True)
class Block:
    """Some rows as lines, with the line ends; `importance` has none for unweighted pairs and doubles others."""

    transactions: list[str]
    importance: list[str]


@dataclass(frozen=True)
class Generated:
    """What was written where; `faults` is None where none were asked for."""

    transactions: Path
    importance: Path
    faults: Path | None
    rows: int
    importance_rows: int
    planted: int


def generate(rows: int, seed: int, customers: int = CUSTOMERS) -> Iterator[Block]:
    """Draw `rows` transactions, a block at a time.

    >>> blocks = list(generate(3, seed=1))
    >>> [len(block.transactions) for block in blocks]
    [3]
    """
    world = World.of(seed, customers)
    for number, first in enumerate(range(0, rows, _BLOCK)):
        yield _block(world, np.random.default_rng([seed, 1, number]), first, min(_BLOCK, rows - first))


def write(rows: int, seed: int, folder: Path, *, customers: int = CUSTOMERS, faults: bool = False) -> Generated:
    """Write transactions.csv and CustomerImportance.csv into `folder`; with `faults` also faults.json, which names each faulty line.

    A file appears under its name only when it is whole. The good rows are the same with faults and without.
    """
    folder.mkdir(parents=True, exist_ok=True)
    transactions, importance = folder / "transactions.csv", folder / "CustomerImportance.csv"
    report = folder / "faults.json" if faults else None
    random = np.random.default_rng([seed, 2])
    planted: list[Planted] = []
    weighted = 0
    parts = [path.with_name(path.name + ".part") for path in (transactions, importance)]
    with parts[0].open("wb") as out, parts[1].open("wb") as weights:
        out.write(HEADER.encode())
        weights.write(IMPORTANCE_HEADER.encode())
        line = 2
        for block in generate(rows, seed, customers):
            if faults:
                written = _with_faults(out, block.transactions, line, random)
                planted += written
                line += len(written)
            else:
                out.write("".join(block.transactions).encode())
            line += len(block.transactions)
            weights.write("".join(block.importance).encode())
            weighted += len(block.importance)
    for part, path in zip(parts, (transactions, importance), strict=True):
        part.replace(path)
    if report is not None:
        report.write_text(json.dumps({"format": 1, "faults": [asdict(fault) for fault in planted]}, indent=1) + "\n")
    return Generated(transactions, importance, report, rows, weighted, len(planted))


def _with_faults(out: BinaryIO, rows: list[str], first_line: int, random: np.random.Generator) -> list[Planted]:
    lines, planted = plant([row.encode() for row in rows], first_line, random)
    out.write(b"".join(lines))
    return planted


def _block(world: World, random: np.random.Generator, first: int, count: int) -> Block:
    merchant = np.searchsorted(world.merchant_steps, random.random(count), side="right")
    customer = np.searchsorted(world.customer_steps, merchant + random.random(count), side="right") - merchant * len(world.names)
    kind = np.searchsorted(world.type_steps, merchant + random.random(count), side="right")
    cents = np.rint(world.mean[kind] * world.level[customer] * random.gamma(2.2, 1 / 2.2, count))
    other_gender = world.wavers[customer] & (random.random(count) < 0.5)
    fraud = (random.random(count) < _FRAUD_SHARE).astype(np.int64)
    step = np.arange(first, first + count) // _ROWS_A_STEP
    rows = list(
        zip(
            step.tolist(),
            (customer + other_gender * len(world.names)).tolist(),
            kind.tolist(),
            (cents / 100).tolist(),  # the shortest text of cents / 100 has at most two decimals
            fraud.tolist(),
            strict=True,
        )
    )
    who, where = world.customers, world.types
    transactions = [f"{at},{who[c]},{where[k]},{amount},{cheat}\n" for at, c, k, amount, cheat in rows]
    copies = np.where(world.unweighted[merchant, customer], 0, 1 + (random.random(count) < _DOUBLED_SHARE)).tolist()
    names, merchants, types = world.names, world.merchants, world.type_names
    weights = [
        f"'{names[c]}','{merchants[m]}',{amount},'{types[k]}',{cheat}\n"
        for c, m, (_, _, k, amount, cheat) in zip(customer.tolist(), merchant.tolist(), rows, strict=True)
    ]
    importance = list(itertools.chain.from_iterable(itertools.repeat(line, times) for line, times in zip(weights, copies, strict=True)))
    return Block(transactions, importance)
