"""The gate, which shares no code with the generator, judges every generated file as expected.json tells."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from pathlib import Path
from typing import Any

import pytest

from include.domains import feed_named
from include.files.file import LedgerFile, State
from include.files.verdict import Fault, Verdict
from include.quality.gate import GreatExpectationsGate
from sluice.generate.sales.command import Wish, request, to_folder
from sluice.generate.sales.formats import Format
from sluice.generate.sales.population import Sizes
from tests.unit.quality.memory_store import MemoryStore

BUCKET = "sluice"
FEEDS = ("sales", "customer", "store", "product", "sales_team")
GateResult = list[tuple[dict[str, Any], Verdict]]


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture(scope="module")
def validated(tmp_path_factory: pytest.TempPathFactory, store: MemoryStore) -> GateResult:
    """Each file that is told of, with its verdict."""
    folder = tmp_path_factory.mktemp("gate") / "set"
    asked = request(Wish(None, 30_000, 30, 64), 4, dt.date(2026, 1, 20), tuple(Format), Sizes(200, 4, 3, 40), faults=True)
    to_folder(asked, folder, 1, lambda _: None)
    told = json.loads((folder / "expected.json").read_text())["files"]
    gate = GreatExpectationsGate(store, BUCKET)
    found: GateResult = []
    for feed in FEEDS:
        its = [one for one in told if one["feed"] == feed]
        files = [_landed(store, number, one, folder) for number, one in enumerate(its, start=1)]
        found += zip(its, gate.validate(feed_named(feed), files, "1", lambda _: None), strict=True)
    return found


def _landed(store: MemoryStore, number: int, told: dict[str, Any], folder: Path) -> LedgerFile:
    """Put a file under a key of its own, as both waves' versions of a key lie here side by side."""
    top = folder if told["wave"] == 1 else folder / "second-wave"
    content = (top / told["feed"] / f"dt={told['dt']}" / told["name"]).read_bytes()
    key = told["key"].replace("landing/", f"landing/wave={told['wave']}/")
    ref = store.put(BUCKET, key, content)
    day = dt.date.fromisoformat(told["dt"])
    return LedgerFile(number, told["feed"], number, BUCKET, key, 1, ref.etag, ref.size, day, State.REGISTERED)


def test_lines_accepted_and_rejected_are_as_told(validated: GateResult) -> None:
    differ = [
        (told["name"], told["about"], verdict.reason)
        for told, verdict in validated
        if (verdict.lines, verdict.accepted, verdict.rejected) != (told["lines"], told["accepted"], told["rejected"])
    ]
    assert differ == []
    assert len(validated) > 40


def test_the_files_that_are_told_to_be_quarantined_are_refused_and_no_others(validated: GateResult) -> None:
    refused = {(told["about"], verdict.fault) for told, verdict in validated if verdict.fault}
    assert refused == {
        ("missing column", Fault.COLUMN_MISSING),
        ("replaces a file of the first wave and lacks a column", Fault.COLUMN_MISSING),
        ("too many rejected rows", Fault.TOO_MANY_REJECTS),
    }
    assert all((verdict.fault is not None) == (told["verdict"] == "quarantined") for told, verdict in validated)


def test_the_rejected_rows_are_those_that_are_listed_for_their_columns(validated: GateResult, store: MemoryStore) -> None:
    looked = 0
    for told, verdict in validated:
        if verdict.rejects is None:
            continue
        text = store.held[BUCKET, verdict.rejects.key].decode()
        reasons = {int(row["line"]): row["columns"].split(";") for row in csv.DictReader(io.StringIO(text, newline=""))}
        assert reasons.keys() == {one["line"] for one in told["rejects"]}, told["name"]
        assert all(one["column"] in reasons[one["line"]] for one in told["rejects"]), told["name"]
        looked += 1
    assert looked > 25
