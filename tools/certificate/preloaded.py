"""What every worker process needs, imported once in the process that they are forked from. Nothing here opens a connection."""

from __future__ import annotations

import importlib
import pkgutil

import boto3
import pandas as pd
import pyarrow.parquet as pq
from pyspark.sql.connect.client.core import DefaultChannelBuilder
from pyspark.sql.connect.session import SparkSession

import include.domains
from include.domains import FEEDS
from include.quality.suite import suite_of
from tools.certificate import work

__all__ = ["DefaultChannelBuilder", "SparkSession", "pd", "pq", "work"]

for module in pkgutil.walk_packages(include.domains.__path__, "include.domains."):
    importlib.import_module(module.name)
for spec in FEEDS.values():
    suite_of(spec.contract)
# Great Expectations counts with tqdm, whose lock would be a semaphore of every process that nobody removes after its death.
importlib.import_module("tqdm").tqdm.get_lock()
# The description of the S3 service costs a tenth of a second to read; the default session keeps it.
boto3.client("s3", region_name="us-east-1", aws_access_key_id="none", aws_secret_access_key="none")
