"""What can go wrong, as values: every error says what, where and what to do next, and keeps the facts as fields."""

from __future__ import annotations

import errno
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


class PassingConflict(EnvironmentFailure):
    """PostgreSQL let another transaction go first; the same work again gets through."""


class ObjectRefused(EnvironmentFailure):
    """The store does not give one object. Whether it gives others decides if that is an outage or the object's own fault.

    Attributes:
        code: the store's own, such as `InvalidObjectState`; where no answer came, the kind of error.
        denied: it is about permission, which may be missing for this object or for all.
        passing: the store may say the same of any object now: it is busy, ailing or does not answer.
        mend: what lets the object be read again.
    """

    def __init__(self, bucket: str, key: str, code: str, what: str, mend: str, *, denied: bool = False, passing: bool = False) -> None:
        self.bucket = bucket
        self.key = key
        self.code = code
        self.mend = mend
        self.denied = denied
        self.passing = passing
        super().__init__("S3", what, mend)


class DeploymentFault(EnvironmentFailure):
    """Something is missing in the deployment: a grant, a migration, a module, a bucket. It fails for every file, so none is to blame."""

    def __init__(self, service: str, what: str, mend: str) -> None:
        self.service = service
        self.what = what
        text = f"{service}: {what}. No file is to blame and nothing is lost: {mend}; then the next run goes on from here."
        SluiceError.__init__(self, text)


class Refused(Exception):
    """A service refuses this work and may do others. Its text may quote rows; the sentence never does.

    Attributes:
        sentence: the code, the place and the rule.
        way: what two refusals of one cause have in common.
    """

    sentence: str
    way: str


class JobFailed(SluiceError):
    """A job cannot do this batch; it may do others. `way`: what two failures of one cause have in common."""

    def __init__(self, what: str, way: str = "") -> None:
        self.way = way or what
        super().__init__(what)


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
        if delivered > known:
            what = f"has delivered results up to seq {delivered}, and this ledger knows seq {known}"
        else:
            what = f"has delivered something that happened after seq {known}, and this ledger does not know it"
        super().__init__(
            f"{feed}: s3://{bucket} {what}: it was restored from a backup or is another bucket's. Nothing was ingested; "
            f"`sluice reconcile {feed}` brings it up to date with all groups of feeds (docs/runbooks/restore.md)."
        )


class JournalIncomplete(SluiceError):
    """The journal cannot bring the ledger to where it was."""

    def __init__(self, feed: str, what: str) -> None:
        self.feed = feed
        super().__init__(
            f"{feed}: the journal has a hole: {what}. What came before was put back, and nothing can be ingested; restore a later backup "
            "(docs/runbooks/restore.md)."
        )


class LedgerMixed(SluiceError):
    """The ledger has given a number to something else than what a journal has under it, or lost a file that it had registered."""

    def __init__(self, feed: str, what: str) -> None:
        self.feed = feed
        super().__init__(
            f"{feed}: the ledger and the journals do not fit together: {what}. Nothing was put over it; put the backup back once more with "
            "`sluice restore FILE`, or all journals into an empty ledger with `sluice restore --journals` (docs/runbooks/restore.md)."
        )


class RuleViolated(SluiceError):
    """A rule of the ledger's own tables refuses what was to be written: a row is missing, or there already, that should not be."""

    def __init__(self, kind: str, what: str) -> None:
        self.kind = kind
        super().__init__(
            f"PostgreSQL: the ledger's rules refuse what was to be written: {what} ({kind}). Nothing of it was written, and a repetition "
            "ends the same way: the ledger is not as this release keeps it. `sluice reconcile FEED` says what does not fit "
            "(docs/runbooks/restore.md, docs/runbooks/ledger-and-bucket.md)."
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


_SHORT = {
    errno.ENOSPC: "no space left on the disk for temporary files (TMPDIR)",
    errno.EDQUOT: "no space left on the disk for temporary files (TMPDIR)",
    errno.ENOMEM: "out of memory",
    errno.EMFILE: "this process has too many files open (ulimit -n)",
    errno.ENFILE: "too many files are open",
}


def out_of(error: BaseException) -> EnvironmentFailure | None:
    """What of this machine ran short while something was read; None where nothing did. It says nothing of what was being read."""
    if isinstance(error, MemoryError):
        return EnvironmentFailure("this machine", "out of memory", "docs/runbooks/out-of-resources.md")
    short = _SHORT.get(error.errno or 0) if isinstance(error, OSError) else None
    return EnvironmentFailure("this machine", short, "docs/runbooks/out-of-resources.md") if short else None


def refuse_if_short(error: BaseException) -> None:
    """Let an error that is about this machine not be told as damage of what was read.

    Raises:
        EnvironmentFailure: memory, disk or open files ran short.
    """
    short = out_of(error)
    if short is not None:
        raise short from error
