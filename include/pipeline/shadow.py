"""A batch evaluated once more, beside what was published: nothing of it ever becomes visible, and it is removed afterwards."""

from __future__ import annotations

from collections.abc import Sequence

from include.errors import SluiceError, UsageError
from include.feed import FeedSpec
from include.files import keys
from include.files.batch import Batch
from include.files.outcome import Outcome, SeqRange
from include.pipeline.ports import Ports, Shadow


def shadow_of(ports: Ports, spec: FeedSpec) -> Shadow:
    """How the feed's batches are evaluated once more.

    Raises:
        UsageError: its domain does not say.
    """
    if ports.parts.shadow is None:
        raise UsageError(f"batches of {spec.name} are not evaluated once more: its domain has no shadow")
    return ports.parts.shadow()


def shadow(ports: Ports, spec: FeedSpec, batch: Batch, token: str, instead: Sequence[SeqRange] = ()) -> Outcome:
    """Run the feed's job on a batch as it is given (files, bronze objects, parameters, reference), on the state as of before its first seq.

    Args:
        token: names the folder; `remove_shadow` with the same one takes everything back.
        instead: stretches before the batch whose contribution to state is to be another than the published one, in seq order; of a feed
            with a history of findings.

    Raises:
        EnvironmentFailure: S3, PostgreSQL or Spark does not answer.
    """
    folder, evaluated = keys.shadow_batch(spec.name, token, batch.first_seq), shadow_of(ports, spec)
    history = ports.parts.finding_history
    request = history().request(batch, folder, instead) if history and instead else evaluated.request(batch, folder)
    return evaluated.outcome(ports.job.run(request))


def remove_shadow(ports: Ports, spec: FeedSpec, token: str) -> None:
    """Delete what shadow runs wrote under a token. What cannot be deleted harms nobody: nothing points at it."""
    try:
        for stamp in list(ports.store.objects(ports.bucket, keys.shadow(spec.name, token))):
            ports.store.delete(ports.bucket, stamp.key)
    except SluiceError as failed:
        ports.log(f"left behind under {keys.shadow(spec.name, token)}, nobody reads it ({failed})")
