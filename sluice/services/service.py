"""What a service is: how it is started, how one knows that it works, and what it needs first."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from typing import ClassVar

from sluice.services.process import Launch
from sluice.services.state import State


class Service(ABC):
    """One process under `sluice up`. `needs` are the services whose health it waits for before it starts."""

    name: ClassVar[str]
    port_name: ClassVar[str | None] = None
    needs: ClassVar[tuple[str, ...]] = ()
    helpers: ClassVar[tuple[str, ...]] = ()
    """Processes that this one starts beside itself and that end with it."""
    polite: ClassVar[signal.Signals] = signal.SIGTERM
    """The signal that asks it to end in good order."""
    polite_to_children: ClassVar[bool] = False
    """Whether its children are asked as well, because it would wait for them without telling them."""
    start_timeout: ClassVar[float] = 90.0
    answer_timeout: ClassVar[float] = 30.0
    """How long one that is running already may take to answer before it is started anew."""
    stop_timeout: ClassVar[float] = 15.0

    def __init__(self, state: State) -> None:
        self.state = state

    @property
    def port(self) -> int | None:
        return self.state.port(self.port_name) if self.port_name else None

    def prepare(self) -> None:  # noqa: B027 - most services have nothing to prepare
        """Bring files and databases to what the process expects; runs before every start."""

    @abstractmethod
    def launch(self) -> Launch:
        """How the process is started."""

    @abstractmethod
    def probe(self) -> None:
        """Return when the service can really do its work; raise `Unhealthy` otherwise."""

    def provision(self) -> None:  # noqa: B027 - most services have nothing to provision
        """What must exist inside the service before anything uses it; runs after every `up`, so it is safe to repeat."""
