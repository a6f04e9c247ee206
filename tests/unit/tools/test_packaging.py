"""This is an application: it can be installed as a checkout, and in no other way."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from sluice.services.state import PROJECT

UV = shutil.which("uv", path=f"{PROJECT / '.tools' / 'uv' / 'bin'}{os.pathsep}{os.environ['PATH']}")


def uv(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    assert UV, "make setup brings uv"
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return subprocess.run([UV, *arguments], cwd=PROJECT, capture_output=True, text=True, check=False, env=environment)


def test_a_wheel_is_refused_with_a_sentence(tmp_path: Path) -> None:
    ended = uv("build", "--wheel", "--python", sys.executable, "--out-dir", tmp_path)
    assert ended.returncode != 0
    assert "Sluice is an application, not a library" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert not list(tmp_path.glob("*.whl"))


def test_the_checkout_itself_is_installed(tmp_path: Path) -> None:
    ended = uv("pip", "install", "--no-deps", "--python", sys.executable, "--target", tmp_path, "--editable", PROJECT)
    assert ended.returncode == 0, ended.stderr
    assert [path.read_text().strip() for path in tmp_path.glob("*.pth")] == [str(PROJECT)]
    assert not (tmp_path / "include").exists()
