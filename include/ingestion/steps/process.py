"""Process: decide the judged files in seq order, fix a batch of the accepted ones, run the feed's job on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from include.ingestion import keys
from include.ingestion.batch import Attempt
from include.ingestion.errors import EnvironmentFailure, LeaseLost
from include.ingestion.feed import FeedSpec
from include.ingestion.group import for_feed
from include.ingestion.logs import described
from include.ingestion.ports import Ports
from include.ingestion.repair.failing import WorkFailed, damaged_input, outage
from include.ingestion.run import Run


@dataclass(frozen=True)
class Processed:
    """What process hands on: counts, and where the attempt's manifest lies.

    `batch` None: nothing was accepted. `feed`: whose batch it is; a batch that a run of a sister left unfinished is resumed first.
    """

    accepted: int
    quarantined: int
    duplicate: int
    batch: int | None = None
    attempt: int | None = None
    state_version_read: int | None = None
    manifest_key: str | None = None
    feed: str | None = None


def process(ports: Ports, spec: FeedSpec, run: Run, token: int, file_ids: Sequence[int]) -> Processed:
    """Decide, open a batch (or resume the open one as its next attempt), and run the job; its results stay invisible.

    Raises:
        LeaseLost: another run took the feed over.
        EnvironmentFailure: S3, PostgreSQL or Spark does not answer; the next run resumes the batch.
        WorkFailed: the job fails although they all answer; the next batch is smaller.
    """
    with ports.ledger.kept_lease(spec, token):
        batch = ports.ledger.open_batch(spec)
        counts = (0, 0, 0)
        if batch is None:
            settled = ports.ledger.settle(spec, token, run, file_ids)
            counts = (settled.accepted, settled.quarantined, settled.duplicate)
            ports.say(
                f"decided in seq order: {settled.accepted} accepted, {settled.quarantined} quarantined, {settled.duplicate} duplicate"
            )
            batch = ports.ledger.open_batch(spec)
        if batch is None:
            ports.ledger.let_go(spec, token)
            return Processed(*counts)
        ports, spec = for_feed(ports, spec, batch.feed)
        attempt = ports.ledger.begin_attempt(spec, token, run, batch.number)
        ports.say(
            f"batch {batch.number} attempt {attempt.number} of {spec.name}: "
            f"seq {batch.first_seq}-{batch.last_seq}, {len(batch.files)} files, {batch.rows} rows"
            + "".join(f", {name} {value}" for name, value in batch.parameters.items())
        )
        if batch.reference_version is None and spec.without_reference:
            ports.say(spec.without_reference)
        folder = keys.attempt_folder(spec.name, batch.number, attempt.number)
        request: dict[str, Any] = {}
        try:
            request = ports.results.request(batch, attempt)
            ports.store.put(ports.bucket, keys.in_attempt(folder, "request.json"), json.dumps(request).encode())
            ports.job.run(ports.results.job, request)
        except LeaseLost:
            raise
        except Exception as failed:
            cause = damaged_input(ports, batch, request) or failed
            raise attempt_failed(ports, spec, run, token, attempt, cause) from failed
        manifest_key = keys.in_attempt(folder, "manifest.json")
        return Processed(*counts, batch.number, attempt.number, attempt.state_version_read, manifest_key, spec.name)


def attempt_failed(ports: Ports, spec: FeedSpec, run: Run, token: int, attempt: Attempt, failed: Exception) -> Exception:
    """End an attempt as its error deserves: an outage leaves the batch for the next run, anything else narrows it. The error to raise."""
    down = failed if isinstance(failed, EnvironmentFailure) else outage(ports)
    what = described(failed)
    if down is not None:
        ports.ledger.end_attempt(spec, attempt, "failed", what)
        return down
    return WorkFailed(spec, ports.ledger.batch_failed(spec, token, run, attempt, what), f"batch {attempt.batch} failed: {what}")
