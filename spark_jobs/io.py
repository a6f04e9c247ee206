"""The only reads: exact Parquet objects with explicit columns, never a prefix, never a schema asked of the data; and queries over them.

Nothing here writes: what a job leaves for publication is written by `spark_jobs.attempt`, tables for people by `spark_jobs.lake`.
"""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import (
    BooleanType,
    DataType,
    DateType,
    DecimalType,
    IntegerType,
    LongType,
    StringType,
    StructField,
    StructType,
    TimestampType,
)

_TYPES = {
    pa.string(): StringType(),
    pa.int64(): LongType(),
    pa.int32(): IntegerType(),
    pa.date32(): DateType(),
    pa.bool_(): BooleanType(),
}


def read_objects(spark: SparkSession, schema: StructType, base: str, keys: Sequence[str]) -> DataFrame:
    """Exactly these Parquet objects below a base such as `s3a://bucket`."""
    return spark.read.schema(schema).parquet(*(f"{base}/{key}" for key in keys))


def structure(schema: pa.Schema) -> StructType:
    """A flat Arrow schema as Spark says it."""
    return StructType([StructField(field.name, _spark_type(field.type)) for field in schema])


def _spark_type(kind: pa.DataType) -> DataType:
    if pa.types.is_decimal(kind):
        return DecimalType(kind.precision, kind.scale)
    return TimestampType() if pa.types.is_timestamp(kind) else _TYPES[kind]


def query(text: str, **frames: DataFrame) -> DataFrame:
    """The answer to an SQL text in which `{name}` stands for the frame of that name, on whatever kind of session; no view outlives it."""
    return next(iter(frames.values())).sparkSession.sql(text, **frames)
