"""The `Job` port of transactions: the feed's real job, its one query evaluated by the same transform without Spark around it.

What tests of order, replay, restore and the like take: the evaluation is the product's own, what is left out is Spark's spreading of it.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.domains.transactions.request import DetectRequest
from include.pipeline.message import JobRequest
from include.storage.object_store import ObjectStore
from spark_jobs.attempt import Output
from spark_jobs.transactions import detect
from spark_jobs.transactions import job as detect_transactions


class InThisProcess:
    """Evaluates in this process what Spark would spread."""

    def __init__(self, store: ObjectStore, bucket: str) -> None:
        self._store = store
        self._bucket = bucket

    def answers(self) -> None:
        """This process does."""

    def run(self, request: JobRequest) -> Mapping[str, Any]:
        assert isinstance(request, DetectRequest)
        return detect_transactions.leave(Output(self._store, request), self._findings(request), 0).to_json()

    def _findings(self, asked: DetectRequest) -> pa.Table:
        plan = detect.Plan(seqs={file.file_id: file.seq for file in asked.files}, **asdict(asked.parameters))
        return detect.evaluate(pa.Table.from_pylist(list(self._facts(asked)), schema=detect.FACTS), plan)

    def _facts(self, asked: DetectRequest) -> Iterator[dict[str, Any]]:
        for key in (key for file in asked.files for key in file.objects):
            for one in self._rows(key):
                names = {name: one[name] for name in ("merchant", "customer", "gender")}
                yield names | {"n": 1, "cents": one["amount_cents"], "file_id": one["_file_id"], "line": one["_line"]}
        merchants = asked.merchants
        for part in asked.state:
            for one in self._rows(part.key):
                if merchants is None or one["merchant"] in merchants:
                    yield {"seq" if name == "first_seq" else name: value for name, value in one.items()}
        if asked.reference is not None:
            hot = merchants if asked.hot_merchants is None else asked.hot_merchants
            yield from (one for one in self._rows(asked.reference.key) if hot is None or one["merchant"] in hot)

    def _rows(self, key: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = pq.read_table(io.BytesIO(self._store.read_bytes(self._bucket, key))).to_pylist()
        return found
