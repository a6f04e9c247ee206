"""What spark-submit starts: one job, by name, on the request that lies in S3.

spark-submit --master spark://... submitted.py JOB BUCKET REQUEST_KEY     # S3 from the AWS_* variables
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence

from include import logs
from spark_jobs.attempt import JobRun
from spark_jobs.catalogue import job_named


def main(arguments: Sequence[str], environment: Mapping[str, str]) -> None:
    """Run the request on the cluster that spark-submit was given."""
    from pyspark.sql import SparkSession

    from include.clients import s3_client
    from include.settings import S3Settings
    from include.storage.s3 import S3Store

    name, bucket, request_key = arguments
    settings = S3Settings.from_variables(bucket, environment)
    logs.hide(settings.access_key, settings.secret_key)
    store = S3Store(s3_client(settings))
    job = job_named(name)
    request = job.request.from_json(json.loads(store.read_bytes(bucket, request_key)))
    spark = SparkSession.builder.appName(f"sluice {request.feed} batch {request.batch}").getOrCreate()
    try:
        job.run(JobRun(store, request, spark))
    finally:
        spark.stop()


if __name__ == "__main__":
    main(sys.argv[1:], os.environ)
