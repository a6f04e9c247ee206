"""Read by every Airflow process at its start. What forks tasks imports here what they need, once, so that they have it already.

Great Expectations alone costs seconds to import; preloaded, a task that uses it starts in 0.1 s. Libraries only: code of this project
that was preloaded would stay old until the scheduler restarts, so the module that imports Great Expectations for us is forgotten again.
"""

from __future__ import annotations

import sys
from importlib import import_module

PRELOADED = (
    "numpy",
    "pandas",
    "pyarrow.parquet",
    "pyarrow.csv",
    "pyarrow.pandas_compat",
    "boto3.s3.transfer",
    "psycopg",
    "include.quality.gx",
    "pyspark.sql.connect.session",
    "airflow.providers.amazon.aws.hooks.s3",
    "airflow.providers.postgres.hooks.postgres",
    "airflow.providers.apache.spark.hooks.spark_connect",
    "airflow.providers.standard.decorators.python",
    "airflow.sdk.bases.skipmixin",
    "airflow.sdk.definitions.decorators",
    "airflow.sdk.definitions.retry_policy",
)

__all__: list[str] = []  # nothing here overrides an Airflow setting

if sys.argv[1:2] == ["scheduler"] or sys.argv[1:3] == ["celery", "worker"]:
    for _name in PRELOADED:
        import_module(_name)
    for _name in [name for name in sys.modules if name.partition(".")[0] == "include"]:
        del sys.modules[_name]
    import boto3
    from botocore import UNSIGNED
    from botocore.config import Config

    # Reading the description of S3 costs 0.1 s and more; the default session remembers it, and every client is made from that session.
    boto3.client("s3", region_name="us-east-1", config=Config(signature_version=UNSIGNED))
