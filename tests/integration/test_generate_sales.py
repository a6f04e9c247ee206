"""Generated sales, straight into the landing of the embedded S3: two waves, the same bytes as in a folder."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from tests.integration.world import World

SIZE = ["--rows", "24000", "--days", "12", "--customers", "300", "--stores", "4", "--sellers", "3", "--products", "40"]
SET = ["generate", "sales", *SIZE, "--seed", "5", "--faults", "--format", "csv", "--format", "jsonl"]
FEEDS = ("customer", "product", "sales", "sales_team", "store")


@pytest.fixture
def expected(world: World, tmp_path: Path) -> Any:
    world.sluice(*SET, "--land", "--expected", str(tmp_path / "told"))
    return json.loads((tmp_path / "told" / "expected.json").read_text())


def landed(world: World) -> dict[str, str]:
    """sha256 of everything in the landing, by key."""
    return {
        key: hashlib.sha256(world.store.read_bytes(world.bucket, key)).hexdigest()
        for feed in FEEDS
        for key in world.keys(f"landing/{feed}/")
    }


def told(expected: Any, wave: int) -> dict[str, str]:
    return {file["key"]: file["sha256"] for file in expected["files"] if file["wave"] == wave}


def test_the_first_wave_lies_in_the_landing_and_the_second_comes_over_it(world: World, expected: Any) -> None:
    first, second = told(expected, 1), told(expected, 2)
    assert landed(world) == first
    world.sluice(*SET, "--land", "--wave", "2")
    assert landed(world) == first | second
    assert len(first.keys() & second.keys()) == 2
    assert len(second) > 4


def test_what_is_told_is_what_a_folder_would_have_been_told(world: World, expected: Any, tmp_path: Path) -> None:
    world.sluice(*SET, "--to", str(tmp_path / "set"))
    assert json.loads((tmp_path / "set" / "expected.json").read_text()) == expected
    for name in ("expected_customers.csv", "expected_team.csv"):
        assert (tmp_path / "set" / name).read_bytes() == (tmp_path / "told" / name).read_bytes()


def test_keys_that_are_there_are_not_put_again_unless_it_is_wished(world: World, expected: Any) -> None:
    refused = world.sluice(*SET, "--land", check=2)
    assert "files of this set lie in" in refused.stderr
    assert "--overwrite" in refused.stderr
    other = [word if word != "24000" else "25000" for word in SET]
    world.sluice(*other, "--land", check=2)
    assert landed(world) == told(expected, 1)
    world.sluice(*SET, "--land", "--overwrite")
    assert landed(world) == told(expected, 1)


def test_a_set_without_faults_has_no_second_wave(world: World) -> None:
    done = world.sluice(*(word for word in SET if word != "--faults"), "--land", "--wave", "2", check=2)
    assert "without --faults a set has one wave only" in done.stderr
    assert landed(world) == {}
