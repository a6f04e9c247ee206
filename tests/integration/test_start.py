"""What a command imports, in a process of its own: modules are counted, since seconds differ from machine to machine."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from include.clients import s3_client
from include.files import keys
from include.storage.s3 import S3Store
from sluice.runtime import Settings
from tests.integration.command import run_sluice
from tests.integration.world import HEADER, row

# What a command does without until its own work asks for it, whichever command it is.
OTHERS = {"airflow", "altair", "cryptography", "google", "grpc", "jsonschema", "psutil", "pyspark", "requests", "scipy", "sqlalchemy"}
FRAMES = {"great_expectations", "numpy", "pandas", "pyarrow"}
S3 = {"boto3", "botocore", "urllib3"}
_WATCHED = """
import atexit, json, sys
atexit.register(lambda: print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr))
sys.argv[0] = "sluice"
from sluice.cli import main
main()
"""


def imported(*words: str) -> tuple[set[str], str]:
    """The packages that a command has imported by its end, and what it printed."""
    done = subprocess.run([sys.executable, "-c", _WATCHED, *words], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stderr.splitlines()[-1])), done.stdout


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("words", [("files", "transactions"), ("finance", "silver"), ("reference", "list")])
def test_a_command_that_reads_the_ledger_imports_no_more_than_its_driver(words: tuple[str, ...]) -> None:
    packages, _ = imported(*words)
    assert "psycopg" in packages
    assert not packages & (OTHERS | FRAMES | S3 | {"rich"})


@pytest.mark.usefixtures("where")
@pytest.mark.parametrize("feed", ["transactions", "stocks", "sales", "customer"])
def test_an_ingest_that_finds_nothing_imports_what_lists_and_what_asks_the_ledger(feed: str) -> None:
    packages, told = imported("ingest", feed, "--json")
    assert json.loads(told)["registered"] == 0
    assert {"boto3", "psycopg"} <= packages
    assert not packages & (OTHERS | FRAMES | {"rich"})


def test_an_ingest_that_only_judges_imports_great_expectations_without_what_judging_does_not_need(where: Settings) -> None:
    store = S3Store(s3_client(where.s3))
    store.put(where.s3.bucket, f"{keys.landing('transactions')}dt=2026-11-01/bad.csv", (HEADER + row(amount="-1")).encode())
    packages, told = imported("ingest", "transactions", "--json")
    assert json.loads(told)["quarantined"] == 1
    assert packages >= FRAMES
    assert not packages & (OTHERS - {"requests"})


def test_finding_the_embedded_services_imports_nothing_of_what_runs_them() -> None:
    """Each command asks for them that no variables tell where to go."""
    source = "import json, sys, sluice.services.environment; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert not set(json.loads(done.stdout)) & (OTHERS | FRAMES | S3 | {"psycopg", "rich", "typer"})


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("files",), "sluice: Missing argument 'feed'.\n"),
        (("nosuch",), "sluice: No such command 'nosuch'.\n"),
        (("files", "transactions", "--limit", "0"), "sluice: Invalid value for '--limit': Input should be greater than or equal to 1\n"),
        (("sales",), ""),
    ],
)
def test_wrong_use_is_one_sentence_and_exit_code_2(words: tuple[str, ...], said: str) -> None:
    assert run_sluice(*words, check=2).stderr == said
