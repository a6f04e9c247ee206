"""What must not be seen: secrets and values of rows in logs, secrets in what `docker inspect` shows and in the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sluice.services.secrecy import secrets_in, weak_ones
from tools.trial.deployment import Deployment
from tools.trial.main_job import CANARIES, INGEST

IMAGES = ("sluice", "sluice-postgres", "sluice-s3", "sluice-redis")
_COMPILERS = ("cc", "gcc", "g++", "clang", "make", "ld", "uv", "pip")


def logs(deployment: Deployment) -> int:
    """Search everything that was logged; how many lines that were."""
    logged = deployment.logs()
    (deployment.folder / "all.log").write_text(logged)
    for expected in (INGEST, "refused.csv", "Executor: Running task"):
        assert expected in logged, f"these are not the logs of a run: {expected} is missing"
    canaries = deployment.all_secrets | {value: value for value in CANARIES}
    leaked = {name: _places(logged, value) for name, value in canaries.items() if value in logged}
    assert not leaked, f"logs show {leaked}"
    return len(logged.splitlines())


def _places(text: str, value: str) -> list[str]:
    return [line.replace(value, "<it>")[:300] for line in text.splitlines() if value in line][:3]


def containers(deployment: Deployment) -> int:
    found = deployment.containers()
    shown = deployment.docker("inspect", *found)
    assert not [name for name, value in deployment.all_secrets.items() if value in shown]
    return len(found)


def images(deployment: Deployment, version: str, names: Sequence[str] = IMAGES) -> dict[str, str]:
    """Look into each image: no secret in its history, nothing that compiles, and another user than root; its size and layers."""
    sizes = {}
    for image in names:
        name = f"{image}:{version}"
        history = deployment.docker("history", "--no-trunc", "--format", "{{.CreatedBy}}", name)
        assert not [one for one, value in deployment.all_secrets.items() if value in history], name
        words = " ".join(_COMPILERS)
        script = f"id -u; for one in {words}; do command -v $one; done; ls /run/ca.crt /root/.cache/uv 2>/dev/null; true"
        output = deployment.docker("run", "--rm", "--network", "none", "--entrypoint", "sh", name, "-c", script).split()
        assert output == ["10001"], f"{name}: {output}"
        size, layers = deployment.docker("image", "inspect", "--format", "{{.Size}} {{len .RootFS.Layers}}", name).split()
        sizes[image] = f"{int(size) / 1e6:.0f} MB in {layers} layers"
    return sizes


def closed(folder: Path) -> int:
    """See that the secrets' folder is closed to other users of this machine, and that none of them could be guessed; how many there are."""
    assert folder.stat().st_mode & 0o077 == 0, f"{folder} is open to others"
    known = secrets_in(folder)
    assert not weak_ones(known), weak_ones(known)
    return len(known)
