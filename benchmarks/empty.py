"""Runs that find nothing, and discovery where a hundred thousand files are known."""

from __future__ import annotations

import datetime as dt
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

from botocore.exceptions import ClientError

from benchmarks.dag_runs import INGEST
from benchmarks.inputs import Input
from benchmarks.scale import Scale
from benchmarks.table import Row, median_of, spread, stages
from benchmarks.world import World
from include.ingestion import keys
from include.ingestion.steps.discover import discover
from sluice.cli.output import say
from sluice.runtime import now

_A_DAY = 1000
_WRITERS = 16
_BUCKET = "known-files"


def empty(world: World, given: Input, scale: Scale) -> Iterator[Row]:
    """In a warm process, as the command, as an Airflow run; then polls and sweeps over known files."""
    world.clear(given.importance)
    world.land(given.chunks(scale.rows, 1))
    world.drain()
    runs = [world.ingest().seconds for _ in range(scale.empty)]
    seconds = [sum(run.values()) for run in runs]
    yield Row("an empty run, in one process", statistics.median(seconds), "s", note=f"{spread(seconds)}; {stages(median_of(runs))}")
    seconds = [_seconds(lambda: world.sluice("ingest", world.spec.name)) for _ in range(scale.repeats)]
    yield Row("an empty run, sluice ingest", statistics.median(seconds), "s", note=f"{spread(seconds)}; its start included")
    yield _airflow(world, scale)
    yield from _known(world, scale)


def _airflow(world: World, scale: Scale) -> Row:
    world.dags.unpause(INGEST)
    runs = []
    for _ in range(scale.repeats):
        world.dags.settle(INGEST)
        runs.append(world.dags.measured(INGEST, {}))
    world.dags.rest(INGEST)
    seconds = [run.seconds for run in runs]
    note = f"from trigger to end; {spread(seconds)}; {stages(median_of([run.tasks for run in runs]))}"
    return Row("an empty run, Airflow", statistics.median(seconds), "s", note=note)


def _known(world: World, scale: Scale) -> Iterator[Row]:
    """The ledger is filled by its own register; the decisions on the files are then written as a batch would leave them."""
    world.clear(source_bucket=_BUCKET)
    _fill(world, scale.known)
    run = world.run()
    begun = time.perf_counter()
    found = discover(world.ports, world.spec, run)
    yield Row(f"discovery of {scale.known:,} new objects", time.perf_counter() - begun, "s", note="listed, registered in one transaction")
    assert found.token is not None
    world.ledger.let_go(world.spec, found.token)
    _publish(world)
    for name, full, repeats in (("poll", False, scale.empty), ("sweep", True, scale.repeats)):
        seconds = [_seconds(lambda full=full: discover(world.ports, world.spec, world.run(full=full))) for _ in range(repeats)]  # type: ignore[misc]
        what = "everything listed" if full else "the last dates and the undated keys listed"
        yield Row(
            f"discovery, {scale.known:,} known objects in older dates, {name}",
            statistics.median(seconds),
            "s",
            note=f"{what}; {spread(seconds)}",
        )


def _fill(world: World, count: int) -> None:
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
        say(f"writing {len(missing):,} small objects")
    with ThreadPoolExecutor(_WRITERS) as writers:
        for _ in writers.map(lambda key: world.s3.put_object(Bucket=_BUCKET, Key=key, Body=key.encode()), missing):
            pass


def _publish(world: World) -> None:
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
                      judged_at = clock_timestamp()"""
        )
        cursor.execute(
            """update file set state = 'published', group_name = feed.group_name, batch = 1, published_at = clock_timestamp(),
                      delivered_at = clock_timestamp() from feed where feed.feed = file.feed"""
        )
        cursor.execute("update feed_group set last_batch = 1 where group_name = %s", (world.spec.group,))
    world.ledger.connection.execute("vacuum analyze file")


def _seconds(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun
