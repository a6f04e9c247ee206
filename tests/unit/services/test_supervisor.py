"""Starting services together, on small processes that stand for them."""

from __future__ import annotations

import signal
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import psutil
import pytest

from sluice.services import process, supervisor
from sluice.services.errors import ServiceFailed, SeveralFailed, Unhealthy
from sluice.services.process import Launch
from sluice.services.service import Service
from sluice.services.state import State


class Sleeper(Service):
    """Healthy as soon as it has said so in its log."""

    code = "print('ready', flush=True); import time; time.sleep(600)"
    start_timeout = 20.0
    stop_timeout = 1.0
    setting: ClassVar[str] = "1"
    order: ClassVar[list[str]] = []

    def prepare(self) -> None:
        self.order.append(self.name)

    def launch(self) -> Launch:
        return Launch([sys.executable, "-c", self.code], {"SETTING": self.setting}, Path("/"))

    def probe(self) -> None:
        if "ready" not in self.state.log(self.name).read_text():
            raise Unhealthy("it has not said anything")


class Base(Sleeper):
    name = "base"


class Upper(Sleeper):
    name = "upper"
    needs = ("base",)


class Broken(Sleeper):
    name = "broken"
    code = "print('the disk is full', flush=True); raise SystemExit(1)"


class Mute(Sleeper):
    name = "mute"
    start_timeout = 0.3
    code = "import time; time.sleep(600)"


class OnBroken(Sleeper):
    name = "on-broken"
    needs = ("broken",)


class Ported(Sleeper):
    name = "ported"
    port_name = "s3"


KINDS = (Base, Upper, Broken, Mute, OnBroken, Ported)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    Sleeper.order.clear()
    state = State(tmp_path / "state")
    yield state
    for kind in KINDS:
        process.stop(state, kind.name, signal.SIGKILL, 5)


def kill(pid: int) -> None:
    process = psutil.Process(pid)
    process.kill()
    process.wait(10)


def quiet(_: str) -> None:
    """Say nothing."""


def test_a_service_starts_after_what_it_needs(state: State) -> None:
    started = supervisor.bring_up(state, [Upper(state), Base(state)], quiet)

    assert Sleeper.order == ["base", "upper"]
    assert [(one.name, one.how) for one in started] == [("upper", "started"), ("base", "started")]


def test_a_second_up_leaves_alone_what_runs(state: State) -> None:
    services = [Base(state), Upper(state)]
    first = supervisor.bring_up(state, services, quiet)

    second = supervisor.bring_up(state, services, quiet)

    assert [one.pid for one in second] == [one.pid for one in first]
    assert {one.how for one in second} == {"was running"}


def test_two_ups_at_once_start_everything_once(state: State) -> None:
    pids: list[list[int]] = []

    def up() -> None:
        pids.append([one.pid for one in supervisor.bring_up(state, [Base(state), Upper(state)], quiet)])

    threads = [threading.Thread(target=up) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert len(pids) == 2
    assert pids[0] == pids[1]


def test_what_was_killed_is_repaired_and_the_rest_left_alone(state: State) -> None:
    services = [Base(state), Upper(state)]
    base, upper = supervisor.bring_up(state, services, quiet)
    kill(base.pid)
    assert [one.state for one in supervisor.statuses(state, services)] == ["died", "healthy"]

    repaired, untouched = supervisor.bring_up(state, services, quiet)

    assert (repaired.how, untouched.how) == ("repaired (it had died)", "was running")
    assert repaired.pid != base.pid
    assert untouched.pid == upper.pid


def test_one_that_runs_but_does_not_answer_is_started_anew(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    (first,) = supervisor.bring_up(state, [Base(state)], quiet)
    monkeypatch.setattr(Base, "answer_timeout", 0.3)
    psutil.Process(first.pid).suspend()
    state.log("base").write_text("")

    (again,) = supervisor.bring_up(state, [Base(state)], quiet)

    assert again.how == "restarted (it did not answer)"
    assert again.pid != first.pid


def test_a_service_whose_settings_changed_is_restarted(state: State, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor.bring_up(state, [Base(state)], quiet)
    monkeypatch.setattr(Base, "setting", "2")

    (again,) = supervisor.bring_up(state, [Base(state)], quiet)

    assert again.how == "restarted with new settings"


def test_a_failure_tells_the_last_lines_of_the_log_and_what_needs_it_is_not_started(state: State) -> None:
    with pytest.raises(ServiceFailed) as raised:
        supervisor.bring_up(state, [Broken(state), OnBroken(state), Base(state)], quiet)

    assert raised.value.service == "broken"
    assert raised.value.exit_code == 3
    assert "ended while it was starting" in str(raised.value)
    assert "    the disk is full" in str(raised.value)
    assert process.read_record(state, "on-broken") is None
    assert process.running(state, "base") is not None


def test_several_failures_are_all_told(state: State) -> None:
    with pytest.raises(SeveralFailed) as raised:
        supervisor.bring_up(state, [Broken(state), Mute(state)], quiet)

    assert [failure.service for failure in raised.value.failures if isinstance(failure, ServiceFailed)] == ["broken", "mute"]
    assert "mute: not healthy after 0 s (it has not said anything)" in str(raised.value)


def test_a_port_taken_meanwhile_is_left_to_its_new_owner(state: State) -> None:
    taken = state.port("s3")
    told: list[str] = []
    with socket.create_server(("127.0.0.1", taken)):
        (started,) = supervisor.bring_up(state, [Ported(state)], told.append)

    assert started.port != taken
    assert told[0] == f"ported: port {taken} is taken by another program; using {started.port} from now on"


def test_down_stops_in_reverse_order_and_twice_is_no_error(state: State) -> None:
    services = [Base(state), Upper(state)]
    supervisor.bring_up(state, services, quiet)
    told: list[str] = []

    assert supervisor.take_down(state, services, told.append) == 2
    assert [line.partition(":")[0] for line in told] == ["upper", "base"]
    assert [one.state for one in supervisor.statuses(state, services)] == ["stopped", "stopped"]
    assert supervisor.take_down(state, services, told.append) == 0
