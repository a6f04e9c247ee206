"""Process: decide the judged files in seq order, fix a batch of the accepted ones, run the feed's job on it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

from include.errors import DeploymentFault, EnvironmentFailure, JobFailed, LeaseLost, out_of
from include.feed import FeedSpec
from include.files import keys
from include.files.batch import Attempt, Batch
from include.logs import described
from include.pipeline.decide import decide
from include.pipeline.known_good import AskWhatIsGood, known_good_fails
from include.pipeline.message import JobRequest
from include.pipeline.outage import WorkFailed, damaged_input, outage
from include.pipeline.ports import Ports
from include.run import Run

DIED = "Spark was gone after it"
"""How the error of an attempt begins after which Spark did not answer, and did before."""


@dataclass(frozen=True)
class Processed:
    """What process hands on: counts, and where the attempt's manifest lies.

    `batch` None: nothing was accepted.
    """

    accepted: int
    quarantined: int
    duplicate: int
    batch: int | None = None
    attempt: int | None = None
    state_version_read: int | None = None
    manifest_key: str | None = None


def process(ports: Ports, spec: FeedSpec, run: Run, token: int, file_ids: Sequence[int]) -> Processed:
    """Decide, open a batch (or resume the open one as its next attempt), and run the job; its results stay invisible.

    A batch that discover found unfinished is resumed for the feed that it is of, which may be another one of the group.

    Raises:
        LeaseLost: another run took the feed over.
        EnvironmentFailure: S3, PostgreSQL or Spark does not answer; the next run resumes the batch.
        WorkFailed: the job fails although they all answer; the next batch is smaller.
    """
    with ports.ledger.leases.held(spec, token):
        batch = ports.ledger.batches.open(spec)
        counts = (0, 0, 0)
        if batch is None:
            decided = decide(ports.ledger, spec, run, token, file_ids)
            counts = (decided.accepted, decided.quarantined, decided.duplicate)
            ports.log(
                f"decided in seq order: {decided.accepted} accepted, {decided.quarantined} quarantined, {decided.duplicate} duplicate"
            )
            batch = ports.ledger.batches.open(spec)
        if batch is None:
            ports.ledger.leases.release(spec, token)
            return Processed(*counts)
        attempt = ports.ledger.batches.begin_attempt(spec, token, run, batch.number)
        ports.log(
            f"batch {batch.number} attempt {attempt.number} of {spec.name}: "
            f"seq {batch.first_seq}-{batch.last_seq}, {len(batch.files)} files, {batch.rows} rows"
            + "".join(f", {name} {value}" for name, value in batch.parameters.items())
        )
        if batch.reference_version is None and spec.without_reference:
            ports.log(spec.without_reference)
        folder = keys.attempt_folder(spec.name, batch.number, attempt.number)
        request: JobRequest | None = None
        answered = False
        try:
            if attempt.number > 1 or ports.ledger.failures.failed_before(spec, batch.number):
                answered = _ask_spark(ports, spec, batch)
            request = ports.parts.publisher().request(batch, attempt.number, folder)
            ports.store.put(ports.bucket, keys.in_attempt(folder, "request.json"), json.dumps(request.to_json()).encode())
            ports.job.run(request)
        except LeaseLost:
            raise
        except Exception as failed:
            cause = damaged_input(ports, batch, request.to_json() if request else {}) or failed
            raise attempt_failed(ports, spec, run, token, attempt, cause, known_good_fails, answered=answered) from failed
        manifest_key = keys.in_attempt(folder, "manifest.json")
        return Processed(*counts, batch.number, attempt.number, attempt.state_version_read, manifest_key)


def attempt_failed(
    ports: Ports,
    spec: FeedSpec,
    run: Run,
    token: int,
    attempt: Attempt,
    failed: Exception,
    ask_what_is_good: AskWhatIsGood,
    *,
    answered: bool = False,
) -> Exception:
    """End an attempt as its error deserves. The error to raise.

    An outage and what the deployment lacks leave the batch for the next run, anything else narrows it; before a file is condemned, what is
    known to be good is asked. `answered`: Spark did before the attempt.
    """
    to_blame = failed if isinstance(failed, EnvironmentFailure) else _of_this_machine(failed) or outage(ports)
    if to_blame is None:
        batch = ports.ledger.batches.open(spec)
        if batch is not None and len(batch.files) == 1 and ports.ledger.failures.has_last_chance(spec, batch.files[0].file_id):
            to_blame = ask_what_is_good(ports, spec, failed)
    what = described(failed)
    if to_blame is not None:
        if answered and _spark_is_gone(ports, to_blame):
            what = f"{DIED}: {what}"
        ports.ledger.batches.end_attempt(spec, token, attempt, "failed", what)
        return to_blame
    return WorkFailed(spec, ports.ledger.failures.batch_failed(spec, token, run, attempt, what), f"batch {attempt.batch} failed: {what}")


def _ask_spark(ports: Ports, spec: FeedSpec, batch: Batch) -> bool:
    """That Spark answers, for a batch that has failed before; where it was gone after a try that it had answered before, it is the batch.

    Raises:
        EnvironmentFailure: it does not answer.
        JobFailed: it does again, and did before the last try, and was gone after it.
    """
    ports.job.answers()
    if ports.ledger.failures.attempts_with(spec, batch.number, DIED):
        raise JobFailed("Spark answered before the try and was gone after it: the batch is too large for it, or ends it", way=DIED)
    return True


def _spark_is_gone(ports: Ports, to_blame: EnvironmentFailure) -> bool:
    """Whether it is Spark that does not answer, and still does not."""
    if to_blame.service != "Spark" or isinstance(to_blame, DeploymentFault):
        return False
    try:
        ports.job.answers()
    except EnvironmentFailure:
        return True
    return False


def _of_this_machine(failed: Exception) -> EnvironmentFailure | None:
    """The disk or the open files of this machine, which say nothing of the batch; its memory may do for a smaller one."""
    return None if isinstance(failed, MemoryError) else out_of(failed)
