"""`sluice generate sales` as a person runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = ["--customers", "200", "--stores", "3", "--sellers", "2", "--products", "20"]


def sluice(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "sluice", "generate", "sales", *SMALL, *words]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)


def test_a_set_is_made_and_told_of(tmp_path: Path) -> None:
    done = sluice(
        "--rows", "3000", "--days", "3", "--to", str(tmp_path / "a"), "--format", "csv", "--format", "parquet", "--processes", "2"
    )
    assert done.returncode == 0, done.stderr
    assert sorted(str(path.relative_to(tmp_path / "a")) for path in (tmp_path / "a").rglob("*.*")) == [
        "customer/dt=2026-01-01/customer_1_0.csv",
        "expected.json",
        "expected_customers.csv",
        "expected_team.csv",
        "product/dt=2026-01-01/product_1_0.csv",
        "sales/dt=2026-01-01/sales_1_000000.csv",
        "sales/dt=2026-01-02/sales_1_000001.parquet",
        "sales/dt=2026-01-03/sales_1_000002.csv",
        "sales_team/dt=2026-01-01/sales_team_1_0.parquet",
        "store/dt=2026-01-01/store_1_0.parquet",
    ]
    assert f"{tmp_path / 'a'}: 7 files, 3,230 rows" in done.stdout
    assert f"what must come of them: {tmp_path / 'a' / 'expected.json'}" in done.stdout


def test_programs_get_json(tmp_path: Path) -> None:
    told = json.loads(sluice("--rows", "500", "--days", "1", "--to", str(tmp_path / "a"), "--json").stdout)
    assert (told["files"], told["rows"]) == (5, 730)
    assert told["bytes"] == sum(path.stat().st_size for path in (tmp_path / "a").rglob("dt=*/*"))
    assert told["expected"] == str(tmp_path / "a" / "expected.json")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--to", "x"], "say how much: either --gb N (of fact files) or --rows N (sales)"),
        (["--rows", "9", "--gb", "1", "--to", "x"], "say how much"),
        (["--rows", "9"], "say where to: either --to FOLDER or --land"),
        (["--rows", "9", "--to", "x", "--land"], "say where to"),
        (["--rows", "9", "--days", "10", "--to", "x"], "9 sales on 10 days leave days without any"),
        (["--rows", "9", "--days", "1", "--to", "x", "--faults"], "--faults needs at least 12 files of 1,000 rows"),
        (["--gb", "1000000000", "--to", "x"], "MB are needed and"),
        (["--rows", "9", "--to", "x", "--wave", "2"], "--wave, --expected and --overwrite go with --land"),
    ],
)
def test_what_cannot_be_is_said_in_a_sentence(words: list[str], said: str, tmp_path: Path) -> None:
    here = [str(tmp_path / word) if word == "x" else word for word in words]
    done = sluice(*here)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []
