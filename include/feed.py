"""A feed is a value: what differs between feeds is data here; what is the same is code, once."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.contract import Contract
from include.errors import UsageError


class OverwritePolicy(enum.StrEnum):
    """What other bytes under a known name do, once an earlier version was accepted or published."""

    REJECT = "reject"
    APPEND = "append"
    SUPERSEDE = "supersede"


class OnQuarantine(enum.StrEnum):
    CONTINUE = "continue"
    HOLD = "hold"


@dataclass(frozen=True)
class Parameter:
    """A whole-number threshold of a feed that a run may change: shown in the Airflow form and as a command option."""

    name: str
    default: int
    minimum: int
    maximum: int
    description: str

    @property
    def option(self) -> str:
        return "--" + self.name.replace("_", "-")

    def refused(self, value: object) -> str | None:
        """Why it cannot have this value, in words; None where it can."""
        if isinstance(value, int) and not isinstance(value, bool) and self.minimum <= value <= self.maximum:
            return None
        return f"{self.name} = {value!r} is not a whole number from {self.minimum} to {self.maximum} ({self.description})"


@dataclass(frozen=True)
class Choice:
    """A word of a feed that a run may change: how results are told, never what they are."""

    name: str
    default: str
    among: tuple[str, ...]
    description: str

    def refused(self, value: object) -> str | None:
        """Why it cannot have this value, in words; None where it can."""
        return None if value in self.among else f"{self.name} = {value!r} is none of {', '.join(self.among)} ({self.description})"


@dataclass(frozen=True)
class FeedSpec:
    """Everything that makes one feed differ from another.

    Attributes:
        group: feeds that share published tables share a lease and a batch sequence under this name.
        merges_state: what its batches leave as state is merged from time to time.
        delivers_in_order: what follows its batches is made by its job in their order: none is tried before all earlier ones are done.
        endings: the endings of a base name that make an object a file of the feed, matched with case.
        touch_column: the column (as bronze names it) whose distinct values per file the gate records, or None.
        parameters: thresholds, recorded with every batch.
        choices: words, recorded with every batch beside them.
        max_files, max_bytes: what one batch takes at most.
        max_failures: how often a file may fail alone, while the services do their work for others, before it is quarantined.
        retry_seconds: the pause after the first such failure; it doubles with each, and the ledger cuts it so that no file is waited for
            longer than three minutes in all.
        without_reference: what every run says while no reference of the feed is loaded; empty if it needs none.
    """

    name: str
    group: str
    contract: Contract
    endings: tuple[str, ...]
    overwrite: OverwritePolicy = OverwritePolicy.REJECT
    on_quarantine: OnQuarantine = OnQuarantine.CONTINUE
    archive: bool = False
    merges_state: bool = False
    delivers_in_order: bool = False
    touch_column: str | None = None
    parameters: tuple[Parameter, ...] = ()
    choices: tuple[Choice, ...] = ()
    max_files: int = 100
    max_bytes: int = 2 * 2**30
    max_failures: int = 3
    retry_seconds: float = 20
    without_reference: str = ""

    @property
    def adjustable(self) -> tuple[Parameter | Choice, ...]:
        """Everything of the feed that a run may change."""
        return self.parameters + self.choices

    def retry_after(self, failures: int) -> float:
        """How long to wait (seconds) after so many failures of one file.

        >>> spec = FeedSpec("f", "f", Contract(1, ()), (".csv",))
        >>> [spec.retry_after(failures) for failures in (1, 2, 3)]
        [20.0, 40.0, 80.0]
        """
        return float(self.retry_seconds * 2 ** (failures - 1))

    def parameters_from(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The feed's parameters and choices with those given put over their defaults; None = the default.

        Raises:
            UsageError: an unknown name, a value out of its range, a word that is no choice.
        """
        known = {one.name: one for one in self.adjustable}
        unknown = sorted(values.keys() - known.keys())
        if unknown:
            raise UsageError(f"{self.name} has no parameter {', '.join(unknown)}; it has {', '.join(known)}")
        chosen = {name: one.default for name, one in known.items()} | {name: value for name, value in values.items() if value is not None}
        refused = [why for name, value in chosen.items() if (why := known[name].refused(value))]
        if refused:
            raise UsageError("; ".join(refused))
        return chosen
