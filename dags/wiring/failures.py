"""What becomes of an error: which end a task with a skip, which with red, and what the ledger is told."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from airflow.sdk.exceptions import AirflowException, AirflowSkipException

from dags.wiring.params import by_hand, run_id
from dags.wiring.ports import open_ledger
from include import logs
from include.domains import feed_named
from include.errors import FeedBusy, FeedPaused, LeaseLost, Refused, SluiceError

if TYPE_CHECKING:
    from airflow.sdk import Context

_LOG = logging.getLogger("sluice")


@contextmanager
def as_task_failure(context: Context) -> Iterator[None]:
    """Let a task end as its error deserves, with the error's sentence as the last line of the log.

    Where another run does the work, or a person paused the feed, there is nothing to repair: a scheduled task is skipped. So is one that
    lost its lease, whoever asked for it: red means that somebody should look, and whoever took the lease finishes what was begun. But
    what a person asks for and does not get, since the feed is paused, fails. Why a task was skipped is a line of its own: Airflow's own has
    it in a field, under a heading that is folded.

    Airflow logs an error with all that led to it and all that is said there, so it gets each without others' texts.
    """
    logs.install()
    try:
        yield
    except LeaseLost as lost:
        raise _skipped(f"{lost} To do it all again, trigger a new run: this one's lease is gone for good.") from logs.redacted(lost)
    except (FeedBusy, FeedPaused) as resting:
        if not by_hand(context):
            raise _skipped(f"{resting} This run does nothing; the next one looks again.") from logs.redacted(resting)
        _LOG.error("%s", resting)
        raise
    except SluiceError as failed:
        _LOG.error("%s", failed)
        logs.redacted(failed)
        raise
    except AirflowException:
        raise
    except Exception as unforeseen:  # noqa: BLE001 (whatever it is)
        from include.ledger.session import rule_violated

        if (violated := rule_violated(unforeseen)) is not None:
            _LOG.error("%s", violated)
            raise violated from None
        redacted_error = logs.redacted(unforeseen)
        raise redacted_error from redacted_error.__cause__ or redacted_error.__context__


def _skipped(why: str) -> AirflowSkipException:
    _LOG.info("%s", why)
    return AirflowSkipException(why)


def record_failure(feed: str, context: Context, *, releases: bool = True) -> None:
    """Tell the ledger that a task failed for good, and let the run's leases go, so that the next run need not wait for them.

    `releases` False: the run goes on with the feeds behind, under the lease of its group.

    Of errors that Sluice did not foresee only the kind is kept: their text may hold values of rows. What is a text already comes from
    the scheduler, of a task that was killed.
    """
    error = context.get("exception")
    if isinstance(error, SluiceError | Refused):
        what = logs.described(error)
    else:
        what = error if isinstance(error, str) else f"{type(error).__name__}: see the log of the task"
    run = run_id(context)
    try:
        with open_ledger() as ledger:
            ledger.admin.record_failure(feed, run, context["task_instance"].task_id, what)
            if releases:
                ledger.leases.release_run(feed_named(feed), run)
    except SluiceError as down:
        _LOG.error("the ledger could not be told of this failure, and the feed's lease runs out within a minute by itself: %s", down)
