"""What a shadow run is asked of feeds whose files put in rows, and how what it gave differs from what was published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from include.ingestion.batch import Batch
from include.ingestion.errors import ObjectGone
from include.ingestion.file import ObjectRef
from include.ingestion.past.outcome import Change, Difference, Key, Outcome, Stretch
from include.ingestion.ports import ObjectStore
from include.stores.differences import first_difference
from include.stores.tables import table_as_it_lies

SHADOW_ATTEMPT = 0
Asked = Callable[[Batch, str], dict[str, Any]]


class ContributionShadows:
    """The `Shadows` port of feeds whose files put in rows, each its own. Changes nothing.

    A file's contribution is what it puts in, whatever it takes the place of and whatever came before it. Nothing is found once only, so
    there are no findings: what is unusual follows from the rows in force.

    Args:
        asked: the job's request for a batch, with results below a folder.
        contribution: the object of a manifest that holds what the files put in.
        of_a_file: the columns of it that belong to a file, and the column that names the file, as a manifest's `files` do.
    """

    def __init__(self, store: ObjectStore, bucket: str, asked: Asked, contribution: str, of_a_file: tuple[str, Sequence[str]]) -> None:
        self._store = store
        self._bucket = bucket
        self._asked = asked
        self._contribution = contribution
        self._named_by, self._columns = of_a_file

    def request(self, batch: Batch, folder: str, instead: Sequence[Stretch]) -> dict[str, Any]:
        """What the job is asked; no contribution depends on another, so that it does not matter which are to be others."""
        del instead
        return self._asked(batch, folder)

    def outcome(self, manifest: Mapping[str, Any]) -> Outcome:
        """What a job left, as it lies now.

        Raises:
            ObjectGone: an object that the manifest names is not there.
        """
        ref = manifest["objects"][self._contribution]
        table = table_as_it_lies(self._store, self._bucket, ref["key"])
        parts = {file["seq"]: self._of_file(table, file) for file in manifest["files"] if file["rows"]}
        return Outcome(
            manifest=manifest,
            state=ObjectRef(ref["key"], ref["size"], ref["etag"], ref["rows"]),
            contributions={seq: (part.num_rows, _digest(part)) for seq, part in parts.items()},
            findings=(),
        )

    def recorded_findings(self, seqs: Sequence[int], keys: Collection[Key]) -> dict[Key, int]:
        """None: nothing is found once only."""
        del seqs, keys
        return {}

    def finding_difference(self, change: Change) -> Difference:
        """Where a finding that should not be there would be."""
        return Difference(f"a finding at seq {change.now or change.was}, where nothing is found once only")

    def state_difference(self, recorded: Outcome, now: Outcome, seq: int) -> Difference | None:
        """The first row in which a file's contributions differ."""
        then, made = (self._part(outcome, seq) for outcome in (recorded, now))
        return first_difference(f"{self._contribution} row", then, made, named_by=())

    def bronze_difference(self, recorded: Sequence[ObjectRef], now: Sequence[ObjectRef]) -> Difference | None:
        """The first accepted row in which what bronze holds differs from other bronze of the same file."""
        try:
            then = [table_as_it_lies(self._store, self._bucket, ref.key) for ref in recorded]
        except ObjectGone as gone:
            return Difference(f"bronze: {gone}")
        made = [table_as_it_lies(self._store, self._bucket, ref.key) for ref in now]
        if not (then or made):
            return None
        nothing = (then or made)[0].schema.empty_table()
        return first_difference("bronze row", pa.concat_tables([nothing, *then]), pa.concat_tables([nothing, *made]), named_by=("_line",))

    def _part(self, outcome: Outcome, seq: int) -> pa.Table:
        file = next(file for file in outcome.manifest["files"] if file["seq"] == seq)
        return self._of_file(table_as_it_lies(self._store, self._bucket, outcome.state.key), file)

    def _of_file(self, table: pa.Table, file: Mapping[str, Any]) -> pa.Table:
        """What a file put in; what it took out (negative rows) belongs to the files that it superseded."""
        mine = pc.equal(table[self._named_by], file[self._named_by])
        if "rows" in table.column_names:
            mine = pc.and_(mine, pc.greater(table["rows"], 0))
        return table.filter(mine).select(self._columns)


def _digest(part: pa.Table) -> str:
    """A sha256 over the rows, as CSV."""
    text = pa.BufferOutputStream()
    pa.csv.write_csv(part, text)
    return hashlib.sha256(text.getvalue()).hexdigest()
