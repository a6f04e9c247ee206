"""A connection to the ledger: transactions that name their run, check their lease, and fail in the core's own words."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import psycopg
from psycopg.abc import Params
from psycopg.rows import DictRow, class_row, dict_row

from include.errors import LeaseLost, PassingConflict, RuleViolated
from include.feed import FeedSpec
from include.ledger.sqlstate import blamed, without_values
from include.run import Run

Cursor = psycopg.Cursor[DictRow]

P = ParamSpec("P")
R = TypeVar("R")

_PAUSES = (0.05, 0.2, 0.8)
"""Seconds between tries at a transaction that others were in the way of."""


class LedgerSession:
    """What every part of the ledger shares."""

    def __init__(self, connect: Callable[[], psycopg.Connection]) -> None:
        self._connect = connect
        self._open: psycopg.Connection | None = None

    def another(self) -> LedgerSession:
        """A session on a connection of its own, for another thread."""
        return type(self)(self._connect)

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
        with map_driver_errors(), self.connection.transaction(), self.connection.cursor(row_factory=dict_row) as cursor:
            if run is not None:
                cursor.execute("select set_config('sluice.run', %s, true), set_config('sluice.attempt', %s, true)", (run.run_id, attempt))
            yield cursor

    @contextmanager
    def fenced(self, spec: FeedSpec, token: int, run: Run | None = None, attempt: str = "") -> Iterator[Cursor]:
        """A transaction that only the newest holder of the lease gets; it holds the group's row, so others wait for it."""
        with self.transaction(run, attempt) as cursor:
            check_token(cursor, spec, token)
            yield cursor

    def rows(self, statement: str, values: Params = ()) -> list[DictRow]:
        """What a query answers."""
        with map_driver_errors(), self.connection.cursor(row_factory=dict_row) as cursor:
            return cursor.execute(statement.encode(), values).fetchall()

    def rows_as(self, kind: type[R], statement: str, values: Params = ()) -> list[R]:
        """What a query answers, each row a value of a class whose fields its columns are."""
        with map_driver_errors(), self.connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(statement.encode(), values).fetchall()

    def row(self, statement: str, values: Params = ()) -> DictRow | None:
        return next(iter(self.rows(statement, values)), None)


class LedgerPart:
    """One subject of the ledger, on the connection that all of them share."""

    def __init__(self, session: LedgerSession) -> None:
        self.session = session


def check_token(cursor: Cursor, spec: FeedSpec, token: int) -> None:
    """Lock the group's row and refuse any token but the newest."""
    cursor.execute("select lease_token from feed_group where group_name = %s for update", (spec.group,))
    newest = cursor.fetchone()
    if newest is None or newest["lease_token"] != token:
        raise LeaseLost(spec.name, token)


@contextmanager
def map_driver_errors() -> Iterator[None]:
    """Let what PostgreSQL refuses be the error of whoever is to blame for it, and take values of rows out of what it says."""
    try:
        yield
    except psycopg.Error as failed:
        raise blamed(failed) from None


def rule_violated(error: BaseException) -> RuleViolated | None:
    r"""The rule of the ledger that a refusal of PostgreSQL is about, in words without values; None where the error is another.

    >>> told = rule_violated(psycopg.errors.UniqueViolation('it is there already\nDETAIL:  Key (key)=(Ann) exists.'))
    >>> str(told).split(". ")[0]
    "PostgreSQL: the ledger's rules refuse what was to be written: it is there already (UniqueViolation)"
    """
    if not isinstance(error, psycopg.IntegrityError):
        return None
    return RuleViolated(type(error).__name__, without_values(str(error)) or "it says no more")


def repeated(work: Callable[P, R]) -> Callable[P, R]:
    """Let work that is one transaction be done again where another transaction was in its way."""

    @functools.wraps(work)
    def until_it_gets_through(*args: P.args, **named: P.kwargs) -> R:
        for pause in _PAUSES:
            try:
                return work(*args, **named)
            except PassingConflict:
                time.sleep(pause)
        return work(*args, **named)

    return until_it_gets_through


def note(cursor: Cursor, file_id: int | None, kind: str, reason: str, by: str | None = None) -> None:
    """An event that is no move."""
    cursor.execute(
        """insert into file_event (file_id, kind, reason, run_id, actor)
           values (%s, %s, %s, nullif(current_setting('sluice.run', true), ''), %s)""",
        (file_id, kind, reason, by),
    )


def act(cursor: Cursor, by: str) -> None:
    """Name the person whom the moves that follow go back to; empty = nobody."""
    cursor.execute("select set_config('sluice.actor', %s, true)", (by,))
