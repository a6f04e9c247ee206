"""What is said of work that fails, and when a service is to blame."""

from __future__ import annotations

import errno
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from include.domains.transactions.feeds import TRANSACTIONS
from include.errors import EnvironmentFailure, ObjectGone, out_of
from include.files.failure import Failed
from include.logs import described
from include.pipeline.outage import WorkFailed, outage


def services(down: str = "") -> Any:
    """Ports of which one service does not answer."""

    def answer(name: str) -> Any:
        def ask(*_: str) -> None:
            if name == down:
                raise EnvironmentFailure(name, "no answer")

        return ask

    return SimpleNamespace(
        ledger=SimpleNamespace(admin=SimpleNamespace(answers=answer("PostgreSQL"))),
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
    assert said.startswith("ValueError at test_outage.py:")
    assert "C1093826151" not in said


@pytest.mark.parametrize(
    ("failed", "poison", "follows"),
    [
        (Failed(3, 9, batch_limit=3), False, "seq 3-9 failed together; the next batch takes at most 3 of them"),
        (Failed(3, 3, failures=1, most=3, rest_seconds=60), False, "seq 3 failed alone, 1 of 3 times; it is tried again in 60 s"),
        (Failed(3, 3, failures=1, most=3, rest_seconds=60), False, 'sluice batch give-up transactions 3 --why "..."'),
        (Failed(3, 3, failures=3, most=3), True, "seq 3 failed alone 3 times and is put aside; those behind it go on"),
        (Failed(3, 3, failures=3, most=3, refused=True), True, "(docs/runbooks/unreadable.md)"),
    ],
)
def test_what_follows_a_failure_is_said(failed: Failed, poison: bool, follows: str) -> None:
    assert failed.poison == poison
    assert follows in str(WorkFailed(TRANSACTIONS, failed, "batch 1 failed: ValueError"))


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError(), "out of memory"),
        (pa.ArrowMemoryError("malloc of size 7 failed"), "out of memory"),
        (OSError(errno.ENOMEM, ""), "out of memory"),
        (OSError(errno.ENOSPC, ""), "no space left"),
        (OSError(errno.EMFILE, ""), "too many files open"),
        (OSError(errno.ENFILE, ""), "too many files are open"),
        (OSError("Couldn't deserialize thrift"), None),
        (pa.ArrowInvalid("not a Parquet file"), None),
        (ValueError("x"), None),
    ],
)
def test_what_runs_short_on_this_machine_is_no_damage_of_what_was_read(error: Exception, said: str | None) -> None:
    short = out_of(error)
    assert (short is None) == (said is None)
    assert short is None or str(said) in short.what
