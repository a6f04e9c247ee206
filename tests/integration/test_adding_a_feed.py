"""A feed of a new domain, built from docs/adding-a-feed.md alone, in a copy of the project."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from include.clients import s3_client
from include.ledger.migrate import migrations
from include.storage.s3 import S3Store
from sluice.runtime import Settings
from sluice.services.state import PROJECT
from tests.integration.stack import ledger

PAGE = PROJECT / "docs" / "adding-a-feed.md"
_BLOCK = re.compile(r"^[^\n]*`([\w/]+\.(?:py|sql))`[^\n`]*:\n\n```\w+\n(.*?)```", re.DOTALL | re.MULTILINE)
_CATALOGUE = "include/domains/__init__.py"


def blocks() -> dict[str, str]:
    """What the page says is in which file, the migration under the next number."""
    number = len(migrations()) + 1
    return {re.sub(r"/0099_", f"/{number:04}_", path): text for path, text in _BLOCK.findall(PAGE.read_text())}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the project with the page's feed in it."""
    for folder in ("include", "spark_jobs", "sluice", "dags", "plugins", "config"):
        shutil.copytree(PROJECT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path, text in blocks().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "include/domains/meters/__init__.py").touch()
    named = re.search(r"`(DOMAINS = .*)`", PAGE.read_text())
    assert named is not None
    catalogue = (tmp_path / _CATALOGUE).read_text()
    (tmp_path / _CATALOGUE).write_text(re.sub(r"^DOMAINS = .*$", named[1], catalogue, flags=re.MULTILINE))
    return tmp_path


def test_the_page_is_a_domain_of_less_than_150_lines_in_new_files_alone() -> None:
    python = [text for path, text in blocks().items() if path.endswith(".py")]
    assert sum(bool(line.strip()) for text in python for line in text.splitlines()) < 150
    assert {path.rpartition("/")[0] for path in blocks()} == {
        "include/domains/meters",
        "spark_jobs/meters",
        "include/ledger/migrations",
        "dags",
    }
    assert not [path for path in blocks() if (PROJECT / path).exists()]


@pytest.mark.usefixtures("services")
def test_a_feed_of_the_page_is_ingested_reconciled_and_compared(project: Path, where: Settings) -> None:
    def sluice(*words: str) -> str:
        command = [sys.executable, "-m", "sluice", *words]
        done = subprocess.run(
            command, cwd=project, env=os.environ | {"PYTHONPATH": str(project)}, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert "_meters" in sluice("migrate")
    store = S3Store(s3_client(where.s3))
    for day, readings in (
        (1, "m1,2026-01-01T00:00:00Z,4.5\nm2,2026-01-01T01:00:00Z,1\nm1,2026-01-01T02:00:00Z,5\n"),
        (2, "m1,2026-01-01T01:00:00Z,9\n"),
    ):
        body = f"meter_id,read_at,value\n{readings}".encode()
        store.put(where.s3.bucket, f"landing/readings/dt=2026-01-0{day}/a.csv", body)
    store.put(where.s3.bucket, "landing/readings/dt=2026-01-02/bad.csv", b"nothing\n1\n")
    sluice("ingest", "readings", "--until-empty")
    with ledger(os.environ) as connection:  # type: ignore[arg-type]  # a mapping of strings
        rows = connection.execute("select meter_id, value::text, seq from meters.reading order by meter_id").fetchall()
        states = connection.execute("select seq, state::text from file where feed = 'readings' order by seq").fetchall()
    assert rows == [("m1", "5.000000", 1), ("m2", "1.000000", 1)]
    assert states == [(1, "published"), (2, "published"), (3, "quarantined")]
    assert "readings: bucket and ledger agree" in sluice("reconcile", "readings", "--all")
    assert "equal" in sluice("backfill", "readings", "--from", "2026-01-01", "--to", "2026-01-02", "--reprocess")
