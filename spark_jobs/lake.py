"""The only writes to the lake: Delta tables, each change of one a single commit that a repeat of the same batch skips.

A commit carries the table's name as `txnAppId` and the batch's number as `txnVersion`; Delta writes nothing for a number that is not
higher than the last one it has. So batches are written in their order, and what an earlier attempt got done stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession

from include.files import keys
from spark_jobs import io


@dataclass(frozen=True)
class LakeTable:
    """A table of the lake below a base such as `s3a://bucket`."""

    spark: SparkSession
    base: str
    group: str
    name: str

    @property
    def path(self) -> str:
        return f"{self.base}/{keys.lake_table(self.group, self.name)}"

    def ensure(self, schema: pa.Schema, partitioned_by: Sequence[str] = (), looked_for: Sequence[str] | None = None) -> None:
        """Create it without rows where it is not there. Rows that go are taken out of their files, so that files say what there is.

        Commits keep statistics of the columns that are `looked_for`; None = of the first 32.
        """
        statistics = "" if looked_for is None else f", 'delta.dataSkippingStatsColumns' = '{','.join(looked_for)}'"
        columns = ", ".join(f"{field.name} {field.dataType.simpleString()}" for field in io.structure(schema))
        partitions = f"partitioned by ({', '.join(partitioned_by)})" if partitioned_by else ""
        self.spark.sql(
            f"""create table if not exists delta.`{self.path}` ({columns}) using delta {partitions}
                tblproperties ('delta.enableDeletionVectors' = 'false'{statistics})"""
        )

    def read(self, version: int | None = None) -> DataFrame:
        """Its rows as of a version; None = the newest whenever the frame is evaluated."""
        reader = self.spark.read.format("delta")
        return (reader if version is None else reader.option("versionAsOf", version)).load(self.path)

    def version(self) -> int:
        """The number of its newest commit."""
        return int(self.spark.sql(f"describe history delta.`{self.path}` limit 1").collect()[0]["version"])

    def overwrite(self, rows: DataFrame, batch: int) -> None:
        """Make these all rows and columns that it has."""
        self._write(rows, batch, overwriteSchema="true")

    def replace_where(self, rows: DataFrame, batch: int, condition: str) -> None:
        """Put rows in place of those that meet a condition, which all of them meet."""
        self._write(rows, batch, replaceWhere=condition)

    def _write(self, rows: DataFrame, batch: int, **how: str) -> None:
        writer = rows.write.format("delta").mode("overwrite").options(**how)
        writer.options(txnAppId=self.name, txnVersion=str(batch)).save(self.path)
