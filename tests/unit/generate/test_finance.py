"""Synthetic stocks and mutual funds."""

from __future__ import annotations

import datetime as dt
import io
import json
from collections import Counter, defaultdict
from dataclasses import replace

from include.domains import feed_named
from sluice.generate.finance import EventFile, Wish, files, write
from tests.unit.quality.desk import validated

WISH = Wish(rows=1000, days=3, file_rows=150, companies=20, first=dt.date(2026, 1, 1), seed=7)


def body(file: EventFile, wish: Wish = WISH) -> bytes:
    out = io.BytesIO()
    write(wish, file, out)
    return out.getvalue()


def test_a_wish_is_kept_to_the_row_in_files_of_bounded_size() -> None:
    made = [*files(WISH)]
    assert sum(file.rows for file in made) == 1000
    assert max(file.rows for file in made) == 150
    assert Counter(file.feed for file in made for _ in range(file.rows)) == {"stocks": 667, "mutual_funds": 333}
    assert {file.day for file in made} == {dt.date(2026, 1, day) for day in (1, 2, 3)}
    assert len({file.key for file in made}) == len(made)
    assert {file.name.rpartition(".")[2] for file in made} == {"json", "jsonl"}


def test_the_same_wish_makes_the_same_bytes_and_another_seed_others() -> None:
    file = next(iter(files(WISH)))
    assert body(file) == body(file)
    assert body(file) != body(file, Wish(**{**WISH.__dict__, "seed": 8}))


def test_every_row_is_accepted_and_each_id_has_one_company() -> None:
    companies: dict[tuple[str, int], set[int]] = {}
    for file in files(WISH):
        verdict, desk = validated(body(file), key=file.key, contract=feed_named(file.feed).contract)
        assert (verdict.fault, verdict.accepted) == (None, file.rows), verdict.reason
        key = "stock_id" if file.feed == "stocks" else "fund_id"
        for row in desk.bronze(verdict).to_pylist():
            companies.setdefault((file.feed, row[key]), set()).add(row["company_id"])
    assert all(len(found) == 1 for found in companies.values())
    both = [{next(iter(found)) for (feed, _), found in companies.items() if feed == name} for name in ("stocks", "mutual_funds")]
    assert both[0] & both[1]
    assert both[0] ^ both[1]
    array = next(file for file in files(WISH) if file.is_array)
    assert len(json.loads(body(array))) == array.rows


def test_bad_events_come_on_top_are_refused_for_every_reason_and_change_no_good_one() -> None:
    bad = replace(WISH, rows=9000, file_rows=800, faults=True)
    refused: dict[tuple[str, bool], Counter[tuple[str, ...]]] = defaultdict(Counter)
    for file in files(bad):
        verdict, desk = validated(body(file, bad), key=file.key, contract=feed_named(file.feed).contract)
        assert (verdict.fault, verdict.accepted, verdict.rejected) == (None, file.rows, file.rows // 100), verdict.reason
        good = replace(file, bad=0)
        same, without = validated(body(good, replace(bad, faults=False)), key=file.key, contract=feed_named(file.feed).contract)
        assert desk.bronze(verdict).drop_columns("_line") == without.bronze(same).drop_columns("_line")
        refused[file.feed, file.is_array].update(tuple(row["columns"].split(",")) for row in desk.rejects(verdict))
    for (feed, is_array), columns in refused.items():
        key, amount = ("stock_id", "price") if feed == "stocks" else ("fund_id", "holdings")
        assert set(columns) == {("company_id",), (amount,), ("timestamp",), (key,), *([] if is_array else [("",)])}
    assert len(refused) == 4
