"""Synthetic sales: the same for the same arguments, and what is expected of them is what plain Python reads from the files."""

from __future__ import annotations

import csv
import datetime as dt
import filecmp
import gzip
import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sluice.generate.sales.command import Wish, request, to_folder
from sluice.generate.sales.errors import FolderTaken, NoRoom
from sluice.generate.sales.faults import About, rejects
from sluice.generate.sales.formats import Format
from sluice.generate.sales.plan import Request
from sluice.generate.sales.population import Sizes
from sluice.generate.sales.write import Generated

SMALL = Sizes(customers=400, stores=5, sellers=4, products=60)
COLUMNS = ["customer_id", "store_id", "product_name", "sales_date", "sales_person_id", "price", "quantity", "total_cost"]
START = dt.date(2026, 1, 20)
Row = dict[str, Any]


def asked(
    rows: int = 60_000, days: int = 30, *, seed: int = 3, formats: tuple[Format, ...] = tuple(Format), faults: bool = True
) -> Request:
    return request(Wish(None, rows, days, 64), seed, START, formats, SMALL, faults=faults)


def made(folder: Path, wanted: Request, processes: int = 1) -> Generated:
    return to_folder(wanted, folder, processes, lambda _: None)


# -- reading back, with nothing but the standard library and a Parquet reader ---------------------------------------------------


def records(path: Path) -> list[tuple[int, Row]]:
    """(line, values as they stand) of a file, by its ending."""
    if path.name.endswith(".parquet"):
        return [(line, dict(row)) for line, row in enumerate(pq.read_table(path).to_pylist(), start=1)]
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.name.endswith(".gz") else raw).decode()
    if ".csv" in path.name:
        return [(line, row) for line, row in enumerate(csv.DictReader(text.splitlines()), start=2)]
    return [(line, json.loads(row, parse_float=str, parse_int=str)) for line, row in enumerate(text.splitlines(), start=1)]


def number(value: Any) -> int | None:
    try:
        return int(str(value))
    except ValueError:
        return None


def cents(value: Any) -> int | None:
    """Money exact to the cent, or None."""
    try:
        exact = Decimal(str(value)) * 100
    except InvalidOperation:
        return None
    decimals = str(value).partition(".")[2]
    return int(exact) if len(decimals) <= 2 and exact == int(exact) else None


def date(value: Any) -> dt.date | None:
    try:
        return dt.date.fromisoformat(str(value))
    except ValueError:
        return None


def fact(row: Row, day: dt.date) -> tuple[int, int, str, dt.date, int, int, int, int] | None:
    """The row as numbers, None where it breaks the contract."""
    whole = [number(row[name]) for name in ("customer_id", "store_id", "sales_person_id", "quantity")]
    price, total, sold = cents(row["price"]), cents(row["total_cost"]), date(row["sales_date"])
    if None in whole or price is None or total is None or sold is None or not row["product_name"]:
        return None
    customer, store, seller, quantity = (int(value) for value in whole if value is not None)
    if quantity < 1 or total != price * quantity or sold > day + dt.timedelta(days=1):
        return None
    return customer, store, row["product_name"], sold, seller, price, quantity, total


class Shop:
    """What plain Python makes of the files up to a wave."""

    def __init__(self, folder: Path, wave: int) -> None:
        files = [(1, file) for file in sorted(folder.glob("*/dt=*/*"))]
        if wave > 1:
            files += [(2, file) for file in sorted(folder.glob("second-wave/*/dt=*/*"))]
        self.versions: dict[tuple[str, int], list[tuple[dt.date, int, Row]]] = defaultdict(list)
        self.counts: dict[tuple[int, str], tuple[int, int] | None] = {}
        in_force: dict[str, tuple[dt.date, list[Any]]] = {}
        hashes: set[str] = set()
        for of_wave, file in files:
            feed, day = file.parts[-3], dt.date.fromisoformat(file.parts[-2].removeprefix("dt="))
            if feed != "sales":
                self.describe(feed, day, file)
                continue
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            if digest in hashes:
                continue
            rows = records(file)
            place = of_wave, file.name
            if not set(COLUMNS) <= rows[0][1].keys():
                self.counts[place] = None
                continue
            good = [found for _, row in rows if (found := fact(row, day))]
            self.counts[place] = len(rows), len(good)
            if (len(rows) - len(good)) * 10 <= len(rows):
                hashes.add(digest)
                in_force[file.name] = day, good
        self.sold = [row for _, rows in in_force.values() for row in rows]

    def describe(self, feed: str, day: dt.date, file: Path) -> None:
        for line, row in records(file):
            key = int(row["customer_id" if feed == "customer" else "id"])
            since = date(row["updated_date"]) if feed == "product" else day
            assert since is not None
            self.versions[feed, key].append((since, line, row))

    def known(self, feed: str) -> set[int]:
        return {key for of, key in self.versions if of == feed}

    def prices(self) -> dict[str, list[tuple[dt.date, int]]]:
        """Prices by product name (the lowest id of a name), the newest first."""
        found: dict[str, list[tuple[dt.date, int]]] = {}
        for (feed, _), versions in sorted(self.versions.items(), key=lambda item: item[0], reverse=True):
            if feed == "product":
                *_, (_, _, newest) = sorted(versions, key=lambda version: version[:2])
                money = [(since, cents(row["current_price"]) or 0) for since, _, row in sorted(versions, key=lambda version: version[:2])]
                found[newest["name"]] = money[::-1]
        return found

    def team(self) -> dict[tuple[str, int, int], tuple[int, int]]:
        cells: dict[tuple[str, int, int], tuple[int, int]] = {}
        for _, store, _, sold, seller, _, _, total in self.sold:
            lines, so_far = cells.get((f"{sold:%Y-%m}", store, seller), (0, 0))
            cells[f"{sold:%Y-%m}", store, seller] = lines + 1, so_far + total
        return cells

    def customers(self) -> dict[tuple[str, int], tuple[int, int]]:
        cells: dict[tuple[str, int], tuple[int, int]] = {}
        for customer, _, _, sold, *_, total in self.sold:
            lines, so_far = cells.get((f"{sold:%Y-%m}", customer), (0, 0))
            cells[f"{sold:%Y-%m}", customer] = lines + 1, so_far + total
        return cells

    def winners(self) -> dict[tuple[str, int], dict[int, tuple[int, int]]]:
        """The top sellers of a month and store: total and incentive."""
        best: dict[tuple[str, int], int] = defaultdict(int)
        for (month, store, _), (_, total) in self.team().items():
            best[month, store] = max(best[month, store], total)
        won: dict[tuple[str, int], dict[int, tuple[int, int]]] = defaultdict(dict)
        for (month, store, seller), (_, total) in self.team().items():
            if total == best[month, store]:
                won[month, store][seller] = total, (total + 50) // 100
        return won

    def price_warnings(self) -> int:
        prices = self.prices()
        return sum(
            price != next((of for since, of in prices[name] if since <= sold), prices[name][-1][1])
            for _, _, name, sold, _, price, _, _ in self.sold
            if name in prices
        )

    def unresolved(self) -> dict[str, int]:
        customers, stores, sellers = (self.known(feed) for feed in ("customer", "store", "sales_team"))
        names = self.prices().keys()
        unknown: Counter[str] = Counter()
        for customer, store, name, _, seller, *_ in self.sold:
            unknown["customer_id"] += customer not in customers
            unknown["store_id"] += store not in stores
            unknown["sales_person_id"] += seller not in sellers
            unknown["product_name"] += name not in names
        return dict(unknown)


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("faulty") / "set"
    made(folder, asked())
    return folder


@pytest.fixture(scope="module")
def expected(faulty: Path) -> Any:
    return json.loads((faulty / "expected.json").read_text())


# -- what is written -------------------------------------------------------------------------------------------------------------


def paths(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_same_arguments_make_the_same_bytes_whatever_the_number_of_processes(faulty: Path, tmp_path: Path) -> None:
    made(tmp_path / "again", asked(), processes=2)
    assert paths(tmp_path / "again") == paths(faulty)
    same, different, missing = filecmp.cmpfiles(faulty, tmp_path / "again", paths(faulty), shallow=False)
    assert (len(same), different, missing) == (len(paths(faulty)), [], [])


def test_another_seed_makes_other_sales(tmp_path: Path) -> None:
    for seed in (1, 2):
        made(tmp_path / str(seed), asked(5000, 2, seed=seed, formats=(Format.CSV,), faults=False))
    one, two = (next((tmp_path / str(seed)).glob("sales/*/*")).read_text().splitlines() for seed in (1, 2))
    assert one[0] == two[0] == ",".join(COLUMNS)
    assert not set(one[1:]) & set(two[1:])


def test_every_row_asked_for_is_there_and_right_when_no_faults_are_planted(tmp_path: Path) -> None:
    done = made(tmp_path / "set", asked(12_345, 10, faults=False))
    shop = Shop(tmp_path / "set", 1)
    told = json.loads((tmp_path / "set" / "expected.json").read_text())
    assert len(shop.sold) == 12_345
    assert (shop.price_warnings(), shop.unresolved()) == (
        0,
        dict.fromkeys(("customer_id", "store_id", "sales_person_id", "product_name"), 0),
    )
    assert [wave["wave"] for wave in told["after_wave"]] == [1]
    assert {file["verdict"] for file in told["files"]} == {"accepted"}
    assert sum(file["rejected"] for file in told["files"]) == 0
    assert (done.files, done.rows) == (14, sum(file["lines"] for file in told["files"]))


def test_gigabytes_are_met_within_a_tenth(tmp_path: Path) -> None:
    for kind in Format:
        wanted = request(Wish(0.004, None, 2, 0.5), 1, START, [kind], SMALL, faults=False)
        made(tmp_path / kind, wanted)
        sizes = [path.stat().st_size for path in (tmp_path / kind).glob("sales/*/*")]
        assert sum(sizes) == pytest.approx(4_000_000, rel=0.1), kind
        assert max(sizes) < 600_000


def test_money_in_parquet_is_decimal_and_ids_are_bigints(faulty: Path) -> None:
    schema = pq.read_schema(next(faulty.glob("sales/*/*.parquet")))
    assert [str(schema.field(name).type) for name in COLUMNS[:8] if name in schema.names][-3:] == [
        "decimal128(12, 2)",
        "int64",
        "decimal128(12, 2)",
    ]
    assert str(schema.field("sales_date").type) == "date32[day]"


# -- what is expected of it ------------------------------------------------------------------------------------------------------


def test_each_file_has_the_bytes_lines_and_verdict_that_are_told(faulty: Path, expected: Any) -> None:
    counts = Shop(faulty, 1).counts | Shop(faulty, 2).counts
    tops = {1: faulty, 2: faulty / "second-wave"}
    for file in expected["files"]:
        path = tops[file["wave"]] / file["feed"] / f"dt={file['dt']}" / file["name"]
        assert hashlib.sha256(path.read_bytes()).hexdigest() == file["sha256"]
        assert path.stat().st_size == file["bytes"]
        assert len(records(path)) == file["rows"]
        if file["feed"] != "sales" or file["verdict"] == "duplicate":
            continue
        counted = counts[file["wave"], file["name"]]
        assert (file["lines"], file["accepted"]) == (counted or (None, None)), file["name"]
        assert file["rejected"] == (counted[0] - counted[1] if counted else None)
    assert len(paths(faulty)) == len(expected["files"]) + 3


@pytest.mark.parametrize("wave", [1, 2])
def test_totals_winners_and_what_is_unusual_are_what_plain_python_finds(faulty: Path, expected: Any, wave: int) -> None:
    shop, told = Shop(faulty, wave), expected["after_wave"][wave - 1]
    assert told["wave"] == wave
    assert (told["lines"], told["total_cents"]) == (len(shop.sold), sum(row[-1] for row in shop.sold))
    assert told["unresolved"] == shop.unresolved()
    assert told["price_warnings"] == shop.price_warnings()
    assert {
        (month["month"], store["store_id"]): {
            one["sales_person_id"]: (one["total_cents"], one["incentive_cents"]) for one in store["winners"]
        }
        for month in told["months"]
        for store in month["stores"]
    } == shop.winners()
    by_month: Counter[str] = Counter()
    for row in shop.sold:
        by_month[f"{row[3]:%Y-%m}"] += row[-1]
    assert {month["month"]: month["total_cents"] for month in told["months"]} == by_month
    assert len(by_month) == 2


@pytest.mark.parametrize("wave", [1, 2])
def test_every_cell_of_both_marts_is_what_plain_python_finds(faulty: Path, wave: int) -> None:
    shop = Shop(faulty, wave)
    customers = {
        (row["month"], int(row["customer_id"])): (int(row["lines"]), int(row["total_cents"])) for row in cells(faulty, "customers", wave)
    }
    team, paid = {}, {}
    for row in cells(faulty, "team", wave):
        key = row["month"], int(row["store_id"]), int(row["sales_person_id"])
        team[key] = int(row["lines"]), int(row["total_cents"])
        paid[key] = int(row["incentive_cents"])
    assert customers == shop.customers()
    assert team == shop.team()
    won = shop.winners()
    assert paid == {key: won[key[0], key[1]].get(key[2], (0, 0))[1] for key in team}


def cells(folder: Path, mart: str, wave: int) -> Iterator[dict[str, str]]:
    with (folder / f"expected_{mart}.csv").open() as lines:
        yield from (row for row in csv.DictReader(lines) if int(row["wave"]) == wave)


# -- faults ----------------------------------------------------------------------------------------------------------------------


def test_every_kind_of_fault_is_planted(expected: Any) -> None:
    planted: Counter[str] = Counter()
    for file in expected["files"]:
        planted.update(file["planted"])
    assert planted.keys() == {kind.name for kind in rejects(START, typed=False)}
    assert {file["about"] for file in expected["files"]} == {about.value for about in About}
    verdicts = {About(file["about"]): file["verdict"] for file in expected["files"]}
    assert {about for about, verdict in verdicts.items() if verdict == "quarantined"} == {
        About.MISSING_COLUMN,
        About.TOO_MANY_REJECTS,
        About.BAD_REPLACEMENT,
    }
    assert verdicts[About.COPY] == "duplicate"


def test_the_rejected_rows_are_where_the_list_says(faulty: Path, expected: Any) -> None:
    tops = {1: faulty, 2: faulty / "second-wave"}
    listed = 0
    for file in expected["files"]:
        if file["feed"] != "sales" or not file.get("rejects") or file["lines"] is None:
            continue
        day = dt.date.fromisoformat(file["dt"])
        rows = records(tops[file["wave"]] / "sales" / f"dt={file['dt']}" / file["name"])
        assert {one["line"] for one in file["rejects"]} == {line for line, row in rows if fact(row, day) is None}
        assert all(one["column"] in COLUMNS for one in file["rejects"])
        listed += 1
    assert listed > 20


def test_two_sellers_tie_and_both_are_paid(expected: Any) -> None:
    ties = [store for wave in expected["after_wave"] for month in wave["months"] for store in month["stores"] if len(store["winners"]) > 1]
    assert {store["store_id"] for store in ties} == {101 + SMALL.stores}
    assert len(ties) == 4
    assert all(len({winner["incentive_cents"] for winner in store["winners"]}) == 1 for store in ties)


def test_a_late_file_changes_who_wins(expected: Any) -> None:
    changed = expected["winners_changed"]
    assert changed
    assert all(one["before"] != one["after"] for one in changed)
    assert {"2026-01", "2026-02"} == {one["month"] for one in changed}


def test_what_is_told_late_resolves_what_was_not_known(expected: Any) -> None:
    first, second = expected["after_wave"]
    assert first["unresolved"]["customer_id"] > second["unresolved"]["customer_id"] > 0
    assert first["price_warnings"] > second["price_warnings"] > 0
    assert all(second["unresolved"].values())


def test_prices_change_sellers_move_and_two_products_share_a_name(faulty: Path) -> None:
    shop = Shop(faulty, 2)
    of_feed = {
        feed: [versions for (of, _), versions in shop.versions.items() if of == feed] for feed in ("product", "sales_team", "customer")
    }
    prices = [{cents(row["current_price"]) for _, _, row in versions} for versions in of_feed["product"]]
    stores = [{number(row["store_id"]) for _, _, row in versions} for versions in of_feed["sales_team"]]
    addresses = [{row["address"] for _, _, row in versions} for versions in of_feed["customer"]]
    names = Counter(name for versions in of_feed["product"] for name in {row["name"] for _, _, row in versions})
    assert sum(len(some) == 2 for some in prices) == 6
    assert sum(len(some) == 2 for some in stores) == 2
    assert sum(len(some) == 2 for some in addresses) == 10
    assert [count for count in names.values() if count > 1] == [2]


# -- refusals --------------------------------------------------------------------------------------------------------------------


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    with pytest.raises(FolderTaken, match="is not empty"):
        made(tmp_path, asked(1000, 1, faults=False))
    assert paths(tmp_path) == ["mine"]


def test_a_set_larger_than_the_disk_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    wanted = request(Wish(10_000_000, None, 1, 64), 1, START, [Format.CSV], SMALL, faults=False)
    with pytest.raises(NoRoom, match="MB are needed and"):
        made(tmp_path / "deep" / "set", wanted)
    assert paths(tmp_path) == []


def test_a_file_that_cannot_be_finished_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.generate.sales.fact_file.lines", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        made(tmp_path / "set", asked(1000, 1, formats=(Format.CSV,), faults=False))
    assert [path for path in paths(tmp_path / "set") if path.startswith("sales/") or path.endswith(".part")] == []
