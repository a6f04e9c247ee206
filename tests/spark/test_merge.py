"""Compaction: several sorted state objects become one, in bounded memory, and say the same."""

from __future__ import annotations

import random

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.domains.transactions import partials
from include.domains.transactions.request import StateObject
from include.domains.transactions.schema import COMPACTED, PARTIALS
from include.storage.parquet import parquet_bytes
from tests.spark.conftest import FolderStore

Rows = list[tuple[int, str, str, int, int, str]]


def put_partials(store: FolderStore, key: str, rows: Rows) -> StateObject:
    table = pa.Table.from_pylist([dict(zip(PARTIALS.names, row, strict=True)) for row in rows], schema=PARTIALS)
    store.put("bucket", key, parquet_bytes(table))
    seqs = [row[0] for row in rows]
    return StateObject(key, 0, min(seqs), max(seqs), len(rows))


def read(store: FolderStore, key: str) -> list[tuple[object, ...]]:
    table = pq.read_table(store.folder / key, partitioning=None)
    assert table.schema.equals(COMPACTED)
    return [tuple(row.values()) for row in table.to_pylist()]


def test_sums_add_up_and_the_first_gender_stays(store: FolderStore) -> None:
    later = put_partials(store, "b", [(3, "m", "a", 1, 10, "M"), (3, "m", "b", 1, 1, "U"), (3, "n", "a", 5, 5, "E")])
    earlier = put_partials(store, "a", [(1, "m", "a", 2, 20, "F"), (2, "m", "a", 3, 30, "E")])
    written = partials.merge_objects(store, "bucket", [later, earlier], "out")
    assert read(store, "out") == [("m", "a", 6, 60, "F", 1), ("m", "b", 1, 1, "U", 3), ("n", "a", 5, 5, "E", 3)]
    assert written.rows == 3


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 7, 1000])
def test_pieces_of_any_size_give_the_same(store: FolderStore, monkeypatch: pytest.MonkeyPatch, batch_rows: int) -> None:
    monkeypatch.setattr(partials, "_BATCH_ROWS", batch_rows)
    dice = random.Random(batch_rows)
    rows = [
        (seq, f"m{merchant}", f"c{customer}", dice.randrange(1, 9), dice.randrange(99), dice.choice("FM"))
        for seq in range(1, 13)
        for merchant in range(3)
        for customer in range(4)
        if dice.random() < 0.4
    ]
    parts = []
    for first in (1, 5, 9):
        some = sorted((row for row in rows if first <= row[0] < first + 4), key=lambda row: (row[1], row[2], row[0]))
        parts.append(StateObject(put_partials(store, f"p{first}", some).key, 0, first, first + 3))
    early = partials.merge_objects(store, "bucket", parts[:2], "early")
    partials.merge_objects(store, "bucket", [StateObject(early.key, 1, 1, 8), parts[2]], "all")
    expected = []
    for merchant, customer in sorted({row[1:3] for row in rows}):
        of_pair = sorted(row for row in rows if row[1:3] == (merchant, customer))
        first = of_pair[0]
        expected.append((merchant, customer, sum(row[3] for row in of_pair), sum(row[4] for row in of_pair), first[5], first[0]))
    assert read(store, "all") == expected


def test_objects_that_hold_the_same_seqs_are_refused(store: FolderStore) -> None:
    parts = [StateObject("a", 0, 1, 4), StateObject("b", 0, 4, 7)]
    with pytest.raises(ValueError, match="b begins with seq 4, which a holds already"):
        partials.merge_objects(store, "bucket", parts, "out")


def test_an_object_that_is_not_sorted_is_refused(store: FolderStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(partials, "_BATCH_ROWS", 1)
    part = put_partials(store, "a", [(1, "n", "a", 1, 1, "F"), (1, "m", "a", 1, 1, "F")])
    with pytest.raises(ValueError, match="a is not sorted"):
        partials.merge_objects(store, "bucket", [part], "out")
