"""The thresholds of the feeds as options of a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated

import typer

from include.feeds import FEEDS


def with_thresholds(command: Callable[..., None], otherwise: str = "default {default}") -> Callable[..., None]:
    """Give a command one option for each threshold that a feed has; its argument `thresholds` gets those that were given.

    Args:
        otherwise: what the help says holds where the option is not given.
    """
    parameters = {parameter.name: parameter for spec in FEEDS.values() for parameter in spec.parameters}

    @functools.wraps(command)
    def called(**values: object) -> None:
        given = {name: values.pop(name) for name in parameters}
        command(**values, thresholds={name: value for name, value in given.items() if value is not None})

    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                int | None, typer.Option(help=f"{parameter.description} ({otherwise.format(default=parameter.default)}).")
            ],
        )
        for name, parameter in parameters.items()
    ]
    own = inspect.signature(command, eval_str=True)
    kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, one in own.parameters.items() if name != "thresholds"]
    called.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return called
