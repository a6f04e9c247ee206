"""Why a reference is refused."""

from __future__ import annotations

from include.errors import UsageError


class ReferenceUnfit(UsageError):
    """A reference that does not keep its contract; the one in force stays."""

    def __init__(self, location: str, reason: str) -> None:
        self.location = location
        self.reason = reason
        super().__init__(f"{location}: {reason}. Nothing was loaded; the reference in force, if any, stays")
