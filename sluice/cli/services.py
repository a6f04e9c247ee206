"""`sluice up | down | status | doctor | env`: the embedded services."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from sluice.cli.output import Json, console, log, print_json, print_rows

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sluice.services.state import State
    from sluice.services.supervisor import Started, Status

app = typer.Typer(no_args_is_help=True, help="The embedded services: start, look, stop.")
MIB = 1024**2
DOWN = 3


@app.command()
def up() -> None:
    """Start the services, or repair what has died: PostgreSQL, S3, Spark Connect and Airflow, all on loopback.

    Safe to repeat: what runs well is left alone. Everything they keep (data, logs, ports, passwords) is in .sluice/, or where
    SLUICE_STATE says. All DAGs are paused at first; unpause in the UI what shall run, or let `sluice run` do it.
    """
    from sluice.services.catalogue import all_services
    from sluice.services.state import current_state
    from sluice.services.supervisor import bring_up

    state = current_state()
    begun = time.monotonic()
    log(f"starting the services in {state.root}")
    started = bring_up(state, all_services(state), log)
    show_started(state, started, time.monotonic() - begun)


def show_started(state: State, started: Sequence[Started], seconds: float) -> None:
    """How `up` ends: what runs, and how to get into Airflow."""
    from sluice.services.environment import environment

    rows = [
        {"service": one.name, "pid": one.pid, "port": one.port, "how": one.how, "healthy after": f"{one.seconds:.1f} s"} for one in started
    ]
    print_rows(rows, ("service", "pid", "port", "how", "healthy after"), as_json=False, empty="")
    variables = environment(state)
    print(f"\nall healthy after {seconds:.1f} s")
    password = state.root / "secrets" / "airflow_password"
    print(f"Airflow   {variables['AIRFLOW_URL']}   user {variables['AIRFLOW_USERNAME']}   password in {password}")
    print('clients   eval "$(.venv/bin/sluice env)"   then aws, psql, boto3, DuckDB and pyspark work as they are')


@app.command()
def down() -> None:
    """Stop the services and every process they started. Data stays; `sluice up` goes on from it."""
    from sluice.services.catalogue import all_services
    from sluice.services.state import current_state
    from sluice.services.supervisor import take_down

    state = current_state()
    if not state.exists:
        log(f"there are no services in {state.root}")
        return
    begun = time.monotonic()
    stopped = take_down(state, all_services(state), log)
    log(f"{stopped} services stopped in {time.monotonic() - begun:.1f} s" if stopped else "nothing was running")


@app.command()
def status(json: Json = False) -> None:
    """Show each service: pid, port, uptime, memory, health; then what cannot be delivered, and the newest failures of runs.

    Exits 3 unless all services are healthy.

    Memory is PSS of the whole process tree: pages that processes share are counted once.
    """
    from sluice.services.catalogue import all_services
    from sluice.services.state import current_state
    from sluice.services.supervisor import statuses

    state = current_state()
    if not state.exists:
        log(f"there are no services in {state.root}; `sluice up` starts them")
        raise typer.Exit(DOWN)
    found = statuses(state, all_services(state))
    if json:
        print_json([asdict(one) for one in found])
    else:
        print_rows(
            [_shown(one) for one in found], ("service", "state", "pid", "port", "uptime", "memory", "problem"), as_json=False, empty=""
        )
        if any(one.service == "postgres" and one.state == "healthy" for one in found):
            _print_failures(state)
    if any(one.state != "healthy" for one in found):
        raise typer.Exit(DOWN)


def _shown(one: Status) -> dict[str, Any]:
    return {
        "service": one.service,
        "state": one.state,
        "pid": one.pid,
        "port": one.port,
        "uptime": None if one.uptime_seconds is None else _duration(one.uptime_seconds),
        "memory": None if one.memory_bytes is None else f"{one.memory_bytes / MIB:.0f} MiB",
        "problem": one.problem,
    }


def _duration(seconds: int) -> str:
    """Seconds as people say them.

    >>> _duration(59), _duration(3723), _duration(200_000)
    ('59s', '1h02m', '2d07h')
    """
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if days:
        return f"{days}d{hours % 24:02d}h"
    if hours:
        return f"{hours}h{minutes % 60:02d}m"
    return f"{minutes}m{seconds % 60:02d}s" if minutes else f"{seconds}s"


def _print_failures(state: State) -> None:
    from sluice.runtime import open_ledger, settings_from
    from sluice.services.environment import environment

    with open_ledger(settings_from(environment(state))) as ledger:
        undone, failures = ledger.queries.all_undone(), ledger.queries.failures()
    if undone:
        print("\nnot delivered and tried again (docs/runbooks/delivery.md)")
        print_rows(undone, ("group", "item", "failures", "since", "retry_at", "what"), as_json=False, empty="")
    if failures:
        print("\nthe newest failures of runs")
        print_rows(failures, ("at", "feed", "run_id", "step", "what"), as_json=False, empty="")


@app.command()
def doctor(json: Json = False) -> None:
    """Check what the services stand on, and say what to do about what is wrong. Exits 1 if something is."""
    from sluice.services.catalogue import all_services
    from sluice.services.doctor import Verdict, examine
    from sluice.services.state import current_state

    state = current_state()
    findings = []
    for finding in examine(state, all_services(state)):
        findings.append(finding)
        if not json:
            mark = {Verdict.FINE: "[green]fine [/]", Verdict.NOTE: "[yellow]note [/]", Verdict.WRONG: "[red]wrong[/]"}[finding.verdict]
            console().print(mark, f"{finding.check}: {finding.text}", soft_wrap=True)
            if finding.remedy:
                console().print(f"        {finding.remedy}", soft_wrap=True, markup=False)
    if json:
        print_json([asdict(finding) for finding in findings])
    if any(finding.verdict is Verdict.WRONG for finding in findings):
        raise typer.Exit(1)


@app.command()
def env() -> None:
    """Print what any other client needs, as shell exports: eval "$(.venv/bin/sluice env)"."""
    from sluice.services.environment import as_exports, environment
    from sluice.services.state import current_state

    state = current_state()
    if not state.exists:
        log(f"there are no services in {state.root}; `sluice up` starts them")
        raise typer.Exit(DOWN)
    print(as_exports(environment(state)), end="")
