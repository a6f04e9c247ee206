"""`sluice airflow ...`: Airflow's own command, in the environment of the embedded services."""

from __future__ import annotations

import os
import sys

import typer

app = typer.Typer()


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True}, add_help_option=False)
def airflow(context: typer.Context) -> None:
    """Run Airflow's command on the embedded Airflow, such as `sluice airflow backfill create --dag-id transactions_daily ...`."""
    from include.errors import UsageError
    from sluice.services.airflow import environment
    from sluice.services.process import clean_environment
    from sluice.services.state import current_state

    state = current_state()
    if not state.exists:
        raise UsageError("no services: `sluice up` starts the embedded ones; another Airflow has a command of its own")
    os.chdir(state.folder("airflow"))
    os.execve(sys.executable, [sys.executable, "-m", "airflow", *context.args], clean_environment() | environment(state))  # noqa: S606 (no shell)
