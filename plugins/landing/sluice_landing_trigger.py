"""Wakes a feed's ingest when something lands, or rows come back corrected.

Lists what a scheduled poll would list, about once a second, and tells of what is new.

An event is a wake-up and nothing more. The ledger decides what is new; a run that was woken for nothing finds nothing, and one that
was not woken comes with the clock.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from include import logs
from include.domains import feed_named
from include.errors import SluiceError
from include.files import keys
from include.pipeline.discover import recent
from plugins.landing.connection import S3_CONNECTION, connection_named, s3_settings

if TYPE_CHECKING:
    from include.files.file import FileStamp
    from include.storage.object_store import ObjectStore

LISTING_SHARE = 0.1  # a listing that takes long is repeated less often: at most this share of the time goes into it
LONGEST_PAUSE_SECONDS = 60.0  # the clock wakes the feed once a minute anyway


class LandingTrigger(BaseEventTrigger):
    """Fires when a file that it has not seen lies below a feed's landing prefix; at its start, when any does.

    Args:
        feed: the feed, by name.
        connection: the Airflow connection of the S3 service.
        seconds: between two listings, at least.
    """

    def __init__(self, feed: str, connection: str = S3_CONNECTION, seconds: float = 1.0) -> None:
        super().__init__()
        self.feed = feed
        self.connection = connection
        self.seconds = seconds
        self._opened: tuple[ObjectStore, str] | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Its class and arguments; no address and no key is among them."""
        return f"{__name__}.LandingTrigger", {"feed": self.feed, "connection": self.connection, "seconds": self.seconds}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """List, tell, rest; while that fails, rest longer and longer. It never ends: Airflow would not start it again before a restart."""
        seen: frozenset[int] = frozenset()
        failures = 0
        while True:
            begun = time.monotonic()
            try:
                found = await asyncio.to_thread(self._list_landing)
            except Exception as failed:
                failures += 1
                if failures == 1:
                    unforeseen = not isinstance(failed, SluiceError)
                    self.log.warning(
                        "%s: nobody watches the landing prefix: %s",
                        self.feed,
                        logs.described(failed),
                        exc_info=logs.redacted(failed) if unforeseen else None,
                    )
                await asyncio.sleep(pause_after_failure(failures, self.seconds))
                continue
            if failures:
                self.log.info("%s: the landing prefix is watched again, after %s listings that failed", self.feed, failures)
                failures = 0
            new, seen = len(found - seen), found
            if new:
                yield TriggerEvent({"feed": self.feed, "new": new})
            await asyncio.sleep(pause_after_listing(time.monotonic() - begun, self.seconds))

    def _list_landing(self) -> frozenset[int]:
        """What lies there now. In a thread: boto3 blocks, and so does asking for a connection."""
        spec = feed_named(self.feed)
        store, bucket = self._opened = self._opened or self._open()
        today = dt.datetime.now(dt.UTC).date()
        landed = marks(recent_objects(store, bucket, keys.landing(spec.name), today), keys.landing(spec.name), spec.endings)
        corrected = recent_objects(store, bucket, keys.fixes(spec.name), today)
        return landed | {mark_of(stamp) for stamp in corrected if not keys.refused_as_fix(spec.name, stamp.key)}

    def _open(self) -> tuple[ObjectStore, str]:
        from include.clients import s3_client
        from include.storage.s3 import S3Store

        settings = s3_settings(connection_named(self.connection))
        return S3Store(s3_client(settings)), settings.bucket


def recent_objects(store: ObjectStore, bucket: str, prefix: str, today: dt.date) -> Iterator[FileStamp]:
    """The objects that a scheduled poll looks at: those of the last dates, and those without a date."""
    folders, beside = store.folders(bucket, prefix)
    yield from beside
    for folder in recent(folders, today):
        yield from store.objects(bucket, folder)


def marks(stamps: Iterable[FileStamp], prefix: str, endings: tuple[str, ...]) -> frozenset[int]:
    """A number for each file of the feed, from its name and content: small to keep, and all that is needed to see something new."""
    return frozenset(mark_of(stamp) for stamp in stamps if not keys.refused(stamp.key, prefix, endings))


def mark_of(stamp: FileStamp) -> int:
    return hash((stamp.key, stamp.etag))


def pause_after_listing(took: float, seconds: float) -> float:
    """How long to rest (seconds), so that listing costs little however much lies there.

    >>> pause_after_listing(0.02, 1.0), pause_after_listing(0.5, 1.0), pause_after_listing(30, 1.0)
    (1.0, 5.0, 60.0)
    """
    return max(seconds, min(took / LISTING_SHARE, LONGEST_PAUSE_SECONDS))


def pause_after_failure(failures: int, seconds: float) -> float:
    """How long to rest (seconds) after so many failures in a row.

    >>> [pause_after_failure(failures, 1.0) for failures in (1, 2, 5, 100)]
    [1.0, 2.0, 16.0, 60.0]
    """
    return min(seconds * 2.0 ** min(failures - 1, 10), LONGEST_PAUSE_SECONDS)
