"""Settings of one's own for the embedded Spark, by a properties file."""

from __future__ import annotations

from pathlib import Path

import pytest

from sluice.services.errors import SetupBroken
from sluice.services.spark import SparkConnect, settings_of_ones_own
from sluice.services.state import State


def test_what_the_file_says_wins_over_our_settings_and_starts_the_server_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sluice.services.spark.spark_jars", list)
    monkeypatch.delenv("SLUICE_SPARK_PROPERTIES", raising=False)
    before = SparkConnect(State(tmp_path))._properties()
    mine = tmp_path / "mine.properties"
    mine.write_text("# less than usual\nspark.driver.memory=400m\n\n")
    monkeypatch.setenv("SLUICE_SPARK_PROPERTIES", str(mine))
    after = SparkConnect(State(tmp_path))._properties()
    assert "spark.driver.memory=1500m" in before.splitlines()
    assert "spark.driver.memory=400m" in after.splitlines()
    assert [line for line in after.splitlines() if "driver.memory" not in line] == [
        line for line in before.splitlines() if "driver.memory" not in line
    ]


@pytest.mark.parametrize(("text", "said"), [("spark.driver.memory 3g", "is no setting"), ("memory=3g", "'memory' is no setting")])
def test_a_line_that_is_no_setting_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, said: str) -> None:
    (tmp_path / "mine").write_text(text)
    monkeypatch.setenv("SLUICE_SPARK_PROPERTIES", str(tmp_path / "mine"))
    with pytest.raises(SetupBroken, match=said):
        settings_of_ones_own()


def test_a_file_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_SPARK_PROPERTIES", "/nowhere")
    with pytest.raises(SetupBroken, match="SLUICE_SPARK_PROPERTIES names /nowhere, which cannot be read"):
        settings_of_ones_own()
