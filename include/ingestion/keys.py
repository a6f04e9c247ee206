"""Every S3 key is spelled here, and read here. No other file joins a key with a slash."""

from __future__ import annotations

import datetime as dt
import re

_DIGITS = re.compile(rb"[0-9]+")
_DATE = re.compile(r"dt=([0-9]{4})-([0-9]{2})-([0-9]{2})")
_MAX_SEGMENT_BYTES = 255


def landing(feed: str) -> str:
    return f"landing/{feed}/"


def landing_date(prefix: str, day: dt.date) -> str:
    """The folder of one date below a feed's landing prefix."""
    return f"{prefix}dt={day.isoformat()}/"


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


def in_attempt(folder: str, name: str) -> str:
    return f"{folder}{name}"


def compacted_state(feed: str, level: int, first_seq: int, last_seq: int, token: str) -> str:
    return f"state/{feed}/compacted/level={level}/seq={first_seq}-{last_seq}.{token}.parquet"


def shadow(feed: str, token: str) -> str:
    """Where one comparison's shadow runs write; nothing points there, and it is removed when they were looked at."""
    return f"shadow/{feed}/{token}/"


def shadow_batch(feed: str, token: str, batch: int) -> str:
    return f"{shadow(feed, token)}batch={batch:08d}/"


def certificate(feed: str, day: dt.date, name: str) -> str:
    """A backfill certificate without its ending."""
    return f"certificates/{feed}/dt={day.isoformat()}/{name}"


def certificate_json(certificate_key: str) -> str:
    return f"{certificate_key}.json"


def certificate_text(certificate_key: str) -> str:
    return f"{certificate_key}.md"


def reference(feed: str, name: str, sha256: str, token: str) -> str:
    return f"state/{feed}/reference/{name}/{sha256[:16]}.{token}.parquet"


def error_folder(feed: str, day: dt.date, key: str, file_id: int) -> str:
    """The folder of one refused file, or of the refused rows of an accepted one; base names collide, so it holds the id."""
    return f"error/{feed}/dt={day.isoformat()}/{base_name(key)}.{file_id}/"


def in_error(folder: str, name: str) -> str:
    return f"{folder}{name}"


def data_docs(feed: str) -> str:
    """The folder of the Great Expectations pages about a feed's last files."""
    return f"data_docs/{feed}/"


def in_data_docs(folder: str, name: str) -> str:
    return f"{folder}{name}"


def archived(feed: str, day: dt.date, key: str, file_id: int) -> str:
    return f"archive/{feed}/dt={day.isoformat()}/{base_name(key)}.{file_id}"


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
    if any(len(segment.encode("utf-8", "surrogatepass")) > _MAX_SEGMENT_BYTES for segment in segments):
        return f"has a segment of more than {_MAX_SEGMENT_BYTES} bytes, which the store cannot hold faithfully"
    if not base_name(key).endswith(endings):
        return f"ends with none of {', '.join(endings)}"
    return None
