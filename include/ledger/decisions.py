"""What a decision rests on: the judged files that wait for theirs, and what earlier decisions say of their bytes, names and lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from include.feed import FeedSpec, OverwritePolicy
from include.files.decision import NOT_IN_THE_BYTES, Candidate, CurrentVersion, Decision, DecisionContext, Name, Version
from include.files.file import Decided, Kind, State
from include.ledger.session import Cursor, act, note
from include.run import Run
from include.version import code_version


def load_candidates(cursor: Cursor, file_ids: Sequence[int]) -> list[Candidate]:
    """The judged files among these that are not decided, up to the first that is not judged."""
    cursor.execute(
        """select f.file_id, f.seq, f.bucket, f.key, f.sha256, f.reason_code as fault, f.reason, f.kind, f.parent,
                  coalesce(f.fixes, '{}') as fixes, o.bucket as origin_bucket, o.key as origin_key, o.seq as origin_seq
           from file f left join file o on o.file_id = f.origin
           where f.file_id = any(%(ids)s) and f.state = 'registered' and f.validated_at is not null
             and f.seq < coalesce((select min(seq) from file
                                   where file_id = any(%(ids)s) and state = 'registered' and validated_at is null), f.seq + 1)
           order by f.seq""",
        {"ids": list(file_ids)},
    )
    return [_candidate(row) for row in cursor.fetchall()]


def _candidate(row: dict[str, object]) -> Candidate:
    origin = [row.pop(name) for name in ("origin_bucket", "origin_key", "origin_seq")]
    fixes: Sequence[int] = row["fixes"]  # type: ignore[assignment]  # bigint[]
    changed = {"kind": Kind(row["kind"]), "fixes": tuple(fixes), "instead_of": Version(*origin) if origin[2] is not None else None}  # type: ignore[arg-type]
    return Candidate(**row | changed)  # type: ignore[arg-type]  # the columns are its fields


def load_context(cursor: Cursor, spec: FeedSpec, candidates: Sequence[Candidate]) -> DecisionContext:
    """What earlier decisions say of these files."""
    context = DecisionContext()
    digests = [candidate.sha256 for candidate in candidates if candidate.sha256]
    cursor.execute(
        "select sha256, file_id, seq from file where feed = %s and sha256 = any(%s) and state in ('accepted', 'published')",
        (spec.name, digests),
    )
    context.holders = {row["sha256"]: (row["file_id"], row["seq"]) for row in cursor.fetchall()}
    cursor.execute(
        """select sha256, file_id, seq from file
           where feed = %s and sha256 = any(%s) and state = 'quarantined' and reason_code <> all(%s) order by seq desc""",
        (spec.name, digests, sorted(NOT_IN_THE_BYTES)),
    )
    context.rejected_digests = {row["sha256"]: (row["file_id"], row["seq"]) for row in cursor.fetchall()}
    cursor.execute(
        "select file_id, supersedes from work w join file f using (file_id, feed) where feed = %s and step = 'publish'", (spec.name,)
    )
    for row in cursor.fetchall():
        context.unpublished.add(row["file_id"])
        context.pending_supersede.update(row["supersedes"] or ())
    context.current_versions = current_versions_under(
        cursor, spec, {version.name for one in candidates if (version := one.version(spec.overwrite))}
    )
    context.fixes_of = _fixes_of(
        cursor, [one.file_id for current_versions in context.current_versions.values() for one in current_versions]
    )
    _corrections(cursor, [one.parent for one in candidates if one.fixes and one.parent is not None], context)
    return context


def save(
    cursor: Cursor, spec: FeedSpec, run: Run, file_ids: Sequence[int], candidates: Sequence[Candidate], decisions: Sequence[Decision]
) -> Decided:
    """Record decisions with all that follows from them, and fix a batch of the accepted files.

    A batch never straddles a change of the reference: files after it stay accepted for the next batch.
    """
    _record(cursor, decisions)
    _claim_lines(cursor, candidates, decisions)
    _close_replays(cursor, candidates, decisions)
    states = [decision.state for decision in decisions]
    accepted, reference_version = _first_range(cursor, spec, run, file_ids)
    batch = _create_batch(cursor, spec, run, accepted, reference_version) if accepted else None
    cursor.execute(
        "select count(*) as waiting from file where file_id = any(%s) and state = 'accepted' and batch is null", (list(file_ids),)
    )
    left = cursor.fetchone()
    return Decided(
        accepted=states.count(State.ACCEPTED),
        quarantined=states.count(State.QUARANTINED),
        duplicate=states.count(State.DUPLICATE),
        batch=batch,
        left_over=left["waiting"] if left else 0,
    )


def current_versions_under(cursor: Cursor, spec: FeedSpec, names: Iterable[Name]) -> dict[Name, list[CurrentVersion]]:
    """What these names hold; a replacement stands under the name of the file whose place it took where files supersede each other."""
    wanted = sorted(names)
    cursor.execute(
        """with named as (
               select f.file_id as landed, f.bucket, f.key, f.seq as version from file f
               join unnest(%(buckets)s::text[], %(keys)s::text[]) as n (bucket, key) on f.bucket = n.bucket and f.key = n.key
               where f.feed = %(feed)s
           )
           select n.bucket, n.key, n.version, f.file_id, f.seq
           from named n join file f on f.file_id = n.landed or (%(stand_ins)s and f.origin = n.landed)
           where f.state in ('accepted', 'published') order by f.seq""",
        {
            "feed": spec.name,
            "buckets": [bucket for bucket, _ in wanted],
            "keys": [key for _, key in wanted],
            "stand_ins": spec.overwrite is OverwritePolicy.SUPERSEDE,
        },
    )
    current_versions: dict[Name, list[CurrentVersion]] = {}
    for row in cursor.fetchall():
        current_versions.setdefault((row["bucket"], row["key"]), []).append(CurrentVersion(row["file_id"], row["seq"], row["version"]))
    return current_versions


def _fixes_of(cursor: Cursor, file_ids: Sequence[int]) -> dict[int, list[int]]:
    """The accepted files with corrected rows of these."""
    cursor.execute(
        "select parent, file_id from file where kind = 'row_fix' and parent = any(%s) and state in ('accepted', 'published') order by seq",
        (list(file_ids),),
    )
    fixes: dict[int, list[int]] = {}
    for row in cursor.fetchall():
        fixes.setdefault(row["parent"], []).append(row["file_id"])
    return fixes


def _corrections(cursor: Cursor, parents: Sequence[int], context: DecisionContext) -> None:
    """Which lines of these files came in corrected, and which of the files are no longer in force."""
    cursor.execute(
        "select l.parent, l.line, l.file_id, f.seq from fixed_line l join file f using (file_id) where l.parent = any(%s)",
        (list(parents),),
    )
    context.fixed = {(row["parent"], row["line"]): (row["file_id"], row["seq"]) for row in cursor.fetchall()}
    cursor.execute(
        """select o.file_id as old, n.file_id, n.seq from file o join file n on n.supersedes @> array[o.file_id] and n.feed = o.feed
           where o.file_id = any(%s) and o.state = 'superseded' and n.state in ('published', 'superseded')""",
        (list(parents),),
    )
    context.superseded = {row["old"]: (row["file_id"], row["seq"]) for row in cursor.fetchall()}


def _record(cursor: Cursor, decisions: Sequence[Decision]) -> None:
    cursor.executemany(
        """update file set state = %(state)s::file_state, reason_code = %(fault)s, reason = %(reason)s, duplicate_of = %(duplicate_of)s,
                  supersedes = %(supersedes)s, validated_at = case when %(state)s::file_state <> 'registered' then validated_at end
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


def _first_range(cursor: Cursor, spec: FeedSpec, run: Run, file_ids: Sequence[int]) -> tuple[list[DictRow], int | None]:
    """The accepted files up to the first change of the reference, no more than a failure left for them, and the reference in force.

    One at least, and no more than hold what a batch takes once they are read.
    """
    cursor.execute(
        """select f.file_id, f.seq, f.accepted as rows, f.batch_limit,
                  sum(coalesce(f.decoded_bytes, f.size)) over (order by f.seq) as bytes,
                  (select max(r.version) from reference r where r.feed = f.feed and r.after_seq < f.seq) as reference_version
           from file f where f.feed = %s and f.file_id = any(%s) and f.state = 'accepted' and f.batch is null order by f.seq""",
        (spec.name, list(file_ids)),
    )
    waiting = cursor.fetchall()
    version = waiting[0]["reference_version"] if waiting else None
    taken: list[DictRow] = []
    for row in waiting:
        limits = [one["batch_limit"] for one in (*taken, row) if one["batch_limit"]]
        is_full = len(taken) >= min(limits, default=len(waiting)) or (taken and row["bytes"] > run.max_bytes)
        if row["reference_version"] != version or is_full:
            break
        taken.append(row)
    return taken, version


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


def _claim_lines(cursor: Cursor, candidates: Sequence[Candidate], decisions: Sequence[Decision]) -> None:
    """Note which lines came in corrected; the primary key lets each come in once, whatever anybody believes."""
    accepted = {decision.file_id for decision in decisions if decision.state is State.ACCEPTED}
    for fix in candidates:
        if fix.file_id in accepted and fix.kind is Kind.ROW_FIX:
            cursor.execute(
                "insert into fixed_line (parent, line, file_id) select %s, line, %s from unnest(%s::bigint[]) as line",
                (fix.parent, fix.file_id, list(fix.fixes)),
            )
            note_text = f"{len(fix.fixes)} of its rejected rows came in corrected with file {fix.file_id} (seq {fix.seq})"
            note(cursor, fix.parent, "fix", note_text)


def _close_replays(cursor: Cursor, candidates: Sequence[Candidate], decisions: Sequence[Decision]) -> None:
    """What the decision on a replacement means for the file it stands for: discarded where it was accepted, else quarantined as before."""
    by_id = {candidate.file_id: candidate for candidate in candidates}
    for decision in decisions:
        replacement = by_id[decision.file_id]
        if replacement.kind is not Kind.REPLACEMENT or decision.state is State.REGISTERED:
            continue
        cursor.execute("select requested_by, why from file where file_id = %s", (decision.file_id,))
        wanted = cursor.fetchone()
        assert wanted is not None
        act(cursor, wanted["requested_by"])
        cursor.execute("update file set state = 'quarantined' where file_id = %s and state = 'replaying'", (replacement.parent,))
        named = f"file {replacement.file_id} (seq {replacement.seq})"
        if decision.state is State.ACCEPTED:
            cursor.execute(
                "update file set state = 'discarded', reason = %s, delivered_at = null where file_id = %s and state = 'quarantined'",
                (f"replaced by {named}: {wanted['why']}", replacement.parent),
            )
        else:
            note(cursor, replacement.parent, "replay", f"{named} did not take its place: it is {decision.state}: {decision.reason}")
    act(cursor, "")
