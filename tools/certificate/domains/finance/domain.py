"""Finance: two feeds that publish silver and gold together, with files in the lake behind them."""

from __future__ import annotations

from tools.certificate.domain import Domain
from tools.certificate.domains.finance import compared
from tools.certificate.domains.finance.stream import FUNDS, STOCKS, as_scheduled, finance
from tools.certificate.places import IN_LAKE, Effect

FINANCE = Domain(
    name="finance",
    feeds=(STOCKS, FUNDS),
    archived=frozenset({FUNDS}),
    dags=("finance_ingest",),
    stream=finance,
    scheduled=as_scheduled,
    sections=compared.SECTIONS,
    pointers="",
    never=(IN_LAKE - {Effect.SET, Effect.SWITCH}) | {Effect.DETECTION_FILE, Effect.MERGE},
    kinds_without=frozenset({"worker"}),
    faults=40,
)
