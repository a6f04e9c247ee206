"""The table of one worker beside two: what it shows of several runs."""

from __future__ import annotations

from spark_jobs.transactions.job import ONE_WORKER_ROWS
from tools.trial.workers import BATCHES, Batch, Cost, cpu_seconds, table


def test_the_table_shows_the_median_run_its_spread_and_the_processors_of_the_workers_there_were() -> None:
    batch = Batch(60, 10_000)
    one = [Cost(seconds, {"spark-worker-1": 4.0, "spark-connect": 1.0}) for seconds in (5.0, 9.0, 6.0)]
    two = [Cost(4.0, {"spark-worker-1": 2.0, "spark-worker-2": 3.5, "spark-connect": 1.25})]
    assert table({(batch, 1): one, (batch, 2): two}).splitlines()[2:] == [
        "| 60 x 10,000 rows | 1 | 6.0 (5.0 to 9.0) | 4.0 | 1.0 |",
        "| 60 x 10,000 rows | 2 | 4.0 | 5.5 | 1.2 |",
    ]


def test_a_batch_that_is_spread_over_workers_is_measured_beside_those_that_are_not() -> None:
    rows = [batch.files * batch.rows for batch in BATCHES]
    assert [size for size in rows if size > ONE_WORKER_ROWS]
    assert [size for size in rows if size <= ONE_WORKER_ROWS]


def test_processor_time_is_that_of_processes_and_of_their_children_that_have_ended() -> None:
    lines = ["7 (java (x) y) S 1 7 7 0 -1 4 0 0 0 0 100 20 3 4 20 0 1 0 5", "8 (sh) S 7 7 7 0 -1 4 0 0 0 0 1 0 0 0 20 0 1 0 5"]
    assert cpu_seconds(lines) == 1.28
