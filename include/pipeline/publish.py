"""Publish: the one PostgreSQL transaction that makes a batch's results visible and its files published."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from include.errors import EnvironmentFailure, LeaseLost, Refused
from include.feed import FeedSpec
from include.files.batch import Attempt
from include.ledger.batches import Publish
from include.ledger.session import repeated
from include.pipeline.known_good import known_good_is_not_published
from include.pipeline.message import Json
from include.pipeline.ports import Ports
from include.pipeline.process import Processed, attempt_failed
from include.run import Run


@dataclass(frozen=True)
class Published:
    """What became visible, as counts of the feed's own."""

    batch: int
    counts: dict[str, int]


def publish(ports: Ports, spec: FeedSpec, run: Run, token: int, processed: Processed) -> Published | None:
    """Make an attempt's results visible, all at once, and let the lease go. None: there was nothing to publish.

    Raises:
        LeaseLost: another run took the feed over, or the state moved on since the attempt read it. Nothing was changed.
        EnvironmentFailure: S3 or PostgreSQL does not answer. The next run finds out whether the transaction happened.
        WorkFailed: the results cannot be published although every service answers; the next batch is smaller.
    """
    if processed.batch is None or processed.attempt is None or processed.state_version_read is None or processed.manifest_key is None:
        return None
    attempt = Attempt(processed.batch, processed.attempt, processed.state_version_read)
    try:
        manifest = json.loads(ports.store.read_bytes(ports.bucket, processed.manifest_key))
        counts = _publish(ports, spec, run, token, attempt, manifest, ports.parts.publisher().prepare(manifest))
    except LeaseLost:
        raise
    except EnvironmentFailure as down:
        # it may be the ledger that is down, and an attempt whose publication was not heard of stays published, its lease given up
        with suppress(EnvironmentFailure, LeaseLost, Refused):
            ports.ledger.batches.end_attempt(spec, token, attempt, "failed", str(down))
        raise
    except Exception as failed:
        raise attempt_failed(ports, spec, run, token, attempt, failed, known_good_is_not_published) from failed
    ports.log(f"published batch {processed.batch} of {spec.name}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return Published(processed.batch, counts)


@repeated
def _publish(ports: Ports, spec: FeedSpec, run: Run, token: int, attempt: Attempt, manifest: Json, results: Publish) -> dict[str, int]:
    """The one transaction: files, state pointers, counters and results together or not at all."""
    with ports.ledger.batches.publishing(spec, token, run, attempt, manifest) as (cursor, batch):
        counts = results(cursor, batch)
    superseded = {"superseded": len(batch.superseded)} if batch.superseded else {}
    return {"files": len(batch.files), "rows": batch.rows} | superseded | counts
