"""One deployment of docker-compose.yaml under a name of its own: its settings, its secrets, its containers."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from sluice.deployment.passwords import keep
from sluice.main_job.airflow_api import AirflowApi, poll
from sluice.services.secrecy import secrets_in
from sluice.services.state import LOOPBACK, free_port
from tools.trial.engine import PROJECT, Engine

NAME = "sluice-trial"
FOLDER = PROJECT / ".sluice" / "trial"
VERSION = "trial"
CERTIFICATES = Path("/etc/ssl/certs/ca-certificates.crt")
Found = TypeVar("Found")
_UP_SECONDS = "600"
_CLEAR = "\x1b[2K"  # compose 2.26 begins lines so, also where nobody looks at them


class Deployment:
    """Everything it keeps on this machine lies below `folder`, its volumes with the engine."""

    def __init__(self, engine: Engine, folder: Path, settings: Mapping[str, str], files: Sequence[str] = ()) -> None:
        self._engine = engine
        self._files: list[str] = []
        for file in ("docker-compose.yaml", *files):
            self.use(file)
        self.folder = folder
        self.secrets = folder / "secrets"
        self.exchange = folder / "exchange"
        self.exchange.mkdir(parents=True, exist_ok=True)
        (folder / "input").mkdir(exist_ok=True)
        self.exchange.chmod(0o777)  # the containers' user is another one than ours
        self.url = f"http://{LOOPBACK}:{(port := free_port())}"
        self._settings = {
            "COMPOSE_PROJECT": NAME,
            "SLUICE_SECRETS": str(self.secrets),
            "SLUICE_EXCHANGE": str(self.exchange),
            "SLUICE_INPUT": str(folder / "input"),
            "AIRFLOW_PORT": str(port),
            "AIRFLOW_URL": self.url,
            **({"SLUICE_BASE": engine.base} if engine.base else {}),
            **({"SLUICE_CA": str(CERTIFICATES)} if CERTIFICATES.is_file() else {}),
            **settings,
        }
        self.make_secrets()

    def make_secrets(self) -> None:
        """Make what is missing, and anew what is put together from others."""
        variables = os.environ | self._settings
        subprocess.run(["sh", "deploy/make-secrets.sh", self.secrets], cwd=PROJECT, env=variables, check=True, capture_output=True)
        self.__dict__.pop("all_secrets", None)

    def keep_secret(self, name: str, value: str) -> None:
        """Put a secret that the deployment made itself among the others."""
        keep(self.secrets / name, value)
        self.__dict__.pop("all_secrets", None)

    def compose(self, *words: str, check: bool = True, **options: Any) -> subprocess.CompletedProcess[str]:
        command = ["docker", "compose", "--env-file", "/dev/null", "--project-directory", str(PROJECT), *self._files, *words]
        return subprocess.run(command, env={**self._engine.environment, **self._settings}, cwd=PROJECT, check=check, text=True, **options)

    def bring_up(self) -> str:
        """Bring everything up and wait until all is healthy or, for what ends, done."""
        done = self.compose("up", "--detach", "--wait", "--wait-timeout", _UP_SECONDS, check=False, capture_output=True)
        assert done.returncode == 0, f"it does not come up: {done.stderr[-2000:]}"
        return f"{len(self.containers())} containers, all healthy or done"

    def take_down(self) -> None:
        """Remove every container, network and volume that has its name."""
        self.compose("--profile", "*", "down", "--volumes", "--remove-orphans", check=False)

    def output(self, *words: str) -> str:
        done = self.compose(*words, check=False, capture_output=True)
        assert done.returncode == 0, f"docker compose {' '.join(words)}: {done.stdout[-1500:]}{done.stderr[-1500:]}"
        return str(done.stdout)

    def docker(self, *words: str) -> str:
        return self._engine.docker(*words, capture_output=True).stdout

    def sluice(self, *words: str) -> str:
        """The command, in a container of its own."""
        return self.output("run", "--rm", "--no-TTY", "cli", "sluice", *words)

    def producer(self, *words: str) -> str:
        """A program with the keys of who may land files and nothing else."""
        return self.output("run", "--rm", "--no-TTY", "producer", *words)

    def airflow(self, user: str = "admin") -> AirflowApi:
        return AirflowApi(self.url, user, self.secret(f"airflow_{user}_password"))

    def secret(self, name: str) -> str:
        return (self.secrets / name).read_text()

    @cached_property
    def all_secrets(self) -> dict[str, str]:
        """Every secret by name, but for files that are put together from others."""
        return secrets_in(self.secrets)

    def change(self, **settings: str) -> None:
        """Other settings from the next command on, as if .env was edited."""
        self._settings |= settings

    def use(self, file: str) -> None:
        """Another compose file beside the others from the next command on."""
        self._files += ["--file", file]

    # -- containers -----------------------------------------------------------------------------------------------------

    def containers(self) -> list[str]:
        return self.output("ps", "--all", "--quiet").split()

    def kill_inside(self, service: str, number: int = 1) -> None:
        """Kill whatever runs in a service's container. The engine finds it dead; `docker kill` would count as a wish to stop it."""
        self.compose("exec", "--no-TTY", "--index", str(number), service, "sh", "-c", "kill -9 -1", check=False, capture_output=True)

    def restarts(self, service: str, number: int = 1) -> int:
        return int(json.loads(self.docker("inspect", f"{NAME}-{service}-{number}"))[0]["RestartCount"])

    def logs_of(self, service: str, number: int = 1) -> str:
        """What one container of a service has printed, each line after the instant at which it did."""
        return self.output("logs", "--no-color", "--no-log-prefix", "--timestamps", "--index", str(number), service).replace(_CLEAR, "")

    def logs_so_far(self) -> str:
        """What the containers have printed, whatever state they are in."""
        return str(self.compose("logs", "--no-color", "--timestamps", check=False, capture_output=True).stdout)

    def logs(self) -> str:
        """What every container has printed, what Airflow keeps of its tasks, and what Spark's executors have printed."""
        logs = [self.output("logs", "--no-color", "--timestamps")]
        kept = {"airflow-api-server": "/opt/airflow/logs -type f", **{f"spark-worker-{n}": "/var/lib/spark -name std*" for n in (1, 2)}}
        for service, where in kept.items():
            logs.append(self.output("exec", "--no-TTY", service, "sh", "-c", f"set -f; find {where} -exec cat {{}} +"))
        return "\n".join(logs)


def until(probe: Callable[[], Found | None], what: str, seconds: float = 180) -> Found:
    found = poll(probe, seconds, 1.0)
    assert found, f"{seconds:.0f} s passed and still not: {what}"
    return found
