"""A plain PySpark script: all files in one batch, from JSON to silver and gold as Parquet.

Written as one would who does it well: schemas given and not inferred, amounts as decimals, what may be of another type than it should as
text, what was checked kept in memory for both of its readers, refused rows with their reasons, ties decided by where a row stands. What the
way itself costs stays: the next run reads everything again, a killed one leaves half of its files, and nobody knows which file said what.
"""

from __future__ import annotations

import os

from pyspark import StorageLevel
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 (its usual name)

from include.settings import SparkSettings
from sluice.runtime import settings
from sluice.services.jars import spark_jars
from sluice.services.spark import DRIVER_MEMORY
from spark_jobs.session import classic
from tools.benchmarks.finance.peer import AMOUNTS, CHECK, FUNDS, IDS, LATEST, STOCKS, TABLES, FinanceJob
from tools.benchmarks.passes import Stages, read_job

_READ = {
    STOCKS: "stock_id string, company_id string, symbol string, price decimal(18,6), volume string, timestamp string, "
    "details struct<exchange: string, sector: string>, broken string",
    FUNDS: "fund_id string, name string, company_id string, holdings decimal(18,6), timestamp string, broken string",
}
_WHOLE, _EPOCH = "^-?[0-9]{1,19}$", "^-?[0-9]{1,15}$"
_PLACE = ("file_number", "block", "row")


class Desk:
    def __init__(self, job: FinanceJob, spark: SparkSession) -> None:
        self._job, self._spark = job, spark
        self._kept: list[DataFrame] = []

    def check(self, feed: str) -> tuple[DataFrame, int]:
        """The accepted events of a feed, typed and written, and how many were refused."""
        checked = self._checked(self._read(feed)).persist(StorageLevel.MEMORY_AND_DISK)
        self._kept.append(checked)
        refused = checked.where("reason <> ''")
        refused.select(
            "file_number", "reason", F.coalesce("broken", F.to_json(F.struct(*checked.columns[:6]))).alias("original")
        ).write.csv(self._path("rejects", feed), header=True, mode="overwrite")
        clean = checked.where("reason = ''").select(*_typed(feed), *_PLACE)
        clean.write.parquet(self._path("clean", feed), mode="overwrite")
        return clean, refused.count()

    def latest(self, feed: str, clean: DataFrame) -> DataFrame:
        """The row of each id that holds, written and read back."""
        order = [F.desc(f"{'stock' if feed == STOCKS else 'fund'}_timestamp"), *map(F.desc, _PLACE)]
        newest = clean.withColumn("nth", F.row_number().over(Window.partitionBy(IDS[feed]).orderBy(*order))).where("nth = 1")
        newest.drop("nth", *_PLACE).write.parquet(self._path("latest", feed), mode="overwrite")
        return self._spark.read.schema(newest.drop("nth", *_PLACE).schema).parquet(self._path("latest", feed))

    def tables(self, stocks: DataFrame, funds: DataFrame) -> None:
        silver = stocks.join(funds, "company_id", "inner").withColumn(
            "total_value", (F.col("price") * F.col("holdings")).cast("decimal(36,12)")
        )
        silver.write.parquet(self._path("silver"), mode="overwrite")
        adjusted = F.round(F.col("price") * F.lit("0.97").cast("decimal(3,2)"), 4).cast("decimal(18,4)")
        silver.withColumn("price_adjusted", adjusted).write.parquet(self._path("gold_business_aggregation"), mode="overwrite")
        partnered = stocks.join(funds.select("company_id").distinct(), "company_id", "left_semi")
        by_day = partnered.groupBy("company_id", "sector", "exchange", F.to_date("stock_timestamp").alias("day"))
        by_day.agg(F.count("*").alias("stocks"), F.sum(F.col("volume").cast("decimal(19,0)")).alias("volume")).write.parquet(
            self._path("gold_by_company_sector_exchange_day"), mode="overwrite"
        )

    def _read(self, feed: str) -> DataFrame:
        """Lines and arrays, each row with the place where it stands."""
        found = [f"s3a://{self._job.bucket}/{key}" for key in self._job.files[feed]]
        ways = {False: [path for path in found if path.endswith(".jsonl")], True: [path for path in found if path.endswith(".json")]}
        frames = [
            _placed(
                self._spark.read.schema(_READ[feed]).json(paths, mode="PERMISSIVE", columnNameOfCorruptRecord="broken", multiLine=whole)
            )
            for whole, paths in ways.items()
            if paths
        ]
        return frames[0] if len(frames) == 1 else frames[0].unionByName(frames[1])

    def _checked(self, rows: DataFrame) -> DataFrame:
        """Rows with what is wrong with them, all reasons of each."""
        feed = STOCKS if "stock_id" in rows.columns else FUNDS
        rules: dict[str, Column] = {
            "cannot be read": F.col("broken").isNull(),
            "timestamp is no instant": _instant().between("1990-01-01", "2100-12-31 23:59:59.999999"),
            f"{AMOUNTS[feed]} is no amount": F.col(AMOUNTS[feed]) >= 0,
        }
        for column in (IDS[feed], "company_id"):
            rules[f"{column} is no whole number"] = F.col(column).rlike(_WHOLE) & F.col(column).try_cast("bigint").isNotNull()
        if feed == STOCKS:
            volume = F.col("volume")
            rules["volume is no whole number"] = volume.rlike("^[0-9]{1,19}$") & volume.try_cast("bigint").isNotNull()
        reasons = [F.when(~F.coalesce(rule, F.lit(False)), F.lit(reason)) for reason, rule in rules.items()]
        return rows.withColumn("reason", F.concat_ws("; ", *reasons))

    def _path(self, *names: str) -> str:
        return f"s3a://{self._job.bucket}/{self._job.lake}{'/'.join(names)}"


def _placed(rows: DataFrame) -> DataFrame:
    """Rows with where they stand: the file's number, the block of it, the row in that."""
    return rows.select(
        *rows.columns,
        F.regexp_extract("_metadata.file_name", "_([0-9]+)[.]", 1).cast("bigint").alias("file_number"),
        F.col("_metadata.file_block_start").alias("block"),
        F.monotonically_increasing_id().alias("row"),
    )


def _typed(feed: str) -> list[Column]:
    ids = [F.col(column).cast("bigint").alias(column) for column in (IDS[feed], "company_id")]
    amount = F.col(AMOUNTS[feed])
    if feed == FUNDS:
        return [*ids, F.col("name"), amount, _instant().alias("fund_timestamp")]
    details = [F.col(f"details.{name}").alias(name) for name in ("exchange", "sector")]
    return [*ids, F.col("symbol"), amount, F.col("volume").cast("bigint").alias("volume"), _instant().alias("stock_timestamp"), *details]


def _instant() -> Column:
    """ISO 8601, or an epoch in seconds or milliseconds."""
    written = F.col("timestamp")
    epoch = written.try_cast("bigint")
    return F.when(
        written.rlike(_EPOCH), F.when(F.abs(epoch) >= 10**11, F.timestamp_millis(epoch)).otherwise(F.timestamp_seconds(epoch))
    ).otherwise(written.try_cast("timestamp"))


def main() -> None:
    job, stages, where = read_job(FinanceJob), Stages(), settings()
    jars = ",".join(str(path) for path in spark_jars())
    conf = (
        ("spark.jars", jars),
        ("spark.driver.memory", DRIVER_MEMORY),
        ("spark.local.dir", job.folder),
        ("spark.sql.parquet.outputTimestampType", "TIMESTAMP_MICROS"),
        # Spark 4.1.2 puts NULs for digits into the exact text of a number in an array wherever a read from S3 comes short (2026-11-21).
        ("spark.sql.json.enableExactStringParsing", "false"),
    )
    spark = classic(SparkSettings(f"local[{os.cpu_count()}]", conf=conf), where.s3)
    desk = Desk(job, spark)
    with stages.stage(CHECK):
        clean = {feed: desk.check(feed) for feed in job.files}
    with stages.stage(LATEST):
        newest = {feed: desk.latest(feed, rows) for feed, (rows, _) in clean.items()}
    with stages.stage(TABLES):
        desk.tables(newest[STOCKS], newest[FUNDS])
    rejected = sum(refused for _, refused in clean.values())
    spark.stop()
    stages.answer(rejected=rejected)


if __name__ == "__main__":
    main()
