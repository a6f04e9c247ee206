"""How the tests share a machine: in two processes where it is large enough, and one set of services for both.

What kills services has a set of its own, in the folder `tests/integration/struck`.
"""

from __future__ import annotations

import fcntl
import itertools
import os
import shutil
from pathlib import Path
from typing import Any, TextIO

import psutil
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

from sluice.services.state import PROJECT, State

_CORES, _MEMORY = 2, 12 << 30
# What is begun first takes longest: the real Airflow on one side, what kills services on the other.
_IN_ONE_PROCESS = {
    "tests/integration/test_airflow": "airflow",
    "tests/integration/struck/": "struck",
    "tests/spark/": "spark",
    "tests/dags/": "dags",
}
_OWN_SERVICES = ("airflow", "struck")
_LAST = len(_IN_ONE_PROCESS)
_NEED_SERVICES = ("tests/integration/", "tests/spark/")
# Of the others those that take seconds: whole sets of data, processes and sockets of their own, memory and growth, imports from nothing.
_SLOW = (
    *("tests/unit/generate/", "tests/unit/services/", "tests/unit/tools/"),
    *("tests/unit/pipeline/test_waiting.py", "tests/unit/test_skips.py"),
    *(f"tests/unit/quality/test_{name}.py" for name in ("formats", "gate_together", "growth", "lean_import", "memory")),
)
_LEFT_OUT = {"not services": _NEED_SERVICES, "not services and not slow": (*_NEED_SERVICES, *_SLOW)}
# Minutes of small queries do not pay for Java's second compiler; with the first alone it keeps 48 MB of code unless told, and then sweeps.
_JAVA = "-XX:TieredStopAtLevel=1 -XX:ReservedCodeCacheSize=240m -XX:+UseSerialGC"

STATE = pytest.StashKey[Path]()
_LOCK = pytest.StashKey[TextIO]()


def pytest_configure(config: pytest.Config) -> None:
    """Choose the folder of this session's services, empty: `.sluice/test`, or `.sluice/test-2` while another session has that."""
    config.addinivalue_line("markers", "services: needs PostgreSQL, S3, Spark or Airflow")
    config.addinivalue_line("markers", "slow: takes seconds, and no services; `-m 'not services and not slow'` is the inner loop")
    config.pluginmanager.register(OnlyWhatIsAsked())
    os.environ.setdefault("JDK_JAVA_OPTIONS", _JAVA)
    os.environ.setdefault("SLUICE_SPARK_PROPERTIES", os.fspath(PROJECT / "tests" / "spark.properties"))
    os.environ.setdefault("SLUICE_SCHEDULER_IDLE_SECONDS", "0.3")  # no test measures how soon a task begins
    if hasattr(config, "workerinput"):
        config.stash[STATE] = Path(config.workerinput["sluice_state"])
        return
    folder = PROJECT / ".sluice"
    folder.mkdir(mode=0o700, exist_ok=True)
    for name in itertools.chain(["test"], map("test-{}".format, itertools.count(2))):
        lock = (folder / f"{name}.lock").open("w")
        if _locked(lock):
            config.stash[STATE], config.stash[_LOCK] = folder / name, lock
            _clear(config)
            return
        lock.close()


class OnlyWhatIsAsked:
    """Keeps files from being read, since to import all of them takes half a minute: modules without examples, and tests that the inner
    loop leaves out.
    """

    def pytest_ignore_collect(self, collection_path: Path, config: pytest.Config) -> bool | None:
        place = collection_path.relative_to(PROJECT).as_posix() if collection_path.is_relative_to(PROJECT) else ""
        if place.startswith(_LEFT_OUT.get(config.option.markexpr, ())):
            return True
        if collection_path.suffix != ".py" or place.startswith("tests/"):
            return None
        return ">>>" not in collection_path.read_text() or None


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["sluice_state"] = os.fspath(node.config.stash[STATE])


def pytest_unconfigure(config: pytest.Config) -> None:
    """Whatever the processes of this session have started ends with it; its logs stay until the next one."""
    if _LOCK in config.stash:
        _take_down(config)
        config.stash[_LOCK].close()


def _locked(file: TextIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def struck(state: Path) -> Path:
    """Where the services are that tests kill."""
    return state.with_name(f"{state.name}-struck")


def _clear(config: pytest.Config) -> None:
    """Take away what a killed session left."""
    _take_down(config)
    for folder in (config.stash[STATE], struck(config.stash[STATE])):
        shutil.rmtree(folder, ignore_errors=True)


def _take_down(config: pytest.Config) -> None:
    for folder in (config.stash[STATE], struck(config.stash[STATE])):
        if folder.is_dir():
            from sluice.services.catalogue import all_services
            from sluice.services.supervisor import take_down

            take_down(State(folder), all_services(State(folder)))


@pytest.hookimpl(trylast=True)  # after what the test itself has to put back
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End what one group of tests alone needs with the last of them: an Airflow that idles takes a fifth of a core from all others."""
    group = _group(item.nodeid)
    if group in _OWN_SERVICES and (nextitem is None or _group(nextitem.nodeid) != group):
        from tests.integration.stack import take_down_own

        take_down_own(group, item.config.stash[STATE])


class FilesAndGroups(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """Gives each file to one process, and all that want the same thing of their own to the same, so that it is started once."""

    def _split_scope(self, nodeid: str) -> str:
        return _group(nodeid) or str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two processes, for PostgreSQL, S3, Spark and Airflow take up to 5 GB beside a test; on a smaller machine all in this one."""
    return 2 if (os.cpu_count() or 1) >= _CORES and psutil.virtual_memory().total >= _MEMORY else 0


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> FilesAndGroups:
    return FilesAndGroups(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest first, so that both processes end together; what needs no services at the end."""
    for item in items:
        if item.nodeid.startswith(_NEED_SERVICES):
            item.add_marker("services")
        elif item.nodeid.startswith(_SLOW):
            item.add_marker("slow")
    items.sort(key=_place)


def _group(nodeid: str) -> str:
    """The group that a test belongs to; empty if it belongs to none."""
    return next((group for start, group in _IN_ONE_PROCESS.items() if nodeid.startswith(start)), "")


def _place(item: pytest.Item) -> int:
    group = _group(item.nodeid)
    if group:
        return [*_IN_ONE_PROCESS.values()].index(group)
    return _LAST if item.get_closest_marker("services") else _LAST + 1
