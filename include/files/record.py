"""What the ledger keeps of a file beside its identity: where its bytes lie now, and where its accepted and rejected rows do."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from include.files import keys
from include.files.file import LedgerFile, ObjectRef
from include.files.states import State

TO_DELIVER = frozenset({State.QUARANTINED, State.DISCARDED, State.DUPLICATE, State.PUBLISHED, State.SUPERSEDED})


@dataclass(frozen=True, slots=True)
class FileRecord:
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
        return not self.delivered and self.file.state in TO_DELIVER

    def place(self, bucket: str) -> tuple[str, str]:
        """Bucket and key of its bytes; `bucket` is where error/ and archive/ are."""
        if self.location_key is None:
            return self.file.bucket, self.file.key
        return bucket, self.location_key

    def report_folder(self) -> str:
        """The folder of its report and its rejected rows."""
        file = self.file
        return keys.report_folder(file.feed, file.date, file.key, file.file_id, self.location_key)


@dataclass(frozen=True)
class Undelivered:
    """A refused, repeated or published file for which something may still be to do outside the ledger."""

    file: LedgerFile
    location: str
    location_key: str | None
    rejects_key: str | None
    report: Mapping[str, Any]
