"""Judge registered files once more, from their bytes as they lie now. The ledger is read and not touched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.feed import FeedSpec
from include.files.file import FileRecord
from include.files.verdict import Fault, Verdict
from include.pipeline.ports import Ports
from include.storage.object_store import as_it_lies


@dataclass(frozen=True)
class Revalidated:
    """What the gate says of a file now, beside what the ledger recorded the first time.

    Attributes:
        kept: the file as the ledger has it.
        verdict: what the gate says now, its objects under the attempt's own names; None where the bytes lie nowhere.
    """

    kept: FileRecord
    verdict: Verdict | None

    @property
    def same_bytes(self) -> bool:
        """Whether the bytes are those that were judged the first time."""
        return self.verdict is not None and self.verdict.sha256 is not None and self.verdict.sha256 == self.kept.file.sha256

    @property
    def same_rows(self) -> bool:
        """Whether the accepted rows and the counts are those that were recorded."""
        now, then = self.verdict, self.kept
        if now is None or not self.same_bytes or (now.lines, now.rejected) != (then.file.lines, then.file.rejected):
            return False
        return now.bronze_digest == then.bronze_digest

    @property
    def what(self) -> str:
        """In words, how the two differ; empty where they do not."""
        if self.verdict is None or self.verdict.fault is Fault.OBJECT_GONE:
            return "its original bytes are not there any more"
        if not self.same_bytes:
            return f"its original bytes have sha256 {self.verdict.sha256}, recorded is {self.kept.file.sha256}"
        if not self.same_rows:
            return (
                f"its bytes are judged differently now: {self.verdict.accepted} accepted and {self.verdict.rejected} rejected rows "
                f"(digest {self.verdict.bronze_digest}), recorded are {self.kept.file.accepted} and {self.kept.file.rejected} "
                f"({self.kept.bronze_digest})"
            )
        return ""


def revalidate(ports: Ports, spec: FeedSpec, file_ids: Sequence[int], attempt: str) -> list[Revalidated]:
    """Judge files from where their bytes lie, in seq order, each on its own merits.

    What the gate writes lies in bronze under `attempt`, where nothing points at it: whoever asked points at it or takes it back.

    Raises:
        EnvironmentFailure: S3 or PostgreSQL does not answer.
    """
    lying = [(kept, as_it_lies(ports.store, ports.bucket, kept)) for kept in ports.ledger.files.records(file_ids)]
    there = [file for _, file in lying if file is not None]
    verdicts = {verdict.file_id: verdict for verdict in ports.gate.validate(spec, there, attempt, ports.log)} if there else {}
    return [Revalidated(kept, verdicts.get(kept.file.file_id)) for kept, _ in lying]


def take_back(ports: Ports, verdict: Verdict) -> None:
    """Delete what an attempt wrote for a file, where nothing points at it."""
    for ref in (*verdict.bronze, *([verdict.rejects] if verdict.rejects else ())):
        ports.store.delete(ports.bucket, ref.key)
