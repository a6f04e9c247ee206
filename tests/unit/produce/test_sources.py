"""Sources: the same bytes wherever they lie and however they are packed, and clear words where they are not to be had."""

from __future__ import annotations

import gzip
import lzma
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from include.errors import EnvironmentFailure, UsageError
from sluice.produce.errors import SourceBroken, SourceChanged, SourceMissing
from sluice.produce.origins import HttpFile
from sluice.produce.sources import Source, source
from tests.http_server import Site, served

CONTENT = b"".join(b"row %d\n" % number for number in range(200_000))


@pytest.fixture
def site() -> Iterator[Site]:
    with served(Site(CONTENT)) as running:
        yield running


def read(what: Source, at: int = 0) -> bytes:
    with what.open(at) as stream:
        return stream.read()


def http(site: Site) -> Source:
    return Source(HttpFile(site.url, requests.Session(), pause=lambda _: None))


@pytest.mark.parametrize(
    "packed",
    [CONTENT, gzip.compress(CONTENT), gzip.compress(CONTENT[:999]) + gzip.compress(CONTENT[999:]), lzma.compress(CONTENT)],
    ids=["plain", "gzip", "gzip members", "xz"],
)
@pytest.mark.parametrize("at", [0, 1, 700_001, len(CONTENT)])
def test_a_packed_file_is_told_by_its_content_and_read_from_any_byte(tmp_path: Path, packed: bytes, at: int) -> None:
    path = tmp_path / "without_an_ending"
    path.write_bytes(packed)
    assert read(source(str(path)), at) == CONTENT[at:]


@pytest.mark.parametrize("packed", [gzip.compress(CONTENT)[:-20], lzma.compress(CONTENT)[:-20], gzip.compress(CONTENT)[:2000] + b"x" * 999])
def test_a_damaged_packed_file_says_so(tmp_path: Path, packed: bytes) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(packed)
    with pytest.raises(SourceBroken, match="damaged or ends early"):
        read(source(str(path)))


@pytest.mark.parametrize(
    ("location", "error", "says"),
    [
        ("no/such/file.csv", SourceMissing, r"no/such/file.csv: there is no such file; nothing was written"),
        (".", SourceMissing, "is no file"),
        ("ftp://host/a.csv", UsageError, "a source is a path, an http"),
        ("drive:short", UsageError, "a source is a path, an http"),
        ("s3://bucket/key", UsageError, "a source is a path, an http"),
        ("", UsageError, "no source given"),
    ],
)
def test_a_location_that_leads_nowhere_says_so(location: str, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        source(location)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("sized", [True, False])
@pytest.mark.parametrize("at", [0, 5, 700_001])
def test_http_is_read_from_any_byte_with_ranges_and_without(site: Site, ranges: bool, sized: bool, at: int) -> None:
    site.ranges, site.sized = ranges, sized
    assert read(http(site), at) == CONTENT[at:]


@pytest.mark.parametrize("ranges", [True, False])
def test_a_broken_http_answer_is_taken_up_where_it_broke(site: Site, ranges: bool) -> None:
    site.ranges = ranges
    opened = http(site)
    site.breaks = [10, 600_000, 1_300_000, 0, 1_700_000]
    assert read(opened) == CONTENT
    if ranges:
        assert [wanted for _, wanted in site.asked[3:]] == ["bytes=600000-", "bytes=1900000-", "bytes=1900000-"]


def test_an_http_server_that_always_breaks_off_is_given_up(site: Site) -> None:
    opened = http(site)
    site.breaks = [len(CONTENT)] + [0] * 20
    with pytest.raises(EnvironmentFailure, match=f"broke off at byte 0 of {len(CONTENT)}, 5 times"):
        read(opened)


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize(
    "other", [CONTENT[:-8], CONTENT[:900_000], CONTENT.replace(b"9", b"8")], ids=["shorter", "much shorter", "as long"]
)
def test_another_http_content_in_mid_reading_is_noticed(site: Site, ranges: bool, other: bytes) -> None:
    site.ranges = ranges
    opened = http(site)
    site.breaks = [len(CONTENT), 1_500_000]
    with opened.open() as stream:
        stream.read(1_200_000)
        site.content = other
        with pytest.raises(SourceChanged, match="the server now has another content"):
            stream.read()


@pytest.mark.parametrize(
    ("status", "error", "says"),
    [
        (404, SourceMissing, "the server answers 404 Not Found"),
        (403, SourceMissing, "the server answers 403 Forbidden"),
        (503, EnvironmentFailure, "the server answers 503 Service Unavailable"),
    ],
)
def test_an_http_server_that_says_no_is_quoted(site: Site, status: int, error: type[Exception], says: str) -> None:
    site.answers = lambda *_: (status, {}, b"no")
    with pytest.raises(error, match=says):
        http(site)


def test_a_server_that_is_not_there_is_a_failure_of_the_environment() -> None:
    with served(Site()) as gone:
        pass
    with pytest.raises(EnvironmentFailure, match=r"no answer for http://127.0.0.1:[0-9]+/a.csv \(ConnectionError\)"):
        source(f"{gone.url}/a.csv")
