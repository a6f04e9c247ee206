"""What can go wrong, as values: every error says what, where and what to do next, and keeps the facts as fields."""

from __future__ import annotations

from collections.abc import Sequence


class SluiceError(Exception):
    """Something Sluice can explain in one sentence. `exit_code` is what the command line ends with."""

    exit_code = 1


class UsageError(SluiceError):
    """A parameter, name or file given by a person does not fit; nothing was done."""

    exit_code = 2


class EnvironmentFailure(SluiceError):
    """A service is down or refuses. Nothing is lost: the next run finishes the work. The only error worth a retry."""

    exit_code = 3

    def __init__(self, service: str, what: str, next_step: str = "see `sluice status` and docs/runbooks/") -> None:
        self.service = service
        self.what = what
        super().__init__(f"{service}: {what}. Nothing is lost; the next run goes on from here ({next_step}).")


class FeedBusy(SluiceError):
    """Another run holds the feed's lease; `group`: what shares it, where that is not the feed alone."""

    exit_code = 4

    def __init__(self, feed: str, holder: str, seconds_left: float, group: str = "") -> None:
        self.feed = feed
        self.holder = holder
        self.seconds_left = seconds_left
        lease = f"its lease runs out in {seconds_left:.0f} s unless renewed"
        if group:
            super().__init__(f"{feed} waits for its turn: {holder} works on the group {group} ({lease}).")
        else:
            super().__init__(f"{feed} is being ingested by {holder} ({lease}).")


class FeedPaused(SluiceError):
    """A person paused the feed."""

    exit_code = 4

    def __init__(self, feed: str, since: str, by: str) -> None:
        self.feed = feed
        super().__init__(f"{feed} was paused by {by} at {since}; `sluice feed resume {feed}` lets it go on. Nothing was ingested.")


class LedgerBehind(SluiceError):
    """The ledger knows less than was delivered from this bucket: restored from a backup, or another ledger."""

    def __init__(self, feed: str, bucket: str, delivered: int, known: int) -> None:
        self.feed = feed
        self.bucket = bucket
        super().__init__(
            f"{feed}: s3://{bucket} has delivered results up to seq {delivered}, and this ledger knows seq {known}: it was restored from "
            f"a backup or is another bucket's. Nothing was ingested; `sluice reconcile {feed}` brings it up to date "
            "(docs/runbooks/restore.md)."
        )


class JournalIncomplete(SluiceError):
    """The journal cannot bring the ledger to where it was."""

    def __init__(self, feed: str, what: str) -> None:
        self.feed = feed
        super().__init__(
            f"{feed}: the journal has a hole: {what}. What came before was put back, and nothing can be ingested; restore a later backup "
            "(docs/runbooks/restore.md)."
        )


class NotTheOwner(SluiceError):
    """A restored ledger is put back past the rules of its tables, which only their owner may lift."""

    def __init__(self, feed: str) -> None:
        self.feed = feed
        super().__init__(
            f"{feed}: the ledger is behind what was delivered, and only the owner of its tables may put back what it lacks: run "
            f"`sluice reconcile {feed}` as the role that migrates (docs/runbooks/restore.md). Nothing was changed."
        )


class LeaseLost(SluiceError):
    """This run lost its lease to another; whatever it wrote stays invisible."""

    exit_code = 4

    def __init__(self, feed: str, token: int) -> None:
        self.feed = feed
        self.token = token
        super().__init__(f"{feed}: this run lost its lease (token {token}) to a later one, which does the work; this one stops.")


class ObjectGone(SluiceError):
    """An object was deleted or overwritten between its listing and its reading."""

    def __init__(self, bucket: str, key: str, etag: str, what: str) -> None:
        self.bucket = bucket
        self.key = key
        self.etag = etag
        super().__init__(f"s3://{bucket}/{key}: {what} after it was listed with etag {etag}")


class AlreadyThere(SluiceError):
    """A create-only write met an object of that name."""

    def __init__(self, bucket: str, key: str) -> None:
        self.bucket = bucket
        self.key = key
        super().__init__(f"s3://{bucket}/{key} exists already")


class FileUnknown(UsageError):
    """No file of that id or key in the ledger."""

    def __init__(self, wanted: str, known: Sequence[str] = ()) -> None:
        self.wanted = wanted
        near = f" (did you mean {', '.join(known)}?)" if known else ""
        super().__init__(f"no file {wanted!r} in the ledger{near}; `sluice files FEED` lists them")
