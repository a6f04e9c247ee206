"""What can go wrong with a service, said with the last lines of its log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from include.errors import SluiceError

LAST_LINES = 15


class Unhealthy(Exception):
    """A probe's answer while a service is not (yet) able to work. Caught by whoever waits; never reaches a person as it is."""


class ServiceFailed(SluiceError):
    """A service cannot be started, or did not become healthy."""

    exit_code = 3

    def __init__(self, service: str, what: str, log: Path | None = None) -> None:
        self.service = service
        self.what = what
        self.log = log
        super().__init__(f"{service}: {what}{_tail_of(log) if log else ''}")


class SetupBroken(SluiceError):
    """Something the services need is not on this machine; the message says how to get it."""

    exit_code = 3


class SeveralFailed(SluiceError):
    """More than one service failed in the same `up`; each with its own sentence and log."""

    exit_code = 3

    def __init__(self, failures: Sequence[SluiceError]) -> None:
        self.failures = tuple(failures)
        super().__init__("\n".join(str(failure) for failure in failures))


def _tail_of(log: Path) -> str:
    lines = last_lines(log)
    if not lines:
        return f" ({log} is empty)"
    return f". The last lines of {log}:\n" + "\n".join(f"    {line}" for line in lines)


def last_lines(log: Path, count: int = LAST_LINES) -> list[str]:
    """The end of a log that may be large or missing."""
    try:
        with log.open("rb") as stream:
            stream.seek(0, 2)
            stream.seek(max(0, stream.tell() - 64 * 1024))
            return stream.read().decode("utf-8", "replace").splitlines()[-count:]
    except FileNotFoundError:
        return []
