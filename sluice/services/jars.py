"""The pinned jars: fetched from Maven's public repository by coordinate, kept only when their sha256 is the committed one."""

from __future__ import annotations

import hashlib
import shutil
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sluice.services.errors import SetupBroken
from sluice.services.state import PROJECT

LOCK_FILE = PROJECT / "jars.lock"
JARS = PROJECT / ".tools" / "jars"
S3PROXY = "org.gaul:s3proxy"
ATTEMPTS = 3


@dataclass(frozen=True)
class Jar:
    """One line of `jars.lock`."""

    group: str
    artifact: str
    version: str
    classifier: str
    sha256: str

    @property
    def coordinate(self) -> str:
        return ":".join(part for part in (self.group, self.artifact, self.version, self.classifier) if part)

    @property
    def file_name(self) -> str:
        return "-".join(part for part in (self.artifact, self.version, self.classifier) if part) + ".jar"

    @property
    def is_for_spark(self) -> bool:
        """All but the S3 server, which is a program of its own."""
        return f"{self.group}:{self.artifact}" != S3PROXY


class JarUnavailable(SetupBroken):
    """A jar could not be fetched, or what came is not what the lock file names."""

    def __init__(self, jar: Jar, why: str) -> None:
        self.jar = jar
        self.why = why
        super().__init__(
            f"the jar {jar.coordinate} could not be had: {why}. "
            f"Check the network (and the proxy settings) and run `make setup` again; the jars already fetched are kept in {JARS}."
        )


def parse_lock(text: str) -> list[Jar]:
    r"""Read a lock file.

    >>> parse_lock("# a comment\norg.example:tool:1.0:all  ab12\n")
    [Jar(group='org.example', artifact='tool', version='1.0', classifier='all', sha256='ab12')]
    """
    jars = []
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            coordinate, sha256 = line.split()
            group, artifact, version, *classifier = coordinate.split(":")
            jars.append(Jar(group, artifact, version, classifier[0] if classifier else "", sha256))
    return jars


def locked_jars() -> list[Jar]:
    return parse_lock(LOCK_FILE.read_text())


def missing(jars: list[Jar], folder: Path = JARS) -> list[Jar]:
    """The jars that are not there, or not as the lock file has them."""
    return [jar for jar in jars if not _is_whole(folder / jar.file_name, jar)]


def fetch(jars: list[Jar], folder: Path = JARS, log: Callable[[str], None] = print) -> None:
    """Bring the folder to what the lock file says; a broken jar is fetched anew."""
    wanted = missing(jars, folder)
    if not wanted:
        return
    folder.mkdir(parents=True, exist_ok=True)
    begun = time.monotonic()
    log(f"fetching {len(wanted)} jars (all {len(jars)} are about 80 MB)")
    for number, jar in enumerate(wanted, start=1):
        _fetch_one(jar, folder)
        if number % 10 == 0 or number == len(wanted):
            log(f"{number} of {len(wanted)} jars are here and checked, {time.monotonic() - begun:.0f} s")


def spark_jars(folder: Path = JARS) -> list[Path]:
    """What goes into Spark's class path."""
    return [_present(jar, folder) for jar in locked_jars() if jar.is_for_spark]


def s3proxy_jar(folder: Path = JARS) -> Path:
    return next(_present(jar, folder) for jar in locked_jars() if not jar.is_for_spark)


def _present(jar: Jar, folder: Path) -> Path:
    path = folder / jar.file_name
    if not path.is_file():
        raise JarUnavailable(jar, f"it is not in {folder}")
    return path


def _fetch_one(jar: Jar, folder: Path) -> None:
    """Download beside the folder, check, and only then move into place: a jar that is there is whole."""
    why = ""
    for _ in range(ATTEMPTS):
        with tempfile.TemporaryDirectory(dir=folder, prefix=".fetch-") as staging:
            try:
                got = _download(jar, Path(staging))
            except (OSError, RuntimeError, ValueError) as error:
                why = f"{type(error).__name__}: {error}"
                continue
            if _is_whole(got, jar):
                shutil.move(got, folder / jar.file_name)
                return
            why = f"its sha256 is not the {jar.sha256} of {LOCK_FILE.name}"
    raise JarUnavailable(jar, why)


def _download(jar: Jar, staging: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs warns of a missing XDG_RUNTIME_DIR, which nothing here uses
        from jgo.maven import MavenContext
    component = MavenContext(repo_cache=staging, local_repos=[], timeout=60).project(jar.group, jar.artifact).at_version(jar.version)
    return Path(component.artifact(jar.classifier).resolve())


def _is_whole(path: Path, jar: Jar) -> bool:
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest() == jar.sha256


def main() -> int:
    """`python -m sluice.services.jars`: the part of `make setup` that needs the Python packages."""
    try:
        fetch(locked_jars(), log=lambda line: print(f"setup: {line}", file=sys.stderr))
    except SetupBroken as broken:
        print(f"setup: {broken}", file=sys.stderr)
        return broken.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
