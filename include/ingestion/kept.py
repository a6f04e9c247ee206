"""What the ledger keeps of a file beside its identity: where its bytes lie now, and where its accepted and rejected rows do."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from include.ingestion.file import LedgerFile, ObjectRef
from include.ingestion.lifecycle import State

IN_THE_OUTBOX = frozenset({State.QUARANTINED, State.DISCARDED, State.DUPLICATE, State.PUBLISHED, State.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class KeptFile:
    """A registered file with the objects that belong to it.

    Attributes:
        location: landing, error, archive, overwritten or gone.
        location_key: the key of its bytes there, where it is not its own.
        latest: whether it is the newest version of its key.
        delivered: whether everything that follows publication or refusal was done for it.
        bronze, bronze_digest: the objects with its accepted rows, and the digest over those rows.
        rejects: the object with its rejected rows under the gate's attempt.
        last_read_at: when its object was last known to be there.
        reason_code: why it was refused, as a word of `verdict.Fault`.
    """

    file: LedgerFile
    location: str
    location_key: str | None
    latest: bool
    delivered: bool
    bronze: tuple[ObjectRef, ...]
    bronze_digest: str | None
    rejects: ObjectRef | None
    last_read_at: dt.datetime
    reason_code: str | None = None

    @property
    def has_bytes(self) -> bool:
        """Whether the ledger says that the original bytes are somewhere."""
        return self.location in {"landing", "error", "archive"}

    @property
    def moving(self) -> bool:
        """Whether deliver may be at work on it: what lies where changes under a reader's eyes then."""
        return not self.delivered and self.file.state in IN_THE_OUTBOX

    def place(self, bucket: str) -> tuple[str, str]:
        """Bucket and key of its bytes; `bucket` is where error/ and archive/ are."""
        if self.location_key is None:
            return self.file.bucket, self.file.key
        return bucket, self.location_key
