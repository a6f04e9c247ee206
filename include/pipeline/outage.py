"""Work that fails: an outage or a damaged object of ours, which is no file's fault, or a file that cannot be worked on.

They are told apart by asking the services and by looking at what the job reads.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING

from include.errors import DeploymentFault, EnvironmentFailure, JobFailed, Refused, SluiceError
from include.files import keys
from include.files.failure import Failed
from include.logs import described

if TYPE_CHECKING:
    from include.feed import FeedSpec
    from include.files.batch import Batch
    from include.pipeline.services import Services


class WorkFailed(SluiceError):
    """A batch or a file fails although every service answers. What follows is in the ledger; the next run goes on with it."""

    def __init__(self, spec: FeedSpec, failed: Failed, what: str) -> None:
        self.failed = failed
        runbook = "docs/runbooks/unreadable.md" if failed.refused else "docs/runbooks/stuck-batch.md"
        if failed.batch_limit is not None:
            follows = f"seq {failed.first_seq}-{failed.last_seq} failed together; the next batch takes at most {failed.batch_limit} of them"
        elif failed.poison:
            follows = f"seq {failed.first_seq} failed alone {failed.failures} times and is put aside; those behind it go on"
        else:
            follows = (
                f"seq {failed.first_seq} failed alone, {failed.failures} of {failed.most} times; "
                f"it is tried again in {failed.rest_seconds:.0f} s, and nothing behind it before; "
                f'`sluice batch give-up {spec.name} {failed.first_seq} --why "..."` gives it up at once'
            )
        super().__init__(f"{spec.name}: {what}. Every service answers. {follows} ({runbook}).")


class NotTheFiles(DeploymentFault):
    """What is known to be good fails in the same way as a file that would be condemned: so nothing is."""

    def __init__(self, spec: FeedSpec, good: str, what: str) -> None:
        super().__init__(
            spec.name,
            f"it is not the files: {good} fails in the same way now: {what}",
            f"mend what it names, or go back to the release that did it, then `sluice ingest {spec.name}` (docs/runbooks/stuck-batch.md)",
        )


def outage(ports: Services) -> EnvironmentFailure | None:
    """The service that does not answer now, or None: then a failure is the work's own."""
    down = stores_down(ports)
    if down is None:
        try:
            ports.job.answers()
        except EnvironmentFailure as job:
            return job
    return down


def stores_down(ports: Services) -> EnvironmentFailure | None:
    """The ledger or the store, if it does not answer now."""
    try:
        ports.ledger.admin.answers()
        ports.store.head(ports.bucket, keys.fixes("health"))
    except EnvironmentFailure as down:
        return down
    except Refused as refused:
        return EnvironmentFailure("PostgreSQL", refused.sentence)
    return None


def way_of(error: BaseException) -> str:
    """What two failures of one cause have in common: the code of a service, or kind and place of an error."""
    way = getattr(error, "way", "") if isinstance(error, Refused | JobFailed) else ""
    return str(way) or described(error)


def damaged_input(ports: Services, batch: Batch, request: Mapping[str, object]) -> EnvironmentFailure | None:
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


def _texts(value: object) -> Iterator[str]:
    """Every text in a value of JSON, in order."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list | tuple):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)
