"""A peer's process: it is told its job as one line of JSON, works on the same services, and answers in lines of JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from benchmarks.errors import BenchmarkFailed
from sluice.services.environment import environment
from sluice.services.java import find_java
from sluice.services.process import clean_environment
from sluice.services.spark import spark_home
from sluice.services.state import LOOPBACK, State

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_ITS_END_SECONDS = 120


@contextmanager
def started(state: State, module: str, job: DataclassInstance) -> Iterator[subprocess.Popen[str]]:
    """A peer at its job, until the block ends: then its input does, and it has to end by itself.

    Raises:
        BenchmarkFailed: it failed; says where its log is.
    """
    log = state.log(module.rpartition(".")[2])
    with log.open("a") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
            env=_environment(state),
            cwd=state.project,
        )
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(asdict(job)) + "\n")
            process.stdin.flush()
            yield process
            process.stdin.close()
            if process.wait(timeout=_ITS_END_SECONDS):
                raise BenchmarkFailed(f"{module} ended with {process.returncode}; see {log}")
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()


def told_job() -> dict[str, Any]:
    """In the peer: its job."""
    said: dict[str, Any] = json.loads(sys.stdin.readline())
    return said


def answer(**said: Any) -> None:
    """In the peer: one line of its answer."""
    print(json.dumps(said), flush=True)


def _environment(state: State) -> dict[str, str]:
    """The services as `sluice env` names them, without the Spark server: a peer brings its own engine."""
    told = {name: value for name, value in environment(state).items() if name != "SPARK_REMOTE"}
    spark = {
        "JAVA_HOME": str(find_java(state).home),
        "SPARK_HOME": str(spark_home()),
        "SPARK_LOCAL_IP": LOOPBACK,
        "PYSPARK_PYTHON": sys.executable,
        "SLUICE_STATE": str(state.root),
    }
    return clean_environment() | told | spark
