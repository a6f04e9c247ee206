"""Places where files arrive: which one may be added to a feed, and why another may not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from include.errors import UsageError
from include.files import keys
from include.files.file import Source

_S3 = "s3://"


def source_named(uri: str) -> Source:
    """The place of an address such as s3://bucket/prefix/.

    Raises:
        UsageError: it is none.

    >>> source_named("s3://b/in/sales/")
    Source(bucket='b', prefix='in/sales/')
    """
    bucket, _, prefix = uri.removeprefix(_S3).partition("/")
    segments = prefix.split("/")[:-1]
    if not uri.startswith(_S3) or not bucket or not prefix.endswith("/") or any(segment in {"", ".", ".."} for segment in segments):
        raise UsageError(f"{uri!r} is no place for files: give s3://bucket/prefix/, a folder of a bucket, with the slash at its end")
    if len(prefix.encode()) > keys.LONGEST_KEY_BYTES:
        raise UsageError(f"the place has more than {keys.LONGEST_KEY_BYTES:,} bytes, and a key of S3 may not: give a shorter one")
    return Source(bucket, prefix)


def refuse_source(source: Source, own_bucket: str, others: Mapping[str, Iterable[Source]]) -> None:
    """Refuse a place where two would take the same object for theirs.

    Args:
        own_bucket: where Sluice itself writes.
        others: the active places of every feed but this one.

    Raises:
        UsageError: naming whom it would get in the way of.
    """
    if source.bucket == own_bucket:
        for place in keys.OURS:
            if _overlap(place, source.prefix):
                raise UsageError(f"s3://{source.bucket}/{source.prefix} is where Sluice itself writes ({place}): files cannot arrive there")
    for feed, places in sorted(others.items()):
        for other in places:
            if other.bucket == source.bucket and _overlap(other.prefix, source.prefix):
                raise UsageError(
                    f"s3://{source.bucket}/{source.prefix} and s3://{other.bucket}/{other.prefix} of {feed} hold the same objects: "
                    "an object is a file of one place"
                )


def _overlap(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)
