"""How the certificate reads finance: what was known as of a batch, and what the files in the lake say in each format."""

from __future__ import annotations

import dataclasses
import datetime as dt
import json
import random
from decimal import Decimal
from typing import Any

import pytest

from include.domains.finance.feeds import FORMATS
from tests import naive_finance as naive
from tests.unit.tools.certificate.bucket import Bucket
from tools.certificate.domains.finance import compared, known
from tools.certificate.domains.finance.domain import FINANCE
from tools.certificate.domains.finance.stream import BROKEN_LINE
from tools.certificate.records import Names

NOON = dt.datetime(2026, 4, 1, 12, tzinfo=dt.UTC)


def drawn(chance: random.Random, feed: str) -> dict[str, Any]:
    at = NOON + dt.timedelta(hours=13 * chance.randint(-2, 2))
    row = {"company_id": chance.randint(1, 3), "timestamp": at}
    if feed == naive.FUNDS:
        return row | {"fund_id": chance.randint(1, 3), "name": None, "holdings": Decimal(chance.randrange(10**7)) / 10**6}
    price = Decimal(chance.randrange(10**7)) / 10**6
    of_company = {"exchange": chance.choice((None, "X")), "sector": chance.choice("ab"), "symbol": "S"}
    return row | of_company | {"stock_id": chance.randint(1, 3), "price": price, "volume": chance.randint(0, 9)}


def as_in_bronze(feed: str, line: int, row: dict[str, Any]) -> dict[str, Any]:
    at = "fund_timestamp" if feed == naive.FUNDS else "stock_timestamp"
    return {at if name == "timestamp" else name: value for name, value in row.items()} | {"_line": line}


@pytest.mark.parametrize("seed", range(20))
def test_what_is_known_with_each_batch_is_what_the_tests_own_evaluation_says(seed: int) -> None:
    chance = random.Random(seed)
    files: list[naive.File] = []
    for number in range(1, 9):
        feed = chance.choice((naive.STOCKS, naive.FUNDS))
        rows = {line: drawn(chance, feed) for line in range(1, chance.randint(2, 6))}
        files.append(naive.File(feed, number, number, (number + 1) // 2, rows))
    read = [known.File(one.feed, one.seq, one.batch, [as_in_bronze(one.feed, *line) for line in one.rows.items()]) for one in files]
    for batch in range(5):
        expected = dataclasses.asdict(naive.published(files, batch))
        found = {name: [tuple(row.values()) for row in rows] for name, rows in known.as_of(read, batch).items()}
        assert [sorted(rows, key=repr) for rows in found.values()] == [sorted(rows, key=repr) for rows in expected.values()], batch


def named(bucket: Bucket, written_as: str, *keys: str, batch: int = 2) -> None:
    """Let `current.json` name objects of silver."""
    there = {stamp.key: stamp for stamp in bucket.objects("bucket", "")}
    folder = f"lake/finance/silver/{written_as}/"
    objects = [{"key": key, "size": there[key].size, "etag": there[key].etag} for key in keys]
    current = {"batch": batch, "published_at": NOON.isoformat(), "rows": 1, "folder": f"{folder}v={batch}/", "objects": objects}
    bucket.kept[f"{folder}current.json"] = json.dumps(current).encode()


def newest() -> Bucket:
    return Bucket([{"batch": 2, "published_at": NOON}])


@pytest.mark.parametrize(
    ("written_as", "objects", "expected"),
    [
        ("csv", {"part-00000.csv": b'company_id,stock_id,fund_id,symbol\n7,1,2,"a ""b"""\n'}, ("7", "1", "2", 'a "b"')),
        ("json", {"part-00000.json": b'{"company_id": 7, "stock_id": 1, "fund_id": 2, "symbol": null}\n'}, (7, 1, 2, None)),
    ],
)
def test_a_set_of_text_is_read_as_it_is_written(written_as: str, objects: dict[str, bytes], expected: tuple[Any, ...]) -> None:
    bucket = newest()
    folder = f"lake/finance/silver/{written_as}/v=2/"
    bucket.kept |= {folder + name: body for name, body in objects.items()}
    named(bucket, written_as, *(folder + name for name in objects))
    assert compared.finished_set("silver")(bucket.records()) == {
        "7, 1, 2": dict(zip(("company_id", "stock_id", "fund_id", "symbol"), expected, strict=True))
    }


def test_of_a_delta_set_the_rows_are_those_that_its_log_adds() -> None:
    bucket, folder = newest(), "lake/finance/silver/delta/v=2/"
    for name, stock in (("part-00000.parquet", 1), ("not_in_the_log.parquet", 3)):
        bucket.put_parquet(folder + name, {"company_id": [7], "stock_id": [stock], "fund_id": [2]})
    log = f"{folder}_delta_log/{0:020d}.json"
    bucket.kept[log] = json.dumps({"add": {"path": "part-00000.parquet", "partitionValues": {}}}).encode()
    named(bucket, "delta", f"{folder}part-00000.parquet", log)
    assert list(compared.finished_set("silver")(bucket.records())) == ["7, 1, 2"]


def test_a_set_that_is_out_of_date_or_changed_is_shown_and_so_is_what_no_batch_wrote() -> None:
    bucket = newest()
    old, part, ahead = (f"lake/finance/silver/csv/v={batch}/part-00000.csv" for batch in (1, 2, 3))
    bucket.kept |= {old: b"1", part: b"2"}
    named(bucket, "csv", part)
    right = {"rows": 1, "of the newest batch": True, "in a folder of its own": True, "changed": []}
    assert compared.current_sets(bucket.records()) == {"silver as csv": right}
    bucket.kept |= {part: b"other", ahead: b"3"}
    found = compared.current_sets(bucket.records())
    assert found.pop(f"{ahead}, which no batch wrote")
    assert found == {"silver as csv": right | {"changed": [part]}}
    del bucket.kept[ahead]
    named(bucket, "csv", old, batch=1)
    assert compared.current_sets(bucket.records()) == {"silver as csv": right | {"of the newest batch": False}}


def test_four_seeds_have_all_formats_and_every_stream_has_every_fault() -> None:
    streams = [FINANCE.stream(seed) for seed in range(1, 5)]
    assert {stream.parameters["output_format"] for stream in streams} == set(FORMATS)
    assert FINANCE.scheduled(3).parameters["output_format"] == "parquet"
    for stream in streams:
        landed = [body for wave in stream.waves for _, body in wave.objects]
        assert sum(f"{BROKEN_LINE}\n".encode() in body for body in landed) == 2
        assert len(set(landed)) == len(landed) - 2, "the copies"


def test_a_replacement_is_named_by_the_file_it_stands_for() -> None:
    names = Names({7: ("stocks", 3)})
    assert names.text("fixes/stocks/dt=2026-11-01/replacement=7.4a8f/a.json") == (
        "fixes/stocks/dt=2026-11-01/replacement of stocks seq 3/a.json"
    )
