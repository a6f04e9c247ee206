"""Every S3 key is spelled here, and read here. No other file joins a key with a slash."""

from __future__ import annotations

import datetime as dt
import re

_DIGITS = re.compile(rb"[0-9]+")
_DATE = re.compile(r"dt=([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MAX_SEGMENT_BYTES = 255
_MAX_NAME_BYTES = 218  # of objects of ours: stores that keep keys as files write `<name>-<uuid>` first
LONGEST_KEY_BYTES = 1024  # of S3; a key lies in an index beside its bucket and feed
_BRONZE_ATTEMPT = re.compile(r"bronze/[^/]+/dt=[^/]+/file=[0-9]+/attempt=([^/]+)/[^/]+")
_BATCH_ATTEMPT = re.compile(r"state/[^/]+/batch=([0-9]+)/attempt=([0-9]+)/[^/]+")
_OF_ROWS = re.compile(r"(?:bronze|state)/([^/]+)/.+[.]parquet")
_REPLACEMENT = "replacement="
_REPORTS = ("report.json", "rejects.csv")
FIX_ENDINGS = (".csv",)
# Where only Sluice writes, and where people put corrected rows.
OURS = tuple(
    f"{place}/"
    for place in ("archive", "bronze", "certificates", "data_docs", "detections", "error", "fixes", "journal", "lake", "shadow", "state")
)
EVERY_FORMAT = (".csv", ".csv.gz", ".jsonl", ".jsonl.gz", ".ndjson", ".ndjson.gz", ".json", ".json.gz", ".parquet")


def landing(feed: str) -> str:
    return f"landing/{feed}/"


def landing_date(prefix: str, day: dt.date) -> str:
    """The folder of one date below a feed's landing prefix."""
    return f"{prefix}dt={day.isoformat()}/"


def landing_file(prefix: str, day: dt.date, name: str) -> str:
    return f"{landing_date(prefix, day)}{name}"


def landing_chunk(prefix: str, day: dt.date, number: int) -> str:
    return f"{landing_date(prefix, day)}chunk_{number}.csv"


def bronze_folder(feed: str, day: dt.date, file_id: int, attempt: str) -> str:
    """Where one gate attempt on one file writes; nobody reads it before the ledger points at its objects."""
    return f"bronze/{feed}/dt={day.isoformat()}/file={file_id}/attempt={attempt}/"


def bronze_part(folder: str, number: int) -> str:
    return f"{folder}part-{number:05d}.parquet"


def bronze_rejects(folder: str) -> str:
    return f"{folder}rejects.csv"


def attempt_folder(feed: str, batch: int, attempt: int) -> str:
    """Where one attempt at one batch writes its state and its manifest."""
    return f"state/{feed}/batch={batch:08d}/attempt={attempt}/"


def delivery_folder(feed: str, batch: int) -> str:
    """Where a job that follows the publication of a batch finds its request and leaves its manifest."""
    return f"state/{feed}/batch={batch:08d}/delivery/"


def lake_group(group: str) -> str:
    """The folder of all that a group of feeds has in the lake."""
    return f"lake/{group}/"


def lake_table(group: str, table: str) -> str:
    """The folder of a table for people; only the table's format says which of its objects count."""
    return f"{lake_group(group)}{table}/"


def delta_log(table_folder: str) -> str:
    return f"{table_folder}_delta_log/"


def lake_set(group: str, table: str, token: str) -> str:
    """The folder of what one refresh of a table writes; nobody reads it before the group's list of finished sets names its objects."""
    return f"{lake_table(group, table)}set={token}/"


def in_lake_set(folder: str, name: str) -> str:
    return f"{folder}{name}"


def snapshots_index(group: str) -> str:
    """The one object that says which objects are the finished sets of a group's tables."""
    return f"{lake_group(group)}finished.json"


def lake_format(group: str, table: str, written_as: str) -> str:
    """The folder of a table in one format, with a folder for each version of it and the object that says which is current."""
    return f"{lake_table(group, table)}{written_as}/"


def lake_version(group: str, table: str, written_as: str, batch: int) -> str:
    """The folder of a table as of a batch of the group."""
    return f"{lake_format(group, table, written_as)}v={batch}/"


def in_lake_version(folder: str, name: str) -> str:
    return f"{folder}{name}"


def lake_current(group: str, table: str, written_as: str) -> str:
    """The object that names the current version; it is written when all of that version is there."""
    return f"{lake_format(group, table, written_as)}current.json"


def delta_first_commit(table_folder: str) -> str:
    return f"{delta_log(table_folder)}{0:020d}.json"


def in_attempt(folder: str, name: str) -> str:
    return f"{folder}{name}"


def compacted_state(feed: str, level: int, first_seq: int, last_seq: int, token: str) -> str:
    return f"state/{feed}/compacted/level={level}/seq={first_seq}-{last_seq}.{token}.parquet"


def shadow(feed: str, token: str) -> str:
    """Where one comparison's shadow runs write; nothing points there, and it is removed when they were looked at."""
    return f"shadow/{feed}/{token}/"


def shadow_batch(feed: str, token: str, first_seq: int) -> str:
    return f"{shadow(feed, token)}seq={first_seq}/"


def certificate(feed: str, day: dt.date, name: str) -> str:
    """A backfill certificate without its ending."""
    return f"certificates/{feed}/dt={day.isoformat()}/{name}"


def certificate_json(certificate_key: str) -> str:
    return f"{certificate_key}.json"


def certificate_text(certificate_key: str) -> str:
    return f"{certificate_key}.md"


def reference(feed: str, name: str, sha256: str, token: str) -> str:
    return f"state/{feed}/reference/{name}/{sha256[:16]}.{token}.parquet"


def fixes(feed: str) -> str:
    """Where people put corrected rows of the feed; replacements of whole files lie there too, in folders of their own."""
    return f"fixes/{feed}/"


def replacement(feed: str, day: dt.date, parent: int, token: str, name: str) -> str:
    """The bytes that stand in for a quarantined file; the name says how they are read."""
    return f"{fixes(feed)}dt={day.isoformat()}/{_REPLACEMENT}{parent}.{token}/{_fitting(base_name(name), '', _MAX_NAME_BYTES)}"


def is_fix(feed: str, key: str) -> bool:
    return key.startswith(fixes(feed))


def is_replacement(key: str) -> bool:
    return any(segment.startswith(_REPLACEMENT) for segment in key.split("/")[:-1])


def refused_as_fix(feed: str, key: str) -> str | None:
    """Why a key below the fixes of a feed holds no corrected rows, in words; None where it does.

    >>> refused_as_fix("f", "fixes/f/dt=2026-11-21/replacement=7.ab/a.csv")
    'is a replacement, which is registered by its command'
    """
    if is_replacement(key):
        return "is a replacement, which is registered by its command"
    return refused(key, fixes(feed), FIX_ENDINGS)


def error_folder(feed: str, day: dt.date, key: str, file_id: int) -> str:
    """The folder of one refused file, or of the refused rows of an accepted one; base names collide, so it holds the id.

    For a file that has none yet: where what is told of a file lies already, the ledger knows it by its original (`report_folder`).
    """
    return f"error/{feed}/dt={day.isoformat()}/{named_by_id(key, file_id)}/"


def report_folder(feed: str, day: dt.date, key: str, file_id: int, original: str | None) -> str:
    """Where what is told of a file lies: beside its original where that was put under error/ already, else in the folder due to it.

    >>> report_folder("f", dt.date(2026, 11, 1), "landing/f/a.csv", 7, "error/f/dt=2026-11-01/what an older release named it.7/a.csv")
    'error/f/dt=2026-11-01/what an older release named it.7/'
    """
    if original is not None and original.startswith(f"error/{feed}/"):
        return original[: -len(base_name(original))]
    return error_folder(feed, day, key, file_id)


def named_by_id(key: str, file_id: int) -> str:
    """The base name of a file made one of its own by the id, no longer than the segment of a key may be."""
    return _fitting(base_name(key), f".{file_id}", _MAX_SEGMENT_BYTES)


def _fitting(name: str, suffix: str, most: int) -> str:
    """A name with its suffix; where that is too long, what stands before its ending is cut, between two characters.

    >>> _fitting("a.csv", ".7", 255), _fitting("sch\u00f6n.csv.gz", ".7", 13), _fitting("x" * 9, ".7", 5)
    ('a.csv.7', 'sch.csv.gz.7', 'xxx.7')
    """
    if _bytes_of(name + suffix) <= most:
        return name + suffix
    ending = next((one for one in sorted(EVERY_FORMAT, key=len, reverse=True) if name.endswith(one)), "")
    room = most - _bytes_of(ending + suffix)
    stem = name.removesuffix(ending).encode("utf-8", "surrogatepass")[:room].decode("utf-8", "ignore")
    return stem + ending + suffix


def _bytes_of(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def dated_objects(feed: str) -> tuple[str, ...]:
    """Where only Sluice writes about the files of a feed, in folders by date."""
    return tuple(f"{place}/{feed}/" for place in ("bronze", "error", "archive", "detections"))


def undated_objects(feed: str) -> tuple[str, ...]:
    """Where only Sluice writes for a feed, whatever the date."""
    return tuple(f"{place}/{feed}/" for place in ("state", "shadow"))


def bronze_attempt(key: str) -> str | None:
    """The gate attempt that wrote an object in bronze, or None elsewhere.

    >>> bronze_attempt("bronze/f/dt=2026-11-21/file=3/attempt=17-ab/part-00000.parquet")
    '17-ab'
    """
    match = _BRONZE_ATTEMPT.fullmatch(key)
    return match[1] if match else None


def batch_attempt(key: str) -> tuple[int, int] | None:
    """The batch and the attempt at it that wrote an object of state, or None elsewhere.

    >>> batch_attempt("state/f/batch=00000012/attempt=2/partials.parquet")
    (12, 2)
    """
    match = _BATCH_ATTEMPT.fullmatch(key)
    return (int(match[1]), int(match[2])) if match else None


def feed_of_rows(key: str) -> str | None:
    """The feed whose accepted rows or state an object holds, or None elsewhere.

    >>> feed_of_rows("bronze/f/dt=2026-11-21/file=3/attempt=17-ab/part-00000.parquet"), feed_of_rows("state/f/batch=00000012/attempt=2/")
    ('f', None)
    """
    match = _OF_ROWS.fullmatch(key)
    return match[1] if match else None


def probe(feed: str, token: str) -> str:
    """An object that is written to learn how the store names contents, and deleted at once."""
    return f"state/{feed}/probe.{token}"


def rebuilt_state(feed: str, first_seq: int, last_seq: int, token: str) -> str:
    """A batch's contribution to state, made again."""
    return f"state/{feed}/rebuilt/seq={first_seq}-{last_seq}.{token}.parquet"


def in_error(folder: str, name: str) -> str:
    return f"{folder}{name}"


def original_in_error(folder: str, key: str) -> str:
    """Where the bytes of a refused file go: beside its report, and never over it.

    >>> original_in_error("error/f/", "fixes/f/rejects.csv"), original_in_error("error/f/", "landing/f/a.csv")
    ('error/f/original.rejects.csv', 'error/f/a.csv')
    """
    name = base_name(key)
    return f"{folder}original.{name}" if name in _REPORTS else f"{folder}{_fitting(name, '', _MAX_NAME_BYTES)}"


def journals() -> str:
    """The folder of the journals of all groups."""
    return "journal/"


def journal(group: str) -> str:
    """The folder of what the ledger decided and published of a group of feeds, entry by entry."""
    return f"{journals()}{group}/"


def journal_entry(group: str, at: dt.datetime, token: str) -> str:
    """An entry; their names sort in the order of time."""
    instant = at.astimezone(dt.UTC)
    return f"{journal(group)}dt={instant.date().isoformat()}/{instant:%H%M%S%f}.{token}.json"


def journal_newest(group: str) -> str:
    return f"{journal(group)}newest.json"


def renumbered(key: str) -> str:
    """Beside an object, the one that names its files by the ids that they have by now.

    >>> renumbered("state/f/batch=00000001/attempt=1/sums.parquet")
    'state/f/batch=00000001/attempt=1/renumbered-sums.parquet'
    """
    folder, _, name = key.rpartition("/")
    return f"{folder}/renumbered-{name}"


def data_docs(feed: str) -> str:
    """The folder of the Great Expectations pages about a feed's last files."""
    return f"data_docs/{feed}/"


def in_data_docs(folder: str, name: str) -> str:
    return f"{folder}{name}"


def archived(feed: str, day: dt.date, key: str, file_id: int) -> str:
    return f"archive/{feed}/dt={day.isoformat()}/{_fitting(base_name(key), f'.{file_id}', _MAX_NAME_BYTES)}"


def detection_file(feed: str, day: dt.date, first: int, last: int) -> str:
    return f"detections/{feed}/dt={day.isoformat()}/detections_{first:08d}-{last:08d}.csv"


def base_name(key: str) -> str:
    return key.rsplit("/", 1)[-1]


def natural_order(key: str) -> tuple[tuple[tuple[int, int, bytes], ...], bytes]:
    """A sort key by which `chunk_9` comes before `chunk_10`; ties (`chunk_09`) fall to the bytes.

    >>> sorted(["chunk_10", "chunk_9", "chunk_09"], key=natural_order)
    ['chunk_09', 'chunk_9', 'chunk_10']
    """
    raw = key.encode("utf-8", "surrogatepass")
    parts: list[tuple[int, int, bytes]] = []
    at = 0
    for run in _DIGITS.finditer(raw):
        if run.start() > at:
            parts.append((1, 0, raw[at : run.start()]))
        parts.append((0, int(run.group()), b""))
        at = run.end()
    if at < len(raw):
        parts.append((1, 0, raw[at:]))
    return tuple(parts), raw


def date_in(key: str) -> dt.date | None:
    """The date of the first whole segment `dt=YYYY-MM-DD` that is a date of the calendar, or None.

    >>> date_in("landing/transactions/dt=2026-02-30/dt=2026-03-01/a.csv")
    datetime.date(2026, 3, 1)
    """
    for segment in key.split("/")[:-1]:
        match = _DATE.fullmatch(segment)
        if match:
            try:
                return dt.date(*map(int, match.groups()))
            except ValueError:
                continue
    return None


def in_folder(folder: str, name: str) -> str:
    return f"{folder}{name}"


def refused(key: str, prefix: str, endings: tuple[str, ...]) -> str | None:
    """Why a key below a landing prefix is no file of the feed, in words; None where it is one.

    >>> refused("landing/transactions/a.csv", "landing/transactions/", (".csv",))
    >>> refused("landing/transactions//a.csv", "landing/transactions/", (".csv",))
    'has an empty segment, which the store cannot hold faithfully'
    """
    if not key.startswith(prefix):
        return "lies outside the feed's prefix"
    if key.endswith("/"):
        return "is a directory marker"
    segments = key.split("/")
    if "" in segments:
        return "has an empty segment, which the store cannot hold faithfully"
    if "." in segments or ".." in segments:
        return "has a segment . or .., which the store cannot hold faithfully"
    if any(_bytes_of(segment) > _MAX_SEGMENT_BYTES for segment in segments):
        return f"has a segment of more than {_MAX_SEGMENT_BYTES} bytes, which the store cannot hold faithfully"
    if len(key.encode("utf-8", "surrogatepass")) > LONGEST_KEY_BYTES:
        return f"has more than {LONGEST_KEY_BYTES:,} bytes, which S3 does not hold"
    if not base_name(key).endswith(endings):
        return f"ends with none of {', '.join(endings)}"
    return None
