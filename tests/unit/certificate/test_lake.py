"""How the certificate reads the lake: Delta's log replayed, a copy too many told, what refreshes left behind found."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any, NamedTuple, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from certificate.domains.sales import lake
from certificate.found import Names
from certificate.history import History

FACTS = "lake/sales/fact_sales/"
NAMES = Names({7: ("sales", 1), 9: ("sales", 2)})


class Stamp(NamedTuple):
    key: str
    size: int
    etag: str


class Bucket:
    """A bucket in memory, as far as the lake is read."""

    bucket = "bucket"

    def __init__(self, **objects: bytes) -> None:
        self.kept = objects
        self.store = self

    def objects(self, bucket: str, prefix: str) -> Iterator[Stamp]:
        assert bucket == self.bucket
        return (Stamp(key, len(body), str(hash(body))) for key, body in sorted(self.kept.items()) if key.startswith(prefix))

    def read_bytes(self, bucket: str, key: str) -> bytes:
        assert bucket == self.bucket
        return self.kept[key]

    def commit(self, version: int, *actions: Any) -> None:
        self.kept[f"{FACTS}_delta_log/{version:020d}.json"] = "\n".join(map(json.dumps, actions)).encode()

    def put_facts(self, name: str, file_id: int, lines: list[int]) -> dict[str, Any]:
        """Write a data file; the action that adds it."""
        sink = io.BytesIO()
        pq.write_table(pa.table({"_file_id": [file_id] * len(lines), "_line": lines}), sink)
        self.kept[FACTS + name] = sink.getvalue()
        return {"add": {"path": name.replace(" ", "%20"), "partitionValues": {"sales_month": "2026-10"}}}


def facts(bucket: Bucket) -> dict[str, Any]:
    return lake.of_table("fact_sales")(cast(History, bucket), NAMES)


def test_the_newest_version_of_a_table_is_what_its_log_adds_and_does_not_remove() -> None:
    bucket = Bucket()
    bucket.commit(0, {"metaData": {}}, bucket.put_facts("a 1.parquet", 7, [2, 3]))
    bucket.commit(1, {"remove": {"path": "a%201.parquet"}}, bucket.put_facts("b.parquet", 9, [2]), {"txn": {"appId": "f", "version": 4}})
    bucket.put_facts("written_and_never_committed.parquet", 9, [5])
    assert facts(bucket) == {"sales seq 2, 2": {"_file_id": "sales seq 2", "_line": 2, "sales_month": "2026-10"}}


def test_a_row_that_lies_there_twice_is_told_once_more() -> None:
    bucket = Bucket()
    bucket.commit(0, bucket.put_facts("a.parquet", 7, [2]), bucket.put_facts("b.parquet", 7, [2, 3]))
    assert list(facts(bucket)) == ["sales seq 1, 2", "sales seq 1, 2, again", "sales seq 1, 3"]


def test_a_log_that_lacks_a_commit_is_not_read() -> None:
    bucket = Bucket()
    bucket.commit(0, bucket.put_facts("a.parquet", 7, [2]))
    bucket.commit(2, bucket.put_facts("b.parquet", 7, [3]))
    with pytest.raises(AssertionError, match="fact_sales has no commit 1"):
        facts(bucket)


def test_what_a_dead_refresh_wrote_is_not_named() -> None:
    dead, now = (f"lake/sales/customers_data_mart/set={token}/part-00000.parquet" for token in ("1.dead", "2.now"))
    bucket = Bucket(**{dead: b"", now: b""})
    bucket.kept["lake/sales/finished.json"] = json.dumps({"objects": {"customers_data_mart": [{"key": now}]}}).encode()
    history = cast(History, bucket)
    assert lake.written_by_refreshes(history) - lake.named_by_the_list(history) == {dead}
