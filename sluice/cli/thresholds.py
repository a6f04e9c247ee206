"""The thresholds and choices of the feeds as options of a command."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any

import typer

from include.domains import FEEDS
from include.feed import Choice, Parameter


def with_thresholds(command: Callable[..., None], otherwise: str = "default {default}", *, choices: bool = False) -> Callable[..., None]:
    """Give a command one option for each threshold that a feed has; its argument `thresholds` gets those that were given.

    Args:
        otherwise: what the help says holds where the option is not given.
        choices: one for each choice too.
    """
    parameters: dict[str, Parameter | Choice] = {parameter.name: parameter for spec in FEEDS.values() for parameter in spec.parameters}
    parameters |= {choice.name: choice for spec in FEEDS.values() for choice in spec.choices if choices}

    @functools.wraps(command)
    def called(**values: object) -> None:
        chosen = {name: values.pop(name) for name in parameters}
        command(**values, thresholds={name: value for name, value in chosen.items() if value is not None})

    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=_annotation(parameter, otherwise.format(default=parameter.default)),
        )
        for name, parameter in parameters.items()
    ]
    own = inspect.signature(command, eval_str=True)
    kept = [one.replace(kind=inspect.Parameter.KEYWORD_ONLY) for name, one in own.parameters.items() if name != "thresholds"]
    called.__signature__ = own.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
    return called


def _annotation(parameter: Parameter | Choice, otherwise: str) -> Any:
    if isinstance(parameter, Choice):
        help_text = f"{parameter.description.rstrip('.')}: {', '.join(parameter.among)} ({otherwise})."
        return Annotated[str | None, typer.Option(metavar="WORD", help=help_text)]
    return Annotated[int | None, typer.Option(help=f"{parameter.description} ({otherwise}).")]
