"""What is said of work that fails, and when a service is to blame."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from include.feeds.transactions.spec import TRANSACTIONS
from include.ingestion.errors import EnvironmentFailure, ObjectGone
from include.ingestion.logs import described
from include.ingestion.repair.failing import Failed, WorkFailed, outage


def services(down: str = "") -> Any:
    """Ports of which one service does not answer."""

    def answer(name: str) -> Any:
        def ask(*_: str) -> None:
            if name == down:
                raise EnvironmentFailure(name, "no answer")

        return ask

    return SimpleNamespace(
        ledger=SimpleNamespace(answers=answer("PostgreSQL")),
        store=SimpleNamespace(head=answer("S3")),
        job=SimpleNamespace(answers=answer("Spark")),
        bucket="lake",
    )


def test_no_service_is_to_blame_where_all_answer() -> None:
    assert outage(services()) is None


@pytest.mark.parametrize("service", ["PostgreSQL", "S3", "Spark"])
def test_a_service_that_does_not_answer_is_to_blame(service: str) -> None:
    found = outage(services(service))
    assert found is not None
    assert found.service == service


def test_an_error_of_ours_is_its_sentence_and_any_other_its_kind_and_place_without_a_value() -> None:
    gone = ObjectGone("lake", "a.csv", "e1", "gone")
    assert described(gone) == str(gone)
    with pytest.raises(ValueError, match="C109") as raised:
        int("C1093826151")
    said = described(raised.value)
    assert said.startswith("ValueError at test_failing.py:")
    assert "C1093826151" not in said


@pytest.mark.parametrize(
    ("failed", "poison", "follows"),
    [
        (Failed(3, 9, batch_limit=3), False, "seq 3-9 failed together; the next batch takes at most 3 of them"),
        (Failed(3, 3, failures=1, most=3, rest_seconds=60), False, "seq 3 failed alone, 1 of 3 times; it is tried again in 60 s"),
        (Failed(3, 3, failures=3, most=3), True, "seq 3 failed alone 3 times and is put aside; those behind it go on"),
    ],
)
def test_what_follows_a_failure_is_said(failed: Failed, poison: bool, follows: str) -> None:
    assert failed.poison == poison
    assert follows in str(WorkFailed(TRANSACTIONS, failed, "batch 1 failed: ValueError"))
