"""How the command prints: tables for people, one JSON array for programs, sentences on stderr."""

from __future__ import annotations

import datetime as dt
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any

import typer

from include import logs

if TYPE_CHECKING:
    from rich.console import Console

Json = Annotated[bool, typer.Option("--json", help="Print one JSON array (or object) instead of a table.")]
_UNLIMITED = 10_000


def log(line: str) -> None:
    """A line of progress, on stderr, so that stdout holds nothing but the answer."""
    print(logs.without_secrets(line), file=sys.stderr, flush=True)


def print_rows(rows: Sequence[Mapping[str, Any]], columns: Iterable[str], *, as_json: bool, empty: str) -> None:
    """Rows as a table of these columns, or as JSON with everything they hold."""
    if as_json:
        print_json(rows)
        return
    if not rows:
        log(empty)
        return
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    names = list(columns)
    for name in names:
        numeric = all(isinstance(row[name], int | float | Decimal | None) for row in rows)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in rows:
        table.add_row(*(_shown(row[name]) for name in names))
    console().print(table)


def print_json(value: object) -> None:
    print(json.dumps(value, default=_plain, ensure_ascii=False, indent=None if isinstance(value, list) and len(value) > 1000 else 2))


def console() -> Console:
    """Standard output; as wide as it needs to be where nobody looks at it, so that pipes get whole lines."""
    from rich.console import Console

    return Console(highlight=False) if sys.stdout.isatty() else Console(highlight=False, width=_UNLIMITED)


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dt.datetime):
        return value.astimezone().isoformat(sep=" ", timespec="seconds")
    if isinstance(value, dict | list):
        return json.dumps(value, default=_plain)
    return str(value)


def _plain(value: object) -> object:
    if isinstance(value, dt.datetime | dt.date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return int(value) if value == int(value) else str(value)
    raise TypeError(f"{type(value).__name__} cannot be printed as JSON")
