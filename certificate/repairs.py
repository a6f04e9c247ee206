"""What a person does about refused files and rejected rows before a wave; nothing disturbs them, and the next run takes it in."""

from __future__ import annotations

import csv
import dataclasses
import io
from typing import TYPE_CHECKING, Any

from certificate.history import NotDone
from certificate.stream import DAY, Fix, Replay, Stream, Wave
from certificate.victim import Task, Victim, Work
from include.ingestion import keys
from include.ingestion.repair.replay import replay

if TYPE_CHECKING:
    from collections.abc import Mapping

    from certificate.history import History
    from include.ingestion.feed import FeedSpec
    from include.ingestion.ports import Ports
    from include.ingestion.run import Run

_BY, _WHY = "certificate", "it is right now"


def put_right(history: History, stream: Stream, wave: Wave) -> None:
    """Have a process do what is to be put right before a wave.

    Raises:
        NotDone: it cannot be done.
    """
    if not wave.repairs:
        return
    task = Task(history.domain.name, history.domain.feeds, history.environment, "certificate-repair", stream.parameters)
    ending = Victim(dataclasses.replace(task, work=Work.REPAIR, repairs=wave.repairs)).end()
    if ending.code:
        raise NotDone(f"what was refused cannot be put right: {ending.sentence or ending.crash}")


def try_again(ports: Ports, spec: FeedSpec, run: Run, file_id: int, asked: Replay) -> None:
    """Have a refused file tried again; other bytes come from an object of the person's own, which goes away after it."""
    if asked.body is None:
        replay(ports, spec, run, file_id, _BY, _WHY)
        return
    theirs = f"corrected/{asked.key}"
    ports.store.put(ports.bucket, theirs, asked.body)
    replay(ports, spec, run, file_id, _BY, _WHY, f"s3://{ports.bucket}/{theirs}")
    ports.store.delete(ports.bucket, theirs)


def correct_rows(ports: Ports, file: Mapping[str, Any], asked: Fix) -> None:
    """Put a file's `rejects.csv` with new text in its lines below fixes/."""
    folder = keys.error_folder(file["feed"], file["date"], file["key"], file["file_id"])
    rejects = ports.store.read_bytes(ports.bucket, keys.in_error(folder, "rejects.csv")).decode()
    reader = csv.DictReader(io.StringIO(rejects, newline=""))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, reader.fieldnames or (), lineterminator="\n")
    writer.writeheader()
    for row in reader:
        if int(row["line"]) in asked.lines:
            writer.writerow({**row, "original": asked.lines[int(row["line"])]})
    ports.store.put(ports.bucket, f"{keys.fixes(file['feed'])}{DAY}/{asked.name}", text.getvalue().encode())
