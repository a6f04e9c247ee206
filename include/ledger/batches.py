"""Batches in the ledger: deciding files in order, fixing a batch, attempts, and the one transaction that publishes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from psycopg import Rollback
from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from include.errors import LeaseLost, UsageError
from include.feed import FeedSpec
from include.files.batch import Attempt, Batch, BatchFile, RecordedBatch
from include.ledger.files import object_refs
from include.ledger.session import Cursor, LedgerPart, repeated
from include.run import Run

# The files of some batches of a group, with those that they supersede, in seq order.
FILES_OF_BATCHES = """
select f.batch, f.file_id, f.seq, f.key, f.accepted, f.bronze, f.touched_values,
       (select jsonb_agg(jsonb_build_object('file_id', o.file_id, 'seq', o.seq, 'key', o.key, 'accepted', o.accepted, 'bronze', o.bronze,
                                            'touched_values', o.touched_values) order by o.seq)
        from file o where o.file_id = any(f.supersedes)) as supersedes
from file f where f.group_name = %s and f.batch = any(%s) order by f.seq
"""


# Makes what was read of a batch's results visible, in the transaction of its publication; counts of the feed's own.
Publish = Callable[[Cursor, Batch], dict[str, int]]


class Batches(LedgerPart):
    """From judged files to published ones."""

    def open(self, spec: FeedSpec) -> Batch | None:
        """The group's one unfinished batch, if there is one."""
        found = self.session.row("select * from batch where group_name = %s and state = 'open'", (spec.group,))
        return None if found is None else batch_from(found, self.session.rows(FILES_OF_BATCHES, (spec.group, [found["batch"]])))

    @contextmanager
    def deciding(self, spec: FeedSpec, token: int, run: Run) -> Iterator[Cursor]:
        """The transaction in which files are decided and a batch is fixed."""
        with self.session.fenced(spec, token, run) as cursor:
            yield cursor

    @repeated
    def begin_attempt(self, spec: FeedSpec, token: int, run: Run, batch: int) -> Attempt:
        """Number the next try at the open batch and note the state version it works from."""
        with self.session.fenced(spec, token, run) as cursor:
            cursor.execute(
                "update batch set attempt = attempt + 1 where group_name = %s and batch = %s and state = 'open' returning attempt",
                (spec.group, batch),
            )
            begun = cursor.fetchone()
            if begun is None:
                raise LeaseLost(spec.name, token)
            cursor.execute(
                """insert into batch_attempt (group_name, batch, attempt, run_id, token, state_version_read)
                   select group_name, %s, %s, %s, %s, state_version from feed_group where group_name = %s returning state_version_read""",
                (batch, begun["attempt"], run.run_id, token, spec.group),
            )
            read = cursor.fetchone()
            assert read is not None
        return Attempt(batch, begun["attempt"], read["state_version_read"])

    @repeated
    def end_attempt(self, spec: FeedSpec, token: int, attempt: Attempt, outcome: str, error: str | None) -> None:
        with self.session.fenced(spec, token) as cursor:
            _end_attempt(cursor, spec, attempt, outcome, error)

    @contextmanager
    def publishing(
        self, spec: FeedSpec, token: int, run: Run, attempt: Attempt, manifest: Mapping[str, object]
    ) -> Iterator[tuple[Cursor, Batch]]:
        """The transaction in which a batch's files become published and its lease ends; what the block writes becomes visible with them.

        Yields the batch as it is published.

        Raises:
            LeaseLost: the lease, the batch's newest attempt or the state version is not the one this attempt worked under.
        """
        with self.session.fenced(spec, token, run, f"batch {attempt.batch} attempt {attempt.number}") as cursor:
            cursor.execute(
                """update feed_group
                   set state_version = state_version + 1, lease_holder = null, lease_until = null, lease_token = lease_token + 1
                   where group_name = %s and lease_token = %s and state_version = %s returning state_version, clock_timestamp() as now""",
                (spec.group, token, attempt.state_version_read),
            )
            moved = cursor.fetchone()
            cursor.execute(
                """update batch set state = 'published', published_at = %s, manifest = %s, state_version = %s
                   where group_name = %s and batch = %s and attempt = %s and state = 'open' returning *""",
                (
                    moved and moved["now"],
                    Jsonb(dict(manifest)),
                    moved and moved["state_version"],
                    spec.group,
                    attempt.batch,
                    attempt.number,
                ),
            )
            row = cursor.fetchone()
            if moved is None or row is None:
                raise LeaseLost(spec.name, token)
            cursor.execute(
                """update file set state = 'published', published_at = clock_timestamp()
                   where group_name = %s and batch = %s and state = 'accepted'""",
                (spec.group, attempt.batch),
            )
            cursor.execute(FILES_OF_BATCHES.encode(), (spec.group, [attempt.batch]))
            batch = batch_from(row, cursor.fetchall())
            _supersede(cursor, batch)
            yield cursor, batch
            _end_attempt(cursor, spec, attempt, "published", None)

    @contextmanager
    def rehearsing(self, spec: FeedSpec) -> Iterator[Cursor]:
        """A transaction in which something is published once more, and all of it taken back."""
        with self.session.transaction() as cursor:
            cursor.execute("select from feed_group where group_name = %s for update", (spec.group,))
            yield cursor
            raise Rollback

    @repeated
    def abandon(self, spec: FeedSpec, run: Run, why: str) -> int:
        """Give up the open batch: its files are accepted and wait for the next one. Whoever works on it can no longer publish.

        Raises:
            UsageError: no batch of the feed is open.
        """
        with self.session.transaction(run) as cursor:
            cursor.execute("select 1 from feed_group where group_name = %s for update", (spec.group,))
            return abandon(cursor, spec, why)

    def between(self, spec: FeedSpec, first: int, last: int) -> list[RecordedBatch]:
        """The published batches from one number to another, both included."""
        return self.recorded(spec, "batch between %(first)s and %(last)s", {"first": first, "last": last})

    def known_good(self, spec: FeedSpec) -> RecordedBatch | None:
        """The smallest of the newest batches that were published."""
        row = self.session.row(
            """select batch from (
                   select batch, rows from batch where feed = %s and state = 'published' order by batch desc limit 20
               ) newest order by rows, batch desc limit 1""",
            (spec.name,),
        )
        found = self.recorded(spec, "batch = %(batch)s", {"batch": row["batch"]}) if row else []
        return found[0] if found else None

    def recorded(self, spec: FeedSpec, which: str, values: dict[str, object]) -> list[RecordedBatch]:
        rows = self.session.rows(
            f"select * from batch where feed = %(feed)s and state = 'published' and {which} order by batch", values | {"feed": spec.name}
        )
        files = self.session.rows(FILES_OF_BATCHES, (spec.group, [row["batch"] for row in rows]))
        return [
            RecordedBatch(batch_from(row, [file for file in files if file["batch"] == row["batch"]]), row["manifest"], row["code_version"])
            for row in rows
        ]


def abandon(cursor: Cursor, spec: FeedSpec, why: str) -> int:
    """Give up the feed's open batch, in a transaction that holds the group's row.

    Raises:
        UsageError: none is open.
    """
    cursor.execute(
        """update batch set state = 'abandoned', reason = %s where group_name = %s and feed = %s and state = 'open'
           returning batch, attempt""",
        (why, spec.group, spec.name),
    )
    given_up = cursor.fetchone()
    if given_up is None:
        raise UsageError(f"{spec.name} has no open batch; `sluice batch list {spec.name}` shows them all")
    cursor.execute("update file set batch = null, group_name = null where group_name = %s and batch = %s", (spec.group, given_up["batch"]))
    cursor.execute(
        "update feed_group set lease_holder = null, lease_until = null, lease_token = lease_token + 1 where group_name = %s", (spec.group,)
    )
    _end_attempt(cursor, spec, Attempt(given_up["batch"], given_up["attempt"], 0), "abandoned", why)
    number: int = given_up["batch"]
    return number


def batch_from(row: DictRow, files: Sequence[DictRow]) -> Batch:
    """A batch from its row and those of `FILES_OF_BATCHES`."""
    return Batch(
        number=row["batch"],
        feed=row["feed"],
        first_seq=row["first_seq"],
        last_seq=row["last_seq"],
        rows=row["rows"],
        parameters=row["parameters"],
        reference_version=row["reference_version"],
        started_at=row["started_at"],
        files=tuple(map(_batch_file, files)),
        published_at=row["published_at"],
    )


def _batch_file(file: DictRow) -> BatchFile:
    return BatchFile(
        file_id=file["file_id"],
        seq=file["seq"],
        key=file["key"],
        rows=file["accepted"],
        bronze=object_refs(file["bronze"]),
        touched_values=None if file["touched_values"] is None else tuple(file["touched_values"]),
        supersedes=tuple(map(_batch_file, file.get("supersedes") or ())),
    )


def _supersede(cursor: Cursor, batch: Batch) -> None:
    """Take the files out of force whose places those of the batch take; deliver tells people of them once more."""
    for file in batch.files:
        old = [one.file_id for one in file.supersedes]
        if old:
            cursor.execute(
                "update file set state = 'superseded', reason = %s, delivered_at = null where file_id = any(%s)",
                (f"superseded by file {file.file_id}, seq {file.seq}", old),
            )


def _end_attempt(cursor: Cursor, spec: FeedSpec, attempt: Attempt, outcome: str, error: str | None) -> None:
    cursor.execute(
        """update batch_attempt set ended_at = clock_timestamp(), outcome = %s, error = %s
           where group_name = %s and batch = %s and attempt = %s and outcome is null""",
        (outcome, error, spec.group, attempt.batch, attempt.number),
    )
