"""A disk that runs full in mid-run: one clear sentence, nothing half-published, and the work goes on when there is room."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.integration.struck.test_outages import expected

FILES = 8


def story(folder: Path, full: str) -> dict[str, Any]:
    apart = ["unshare", "--user", "--map-root-user", "--mount"]
    if subprocess.run([*apart, "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mount namespace, so no small disk can be made")
    program = [sys.executable, "-m", "tests.integration.struck.on_a_small_disk", str(folder), full]
    done = subprocess.run([*apart, *program], capture_output=True, text=True, check=False, timeout=300)
    told = [line for line in done.stdout.splitlines() if line.startswith("{")]
    assert told, done.stdout + done.stderr
    found: dict[str, Any] = json.loads(told[0])
    return found


@pytest.mark.parametrize(
    ("full", "named"),
    [("s3", "a store whose disk is full says the same"), ("everything", "No space left on device")],
)
def test_a_full_disk_costs_a_sentence_and_nothing_else(tmp_path: Path, full: str, named: str) -> None:
    told = story(tmp_path, full)
    whole = [list(found) for found in expected(tmp_path, FILES)]
    assert told["full"]["code"] == 3
    assert named in told["full"]["said"]
    assert "Nothing is lost" in told["full"]["said"]
    assert told["full"]["published"] in {0, FILES + len(whole)}
    assert told["room"] == {"code": 0, "detections": whole, "states": [["published"]], "files": 1}
