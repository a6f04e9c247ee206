"""Why a set is not written."""

from __future__ import annotations

from pathlib import Path

from include.errors import UsageError

_MB = 1_000_000


class NoRoom(UsageError):
    """The disk has less room than the set needs."""

    def __init__(self, where: Path, needed: int, free: int) -> None:
        self.where, self.needed, self.free = where, needed, free
        super().__init__(
            f"{where}: about {needed / _MB:,.0f} MB are needed and {free / _MB:,.0f} MB are free. Nothing was written; "
            "make room, or give a smaller --gb or --rows"
        )


class FolderTaken(UsageError):
    """A set is the whole of its folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        super().__init__(
            f"{folder} is not empty, and a set is the whole of its folder: give a new one, or remove what an earlier run left there"
        )


class LandingTaken(UsageError):
    """Keys of the set are there already, and landing them again would supersede what was ingested from them."""

    def __init__(self, bucket: str, keys: list[str]) -> None:
        self.bucket, self.keys = bucket, keys
        super().__init__(
            f"{len(keys):,} files of this set lie in s3://{bucket} already, the first as {keys[0]}; other bytes under a known name "
            "supersede what was ingested. Nothing was written; give another --seed, or --overwrite if that is wished "
            "(the same arguments make the same bytes, which change nothing)"
        )
