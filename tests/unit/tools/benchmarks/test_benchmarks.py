"""Each benchmark that needs no services, in its smallest form."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.benchmarks import formats, gate


def test_the_gate_validates_a_small_file_and_returns_what_it_took(tmp_path: Path) -> None:
    gate.write_rows(tmp_path / "a.csv", 1_000)
    taken = gate.validate("transactions", tmp_path / "a.csv", 2)
    assert taken["rows"] == 1_000
    assert taken["seconds"] > taken["gx_seconds"] > 0


@pytest.mark.parametrize("name", formats.FORMATS)
def test_the_same_rows_are_accepted_in_every_format(tmp_path: Path, name: str) -> None:
    path = tmp_path / f"sales.{name}"
    formats.write(path, 200)
    taken = gate.validate("sales", path, 1)
    assert (taken["accepted"], taken["reason"]) == (200, None)
