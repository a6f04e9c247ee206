"""Sales: facts and their four dimensions, published together, with a lake and finished sets behind them."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING

from certificate.domain import Domain, FollowUp
from certificate.domains.sales import compared, lake
from certificate.domains.sales.stream import FACTS, sales
from certificate.places import Effect
from include.stores.sales.sets import Sets

if TYPE_CHECKING:
    from include.ingestion.ports import Ports

_OLD_SECONDS = 2 * 3600.0


def refresh(ports: Ports, later: float) -> None:
    """What the asset of a publication wakes; where nothing was published since the last time, only `later` is a reason to."""
    sets = Sets(ports.ledger, ports.store, ports.bucket, ports.job, ports.new_id)  # type: ignore[arg-type]
    published = ports.ledger.rows("select coalesce(max(batch), 0) as batch from batch where state = 'published'")  # type: ignore[attr-defined]
    if later or sets.now().batch != published[0]["batch"]:
        sets.refresh(ports.clock() + dt.timedelta(seconds=later), ports.say)


SALES = Domain(
    name="sales",
    feeds=(FACTS, "customer", "store", "product", "sales_team"),
    archived=frozenset({"customer", "store"}),
    dags=("sales_ingest", "dimensions_ingest", "sales_marts"),
    stream=sales,
    scheduled=sales,
    looks={
        **{f"sales.{name}": compared.of_table(name) for name in compared.TABLES},
        "upsert": compared.upserts,
        **{f"row of the lake's {name}": lake.of_table(name) for name in lake.TABLES},
        **{f"row of the set {name}": lake.of_set(name) for name in lake.SETS},
    },
    pointers="select key from sales.dimension_state",
    never=frozenset({Effect.DETECTION_FILE, Effect.MERGE}),
    kinds_without=frozenset({"worker"}),
    blows=30,
    follow_up=FollowUp(refresh, lake.sets_are_current, lake.named_by_the_list, lake.written_by_refreshes, _OLD_SECONDS),
)
