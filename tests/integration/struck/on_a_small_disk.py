"""Services on a disk of a few megabytes that runs full in mid-run and is given room: a program in a mount namespace of its own.

unshare --user --map-root-user --mount python -m tests.integration.struck.on_a_small_disk FOLDER (s3|everything)
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from include.clients import ledger_connection, s3_client
from include.provision import prepare_ledger
from sluice.runtime import settings_from
from sluice.services.catalogue import all_services
from sluice.services.environment import environment
from sluice.services.state import State
from sluice.services.supervisor import bring_up, take_down
from tests.integration.struck.test_outages import OPTIONS, file_of

MEGABYTES = {"s3": 4, "everything": 200}
LEFT_BYTES = {"s3": 60_000, "everything": 0}
FILES = 8


def main(folder: Path, full: str) -> None:
    state = State(folder / "state")
    disk = state.root / "s3" if full == "s3" else state.root
    disk.mkdir(parents=True, mode=0o700)
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES[full]}m,mode=0700", "tmpfs", str(disk)], check=True)
    services = [service for service in all_services(state) if service.name in {"postgres", "s3"}]
    bring_up(state, services)
    try:
        print(json.dumps(_story(state, disk, full)))
    finally:
        take_down(state, services)


def _story(state: State, disk: Path, full: str) -> dict[str, object]:
    told = environment(state) | {"SLUICE_STATE": str(state.root)}
    del told["SPARK_REMOTE"]  # Spark in the ingest's own process
    os.environ.update(told)
    where = settings_from(told)
    s3 = s3_client(where.s3)
    with ledger_connection(where.ledger) as ledger:
        prepare_ledger(ledger, where.s3.bucket)
    for number in range(1, FILES + 1):
        s3.put_object(Bucket=where.s3.bucket, Key=f"landing/transactions/dt=2026-11-01/{number}.csv", Body=file_of(number).encode())
    filler = disk / "filler"
    _fill(filler, LEFT_BYTES[full])
    code, said = _ingest()
    filler.unlink()
    with ledger_connection(where.ledger) as ledger:
        published = ledger.execute(
            "select (select count(*) from detection) + (select count(*) from file where state = 'published')"
        ).fetchone()
    after, _ = _ingest()
    with ledger_connection(where.ledger) as ledger:
        found = ledger.execute("select seq, pattern_id, customer_name, merchant_id from detection order by number").fetchall()
        states = ledger.execute("select distinct state::text from file").fetchall()
    written = s3.list_objects_v2(Bucket=where.s3.bucket, Prefix="detections/")["KeyCount"]
    return {
        "full": {"code": code, "said": said[-1], "published": published and published[0]},
        "room": {"code": after, "detections": found, "states": states, "files": written},
    }


def _fill(filler: Path, left: int) -> None:
    """Write until nothing more goes on the disk, then give back so many bytes."""
    with filler.open("wb", buffering=0) as file:
        piece = 1 << 20
        while piece >= 1:
            try:
                file.write(bytes(piece))
            except OSError:
                piece //= 4
        file.truncate(max(0, file.tell() - left))


def _ingest() -> tuple[int, list[str]]:
    command = [sys.executable, "-m", "sluice", "ingest", "transactions", "--until-empty", *OPTIONS]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    return done.returncode, done.stderr.splitlines()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
