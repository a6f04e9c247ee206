"""Work that fails: an outage or a damaged object of ours, which is no file's fault, or a file that cannot be worked on.

They are told apart by asking the services and by looking at what the job reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from include.ingestion import keys
from include.ingestion.errors import EnvironmentFailure, SluiceError

if TYPE_CHECKING:
    from include.ingestion.batch import Batch
    from include.ingestion.feed import FeedSpec
    from include.ingestion.ports import Ports


@dataclass(frozen=True)
class Failed:
    """What follows a failure that no service is to blame for.

    Attributes:
        first_seq, last_seq: the files that were worked on together.
        batch_limit: how many files the next batch takes at most, where there were several.
        failures, most: how often the one file failed, and how often it may.
        rest_seconds: when it is tried again; None where it is not.
    """

    first_seq: int
    last_seq: int
    what: str = ""
    batch_limit: int | None = None
    failures: int = 0
    most: int = 0
    rest_seconds: float | None = None

    @property
    def poison(self) -> bool:
        """Whether the one file had its last chance."""
        return self.batch_limit is None and self.rest_seconds is None

    @property
    def reason(self) -> str:
        """Why a file is put aside."""
        return f"it failed alone {self.failures} times while every service answered, the last time with: {self.what}"


class WorkFailed(SluiceError):
    """A batch or a file fails although every service answers. What follows is in the ledger; the next run goes on with it."""

    def __init__(self, spec: FeedSpec, failed: Failed, what: str) -> None:
        self.failed = failed
        if failed.batch_limit is not None:
            follows = f"seq {failed.first_seq}-{failed.last_seq} failed together; the next batch takes at most {failed.batch_limit} of them"
        elif failed.poison:
            follows = f"seq {failed.first_seq} failed alone {failed.failures} times and is put aside; those behind it go on"
        else:
            follows = (
                f"seq {failed.first_seq} failed alone, {failed.failures} of {failed.most} times; "
                f"it is tried again in {failed.rest_seconds:.0f} s, and nothing behind it before"
            )
        super().__init__(f"{spec.name}: {what}. Every service answers. {follows} (docs/runbooks/stuck-batch.md).")


def outage(ports: Ports) -> EnvironmentFailure | None:
    """The service that does not answer now, or None: then a failure is the work's own."""
    try:
        ports.ledger.answers()
        ports.store.head(ports.bucket, keys.fixes("health"))
        ports.job.answers()
    except EnvironmentFailure as down:
        return down
    return None


def damaged_input(ports: Ports, batch: Batch, request: Any) -> EnvironmentFailure | None:
    """The first object that a batch's job reads and that is not as it was written, or None, also while S3 does not answer.

    Bronze of the batch is compared with what its gate wrote; of everything else that the request names it is asked whether it is there.
    """
    written = {ref.key: (ref.size, ref.etag) for file in (*batch.files, *batch.superseded) for ref in file.bronze}
    with suppress(EnvironmentFailure):
        for key in _texts(request):
            feed = keys.feed_of_rows(key)
            if feed is None:
                continue
            there = ports.store.head(ports.bucket, key)
            if there is None:
                harm = "is gone"
            elif written.get(key, (there.size, there.etag)) != (there.size, there.etag):
                harm = "holds other bytes than its gate wrote"
            else:
                continue
            what = f"s3://{ports.bucket}/{key}, which batch {batch.number} reads, {harm}"
            mend = f"`sluice reconcile {feed} --all` makes it again or says why it cannot, see docs/runbooks/ledger-and-bucket.md"
            return EnvironmentFailure("S3", what, mend)
    return None


def _texts(value: Any) -> Iterator[str]:
    """Every text in a value of JSON, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
