"""Whatever the bounds let through fits every index there is: PostgreSQL takes 2,704 bytes a row of one, all its columns together."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import LiteralString, cast

import psycopg
import pytest
from psycopg import sql

from include.clients import ledger_connection
from include.contract import OF_A_KEY
from include.files.keys import LONGEST_KEY_BYTES
from sluice.runtime import Settings

VALUE = {bound.unit: bound.most for bound in OF_A_KEY}["bytes"]
BUCKET = 63  # of S3
KEY = LONGEST_KEY_BYTES
WORD = 40  # what code chooses: a feed, a state, a column's name, a digest
RUN = 4 * (250 + 250) + 20  # `airflow:`, a DAG and a run, 250 characters each
# How many bytes a text that lies in an index can have: by its column, or by its table and column.
MOST = {
    "bucket": BUCKET,
    "key": KEY,
    "prefix": KEY,
    "location": KEY,
    "run_id": RUN,
    "producer_source.version": KEY,
    "sha256": 64,
    "pattern_id": WORD,
    "merchant_id": VALUE,
    "customer_name": VALUE,
    "unresolved.value": VALUE,
    "product_name": VALUE,
    "dim_product.name": VALUE,
    **dict.fromkeys(
        ("feed", "group_name", "state", "step", "kind", "sales_month", "column", "what", "name", "from_state", "to_state", "item"), WORD
    ),
}
INDEXES = """
select n.nspname as schema, t.relname as table, i.relname as index, am.amname as method,
       array(select pg_get_indexdef(x.indexrelid, k, true) from generate_series(1, x.indnkeyatts) k) as keys
from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid join pg_namespace n on n.oid = t.relnamespace
join pg_am am on am.oid = i.relam
where n.nspname !~ '^(pg_|information_schema)' order by 1, 2, 3
"""
COLUMNS = """
select column_name as name, data_type as kind from information_schema.columns
where table_schema = %s and table_name = %s and is_generated = 'NEVER' order by ordinal_position
"""


def incompressible(size: int) -> str:
    """Text of so many bytes, four a character where it fits."""
    draw = random.Random(size)
    return "".join(chr(draw.randrange(0x20000, 0x2A000)) for _ in range(size // 4)) + "z" * (size % 4)


def filled(table: str, name: str) -> str:
    found = MOST.get(f"{table}.{name}", MOST.get(name))
    assert found is not None, f"how long can {table}.{name} be? A text that lies in an index needs a bound"
    return incompressible(found)


@pytest.fixture
def connection(where: Settings) -> Iterator[psycopg.Connection]:
    with ledger_connection(where.ledger) as opened:
        yield opened


def test_the_longest_values_fit_every_index(connection: psycopg.Connection) -> None:
    looked_at = []
    for schema, table, index, method, keys in connection.execute(INDEXES).fetchall():
        columns = dict(connection.execute(COLUMNS, (schema, table)).fetchall())
        texts = [name for name, kind in columns.items() if kind in {"text", "USER-DEFINED"} and any(name in key for key in keys)]
        if method != "btree" or not texts:
            continue
        held = sql.SQL(", ").join(
            sql.SQL("{}::text as {}").format(filled(table, name), sql.Identifier(name))
            if name in texts
            else sql.SQL("null::{} as {}").format(sql.SQL(cast("LiteralString", _type(kind))), sql.Identifier(name))
            for name, kind in columns.items()
        )
        connection.execute(sql.SQL("create temporary table probe as select {}").format(held))
        spelled = sql.SQL(", ").join(sql.SQL("({})").format(sql.SQL(key)) for key in keys)
        connection.execute(sql.SQL("create index on probe ({})").format(spelled))
        connection.execute("drop table probe")
        looked_at.append(index)
    assert {"detection_once", "unresolved_value", "price_difference_name", "dim_product_name", "product_month_pkey"} < {*looked_at}
    assert {"producer_source_current", "feed_source_pkey", "file_latest", "merchant_transaction_counts_pkey"} < {*looked_at}


def test_a_longer_value_does_not_fit(connection: psycopg.Connection) -> None:
    connection.execute("create temporary table probe (value text primary key)")
    with pytest.raises(psycopg.errors.ProgramLimitExceeded):
        connection.execute("insert into probe values (%s)", (incompressible(2_708),))


def _type(kind: str) -> str:
    return {"ARRAY": "text[]", "USER-DEFINED": "text"}.get(kind, kind)
