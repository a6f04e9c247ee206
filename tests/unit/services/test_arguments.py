"""No secret in the arguments of a process: none that we start, and a warning where a person does it."""

from __future__ import annotations

import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from include.domains.finance.target import with_password
from sluice.cli.finance import app as finance
from sluice.cli.produce import app as produce
from sluice.main_job.job import Source, producing
from sluice.services.state import State

SIGNED = "http://127.0.0.1:9/a.csv?X-Amz-Signature=canary"


def test_the_producer_of_the_main_job_is_told_its_source_by_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SLUICE_STATE", str(tmp_path))
    with producing(State(tmp_path), Source(SIGNED, rate=1, chunks=1, rows=10, from_start=False)) as producer:
        seen = psutil.Process(producer.pid)
        while "sluice" not in seen.cmdline():
            time.sleep(0.01)  # the fork has not become the command yet
        assert "canary" not in " ".join(seen.cmdline())
        assert seen.environ()["SLUICE_SOURCE"] == SIGNED


@pytest.mark.parametrize(
    ("app", "words", "variable", "secret"),
    [
        (produce, [], "SLUICE_SOURCE", SIGNED),
        (finance, ["send", "--to"], "SLUICE_FINANCE_TARGET", "mariadb://me:canary@warehouse/finance"),
    ],
)
def test_an_address_with_a_secret_as_an_argument_is_warned_of_and_as_a_variable_it_is_not(
    app: object, words: list[str], variable: str, secret: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PGHOST", "SLUICE_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("SLUICE_STATE", str(tmp_path / "none"))
    typed = CliRunner().invoke(app, [*words, secret])  # type: ignore[arg-type]
    assert f"give it in the variable {variable} instead" in typed.output
    assert "canary" not in typed.output
    told = CliRunner().invoke(app, words[:1], env={variable: secret})  # type: ignore[arg-type]
    assert type(told.exception) is type(typed.exception)
    assert "warning" not in told.output


def test_a_password_that_is_asked_for_joins_its_url() -> None:
    assert with_password("mariadb://me@host/db", "p@ss/word").render_as_string(hide_password=False) == "mariadb://me:p%40ss%2Fword@host/db"
