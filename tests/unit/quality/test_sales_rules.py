"""What the contracts of sales and its dimensions demand of each row, value by value and together."""

from __future__ import annotations

import dataclasses
import datetime as dt
from decimal import Decimal
from fractions import Fraction

import pyarrow as pa
import pytest

from include.contract import Bound, Contract, IsProduct
from include.domains.sales.feeds import CUSTOMER, PRODUCT, SALES, SALES_TEAM, STORE
from include.errors import UsageError
from include.files.verdict import Fault
from include.quality.bronze import FILE_ID, Digest, bronze_schema
from tests.unit.quality.desk import Desk, validated

GOOD = {
    "customer_id": "1",
    "store_id": "2",
    "product_name": "soap, green",
    "sales_date": "2026-11-20",
    "sales_person_id": "3",
    "price": "2.50",
    "quantity": "3",
    "total_cost": "7.50",
}
MOST, LEAST = 2**63 - 1, -(2**63)
BIGINTS = {"0": 0, "-1": -1, "007": 7, str(MOST): MOST, str(LEAST): LEAST, "-0": 0}
NO_BIGINTS = ["1.0", "1e2", "+1", " 1", "1 ", str(MOST + 1), str(LEAST - 1), "9" * 19, "1" * 20, "x", "-", "\u0663"]
DATES = ["2024-02-29", "2000-02-29", "1000-01-01", "2026-11-22", "2026-01-31"]
NO_DATES = [
    *("2026-02-29", "1900-02-29", "2026-04-31", "2026-13-01", "2026-00-10", "2026-1-05", "20261105", "2026-11-20T00:00:00", "0000-01-01"),
    *("21.11.2026", "2026-11-20 ", "\u0662026-11-20"),
]


def csv(*changes: dict[str, str], base: dict[str, str] = GOOD) -> bytes:
    """A header and a row a change of the good one."""
    rows = [",".join('"' + value.replace('"', '""') + '"' for value in {**base, **change}.values()) for change in changes]
    return "\n".join([",".join(base), *rows, ""]).encode()


def lenient(contract: Contract) -> Contract:
    return dataclasses.replace(contract, tolerance=Fraction(1))


def reasons(contract: Contract, content: bytes) -> dict[int, tuple[str, str]]:
    """By record, from 0: columns and rules that reject it."""
    verdict, desk = validated(content, contract=lenient(contract))
    assert verdict.fault is None
    return {int(reject["line"]) - 2: (reject["columns"], reject["rules"]) for reject in desk.rejects(verdict)}


def test_accepted_sales_lie_in_bronze_with_exact_types() -> None:
    verdict, desk = validated(csv({}, {"price": "999999999.99", "quantity": "1", "total_cost": "999999999.99"}), contract=SALES.contract)
    table = desk.bronze(verdict)
    assert table.schema.remove_metadata() == bronze_schema(SALES.contract)
    assert table.drop_columns([FILE_ID]).to_pylist() == [
        {
            "customer_id": 1,
            "store_id": 2,
            "product_name": "soap, green",
            "sales_date": dt.date(2026, 11, 20),
            "sales_person_id": 3,
            "price": price,
            "quantity": quantity,
            "total_cost": total,
            "additional_column": None,
            "_line": line,
        }
        for line, price, quantity, total in [
            (2, Decimal("2.50"), 3, Decimal("7.50")),
            (3, Decimal("999999999.99"), 1, Decimal("999999999.99")),
        ]
    ]
    digest = Digest()
    digest.update(table.drop_columns([FILE_ID]))
    assert digest.hexdigest() == verdict.bronze_digest


@pytest.mark.parametrize("column", ["customer_id", "store_id", "sales_person_id"])
def test_an_id_is_a_whole_number_that_a_bigint_holds(column: str) -> None:
    texts = [*BIGINTS, *NO_BIGINTS, ""]
    content = csv(*({column: text} for text in texts))
    rule = dict.fromkeys(NO_BIGINTS, "matches") | {"": "not_null"}
    assert reasons(SALES.contract, content) == {row: (column, rule[text]) for row, text in enumerate(texts) if text in rule}
    verdict, desk = validated(content, contract=lenient(SALES.contract))
    assert desk.bronze(verdict)[column].to_pylist() == [*BIGINTS.values()]
    assert desk.rejects(verdict)[0]["reasons"] == f"{column} is no whole number that a bigint holds"


def test_a_sales_date_is_of_the_calendar_and_at_most_a_day_after_the_files() -> None:
    late = ["2026-11-23", "9999-12-31"]
    texts = [*DATES, *NO_DATES, "", *late]
    rule = dict.fromkeys(NO_DATES, "matches") | {"": "not_null"} | dict.fromkeys(late, "not_after_file")
    content = csv(*({"sales_date": text} for text in texts))
    assert reasons(SALES.contract, content) == {row: ("sales_date", rule[text]) for row, text in enumerate(texts) if text in rule}
    verdict, desk = validated(content, contract=lenient(SALES.contract))
    assert desk.bronze(verdict)["sales_date"].to_pylist() == [dt.date.fromisoformat(text) for text in DATES]
    assert [reject["reasons"] for reject in desk.rejects(verdict)][-1] == "sales_date is more than 1 day after the file's date"


def test_each_piece_is_compared_with_the_date_of_its_own_file() -> None:
    desk = Desk(contract=lenient(SALES.contract))
    files = [desk.land(csv({"sales_date": "2026-11-22"}, {"sales_date": "2026-11-20"}), f"landing/transactions/{n}.csv") for n in range(2)]
    files[0] = dataclasses.replace(files[0], date=dt.date(2026, 11, 20))
    assert [verdict.rejected for verdict in desk.validate(files)] == [1, 0]


TOTALS = [
    ("2.50", "3", "7.50", None),
    ("2.5", "3", "7.5", None),
    ("0", "5", "0.00", None),
    ("0.1", "3", "0.30", None),
    ("333333333.33", "3", "999999999.99", None),
    ("1", "999999999", "999999999", None),
    ("2.50", "3", "7.51", "product"),
    ("2.50", "3", "7.49", "product"),
    ("0.01", str(MOST), "0.01", "product"),
    ("0.04", str(2**62), "0", "product"),  # 2^64 cents: nothing where products run over
    ("999999999.99", str(MOST), "1", "product"),
    ("0.00", str(MOST), "0", None),
    ("0.00", str(MOST), "0.01", "product"),
    ("-2.50", "3", "-7.50", "matches;matches"),
    ("2.500", "3", "7.50", "matches"),
    ("25e-1", "3", "7.50", "matches"),
    ("2.50", "0", "0.00", "matches"),
    ("2.50", "000", "1", "matches;product"),
    ("2.50", "-3", "7.50", "matches;product"),
    ("2.50", "3.0", "7.50", "matches"),
    ("2.50", str(MOST + 1), "7.50", "matches"),
    ("2.50", "", "7.50", "not_null"),
    ("", "", "", "not_null;not_null;not_null"),
    ("1000000000", "1", "1000000000", "matches;matches"),
]


def test_a_total_is_price_times_quantity_to_the_cent_exactly() -> None:
    content = csv(*({"price": price, "quantity": quantity, "total_cost": total} for price, quantity, total, _ in TOTALS))
    found = reasons(SALES.contract, content)
    assert [found.get(row, ("", None))[1] for row in range(len(TOTALS))] == [rules for *_, rules in TOTALS]
    verdict, desk = validated(content, contract=lenient(SALES.contract))
    assert desk.rejects(verdict)[0]["reasons"] == "total_cost is not price times quantity to the cent"
    entries = verdict.report["expectations"]
    assert isinstance(entries, list)
    assert entries[-2:] == [
        {"column": "total_cost", "rule": "product", "checked": len(TOTALS), "failed": 8},
        {"column": "sales_date", "rule": "not_after_file", "checked": len(TOTALS), "failed": 0},
    ]


def test_the_sum_of_prices_in_floats_would_not_do() -> None:
    cents = [*range(1, 400), *range(10**11 - 400, 10**11)]
    content = csv(*({"price": f"{n // 100}.{n % 100:02}", "quantity": "1", "total_cost": f"{n // 100}.{n % 100:02}"} for n in cents))
    assert reasons(SALES.contract, content) == {}


DIMENSIONS = {
    CUSTOMER.contract: ("customer_id",),
    STORE.contract: ("id",),
    PRODUCT.contract: ("id", "name"),
    SALES_TEAM.contract: ("id",),
}


@pytest.mark.parametrize("contract", DIMENSIONS, ids=["customer", "store", "product", "sales_team"])
def test_of_a_dimension_only_the_key_and_a_products_name_must_be_there(contract: Contract) -> None:
    full = dict.fromkeys(contract.names, "1") | {name: "2026-11-20" for name in contract.names if name.endswith("_date")}
    empty = {name: full[name] if name in DIMENSIONS[contract] else "" for name in contract.names}
    found = reasons(contract, csv({}, empty, dict.fromkeys(contract.names, ""), base=full))
    needed = DIMENSIONS[contract]
    assert found == {2: (";".join(needed), ";".join("not_null" for _ in needed))}


def test_dates_of_a_product_may_be_timestamps_and_are_kept_in_utc() -> None:
    good = {
        "2026-11-20": "2026-11-20T00:00:00",
        "2026-11-20 10:30": "2026-11-20T10:30:00",
        "2026-11-20T10:30:15.5": "2026-11-20T10:30:15.500000",
        "2026-11-20T10:30:15.123456Z": "2026-11-20T10:30:15.123456",
        "2026-11-20T23:30:00-05:30": "2026-11-21T05:00:00",
        "2026-11-20T01:00+0530": "2026-11-19T19:30:00",
        "9999-12-31": "9999-12-31T00:00:00",
        "9999-12-31T23:59:59+01": "9999-12-31T22:59:59",
        "": None,
    }
    bad = ["2026-02-30", "2026-11-20T24:00", "2026-11-20T10", "2026-11-20T10:30:15.1234567", "2026-11-20Z", "9999-12-31T20:00-05:00", "x"]
    base = {"id": "1", "name": "x", "current_price": "1", "old_price": "", "created_date": "", "updated_date": "", "expiry_date": ""}
    content = csv(*({"updated_date": text} for text in [*good, *bad]), base=base)
    assert reasons(PRODUCT.contract, content) == {len(good) + row: ("updated_date", "matches") for row in range(len(bad))}
    verdict, desk = validated(content, contract=lenient(PRODUCT.contract))
    assert desk.bronze(verdict)["updated_date"].type == pa.timestamp("us", "UTC")
    instants = desk.bronze(verdict)["updated_date"].to_pylist()
    assert [at and at.isoformat() for at in instants] == [text and f"{text}+00:00" for text in good.values()]


def test_extra_columns_are_kept_as_json_and_a_column_that_may_lack_is_null() -> None:
    base = dict.fromkeys(SALES_TEAM.contract.mandatory, "") | {"id": "5", "zone": "", "area": ""}
    verdict, desk = validated(csv({}, {"zone": "n"}, {"zone": "s", "area": "007"}, base=base), contract=SALES_TEAM.contract)
    table = desk.bronze(verdict)
    assert table["store_id"].to_pylist() == [None] * 3
    assert table["store_id"].type == pa.int64()
    assert table["additional_column"].to_pylist() == [None, '{"zone":"n"}', '{"area":"007","zone":"s"}']
    verdict, desk = validated(
        csv({}, {"store_id": "x"}, {"store_id": ""}, base=base | {"store_id": "7"}), contract=lenient(SALES_TEAM.contract)
    )
    assert (desk.bronze(verdict)["store_id"].to_pylist(), verdict.rejected) == ([7, None], 1)


def test_a_missing_column_condemns_the_file_and_names_what_is_missing_and_found() -> None:
    base = {name: value for name, value in GOOD.items() if name not in {"price", "store_id"}}
    verdict, _ = validated(csv({}, base=base | {"payment_mode": "cash"}), contract=SALES.contract)
    assert verdict.fault is Fault.COLUMN_MISSING
    assert verdict.reason == (
        "missing columns store_id, price "
        "(found: customer_id, product_name, sales_date, sales_person_id, quantity, total_cost, payment_mode)"
    )


def test_the_digest_of_a_contract_tells_its_rules_and_bounds() -> None:
    free = tuple(dataclasses.replace(column, is_key=False) for column in SALES.contract.columns)
    others = ({"rules": ()}, {"rules": SALES.contract.rules[:1]}, {"columns": free}, {"record": Bound("characters", 9)})
    assert len({SALES.contract.digest, *(dataclasses.replace(SALES.contract, **other).digest for other in others)}) == 5


def test_a_rule_on_a_column_that_is_not_there_is_refused() -> None:
    with pytest.raises(UsageError, match="names tax, which is none of its columns"):
        dataclasses.replace(SALES.contract, rules=(IsProduct("total_cost", "price", "tax"),))
