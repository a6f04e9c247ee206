"""Who is to blame is asked, not guessed: of what is known to be good, at the moment when a file would be blamed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from include.errors import DeploymentFault, EnvironmentFailure, ObjectGone, ObjectRefused, Refused
from include.files import keys
from include.logs import described
from include.pipeline.outage import NotTheFiles, outage, way_of
from include.pipeline.revalidate import revalidate, take_back
from include.pipeline.shadow import remove_shadow

if TYPE_CHECKING:
    from include.feed import FeedSpec
    from include.files.file import LedgerFile
    from include.pipeline.ports import Ports
    from include.storage.object_store import ObjectStore

_WITNESSES = 3
_UNIQUE_VIOLATION = "23505"
AskWhatIsGood = Callable[["Ports", "FeedSpec", Exception], EnvironmentFailure | None]


def not_the_object(ports: Ports, file: LedgerFile, refused: ObjectRefused, waiting_too: Sequence[LedgerFile]) -> EnvironmentFailure | None:
    """Why the store does not give a file, where that is not its own fault: an outage, or a grant that is missing for all.

    A refusal that any object may meet is one's own if another of the feed is given right now: one that was read before, or one of
    those `waiting_too`. Where there is no other, one that is about permission is its own if the store lets us look at it.
    """
    down = outage(ports)
    if down is not None:
        return down
    if not (refused.denied or refused.passing):
        return None
    waiting = [one for one in waiting_too if (one.file_id, one.bucket) != (file.file_id, file.bucket)]
    others = [*ports.ledger.failures.peers_of(file, _WITNESSES), *(waiting if refused.denied else waiting[:_WITNESSES])]
    met = False
    for other in others:
        answer = refusal(ports.store, other)
        if answer is None:
            return None
        met = met or isinstance(answer, ObjectRefused)
    if not refused.denied or (not met and _shows(ports.store, file)):
        return refused if refused.passing else None
    what = f"{refused.what}" + ("; what was read there before is not given either" if met else "")
    return DeploymentFault("S3", what, refused.mend)


def refusal(store: ObjectStore, file: LedgerFile) -> ObjectRefused | ObjectGone | None:
    """Why the store does not give a file's object now; None where it does."""
    try:
        with store.read(file.bucket, file.key, file.etag) as stream:
            readable = bool(stream.read(1)) or not file.size
    except (ObjectRefused, ObjectGone) as refused:
        return refused
    empty = f"s3://{file.bucket}/{file.key} arrives empty"
    return (
        None if readable else ObjectRefused(file.bucket, file.key, "WrongLength", empty, "look at it with your store's tools", passing=True)
    )


def _shows(store: ObjectStore, file: LedgerFile) -> bool:
    try:
        return store.head(file.bucket, file.key) is not None
    except ObjectRefused:
        return False


def known_good_fails(ports: Ports, spec: FeedSpec, failed: Exception) -> EnvironmentFailure | None:
    """What is to blame in place of a batch, where one that was published before fails in the same way; None where it does not."""
    good = ports.ledger.batches.known_good(spec)
    if good is None or ports.parts.shadow is None:
        return None
    token = ports.new_id()
    try:
        ports.job.run(ports.parts.shadow().request(good.batch, keys.shadow_batch(spec.name, token, good.batch.first_seq)))
    except EnvironmentFailure as down:
        return down
    except Exception as error:  # noqa: BLE001 (whatever it is, it is compared)
        if way_of(error) == way_of(failed):
            return NotTheFiles(spec, f"batch {good.batch.number}, which was published before,", described(error))
    finally:
        remove_shadow(ports, spec, token)
    return None


def known_good_is_not_published(ports: Ports, spec: FeedSpec, failed: Exception) -> EnvironmentFailure | None:
    """As `known_good_fails`, of what cannot be published: the newest good batch is published once more, and all of it taken back.

    Its rows are there already, so that it fails at a unique key says nothing.
    """
    good = ports.ledger.batches.known_good(spec)
    if good is None:
        return None
    try:
        publish_again = ports.parts.publisher().prepare(good.manifest)
        with ports.ledger.batches.rehearsing(spec) as cursor:
            publish_again(cursor, good.batch)
    except EnvironmentFailure as down:
        return down
    except Exception as error:  # noqa: BLE001 (whatever it is, it is compared)
        if way_of(error) == way_of(failed) and not _is_there_already(error):
            return NotTheFiles(spec, f"batch {good.batch.number}, which was published before,", described(error))
    return None


def _is_there_already(error: Exception) -> bool:
    return isinstance(error, Refused) and _UNIQUE_VIOLATION in error.way.split()


def known_good_is_refused(ports: Ports, spec: FeedSpec, failed: Exception) -> EnvironmentFailure | None:
    """What is to blame in place of a file that the gate fails on, where one that was accepted before fails in the same way."""
    good = ports.ledger.failures.known_good_file(spec)
    if good is None:
        return None
    try:
        for again in revalidate(ports, spec, [good], f"dry-{ports.new_id()}"):
            if again.verdict is not None:
                take_back(ports, again.verdict)
    except ObjectRefused:
        return None  # it says nothing of how the gate does with a file that it gets
    except EnvironmentFailure as down:
        return down
    except Exception as error:  # noqa: BLE001 (whatever it is, it is compared)
        if way_of(error) == way_of(failed):
            return NotTheFiles(spec, f"file {good}, which was accepted before,", described(error))
    return None
