"""Publish: the one PostgreSQL transaction that makes a batch's results visible and its files published."""

from __future__ import annotations

import json
from dataclasses import dataclass

from include.ingestion.batch import Attempt
from include.ingestion.errors import EnvironmentFailure, LeaseLost
from include.ingestion.feed import FeedSpec
from include.ingestion.group import for_feed
from include.ingestion.ports import Ports
from include.ingestion.run import Run
from include.ingestion.steps.process import Processed, attempt_failed


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
    ports, spec = for_feed(ports, spec, processed.feed or spec.name)
    attempt = Attempt(processed.batch, processed.attempt, processed.state_version_read)
    try:
        manifest = json.loads(ports.store.read_bytes(ports.bucket, processed.manifest_key))
        counts = ports.ledger.publish(spec, token, run, attempt, manifest, ports.results, ports.results.read(manifest))
    except (EnvironmentFailure, LeaseLost):
        raise
    except Exception as failed:
        raise attempt_failed(ports, spec, run, token, attempt, failed) from failed
    ports.say(f"published batch {processed.batch} of {spec.name}: " + ", ".join(f"{count} {name}" for name, count in counts.items()))
    return Published(processed.batch, counts)
