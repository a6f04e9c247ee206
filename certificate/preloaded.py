"""What every victim needs, imported once in the process that they are forked from. Nothing here opens a connection."""

from __future__ import annotations

import importlib

import boto3
import pandas as pd
import psycopg
import pyarrow.parquet as pq
from pyspark.sql.connect.client.core import DefaultChannelBuilder
from pyspark.sql.connect.session import SparkSession

from certificate.domains import DOMAINS
from include.feeds import FEEDS
from include.quality.gate import GreatExpectationsGate
from include.quality.suite import suite_of
from include.stores.catalogue import results_of
from sluice.produce import producer, sources
from spark_jobs.runner import SparkRunner

__all__ = [
    "DOMAINS",
    "DefaultChannelBuilder",
    "GreatExpectationsGate",
    "SparkRunner",
    "SparkSession",
    "pd",
    "pq",
    "producer",
    "psycopg",
    "results_of",
    "sources",
]

for spec in FEEDS.values():
    suite_of(spec.contract)
# Great Expectations counts with tqdm, whose lock would be a semaphore of every victim that nobody removes after its death.
importlib.import_module("tqdm").tqdm.get_lock()
# The description of the S3 service costs a tenth of a second to read; the default session keeps it.
boto3.client("s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
