"""Batches in the ledger: deciding files in order, fixing a batch, attempts, and the one transaction that publishes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from include.ingestion.batch import Attempt, Batch, BatchFile
from include.ingestion.decide import Decision, decide
from include.ingestion.errors import LeaseLost, UsageError
from include.ingestion.feed import FeedSpec
from include.ingestion.file import Settled
from include.ingestion.lifecycle import State
from include.ingestion.ports import Results
from include.ingestion.run import Run
from include.stores.ledger.decisions import to_decide, what_is_known
from include.stores.ledger.files import object_refs
from include.stores.ledger.fixes import claim_lines, close_replays
from include.stores.ledger.session import Cursor, LedgerSession
from include.version import code_version

# The files of some batches of a group, with those that they supersede, in seq order.
FILES_OF_BATCHES = """
select f.batch, f.file_id, f.seq, f.key, f.accepted, f.bronze, f.touched,
       (select jsonb_agg(jsonb_build_object('file_id', o.file_id, 'seq', o.seq, 'key', o.key, 'accepted', o.accepted, 'bronze', o.bronze,
                                            'touched', o.touched) order by o.seq)
        from file o where o.file_id = any(f.supersedes)) as supersedes
from file f where f.group_name = %s and f.batch = any(%s) order by f.seq
"""


class Batches(LedgerSession):
    """From judged files to published ones."""

    def open_batch(self, spec: FeedSpec) -> Batch | None:
        """The group's one unfinished batch, if there is one."""
        found = self.row("select * from batch where group_name = %s and state = 'open'", (spec.group,))
        return None if found is None else batch_from(found, self.rows(FILES_OF_BATCHES, (spec.group, [found["batch"]])))

    def settle(self, spec: FeedSpec, token: int, run: Run, file_ids: Sequence[int]) -> Settled:
        """Decide judged files in seq order and fix a batch of the accepted ones, in one transaction.

        A batch never straddles a change of the reference: files after it stay accepted for the next batch.
        """
        with self.fenced(spec, token, run) as cursor:
            candidates = to_decide(cursor, file_ids)
            known = what_is_known(cursor, spec, candidates)
            decisions = decide(spec, candidates, known)
            _record(cursor, decisions)
            claim_lines(cursor, candidates, decisions)
            close_replays(cursor, candidates, decisions)
            states = [decision.state for decision in decisions]
            accepted, reference_version = _first_stretch(cursor, spec, file_ids)
            batch = _create_batch(cursor, spec, run, accepted, reference_version) if accepted else None
            cursor.execute(
                "select count(*) as waiting from file where file_id = any(%s) and state = 'accepted' and batch is null", (list(file_ids),)
            )
            left = cursor.fetchone()
        return Settled(
            accepted=states.count(State.ACCEPTED),
            quarantined=states.count(State.QUARANTINED),
            duplicate=states.count(State.DUPLICATE),
            batch=batch,
            left_over=left["waiting"] if left else 0,
        )

    def begin_attempt(self, spec: FeedSpec, token: int, run: Run, batch: int) -> Attempt:
        """Number the next try at the open batch and note the state version it works from."""
        with self.fenced(spec, token, run) as cursor:
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

    def end_attempt(self, spec: FeedSpec, attempt: Attempt, outcome: str, error: str | None) -> None:
        with self.transaction() as cursor:
            _end_attempt(cursor, spec, attempt, outcome, error)

    def publish(
        self,
        spec: FeedSpec,
        token: int,
        run: Run,
        attempt: Attempt,
        manifest: Mapping[str, Any],
        results: Results,
        produced: Any,
    ) -> dict[str, int]:
        """Results, counters, state pointers and the files' states change together or not at all; the lease ends with them.

        `produced` is what `results.read` made of the manifest's objects, read before the transaction so that it stays short.

        Raises:
            LeaseLost: the lease, the batch's newest attempt or the state version is not the one this attempt worked under.
        """
        with self.fenced(spec, token, run, f"batch {attempt.batch} attempt {attempt.number}") as cursor:
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
            counts = results.publish(cursor, batch, produced, moved["now"])
            _end_attempt(cursor, spec, attempt, "published", None)
        superseded = {"superseded": len(batch.superseded)} if batch.superseded else {}
        return {"files": len(batch.files), "rows": batch.rows} | superseded | counts

    def abandon_batch(self, spec: FeedSpec, run: Run, why: str) -> int:
        """Give up the open batch: its files are accepted and wait for the next one. Whoever works on it can no longer publish.

        Raises:
            UsageError: no batch of the feed is open.
        """
        with self.transaction(run) as cursor:
            cursor.execute("select 1 from feed_group where group_name = %s for update", (spec.group,))
            cursor.execute(
                """update batch set state = 'abandoned', reason = %s where group_name = %s and feed = %s and state = 'open'
                   returning batch, attempt""",
                (why, spec.group, spec.name),
            )
            given_up = cursor.fetchone()
            if given_up is None:
                raise UsageError(f"{spec.name} has no open batch; `sluice batch list {spec.name}` shows them all")
            cursor.execute(
                "update file set batch = null, group_name = null where group_name = %s and batch = %s", (spec.group, given_up["batch"])
            )
            cursor.execute(
                "update feed_group set lease_holder = null, lease_until = null, lease_token = lease_token + 1 where group_name = %s",
                (spec.group,),
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
    )


def _batch_file(file: Mapping[str, Any]) -> BatchFile:
    return BatchFile(
        file_id=file["file_id"],
        seq=file["seq"],
        key=file["key"],
        rows=file["accepted"],
        bronze=object_refs(file["bronze"]),
        touched=None if file["touched"] is None else tuple(file["touched"]),
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


def _record(cursor: Cursor, decisions: Sequence[Decision]) -> None:
    cursor.executemany(
        """update file set state = %(state)s::file_state, reason_code = %(fault)s, reason = %(reason)s, duplicate_of = %(duplicate_of)s,
                  supersedes = %(supersedes)s, judged_at = case when %(state)s::file_state <> 'registered' then judged_at end
           where file_id = %(file_id)s""",
        [
            {
                "file_id": decision.file_id,
                "state": decision.state,
                "fault": decision.fault,
                "reason": decision.reason,
                "duplicate_of": decision.duplicate_of,
                "supersedes": list(decision.supersedes) or None,
            }
            for decision in decisions
        ],
    )


def _first_stretch(cursor: Cursor, spec: FeedSpec, file_ids: Sequence[int]) -> tuple[list[DictRow], int | None]:
    """The accepted files up to the first change of the reference, no more than a failure left for them, and the reference in force."""
    cursor.execute(
        """select f.file_id, f.seq, f.accepted as rows, f.batch_limit,
                  (select max(r.version) from reference r where r.feed = f.feed and r.after_seq < f.seq) as reference_version
           from file f where f.feed = %s and f.file_id = any(%s) and f.state = 'accepted' and f.batch is null order by f.seq""",
        (spec.name, list(file_ids)),
    )
    waiting = cursor.fetchall()
    version = waiting[0]["reference_version"] if waiting else None
    stretch: list[DictRow] = []
    for row in waiting:
        limits = [one["batch_limit"] for one in (*stretch, row) if one["batch_limit"]]
        if row["reference_version"] != version or len(stretch) >= min(limits, default=len(waiting)):
            break
        stretch.append(row)
    return stretch, version


def _create_batch(cursor: Cursor, spec: FeedSpec, run: Run, accepted: Sequence[DictRow], reference_version: int | None) -> int:
    cursor.execute("update feed_group set last_batch = last_batch + 1 where group_name = %s returning last_batch", (spec.group,))
    numbered = cursor.fetchone()
    assert numbered is not None
    number: int = numbered["last_batch"]
    cursor.execute(
        """insert into batch (group_name, batch, feed, first_seq, last_seq, files, rows, parameters, reference_version,
                              started_at, code_version)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)""",
        (
            spec.group,
            number,
            spec.name,
            accepted[0]["seq"],
            accepted[-1]["seq"],
            len(accepted),
            sum(row["rows"] for row in accepted),
            Jsonb(dict(run.parameters)),
            reference_version,
            run.started_at,
            code_version(),
        ),
    )
    cursor.execute(
        "update file set group_name = %s, batch = %s where file_id = any(%s)", (spec.group, number, [row["file_id"] for row in accepted])
    )
    return number


def _end_attempt(cursor: Cursor, spec: FeedSpec, attempt: Attempt, outcome: str, error: str | None) -> None:
    cursor.execute(
        """update batch_attempt set ended_at = clock_timestamp(), outcome = %s, error = %s
           where group_name = %s and batch = %s and attempt = %s and outcome is null""",
        (outcome, error, spec.group, attempt.batch, attempt.number),
    )
