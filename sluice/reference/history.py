"""The loads there were."""

from __future__ import annotations

from typing import Any

import psycopg
from psycopg.rows import dict_row

from include.ledger.session import map_driver_errors


def history(ledger: psycopg.Connection, feed: str) -> list[dict[str, Any]]:
    """Every load of a feed's references, the newest last."""
    with map_driver_errors(), ledger.cursor(row_factory=dict_row) as cursor:
        return cursor.execute("select * from reference where feed = %s order by name, version", (feed,)).fetchall()
