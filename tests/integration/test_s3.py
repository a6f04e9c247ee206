"""What the S3 store shows of a bucket that others write to at the same time."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event

from tests.integration.world import World


def test_an_upload_in_progress_is_not_listed_and_harms_no_listing(world: World) -> None:
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
    assert listed <= {(key, 500_000) for key in written}
    assert {stamp.key for stamp in world.store.objects(world.bucket, "busy/")} == written
