"""`python -m tools.docs [--check]`: docs/DAGs.md, docs/command.md, and docs/columns.md from the contracts and a migrated ledger.

What is said once, where it is decided, is not said again by hand.
"""

from __future__ import annotations

import os
import re
import signal
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from typer import Context
from typer.core import TyperGroup

from include.contract import Column, Contract
from include.domains import FEEDS
from include.domains.transactions.feeds import IMPORTANCE
from sluice.services.postgres import Postgres, connect
from sluice.services.state import LEDGER_DATABASE, LEDGER_USER, PROJECT, State
from sluice.services.supervisor import bring_up, take_down

if TYPE_CHECKING:
    import psycopg

DOCS = PROJECT / "docs"
DAGS = PROJECT / "dags"
GENERATED = "<!-- Written by `python -m tools.docs`. Edit what it is made from instead. -->"
REFERENCES = {"transactions: CustomerImportance": IMPORTANCE}

_COLUMNS = """
    select concat(nullif(n.nspname, current_schema()) || '.', c.relname) as relation,
           c.relkind = 'v' as is_view,
           obj_description(c.oid, 'pg_class') as relation_comment,
           a.attname as name,
           replace(format_type(a.atttypid, a.atttypmod), 'timestamp with time zone', 'timestamptz') as type,
           coalesce(a.attnum = any (i.indkey), false) as is_key,
           c.relkind <> 'v' and not a.attnotnull as is_nullable,
           col_description(c.oid, a.attnum) as comment
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_index i on i.indrelid = c.oid and i.indisprimary
    where c.relkind in ('r', 'p', 'v') and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
    order by 1, a.attnum
"""
_ENUMS = """
    select t.typname, string_agg(e.enumlabel, ', ' order by e.enumsortorder)
    from pg_type t join pg_enum e on e.enumtypid = t.oid group by t.typname order by 1
"""
_FUNCTIONS = """
    select format('%s.%s(%s)', n.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), obj_description(p.oid, 'pg_proc')
    from pg_proc p join pg_namespace n on n.oid = p.pronamespace
    where n.nspname <> 'information_schema' and n.nspname !~ '^pg_' and p.prorettype <> 'trigger'::regtype order by 1
"""


class LedgerColumn(NamedTuple):
    """A column of a table or view, as the database describes it."""

    relation: str
    is_view: bool
    relation_comment: str | None
    name: str
    type: str
    is_key: bool
    is_nullable: bool
    comment: str | None


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or with `--check` only say which are not as they would be written."""
    check = "--check" in arguments
    stale = 0
    for path, text in pages():
        if path.is_file() and path.read_text() == text:
            continue
        name = path.relative_to(PROJECT)
        if check:
            stale += 1
            print(f"{name} is not current: run `python -m tools.docs`", file=sys.stderr)
        else:
            path.write_text(text)
            print(f"wrote {name}")
    return 1 if stale else 0


def pages() -> Iterator[tuple[Path, str]]:
    """Each generated page and what it should hold."""
    yield DOCS / "DAGs.md", dags_page(load_dags())
    yield DOCS / "command.md", command_page()
    with migrated_ledger() as connection:
        text = columns_page(connection)
    yield DOCS / "columns.md", text


@contextmanager
def migrated_ledger() -> Iterator[psycopg.Connection]:
    """A connection to a fresh ledger of this code, on a server of its own that ends with the block and leaves nothing."""
    with uninterrupted(), tempfile.TemporaryDirectory(prefix="docs-", dir=State(PROJECT / ".sluice").folder()) as root:
        state = State(Path(root))
        services = [Postgres(state)]
        try:
            bring_up(state, services, lambda _: None)
            with connect(state, LEDGER_DATABASE, LEDGER_USER) as connection:
                yield connection
        finally:
            take_down(state, services, lambda _: None)


@contextmanager
def uninterrupted() -> Iterator[None]:
    """Leave Ctrl-C and SIGTERM for when the block has ended: a server that was half started would stay."""
    came: list[int] = []
    before = {number: signal.signal(number, lambda number, _: came.append(number)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if came:
            raise KeyboardInterrupt


def load_dags() -> list[Any]:
    """Every DAG of this checkout, by name.

    Raises:
        ImportError: a DAG file cannot be read.
    """
    with tempfile.TemporaryDirectory() as home:
        os.environ.setdefault("AIRFLOW_HOME", home)
        os.environ.setdefault("AIRFLOW__LOGGING__LOGGING_LEVEL", "ERROR")
        from airflow.dag_processing.dagbag import BundleDagBag

        bag = BundleDagBag(dag_folder=DAGS, bundle_path=DAGS, bundle_name="dags")
    if bag.import_errors:
        raise ImportError("\n".join(bag.import_errors.values()))
    return [bag.dags[name] for name in sorted(bag.dags)]


def dags_page(dags: Iterable[Any]) -> str:
    """One table of all DAGs, then each with its params."""
    found = list(dags)
    rows = ((f"[{dag.dag_id}](#{dag.dag_id})", schedule(dag), tasks_of(dag.task_ids), purpose(dag)) for dag in found)
    parts = ["# The DAGs", GENERATED, table(("DAG", "runs", "tasks", "what for"), rows)]
    for dag in found:
        parts.append(f"## {dag.dag_id}")
        params = [
            (f"`{name}`", f"`{default!r}`" if default != "" else "", limits(schema), what)
            for name, default, schema, what in read_params(dag)
        ]
        parts.append(table(("param", "default", "allowed", "what"), params) if params else "No params.")
    return "\n\n".join(parts) + "\n"


def tasks_of(task_ids: Sequence[str]) -> str:
    """The tasks in words; groups that have the same ones are named together.

    >>> tasks_of(["a", "b"])
    'a → b'
    >>> tasks_of(["x.a", "x.b", "y.a", "y.b"])
    'for x, then y: a → b'
    """
    groups: dict[str, list[str]] = {}
    for task_id in task_ids:
        group, _, task = task_id.rpartition(".")
        groups.setdefault(group, []).append(task)
    alike: dict[str, list[str]] = {}
    for group, tasks in groups.items():
        alike.setdefault(" → ".join(tasks), []).append(group)
    return "; ".join(f"for {', then '.join(named)}: {tasks}" if any(named) else tasks for tasks, named in alike.items())


def schedule(dag: Any) -> str:
    """When a DAG runs, in words."""
    from airflow.sdk import Asset, CronPartitionTimetable

    timetable = dag.schedule
    if timetable is None:
        return "by hand"
    if timetable == "@continuous":
        return "round after round, while not paused"
    if isinstance(timetable, str):
        return f"`{timetable}`"
    if isinstance(timetable, CronPartitionTimetable):
        return f"`{timetable.expression}`, for the date before; any dates by Backfill"
    if isinstance(timetable, Asset):
        return f"when `{timetable.name}` is updated"
    return f"`{timetable.timetable.expression}`, and as soon as something lands"


def purpose(dag: Any) -> str:
    """The first paragraph under the heading of its description."""
    return " ".join(dag.doc_md.split("\n\n")[1].split())


def read_params(dag: Any) -> Iterator[tuple[str, object, dict[str, Any], str]]:
    """Name, default, schema and description of each param."""
    for name in dag.params:
        param = dag.params.get_param(name)
        yield name, param.value if param.has_value else "", param.schema, param.description


def limits(schema: dict[str, Any]) -> str:
    """What a schema allows, in words.

    >>> limits({"type": ["null", "integer"], "minimum": 1})
    'integer, at least 1, or nothing'
    """
    kinds = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
    words = [kind for kind in kinds if kind != "null"]
    words += [f"at least {schema['minimum']:,}"] if "minimum" in schema else []
    words += [f"at most {schema['maximum']:,}"] if "maximum" in schema else []
    words += [f"like `{schema['pattern']}`"] if "pattern" in schema else []
    words += ["or nothing"] if "null" in kinds else []
    return ", ".join(words)


def command_page() -> str:
    """Every command of `sluice` with its arguments and options, as its own help says it."""
    from typer.main import get_command

    from sluice.cli import EPILOG, _assemble

    command = get_command(_assemble())
    top = Context(command, info_name="sluice")
    parts = ["# The command", GENERATED, prose(command.help or ""), EPILOG]
    commands = list(commands_below(top))
    parts.append(table(("command", "what"), ((f"[`{path}`](#{path.replace(' ', '-')})", short) for path, short, _ in commands)))
    return "\n\n".join([*parts, *(text for _, _, text in commands)]) + "\n"


def commands_below(group: Context) -> Iterator[tuple[str, str, str]]:
    """The path, the sentence and the section of each command of a group, and of those of its groups."""
    assert isinstance(group.command, TyperGroup)
    for name in group.command.list_commands(group):
        command = group.command.commands[name]
        context = Context(command, info_name=name, parent=group)
        path = context.command_path
        parts = [prose(command.help or ""), f"    {path} {' '.join(command.collect_usage_pieces(context))}"]
        records = [record for one in command.get_params(context) if "--help" not in one.opts and (record := one.get_help_record(context))]
        parts += [table(("argument or option", "what"), ((f"`{words}`", prose(what)) for words, what in records))] if records else []
        parts += [f"    {line.strip()}" for line in (command.epilog or "").splitlines() if line.strip()]
        yield path, prose(command.get_short_help_str(limit=200)), "\n\n".join([f"## {path}", *parts])
        if isinstance(command, TyperGroup):
            yield from commands_below(context)


def prose(text: str) -> str:
    """Help as Markdown: what looks like a tag is none.

    >>> prose("below <feed>/dt=, as `<feed>`")
    'below &lt;feed>/dt=, as `<feed>`'
    """
    return "".join(part if part.startswith("`") else part.replace("<", "&lt;") for part in re.split("(`[^`]*`)", text.strip()))


def columns_page(connection: psycopg.Connection) -> str:
    """The columns of every file a feed takes, then those of the ledger as its database describes them."""
    from psycopg.rows import class_row

    parts = ["# The columns", GENERATED, "## Files"]
    contracts = {name: spec.contract for name, spec in FEEDS.items()} | REFERENCES
    for name, contract in sorted(contracts.items()):
        parts += [f"### {name}", contract_table(contract)]
    found = connection.cursor(row_factory=class_row(LedgerColumn)).execute(_COLUMNS).fetchall()
    parts += ["## The ledger", *relations(one for one in found if not one.is_view)]
    parts += ["## Types", table(("type", "values"), ((f"`{name}`", values) for name, values in connection.execute(_ENUMS)))]
    parts += ["## Views", *relations(one for one in found if one.is_view)]
    functions = ((f"`{signature}`", comment or "") for signature, comment in connection.execute(_FUNCTIONS))
    parts += ["## Functions", table(("function", "what"), functions)]
    return "\n\n".join(part for part in parts if part) + "\n"


def relations(columns: Iterable[LedgerColumn]) -> Iterator[str]:
    """Heading, comment and columns of each table or view."""
    for (name, comment), of_it in groupby(columns, lambda one: (one.relation, one.relation_comment)):
        yield f"### {name}"
        yield comment or ""
        rows = [
            (f"`{one.name}`", one.type + (", key" if one.is_key else "") + (", or null" if one.is_nullable else ""), one.comment or "")
            for one in of_it
        ]
        columns_shown = 3 if any(comment for _, _, comment in rows) else 2
        yield table(("column", "type", "what")[:columns_shown], [row[:columns_shown] for row in rows])


def contract_table(contract: Contract) -> str:
    """What a contract asks of each column, and what it does not read."""
    rows = ((f"`{column.name}`", rule(column), f"`{column.bronze_name}`", column.stored.value) for column in contract.columns)
    whole = f"\n\nAll values of a row, and what it says beyond these, at most {contract.record.most:,} {contract.record.unit} together."
    ignored = f"\n\nMay be there, is not read: {', '.join(f'`{name}`' for name in sorted(contract.ignored))}." if contract.ignored else ""
    return table(("column", "must be", "in bronze", "as"), rows) + whole + ignored


def rule(column: Column) -> str:
    """What a value must be, in words."""
    if column.one_of:
        wanted = f"one of {', '.join(column.one_of)}"
    elif column.matches:
        wanted = f"like `{column.matches}`"
    else:
        wanted = "any text"
    wanted += "".join(f", at most {bound.most:,} {bound.unit}" for bound in column.bounds)
    return f"{wanted}, or empty" if column.null else f"{wanted}, not empty"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    r"""A Markdown table.

    >>> print(table(("a", "b"), [("1", "x|y")]))
    | a | b |
    |---|---|
    | 1 | x\|y |
    """
    lines = [header, *rows]
    drawn = ["| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines]
    return "\n".join([drawn[0], "|" + "---|" * len(header), *drawn[1:]])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
