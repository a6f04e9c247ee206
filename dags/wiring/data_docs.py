"""Great Expectations' Data Docs, built from what the gate has recorded: the gate itself does not wait for them."""

from __future__ import annotations

import datetime as dt
import tempfile
from functools import partial
from pathlib import Path

from airflow.sdk import Param, get_current_context, task

from dags.wiring import connections
from dags.wiring.failures import as_task_failure, record_failure
from dags.wiring.ports import log, now, open_ledger
from include.domains import feed_named
from include.feed import FeedSpec
from include.files import keys

EVERY_TEN_MINUTES = "*/10 * * * *"


def data_docs_params() -> dict[str, Param]:
    """How far back the pages go."""
    return {"files": Param(50, type="integer", minimum=1, maximum=1000, description="A page for each of so many newest files of a feed.")}


def data_docs(spec: FeedSpec) -> None:
    """Add the task that builds the pages of one feed to a DAG."""
    _build.override(task_id=f"build_{spec.name}", on_failure_callback=partial(record_failure, spec.name))(spec.name)


@task(execution_timeout=dt.timedelta(minutes=15))
def _build(feed: str) -> int:
    """Build the site in a folder and put it into the bucket in place of the one before; how many files have a page."""
    from include.clients import s3_client
    from include.quality.data_docs import build_data_docs
    from include.storage.s3 import S3Store

    context, spec = get_current_context(), feed_named(feed)
    with as_task_failure(context), open_ledger() as ledger, tempfile.TemporaryDirectory() as folder:
        reports = ledger.queries.newest_reports(feed, spec.contract.digest, context["params"]["files"])
        build_data_docs(Path(folder), spec.contract, reports, now())
        files = [path for path in Path(folder).rglob("*") if path.is_file()]
        pages = {keys.in_data_docs(keys.data_docs(feed), path.relative_to(folder).as_posix()): path for path in files}
        s3 = connections.s3()
        store = S3Store(s3_client(s3))
        for key, path in pages.items():
            store.put(s3.bucket, key, path.read_bytes())
        for stale in store.objects(s3.bucket, keys.data_docs(feed)):
            if stale.key not in pages:
                store.delete(s3.bucket, stale.key)
    place = f"s3://{s3.bucket}/{keys.data_docs(feed)}"
    log(f"pages about {len(reports)} files are in {place}")
    log(f"to read them: aws s3 cp --recursive {place} data-docs, then open data-docs/index.html")
    return len(reports)
