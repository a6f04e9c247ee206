"""A commit is asked what `make check` asks."""

from __future__ import annotations

import re
import shlex

import yaml

from sluice.services.state import PROJECT


def test_the_hooks_are_the_lines_of_make_check() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    asked = [line.strip().removeprefix("@").replace("$(BIN)", ".venv/bin") for line in recipe[1].splitlines()]
    (local,) = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())["repos"]
    entries = [hook["entry"] for hook in local["hooks"]]
    assert [shlex.split(entry)[-1] if entry.startswith("sh -c") else entry for entry in entries] == asked
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
