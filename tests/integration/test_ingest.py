"""From landing to detections through the five steps, on real S3, PostgreSQL and Spark: order, bad files, moves, repeats."""

from __future__ import annotations

import csv
import io
import json

import pytest

from include.domains.transactions.queries import list_detections
from include.errors import FeedBusy, LeaseLost
from include.pipeline.deliver import deliver
from include.pipeline.discover import discover
from include.pipeline.gate import gate
from include.pipeline.process import process
from include.pipeline.publish import publish
from include.pipeline.run import Progress, ingest_once
from tests.integration.world import DAY, HEADER, World, row

FILE_COLUMNS = [
    *("key", "seq", "state", "lines", "accepted", "rejected", "reason", "sha256", "duplicate_of", "batch"),
    *("registered_at", "published_at"),
]
DETECTION_COLUMNS = [
    *("number", "seq", "file_key", "pattern_id", "action_type", "customer_name", "merchant_id", "detected_at", "y_start_at")
]


def content(*rows: str) -> str:
    return HEADER + "".join(rows)


def test_a_file_goes_from_landing_to_a_detections_file(world: World) -> None:
    world.land("chunk_1.csv", content(*[row(amount="4.55")] * 3, row("C2")))
    progress = world.drain()
    assert progress.published == {"files": 1, "rows": 4, "PatId1 detections": 0, "PatId2 detections": 1, "PatId3 detections": 0}
    (detection,) = list_detections(world.ledger.session)
    assert (detection["number"], detection["seq"], detection["pattern_id"], detection["action_type"]) == (1, 1, "PatId2", "CHILD")
    (key,) = world.keys("detections/")
    lines = list(csv.reader(io.StringIO(world.store.read_bytes(world.bucket, key).decode())))
    assert lines[0] == ["YStartTime", "detectionTime", "patternId", "ActionType", "customerName", "MerchantId"]
    assert lines[1][2:] == ["PatId2", "CHILD", "C1", "M1"]
    assert all(time.endswith("+05:30") and len(time) == len("2026-11-01T00:00:00.000000+05:30") for time in lines[1][:2])
    assert world.ledger.rows("select * from merchant_transaction_counts") == [{"merchant_id": "M1", "total_transactions": 4}]
    assert world.ledger.rows("select status from staging_table") == [{"status": "I"}]


def test_files_found_together_are_taken_in_natural_order_whatever_the_listing_says(world: World) -> None:
    for name in ("chunk_10.csv", "chunk_9.csv", "landing/transactions/dt=2026-10-31/z.csv", "chunk_1.csv"):
        world.land(name, content(row(customer=name)))
    world.drain()
    assert [file["key"].rsplit("/", 1)[-1] for file in world.files()] == ["z.csv", "chunk_1.csv", "chunk_9.csv", "chunk_10.csv"]
    assert [file["seq"] for file in world.files()] == [1, 2, 3, 4]


def test_a_file_that_arrives_late_or_sorts_first_is_found_and_comes_last(world: World) -> None:
    world.land("chunk_5.csv", content(row("C5")))
    world.drain()
    world.land("chunk_1.csv", content(row("C1")))
    world.land("landing/transactions/dt=2020-01-01/old.csv", content(row("C0")))
    world.land("landing/transactions/undated.csv", content(row("C9")))
    world.drain()
    assert [file["key"].rsplit("/", 1)[-1] for file in world.files()] == ["chunk_5.csv", "old.csv", "chunk_1.csv", "undated.csv"]
    assert {file["state"] for file in world.files()} == {"published"}


def test_a_scheduled_poll_looks_at_recent_dates_and_undated_keys_only(world: World) -> None:
    today = world.ports.clock().date().isoformat()
    world.drain()
    for name in (
        "landing/transactions/dt=2020-01-01/old.csv",
        f"landing/transactions/dt={today}/new.csv",
        "landing/transactions/west/a.csv",
    ):
        world.land(name, content(row(name)))
    world.ingest(full=False)
    assert sorted(world.states()) == ["a.csv", "new.csv"]
    world.ledger.rows("update feed set last_sweep_at = last_sweep_at - interval '11 minutes' returning 1")
    world.ingest(full=False)
    assert sorted(world.states()) == ["a.csv", "new.csv", "old.csv"]


@pytest.mark.parametrize(
    "name",
    [
        "with space.csv",
        "a+b.csv",
        "100%.csv",
        "%20.csv",
        "é中😀.csv",
        "'quote'.csv",
        '"double".csv',
        "semi;colon&x=1.csv",
        ".hidden.csv",
        "_x.csv",
    ],
)
def test_a_key_with_unusual_characters_is_read_moved_and_reported_under_its_own_name(world: World, name: str) -> None:
    good = world.land(name, content(row()))
    bad = world.land("bad/" + name, "no header of ours\n1\n")
    world.drain()
    states = {file["key"]: file["state"] for file in world.files()}
    assert states == {good: "published", bad: "quarantined"}
    file = world.file(bad)
    assert file["location_key"] == f"error/transactions/dt=2026-11-01/{name}.{file['file_id']}/{name}"
    assert world.store.read_bytes(world.bucket, file["location_key"]) == b"no header of ours\n1\n"


def test_what_is_no_file_of_the_feed_is_never_touched(world: World) -> None:
    names = [DAY + "notes.txt", DAY + "chunk_1.csv-1b4e28ba-2fa1-11d2-883f-0016d3cca427", DAY + "x.CSV", "landing/transactions_2/a.csv"]
    for name in names:
        world.land(name, "anything")
    world.drain()
    assert world.files() == []
    assert sorted(world.keys("landing/")) == sorted(names)
    assert any("3 objects are no files of transactions" in line for line in world.said)


def test_a_directory_marker_is_no_file_and_a_key_that_the_store_folds_is_judged_as_it_shows_it(world: World) -> None:
    world.land("landing/transactions/dt=2026-11-02/", "")
    world.land("landing/transactions/dt=2026-11-02//folded.csv", content(row()))
    world.drain()
    assert [(file["key"], file["state"]) for file in world.files()] == [("landing/transactions/dt=2026-11-02/folded.csv", "published")]
    assert any("1 objects are no files of transactions" in line for line in world.said)


def test_a_bad_file_is_moved_to_the_error_prefix_with_its_reasons(world: World) -> None:
    landed = world.land("bad.csv", "step,customer\n1,'C1'\n")
    world.land("good.csv", content(row()))
    world.drain()
    file = world.file("bad.csv")
    folder = f"error/transactions/dt=2026-11-01/bad.csv.{file['file_id']}/"
    assert sorted(world.keys("error/")) == [folder + "bad.csv", folder + "report.json"]
    assert landed not in world.keys("landing/")
    report = json.loads(world.store.read_bytes(world.bucket, folder + "report.json"))
    assert (report["format"], report["state"], report["reason_code"]) == (1, "quarantined", "column_missing")
    assert "merchant" in report["reason"]
    assert (file["location"], file["location_key"]) == ("error", folder + "bad.csv")
    assert [event["kind"] for event in world.ledger.queries.file_story("bad.csv")["events"]] == ["move", "move", "relocated"]


def test_rejected_rows_lie_beside_a_report_and_the_file_goes_on(world: World) -> None:
    rows = [row(f"C{n}") for n in range(18)] + [row(amount="1e2"), row(gender="X", step="-1")]
    world.land("some.csv", content(*rows))
    world.drain()
    file = world.file("some.csv")
    assert (file["state"], file["lines"], file["accepted"], file["rejected"], file["location"]) == ("published", 20, 18, 2, "landing")
    (rejects,) = [key for key in world.keys("error/") if key.endswith("rejects.csv")]
    found = list(csv.DictReader(io.StringIO(world.store.read_bytes(world.bucket, rejects).decode())))
    assert [(reject["line"], reject["columns"], reject["original"] + "\n") for reject in found] == [
        ("20", "amount", rows[18]),
        ("21", "step;gender", rows[19]),
    ]
    assert world.ledger.rows("select total_transactions as n from merchant_transaction_counts") == [{"n": 18}]


def test_the_same_bytes_under_a_second_name_are_a_duplicate_and_change_nothing(world: World) -> None:
    body = content(*[row()] * 3)
    world.land("a.csv", body)
    world.drain()
    world.land("b.csv", body)
    world.drain()
    first, second = world.files()
    assert (second["state"], second["duplicate_of"]) == ("duplicate", world.file("a.csv")["file_id"])
    assert first["sha256"] == second["sha256"]
    assert world.ledger.rows("select total_transactions as n from merchant_transaction_counts") == [{"n": 3}]


def test_other_bytes_under_an_accepted_key_are_refused_and_kept_and_may_come_under_another_name(world: World) -> None:
    world.land("a.csv", content(row("C1")))
    world.drain()
    world.land("a.csv", content(row("C2")))
    world.drain()
    assert [(file["seq"], file["state"]) for file in world.files()] == [(1, "published"), (2, "quarantined")]
    assert "refuses overwrites" in world.files()[1]["reason"]
    world.land("b.csv", content(row("C2")))
    world.drain()
    assert world.files()[2]["state"] == "published"


def test_a_corrected_file_may_reuse_the_name_of_the_bad_one(world: World) -> None:
    world.land("a.csv", content(row(step="x")))
    world.drain()
    world.land("a.csv", content(row(step="1")))
    world.drain()
    assert [(file["seq"], file["state"]) for file in world.files()] == [(1, "quarantined"), (2, "published")]


def test_the_same_bad_bytes_again_under_their_key_are_seen_again_not_registered_and_moved_again(world: World) -> None:
    for _ in range(2):
        world.land("bad.csv", "nothing of ours")
        world.drain()
    assert len(world.files()) == 1
    kinds = [event["kind"] for event in world.ledger.queries.file_story("bad.csv")["events"]]
    assert kinds == ["move", "move", "relocated", "seen_again", "relocated"]
    assert world.keys("landing/") == []


def test_the_same_bad_bytes_under_another_name_are_quarantined_again_naming_the_first(world: World) -> None:
    world.land("a.csv", content(row(step="x")))
    world.land("b.csv", content(row(step="x")))
    world.drain()
    first, second = world.files()
    assert (first["state"], second["state"]) == ("quarantined", "quarantined")
    assert f"the same bytes as file {world.file('a.csv')['file_id']}, seq 1" in second["reason"]


def test_an_object_deleted_after_it_was_listed_is_quarantined_as_gone(world: World) -> None:
    key = world.land("a.csv", content(row()))
    run = world.run()
    found = discover(world.ports, world.spec, run)
    world.store.delete(world.bucket, key)
    _finish(world, run, found)
    file = world.file("a.csv")
    assert (file["state"], file["reason_code"], file["lines"], file["location"]) == ("quarantined", "object_gone", None, "gone")


def test_an_object_overwritten_after_it_was_listed_keeps_its_seq_and_the_new_content_is_a_new_file(world: World) -> None:
    world.land("a.csv", content(row("C1")))
    run = world.run()
    found = discover(world.ports, world.spec, run)
    world.land("a.csv", content(row("C2")))
    _finish(world, run, found)
    world.drain()
    assert [(file["seq"], file["state"]) for file in world.files()] == [(1, "quarantined"), (2, "published")]
    assert [row["location"] for row in world.ledger.rows("select location::text from file order by seq")] == ["overwritten", "landing"]


def _finish(world: World, run, found) -> None:  # noqa: ANN001
    assert found.token is not None
    for group in found.groups:
        gate(world.ports, world.spec, run, found.token, group.file_ids)
    processed = process(world.ports, world.spec, run, found.token, found.file_ids)
    publish(world.ports, world.spec, run, found.token, processed)
    deliver(world.ports, world.spec, run)


def _work(world: World) -> list[tuple[str, int | None, int | None]]:
    rows = world.ledger.rows("select step, seq, batch from work order by seq nulls last")
    return [(row["step"], row["seq"], row["batch"]) for row in rows]


def test_work_has_each_item_with_its_next_step_until_nothing_is_left_to_do(world: World) -> None:
    world.land("1.csv", content(row()))
    world.land("2.csv", "nothing\n")
    world.land("3.csv", content(row("C3")))
    run = world.run()
    found = discover(world.ports, world.spec, run)
    assert found.token is not None
    assert _work(world) == [("validate", 1, None), ("validate", 2, None), ("validate", 3, None)]
    gate(world.ports, world.spec, run, found.token, found.file_ids)
    assert _work(world) == [("decide", 1, None), ("decide", 2, None), ("decide", 3, None)]
    processed = process(world.ports, world.spec, run, found.token, found.file_ids)
    assert _work(world) == [("publish", 1, None), ("deliver", 2, None), ("publish", 3, None), ("publish", None, 1)]
    publish(world.ports, world.spec, run, found.token, processed)
    assert _work(world) == [("deliver", 1, None), ("deliver", 2, None), ("deliver", 3, None), ("deliver", None, 1)]
    deliver(world.ports, world.spec, run)
    assert _work(world) == []
    world.ledger.rows("update file set delivered_at = null where seq = 2 returning 1")
    assert _work(world) == [("deliver", 2, None)]


def test_fifteen_hundred_objects_at_once_are_found_across_listing_pages(world: World) -> None:
    for number in range(1500):
        world.land(f"f_{number}.csv", "x")
    run = world.run(max_files=7)
    found = discover(world.ports, world.spec, run)
    assert (found.listed, found.registered, len(found.file_ids)) == (1500, 1500, 7)
    rows = world.ledger.rows("select seq, key from file order by seq")
    assert [row["key"].rsplit("_", 1)[1] for row in rows] == [f"{number}.csv" for number in range(1500)]
    assert discover(world.ports, world.spec, run).registered == 0


def test_a_batch_takes_at_most_max_files_and_the_rest_goes_into_the_next(world: World) -> None:
    for number in range(5):
        world.land(f"f_{number}.csv", content(row(f"C{number}")))
    world.drain(max_files=2)
    assert [(batch["first_seq"], batch["last_seq"], batch["files"]) for batch in world.ledger.queries.list_batches("transactions")] == [
        (1, 2, 2),
        (3, 4, 2),
        (5, 5, 1),
    ]


def test_a_run_killed_after_its_job_is_resumed_as_the_next_attempt_with_its_own_thresholds(world: World) -> None:
    world.land("a.csv", content(*[row()] * 3))
    run = world.run(parameters=world.spec.parameters_from({"min_count": 3}))
    found = discover(world.ports, world.spec, run)
    assert found.token is not None
    gate(world.ports, world.spec, run, found.token, found.file_ids)
    process(world.ports, world.spec, run, found.token, found.file_ids)
    world.let_lease_run_out()
    world.land("b.csv", content(row("C2")))
    world.drain(parameters=world.spec.parameters_from({"min_count": 1}))
    batches = world.ledger.queries.list_batches("transactions")
    assert [(batch["attempt"], batch["parameters"]["min_count"]) for batch in batches] == [(2, 3), (1, 1)]
    assert world.detected() == [(1, "PatId2", "C1", "M1"), (2, "PatId2", "C2", "M1")]


def test_an_attempt_that_lost_its_lease_cannot_publish(world: World) -> None:
    world.land("a.csv", content(*[row()] * 3))
    run = world.run()
    found = discover(world.ports, world.spec, run)
    assert found.token is not None
    gate(world.ports, world.spec, run, found.token, found.file_ids)
    late = process(world.ports, world.spec, run, found.token, found.file_ids)
    world.let_lease_run_out()
    world.drain()
    with pytest.raises(LeaseLost):
        publish(world.ports, world.spec, run, found.token, late)
    assert world.detected() == [(1, "PatId2", "C1", "M1")]


def test_a_busy_feed_is_left_to_the_run_that_has_it(world: World) -> None:
    world.land("a.csv", content(row()))
    discover(world.ports, world.spec, world.run(run_id="the other"))
    with pytest.raises(FeedBusy, match="is being ingested by the other"):
        ingest_once(world.ports, world.spec, world.run(), Progress())


def written(world: World) -> dict[str, str]:
    """Every object and its content, apart from the journal, which says twice what was delivered twice."""
    return {stamp.key: stamp.etag for stamp in world.store.objects(world.bucket, "") if not stamp.key.startswith("journal/")}


def test_delivering_twice_changes_nothing(world: World) -> None:
    world.land("a.csv", content(*[row()] * 3))
    world.land("bad.csv", "x")
    world.drain()
    before = written(world)
    world.ledger.rows("update batch set delivered_at = null returning 1")
    world.ledger.rows("update detection_file set written_at = null returning 1")
    world.ledger.rows("update file set delivered_at = null returning 1")
    deliver(world.ports, world.spec, world.run())
    assert written(world) == before


def test_a_delivery_killed_between_copy_and_deletion_is_finished_by_the_next_run(world: World) -> None:
    key = world.land("bad.csv", "x")
    world.drain()
    location = world.file("bad.csv")["location_key"]
    world.ledger.rows("update file set delivered_at = null, location = 'landing', location_key = null returning 1")
    world.ingest()
    assert (world.file("bad.csv")["location"], world.file("bad.csv")["location_key"]) == ("error", location)
    assert key not in world.keys("landing/")


def test_state_can_be_asked_as_of_any_file_before_and_after_merging(world: World) -> None:
    for number in range(20):
        world.land(f"f_{number}.csv", content(row("C1", amount="1.00"), row(f"C{number + 2}")))
        world.ingest()
    assert max(found["level"] for found in world.ledger.rows("select level from state_object")) == 1
    for seq in (1, 7, 8, 9, 16, 20):
        rows = json.loads(world.sluice("state", "transactions", "--as-of", str(seq), "--merchant", "M1", "--json").stdout)
        assert {found["customer"]: (found["n"], found["cents"]) for found in rows}["C1"] == (seq, 100 * seq)
        assert len(rows) == seq + 1


def test_s3_down_at_the_start_is_one_clear_sentence_and_the_feed_stays_free(world: World) -> None:
    world.land("a.csv", content(row()))
    done = world.sluice("ingest", "transactions", check=3, AWS_ENDPOINT_URL_S3="http://127.0.0.1:9")
    assert done.stderr.strip().splitlines()[-1].startswith("sluice: S3: no answer for s3://")
    world.drain()
    assert world.states() == {"a.csv": "published"}


def test_a_dead_spark_is_noticed_in_seconds_and_the_next_run_finishes_the_work(world: World) -> None:
    world.land("a.csv", content(*[row()] * 3))
    done = world.sluice("ingest", "transactions", "--min-count", "3", check=3, SPARK_REMOTE="sc://localhost:9/;token=x")
    assert done.stderr.strip().splitlines()[-1].startswith("sluice: Spark: sc://localhost:9")
    (batch,) = world.ledger.queries.list_batches("transactions")
    assert (batch["state"], batch["outcome"]) == ("open", "failed")
    world.drain()
    assert world.detected() == [(1, "PatId2", "C1", "M1")]


def test_a_lease_that_nobody_renews_runs_out_and_the_feed_goes_on(world: World) -> None:
    world.land("a.csv", content(row()))
    discover(world.ports, world.spec, world.run(run_id="killed"))
    with pytest.raises(FeedBusy):
        world.ingest()
    world.let_lease_run_out()
    world.drain()
    assert world.states() == {"a.csv": "published"}


def test_an_abandoned_batch_gives_its_files_to_the_next_and_its_own_run_cannot_publish(world: World) -> None:
    world.land("a.csv", content(*[row()] * 3))
    run = world.run()
    found = discover(world.ports, world.spec, run)
    assert found.token is not None
    gate(world.ports, world.spec, run, found.token, found.file_ids)
    stuck = process(world.ports, world.spec, run, found.token, found.file_ids)
    world.sluice("batch", "abandon", "transactions", "--why", "a test")
    with pytest.raises(LeaseLost):
        publish(world.ports, world.spec, run, found.token, stuck)
    world.drain()
    assert [(batch["state"], batch["first_seq"]) for batch in world.ledger.queries.list_batches("transactions")] == [
        ("abandoned", 1),
        ("published", 1),
    ]
    assert world.detected() == [(1, "PatId2", "C1", "M1")]


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (
            ("ingest", "nothing"),
            2,
            "sluice: no feed 'nothing'; there are: customer, mutual_funds, product, sales, sales_team, stocks, store, transactions",
        ),
        (("ingest", "transactions", "--min-count", "0"), 2, "sluice: min_count = 0 is not a whole number from 1 to"),
        (("show", "nothing.csv"), 2, "sluice: no file 'nothing.csv' in the ledger"),
        (("detections", "--pattern", "PatId9"), 2, "sluice: no pattern 'PatId9'"),
        (("batch", "abandon", "transactions", "--why", "x"), 2, "sluice: transactions has no open batch"),
    ],
)
def test_wrong_use_of_the_command_is_one_sentence(world: World, words: tuple[str, ...], code: int, sentence: str) -> None:
    done = world.sluice(*words, check=code)
    assert done.stderr.startswith(sentence)
    assert done.stdout == ""


def test_json_answers_have_the_columns_of_the_ledger(world: World) -> None:
    world.land("a.csv", content(*[row()] * 3))
    world.sluice("ingest", "transactions", "--until-empty", "--min-count", "3")
    (file,) = json.loads(world.sluice("files", "transactions", "--json").stdout)
    assert list(file) == FILE_COLUMNS
    (detection,) = json.loads(world.sluice("detections", "--json").stdout)
    assert list(detection) == DETECTION_COLUMNS
