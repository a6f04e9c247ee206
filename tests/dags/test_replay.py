"""The form of a replay: harmless unless a person means it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.domains import FEEDS

if TYPE_CHECKING:
    from airflow.sdk import DAG


# Each DAG that replays, with the feeds whose files it takes.
REPLAYS = {
    "transactions_replay": ["transactions"],
    "sales_replay": ["sales", "customer", "store", "product", "sales_team"],
    "finance_replay": ["stocks", "mutual_funds"],
}


def test_every_feed_has_one_replay() -> None:
    assert sorted(feed for feeds in REPLAYS.values() for feed in feeds) == sorted(FEEDS)


@pytest.mark.parametrize(("dag_id", "feeds"), REPLAYS.items())
def test_a_replay_is_dry_and_by_hand_unless_it_is_told_to_go(dags: dict[str, DAG], dag_id: str, feeds: list[str]) -> None:
    dag = dags[dag_id]
    assert dag.schedule is None
    assert {tag for tag in dag.tags if tag.startswith("feed:")} == {f"feed:{feed}" for feed in feeds}
    (task,) = dag.tasks
    assert list(task.op_args) == [feeds]
    assert [alias.name for alias in task.outlets] == [f"sluice_more_{feed}_waits" for feed in feeds]
    assert [task.task_id for task in dag.tasks] == ["replay"]
    assert {name: dag.params.get_param(name).schema["type"] for name in dag.params} == {
        "file": "string",
        "fixed": ["null", "string"],
        "why": ["null", "string"],
        "go": "boolean",
    }
    assert dag.params.get_param("go").value is False


def test_a_file_of_another_feed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from contextlib import nullcontext
    from types import SimpleNamespace

    from dags.wiring import replay
    from include.errors import UsageError

    story = {"file": {"file_id": 7, "feed": "sales", "key": "landing/sales/a.csv"}}
    monkeypatch.setattr(replay, "open_ledger", lambda: nullcontext(SimpleNamespace(queries=SimpleNamespace(file_story=lambda _: story))))
    assert replay.file_named(["sales"], "a.csv") == ("sales", 7)
    assert replay.file_named(["customer", "sales"], "a.csv") == ("sales", 7)
    with pytest.raises(UsageError, match="is a file of sales, not of transactions"):
        replay.file_named(["transactions"], "a.csv")
    with pytest.raises(UsageError, match="is a file of sales, not of customer or store"):
        replay.file_named(["customer", "store"], "a.csv")
