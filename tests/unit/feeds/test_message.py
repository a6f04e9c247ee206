"""What a job is asked arrives as it was told, or is refused."""

from __future__ import annotations

import datetime as dt
import json

import pytest

from include.feeds.sales.job import DimensionRequest, PublishedFacts, StarFile
from include.feeds.sales.sets import NOTHING, Finished

ASKED = DimensionRequest(
    feed="product",
    batch=7,
    attempt=2,
    bucket="b",
    output="state/product/",
    files=(StarFile(4, 9, dt.date(2026, 2, 1), ("bronze/a", "bronze/b"), 12),),
    superseded=(3,),
    upserts=None,
    versions="state/versions",
    facts=(PublishedFacts(8, ("bronze/c",), dt.date(2026, 1, 1), dt.date(2026, 2, 1), unknown_products=True),),
)


def test_values_come_back_as_they_were() -> None:
    told = json.loads(json.dumps(ASKED.to_json()))
    assert told["files"] == [{"file_id": 4, "seq": 9, "date": "2026-02-01", "objects": ["bronze/a", "bronze/b"], "rows": 12}]
    assert DimensionRequest.from_json(told) == ASKED
    assert Finished.from_json(json.loads(json.dumps(NOTHING.to_json()))) == NOTHING


@pytest.mark.parametrize(
    ("change", "named"), [({"format": 2}, "format 2"), ({"facts": [{}]}, "facts"), ({"superseded": ["x"]}, "superseded")]
)
def test_what_does_not_fit_is_named(change: dict[str, object], named: str) -> None:
    with pytest.raises(ValueError, match=named):
        DimensionRequest.from_json({**ASKED.to_json(), **change})
