"""The detection job: one Spark query over a batch, its state and its weights, then four objects under the attempt.

`run` is the job, whatever kind of session it is given.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import reduce
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc
from pyspark import cloudpickle

from include.domains.transactions import schema as stored
from include.domains.transactions.request import DetectManifest, DetectObjects, DetectRequest
from spark_jobs import io
from spark_jobs.attempt import JobRun, Output, counted_files, objects_of
from spark_jobs.transactions import detect

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

# Up to here one Python worker is quicker than sending every row through a shuffle first (measured 2026-11-21).
ONE_WORKER_ROWS = 2_000_000

FACTS = io.structure(detect.FACTS)
FINDINGS = io.structure(detect.FINDINGS)

# A Spark worker needs numpy and pyarrow and nothing of ours: the evaluation travels inside the query.
cloudpickle.register_pickle_by_value(detect)


def run(job: JobRun[DetectRequest]) -> DetectManifest:
    """Evaluate a batch and leave the results under its attempt.

    Raises:
        JobFailed: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    found = findings(job).toArrow()
    return leave(job, found, time.perf_counter() - started)


def leave(output: Output[DetectRequest], found: pa.Table, spark_seconds: float) -> DetectManifest:
    """Leave what the query found (`detect.FINDINGS`) under the attempt.

    Raises:
        JobFailed: bronze does not hold the rows that the request counts.
    """
    started = time.perf_counter()
    is_partial = pc.is_null(found["pattern_id"])
    partials = sorted_partials(found.filter(is_partial).select(stored.PARTIALS.names))
    sums = partials.group_by("seq").aggregate([("n", "sum"), ("cents", "sum")]).to_pylist()
    id_of = {file.seq: file.file_id for file in output.request.files}
    rows, cents = ({id_of[row["seq"]]: row[name] for row in sums} for name in ("n_sum", "cents_sum"))
    files = counted_files(output.request.files, rows, cents)
    objects = DetectObjects(
        partials=output.put_table("partials", partials),
        detections=output.put_table("detections", sorted_detections(found.filter(pc.invert(is_partial)).select(stored.DETECTIONS.names))),
        counters=output.put_table("counters", counters(partials)),
    )
    head = output.head({"spark": spark_seconds, "write": time.perf_counter() - started})
    return output.leave(DetectManifest(**head, objects=objects, files=files))


def findings(job: JobRun[DetectRequest]) -> DataFrame:
    """The whole job as one query: partial aggregates and detections (`detect.FINDINGS`), one action away."""
    request, facts = job.request, reduce(lambda some, more: some.unionAll(more), _facts(job))
    all_of_a_merchant = facts.coalesce(1) if request.rows <= ONE_WORKER_ROWS else facts.repartition("merchant")
    plan = detect.Plan(seqs={file.file_id: file.seq for file in request.files}, **asdict(request.parameters))
    return all_of_a_merchant.mapInArrow(detect.detector(plan), FINDINGS)


def _facts(job: JobRun[DetectRequest]) -> list[DataFrame]:
    """The three kinds of facts, each in the columns of `detect.FACTS`; of state and weights only what the batch touches."""
    request, bronze = job.request, job.read(stored.BRONZE, objects_of(job.request.files))
    rows = bronze.selectExpr("merchant", "customer", "gender", "1L AS n", "amount_cents AS cents", "_file_id AS file_id", "_line AS line")
    found = [rows]
    if partials := [part.key for part in request.state if part.level == 0]:
        found.append(_of(job.read(stored.PARTIALS, partials), request.merchants))
    if compacted := [part.key for part in request.state if part.level > 0]:
        merged = job.read(stored.COMPACTED, compacted).withColumnRenamed("first_seq", "seq")
        found.append(_of(merged, request.merchants))
    hot = request.merchants if request.hot_merchants is None else request.hot_merchants
    if request.reference is not None and hot != ():
        found.append(_of(job.read(stored.REFERENCE, [request.reference.key]), hot))
    # to() fills in the columns that a kind lacks, and tells Spark's client the schema that it would else ask the server for
    return [facts.to(FACTS) for facts in found]


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
