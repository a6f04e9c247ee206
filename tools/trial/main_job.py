"""The transactions main job on the deployment: landed while a Spark worker and the scheduler are killed, then compared."""

from __future__ import annotations

import json
import re
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests import naive
from tools.trial.deployment import Deployment, until

INGEST = "transactions_ingest"
ROWS = 10_000
CELERY_CHUNKS = 12
CELERY_WORKERS = (1, 2)
SUBMIT_CHUNKS = 2
VAULT_CHUNKS = 2
LATER_CHUNKS = CELERY_CHUNKS + SUBMIT_CHUNKS + VAULT_CHUNKS
# Values of rows that no log may show. They are data of a file that is refused and of rows that are rejected.
CANARIES = ("SC-CANARY-CUSTOMER-5a1f", "SM-CANARY-MERCHANT-9c2e", "canary-amount-77b3", "canary_category_e41d")
_HEADER = "step,customer,age,gender,zipcodeOri,merchant,zipMerchant,category,amount,fraud"
_LAND = """
import sys
from pathlib import Path
from sluice.runtime import now, open_store, settings
where = settings()
for name in sys.argv[1:]:
    open_store(where).put(where.s3.bucket, f"landing/transactions/dt={now():%Y-%m-%d}/{name}", Path("/exchange", name).read_bytes())
"""
_PUBLISHED = """
select f.seq, c.first_row, c.last_row from file f left join producer_chunk c using (bucket, key)
where f.state = 'published' order by f.seq
"""


def run(deployment: Deployment, chunks: int) -> dict[str, Any]:
    """Do it; what was seen. Raises AssertionError where something is not as it must be."""
    begun = time.monotonic()
    deployment.output("run", "--rm", "--no-TTY", "cli", "sh", "-c", "rm -rf /exchange/*")  # what a test before this one left
    deployment.sluice("generate", "transactions", "--out", "/exchange/made", "--rows", str((chunks + LATER_CHUNKS) * ROWS))
    deployment.sluice("reference", "load", "/exchange/made/CustomerImportance.csv")
    deployment.airflow().unpause(INGEST)
    _plant(deployment)
    seen: dict[str, Any] = {}
    shares = {"spark-worker-1": chunks // 2, "airflow-scheduler": chunks - chunks // 2}
    for service, share in shares.items():
        seen[f"seconds from the kill of {service} until all is published"] = _ingested_while_killed(deployment, service, share)
    seen |= {"seconds from generation to the last publication": round(time.monotonic() - begun)}
    return seen | compared(deployment, chunks)


def _ingested_while_killed(deployment: Deployment, service: str, chunks: int, which: Callable[[], int] = lambda: 1) -> int:
    """Land chunks, kill a service's container while a batch of them is open, and wait until it is back and all is published; seconds."""
    before = _published(deployment)
    _land(deployment, chunks)
    until(lambda: _open(deployment), "a batch is open", 600)
    number = which()
    restarts = deployment.restarts(service, number)
    deployment.kill_inside(service, number)
    killed = time.monotonic()
    print(f"{service}-{number} was killed; " + ("a batch is open" if _open(deployment) else "the batch was published before it died"))
    until(lambda: deployment.restarts(service, number) > restarts, f"{service} is started again", 120)
    _until_published(deployment, before + chunks)
    return round(time.monotonic() - killed)


def _land(deployment: Deployment, chunks: int) -> None:
    deployment.producer("sluice", "produce", "/exchange/made/transactions.csv", "--rows", str(ROWS), "--every", "0", "--limit", str(chunks))


def _until_published(deployment: Deployment, files: int) -> None:
    until(lambda: _published(deployment) >= files and not _waiting(deployment), "everything that landed is published", 900)


def _plant(deployment: Deployment) -> None:
    """A file that is refused and one with rejected rows, both full of values that must not be seen in a log."""
    good = "0,'SCgood','4','F','28007','SMgood','28007','es_food',1.00,0"
    (deployment.exchange / "rejected.csv").write_text("\n".join([_HEADER, _bad_row(), *[good] * 40]) + "\n")
    deployment.producer("python", "-c", _LAND, "rejected.csv")
    _land_refused(deployment, "refused.csv", 50)


def _land_refused(deployment: Deployment, name: str, rows: int) -> None:
    (deployment.exchange / name).write_text("\n".join([_HEADER, *[_bad_row()] * rows]) + "\n")
    deployment.producer("python", "-c", _LAND, name)


def _bad_row() -> str:
    customer, merchant, amount, category = CANARIES
    return f"0,'{customer}','4','X','28007','{merchant}','28007','{category}',{amount},0"


def _open(deployment: Deployment) -> list[dict[str, Any]]:
    return query(deployment, "select 1 from batch where state = 'open'")


def _waiting(deployment: Deployment) -> list[dict[str, Any]]:
    return query(deployment, "select 1 from file where state in ('registered', 'accepted')")


def _published(deployment: Deployment) -> int:
    return _states(deployment).get("published", 0)


def _states(deployment: Deployment) -> dict[str, int]:
    return {row["state"]: row["n"] for row in query(deployment, "select state, count(*) as n from file group by state")}


def query(deployment: Deployment, statement: str) -> list[dict[str, Any]]:
    """Rows of the ledger, as a person who may only read sees them."""
    answer: list[dict[str, Any]] = json.loads(psql(deployment, "reader", f"select coalesce(json_agg(q), '[]') from ({statement}) q").stdout)
    return answer


def psql(deployment: Deployment, role: str, statement: str) -> subprocess.CompletedProcess[str]:
    """A statement as one of the ledger's roles, with the client that lies beside the server."""
    script = 'read -r PGPASSWORD; export PGPASSWORD; exec psql -h 127.0.0.1 -U "$1" -d sluice -XAtq -c "$2"'
    words = ("exec", "--no-TTY", "postgres", "sh", "-c", script, "ask", f"sluice_{role}", statement)
    return deployment.compose(*words, check=False, capture_output=True, input=deployment.secret(f"ledger_{role}_password") + "\n")


def celery(deployment: Deployment, chunks: int) -> dict[str, Any]:
    """More chunks by two of Celery's workers in place of the scheduler's forks; the one that has the open batch is killed."""
    deployment.change(AIRFLOW_EXECUTOR="CeleryExecutor", AIRFLOW_WORKERS=str(len(CELERY_WORKERS)), COMPOSE_PROFILES="celery")
    deployment.bring_up()

    def tasks(number: int) -> list[tuple[str, str]]:
        return taken_by_celery(deployment.logs_of("airflow-worker", number))

    def at_work() -> int:
        return max(CELERY_WORKERS, key=lambda number: max((instant for instant, task in tasks(number) if task == "process"), default=""))

    seconds = _ingested_while_killed(deployment, "airflow-worker", CELERY_CHUNKS, at_work)
    counts = {f"tasks of airflow-worker-{number}": dict(Counter(task for _, task in tasks(number))) for number in CELERY_WORKERS}
    assert all(counts.values()), f"a worker had nothing to do: {counts}"
    seen = {"seconds from the kill of a worker until all is published": seconds} | counts
    return seen | compared(deployment, chunks + CELERY_CHUNKS)


def taken_by_celery(worker: str) -> list[tuple[str, str]]:
    """The tasks that a worker has begun, by when and name, from its log with instants."""
    return re.findall(r"^(\S+) .*Executing workload in Celery: .*?\btask_id='(?:[\w-]+\.)*([\w-]+)'", worker, re.MULTILINE)


def ingested(deployment: Deployment, chunks: int) -> dict[str, Any]:
    before = _published(deployment)
    begun = time.monotonic()
    _land(deployment, chunks)
    _until_published(deployment, before + chunks)
    return {"seconds until all is published": round(time.monotonic() - begun)}


def submitted(deployment: Deployment, chunks: int) -> dict[str, Any]:
    """More chunks by spark-submit: Connect is stopped, and each task is a driver of its own on the same cluster."""
    words = ("run", "--rm", "--no-TTY", "--no-deps", "spark-connect", "python", "-m", "sluice.deployment.spark", "submit")
    deployment.keep_secret("spark_connection.json", deployment.output(*words))
    deployment.make_secrets()
    deployment.output("stop", "spark-connect")
    deployment.use("deploy/compose.submit.yaml")
    deployment.bring_up()
    seen = ingested(deployment, SUBMIT_CHUNKS)
    master = deployment.output("logs", "--no-log-prefix", "spark-master")
    applications, workers = on_the_cluster(master)
    assert applications, "no batch was an application of its own on the cluster"
    seen |= {"applications on the cluster": len(applications), "workers with executors": len(workers)}
    return seen | compared(deployment, chunks + CELERY_CHUNKS + SUBMIT_CHUNKS)


def on_the_cluster(master: str) -> tuple[set[str], set[str]]:
    """Batches that were applications of their own, by id, and the workers that had executors of them, from the master's log."""
    applications = set(re.findall(r"Registered app sluice transactions batch \d+ with ID (\S+)", master))
    launched = re.findall(r"Launching executor (\S+)/\d+ on worker (\S+)", master)
    return applications, {worker for application, worker in launched if application in applications}


def restored(deployment: Deployment, chunks: int) -> dict[str, Any]:
    """A backup by the ingest role, one more file, the backup put back by the owner, and the file from the journal; nothing is missing."""
    deployment.sluice("backup", "/exchange/ledger.dump")
    _land_refused(deployment, "refused_since.csv", 60)
    delivered = "select 1 from file where key like '%/refused_since.csv' and state = 'quarantined' and delivered_at is not null"
    until(lambda: query(deployment, delivered), "the file that came after the backup is refused and delivered", 600)
    deployment.airflow().pause(INGEST)
    owner = "export PGUSER=sluice_owner PGPASSWORD_FILE=/run/secrets/ledger_owner_password"
    script = f"{owner}; sluice restore /exchange/ledger.dump --yes && sluice roles grant && sluice reconcile transactions"
    deployment.output("run", "--rm", "--no-TTY", "--volume", f"{deployment.exchange}:/exchange", "init", "sh", "-c", script)
    deployment.airflow().unpause(INGEST)
    return compared(deployment, chunks)


def compared(deployment: Deployment, count: int) -> dict[str, Any]:
    """The published detections beside those of the tests' own evaluation, of the files in the order of their seqs."""
    states, refused = _states(deployment), len(list(deployment.exchange.glob("refused*.csv")))
    assert states == {"published": count + 1, "quarantined": refused}, states
    made = deployment.exchange / "made"
    chunks = query(deployment, _PUBLISHED)
    rows = naive.read_transactions(made / "transactions.csv")
    good = naive.Row("SCgood", "F", "SMgood", Decimal("1.00"))
    files = [(one["seq"], rows[one["first_row"] - 1 : one["last_row"]] if one["first_row"] else [good] * 40) for one in chunks]
    expected = naive.detections_incremental(files, naive.read_importance(made / "CustomerImportance.csv"), naive.Parameters())
    found = query(deployment, "select seq, pattern_id, merchant_id, customer_name from detection order by number")
    published = [naive.Detection(one["seq"], one["pattern_id"], one["merchant_id"], one["customer_name"]) for one in found]
    assert published == expected, f"{len(published)} detections were published, {len(expected)} expected"
    counted = sum(len(file) for _, file in files)
    assert counted == count * ROWS + 40, f"{counted} rows were published"
    return {"rows": counted, "detections": len(found)}
