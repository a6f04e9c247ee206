"""A batch evaluated once more, beside what was published: nothing of it ever becomes visible, and it is removed afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from include.ingestion import keys
from include.ingestion.batch import Batch
from include.ingestion.errors import SluiceError
from include.ingestion.feed import FeedSpec
from include.ingestion.past.outcome import Outcome, Stretch
from include.ingestion.ports import Ports


def shadow(ports: Ports, spec: FeedSpec, batch: Batch, token: str, instead: Sequence[Stretch] = ()) -> Outcome:
    """Run the feed's job on a batch as it is given (files, bronze objects, parameters, reference), on the state as of before its first seq.

    Args:
        token: names the folder; `remove_shadow` with the same one takes everything back.
        instead: stretches before the batch whose contribution to state is to be another than the published one, in seq order.

    Raises:
        EnvironmentFailure: S3, PostgreSQL or Spark does not answer.
    """
    request = ports.results.shadows.request(batch, keys.shadow_batch(spec.name, token, batch.first_seq), instead)
    return ports.results.shadows.outcome(ports.job.run(ports.results.job, request))


def remove_shadow(ports: Ports, spec: FeedSpec, token: str) -> None:
    """Delete what shadow runs wrote under a token. What cannot be deleted harms nobody: nothing points at it."""
    try:
        for stamp in list(ports.store.objects(ports.bucket, keys.shadow(spec.name, token))):
            ports.store.delete(ports.bucket, stamp.key)
    except SluiceError as failed:
        ports.say(f"left behind under {keys.shadow(spec.name, token)}, nobody reads it ({failed})")
