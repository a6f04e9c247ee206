"""The main job, `sluice run`, as `make run` starts it: on a source, on the same source again, and on it from its start."""

from __future__ import annotations

import itertools
import os
import re
import shlex
import subprocess
from collections import Counter

from include.domains.transactions.queries import counts_by_pattern
from sluice.services.state import PROJECT
from tests.integration.airflow import INGEST, until, unused
from tests.integration.command import run_sluice
from tests.integration.test_airflow import Scheduled, airflow, scheduled

__all__ = ["airflow", "scheduled"]  # fixtures


def counted(said: str, what: str) -> tuple[int, Counter[str]]:
    """A line of the summary: how many files in all, and how many by what became of them."""
    line = re.search(rf"^  {what} +(\d+) (?:landed|in all): (.*)$", said, re.MULTILINE)
    assert line, said
    fates = Counter({fate: int(count) for count, fate in (part.split(" ") for part in line[2].split(", "))})
    return int(line[1]), fates


def by_fate(scheduled: Scheduled) -> Counter[str]:
    """All files of the feed in the ledger."""
    words = {"quarantined": "refused", "replaying": "refused"}
    found: Counter[str] = Counter()
    for state, files in scheduled.ledger.queries.feed_overview("transactions")["states"].items():
        found[words.get(state, state)] += files
    return found


def as_make_says(command: str) -> list[str]:
    """What a `make run ...` gives to the command."""
    bare = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}  # this may be a test that make runs
    made = subprocess.run([*shlex.split(command), "--dry-run"], cwd=PROJECT, env=bare, capture_output=True, text=True, check=True)
    recipe = made.stdout.replace("\\\n", "").splitlines()[-1]
    settings = dict(word.split("=", 1) for word in shlex.split(command) if "=" in word)
    shown = subprocess.run(["sh", "-c", f"printf '%s\\n' {recipe}"], env=settings, capture_output=True, text=True, check=True)
    program, *words = itertools.dropwhile(re.compile(r"[A-Z_]+=").match, shown.stdout.splitlines())  # settings go before a command
    assert program == ".venv/bin/sluice"
    return words


def test_a_source_is_landed_and_ingested_then_known_then_landed_once_more_and_all_counts_add_up(scheduled: Scheduled) -> None:
    source = {"CHUNKS": "2", "SEED": str(unused(scheduled.ledger) + 1)}
    words = as_make_says(" ".join(["make", "run", "RATE=10", *(f"{name}={value}" for name, value in source.items())]))
    assert words == ["run", "--rate", "10", "--chunks", "2", "--seed", source["SEED"]]
    scheduled.land("beside.csv", content=scheduled.good)  # of the feed, and not of the run
    scheduled.land("headless.csv", content=lambda _: f"no,header,{scheduled.mark}\n1,2,3\n")

    first = run_sluice(*words).stdout
    assert "all that landed is ingested" in first
    assert counted(first, "this run's files") == (2, {"published": 2, "refused": 0})
    assert "  this run's rows     20,000 accepted, 0 rejected\n" in first
    total, fates = counted(first, "the feed's files")
    assert total == fates.total() == by_fate(scheduled).total()
    assert fates == by_fate(scheduled)
    assert fates["refused"] >= 1
    found = {pattern: int(n) for pattern, n in re.findall(r"^  (PatId\d) \S+ +(\d+) detections", first, re.MULTILINE)}
    assert found == {pattern: counts_by_pattern(scheduled.ledger.session).get(pattern, 0) for pattern in ("PatId1", "PatId2", "PatId3")}
    watched = scheduled.airflow.get("/assets", name_pattern="sluice_landing_transactions")["assets"]
    assert [[watcher["name"] for watcher in asset["watchers"]] for asset in watched] == [["transactions_landing"]]

    again = run_sluice(*words).stdout
    assert re.search(
        r"nothing new has landed: all of \S+transactions\.csv landed before, as 2 chunks from .* \(2 published, 0 refused\)", again
    )
    assert counted(again, "this run's files") == (0, {"published": 0, "refused": 0})
    assert counted(again, "the feed's files") == (total, fates)
    ways = re.findall(r"^  (make \S.*?)  ", again, re.MULTILINE)
    assert [way.split(" ")[:2] for way in ways] == [["make", "run"], ["make", "run"], ["make", "clean"], ["make", "down"]]
    once_more, another = (as_make_says(way) for way in ways[:2])
    assert another == ["run", "--chunks", "2", "--seed", str(int(source["SEED"]) + 1)]

    third = run_sluice(*once_more).stdout
    assert counted(third, "this run's files") == (2, {"published": 0, "refused": 0, "duplicate": 2})
    assert counted(third, "the feed's files") == (total + 2, fates + Counter(duplicate=2))


def test_airflow_has_the_dags_of_this_project_and_no_others(scheduled: Scheduled) -> None:
    assert set(scheduled.airflow.dags()) == {path.stem for path in (PROJECT / "dags").glob("*.py")} - {"__init__"}


def test_who_unpauses_a_dag_has_its_file_read_at_once_which_starts_its_watchers_and_who_pauses_it_ends_them(scheduled: Scheduled) -> None:
    airflow = scheduled.airflow

    def asked() -> int:
        return int(airflow.get("/eventLogs", event="reparse_dag_file")["total_entries"])

    def watchers() -> list[str]:
        (asset,) = airflow.get("/assets", name_pattern="sluice_landing_transactions")["assets"]
        return [watcher["name"] for watcher in asset["watchers"]]

    until(lambda: watchers() == [], "nobody watches while it is paused")
    before = asked()
    airflow.pause(INGEST, paused=False)
    until(lambda: asked() == before + 1, "its file is asked for")
    until(lambda: watchers() == ["transactions_landing"], "it is watched")
    several = {"dag_id_pattern": INGEST, "update_mask": "is_paused"}
    assert airflow.ask("PATCH", "/dags", params=several, json={"is_paused": True}).ok
    until(lambda: asked() == before + 2, "its file is asked for again")
    until(lambda: watchers() == [], "it is watched no more")
