"""Histories that several tests of a file begin with: lived through once, and put back as they were for each of them."""

from __future__ import annotations

import copy
import functools
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

import pytest

from include.clients import s3_client
from include.storage.s3 import S3Store
from sluice.runtime import Settings, new_id
from sluice.services.addresses import s3_endpoint
from sluice.services.state import State
from tests.integration.stack import copied_from, keep, thrown_away
from tests.integration.world import fresh, told

Made = TypeVar("Made")
Known = TypeVar("Known")


class Begin(Protocol):
    """What a test acts through on a ledger and a bucket with a history, and what whoever lived through it knows."""

    def __call__(
        self, made: Callable[[Settings, ExitStack], Made], live: Callable[[Made], Known]
    ) -> AbstractContextManager[tuple[Made, Known]]: ...


class Snapshot:
    """A ledger and a bucket as they were left."""

    def __init__(self, state: State, where: Settings, database: str) -> None:
        self._state, self._database, self._bucket = state, database, where.s3.bucket
        self._kept = f"{database}_{new_id()}"
        keep(state, database, self._kept)
        self._objects = Folder(state, where) if where.s3.endpoint == s3_endpoint(state) else Elsewhere(where)

    def restore(self, services: Mapping[str, str], monkeypatch: pytest.MonkeyPatch) -> Settings:
        copied_from(self._state, self._database, self._kept)
        self._objects.restore()
        return told(services, self._database, self._bucket, monkeypatch)

    def discard(self) -> None:
        thrown_away(self._state, self._kept)
        self._objects.discard()


class Folder:
    """The objects of a bucket of the embedded server, which keeps what it knows of one in the attributes of its file."""

    def __init__(self, state: State, where: Settings) -> None:
        self._bucket: Path = state.folder("s3", "objects") / where.s3.bucket
        self._kept: Path = state.folder("s3", "kept") / where.s3.bucket
        self._bucket.rename(self._kept)

    def restore(self) -> None:
        shutil.rmtree(self._bucket, ignore_errors=True)
        shutil.copytree(self._kept, self._bucket)

    def discard(self) -> None:
        shutil.rmtree(self._kept)


class Elsewhere:
    """The objects of a bucket of whatever S3."""

    def __init__(self, where: Settings) -> None:
        self._store, self._bucket = S3Store(s3_client(where.s3)), where.s3.bucket
        self._kept = {key: self._store.read_bytes(self._bucket, key) for key in self._keys()}

    def restore(self) -> None:
        for key in self._keys():
            self._store.delete(self._bucket, key)
        for key, body in self._kept.items():
            self._store.put(self._bucket, key, body)

    def discard(self) -> None:
        self._kept.clear()

    def _keys(self) -> list[str]:
        return [stamp.key for stamp in self._store.objects(self._bucket, "")]


class Snapshots:
    """The histories of a file of tests, each by the function that lives through it."""

    def __init__(self, state: State, services: Mapping[str, str], database: str) -> None:
        self._state, self._services, self._database = state, services, database
        self._taken: dict[Any, tuple[Snapshot, Any]] = {}

    @contextmanager
    def begin(
        self, monkeypatch: pytest.MonkeyPatch, made: Callable[[Settings, ExitStack], Made], live: Callable[[Made], Known]
    ) -> Iterator[tuple[Made, Known]]:
        if live not in self._taken:
            where = fresh(self._state, self._services, self._database, monkeypatch)
            with ExitStack() as stack:
                known = live(made(where, stack))
            self._taken[live] = Snapshot(self._state, where, self._database), known
        snapshot, known = self._taken[live]
        where = snapshot.restore(self._services, monkeypatch)
        with ExitStack() as stack:
            yield made(where, stack), copy.deepcopy(known)

    def discard(self) -> None:
        for snapshot, _ in self._taken.values():
            snapshot.discard()


@pytest.fixture(scope="module")
def snapshots(state: State, services: Mapping[str, str], database: str) -> Iterator[Snapshots]:
    taken = Snapshots(state, services, database)
    yield taken
    taken.discard()


@pytest.fixture
def begin(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> Begin:
    """A history that is lived through for the first test of a file, and put back for each."""
    return functools.partial(snapshots.begin, monkeypatch)
