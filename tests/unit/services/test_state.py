"""Paths, ports and passwords of one set of services."""

from __future__ import annotations

import socket
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sluice.services.state import PORT_NAMES, State, current_state, free_port, is_free


@pytest.fixture
def state(tmp_path: Path) -> State:
    return State(tmp_path / "state")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_password_is_made_once_and_only_its_owner_can_read_it(state: State) -> None:
    first = state.secret("some_password")

    assert state.secret("some_password") == first
    assert len(first) == 32
    assert mode(state.root / "secrets" / "some_password") == 0o600
    assert mode(state.root) == mode(state.root / "secrets") == 0o700


def test_all_who_ask_for_a_new_password_at_once_get_the_same_one(state: State) -> None:
    together = threading.Barrier(16)

    def ask(_: int) -> str:
        together.wait()
        return state.secret("contested")

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(ask, range(16)))) == 1
    assert [path.name for path in (state.root / "secrets").iterdir()] == ["contested"]


def test_ports_are_chosen_different_and_free_and_then_kept(state: State) -> None:
    ports = state.ports()

    assert set(ports) == set(PORT_NAMES)
    assert len(set(ports.values())) == len(PORT_NAMES)
    assert all(is_free(port) for port in ports.values())
    assert State(state.root).ports() == ports
    assert state.exists


def test_moving_one_port_leaves_the_others(state: State) -> None:
    before = state.ports()

    moved = state.move_port("s3")

    assert state.ports() == before | {"s3": moved}
    assert moved not in before.values()


def test_a_port_somebody_listens_on_is_not_free() -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        assert not is_free(port)
    assert is_free(port)


def test_who_comes_second_is_told_and_waits_for_the_lock(state: State) -> None:
    order: list[str] = []
    told = threading.Event()

    def second() -> None:
        with state.locked(waiting=told.set):
            order.append("second")

    with state.locked():
        thread = threading.Thread(target=second)
        thread.start()
        assert told.wait(10)
        order.append("first")
    thread.join(10)

    assert order == ["first", "second"]


def test_the_state_directory_is_the_checkouts_unless_the_environment_names_another(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SLUICE_STATE", str(tmp_path / "elsewhere"))
    assert current_state().root == tmp_path / "elsewhere"

    monkeypatch.delenv("SLUICE_STATE")
    assert current_state().root == current_state().project / ".sluice"
