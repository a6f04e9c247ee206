"""How the certificate reads the lake: Delta's log replayed, a copy too many shown, what refreshes left behind found."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.unit.tools.certificate.bucket import Bucket
from tools.certificate.domains.sales import compared
from tools.certificate.records import Names

FACTS = "lake/sales/fact_sales/"
NAMES = Names({7: ("sales", 1), 9: ("sales", 2)})


class Lake(Bucket):
    """A bucket with the facts of sales in it."""

    def commit(self, version: int, *actions: Any) -> None:
        self.kept[f"{FACTS}_delta_log/{version:020d}.json"] = "\n".join(map(json.dumps, actions)).encode()

    def put_facts(self, name: str, file_id: int, lines: list[int]) -> dict[str, Any]:
        """Write a data file; the action that adds it."""
        self.put_parquet(FACTS + name, {"_file_id": [file_id] * len(lines), "_line": lines})
        return {"add": {"path": name.replace(" ", "%20"), "partitionValues": {"sales_month": "2026-10"}}}


def facts(bucket: Lake) -> dict[str, Any]:
    return compared.delta_table("fact_sales")(bucket.records(NAMES))


def test_the_newest_version_of_a_table_is_what_its_log_adds_and_does_not_remove() -> None:
    bucket = Lake()
    bucket.commit(0, {"metaData": {}}, bucket.put_facts("a 1.parquet", 7, [2, 3]))
    bucket.commit(1, {"remove": {"path": "a%201.parquet"}}, bucket.put_facts("b.parquet", 9, [2]), {"txn": {"appId": "f", "version": 4}})
    bucket.put_facts("written_and_never_committed.parquet", 9, [5])
    assert facts(bucket) == {"sales seq 2, 2": {"_file_id": "sales seq 2", "_line": 2, "sales_month": "2026-10"}}


def test_a_row_that_lies_there_twice_is_shown_once_more() -> None:
    bucket = Lake()
    bucket.commit(0, bucket.put_facts("a.parquet", 7, [2]), bucket.put_facts("b.parquet", 7, [2, 3]))
    assert list(facts(bucket)) == ["sales seq 1, 2", "sales seq 1, 2, again", "sales seq 1, 3"]


def test_a_log_that_lacks_a_commit_is_not_read() -> None:
    bucket = Lake()
    bucket.commit(0, bucket.put_facts("a.parquet", 7, [2]))
    bucket.commit(2, bucket.put_facts("b.parquet", 7, [3]))
    with pytest.raises(AssertionError, match="fact_sales/ has no commit 1"):
        facts(bucket)


def test_what_a_dead_refresh_wrote_is_not_named() -> None:
    dead, now = (f"lake/sales/customers_data_mart/set={token}/part-00000.parquet" for token in ("1.dead", "2.now"))
    bucket = Bucket(**{dead: b"", now: b""})
    bucket.kept["lake/sales/finished.json"] = json.dumps({"objects": {"customers_data_mart": [{"key": now}]}}).encode()
    assert compared.written_by_refreshes(bucket.records()) - compared.named_by_the_list(bucket.records()) == {dead}
