"""The detection job: one Spark query over a batch, its state and its weights, then four objects under the attempt.

`run` is the job, whatever kind of session it is given.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import cloudpickle

from include.feeds.transactions import state as stored
from include.feeds.transactions.job import DetectRequest, StateObject
from include.ingestion.errors import EnvironmentFailure
from spark_jobs import io
from spark_jobs.attempt import leave_manifest, put_table
from spark_jobs.transforms import detect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from include.ingestion.ports import ObjectStore

# Up to here one Python worker is quicker than sending every row through a shuffle first (measured 2026-11-21).
ONE_WORKER_ROWS = 2_000_000

FACTS = io.structure(detect.FACTS)
FINDINGS = io.structure(detect.FINDINGS)

# A Spark worker needs numpy and pyarrow and nothing of ours: the evaluation travels inside the query.
cloudpickle.register_pickle_by_value(detect)


def run(spark: SparkSession, request: DetectRequest, store: ObjectStore, base: str | None = None) -> dict[str, Any]:
    """Evaluate a batch and leave the results under its attempt; returns the manifest, which is written last.

    `base` is where Spark finds the request's keys: its bucket through S3A, unless told otherwise.

    Raises:
        EnvironmentFailure: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    found = findings(spark, request, base or f"s3a://{request.bucket}").toArrow()
    evaluated = time.perf_counter()
    is_partial = pc.is_null(found["pattern_id"])
    partials = sorted_partials(found.filter(is_partial).select(stored.PARTIALS.names))
    files = per_file(request, partials)
    tables = {
        "partials": partials,
        "detections": sorted_detections(found.filter(pc.invert(is_partial)).select(stored.DETECTIONS.names)),
        "counters": counters(partials),
    }
    objects = {name: put_table(store, request, name, table) for name, table in tables.items()}
    seconds = {"spark": evaluated - started, "write": time.perf_counter() - evaluated}
    return leave_manifest(store, request, objects, files, seconds)


def findings(spark: SparkSession, request: DetectRequest, base: str) -> DataFrame:
    """The whole job as one query: partial aggregates and detections (`detect.FINDINGS`), one action away."""
    facts = reduce(lambda some, more: some.unionAll(more), _facts(spark, request, base))
    all_of_a_merchant = facts.coalesce(1) if request.rows <= ONE_WORKER_ROWS else facts.repartition("merchant")
    plan = detect.Plan(seqs={file.file_id: file.seq for file in request.files}, **asdict(request.parameters))
    return all_of_a_merchant.mapInArrow(detect.detector(plan), FINDINGS)


def _facts(spark: SparkSession, request: DetectRequest, base: str) -> list[DataFrame]:
    """The three kinds of facts, each in the columns of `detect.FACTS`; of state and weights only what the batch touches."""
    bronze = io.read_objects(spark, io.BRONZE, base, [key for file in request.files for key in file.objects])
    rows = bronze.selectExpr("merchant", "customer", "gender", "1L AS n", "amount_cents AS cents", "_file_id AS file_id", "_line AS line")
    found = [rows]
    partials, compacted = _by_level(request.state)
    if partials:
        found.append(_of(io.read_objects(spark, io.PARTIALS, base, partials), request.merchants))
    if compacted:
        merged = io.read_objects(spark, io.COMPACTED, base, compacted).withColumnRenamed("first_seq", "seq")
        found.append(_of(merged, request.merchants))
    hot = request.merchants if request.hot_merchants is None else request.hot_merchants
    if request.reference is not None and hot != ():
        found.append(_of(io.read_objects(spark, io.REFERENCE, base, [request.reference.key]), hot))
    # to() fills in the columns that a kind lacks, and tells Spark's client the schema that it would else ask the server for
    return [facts.to(FACTS) for facts in found]


def _by_level(state: Sequence[StateObject]) -> tuple[list[str], list[str]]:
    return [part.key for part in state if part.level == 0], [part.key for part in state if part.level > 0]


def _of(facts: DataFrame, merchants: Sequence[str] | None) -> DataFrame:
    return facts if merchants is None else facts.filter(facts["merchant"].isin(list(merchants)))


def sorted_partials(partials: pa.Table) -> pa.Table:
    """Partials by (merchant, customer, seq), so that a reader of few merchants skips the rest and merging is streaming."""
    order = [("merchant", "ascending"), ("customer", "ascending"), ("seq", "ascending")]
    ranks = {name: pc.rank(partials[name].combine_chunks(), tiebreaker="dense") for name, _ in order}
    by_rank = pc.sort_indices(pa.table(ranks), sort_keys=order)
    return partials.take(by_rank).cast(stored.PARTIALS)


def sorted_detections(detections: pa.Table) -> pa.Table:
    """Detections in the order in which they are numbered (UTF-8 bytes)."""
    return detections.sort_by([(name, "ascending") for name in stored.DETECTIONS.names]).cast(stored.DETECTIONS)


def counters(partials: pa.Table) -> pa.Table:
    """How many rows of the batch each merchant has."""
    sums = partials.group_by("merchant").aggregate([("n", "sum")]).sort_by("merchant")
    return pa.table([sums["merchant"], sums["n_sum"]], schema=stored.COUNTERS)


def per_file(request: DetectRequest, partials: pa.Table) -> list[dict[str, int]]:
    """Rows and cents of each file, in seq order, compared with what the request counts.

    Raises:
        EnvironmentFailure: they differ, so bronze is not what the gate wrote.
    """
    sums = partials.group_by("seq").aggregate([("n", "sum"), ("cents", "sum")])
    by_seq = {row["seq"]: row for row in sums.to_pylist()}
    files = []
    for file in request.files:
        found = by_seq.get(file.seq, {"n_sum": 0, "cents_sum": 0})
        if file.rows and found["n_sum"] != file.rows:
            what = f"bronze of file {file.file_id} (seq {file.seq}) holds {found['n_sum']} rows where its gate counted {file.rows}"
            raise EnvironmentFailure("Spark", what, "docs/runbooks/stuck-batch.md")
        files.append({"file_id": file.file_id, "seq": file.seq, "rows": found["n_sum"], "cents": found["cents_sum"]})
    return files
