"""What killed uploads leave in the S3 server's folder."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sluice.services.s3proxy import FINISHED_ATTRIBUTE, keeps_attributes, remove_leftovers

UUID = "123e4567-e89b-12d3-a456-426614174000"


@pytest.mark.parametrize(
    ("name", "finished", "stays"),
    [
        ("chunk_1.csv", True, True),
        (f"chunk_1.csv-{UUID}", False, False),
        (f"a-name-of-its-own-{UUID}", True, True),
        ("chunk-2.csv", False, True),
        (f"{UUID}", False, True),
        (f"chunk_1.csv-{UUID}.csv", False, True),
    ],
)
def test_only_unfinished_uploads_are_removed(tmp_path: Path, name: str, finished: bool, stays: bool) -> None:
    if not keeps_attributes(tmp_path):
        pytest.skip("this file system keeps no user attributes")
    path = tmp_path / "bucket" / "landing" / name
    path.parent.mkdir(parents=True)
    path.write_bytes(b"")
    if finished:
        os.setxattr(path, FINISHED_ATTRIBUTE, b"x")

    assert remove_leftovers(tmp_path) == (0 if stays else 1)
    assert path.exists() is stays


def test_where_attributes_cannot_be_kept_nothing_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "setxattr", refuse)
    leftover = tmp_path / f"chunk_1.csv-{UUID}"
    leftover.write_bytes(b"")

    assert remove_leftovers(tmp_path) == 0
    assert leftover.exists()
