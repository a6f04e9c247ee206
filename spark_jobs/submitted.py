"""What spark-submit starts: one job, by name, on the request that lies in S3.

spark-submit --master spark://... submitted.py JOB BUCKET REQUEST_KEY     # S3 from the AWS_* variables
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

from include.ingestion import logs
from spark_jobs.catalogue import job_named


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the request on the cluster that spark-submit was given."""
    from pyspark.sql import SparkSession

    from include.stores.open import s3_client
    from include.stores.s3 import S3Store
    from include.stores.settings import S3Settings

    name, bucket, request_key = arguments
    settings = S3Settings.from_variables(bucket, environment)
    logs.hide(settings.access_key, settings.secret_key)
    store = S3Store(s3_client(settings))
    job = job_named(name)
    request = job.request(json.loads(store.read_bytes(bucket, request_key)))
    spark = SparkSession.builder.appName(f"sluice {request.feed} batch {request.batch}").getOrCreate()
    try:
        job.run(spark, request, store)
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
