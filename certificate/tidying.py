"""After a round: reconcile, collect what deaths left behind, and look whether anything is left that nothing refers to."""

from __future__ import annotations

from certificate.history import History
from certificate.leftovers import missing, unreferred
from certificate.stream import Stream
from certificate.victim import Task, Victim, Work


def tidied(history: History, stream: Stream, *, archive: bool) -> list[str]:
    """What is wrong after it: differences that reconcile leaves, objects that nothing refers to, objects that are missing."""
    task = Task(history.feed, history.environment, "certificate-reconcile", stream.parameters, archive=archive, work=Work.RECONCILE)
    ending = Victim(task).end()
    if ending.code:
        return [f"reconcile failed: {ending.sentence or ending.crash}"]
    differences = [f"reconcile finds {difference}" for difference in ending.counts["differences"]]
    left = [f"nothing refers to {key}" for key in unreferred(history)]
    return differences + left + [f"the ledger names {key}, which is not there" for key in missing(history)]
