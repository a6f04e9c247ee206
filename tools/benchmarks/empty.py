"""Commands that find nothing or one file, their start included, and discovery where a hundred thousand files are known."""

from __future__ import annotations

import datetime as dt
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from include.files import keys
from include.pipeline.discover import discover
from sluice.cli.output import log
from sluice.runtime import now
from tools.benchmarks.dag_runs import INGEST, DagRuns
from tools.benchmarks.inputs import Input, Scale
from tools.benchmarks.table import Row, median_of, spread, stages
from tools.benchmarks.world import TransactionsWorld

_A_DAY = 1000
_WRITERS = 16
_BUCKET = "known-files"


def empty(world: TransactionsWorld, dataset: Input, scale: Scale) -> Iterator[Row]:
    """In a warm process, as the command, as an Airflow run; then polls and sweeps over known files."""
    world.begin(dataset.importance)
    chunks = dataset.chunks(scale.rows, 1 + scale.repeats)
    world.land([next(chunks)])
    world.drain()
    runs = [world.ingest().seconds for _ in range(scale.empty)]
    yield _row("an empty run, in one process", [sum(run.values()) for run in runs], f"{{}}; {stages(median_of(runs))}")
    for name, command in (("an empty run, sluice ingest", "ingest"), ("sluice files", "files")):
        yield _row(name, [_seconds(world.sluice, command, world.spec.name) for _ in range(scale.repeats)])
    seconds = []
    for number, chunk in enumerate(chunks, start=2):
        world.land([chunk], number)
        seconds.append(_seconds(world.sluice, "ingest", world.spec.name))
    yield _row("one file, sluice ingest", seconds)
    if world.dags is not None:
        yield _airflow(world.dags, scale)
    yield from _known(world, scale)


def _row(measurement: str, seconds: Sequence[float], note: str = "{}; its start included") -> Row:
    """The median, with how far repetitions lie apart in the note."""
    return Row(measurement, statistics.median(seconds), "s", note=note.format(spread(seconds)))


def _airflow(dags: DagRuns, scale: Scale) -> Row:
    dags.unpause(INGEST)
    runs = []
    for _ in range(scale.repeats):
        dags.wait_until_idle(INGEST)
        runs.append(dags.measured(INGEST, {}))
    dags.rest(INGEST)
    note = f"from trigger to end; {{}}; {stages(median_of([run.tasks for run in runs]))}"
    return _row("an empty run, Airflow", [run.seconds for run in runs], note)


def _known(world: TransactionsWorld, scale: Scale) -> Iterator[Row]:
    """The ledger is filled by its own register; the decisions on the files are then written as a batch would leave them."""
    world.clear(source_bucket=_BUCKET)
    _fill(world, scale.known)
    run = world.run()
    begun = time.perf_counter()
    found = discover(world.ports, world.spec, run)
    yield Row(f"discovery of {scale.known:,} new objects", time.perf_counter() - begun, "s", note="listed, registered in one transaction")
    assert found.token is not None
    world.ledger.leases.release(world.spec, found.token)
    _publish(world)
    for name, full, repeats in (("poll", False, scale.empty), ("sweep", True, scale.repeats)):
        seconds = [_seconds(discover, world.ports, world.spec, world.run(full=full)) for _ in range(repeats)]
        what = "everything listed" if full else "the last dates and the undated keys listed"
        yield _row(f"discovery, {scale.known:,} known objects in older dates, {name}", seconds, f"{what}; {{}}")


def _fill(world: TransactionsWorld, count: int) -> None:
    """Small objects in older dates, in a bucket that is kept for the next time."""
    try:
        world.s3.create_bucket(Bucket=_BUCKET)
    except ClientError as refused:
        if refused.response["Error"]["Code"] not in ("BucketAlreadyOwnedByYou", "BucketAlreadyExists"):
            raise
    prefix = keys.landing(world.spec.name)
    newest = now().date() - dt.timedelta(days=30)
    wanted = [keys.landing_chunk(prefix, newest - dt.timedelta(days=number // _A_DAY), number) for number in range(count)]
    there = {stamp.key for stamp in world.ports.store.objects(_BUCKET, prefix)}
    for key in there.difference(wanted):
        world.s3.delete_object(Bucket=_BUCKET, Key=key)
    missing = [key for key in wanted if key not in there]
    if missing:
        log(f"writing {len(missing):,} small objects")
    with ThreadPoolExecutor(_WRITERS) as writers:
        for _ in writers.map(lambda key: world.s3.put_object(Bucket=_BUCKET, Key=key, Body=key.encode()), missing):
            pass


def _publish(world: TransactionsWorld) -> None:
    """Everything registered as if a batch had published and delivered it."""
    with world.ledger.transaction() as cursor:
        cursor.execute(
            """insert into batch (group_name, batch, feed, state, first_seq, last_seq, files, rows, parameters, started_at, published_at,
                                  delivered_at, code_version)
               select group_name, 1, feed, 'published', 1, last_seq, last_seq, last_seq, '{}', clock_timestamp(), clock_timestamp(),
                      clock_timestamp(), 'benchmark' from feed where feed = %s""",
            (world.spec.name,),
        )
        cursor.execute(
            """update file set state = 'accepted', sha256 = encode(sha256(key::bytea), 'hex'), lines = 1, accepted = 1, rejected = 0,
                      validated_at = clock_timestamp()"""
        )
        cursor.execute(
            """update file set state = 'published', group_name = feed.group_name, batch = 1, published_at = clock_timestamp(),
                      delivered_at = clock_timestamp() from feed where feed.feed = file.feed"""
        )
        cursor.execute("update feed_group set last_batch = 1 where group_name = %s", (world.spec.group,))
    world.ledger.session.connection.execute("vacuum analyze file")


def _seconds(work: Callable[..., object], *arguments: object) -> float:
    begun = time.perf_counter()
    work(*arguments)
    return time.perf_counter() - begun
