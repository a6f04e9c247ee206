"""What a decision rests on: the judged files that wait for theirs, and what earlier decisions say of their bytes, names and lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from include.ingestion.decide import NOT_IN_THE_BYTES, Candidate, Known, Name, Standing, Version
from include.ingestion.feed import FeedSpec, OverwritePolicy
from include.ingestion.file import Kind
from include.stores.ledger.session import Cursor


def to_decide(cursor: Cursor, file_ids: Sequence[int]) -> list[Candidate]:
    """The judged files among these that are not decided, up to the first that is not judged."""
    cursor.execute(
        """select f.file_id, f.seq, f.bucket, f.key, f.sha256, f.reason_code as fault, f.reason, f.kind, f.parent,
                  coalesce(f.fixes, '{}') as fixes, o.bucket as origin_bucket, o.key as origin_key, o.seq as origin_seq
           from file f left join file o on o.file_id = f.origin
           where f.file_id = any(%(ids)s) and f.state = 'registered' and f.judged_at is not null
             and f.seq < coalesce((select min(seq) from file
                                   where file_id = any(%(ids)s) and state = 'registered' and judged_at is null), f.seq + 1)
           order by f.seq""",
        {"ids": list(file_ids)},
    )
    return [_candidate(row) for row in cursor.fetchall()]


def _candidate(row: dict[str, object]) -> Candidate:
    origin = [row.pop(name) for name in ("origin_bucket", "origin_key", "origin_seq")]
    fixes: Sequence[int] = row["fixes"]  # type: ignore[assignment]  # bigint[]
    changed = {"kind": Kind(row["kind"]), "fixes": tuple(fixes), "instead_of": Version(*origin) if origin[2] is not None else None}  # type: ignore[arg-type]
    return Candidate(**row | changed)  # type: ignore[arg-type]  # the columns are its fields


def what_is_known(cursor: Cursor, spec: FeedSpec, candidates: Sequence[Candidate]) -> Known:
    """What earlier decisions say of these files."""
    known = Known()
    digests = [candidate.sha256 for candidate in candidates if candidate.sha256]
    cursor.execute(
        "select sha256, file_id, seq from file where feed = %s and sha256 = any(%s) and state in ('accepted', 'published')",
        (spec.name, digests),
    )
    known.holders = {row["sha256"]: (row["file_id"], row["seq"]) for row in cursor.fetchall()}
    cursor.execute(
        """select sha256, file_id, seq from file
           where feed = %s and sha256 = any(%s) and state = 'quarantined' and reason_code <> all(%s) order by seq desc""",
        (spec.name, digests, sorted(NOT_IN_THE_BYTES)),
    )
    known.condemned = {row["sha256"]: (row["file_id"], row["seq"]) for row in cursor.fetchall()}
    cursor.execute("select file_id, supersedes from file where feed = %s and state = 'accepted'", (spec.name,))
    for row in cursor.fetchall():
        known.unpublished.add(row["file_id"])
        known.leaving.update(row["supersedes"] or ())
    known.standing = standing_under(cursor, spec, {version.name for one in candidates if (version := one.version(spec.overwrite))})
    known.fixes_of = _fixes_of(cursor, [one.file_id for standing in known.standing.values() for one in standing])
    _corrections(cursor, [one.parent for one in candidates if one.fixes and one.parent is not None], known)
    return known


def standing_under(cursor: Cursor, spec: FeedSpec, names: Iterable[Name]) -> dict[Name, list[Standing]]:
    """What these names hold; a replacement stands under the name of the file whose place it took where files supersede each other."""
    asked = sorted(names)
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
            "buckets": [bucket for bucket, _ in asked],
            "keys": [key for _, key in asked],
            "stand_ins": spec.overwrite is OverwritePolicy.SUPERSEDE,
        },
    )
    standing: dict[Name, list[Standing]] = {}
    for row in cursor.fetchall():
        standing.setdefault((row["bucket"], row["key"]), []).append(Standing(row["file_id"], row["seq"], row["version"]))
    return standing


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


def _corrections(cursor: Cursor, parents: Sequence[int], known: Known) -> None:
    """Which lines of these files came in corrected, and which of the files are no longer in force."""
    cursor.execute(
        "select l.parent, l.line, l.file_id, f.seq from fixed_line l join file f using (file_id) where l.parent = any(%s)",
        (list(parents),),
    )
    known.fixed = {(row["parent"], row["line"]): (row["file_id"], row["seq"]) for row in cursor.fetchall()}
    cursor.execute(
        """select o.file_id as old, n.file_id, n.seq from file o join file n on n.supersedes @> array[o.file_id] and n.feed = o.feed
           where o.file_id = any(%s) and o.state = 'superseded' and n.state in ('published', 'superseded')""",
        (list(parents),),
    )
    known.superseded = {row["old"]: (row["file_id"], row["seq"]) for row in cursor.fetchall()}
