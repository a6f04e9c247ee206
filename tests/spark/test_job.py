"""The detection job through Spark, on files and state objects: what it reads, what it leaves, what it refuses."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.serializers import CloudPickleSerializer

from include.domains.transactions import schema as stored
from include.domains.transactions.partials import merge_objects
from include.domains.transactions.request import DetectRequest, ReferenceObject, StateObject, Thresholds
from include.errors import JobFailed
from include.pipeline.message import JobFile
from include.storage.parquet import parquet_bytes
from spark_jobs.attempt import JobRun
from spark_jobs.transactions import detect
from spark_jobs.transactions import job as detect_transactions
from tests import naive
from tests.spark.conftest import FolderStore
from tests.spark.facts import Found, Spent, plan, table_of
from tests.spark.streams import bronze, cut, naively

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

PARAMETERS = naive.Parameters(min_total=120, min_count=6, max_avg_cents=2300, min_female=4, top=30, bottom=30)


def stream(seed: int, files: int = 6, rows: int = 60) -> list[list[Spent]]:
    dice = random.Random(seed)
    return [[_row(dice) for _ in range(rows)] for _ in range(files)]


def _row(dice: random.Random) -> Spent:
    customer = dice.randrange(20)
    return Spent(f"c{customer}", f"m{dice.randrange(3)}", dice.choice([100, 2000, 2400, 4000]), "F" if customer % 5 < 2 else "M")


IMPORTANCE = [naive.ImportanceRow(f"c{number}", f"m{number % 3}", Decimal(number) / 7, "x") for number in range(18)]


class Pipeline:
    """Batches one after another, as the steps around the job would have it: bronze in, published partials as state."""

    def __init__(self, spark: SparkSession, store: FolderStore) -> None:
        self.spark = spark
        self.store = store
        self.state: list[StateObject] = []
        weights = [
            {"customer": customer, "merchant": merchant, "weight_nano": int(weight * 10**9)}
            for (customer, merchant), weight in naive.weights_of(IMPORTANCE).items()
        ]
        store.put("bucket", "reference.parquet", parquet_bytes(pa.Table.from_pylist(weights, schema=stored.REFERENCE)))

    def request(self, batch: Mapping[int, Sequence[Spent]], number: int = 1) -> DetectRequest:
        """The batch's bronze is written on the way, in two objects a file, the later lines first."""
        files = []
        for seq, rows in batch.items():
            table = bronze(batch, 900 - seq, seq)
            half = table.num_rows // 2
            objects = (f"bronze/dt=2026-11-20/file={900 - seq}/part-0.parquet", f"bronze/dt=2026-11-20/file={900 - seq}/part-1.parquet")
            for key, part in zip(objects, (table.slice(half), table.slice(0, half)), strict=True):
                self.store.put("bucket", key, parquet_bytes(part))
            files.append(JobFile(900 - seq, seq, objects, len(rows)))
        return DetectRequest(
            feed="transactions",
            batch=number,
            attempt=1,
            bucket="bucket",
            files=tuple(files),
            merchants=tuple({row.merchant for rows in batch.values() for row in rows}),
            hot_merchants=None,
            state=tuple(self.state),
            reference=ReferenceObject(1, "reference.parquet"),
            parameters=Thresholds(**PARAMETERS._asdict()),
            output=f"state/transactions/batch={number:08d}/attempt=1/",
        )

    def run(self, request: DetectRequest) -> dict[str, Any]:
        return detect_transactions.run(JobRun(self.store, request, self.spark, self.store.base)).to_json()

    def table(self, manifest: Mapping[str, Any], name: str) -> pa.Table:
        return pq.read_table(self.store.folder / manifest["objects"][name]["key"], partitioning=None)

    def detections(self, manifest: Mapping[str, Any]) -> list[Found]:
        return [(row["seq"], row["pattern_id"], row["merchant"], row["customer"]) for row in self.table(manifest, "detections").to_pylist()]

    def publish(self, request: DetectRequest, manifest: Mapping[str, Any]) -> None:
        key = manifest["objects"]["partials"]["key"]
        self.state.append(StateObject(key, 0, request.files[0].seq, request.files[-1].seq))


@pytest.fixture
def pipeline(spark: SparkSession, store: FolderStore) -> Pipeline:
    return Pipeline(spark, store)


@pytest.mark.parametrize("cuts", [[], [1, 2, 3, 4, 5], [2, 5]])
def test_any_split_detects_what_the_naive_evaluation_detects(pipeline: Pipeline, cuts: list[int]) -> None:
    files = stream(3)
    found: list[Found] = []
    for number, batch in enumerate(cut(files, cuts), start=1):
        request = pipeline.request(batch, number)
        manifest = pipeline.run(request)
        known = {detection[1:] for detection in found}
        found += [detection for detection in pipeline.detections(manifest) if detection[1:] not in known]
        pipeline.publish(request, manifest)
    expected = naively(files, IMPORTANCE, PARAMETERS)
    assert {pattern for _, pattern, *_ in expected} == {"PatId1", "PatId2", "PatId3"}
    assert found == expected


def test_compacted_state_and_the_partials_it_was_made_of_say_the_same(pipeline: Pipeline) -> None:
    files = stream(4)
    for number, batch in enumerate(cut(files, [1, 2, 3, 4, 5]), start=1):
        request = pipeline.request(batch, number)
        manifest = pipeline.run(request)
        if number < len(files):
            pipeline.publish(request, manifest)
    merged = merge_objects(pipeline.store, "bucket", pipeline.state[:3], "state/transactions/compacted/level=1/seq=1-3.parquet")
    compacted = StateObject(merged.key, 1, 1, 3, merged.rows)
    again = pipeline.run(replace(request, state=(compacted, *pipeline.state[3:]), output="again/"))
    for name in ("partials", "detections", "counters"):
        assert again["objects"][name]["sha256"] == manifest["objects"][name]["sha256"]


def test_naming_merchants_spares_reading_and_changes_nothing(pipeline: Pipeline) -> None:
    files = stream(5)
    first, last = cut(files, [5])
    request = pipeline.request(first)
    pipeline.publish(request, pipeline.run(request))
    narrow = pipeline.request({6: [row for row in last[6] if row.merchant == "m1"]}, 2)
    manifests = [
        pipeline.run(replace(narrow, output=f"{place}/", **given))
        for place, given in enumerate(
            (
                {"merchants": None, "hot_merchants": None},
                {"merchants": ("m1",), "hot_merchants": None},
                {"merchants": ("m1",), "hot_merchants": ("m1",)},
            )
        )
    ]
    assert "PatId1" in {pattern for _, pattern, *_ in pipeline.detections(manifests[0])}
    assert len({json.dumps([m["objects"][name]["sha256"] for name in m["objects"]]) for m in manifests}) == 1
    cold = pipeline.run(replace(narrow, hot_merchants=(), output="cold/"))
    assert pipeline.detections(cold) == [d for d in pipeline.detections(manifests[0]) if d[1] != "PatId1"]


def test_a_batch_too_large_for_one_worker_gives_the_same(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    (batch,) = cut(stream(6), [])
    request = pipeline.request(batch)
    small = pipeline.run(request)
    monkeypatch.setattr(detect_transactions, "ONE_WORKER_ROWS", 0)
    large = pipeline.run(replace(request, output="large/"))
    assert [large["objects"][name]["sha256"] for name in large["objects"]] == [
        small["objects"][name]["sha256"] for name in small["objects"]
    ]


def test_the_manifest_is_written_last_and_counts_every_row(pipeline: Pipeline) -> None:
    (batch,) = cut(stream(7, files=3), [])
    manifest = pipeline.run(pipeline.request(batch))
    assert pipeline.store.written[-1] == "state/transactions/batch=00000001/attempt=1/manifest.json"
    assert json.loads(pipeline.store.read_bytes("bucket", pipeline.store.written[-1])) == manifest
    assert manifest["files"] == [
        {"file_id": 900 - seq, "seq": seq, "rows": len(rows), "cents": sum(row.cents for row in rows)} for seq, rows in batch.items()
    ]
    counted = {row["merchant"]: row["transactions"] for row in pipeline.table(manifest, "counters").to_pylist()}
    assert counted == {m: sum(row.merchant == m for rows in batch.values() for row in rows) for m in ("m0", "m1", "m2")}
    partials = pipeline.table(manifest, "partials")
    assert partials.schema.equals(stored.PARTIALS)
    assert partials.equals(partials.sort_by([("merchant", "ascending"), ("customer", "ascending"), ("seq", "ascending")]))
    assert manifest["objects"]["partials"]["rows"] == partials.num_rows


def test_bronze_that_is_not_what_the_gate_counted_is_refused(pipeline: Pipeline) -> None:
    (batch,) = cut(stream(8, files=1), [])
    request = pipeline.request(batch)
    short = replace(request.files[0], objects=request.files[0].objects[:1])
    with pytest.raises(JobFailed, match="holds 30 rows where its gate counted 60"):
        pipeline.run(replace(request, files=(short,)))


def test_no_reference_no_upgrade(pipeline: Pipeline) -> None:
    (batch,) = cut(stream(9), [])
    manifest = pipeline.run(replace(pipeline.request(batch), reference=None))
    assert pipeline.detections(manifest) == naively(list(batch.values()), [], PARAMETERS)


def test_a_request_survives_json(pipeline: Pipeline) -> None:
    (batch,) = cut(stream(10, files=2), [])
    request = replace(pipeline.request(batch), state=(StateObject("a", 1, 1, 4, 7),), hot_merchants=("m1",))
    for asked in (request, replace(request, merchants=None, hot_merchants=None, reference=None)):
        assert DetectRequest.from_json(json.loads(json.dumps(asked.to_json()))) == asked
    with pytest.raises(ValueError, match="format 2"):
        DetectRequest.from_json({**request.to_json(), "format": 2})


def test_the_workers_need_nothing_of_ours() -> None:
    facts = table_of({5: [Spent("c")] * 80})
    sent = CloudPickleSerializer().dumps((detect.detector(plan([5])), facts.to_batches()))
    worker = """
import sys
sys.modules["spark_jobs"] = sys.modules["include"] = None  # importing either fails
from pyspark import cloudpickle
detect, batches = cloudpickle.loads(sys.stdin.buffer.read())
print([row["pattern_id"] for batch in detect(iter(batches)) for row in batch.to_pylist()])
"""
    done = subprocess.run([sys.executable, "-c", worker], input=sent, capture_output=True, check=True)
    assert done.stdout.decode().strip() == "[None, 'PatId2']"
