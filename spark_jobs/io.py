"""The only reads: exact Parquet objects with explicit columns, never a prefix, never a schema asked of the data.

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

_TEXT = StringType()
_WHOLE = LongType()


def _columns(**types: StringType | LongType) -> StructType:
    return StructType([StructField(name, kind) for name, kind in types.items()])


# What the job needs of bronze; the other columns stay unread.
BRONZE = _columns(_file_id=_WHOLE, _line=_WHOLE, merchant=_TEXT, customer=_TEXT, gender=_TEXT, amount_cents=_WHOLE)
PARTIALS = _columns(seq=_WHOLE, merchant=_TEXT, customer=_TEXT, n=_WHOLE, cents=_WHOLE, gender=_TEXT)
COMPACTED = _columns(merchant=_TEXT, customer=_TEXT, n=_WHOLE, cents=_WHOLE, gender=_TEXT, first_seq=_WHOLE)
REFERENCE = _columns(customer=_TEXT, merchant=_TEXT, weight_nano=_WHOLE)


def read_objects(spark: SparkSession, schema: StructType, base: str, keys: Sequence[str]) -> DataFrame:
    """Exactly these Parquet objects below a base such as `s3a://bucket`."""
    return spark.read.schema(schema).parquet(*(f"{base}/{key}" for key in keys))


def structure(schema: pa.Schema) -> StructType:
    """A flat Arrow schema as Spark says it."""
    return StructType([StructField(field.name, _spark_type(field.type)) for field in schema])


def _spark_type(kind: pa.DataType) -> DataType:
    if pa.types.is_decimal(kind):
        return DecimalType(kind.precision, kind.scale)
    found = {pa.string(): _TEXT, pa.int64(): _WHOLE, pa.int32(): IntegerType(), pa.date32(): DateType(), pa.bool_(): BooleanType()}
    return TimestampType() if pa.types.is_timestamp(kind) else found[kind]
