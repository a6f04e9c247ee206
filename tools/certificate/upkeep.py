"""What people do on a history that nothing disturbs: put right what was refused; after a round, reconcile, and see what is left behind."""

from __future__ import annotations

import dataclasses

from tools.certificate.history import History, NotDone
from tools.certificate.records import Records
from tools.certificate.stream import Stream, Wave
from tools.certificate.task import Task, Work
from tools.certificate.worker import WorkerProcess

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


def put_right(history: History, stream: Stream, wave: Wave) -> None:
    """Have a process do what is to be put right before a wave.

    Raises:
        NotDone: it cannot be done.
    """
    if not wave.repairs:
        return
    ending = WorkerProcess(dataclasses.replace(_task(history, stream), work=Work.REPAIR, repairs=wave.repairs)).end()
    if ending.code:
        raise NotDone(f"what was refused cannot be put right: {ending.sentence or ending.crash}")


def left_behind(history: History, stream: Stream, *, archive: bool) -> list[str]:
    """What is wrong after a round: differences that reconcile leaves, objects that nothing refers to, objects that are missing."""
    task = dataclasses.replace(_task(history, stream), archive=archive)
    reconciled = WorkerProcess(dataclasses.replace(task, work=Work.RECONCILE)).end()
    if reconciled.code:
        return [f"reconcile failed: {reconciled.sentence or reconciled.crash}"]
    records, domain = history.records, history.domain
    keys = unreferred(records, domain.pointers)
    if domain.follow_up is not None:
        named = domain.follow_up.named(records)
        made = WorkerProcess(dataclasses.replace(task, work=Work.FOLLOW_UP)).end()
        if made.code:
            return [f"what follows the ingest failed: {made.sentence or made.crash}"]
        keys += sorted(domain.follow_up.written(records) - named - domain.follow_up.named(records))
    return [
        *(f"reconcile finds {difference}" for difference in reconciled.counts["differences"]),
        *(f"nothing refers to {key}" for key in keys),
        *(f"the ledger names {key}, which is not there" for key in missing(records, domain.pointers)),
    ]


def _task(history: History, stream: Stream) -> Task:
    return Task(history.domain.name, history.domain.feeds, history.environment, "certificate-upkeep", stream.parameters)


def _referred(records: Records, pointers: str) -> set[str]:
    return {row["key"] for row in records.query(" union ".join(filter(None, (_REFERRED, pointers))))}


def unreferred(records: Records, pointers: str) -> list[str]:
    """Objects that neither a row of the ledger names nor follow from one: an independent reading of its tables alone.

    What people put there, pages, the journal and the lake are not meant.

    Args:
        pointers: the query of a `Domain` for what its own tables point at.
    """
    referred = _referred(records, pointers)
    referred |= {f"{row['folder']}{name}" for row in records.query(_ATTEMPTS) for name in ("manifest.json", "request.json")}
    refused = {str(row["file_id"]) for row in records.query(_ERRORS)}
    keys = (stamp.key for stamp in records.objects() if not stamp.key.startswith(_NOT_MEANT))
    return [key for key in keys if key not in referred and not _is_of_a_refused_file(key, refused)]


def _is_of_a_refused_file(key: str, refused: set[str]) -> bool:
    in_error = key.startswith("error/") and key.endswith(("/report.json", "/rejects.csv"))
    return in_error and key.rsplit("/", 2)[-2].rsplit(".", 1)[-1] in refused


def missing(records: Records, pointers: str) -> list[str]:
    """Objects that the ledger names and that are not there."""
    return sorted(_referred(records, pointers) - {stamp.key for stamp in records.objects()})
