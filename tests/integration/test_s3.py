"""What the S3 store shows of a bucket that others write to at the same time."""

from __future__ import annotations

import re
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

import pytest

from include.errors import ObjectGone
from tests.integration.world import World


def test_an_upload_in_progress_is_no_file_of_a_feed_and_harms_no_listing(world: World) -> None:
    """S3Proxy may show it under a name of its own, `0.csv-` and a UUID, for the instant between its last byte and its name."""
    done = Event()

    def upload(writer: int) -> int:
        number = 0
        while not done.is_set():
            world.store.put(world.bucket, f"busy/{writer}/{number}.csv", b"x" * 500_000)
            number += 1
        return number

    with ThreadPoolExecutor(2) as writers:
        uploads = [writers.submit(upload, writer) for writer in range(2)]
        until = time.monotonic() + 4
        listed = set()
        try:
            while time.monotonic() < until:
                listed.update((stamp.key, stamp.size) for stamp in world.store.objects(world.bucket, "busy/"))
        finally:
            done.set()
        written = {f"busy/{writer}/{number}.csv" for writer, puts in enumerate(uploads) for number in range(puts.result())}
    files = {(key, size) for key, size in listed if key.endswith(world.spec.endings)}
    assert files <= {(key, 500_000) for key in written}
    assert {re.sub("-[0-9a-f-]{36}$", "", other) for other, _ in listed - files} <= written
    assert {stamp.key for stamp in world.store.objects(world.bucket, "busy/")} == written


def test_an_object_is_written_over_only_where_it_is_the_one_that_was_read(world: World) -> None:
    first = world.store.put(world.bucket, "lake/a.json", b"1")
    second = world.store.replace(world.bucket, "lake/a.json", b"2", etag=first.etag)
    assert world.store.read_bytes(world.bucket, "lake/a.json", second.etag) == b"2"
    for key in ("lake/a.json", "lake/none.json"):
        with pytest.raises(ObjectGone):
            world.store.replace(world.bucket, key, b"3", etag=first.etag)
    assert world.store.read_bytes(world.bucket, "lake/a.json") == b"2"
    assert world.keys("lake/") == ["lake/a.json"]
