"""The form of a replay: harmless unless a person means it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from include.feeds import FEEDS

if TYPE_CHECKING:
    from airflow.sdk import DAG


@pytest.mark.parametrize("feed", sorted(FEEDS))
def test_a_replay_is_dry_and_by_hand_unless_it_is_told_to_go(dags: dict[str, DAG], feed: str) -> None:
    dag = dags[f"{feed}_replay"]
    assert dag.schedule is None
    assert f"feed:{feed}" in dag.tags
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
    from include.ingestion.errors import UsageError

    story = {"file": {"file_id": 7, "feed": "sales", "key": "landing/sales/a.csv"}}
    monkeypatch.setattr(replay, "open_ledger", lambda: nullcontext(SimpleNamespace(file_story=lambda _: story)))
    assert replay.file_named("sales", "a.csv") == 7
    with pytest.raises(UsageError, match="is a file of sales, not of transactions"):
        replay.file_named("transactions", "a.csv")
