"""How the tests share a machine: in two processes where it is large enough, each with services of its own."""

from __future__ import annotations

import os

import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

_CORES, _MEMORY = 2, 12 << 30
_NEED_AIRFLOW = ("tests/integration/test_airflow", "tests/integration/test_services.py")
_BESIDE_AIRFLOW = "tests/integration/test_sales"


class FilesAndAirflow(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each file to one process, and all that want Airflow to the same, so that it is started once."""

    def _split_scope(self, nodeid: str) -> str:
        return "airflow" if nodeid.startswith(_NEED_AIRFLOW) else str(super()._split_scope(nodeid))


def pytest_xdist_auto_num_workers() -> int:
    """Two processes, for PostgreSQL, S3, Spark and Airflow take up to 5 GB beside a test; on a smaller machine all in this one."""
    return 2 if (os.cpu_count() or 1) >= _CORES and psutil.virtual_memory().total >= _MEMORY else 0


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAndAirflow:
    return FilesAndAirflow(config, log)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one process what wants Airflow comes last, so that it takes its share of the machine from no others.

    Of two, one is at work on that while the other does what follows: enough for both to end together, what needs no services at the end.
    """
    side_by_side = hasattr(config, "workerinput")
    items.sort(key=lambda item: _place(item.nodeid, side_by_side=side_by_side))


def _place(nodeid: str, *, side_by_side: bool) -> int:
    if nodeid.startswith(_NEED_AIRFLOW):
        return 1
    if not side_by_side:
        return 0
    if nodeid.startswith("tests/integration/"):
        return 2 if nodeid.startswith(_BESIDE_AIRFLOW) else 0
    return 3
