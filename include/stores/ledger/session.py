"""A connection to the ledger: transactions that name their run, check their lease, and fail in the core's own words."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.rows import DictRow, dict_row

from include.ingestion.errors import EnvironmentFailure, LeaseLost
from include.ingestion.feed import FeedSpec
from include.ingestion.run import Run

Cursor = psycopg.Cursor[DictRow]

_QUOTING_LINES = re.compile(r"\n\s*(?:DETAIL|CONTEXT|LINE \d+|HINT|STATEMENT|WHERE):", re.IGNORECASE)
_QUOTED_INPUT = re.compile(r"(invalid input [^:]*|[^:]* out of range[^:]*|malformed [^:]*): \".*\"", re.DOTALL)
# A server that is starting, stopping, out of connections, memory or disk: nothing the caller did, and it may pass.
_PASSING = (psycopg.OperationalError, psycopg.InterfaceError)


class LedgerSession:
    """What every part of the ledger shares."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._open: psycopg.Connection | None = None

    def close(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None

    @property
    def connection(self) -> psycopg.Connection:
        """The connection, opened when first needed and again after it broke."""
        if self._open is None or self._open.closed:
            self._open = self._connect()
        return self._open

    @contextmanager
    def transaction(self, run: Run | None = None, attempt: str = "") -> Iterator[Cursor]:
        """One transaction; the events it causes carry the run and the attempt."""
        with translated(), self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
            if run is not None:
                cursor.execute("select set_config('sluice.run', %s, true), set_config('sluice.attempt', %s, true)", (run.run_id, attempt))
            yield cursor

    @contextmanager
    def fenced(self, spec: FeedSpec, token: int, run: Run | None = None, attempt: str = "") -> Iterator[Cursor]:
        """A transaction that only the newest holder of the lease gets; it holds the group's row, so others wait for it."""
        with self.transaction(run, attempt) as cursor:
            check_token(cursor, spec, token)
            yield cursor

    def rows(self, statement: str, values: Any = ()) -> list[DictRow]:
        """What a query answers."""
        with translated(), self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), values).fetchall()

    def row(self, statement: str, values: Any = ()) -> DictRow | None:
        return next(iter(self.rows(statement, values)), None)


def check_token(cursor: Cursor, spec: FeedSpec, token: int) -> None:
    """Lock the group's row and refuse any token but the newest."""
    cursor.execute("select lease_token from feed_group where group_name = %s for update", (spec.group,))
    newest = cursor.fetchone()
    if newest is None or newest["lease_token"] != token:
        raise LeaseLost(spec.name, token)


@contextmanager
def translated() -> Iterator[None]:
    """Turn a broken connection or an ailing server into `EnvironmentFailure`, and take values of rows out of what others say."""
    try:
        yield
    except _PASSING as failed:
        what = " ".join(without_values(str(failed)).split()) or type(failed).__name__
        raise EnvironmentFailure("PostgreSQL", what) from None
    except psycopg.Error as failed:
        raise type(failed)(without_values(str(failed))) from None


def without_values(said: str) -> str:
    r"""What PostgreSQL says, without the lines in which it quotes rows and statements: errors end in logs, and values never may.

    >>> without_values('null value in column "n"\nDETAIL:  Failing row contains (7, Ann).\nCONTEXT:  COPY found, line 3: "Ann"')
    'null value in column "n"'
    >>> without_values('invalid input syntax for type bigint: "Ann"')
    'invalid input syntax for type bigint: "..."'
    """
    first = _QUOTING_LINES.split(said, maxsplit=1)[0].strip()
    return _QUOTED_INPUT.sub(r'\1: "..."', first)
