"""What must not be typed into a command line: everyone on a machine may read the list of its processes."""

from __future__ import annotations

import typer

from include.inputs import has_secret
from sluice.cli.output import log


def warn_of_secret(context: typer.Context, param: typer.CallbackParam, value: str | None) -> str | None:
    """Say so where a password, a signature or a token was given as an argument, and which variable takes it instead."""
    source = context.get_parameter_source(param.name or "")
    if value is not None and source is not None and source.name == "COMMANDLINE" and has_secret(value):
        log(
            "warning: this address holds a secret, and everyone on this machine can read it in the list of processes: "
            f"give it in the variable {param.envvar} instead"
        )
    return value
