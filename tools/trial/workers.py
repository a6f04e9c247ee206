"""`make bench-workers`: what a batch costs on the cluster of docker-compose.yaml with one worker and with two, both sides in one run.

Each side has a ledger and a bucket of its own, and takes the same batches one after another, behind a small one that warms Spark up. The
sides take turns, so that what else the machine does falls on both.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tools.trial.deployment import FOLDER, VERSION, Deployment
from tools.trial.engine import Engine, on_an_engine

WORKERS = ("spark-worker-1", "spark-worker-2")
SPARK = (*WORKERS, "spark-connect")
NEEDED = ("postgres", "s3", "init", "spark-master", *SPARK)
_TICKS = 100.0
_WARM_ROWS = 1_000
_PREPARE = """
set -eu
PGUSER=postgres PGDATABASE=postgres PGPASSWORD_FILE=/run/secrets/postgres_password \\
    sluice roles create --secrets /run/secrets --database "$1"
export PGUSER=sluice_owner PGPASSWORD_FILE=/run/secrets/ledger_owner_password
sluice migrate
sluice roles grant
sluice bucket
"""
_BEGIN = f"""
set -eu
sluice reference load /exchange/made/CustomerImportance.csv
sluice produce /exchange/made/transactions.csv --every 0 --rows {_WARM_ROWS} --limit 1
sluice ingest transactions
"""


@dataclass(frozen=True)
class Batch:
    files: int
    rows: int
    which: str = ""

    @property
    def name(self) -> str:
        return f"{self.files} x {self.rows:,} rows{self.which}"


# The last two are larger than what one task takes (ONE_WORKER_ROWS), so that merchants are spread over the workers; the first of them also
# pays for what the second worker has not done before.
BATCHES = (Batch(1, 10_000), Batch(60, 10_000), Batch(12, 200_000), Batch(12, 200_000, ", the next"))


@dataclass(frozen=True)
class Cost:
    """What one batch took: seconds of the step that is Spark's, and of processors by service."""

    seconds: float
    cpu: dict[str, float]


def side(deployment: Deployment, batches: Sequence[Batch], workers: int, name: str) -> list[Cost]:
    """The batches on one side, on a ledger and a bucket of its own."""
    own = ("run", "--rm", "--no-TTY", "--env", f"PGDATABASE={name}", "--env", f"SLUICE_BUCKET={name.replace('_', '-')}")
    deployment.output("stop" if workers == 1 else "start", WORKERS[1])
    deployment.output("restart", "spark-connect")
    deployment.output("up", "--detach", "--no-deps", "--wait", "spark-connect")
    deployment.output(*own, "init", "sh", "-c", _PREPARE, "prepare", name)
    deployment.output(*own, "cli", "sh", "-c", _BEGIN)
    costs = []
    for batch in batches:
        what = ("--rows", str(batch.rows), "--limit", str(batch.files))
        deployment.output(*own, "producer", "sluice", "produce", "/exchange/made/transactions.csv", "--every", "0", *what)
        before = used(deployment, workers)
        summary = json.loads(deployment.output(*own, "cli", "sluice", "ingest", "transactions", "--json"))
        after = used(deployment, workers)
        assert (summary["accepted"], summary["waiting"]) == (batch.files, 0), summary
        costs.append(Cost(summary["step_seconds"]["process"], {service: after[service] - before[service] for service in after}))
    return costs


def used(deployment: Deployment, workers: int) -> dict[str, float]:
    """Processor seconds that each Spark container has used so far, with those of processes that have ended."""
    services = (*WORKERS[:workers], "spark-connect")
    words = ("exec", "--no-TTY")
    return {
        one: cpu_seconds(deployment.output(*words, one, "sh", "-c", "cat /proc/[0-9]*/stat 2>/dev/null; true").splitlines())
        for one in services
    }


def cpu_seconds(stats: Iterable[str]) -> float:
    """User and system time of processes and of their children that have ended, from lines of /proc/PID/stat."""
    fields = (line.rpartition(")")[2].split() for line in stats)
    return sum(sum(int(ticks) for ticks in counters[11:15]) for counters in fields) / _TICKS


def table(found: dict[tuple[Batch, int], list[Cost]]) -> str:
    """One line a batch and count of workers: the median run, and each of its parts."""
    lines = ["| a batch of | workers | seconds of the Spark step | CPU seconds: workers | driver |", "|---|---|---|---|---|"]
    for (batch, workers), costs in found.items():
        of_workers = statistics.median(sum(cost.cpu[name] for name in WORKERS[:workers]) for cost in costs)
        driver = statistics.median(cost.cpu["spark-connect"] for cost in costs)
        seconds = sorted(cost.seconds for cost in costs)
        spread = f" ({seconds[0]:.1f} to {seconds[-1]:.1f})" if len(seconds) > 1 else ""
        lines.append(f"| {batch.name} | {workers} | {statistics.median(seconds):.1f}{spread} | {of_workers:.1f} | {driver:.1f} |")
    return "\n".join(lines)


def run(deployment: Deployment, repeats: int, batches: Sequence[Batch]) -> str:
    deployment.take_down()
    try:
        deployment.compose("--profile", "cli", "build", capture_output=True)
        deployment.output("up", "--detach", "--wait", "--wait-timeout", "600", *NEEDED)
        rows = sum(batch.files * batch.rows for batch in batches) + _WARM_ROWS
        deployment.sluice("generate", "transactions", "--out", "/exchange/made", "--rows", str(rows))
        found: dict[tuple[Batch, int], list[Cost]] = {(batch, workers): [] for batch in batches for workers in (1, 2)}
        for repeat in range(repeats):
            for workers in (1, 2) if repeat % 2 else (2, 1):
                for batch, cost in zip(batches, side(deployment, batches, workers, f"measured_{repeat}_{workers}"), strict=True):
                    print(f"{batch.name}, workers: {workers}, {cost}")
                    found[batch, workers].append(cost)
        return table(found)
    finally:
        deployment.take_down()


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.trial.workers", description=__doc__)
    parser.add_argument("--repeats", type=int, default=2, help="times that each side is measured")
    options = parser.parse_args()

    def measure(found: Engine) -> None:
        shutil.rmtree(FOLDER / "secrets", ignore_errors=True)
        print(run(Deployment(found, FOLDER, {"SLUICE_VERSION": VERSION, "CLI_MEMORY": "6g"}), options.repeats, BATCHES))

    return on_an_engine("bench-workers", measure)


if __name__ == "__main__":
    sys.exit(main())
