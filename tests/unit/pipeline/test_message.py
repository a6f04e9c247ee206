"""What a job is asked arrives as it was told, or is refused."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from include.domains.sales.parquet_export import NOTHING, Snapshots
from include.domains.sales.request import DatedFile, DimensionManifest, DimensionRequest, PublishedFacts

ASKED = DimensionRequest(
    feed="product",
    batch=7,
    attempt=2,
    bucket="b",
    output="state/product/",
    files=(DatedFile(4, 9, ("bronze/a", "bronze/b"), 12, date=dt.date(2026, 2, 1)),),
    superseded=(3,),
    upserts=None,
    versions="state/versions",
    facts=(PublishedFacts(8, ("bronze/c",), dt.date(2026, 1, 1), dt.date(2026, 2, 1), unknown_products=True),),
)


def test_values_come_back_as_they_were() -> None:
    told = json.loads(json.dumps(ASKED.to_json()))
    assert told["files"] == [{"file_id": 4, "seq": 9, "date": "2026-02-01", "objects": ["bronze/a", "bronze/b"], "rows": 12}]
    assert DimensionRequest.from_json(told) == ASKED
    assert Snapshots.from_json(json.loads(json.dumps(NOTHING.to_json()))) == NOTHING


@pytest.mark.parametrize(
    ("change", "named"), [({"format": 2}, "format 2"), ({"facts": [{}]}, "facts"), ({"superseded": ["x"]}, "superseded")]
)
def test_what_does_not_fit_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DimensionRequest.from_json({**ASKED.to_json(), **change})


def test_a_manifest_of_the_first_release_is_read_and_written_again_as_it_was() -> None:
    ref = {"key": "state/product/upserts.parquet", "size": 9, "etag": "e", "rows": 2}
    left: dict[str, object] = {
        "format": 1,
        "feed": "product",
        "batch": 7,
        "attempt": 2,
        "code": "c",
        "objects": {
            "upserts": ref | {"sha256": "s"},
            "versions": ref | {"sha256": "s"},
            "changed": ref,
            "touched": ref,
            "unusual": ref,
        },
        "files": [{"file_id": 4, "seq": 9, "rows": 12}],
        "seconds": {"versions": 0.125},
    }
    for again in ({}, {"product_names": ["salt"], "file_ids": [8]}):
        assert DimensionManifest.from_json({**left, "again": again}).to_json() == {**left, "again": again}
