"""A benchmark as a command, and how it fails: a figure that cannot be trusted is no figure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

import typer

from include.errors import SluiceError
from sluice.cli.output import log


class BenchmarkFailed(SluiceError):
    """What was measured is not what should have been measured."""


def run(bench: Callable[..., None]) -> None:
    """Run it: what it cannot do is a sentence, and exit code 1."""
    try:
        typer.run(bench)
    except SluiceError as failed:
        log(str(failed))
        sys.exit(1)


def chosen(only: str, what: str, known: Iterable[str]) -> list[str]:
    """The names in a list with commas.

    Raises:
        typer.BadParameter: one is not known.
    """
    names = [name for name in only.split(",") if name]
    if unknown := [name for name in names if name not in known]:
        raise typer.BadParameter(f"no {what} {', '.join(unknown)}; there are: {', '.join(known)}")
    return names
