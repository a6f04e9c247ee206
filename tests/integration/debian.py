"""Programs of Debian's for tests that want one: fetched and unpacked beside the tests, which needs no root."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sluice.services.state import PROJECT


class NotToBeHad(Exception):
    """Why a program is not here."""


def unpacked(name: str, packages: Sequence[str] = ()) -> Path:
    """The root of a program's packages, with whatever of theirs the machine lacks; named one by one, only those.

    Raises:
        NotToBeHad: this is no Debian, or its packages cannot be fetched.
    """
    if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
        raise NotToBeHad(f"no {name} is installed, and this is no Debian to fetch its packages from")
    folder = PROJECT / ".sluice" / name
    root = folder / "root"
    if not (folder / "complete").exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        _apt(name, "download", *(packages or _lacking(name)), folder=folder)
        for package in folder.glob("*.deb"):
            subprocess.run(["dpkg", "-x", str(package), str(root)], check=True)
            package.unlink()
        (folder / "complete").touch()
    return root


def libraries(root: Path) -> str:
    """What LD_LIBRARY_PATH must be for a program that was unpacked there: some libraries know others by the folder of an installation."""
    found = {library.parent for pattern in ("*.so*", "*/*.so*") for library in root.glob(f"**/lib/*-linux-gnu/{pattern}")}
    return ":".join(map(str, sorted(found)))


def _lacking(name: str) -> list[str]:
    """The packages that would have to be installed for one to work."""
    said = _apt(name, "--simulate", "--no-install-recommends", "install", name)
    return [line.split()[1] for line in said.splitlines() if line.startswith("Inst ")]


def _apt(name: str, *words: str, folder: Path | None = None) -> str:
    done = subprocess.run(["apt-get", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=300)
    if done.returncode:
        raise NotToBeHad(f"no {name} is installed, and apt-get cannot fetch its packages: {done.stderr.strip().splitlines()[-1:]}")
    return done.stdout
