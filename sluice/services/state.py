"""The state directory (`.sluice/`): where data, logs, ports and generated passwords are, and nothing else."""

from __future__ import annotations

import fcntl
import json
import os
import random
import secrets
import socket
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
"""The checkout: an editable install, so the code knows its own project."""

LOOPBACK = "127.0.0.1"
PORT_NAMES = ("postgres", "s3", "spark", "airflow")
_PORT_RANGE = range(20_000, 32_000)  # below Linux's ephemeral ports, so that no outgoing connection takes one of ours while it is down

BUCKET = "sluice"
LEDGER_DATABASE = LEDGER_USER = "sluice"
AIRFLOW_DATABASE = AIRFLOW_DATABASE_USER = "airflow"
AIRFLOW_LOGIN = "admin"
REGION = "us-east-1"


@dataclass(frozen=True)
class State:
    """One set of services: everything they keep lies under `root`."""

    root: Path
    project: Path = PROJECT

    def folder(self, *parts: str) -> Path:
        """A folder of the state, made on first use and closed to other users."""
        path = self.root.joinpath(*parts)
        if not path.is_dir():
            self.root.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path

    def log(self, service: str) -> Path:
        return self.folder("log") / f"{service}.log"

    def pid_file(self, service: str) -> Path:
        return self.folder("run") / f"{service}.json"

    @property
    def exists(self) -> bool:
        return (self.root / "ports.json").is_file()

    # -- ports ----------------------------------------------------------------------------------------------------------

    @cached_property
    def _ports_file(self) -> Path:
        return self.folder() / "ports.json"

    def ports(self) -> dict[str, int]:
        """The ports of these services, chosen free the first time and kept."""
        kept: dict[str, int] = json.loads(self._ports_file.read_text()) if self._ports_file.is_file() else {}
        if set(kept) != set(PORT_NAMES):
            kept = {name: kept[name] if name in kept else free_port(avoid=kept.values()) for name in PORT_NAMES}
            self.write_private(self._ports_file, json.dumps(kept, indent=2))
        return kept

    def port(self, name: str) -> int:
        return self.ports()[name]

    def move_port(self, name: str) -> int:
        """Choose another port for a service whose own was taken by a stranger while it was down."""
        ports = self.ports()
        ports[name] = free_port(avoid=ports.values())
        self.write_private(self._ports_file, json.dumps(ports, indent=2))
        return ports[name]

    # -- passwords ------------------------------------------------------------------------------------------------------

    def secret(self, name: str, generate: Callable[[], str] = lambda: secrets.token_urlsafe(24)) -> str:
        """A password of this installation: made once, kept in a file only its owner can read."""
        path = self.folder("secrets") / name
        if not path.is_file():
            draft = self.write_private(path.with_name(f".{name}.{secrets.token_hex(8)}"), generate())
            with suppress(FileExistsError):  # another thread was first: its password is the one
                path.hardlink_to(draft)
            draft.unlink()
        return path.read_text()

    def fernet_key(self) -> str:
        """Airflow's key for what it encrypts: 32 random bytes in url-safe base64."""
        return self.secret("airflow_fernet_key", lambda: urlsafe_b64encode(os.urandom(32)).decode())

    @staticmethod
    def write_private(path: Path, text: str) -> Path:
        """Write a file of mode 0600 in one step: a reader sees the old one or the new one."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(text)
        draft.replace(path)
        return path

    # -- one `up` or `down` at a time -------------------------------------------------------------------------------------

    @contextmanager
    def locked(self, waiting: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Hold the state's lock; another process that holds it is waited for, after `waiting` was told."""
        with (self.folder() / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                waiting()
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def current_state() -> State:
    """The state directory of this checkout, or the one that `SLUICE_STATE` names."""
    wanted = os.environ.get("SLUICE_STATE")
    return State(Path(wanted).expanduser().resolve() if wanted else PROJECT / ".sluice")


def is_free(port: int) -> bool:
    """Whether nobody listens on this loopback port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
        return True


def free_port(avoid: object = ()) -> int:
    """A loopback port that is free now and not one of `avoid`."""
    taken = set(avoid)  # type: ignore[call-overload]
    candidates = random.sample(_PORT_RANGE, 200)
    return next(port for port in candidates if port not in taken and is_free(port))
