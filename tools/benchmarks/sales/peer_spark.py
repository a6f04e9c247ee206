"""The classic way of this job: Spark reads all, checks, joins with the dimensions by inner joins, and appends to the marts through JDBC.

Written as one would who does it well: schemas given and not inferred, bad rows dropped, small dimensions broadcast, decimals and no floats,
the checked rows written once and read back as Parquet, JDBC writes in batches from both cores. What the way itself costs stays: rows with
unknown keys are lost, bad rows leave no reason, a repeated run appends again, and the incentive is that of the run and not of the month.
"""

from __future__ import annotations

from pathlib import Path

import psycopg
from pyspark.sql import DataFrame, SparkSession, Window
from pyspark.sql import functions as F  # noqa: N812 (its usual name)

from include.clients import ledger_connection
from include.settings import LedgerSettings, SparkSettings
from sluice.runtime import settings
from sluice.services.jars import spark_jars
from sluice.services.spark import DRIVER_MEMORY
from spark_jobs.session import classic
from tools.benchmarks.passes import Stages, read_job
from tools.benchmarks.sales.peer import CHECK, LAKE, MARTS, SalesJob

_FACTS = (
    "customer_id bigint, store_id bigint, product_name string, sales_date date, sales_person_id bigint, "
    "price decimal(12,2), quantity bigint, total_cost decimal(12,2)"
)
_DIMENSIONS = {
    "customer": "customer_id bigint, first_name string, last_name string, address string, pincode string, phone_number string, "
    "customer_joining_date date",
    "store": "id bigint, store_address string, store_pincode string, store_manager_name string, store_opening_date date, reviews string",
    "product": "product_id bigint, product_name string, current_price decimal(12,2), old_price decimal(12,2), created_date date, "
    "updated_date date, expiry_date date",
    "sales_team": "seller_id bigint, seller_first string, seller_last string, manager_id bigint, is_manager string, seller_address string, "
    "seller_pincode string, joining_date date, home_store bigint",
}


class Retail:
    def __init__(self, job: SalesJob, spark: SparkSession, ledger: LedgerSettings) -> None:
        self._job, self._spark, self._ledger = job, spark, ledger

    def check(self) -> DataFrame:
        """All facts that landed, without the rows that break a rule."""
        facts = self._csv(self._job.facts, _FACTS)
        mandatory = [name.split()[0] for name in _FACTS.split(", ")]
        return facts.dropna(subset=mandatory).where(
            (F.col("quantity") > 0) & (F.col("price") >= 0) & (F.col("total_cost") == F.col("price") * F.col("quantity"))
        )

    def star(self, facts: DataFrame) -> DataFrame:
        """The facts that have a customer, a store, a product and a seller."""
        customer, store, product, team = (self._csv(self._job.dimensions[feed], schema) for feed, schema in _DIMENSIONS.items())
        return (
            facts.join(F.broadcast(customer), "customer_id", "inner")
            .join(F.broadcast(store), facts["store_id"] == store["id"], "inner")
            .join(F.broadcast(product), "product_name", "inner")
            .join(F.broadcast(team), facts["sales_person_id"] == team["seller_id"], "inner")
            .select(
                "customer_id",
                F.concat_ws(" ", "first_name", "last_name").alias("full_name"),
                "address",
                "phone_number",
                "store_id",
                "product_id",
                "sales_person_id",
                F.concat_ws(" ", "seller_first", "seller_last").alias("seller_name"),
                "sales_date",
                "price",
                "quantity",
                "total_cost",
                F.date_format("sales_date", "yyyy-MM").alias("sales_month"),
            )
        )

    def write_star(self, star: DataFrame) -> None:
        star.write.format("delta").mode("append").partitionBy("sales_month").save(f"s3a://{self._job.bucket}/{self._job.lake}fact_sales")

    def append_marts(self, star: DataFrame) -> None:
        """Both marts of what was read in this run."""
        customers = star.groupBy(
            "customer_id", "full_name", "address", "phone_number", F.trunc("sales_date", "month").alias("sales_date_month")
        )
        self._append(customers.agg(F.sum("total_cost").alias("total_sales")), "customers_data_mart")
        best = Window.partitionBy("store_id", "sales_month").orderBy(F.desc("total_sales"))
        team = star.groupBy("store_id", "sales_person_id", F.col("seller_name").alias("full_name"), "sales_month")
        paid = (
            team.agg(F.sum("total_cost").alias("total_sales"))
            .withColumn("place", F.rank().over(best))
            .withColumn(
                "incentive", F.when(F.col("place") == 1, F.round(F.col("total_sales") * F.lit("0.01").cast("decimal(3,2)"), 2)).otherwise(0)
            )
            .drop("place")
        )
        self._append(paid, "sales_team_data_mart")

    def _append(self, mart: DataFrame, table: str) -> None:
        where = self._ledger
        mart.coalesce(2).write.format("jdbc").mode("append").options(
            url=f"jdbc:postgresql://{where.host}:{where.port}/{where.database}?reWriteBatchedInserts=true",
            dbtable=f"{self._job.schema}.{table}",
            user=where.user,
            password=where.password,
            driver="org.postgresql.Driver",
            batchsize="10000",
        ).save()

    def _csv(self, keys: list[str], schema: str) -> DataFrame:
        return self._spark.read.csv([f"s3a://{self._job.bucket}/{key}" for key in keys], schema=schema, header=True, escape='"')


def prepare(job: SalesJob, ledger: psycopg.Connection) -> None:
    """The tables of the marts, which somebody made by hand before the first run."""
    if job.fresh:
        ledger.execute(f"drop schema if exists {job.schema} cascade")
        ledger.execute(f"create schema {job.schema}")
        ledger.execute(f"set search_path = {job.schema}")
        ledger.execute(Path(__file__).with_name("marts.sql").read_text())


def main() -> None:
    job, stages, where = read_job(SalesJob), Stages(), settings()
    with ledger_connection(where.ledger) as ledger:
        prepare(job, ledger)
    jars = ",".join(str(path) for path in spark_jars())
    conf = (("spark.jars", jars), ("spark.driver.memory", DRIVER_MEMORY), ("spark.local.dir", job.folder))
    spark = classic(SparkSettings("local[2]", conf=conf), where.s3)
    retail = Retail(job, spark, where.ledger)
    with stages.stage(CHECK):
        facts = retail.check()
        facts.write.mode("overwrite").parquet(f"s3a://{job.bucket}/{job.lake}clean")
        facts = spark.read.schema(facts.schema).parquet(f"s3a://{job.bucket}/{job.lake}clean")
    with stages.stage(LAKE):
        star = retail.star(facts)
        retail.write_star(star)
    with stages.stage(MARTS):
        retail.append_marts(star)
    spark.stop()
    stages.answer()


if __name__ == "__main__":
    main()
