"""Each benchmark in its smallest form, on the services of the tests, with a ledger and a bucket of its own: it runs, and all ways agree."""

from __future__ import annotations

import os
from collections.abc import Mapping

import pytest

from include.clients import s3_client
from include.domains import feed_named
from sluice.generate.sales.command import Wish
from sluice.generate.sales.population import Sizes
from sluice.runtime import Settings, new_id, open_ports, settings
from sluice.services.state import State
from tests.integration.stack import clear
from tools.benchmarks import __main__ as transactions
from tools.benchmarks.finance import __main__ as finance
from tools.benchmarks.finance.world import FinanceWorld
from tools.benchmarks.inputs import SMALLEST
from tools.benchmarks.sales import __main__ as sales
from tools.benchmarks.sales.world import SalesWorld
from tools.benchmarks.table import Row
from tools.benchmarks.world import TransactionsWorld


@pytest.fixture
def where(services: Mapping[str, str], database: str, state: State, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """An empty database and an empty bucket, named by the environment, which the processes of a benchmark read too."""
    clear(state, database)
    for variable, value in {**services, "PGDATABASE": database, "SLUICE_BUCKET": f"bench-{new_id()}"}.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.delenv("PGOPTIONS", raising=False)
    found = settings(os.environ)
    s3_client(found.s3).create_bucket(Bucket=found.s3.bucket)
    return found


def figures(rows: list[Row]) -> dict[str, set[str]]:
    """The measurements, each with the ways that have a figure."""
    for row in rows:
        assert row.ours is None or row.ours >= 0, row
    return {row.measurement: ({"sluice"} if row.ours is not None else set()) | set(row.peers) for row in rows}


@pytest.mark.parametrize(
    ("measure", "expected"),
    [
        ("memory", {"memory, all together: most at work": {"sluice"}}),
        ("catchup", {"catch-up: detections": {"sluice", "DuckDB cold", "DuckDB warm"}}),
        ("paced", {"paced, follow: p95": {"sluice"}, "paced: detections": {"sluice"}}),
        ("growth", {"a batch of one file, an almost empty state": {"sluice"}}),
        ("empty", {"an empty run, sluice ingest": {"sluice"}, "discovery of 30 new objects": {"sluice"}}),
    ],
)
def test_transactions(measure: str, expected: dict[str, set[str]], where: Settings, state: State) -> None:
    with open_ports(where, feed_named("transactions"), lambda _: None) as ports:
        found = figures(list(transactions.measured(TransactionsWorld(state, ports, where, None), [measure], SMALLEST)))
    assert found.items() >= expected.items()


def test_sales_is_what_the_generator_expects(where: Settings, state: State) -> None:
    """By the peer that takes seconds; ours does the same through the same command as in test_sales_command.py."""
    world = SalesWorld(state, where)
    found = figures(list(sales.measured(world, ["duckdb"], Wish(None, 2_000, 1, 64), 500, Sizes(200, 10, 3, 20))))
    assert next(ways for name, ways in found.items() if name.endswith("MB more: all")) == {"duckdb"}


def test_finance_agrees_in_all_ways(where: Settings, state: State) -> None:
    found = figures(list(finance.measured(FinanceWorld(state, where), ["sluice", "duckdb"], 1_000, 50)))
    assert found["all"] == {"sluice", "duckdb"}
