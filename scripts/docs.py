"""`python scripts/docs.py [--check]`: docs/DAGs.md from the DAGs, docs/columns.md from the contracts and the migrations.

What is said once, where it is decided, is not said again by hand.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from include.feeds import FEEDS
from include.feeds.transactions.contract import IMPORTANCE
from include.ingestion.contract import Column, Contract

PROJECT = Path(__file__).resolve().parents[1]
DAGS = PROJECT / "dags"
SQL = PROJECT / "include" / "sql"
GENERATED = "<!-- Written by `python scripts/docs.py`. Edit what it is made from instead. -->"
REFERENCES = {"transactions: CustomerImportance": IMPORTANCE}

_TABLE = re.compile(r"^create table (?:if not exists )?([\w.]+) \(\n(.*?)^\);", re.MULTILINE | re.DOTALL)
_COLUMN = re.compile(r"^    (?!primary|unique|check|foreign|constraint)\"?(\w+)\"? +(\w+(?:\[\])?)", re.MULTILINE)
_VIEW = re.compile(r"^create view ([\w.]+) as\b", re.MULTILINE)
_ALTERED = re.compile(r"^alter table (\w+)\n(.*?);", re.MULTILINE | re.DOTALL)
_ADDED_COLUMN = re.compile(r"^    add column (\w+) +(\w+(?:\[\])?)", re.MULTILINE)
_RETYPED = re.compile(r"^    alter column (\w+) type (\w+)", re.MULTILINE)
_COMMENT = re.compile(r"^comment on (?:table|column|view) ([\w.]+) is '((?:[^']|'')*)';", re.MULTILINE)


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
            print(f"{name} is not current: run `python scripts/docs.py`", file=sys.stderr)
        else:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text)
            print(f"wrote {name}")
    return 1 if stale else 0


def pages() -> Iterator[tuple[Path, str]]:
    """Each generated page and what it should hold."""
    yield PROJECT / "docs" / "DAGs.md", dags_page(load_dags())
    yield PROJECT / "docs" / "columns.md", columns_page()


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

    told = dag.schedule
    if told is None:
        return "by hand"
    if told == "@continuous":
        return "round after round, while not paused"
    if isinstance(told, str):
        return f"`{told}`"
    if isinstance(told, CronPartitionTimetable):
        return f"`{told.expression}`, for the date before; any dates by Backfill"
    if isinstance(told, Asset):
        return f"when `{told.name}` is updated"
    return f"`{told.timetable.expression}`, and as soon as something lands"


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
    said = [kind for kind in kinds if kind != "null"]
    said += [f"at least {schema['minimum']:,}"] if "minimum" in schema else []
    said += [f"at most {schema['maximum']:,}"] if "maximum" in schema else []
    said += [f"like `{schema['pattern']}`"] if "pattern" in schema else []
    said += ["or nothing"] if "null" in kinds else []
    return ", ".join(said)


def columns_page() -> str:
    """The columns of every file a feed takes, then those of the ledger."""
    parts = ["# The columns", GENERATED, "## Files"]
    contracts = {name: spec.contract for name, spec in FEEDS.items()} | REFERENCES
    for name, contract in sorted(contracts.items()):
        parts += [f"### {name}", contract_table(contract)]
    parts.append("## The ledger")
    migrations = "\n".join(path.read_text() for path in sorted(SQL.glob("*.sql")))
    comments = {name: said.replace("''", "'") for name, said in _COMMENT.findall(migrations)}
    added = [(name, column) for name, body in _ALTERED.findall(migrations) for column in _ADDED_COLUMN.findall(body)]
    retyped = {(name, column): kind for name, body in _ALTERED.findall(migrations) for column, kind in _RETYPED.findall(body)}
    for name, body in sorted(_TABLE.findall(migrations)):
        found = [*_COLUMN.findall(body), *(column for table_name, column in added if table_name == name)]
        columns = ((f"`{column}`", retyped.get((name, column), kind), comments.get(f"{name}.{column}", "")) for column, kind in found)
        parts += [f"### {name}", comments.get(name, ""), table(("column", "type", "what"), columns)]
    views = sorted(_VIEW.findall(migrations))
    parts += ["## Views", table(("view", "what"), ((f"`{name}`", comments.get(name, "")) for name in views))]
    return "\n\n".join(part for part in parts if part) + "\n"


def contract_table(contract: Contract) -> str:
    """What a contract asks of each column, and what it does not read."""
    rows = ((f"`{column.name}`", rule(column), f"`{column.bronze_name}`", column.stored.value) for column in contract.columns)
    ignored = f"\n\nMay be there, is not read: {', '.join(f'`{name}`' for name in sorted(contract.ignored))}." if contract.ignored else ""
    return table(("column", "must be", "in bronze", "as"), rows) + ignored


def rule(column: Column) -> str:
    """What a value must be, in words."""
    if column.one_of:
        asked = f"one of {', '.join(column.one_of)}"
    elif column.matches:
        asked = f"like `{column.matches}`"
    else:
        asked = "any text"
    return f"{asked}, or empty" if column.null else f"{asked}, not empty"


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
