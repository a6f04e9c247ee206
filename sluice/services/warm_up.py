"""Ask a Spark Connect server once for what costs seconds the first time: a Python stage, a Parquet write, a Parquet read."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
from pyspark.sql import SparkSession  # noqa: TID251 - it runs Spark to warm it


def same(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield from batches


def main() -> None:
    """Runs as a process of its own beside `sluice up`, which does not wait for it."""
    folder = Path(os.environ["SLUICE_WARM_UP_FOLDER"])
    spark = SparkSession.builder.remote(os.environ["SPARK_REMOTE"]).getOrCreate()
    numbers = spark.range(1000).selectExpr("id", "cast(id % 7 as string) as name")
    numbers.write.mode("overwrite").parquet(folder.as_uri())
    rows = spark.read.parquet(folder.as_uri()).repartition(2, "name").mapInArrow(same, "id long, name string").toArrow()
    assert rows.num_rows == 1000
    spark.stop()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
