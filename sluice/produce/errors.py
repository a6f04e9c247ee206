"""What can be wrong with a source: each error says what, where and what to do next."""

from __future__ import annotations

from collections.abc import Sequence

from include.errors import SluiceError, UsageError


class SourceMissing(UsageError):
    """There is nothing under that path, URL or id, or it may not be read."""

    def __init__(self, location: str, what: str) -> None:
        self.location = location
        super().__init__(f"{location}: {what}; nothing was written")


class SourceEmpty(UsageError):
    """A source without a single row."""

    def __init__(self, location: str, what: str) -> None:
        self.location = location
        super().__init__(f"{location}: {what}; nothing was written")


class SourceNotPublic(UsageError):
    """Google Drive asks for a login where the file was to be public."""

    def __init__(self, location: str, what: str) -> None:
        self.location = location
        super().__init__(
            f"{location}: {what}. Share it as 'Anyone with the link', or hand in a service account that may read it "
            "(the Airflow connection of type google_cloud_platform)"
        )


class SourceBroken(SluiceError):
    """The bytes of a source are not what their form promises, so nothing more can be read of it."""

    def __init__(self, location: str, what: str) -> None:
        self.location = location
        super().__init__(f"{location}: {what}; the chunks before it stay, and the next run tries again from there")


class HeaderUnfit(UsageError):
    """A source whose first line is no header that the feed could read."""

    def __init__(self, location: str, what: str, missing: Sequence[str] = ()) -> None:
        self.location = location
        self.missing = tuple(missing)
        super().__init__(f"{location}: {what}; nothing was written, because every chunk would be quarantined")


class SourceChanged(UsageError):
    """What was produced before is not what the source holds now."""

    def __init__(self, location: str, what: str) -> None:
        self.location = location
        super().__init__(
            f"{location} has changed since its last position: {what}. Bring the old content back, or say --from-start to produce "
            "the new content from its first row (rows that are in both then land twice)"
        )


class ProducerBusy(SluiceError):
    """Another producer works on the prefix."""

    exit_code = 4

    def __init__(self, prefix: str, holder: str, since: str) -> None:
        self.prefix = prefix
        self.holder = holder
        super().__init__(f"{prefix} is being produced to by {holder} since {since}; this one leaves it to that one")
