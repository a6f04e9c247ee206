"""A Docker engine: the one that answers, else one of our own from Debian's packages, with all it keeps under `.sluice/engine`."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from include.errors import SluiceError

PROJECT = Path(__file__).resolve().parents[2]
HOME = PROJECT / ".sluice" / "engine"
# Debian 13's engine runs on 12 too, but for what is linked with its C library.
ENGINE_RELEASE = "trixie"
ENGINE = ("docker.io", "docker-cli", "docker-compose", "docker-buildx", "containerd", "debootstrap")
OWN_RELEASE = (
    "runc",
    "tini",
    "iptables",
    "libip4tc2",
    "libip6tc2",
    "libxtables12",
    "libnetfilter-conntrack3",
    "libnfnetlink0",
    "libnftnl11",
    "libmnl0",
)
BASE_RELEASE = "bookworm"
BASE = "sluice-trial/debian:12"
_LONGEST_SECONDS = 60.0


class NoEngine(Exception):
    """No engine answers and none can be started here."""


@dataclass(frozen=True)
class Engine:
    """How an engine is spoken to, and the image that stands in for Debian's where none can be pulled (None = pull it)."""

    environment: Mapping[str, str]
    base: str | None

    def docker(self, *words: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["docker", *words], env=self.environment, check=check, text=True, **options)  # type: ignore[call-overload,no-any-return]


def on_an_engine(name: str, work: Callable[[Engine], None]) -> int:
    """Do some work on an engine; the exit code of the program of that name: 0, 1 = something is not as it must be, 3 = not run."""
    try:
        with engine() as found:
            work(found)
    except NoEngine as none:
        print(f"{name}: NOT RUN: {none}", file=sys.stderr)
        return 3
    except (AssertionError, SluiceError) as wrong:
        print(f"{name}: FAILED: {wrong}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def engine() -> Iterator[Engine]:
    """The engine that answers, with compose; else one of our own for as long as the block lasts."""
    if _answers(os.environ, ["compose", "version"]):
        yield Engine(dict(os.environ), None)
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise NoEngine(
            "no Docker engine with compose answers, and one is started here only as root on Debian: install Docker and try again"
        )
    with _own() as environment:
        yield Engine(environment, _base(environment))


def _answers(environment: Mapping[str, str], also: Sequence[str] = ()) -> bool:
    def works(*words: str) -> bool:
        try:
            return subprocess.run(["docker", *words], env=environment, capture_output=True, check=False, timeout=30).returncode == 0
        except (OSError, subprocess.TimeoutExpired):
            return False

    return works("info") and (not also or works(*also))


# -- one of our own -------------------------------------------------------------------------------------------------------


@contextmanager
def _own() -> Iterator[dict[str, str]]:
    root = _unpacked()
    environment = _environment(root)
    daemon = _started(environment)
    try:
        yield environment
    finally:
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(_LONGEST_SECONDS)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


def _unpacked() -> Path:
    """The packages, fetched with the machine's own mirror and keys and unpacked beside the system, which stays as it is."""
    root = HOME / "root"
    if (root / "complete").is_file():
        return root
    shutil.rmtree(root, ignore_errors=True)
    packages = HOME / "packages"
    shutil.rmtree(packages, ignore_errors=True)
    packages.mkdir(parents=True)
    _download(packages, ENGINE, _apt_of(ENGINE_RELEASE))
    _download(packages, OWN_RELEASE, {})
    for package in sorted(packages.glob("*.deb")):
        _run(["dpkg-deb", "-x", str(package), str(root)])
    sbin = root / "usr" / "sbin"
    for name in ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore"):
        (sbin / name).unlink(missing_ok=True)
        (sbin / name).symlink_to("xtables-nft-multi")
    (root / "complete").touch()
    return root


def _download(folder: Path, packages: Sequence[str], apt: Mapping[str, str]) -> None:
    _run(["apt-get", "download", "-qq", *packages], cwd=folder, env=os.environ | dict(apt))


def _apt_of(release: str) -> dict[str, str]:
    """An apt of its own for another release of Debian, from the mirror that this machine uses."""
    own = HOME / "apt"
    for folder in ("lists/partial", "cache/archives/partial", "parts"):
        (own / folder).mkdir(parents=True, exist_ok=True)
    (own / "sources.list").write_text(f"deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] {_mirror()} {release} main\n")
    settings = own / "apt.conf"
    settings.write_text(
        f'Dir::Etc::sourcelist "{own}/sources.list";\nDir::Etc::sourceparts "{own}/parts";\nDir::Etc::preferencesparts "{own}/parts";\n'
        f'Dir::State::lists "{own}/lists";\nDir::Cache "{own}/cache";\nDir::State::status "/dev/null";\nAPT::Sandbox::User "root";\n'
    )
    apt = {"APT_CONFIG": str(settings)}
    _run(["apt-get", "update", "-qq"], env=os.environ | apt)
    return apt


def _mirror() -> str:
    listed = _run(["apt-get", "indextargets", "--format", "$(SITE) $(LABEL)", "Created-By: Packages"])
    sites = [line.split(" ", 1)[0] for line in listed.splitlines() if line.endswith(" Debian")]
    if not sites:
        raise NoEngine("apt knows no mirror of Debian here: install Docker and try again")
    return sites[0]


def _environment(root: Path) -> dict[str, str]:
    plugins = HOME / "config" / "cli-plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    for plugin in (root / "usr" / "libexec" / "docker" / "cli-plugins").iterdir():
        link = plugins / plugin.name
        link.unlink(missing_ok=True)
        link.symlink_to(plugin)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))}
    return inherited | {
        "PATH": f"{root}/usr/bin:{root}/usr/sbin:{os.environ['PATH']}",
        "LD_LIBRARY_PATH": f"{root}/usr/lib/{os.uname().machine}-linux-gnu",
        "XTABLES_LIBDIR": f"{root}/usr/lib/{os.uname().machine}-linux-gnu/xtables",
        "DOCKER_CONFIG": str(HOME / "config"),
        "DOCKER_HOST": f"unix://{HOME}/docker.sock",
        "DEBOOTSTRAP_DIR": f"{root}/usr/share/debootstrap",
    }


def _started(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """A daemon that answers. What one that was killed left behind is put away first."""
    for stale in ("docker.pid", "exec/containerd/containerd.pid"):
        (HOME / stale).unlink(missing_ok=True)
    command = ["dockerd", "--data-root", str(HOME / "data"), "--exec-root", str(HOME / "exec"), "--pidfile", str(HOME / "docker.pid")]
    command += ["--host", f"unix://{HOME}/docker.sock", "--mtu", "1400"]
    with (HOME / "dockerd.log").open("ab") as log:
        daemon = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    until = time.monotonic() + _LONGEST_SECONDS
    while not _answers(environment):
        if daemon.poll() is not None or time.monotonic() > until:
            daemon.kill()
            raise NoEngine(f"dockerd does not come up here; its log is {HOME / 'dockerd.log'}")
        time.sleep(0.5)
    return daemon


def _base(environment: Mapping[str, str]) -> str:
    """A Debian of our own as an image, where no registry of images can be asked for one."""
    known = subprocess.run(["docker", "image", "inspect", BASE], env=environment, capture_output=True, check=False)
    if known.returncode == 0:
        return BASE
    rootfs = HOME / "rootfs"
    shutil.rmtree(rootfs, ignore_errors=True)
    _run(
        [
            "sh",
            shutil.which("debootstrap", path=environment["PATH"]) or "debootstrap",
            "--variant=minbase",
            BASE_RELEASE,
            str(rootfs),
            _mirror(),
        ],
        env=environment,
    )
    archive = HOME / "rootfs.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(rootfs, arcname=".")
    _run(["docker", "import", str(archive), BASE], env=environment)
    archive.unlink()
    shutil.rmtree(rootfs)
    return BASE


def _run(command: Sequence[str], **options: object) -> str:
    """Run a program; what it printed.

    Raises:
        NoEngine: it failed; with what it printed last.
    """
    done = subprocess.run(list(command), capture_output=True, text=True, check=False, **options)  # type: ignore[call-overload]
    if done.returncode:
        last = " ".join((done.stderr or done.stdout).split())[-400:]
        raise NoEngine(f"{' '.join(command[:3])} failed: {last}")
    return str(done.stdout)
