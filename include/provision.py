"""A ledger made ready for this release: migrated, and with the release's feeds in it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from include.domains import FEEDS
from include.errors import EnvironmentFailure
from include.files import keys
from include.ledger.migrate import migrate

if TYPE_CHECKING:
    import psycopg
    from mypy_boto3_s3.client import S3Client

    from include.feed import FeedSpec
    from include.settings import S3Settings


def prepare_ledger(connection: psycopg.Connection, bucket: str) -> list[str]:
    """Migrate and add the feeds; the names of the migrations that were applied. May be repeated."""
    applied = migrate(connection)
    with connection.transaction():
        for spec in FEEDS.values():
            add_feed(connection, spec, bucket)
    return applied


def add_feed(connection: psycopg.Connection, spec: FeedSpec, bucket: str) -> None:
    """Add what is missing of a feed; one that has sources keeps them as they are."""
    connection.execute("insert into feed_group (group_name) values (%s) on conflict do nothing", (spec.group,))
    connection.execute("insert into feed (feed, group_name) values (%s, %s) on conflict do nothing", (spec.name, spec.group))
    connection.execute(
        """insert into feed_source (feed, bucket, prefix) select %(feed)s, %(bucket)s, %(prefix)s
           where not exists (select from feed_source where feed = %(feed)s)""",
        {"feed": spec.name, "bucket": bucket, "prefix": keys.landing(spec.name)},
    )


def prepare_bucket(client: S3Client, where: S3Settings) -> bool:
    """See that the bucket is there; whether it had to be made.

    Raises:
        EnvironmentFailure: S3 does not answer, or does not let us look or make it.
    """
    try:
        try:
            client.head_bucket(Bucket=where.bucket)
            return False
        except ClientError as answer:
            if answer.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
        abroad = {} if where.region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": where.region}}
        client.create_bucket(Bucket=where.bucket, **abroad)  # type: ignore[arg-type]
        return True
    except (BotoCoreError, ClientError) as failed:
        raise EnvironmentFailure("S3", f"the bucket {where.bucket} at {where.endpoint or 'AWS'} cannot be prepared: {failed}") from failed
