"""How a measurement fails: a figure that cannot be trusted is no figure."""

from __future__ import annotations

import sys
from collections.abc import Callable

import typer

from include.ingestion.errors import SluiceError
from sluice.cli.output import say


class BenchmarkFailed(SluiceError):
    """What was measured is not what should have been measured."""


def run(bench: Callable[..., None]) -> None:
    """A benchmark as a command: what it cannot do is a sentence, and exit code 1."""
    try:
        typer.run(bench)
    except SluiceError as failed:
        say(str(failed))
        sys.exit(1)
