"""The pinned jars: only what has the committed checksum is kept."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from sluice.services import jars
from sluice.services.jars import Jar, JarUnavailable

GOOD = b"what the author published"
JAR = Jar("org.example", "tool", "1.0", "all", hashlib.sha256(GOOD).hexdigest())


@pytest.fixture
def published(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """What the repository hands out, one after another."""
    answers: list[bytes] = []

    def download(jar: Jar, staging: Path) -> Path:
        path = staging / jar.file_name
        if not answers:
            raise RuntimeError("nobody answers")
        path.write_bytes(answers.pop(0))
        return path

    monkeypatch.setattr(jars, "_download", download)
    return answers


def test_the_committed_lock_file_names_each_jar_once_with_a_checksum() -> None:
    locked = jars.locked_jars()

    assert len({jar.coordinate for jar in locked}) == len({jar.file_name for jar in locked}) == len(locked) == 36
    assert all(len(jar.sha256) == 64 for jar in locked)
    assert [jar.file_name for jar in locked if not jar.is_for_spark] == ["s3proxy-4.1.0-jar-with-dependencies.jar"]


def test_a_jar_is_fetched_checked_and_then_found(tmp_path: Path, published: list[bytes]) -> None:
    published.append(GOOD)
    told: list[str] = []

    jars.fetch([JAR], tmp_path, told.append)

    assert (tmp_path / "tool-1.0-all.jar").read_bytes() == GOOD
    assert [path.name for path in tmp_path.iterdir()] == ["tool-1.0-all.jar"]
    assert jars.missing([JAR], tmp_path) == []
    assert told[-1].startswith("1 of 1 jars are here and checked")


def test_a_jar_that_is_there_is_not_fetched_again(tmp_path: Path, published: list[bytes]) -> None:
    (tmp_path / JAR.file_name).write_bytes(GOOD)

    jars.fetch([JAR], tmp_path, pytest.fail)
    assert (tmp_path / JAR.file_name).read_bytes() == GOOD


def test_a_broken_jar_is_fetched_anew(tmp_path: Path, published: list[bytes]) -> None:
    (tmp_path / JAR.file_name).write_bytes(GOOD[:5])
    published.append(GOOD)

    assert jars.missing([JAR], tmp_path) == [JAR]
    jars.fetch([JAR], tmp_path, lambda _: None)
    assert jars.missing([JAR], tmp_path) == []


def test_a_download_that_breaks_once_is_tried_again(tmp_path: Path, published: list[bytes]) -> None:
    published.extend([GOOD[:5], GOOD])

    jars.fetch([JAR], tmp_path, lambda _: None)

    assert jars.missing([JAR], tmp_path) == []


@pytest.mark.parametrize(
    ("answers", "why"),
    [([], "RuntimeError: nobody answers"), ([b"not it"] * jars.ATTEMPTS, "its sha256 is not the")],
    ids=["no network", "not what the author published"],
)
def test_a_jar_that_cannot_be_had_is_named_with_what_to_do(tmp_path: Path, published: list[bytes], answers: list[bytes], why: str) -> None:
    published.extend(answers)

    with pytest.raises(JarUnavailable) as raised:
        jars.fetch([JAR], tmp_path, lambda _: None)

    assert raised.value.jar == JAR
    assert raised.value.exit_code == 3
    assert all(part in str(raised.value) for part in ("org.example:tool:1.0:all", why, "make setup"))
    assert list(tmp_path.iterdir()) == []
