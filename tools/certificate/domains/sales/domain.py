"""Sales: facts and their four dimensions, published together, with a lake and finished sets behind them."""

from __future__ import annotations

import datetime as dt

from include.domains.sales.parquet_export import ParquetExport
from include.pipeline.ports import Ports
from tools.certificate.domain import Domain, FollowUp
from tools.certificate.domains.sales import compared
from tools.certificate.domains.sales.stream import FACTS, sales
from tools.certificate.places import Effect

_OLD_SECONDS = 2 * 3600.0


def refresh(ports: Ports, later: float) -> None:
    """What the asset of a publication wakes; where nothing was published since the last time, only `later` is a reason to."""
    export = ParquetExport(ports.ledger.session, ports.store, ports.bucket, ports.job, ports.new_id)
    published = ports.ledger.rows("select coalesce(max(batch), 0) as batch from batch where state = 'published'")
    if later or export.current().batch != published[0]["batch"]:
        export.refresh(ports.clock() + dt.timedelta(seconds=later), ports.log)


SALES = Domain(
    name="sales",
    feeds=(FACTS, "customer", "store", "product", "sales_team"),
    archived=frozenset({"customer", "store"}),
    dags=("sales_ingest", "dimensions_ingest", "sales_marts"),
    stream=sales,
    scheduled=sales,
    sections=compared.SECTIONS,
    pointers="select key from sales.dimension_state",
    never=frozenset({Effect.DETECTION_FILE, Effect.MERGE}),
    kinds_without=frozenset({"worker"}),
    faults=30,
    follow_up=FollowUp(refresh, compared.sets_are_current, compared.named_by_the_list, compared.written_by_refreshes, _OLD_SECONDS),
)
