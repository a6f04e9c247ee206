"""Finance: two feeds that publish silver and gold together, with files in the lake behind them."""

from __future__ import annotations

from certificate.domain import Domain
from certificate.domains.finance import compared, lake
from certificate.domains.finance.stream import FUNDS, STOCKS, as_scheduled, finance
from certificate.places import IN_LAKE, Effect

FINANCE = Domain(
    name="finance",
    feeds=(STOCKS, FUNDS),
    archived=frozenset({FUNDS}),
    dags=("finance_ingest",),
    stream=finance,
    scheduled=as_scheduled,
    looks={
        **{f"finance.{name}": compared.of_table(name) for name in compared.TABLES},
        **{f"latest {name}": compared.of_latest(name) for name in compared.LATEST},
        "as of each batch": compared.as_of_each_batch,
        "finished set": lake.sets,
        **{f"row of the finished set {name}": lake.of_set(name) for name in lake.SETS},
    },
    pointers="",
    never=(IN_LAKE - {Effect.SET, Effect.SWITCH}) | {Effect.DETECTION_FILE, Effect.MERGE},
    kinds_without=frozenset({"worker"}),
    blows=40,
)
