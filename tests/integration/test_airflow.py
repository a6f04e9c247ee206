"""The real scheduler runs the DAGs: producer, reference, ingest, follow; by hand, by the clock, woken by what lands."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from include.clients import s3_client
from include.domains.transactions.feeds import TRANSACTIONS
from include.files import keys
from include.ledger import Ledger
from include.run import Run
from include.storage.s3 import S3Store
from sluice.generate.transactions import write
from sluice.runtime import new_id, now, open_ledger, settings_from
from sluice.services.postgres import SUPERUSER, connect
from sluice.services.state import LEDGER_DATABASE, PROJECT, State
from tests import naive
from tests.integration.airflow import ENDED, FOLLOW, INGEST, STEPS, TASKS, Airflow, until
from tests.integration.world import HEADER, row

SMALL = {"min_total": 300, "min_count": 12, "max_avg_cents": 2600, "min_female": 5, "top": 10, "bottom": 10}
FINISHED = ("published", "quarantined", "duplicate")


class Scheduled:
    """What Airflow's own ledger and bucket hold. Other tests of the session do not touch them, earlier sessions may have."""

    def __init__(self, airflow: Airflow, ledger: Ledger, store: S3Store, bucket: str) -> None:
        self.airflow = airflow
        self.ledger = ledger
        self.store = store
        self.bucket = bucket
        self.mark = new_id()

    def land(self, *names: str, content: Callable[[str], str]) -> list[str]:
        """Put files under today's date, in names and bytes of this test's own."""
        made = []
        for name in names:
            key = f"{keys.landing_date(keys.landing('transactions'), now().date())}{self.mark}_{name}"
            self.store.put(self.bucket, key, content(name).encode())
            made.append(key)
        return made

    def good(self, name: str) -> str:
        return HEADER + row(customer=f"C{self.mark}", merchant=f"M{self.mark}{name}") * 2

    def finished(self, landed: list[str], seconds: float = 120) -> list[dict[str, Any]]:
        """These files in seq order, once nothing is left to do for any of them."""

        def look() -> list[dict[str, Any]] | None:
            found = self.ledger.rows("select * from file where key = any(%s) order by seq", (landed,))
            done = [file for file in found if file["state"] in FINISHED and file["delivered_at"] is not None]
            return found if len(done) == len(landed) else None

        return until(look, f"{landed} finished", seconds)

    def events(self, file_id: int) -> list[str]:
        return [
            event["run_id"] for event in self.ledger.rows("select run_id from file_event where file_id = %s order by event_id", (file_id,))
        ]


@pytest.fixture(scope="module")
def airflow(with_airflow: dict[str, str]) -> Airflow:
    airflow = Airflow.of(with_airflow)
    written = {path.stem for path in (PROJECT / "dags").glob("*.py")} - {"__init__"}
    until(lambda: written <= set(airflow.dags()), "the DAGs are read")
    return airflow


@pytest.fixture
def scheduled(airflow: Airflow, services: dict[str, str]) -> Iterator[Scheduled]:
    """All DAGs paused, and paused again at the end."""
    where = settings_from(services)
    with open_ledger(where) as ledger, nothing_runs(airflow, INGEST):
        yield Scheduled(airflow, ledger, S3Store(s3_client(where.s3)), where.s3.bucket)


@contextmanager
def nothing_runs(airflow: Airflow, *dags: str) -> Iterator[None]:
    """All DAGs paused, and no run of some of them half-way or queued, which would go on as soon as a test unpauses it."""
    try:
        pause_all(airflow)
        for dag in dags:
            drain(airflow, dag)
        yield
    finally:
        pause_all(airflow)


def drain(airflow: Airflow, dag: str) -> None:
    """Let all runs of a paused DAG end, those too that the clock or the watcher makes meanwhile."""
    while any(run["state"] not in ENDED for run in airflow.runs(dag)):
        airflow.pause(dag, paused=False)
        until(lambda: all(run["state"] in ENDED for run in airflow.runs(dag)), f"all runs of {dag} ended", 300)
        airflow.pause(dag)


def pause_all(airflow: Airflow) -> None:
    for dag in airflow.dags(paused=False):
        airflow.pause(dag)


@pytest.fixture
def synthetic(state: State, scheduled: Scheduled) -> tuple[Path, Path]:
    """A small set in which all three patterns fire, with customers and merchants that no other test has, where a run may read."""
    made = write(3_000, 7, state.folder("input", scheduled.mark), customers=60)
    for path in (made.transactions, made.importance):
        path.write_bytes(path.read_bytes().replace(b"'S", f"'S{scheduled.mark}".encode()))
    return made.transactions, made.importance


def test_produced_and_ingested_by_the_scheduler_every_detection_is_that_of_a_naive_evaluation(
    scheduled: Scheduled, synthetic: tuple[Path, Path]
) -> None:
    transactions, importance = synthetic
    airflow = scheduled.airflow
    for dag, conf in (
        (INGEST, {}),  # what an earlier session left
        ("transactions_reference", {"source": f"{scheduled.mark}/{importance.name}"}),
        ("transactions_producer", {"source": str(transactions), "rows": 500, "every": 0}),
    ):
        airflow.pause(dag, paused=False)
        assert airflow.ended(dag, airflow.trigger(dag, **conf)) == "success"
        airflow.pause(dag)
        drain(airflow, dag)
    landed = [chunk["key"] for chunk in scheduled.ledger.rows("select key from producer_chunk order by number desc limit 6")]
    run = airflow.trigger(INGEST, **SMALL)
    airflow.pause(INGEST, paused=False)
    assert airflow.ended(INGEST, run) == "success"
    files = scheduled.finished(landed, seconds=30)
    assert {file["state"] for file in files} == {"published"}
    assert scheduled.ledger.row("select parameters from batch where batch = %s", (files[0]["batch"],)) == {"parameters": SMALL}

    rows = naive.read_transactions(transactions)
    chunks = [(file["seq"], rows[at : at + 500]) for at, file in zip(range(0, 3_000, 500), files, strict=True)]
    expected = naive.detections(chunks, naive.read_importance(importance), naive.Parameters(**SMALL))
    made = scheduled.ledger.rows("select * from detection where seq >= %s order by number", (files[0]["seq"],))
    assert [(d["seq"], d["pattern_id"], d["merchant_id"], d["customer_name"]) for d in made] == [tuple(d) for d in expected]
    assert {d.pattern_id for d in expected} == {"PatId1", "PatId2", "PatId3"}

    logs = {step: airflow.log(INGEST, run, step) for step in STEPS}
    for key in landed:
        assert f"registered seq {next(file['seq'] for file in files if file['key'] == key)} {key}" in logs["discover"]
        assert f"{key}: " in logs["gate"]
        assert "500 rows, 500 accepted, 0 rejected" in logs["gate"]
    assert f"batch {files[0]['batch']} attempt 1" in logs["process"]
    assert re.search(rf"6 registered; 6 accepted, 0 quarantined, 0 duplicate; batch {files[0]['batch']} published: ", logs["deliver"])
    assert [task["rendered_map_index"] for task in airflow.tasks(INGEST, run) if task["task_id"] == "gate"] == [
        f"seq {files[0]['seq']}-{files[-1]['seq']}: 6 files ({sum(file['size'] for file in files) / 1000:.1f} kB)"
    ]
    for shown in (*logs.values(), airflow.handed_on(INGEST, run)):
        assert f"S{scheduled.mark}" not in shown, "values of rows are shown"


def test_what_lands_wakes_the_ingest_and_a_bad_file_is_moved_while_the_run_stays_green(scheduled: Scheduled) -> None:
    airflow = scheduled.airflow
    airflow.pause(INGEST, paused=False)
    until(lambda: any(run["state"] == "success" for run in airflow.runs(INGEST)), "a run by the clock")
    landed = scheduled.land("good.csv", content=scheduled.good)
    landed += scheduled.land("headless.csv", content=lambda _: f"no,header,{scheduled.mark}\n1,2,3\n")
    good, bad = scheduled.finished(landed)
    assert (good["state"], bad["state"], bad["reason_code"]) == ("published", "quarantined", "column_missing")
    assert bad["location"] == "error"
    assert scheduled.store.head(scheduled.bucket, landed[1]) is None
    moved = scheduled.store.read_bytes(scheduled.bucket, bad["location_key"]).decode()
    assert moved == f"no,header,{scheduled.mark}\n1,2,3\n"
    report = json.loads(scheduled.store.read_bytes(scheduled.bucket, bad["location_key"].rsplit("/", 1)[0] + "/report.json"))
    assert (report["state"], report["reason_code"]) == ("quarantined", "column_missing")
    run = scheduled.events(bad["file_id"])[0].removeprefix(f"airflow:{INGEST}:")
    assert airflow.ended(INGEST, run) == "success"

    more = scheduled.land("woken.csv", content=scheduled.good)
    (file,) = scheduled.finished(more)
    woken = [one["dag_run_id"] for one in airflow.runs(INGEST) if "watcher" in airflow.woken_by(INGEST, one["dag_run_id"])]
    assert woken, f"only the clock took {file['key']}"


def test_what_does_not_fit_into_a_run_is_taken_by_the_next_one_at_once(scheduled: Scheduled) -> None:
    airflow = scheduled.airflow
    landed = scheduled.land("1.csv", "2.csv", "3.csv", content=scheduled.good)
    first = airflow.trigger(INGEST, max_files=1)
    airflow.pause(INGEST, paused=False)
    assert airflow.ended(INGEST, first) == "success"
    files = scheduled.finished(landed)
    assert [file["seq"] - files[0]["seq"] for file in files] == [0, 1, 2]
    assert files[0]["batch"] != files[1]["batch"] == files[2]["batch"]
    assert ("deliver", first) in airflow.called_for("sluice_landing_transactions")


def test_a_run_that_finds_the_feed_busy_is_skipped_and_names_the_holder(scheduled: Scheduled) -> None:
    airflow, holder = scheduled.airflow, Run(f"test-holder-{scheduled.mark}", now())
    before = {run["dag_run_id"] for run in airflow.runs(INGEST)}
    token = scheduled.ledger.leases.acquire(TRANSACTIONS, holder)
    try:
        with scheduled.ledger.leases.held(TRANSACTIONS, token):
            airflow.pause(INGEST, paused=False)
            run = until(
                lambda: next(
                    (run["dag_run_id"] for run in airflow.runs(INGEST) if run["state"] in ENDED and run["dag_run_id"] not in before), None
                ),
                "a run",
            )
            assert airflow.states(INGEST, run) == dict.fromkeys(TASKS, "skipped")
            assert f"transactions is being ingested by {holder.run_id}" in airflow.log(INGEST, run, "discover")
            assert airflow.ended(INGEST, run) == "success"
    finally:
        scheduled.ledger.leases.release(TRANSACTIONS, token)


@pytest.mark.parametrize(
    ("conf", "said"),
    [
        ({"max_files": 0}, "less than the minimum"),
        ({"min_count": "many"}, "is not of type 'integer'"),
        ({"top": 101}, "greater than the maximum"),
    ],
)
def test_a_param_that_is_not_allowed_is_refused_where_it_is_typed_in(airflow: Airflow, conf: dict[str, object], said: str) -> None:
    answer = airflow.ask_for_run(INGEST, conf)
    assert (answer.status_code, said in answer.text) == (400, True)


def test_a_run_that_fails_is_red_and_in_the_ledger_and_lets_the_feed_go(scheduled: Scheduled) -> None:
    airflow = scheduled.airflow
    run = airflow.trigger(INGEST, max_flies=3)
    airflow.pause(INGEST, paused=False)
    assert airflow.ended(INGEST, run) == "failed"
    assert airflow.states(INGEST, run) == {"discover": "failed"} | dict.fromkeys(TASKS[1:], "upstream_failed")
    failure = scheduled.ledger.row("select feed, step, what from failure where run_id = %s", (f"airflow:{INGEST}:{run}",))
    assert failure is not None
    assert (failure["feed"], failure["step"]) == ("transactions", "discover")
    assert failure["what"].startswith("transactions_ingest has no parameter max_flies; it has max_files, ")
    assert failure["what"] in airflow.log(INGEST, run, "discover")


def test_a_service_that_does_not_answer_is_tried_again_and_the_run_ends_green(scheduled: Scheduled, state: State) -> None:
    airflow = scheduled.airflow
    landed = scheduled.land("after.csv", content=scheduled.good)
    with no_connection_to_the_ledger(state):
        run = airflow.trigger(INGEST)
        airflow.pause(INGEST, paused=False)
        until(lambda: airflow.states(INGEST, run).get("discover") == "up_for_retry", "discover failed once")
    assert airflow.ended(INGEST, run) == "success"
    scheduled.finished(landed)
    assert "PostgreSQL: no connection to " in airflow.log(INGEST, run, "discover")
    assert scheduled.ledger.row("select 1 from failure where run_id = %s", (f"airflow:{INGEST}:{run}",)) is None


@contextmanager
def no_connection_to_the_ledger(state: State) -> Iterator[None]:
    """PostgreSQL takes no more connections for the ledger, as when all are in use; those that are open stay."""
    with connect(state, "postgres", SUPERUSER, autocommit=True) as connection:
        connection.execute(f"alter database {LEDGER_DATABASE} connection limit 0")
        try:
            yield
        finally:
            connection.execute(f"alter database {LEDGER_DATABASE} connection limit -1")


def test_follow_ingests_what_lands_until_somebody_ends_it(scheduled: Scheduled) -> None:
    airflow = scheduled.airflow
    airflow.pause(FOLLOW, paused=False)
    run = until(lambda: [run for run in airflow.runs(FOLLOW) if run["state"] == "running"], "it follows")[0]["dag_run_id"]
    for name in ("1.csv", "2.csv"):
        (file,) = scheduled.finished(scheduled.land(name, content=scheduled.good))
        assert set(scheduled.events(file["file_id"])) == {f"airflow:{FOLLOW}:{run}"}
    airflow.pause(FOLLOW)
    assert airflow.ask("PATCH", f"/dags/{FOLLOW}/dagRuns/{run}", json={"state": "failed"}).ok
    until(lambda: scheduled.ledger.queries.feed_overview("transactions")["lease_holder"] is None, "the feed is let go", 30)


def test_the_data_docs_have_a_page_for_each_of_the_newest_files(scheduled: Scheduled) -> None:
    airflow = scheduled.airflow
    landed = scheduled.land("a.csv", "b.csv", content=scheduled.good)
    for dag, conf in ((INGEST, {}), ("data_docs", {"files": 2})):
        airflow.pause(dag, paused=False)
        assert airflow.ended(dag, airflow.trigger(dag, **conf)) == "success"
        airflow.pause(dag)
    scheduled.finished(landed)
    pages = [stamp.key.removeprefix(keys.data_docs("transactions")) for stamp in scheduled.store.objects(scheduled.bucket, "data_docs/")]
    assert "index.html" in pages
    assert len([page for page in pages if page.startswith("validations/")]) == 2


def test_a_replay_from_the_ui_is_a_plan_until_it_is_told_to_go_and_then_wakes_the_ingest(
    scheduled: Scheduled, services: dict[str, str]
) -> None:
    airflow, replays = scheduled.airflow, "transactions_replay"
    airflow.pause(INGEST, paused=False)
    (bad,) = scheduled.finished(scheduled.land("bad.csv", content=lambda _: HEADER + row(customer=f"C{scheduled.mark}", step="x")))
    airflow.pause(INGEST)  # runs by the clock would only be in the way of what follows
    fixed = f"fixes/transactions/replacement=desk/{scheduled.mark}.csv"
    scheduled.store.put(scheduled.bucket, fixed, scheduled.good("fixed").encode())
    asked = {"file": str(bad["file_id"]), "fixed": f"s3://{scheduled.bucket}/{fixed}", "why": "the step was x"}
    airflow.pause(replays, paused=False)
    dry = airflow.trigger(replays, **asked)
    assert airflow.ended(replays, dry) == "success"
    said = airflow.log(replays, dry, "replay")
    assert "2 rows: 2 would be accepted, 0 rejected" in said
    assert "nothing was done: trigger it again with `go` to do it" in said
    assert scheduled.ledger.files.records([bad["file_id"]])[0].file.state == "quarantined"
    airflow.pause(INGEST, paused=False)
    meant = airflow.trigger(replays, **asked, go=True)
    assert airflow.ended(replays, meant) == "success"
    (child,) = scheduled.ledger.rows("select key, requested_by, why from file where parent = %s", (bad["file_id"],))
    assert (child["requested_by"], child["why"]) == (services["AIRFLOW_USERNAME"], "the step was x")
    assert ("replay", meant) in airflow.called_for("sluice_landing_transactions")
    (made,) = scheduled.finished([child["key"]])
    airflow.pause(INGEST)
    assert made["state"] == "published"
    assert scheduled.ledger.files.records([bad["file_id"]])[0].file.state == "discarded"
    again = airflow.trigger(replays, **asked)
    assert airflow.ended(replays, again) == "failed"
    assert "only a quarantined file can be replayed" in airflow.log(replays, again, "replay")
