"""Which objects of a history's bucket nothing refers to: an independent reading of the ledger, from its tables alone."""

from __future__ import annotations

from typing import Any

from certificate.history import History

_REFERRED = """
    select ref ->> 'key' as key from file, jsonb_array_elements(bronze) as ref
    union select rejects ->> 'key' from file where rejects is not null
    union select location_key from file where location_key is not null
    union select object.value ->> 'key' from batch, jsonb_each(manifest -> 'objects') as object where state = 'published'
"""
_ATTEMPTS = """select format('state/%%s/batch=%%s/attempt=%%s/', feed, lpad(batch::text, 8, '0'), attempt) as folder
               from batch where state in ('published', 'open')
               union all
               select format('state/%%s/batch=%%s/delivery/', feed, lpad(batch::text, 8, '0')) from batch where state = 'published'"""
_ERRORS = "select file_id from file where state::text in ('quarantined', 'discarded', 'replaying') or rejects is not null"
_NOT_MEANT = ("landing/", "fixes/", "data_docs/", "journal/", "lake/")


def _referred(history: History) -> list[dict[str, Any]]:
    return history.rows(" union ".join(filter(None, (_REFERRED, history.domain.pointers))))


def unreferred(history: History) -> list[str]:
    """Objects that neither a row of the ledger names nor follow from one.

    What people put there, pages, the journal and the lake are not meant.
    """
    referred = {row["key"] for row in _referred(history)}
    folders = {row["folder"] for row in history.rows(_ATTEMPTS)}
    refused = {str(row["file_id"]) for row in history.rows(_ERRORS)}
    left = []
    for stamp in history.store.objects(history.bucket, ""):
        key = stamp.key
        if key.startswith(_NOT_MEANT) or key in referred:
            continue
        if any(key in {f"{folder}manifest.json", f"{folder}request.json"} for folder in folders):
            continue
        if (
            key.startswith("error/")
            and key.rsplit("/", 2)[-2].rsplit(".", 1)[-1] in refused
            and key.endswith(("/report.json", "/rejects.csv"))
        ):
            continue
        left.append(key)
    return left


def missing(history: History) -> list[str]:
    """Objects that the ledger names and that are not there."""
    there = {stamp.key for stamp in history.store.objects(history.bucket, "")}
    return sorted(row["key"] for row in _referred(history) if row["key"] not in there)
