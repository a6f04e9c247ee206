"""A service killed in the middle of an ingest: one clear sentence, and the next run finishes the work as if nothing had been."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.services import process
from sluice.services.catalogue import without_airflow
from sluice.services.state import State
from sluice.services.supervisor import bring_up
from tests import naive
from tests.integration.command import started
from tests.integration.world import HEADER, SMALL, World, row

OPTIONS = [word for name, value in SMALL.items() for word in (f"--{name.replace('_', '-')}", str(value))]


def file_of(number: int) -> str:
    rows = (row(f"C{(number * 7 + n) % 9}", f"M{n % 3}", amount=f"{n}.5", gender="FM"[n % 2]) for n in range(40))
    return HEADER + "".join(rows)


def expected(folder: Path, files: int) -> list[tuple[int, str, str | None, str]]:
    """What a naive evaluation finds in the first files."""
    read = []
    for number in range(1, files + 1):
        path = folder / f"{number}.csv"
        path.write_text(file_of(number))
        read.append((number, naive.read_transactions(path)))
    found = naive.detections(read, [], naive.Parameters(**SMALL))
    return [(one.seq, one.pattern_id, one.customer, one.merchant) for one in found]


@pytest.mark.parametrize(
    ("service", "after", "named"),
    [
        ("s3", "registered seq 8", "S3"),
        ("postgres", "4.csv: ", "PostgreSQL"),
        ("spark", "batch 2 attempt 1", "Spark"),
        ("s3", "batch 2 attempt 1", "S3"),
        ("postgres", "batch 2 attempt 1", "PostgreSQL"),
    ],
)
def test_a_service_killed_in_mid_run_costs_a_sentence_and_no_row(
    world: World, state: State, tmp_path: Path, service: str, after: str, named: str
) -> None:
    world.land("1.csv", file_of(1))
    world.sluice("ingest", "transactions", "--until-empty", *OPTIONS)
    for number in range(2, 9):
        world.land(f"{number}.csv", file_of(number))
    code, said = ingest_and_kill(state, service, after)
    assert code == 3, said
    assert said[-1].startswith("sluice: ")
    assert named in said[-1]
    assert "Traceback" not in "\n".join(said)
    bring_up(state, without_airflow(state))
    world.ledger.rows("update feed_group set lease_until = clock_timestamp() where lease_holder is not null returning 1")
    world.sluice("ingest", "transactions", "--until-empty", *OPTIONS)
    assert {file["state"] for file in world.files()} == {"published"}
    assert world.detected() == expected(tmp_path, 8)
    assert world.ledger.rows("select sum(total_transactions)::int as n from merchant_transaction_counts") == [{"n": 8 * 40}]


def ingest_and_kill(state: State, service: str, after: str) -> tuple[int, list[str]]:
    """Ingest, and kill a service with SIGKILL as soon as a line with these words is said; the exit code and all lines."""
    with started("ingest", "transactions", "--until-empty", *OPTIONS) as ingest:
        ingest.says(after)
        leader = process.running(state, service)
        assert leader is not None
        leader.kill()
        return ingest.ended(), ingest.stderr().splitlines()
