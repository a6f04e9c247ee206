"""`make compose-test`, or `python -m tools.trial --help`: exits 0 when everything that each line prints was seen."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from include.errors import SluiceError
from tools.trial import main_job, refusals, s3_roles, secrecy, vault
from tools.trial.deployment import FOLDER, VERSION, Deployment
from tools.trial.engine import HOME, Engine, on_an_engine

S3PROXY = "s3proxy"


@dataclass(frozen=True)
class Store:
    """An S3 implementation that the compose smoke test runs on: by files beside docker-compose.yaml, and settings."""

    files: tuple[str, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    images: tuple[str, ...] = secrecy.IMAGES
    knows_users: bool = False


STORES = {
    S3PROXY: Store(),
    "versitygw": Store(
        ("deploy/compose.versitygw.yaml",),
        {"AWS_ENDPOINT_URL_S3": "http://versitygw:7070"},
        (*secrecy.IMAGES, "sluice-versitygw"),
        knows_users=True,
    ),
}


def main() -> int:
    """Build, bring up, work, hurt, compare, look for what must not be seen, take down."""
    parser = argparse.ArgumentParser(prog="python -m tools.trial", description=__doc__)
    parser.add_argument("--chunks", type=int, default=60, help="chunks of 10,000 rows that are landed, one a second")
    parser.add_argument("--s3", choices=STORES, default=S3PROXY, help="the store; versitygw knows users and enforces their policies")
    parser.add_argument("--vault", action="store_true", help="at last, Airflow's connections from HashiCorp Vault, which is built first")
    parser.add_argument("--keep", action="store_true", help="leave the deployment up (with an engine that was there before)")
    parser.add_argument("--forget-engine", action="store_true", help="delete the engine of our own, with all its images, at the end")
    options = parser.parse_args()
    code = on_an_engine("compose-test", lambda found: _try(found, options))
    if code:
        return code
    if options.forget_engine:
        shutil.rmtree(HOME, ignore_errors=True)
    print("compose-test: passed")
    return 0


def _try(found: Engine, options: argparse.Namespace) -> None:
    store, chunks = STORES[options.s3], options.chunks
    shutil.rmtree(FOLDER / "secrets", ignore_errors=True)  # those of users of a store that is gone
    deployment = Deployment(found, FOLDER, {"SLUICE_VERSION": VERSION, **store.settings}, store.files)
    deployment.take_down()
    try:
        _step("docker compose config", lambda: deployment.output("config", "--quiet") or "as it should be")
        _step("build", lambda: deployment.compose("--profile", "*", "build") and secrecy.images(deployment, VERSION, store.images))
        if store.knows_users:
            _step("users of S3", lambda: s3_roles.make(deployment))
        _step("up", deployment.bring_up)
        _step("up once more, with init", lambda: _up_again(deployment))
        _step("the main job, with kills", lambda: main_job.run(deployment, chunks))
        _step("backup and restore", lambda: main_job.restored(deployment, chunks))
        _step("CeleryExecutor, with a kill", lambda: main_job.celery(deployment, chunks))
        _step("roles of Airflow", lambda: refusals.airflow(deployment))
        _step("what an Op may have read", lambda: refusals.inputs(deployment))
        _step("roles of the ledger", lambda: refusals.ledger(deployment))
        if store.knows_users:
            _step("roles of S3", lambda: s3_roles.run(deployment))
        _step("networks", lambda: refusals.networks(deployment))
        _step("containers", lambda: secrecy.containers(deployment))
        _step("secrets", lambda: secrecy.closed(deployment.secrets))
        _step("logs", lambda: secrecy.logs(deployment))
        _step("spark-submit", lambda: main_job.submitted(deployment, chunks))
        if options.vault:
            _step("Vault", lambda: vault.opened(deployment))
            _step("connections from Vault", lambda: vault.worked_from(deployment, chunks))
        _step("logs once more", lambda: secrecy.logs(deployment))
    except (AssertionError, SluiceError):
        (FOLDER / "failed.log").write_text(deployment.logs_so_far())
        raise
    finally:
        if not options.keep:
            deployment.take_down()


def _up_again(deployment: Deployment) -> str:
    healthy = deployment.bring_up()
    times = deployment.output("logs", "init").count("init: done")
    assert times == 2, f"init was to run twice and did {times} times"
    return healthy


def _step(name: str, work: Callable[[], object]) -> None:
    begun = time.monotonic()
    seen = work()
    printed = json.dumps(seen) if isinstance(seen, dict) else str(seen)
    print(f"compose-test: {name}: {printed} ({time.monotonic() - begun:.0f} s)", flush=True)


if __name__ == "__main__":
    sys.exit(main())
