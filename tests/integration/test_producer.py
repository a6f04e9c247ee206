"""Mechanism X on real PostgreSQL and S3: no row skipped or doubled whatever dies, and every refusal in words."""

from __future__ import annotations

import gzip
import hashlib
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest

from include.clients import ledger_connection
from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import EnvironmentFailure, SluiceError
from sluice.generate.transactions import write
from sluice.produce.errors import HeaderUnfit, ProducerBusy, SourceChanged, SourceEmpty
from sluice.produce.producer import Pace, Produced, produce
from sluice.produce.sources import source
from sluice.runtime import now
from tests.http_server import Site, served
from tests.integration.killed_producer import dying_at, run
from tests.integration.world import HEADER, World, row

PREFIX = "landing/transactions/"
FAST = Pace(rows=3, every=0)

Chunks = Callable[[], list[bytes]]
Make = Callable[..., Produced]


@pytest.fixture
def ledger(world: World) -> Iterator[psycopg.Connection]:
    with ledger_connection(world.where.ledger) as connection:
        yield connection


@pytest.fixture
def landed(world: World) -> Chunks:
    """The chunks under the landing prefix, in number order; every key is a dated one."""

    def chunks() -> list[bytes]:
        numbers = {}
        for key in world.keys(PREFIX):
            found = re.fullmatch(rf"{PREFIX}dt={now():%Y-%m-%d}/chunk_([1-9][0-9]*)\.csv", key)
            assert found is not None, key
            numbers[int(found[1])] = key
        return [world.store.read_bytes(world.bucket, numbers[number]) for number in sorted(numbers)]

    return chunks


@pytest.fixture
def make(world: World, ledger: psycopg.Connection) -> Make:
    def chunks(location: str | Path, pace: Pace = FAST, **options: Any) -> Produced:
        options = {
            "prefix": PREFIX,
            "contract": TRANSACTIONS.contract,
            "holder": "this test",
            "clock": now,
            "log": world.said.append,
            **options,
        }
        return produce(source(str(location)), world.store, ledger, bucket=world.bucket, pace=pace, **options)

    return chunks


def lines(first: int, last: int) -> str:
    return "".join(row(customer=f"C{number}") for number in range(first, last + 1))


def body(first: int, last: int) -> bytes:
    return (HEADER + lines(first, last)).encode()


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    path = tmp_path / "eight.csv"
    path.write_text(HEADER + lines(1, 8))
    return path


def test_a_source_is_cut_to_its_end_and_then_nothing_is_new(eight: Path, make: Make, landed: Chunks) -> None:
    made = make(eight)
    assert landed() == [body(1, 3), body(4, 6), body(7, 8)]
    assert (made.chunks, made.rows, made.bytes, made.rows_so_far, made.finished) == (3, 8, sum(map(len, landed())), 8, True)
    again = make(eight)
    assert (again.chunks, again.rows, again.first_key, again.rows_so_far, again.finished) == (0, 0, None, 8, True)
    assert len(landed()) == 3


def test_a_limit_stops_and_the_next_run_goes_on_there_with_other_rows_a_chunk(eight: Path, make: Make, landed: Chunks) -> None:
    first = make(eight, Pace(rows=3, every=0, limit=1))
    assert (first.chunks, first.rows_so_far, first.finished) == (1, 3, False)
    second = make(eight, Pace(rows=4, every=0, limit=1))
    assert (second.chunks, second.rows_so_far, second.finished) == (1, 7, False)
    assert make(eight, Pace(rows=4, every=0, limit=1)).finished
    assert landed() == [body(1, 3), body(4, 7), body(8, 8)]


def test_numbers_go_on_whatever_the_source(eight: Path, tmp_path: Path, make: Make, landed: Chunks) -> None:
    other = tmp_path / "other.csv"
    other.write_text(HEADER + lines(50, 51))
    make(eight, Pace(rows=8, every=0))
    assert make(other).last_key == f"{PREFIX}dt={now():%Y-%m-%d}/chunk_2.csv"
    assert make(eight, from_start=True).first_key == f"{PREFIX}dt={now():%Y-%m-%d}/chunk_3.csv"
    assert landed() == [body(1, 8), body(50, 51), body(1, 3), body(4, 6), body(7, 8)]


def test_prefixes_have_positions_and_numbers_of_their_own(eight: Path, make: Make, world: World) -> None:
    make(eight)
    assert make(eight, prefix="landing/other/").chunks == 3
    assert len(world.keys("landing/other/")) == 3


@pytest.mark.parametrize(
    "content",
    [
        body(1, 7).replace(b"\n", b"\r\n"),
        body(1, 7).replace(b"\n", b"\n\n"),
        body(1, 7).removesuffix(b"\n"),
        b"\xef\xbb\xbf" + body(1, 7),
        body(1, 7).replace(b"'C5'", b"'\xff\r"),
    ],
    ids=["CRLF", "empty lines", "no last line end", "a byte order mark", "a faulty row"],
)
def test_bytes_stay_as_they_are(content: bytes, tmp_path: Path, make: Make, landed: Chunks) -> None:
    path = tmp_path / "odd.csv"
    path.write_bytes(content)
    assert make(path).rows == 7
    header, _, rows = content.partition(b"\n")
    bodies = [chunk.partition(b"\n") for chunk in landed()]
    assert [first for first, _, _ in bodies] == [header] * 3
    assert b"".join(rest for _, _, rest in bodies) == rows


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_url_is_taken_up_where_the_last_run_stopped(pack: Any, ranges: bool, make: Make, landed: Chunks) -> None:
    with served(Site(pack(body(1, 8)), ranges=ranges)) as site:
        make(f"{site.url}/a", Pace(rows=3, every=0, limit=1))
        make(f"{site.url}/a")
        assert landed() == [body(1, 3), body(4, 6), body(7, 8)]
        assert any(wanted for _, wanted in site.asked) == (pack is bytes)


def test_chunks_keep_the_beat(eight: Path, make: Make) -> None:
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        time.sleep(seconds)

    made = make(eight, Pace(rows=2, every=0.2), sleep=sleep)
    assert made.chunks == 4
    assert len(waited) == 3
    assert made.seconds >= 0.6


# What may die --------------------------------------------------------------------------------------------------------


def test_a_producer_killed_at_any_point_neither_skips_nor_doubles_a_row(world: World, tmp_path: Path, make: Make, landed: Chunks) -> None:
    path = write(40_000, 3, tmp_path).transactions
    command = [sys.executable, "-m", "tests.integration.killed_producer", str(path), "211", "40", "7"]
    died = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert int(died.stdout) > 20, "most of the producers were to die before the end"
    make(path, Pace(rows=211, every=0))
    header, *rows = path.read_bytes().splitlines(keepends=True)
    chunks = landed()
    assert b"".join(chunk.removeprefix(header) for chunk in chunks) == b"".join(rows)
    assert [chunk.count(b"\n") for chunk in chunks[:-1]] == [212] * (len(chunks) - 1)
    known = world.ledger.rows("select number, sha256, landed_at is not null as landed from producer_chunk order by number")
    assert [(chunk["number"], chunk["sha256"], chunk["landed"]) for chunk in known] == [
        (number, hashlib.sha256(chunk).hexdigest(), True) for number, chunk in enumerate(chunks, 1)
    ]


class Killed(BaseException):
    """Ends a producer in this process where SIGKILL would."""


def interrupted(monkeypatch: pytest.MonkeyPatch, location: Path, point: str, times: int) -> None:
    def die() -> None:
        raise Killed

    monkeypatch.setattr("tests.integration.killed_producer.die", die)
    with pytest.raises(Killed):
        run(str(location), 3, dying_at(point, times))


def test_a_chunk_that_landed_and_was_taken_away_is_not_landed_again(
    world: World, eight: Path, make: Make, landed: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, eight, "after the put", 2)
    token = world.ledger.leases.acquire(world.spec, world.run())
    world.ledger.files.register(world.spec, token, world.run(), list(world.store.objects(world.bucket, PREFIX)))
    taken = next(key for key in world.keys(PREFIX) if key.endswith("chunk_2.csv"))
    world.store.delete(world.bucket, taken)
    make(eight)
    assert landed() == [body(1, 3), body(7, 8)]


def test_a_planned_chunk_of_a_source_that_changed_is_refused(
    eight: Path, make: Make, landed: Chunks, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupted(monkeypatch, eight, "before the put", 2)
    eight.write_text(HEADER + lines(1, 3) + lines(14, 18))
    with pytest.raises(SourceChanged, match=r"eight.csv has changed .* rows 4 to 6 \(chunk 2\) are others now.*--from-start"):
        make(eight)
    assert landed() == [body(1, 3)]


def test_a_key_of_somebody_else_is_left_alone(world: World, eight: Path, make: Make, landed: Chunks) -> None:
    world.land(f"{PREFIX}dt={now():%Y-%m-%d}/chunk_2.csv", "not ours")
    assert make(eight).chunks == 3
    assert landed() == [body(1, 3), b"not ours", body(4, 6), body(7, 8)]
    assert "chunk_2.csv is there with other bytes" in " ".join(world.said)


def test_a_position_that_was_lost_with_a_restored_ledger_uses_no_key_twice(
    world: World, eight: Path, tmp_path: Path, make: Make, landed: Chunks, ledger: psycopg.Connection
) -> None:
    make(eight)
    token = world.ledger.leases.acquire(world.spec, world.run())
    world.ledger.files.register(world.spec, token, world.run(), list(world.store.objects(world.bucket, PREFIX)))
    ledger.execute("truncate producer, producer_source, producer_chunk cascade")
    for key in world.keys(PREFIX):
        world.store.delete(world.bucket, key)
    other = tmp_path / "other.csv"
    other.write_text(HEADER + lines(50, 51))
    assert make(other).last_key == f"{PREFIX}dt={now():%Y-%m-%d}/chunk_4.csv"
    assert landed() == [body(50, 51)]
    assert make(eight).rows_so_far == 8
    assert landed() == [body(50, 51), body(1, 3), body(4, 6), body(7, 8)]


def test_a_second_producer_of_a_prefix_is_told_who_is_at_work(world: World, eight: Path, make: Make) -> None:
    def meanwhile(_: float) -> None:
        with (
            ledger_connection(world.where.ledger) as other,
            pytest.raises(ProducerBusy, match=f"{PREFIX} is being produced to by this test since 20"),
        ):
            produce(
                source(str(eight)),
                world.store,
                other,
                bucket=world.bucket,
                prefix=PREFIX,
                contract=TRANSACTIONS.contract,
                holder="the other",
                clock=now,
                log=world.said.append,
                sleep=lambda _: None,
            )

    assert make(eight, Pace(rows=4, every=1), sleep=meanwhile).chunks == 2


# What is refused -----------------------------------------------------------------------------------------------------


def test_a_source_that_grew_is_gone_on_with(eight: Path, make: Make, landed: Chunks) -> None:
    make(eight)
    eight.write_text(HEADER + lines(1, 10))
    assert make(eight).rows == 2
    assert landed() == [body(1, 3), body(4, 6), body(7, 8), body(9, 10)]


def test_a_source_made_anew_with_the_same_content_is_the_same_source(eight: Path, make: Make, world: World) -> None:
    make(eight)
    eight.unlink()
    eight.write_text(HEADER + lines(1, 8))
    assert make(eight).chunks == 0
    assert "the rows produced from it are the same" in " ".join(world.said)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (HEADER + lines(1, 4) + lines(15, 18), r"rows 4 to 6 \(chunk 2\) are others now"),
        (HEADER + lines(1, 5), r"rows 4 to 6 \(chunk 2\) are others now"),
        (HEADER.replace("fraud", "other") + lines(1, 8), "its header is another"),
    ],
    ids=["other rows", "fewer rows", "another header"],
)
def test_a_source_that_changed_is_refused(content: str, says: str, eight: Path, make: Make, landed: Chunks) -> None:
    make(eight)
    eight.write_text(content)
    with pytest.raises(SourceChanged, match=says):
        make(eight)
    assert len(landed()) == 3


def test_a_last_row_without_a_line_end_that_went_on_is_refused(tmp_path: Path, make: Make) -> None:
    path = tmp_path / "a.csv"
    path.write_text(HEADER + lines(1, 2).rstrip())
    make(path)
    path.write_text(HEADER + lines(1, 2).rstrip() + "1\n" + lines(3, 3))
    with pytest.raises(SourceChanged, match="its last row, which had no line end, is longer now"):
        make(path)
    path.write_text(HEADER + lines(1, 3))
    assert make(path).rows == 1


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        ("", SourceEmpty, "is empty"),
        (HEADER, SourceEmpty, "has a header and no rows"),
        (HEADER + "\n\r\n", SourceEmpty, "has a header and no rows"),
        ("step,customer\n1,'a'\n", HeaderUnfit, "its header lacks age, gender"),
    ],
)
def test_a_source_that_is_no_input_of_the_feed_writes_nothing(
    content: str, error: type[SluiceError], says: str, tmp_path: Path, make: Make, world: World
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    with pytest.raises(error, match=says):
        make(path)
    assert world.keys("") == []
    assert world.ledger.rows("select 1 from producer_source") == []
    path.write_text(HEADER + lines(1, 1))
    assert make(path).rows == 1


def test_an_s3_that_refuses_is_named_and_the_next_run_goes_on(eight: Path, make: Make, world: World, landed: Chunks) -> None:
    bucket, world.bucket = world.bucket, "no-such-bucket"
    with pytest.raises(EnvironmentFailure, match="bucket no-such-bucket does not exist"):
        make(eight)
    world.bucket = bucket
    assert make(eight).chunks == 3
    assert len(landed()) == 3


def test_a_connection_outside_autocommit_is_refused(world: World, eight: Path) -> None:
    with ledger_connection(world.where.ledger) as ledger:
        ledger.autocommit = False
        with pytest.raises(ValueError, match="autocommit"):
            produce(
                source(str(eight)),
                world.store,
                ledger,
                bucket=world.bucket,
                prefix=PREFIX,
                contract=TRANSACTIONS.contract,
                holder="x",
                clock=now,
                log=print,
            )


def test_the_tables_refuse_a_chunk_that_does_not_join(eight: Path, make: Make, ledger: psycopg.Connection) -> None:
    make(eight)
    with pytest.raises(psycopg.errors.CheckViolation, match="does not join the landed one before it"):
        ledger.execute(
            """insert into producer_chunk (bucket, prefix, number, source_id, key, first_row, last_row, first_byte, end_byte, sha256)
               select bucket, prefix, 99, source_id, 'k', 11, 12, end_byte, end_byte + 9, sha256 from producer_chunk where number = 3"""
        )


# The command ---------------------------------------------------------------------------------------------------------


def test_the_command_says_what_it_did_and_where_to_look(world: World, eight: Path) -> None:
    first = world.sluice("produce", str(eight), "--rows", "3", "--every", "0", "--limit", "2")
    assert "2 chunks, 6 rows" in first.stdout
    assert "6 rows of it so far; run it again to go on" in first.stdout
    assert f"{PREFIX}dt={now():%Y-%m-%d}/chunk_1.csv: rows 1 to 3" in first.stderr
    assert "the source is finished" in world.sluice("produce", str(eight), "--every", "0").stdout
    assert "nothing new: all 8 rows" in world.sluice("produce", str(eight)).stdout
    missing = world.sluice("produce", "nowhere.csv", check=2)
    assert re.fullmatch(r"sluice: .*nowhere.csv: there is no such file; nothing was written\n", missing.stderr)
