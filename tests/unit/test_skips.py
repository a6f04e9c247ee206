"""In CI a skip that nobody expects fails the run; elsewhere it is a skip."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from sluice.services.state import PROJECT
from tests import skips

TESTS = f"""
import pytest

@pytest.fixture
def browser():
    pytest.skip("NOT RUN: no chromium is installed")

def test_by_a_fixture(browser): ...

@pytest.mark.skip(reason="not today")
def test_by_a_mark(): ...

def test_by_itself():
    pytest.skip("NOT RUN: no mariadb is installed")

def test_allowed():
    pytest.skip({skips.ALLOWED[0]!r})

@pytest.mark.xfail
def test_known_to_fail():
    raise AssertionError

def test_that_runs(): ...
"""
WHOLE_FILE = """
import pytest

pytest.skip("no such library", allow_module_level=True)
"""


@pytest.mark.parametrize(
    ("ci", "failed"), [("true", {"test_by_a_fixture", "test_by_a_mark", "test_by_itself", "test_whole.py"}), ("false", set())]
)
def test_a_skip_fails_in_ci_unless_nothing_can_bring_what_is_missing(tmp_path: Path, ci: str, failed: set[str]) -> None:
    (tmp_path / "test_one.py").write_text(TESTS)
    (tmp_path / "test_whole.py").write_text(WHOLE_FILE)
    command = [sys.executable, "-m", "pytest", "-c", PROJECT / "pyproject.toml", "--rootdir", tmp_path, "-rA", "-n0", tmp_path]
    command += ["-p", "no:cacheprovider", "--continue-on-collection-errors"]
    done = subprocess.run(command, cwd=PROJECT, env=os.environ | {"CI": ci}, capture_output=True, text=True, check=False)
    assert done.returncode == (1 if failed else 0), done.stdout
    said = [line for line in done.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]
    assert {line.split(" ")[1].rpartition("::")[2].rpartition("/")[2] for line in said} == failed
    assert "PASSED" in done.stdout
    if failed:
        assert "was skipped: NOT RUN: no chromium is installed" in done.stdout


@pytest.mark.parametrize(("told", "ci"), [(None, False), ("", False), ("0", False), ("False", False), ("true", True), ("1", True)])
def test_it_is_ci_where_the_environment_says_so(told: str | None, ci: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)
    if told is not None:
        monkeypatch.setenv("CI", told)
    assert skips.in_ci() is ci


def test_ci_says_that_it_is_ci(tmp_path: Path) -> None:
    """`.ci/run` itself, with a `make` in front of the real one that shows what it was told."""
    make = tmp_path / "make"
    make.write_text('#!/bin/sh\necho "make $* with CI=$CI"\n')
    make.chmod(0o755)
    told = {name: value for name, value in os.environ.items() if name != "CI"} | {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    (tmp_path / ".ci").mkdir()
    (tmp_path / ".ci" / "run").write_text((PROJECT / ".ci" / "run").read_text())
    done = subprocess.run(["sh", tmp_path / ".ci" / "run"], env=told, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["make check with CI=true", "make test with CI=true"]
