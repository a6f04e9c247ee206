"""After a round: reconcile, collect what deaths left behind, and look whether anything is left that nothing refers to."""

from __future__ import annotations

import dataclasses

from certificate.history import History
from certificate.leftovers import missing, unreferred
from certificate.stream import Stream
from certificate.victim import Task, Victim, Work


def tidied(history: History, stream: Stream, *, archive: bool) -> list[str]:
    """What is wrong after it: differences that reconcile leaves, objects that nothing refers to, objects that are missing."""
    task = Task(history.domain.name, history.domain.feeds, history.environment, "certificate-reconcile", stream.parameters, archive=archive)
    found = Victim(dataclasses.replace(task, work=Work.RECONCILE)).end()
    if found.code:
        return [f"reconcile failed: {found.sentence or found.crash}"]
    differences = [f"reconcile finds {difference}" for difference in found.counts["differences"]]
    keys = unreferred(history)
    follows = history.domain.follow_up
    if follows is not None:
        named = follows.named(history)
        made = Victim(dataclasses.replace(task, work=Work.FOLLOW_UP)).end()
        if made.code:
            return [f"what follows the ingest failed: {made.sentence or made.crash}"]
        keys += sorted(follows.written(history) - named - follows.named(history))
    left = [f"nothing refers to {key}" for key in keys]
    return differences + left + [f"the ledger names {key}, which is not there" for key in missing(history)]
