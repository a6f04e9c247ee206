"""What files of sales promise (DESIGN 6)."""

from __future__ import annotations

from include.ingestion.contract import COUNT, NO_COUNT, Column, Contract, IsProduct, NotAfterFile, Stored, bigint, date, money, text

SALES = Contract(
    version=1,
    columns=(
        bigint("customer_id"),
        bigint("store_id"),
        text("product_name"),
        date("sales_date"),
        bigint("sales_person_id"),
        money("price"),
        Column("quantity", matches=COUNT, stored=Stored.BIGINT, says=NO_COUNT),
        money("total_cost"),
    ),
    rules=(IsProduct("total_cost", "price", "quantity"), NotAfterFile("sales_date", days=1)),
    summed="total_cost",
)
