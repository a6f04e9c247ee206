"""What a Spark of Sluice's is told wherever it runs. Imports no Spark, so that whoever starts one can ask."""

from __future__ import annotations

from pathlib import Path

from include.settings import S3Settings

LOG_CONF = Path(__file__).parent / "conf"
"""Where Spark finds what its Java side logs."""

EVERYWHERE = {
    "spark.sql.session.timeZone": "UTC",
    # Exact objects are looked up one by one, 2 ms each; for more than 32 Spark would start a job (60: 0.33 s against 0.13, 2026-11-21).
    "spark.sql.sources.parallelPartitionDiscovery.threshold": "10000",
}
# What a session needs, beside Delta's jars, to write the lake.
DELTA = {
    "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
    "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
    "spark.databricks.delta.snapshotPartitions": "2",
}


def store_conf(s3: S3Settings) -> dict[str, str]:
    """Where S3 is; without keys the SDK's own chain finds them (a role, a profile)."""
    store = {
        "endpoint.region": s3.region,
        # A dead store is noticed in seconds, not in minutes (277 s with Hadoop's own retries, 2026-11-21).
        "attempts.maximum": "2",
        "retry.limit": "2",
        "retry.interval": "200ms",
        "connection.establish.timeout": "5s",
    }
    if s3.endpoint:
        tls = str(s3.endpoint.startswith("https")).lower()
        store |= {"endpoint": s3.endpoint, "path.style.access": "true", "connection.ssl.enabled": tls}
    if s3.access_key is not None and s3.secret_key is not None:
        store |= {
            "aws.credentials.provider": "org.apache.hadoop.fs.s3a.SimpleAWSCredentialsProvider",
            "access.key": s3.access_key,
            "secret.key": s3.secret_key,
        }
    return {f"spark.hadoop.fs.s3a.{name}": value for name, value in store.items()}
