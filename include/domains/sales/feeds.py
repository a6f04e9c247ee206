"""The feeds of sales: the facts, and the four dimensions that say what they mean."""

from __future__ import annotations

from include.contract import (
    COUNT,
    NO_COUNT,
    Column,
    Contract,
    IsProduct,
    NotAfterFile,
    Stored,
    bigint,
    date,
    key_text,
    money,
    text,
    timestamp,
)
from include.feed import FeedSpec, OverwritePolicy
from include.files.keys import EVERY_FORMAT

SALES = FeedSpec(
    name="sales",
    group="sales",
    contract=Contract(
        version=2,
        columns=(
            bigint("customer_id"),
            bigint("store_id"),
            key_text("product_name"),
            date("sales_date"),
            bigint("sales_person_id"),
            money("price"),
            Column("quantity", matches=COUNT, stored=Stored.BIGINT, says=NO_COUNT),
            money("total_cost"),
        ),
        rules=(IsProduct("total_cost", "price", "quantity"), NotAfterFile("sales_date", days=1)),
        summed="total_cost",
    ),
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_in_order=True,
)

CUSTOMER = FeedSpec(
    name="customer",
    group="sales",
    contract=Contract(
        version=2,
        columns=(
            bigint("customer_id"),
            text("first_name", null=True),
            text("last_name", null=True),
            text("address", null=True),
            text("pincode", null=True),
            text("phone_number", null=True),
            timestamp("customer_joining_date", null=True),
        ),
    ),
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_in_order=True,
)

STORE = FeedSpec(
    name="store",
    group="sales",
    contract=Contract(
        version=2,
        columns=(
            bigint("id"),
            text("address", null=True),
            text("store_pincode", null=True),
            text("store_manager_name", null=True),
            timestamp("store_opening_date", null=True),
            text("reviews", null=True),
        ),
    ),
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_in_order=True,
)

PRODUCT = FeedSpec(
    name="product",
    group="sales",
    contract=Contract(
        version=2,
        columns=(
            bigint("id"),
            key_text("name"),
            money("current_price", null=True),
            money("old_price", null=True),
            timestamp("created_date", null=True),
            timestamp("updated_date", null=True),
            timestamp("expiry_date", null=True),
        ),
    ),
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_in_order=True,
)

SALES_TEAM = FeedSpec(
    name="sales_team",
    group="sales",
    contract=Contract(
        version=2,
        columns=(
            bigint("id"),
            text("first_name", null=True),
            text("last_name", null=True),
            bigint("manager_id", null=True),
            text("is_manager", null=True),
            text("address", null=True),
            text("pincode", null=True),
            timestamp("joining_date", null=True),
            bigint("store_id", null=True, optional=True),
        ),
    ),
    endings=EVERY_FORMAT,
    overwrite=OverwritePolicy.SUPERSEDE,
    delivers_in_order=True,
)

FEEDS = (SALES, CUSTOMER, STORE, PRODUCT, SALES_TEAM)
