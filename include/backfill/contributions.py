"""A batch evaluated once more, held against what was published by what each of its files put in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.backfill.differences import first_difference
from include.files.batch import Batch
from include.files.file import ObjectRef
from include.files.outcome import Difference, Outcome
from include.ledger.tables import pieces_as_they_lie
from include.pipeline.message import CountedFile, JobRequest, Json, Manifest
from include.storage.object_store import ObjectStore

SHADOW_ATTEMPT = 0

M = TypeVar("M", bound=Manifest)


class ContributionShadow(Generic[M]):
    """The shadow of a feed whose files put in rows, each its own: whatever a file takes the place of, and whatever came before it.

    Args:
        manifest: what the job leaves.
        contribution: the object of it that holds what the files put in.
        build_request: what the job is asked for a batch: the number of the attempt, and the folder of its results.
        columns: those of the object that say what a file put in; `seq` or `file_id` says which file.
        row: what a row of it is called.
    """

    def __init__(
        self,
        store: ObjectStore,
        bucket: str,
        manifest: type[M],
        contribution: Callable[[M], ObjectRef],
        build_request: Callable[[Batch, int, str], JobRequest],
        columns: Sequence[str],
        row: str,
    ) -> None:
        self._store = store
        self._bucket = bucket
        self._manifest = manifest
        self._contribution = contribution
        self._build_request = build_request
        self._columns = columns
        self._row = row

    def request(self, batch: Batch, output: str) -> JobRequest:
        return self._build_request(batch, SHADOW_ATTEMPT, output)

    def outcome(self, manifest: Json) -> Outcome:
        """What a job left, as it lies now.

        Raises:
            ObjectGone: an object that the manifest names is not there.
        """
        made = self._manifest.from_json(manifest)
        ref = self._contribution(made)
        digests = {file.seq: _Digest() for file in made.files if file.rows}
        for piece in self._pieces(ref.key):
            for file in made.files:
                if file.rows:
                    digests[file.seq].add(self._of_file(piece, file))
        return Outcome(
            manifest=manifest,
            state=ObjectRef(ref.key, ref.size, ref.etag, ref.rows),
            contributions={seq: (digest.rows, digest.sha256.hexdigest()) for seq, digest in digests.items()},
            findings=(),
        )

    def state_difference(self, recorded: Outcome, now: Outcome, seq: int) -> Difference | None:
        """The first row in which a file's contributions differ."""
        then, made = (self._part(outcome, seq) for outcome in (recorded, now))
        return first_difference(self._row, then, made, named_by=())

    def _part(self, outcome: Outcome, seq: int) -> pa.Table:
        file = next(file for file in self._manifest.from_json(outcome.manifest).files if file.seq == seq)
        return pa.concat_tables(self._of_file(piece, file) for piece in self._pieces(outcome.state.key))

    def _pieces(self, key: str) -> Iterator[pa.Table]:
        return pieces_as_they_lie(self._store, self._bucket, key)

    def _of_file(self, table: pa.Table, file: CountedFile) -> pa.Table:
        """What a file put in; what it took out (negative rows) belongs to the files that it superseded."""
        named_by, value = ("file_id", file.file_id) if "file_id" in table.column_names else ("seq", file.seq)
        mine = pc.equal(table[named_by], value)
        if "rows" in table.column_names:
            mine = pc.and_(mine, pc.greater(table["rows"], 0))
        return table.filter(mine).select(self._columns)


class _Digest:
    """A sha256 over rows, as CSV with a header, however they come in pieces."""

    def __init__(self) -> None:
        self.rows = 0
        self.sha256 = hashlib.sha256()
        self._begun = False

    def add(self, piece: pa.Table) -> None:
        text = pa.BufferOutputStream()
        pa.csv.write_csv(piece, text, pa.csv.WriteOptions(include_header=not self._begun))
        self.sha256.update(text.getvalue())
        self.rows += piece.num_rows
        self._begun = True
