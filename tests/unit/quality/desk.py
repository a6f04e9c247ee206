"""Puts bytes before the gate, as tests want it: one call, one verdict, and a look at what was written."""

from __future__ import annotations

import csv
import dataclasses
import datetime as dt
import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from include.contract import Contract
from include.domains.transactions.feeds import TRANSACTIONS
from include.feed import FeedSpec
from include.files.file import LedgerFile, State
from include.files.verdict import Verdict
from include.quality.gate import GreatExpectationsGate
from tests.unit.quality.memory_store import MemoryStore

DATA = Path(__file__).parents[2] / "data" / "transactions"
HEADER = b"step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud\n"
ROW = b"0,'C1','4','M','28007','M1','28007','es_food',4.55,0\n"
BUCKET = "sluice"


class Desk:
    """A store of its own, and a gate before it."""

    def __init__(self, *, read_size: int | None = None, contract: Contract | None = None, **gate: int) -> None:
        self.store = MemoryStore(read_size)
        self.spec: FeedSpec = TRANSACTIONS if contract is None else dataclasses.replace(TRANSACTIONS, contract=contract, touch_column=None)
        self.gate = GreatExpectationsGate(self.store, BUCKET, **gate)
        self.said: list[str] = []

    def land(self, content: bytes, key: str = "landing/transactions/dt=2026-11-21/a.csv") -> LedgerFile:
        """Put an object and register it."""
        ref = self.store.put(BUCKET, key, content)
        number = len(self.store.held)
        return LedgerFile(number, "transactions", number, BUCKET, key, 1, ref.etag, ref.size, dt.date(2026, 11, 21), State.REGISTERED)

    def validate(self, files: Sequence[LedgerFile]) -> list[Verdict]:
        return self.gate.validate(self.spec, files, "1", self.said.append)

    def bronze(self, verdict: Verdict) -> pa.Table:
        """The accepted rows as they lie in the store."""
        return pa.concat_tables([pq.read_table(io.BytesIO(self.store.held[BUCKET, part.key])) for part in verdict.bronze])

    def rejects(self, verdict: Verdict) -> list[dict[str, str]]:
        """`rejects.csv`, read as any CSV reader reads it; bytes that are not UTF-8 as surrogates."""
        if verdict.rejects is None:
            return []
        csv.field_size_limit(2**26)
        text = self.store.held[BUCKET, verdict.rejects.key].decode("utf-8", "surrogateescape")
        return [*csv.DictReader(io.StringIO(text, newline=""))]


def validated(
    content: bytes, key: str = "landing/transactions/dt=2026-11-21/a.csv", *, contract: Contract | None = None, **gate: int
) -> tuple[Verdict, Desk]:
    """One file's verdict on a fresh desk."""
    fresh = Desk(contract=contract, **gate)
    return fresh.validate([fresh.land(content, key)])[0], fresh


def rows(count: int, **values: str) -> bytes:
    """A header and `count` good rows, with some values in all of them replaced."""
    names = HEADER.decode().strip().split(",")
    good = dict(zip(names, ROW.decode().strip().split(","), strict=True))
    return HEADER + (",".join((good | values).values()) + "\n").encode() * count
