"""Published results brought to another database, which an Airflow connection names."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from functools import partial

from airflow.sdk import Param, get_current_context, task

from dags.wiring import connections
from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.params import refuse_unknown
from dags.wiring.ports import log, open_ledger


def send_params() -> dict[str, Param]:
    """Where to; who may see the password is a matter of the connection."""
    return {
        "connection": Param(
            connections.TARGET_CONNECTION,
            type="string",
            pattern="^[A-Za-z0-9_.-]+$",  # a name: an address with a password in it is refused before it is kept anywhere
            maxLength=250,
            description="The Airflow connection of the database that silver and gold are brought to: PostgreSQL, MySQL, MariaDB or another "
            "that SQLAlchemy knows.",
        )
    }


def send_tables(feed: str) -> None:
    """Add the task that brings the tables of finance to a DAG; its failures are told under a feed's name."""
    _send.override(task_id="send", on_failure_callback=partial(record_failure, feed))()


@task(execution_timeout=dt.timedelta(hours=4))
def _send() -> dict[str, int]:
    """Bring every table of the target to the newest batch; rows written by table, nothing of those that were there already."""
    from include.domains.finance.sender import send, target_at

    context = get_current_context()
    with as_task_failure(context):
        refuse_unknown(context)
        with closing(target_at(connections.target(context["params"]["connection"]))) as target, open_ledger() as ledger:
            return send(ledger.session, target, log)
