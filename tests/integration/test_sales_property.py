"""What people see of sales in PostgreSQL, whatever arrives and however runs cut it, against the evaluation that knows no batches.

The ledger, the publications and the choice of the facts that a dimension's batch looks at again are the product's; what its Spark jobs sum
up and look up (tests/spark) is done here in plain Python.
"""

from __future__ import annotations

import dataclasses
import datetime as dt
import hashlib
import io
import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from decimal import Decimal
from functools import partial
from typing import Any, NamedTuple

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, event, example, given, settings
from hypothesis import strategies as st

from include.domains import feed_named
from include.domains.sales import schema as star
from include.domains.sales.publisher import DimensionPublisher, publish_facts
from include.domains.sales.request import LookedAtAgain
from include.domains.sales.state import published_facts
from include.files import keys
from include.files.batch import Batch
from include.files.file import FileStamp
from include.files.verdict import Verdict
from include.ledger import Ledger
from include.ledger.batches import Publish
from include.pipeline.decide import decide
from include.run import Run
from include.storage.parquet import Spooled, parquet_bytes
from include.storage.s3 import S3Store
from sluice.runtime import Settings, now, open_ports
from spark_jobs.sales.version_dimension import changed_names, files_to_look_at
from tests import naive_sales as naive
from tests.integration.shop import FEEDS, what_is_published, what_should_be

DAYS = [dt.date(2026, month, day) for month in (1, 2) for day in (1, 15)]
MIDNIGHTS = [dt.datetime.combine(day, dt.time(0), dt.UTC) for day in DAYS]
PRICES = [Decimal("1.00"), Decimal("2.50")]
NAMES = ["sugar", "salt"]
RUN = Run("test", now(), {})
_PRICED = ("file_id", "line", *star.FACT_FINDINGS.names[4:])


class Put(NamedTuple):
    """A file that lands; `over`: it has the name of the so-manieth one of its feed before it."""

    feed: str
    date: dt.date
    rows: tuple[naive.Row, ...]
    over: int | None = None


class Round(NamedTuple):
    """A run of a feed that takes so many files at most."""

    feed: str
    most: int


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.none() | strategy


IDS: st.SearchStrategy[Any] = st.integers(1, 3)
ROWS: Mapping[str, st.SearchStrategy[dict[str, Any]]] = {
    "sales": st.fixed_dictionaries(
        {
            **dict.fromkeys(("customer_id", "store_id", "sales_person_id", "quantity"), IDS),
            "product_name": st.sampled_from(NAMES),
            "sales_date": st.sampled_from(DAYS),
            "price": st.sampled_from(PRICES),
        }
    ).map(lambda row: row | {"total_cost": row["price"] * row["quantity"]}),
    "customer": st.fixed_dictionaries({"customer_id": IDS, "first_name": maybe(st.sampled_from("AB"))}),
    "store": st.fixed_dictionaries({"id": IDS, "address": maybe(st.just("road"))}),
    "product": st.fixed_dictionaries(
        {
            "id": IDS,
            "name": st.sampled_from(NAMES),
            "current_price": maybe(st.sampled_from(PRICES)),
            "updated_date": maybe(st.sampled_from(MIDNIGHTS)),
        }
    ),
    "sales_team": st.fixed_dictionaries({"id": IDS, "first_name": maybe(st.sampled_from("AB")), "manager_id": maybe(IDS)}),
}


def puts(over: st.SearchStrategy[int | None]) -> st.SearchStrategy[Put]:
    def of(feed: str) -> st.SearchStrategy[Put]:
        return st.builds(Put, st.just(feed), st.sampled_from(DAYS), st.lists(ROWS[feed], min_size=1, max_size=4).map(tuple), over)

    return st.sampled_from(("sales", "sales", *FEEDS)).flatmap(of)


ROUNDS = st.builds(Round, st.sampled_from(FEEDS), st.integers(1, 3))
LIVES = st.lists(puts(maybe(st.integers(0, 3))) | ROUNDS, min_size=4, max_size=14)


class Play:
    """A shop that begins with nothing: what another one left is forgotten."""

    def __init__(self, ledger: Ledger, bucket: str) -> None:
        with ledger.transaction() as cursor:
            cursor.execute("select string_agg(format('sales.%I', tablename), ', ') as names from pg_tables where schemaname = 'sales'")
            tables = cursor.fetchone()
            assert tables is not None
            cursor.execute(f"truncate file, batch, {tables['names']} cascade".encode())
            cursor.execute("update feed_group set lease_holder = null, lease_until = null, last_batch = 0, state_version = 0")
            cursor.execute("update feed set last_seq = 0")
        self._ledger, self._bucket = ledger, bucket
        self._names: dict[str, list[str]] = defaultdict(list)
        self._rows: dict[str, list[Mapping[int, naive.Row]]] = defaultdict(list)
        self._numbers: dict[Any, int] = defaultdict(itertools.count(1).__next__)

    def land(self, put: Put) -> None:
        """Register a file at once, as the next of its feed."""
        names = self._names[put.feed]
        if put.over is not None and names:
            key = names[put.over % len(names)]
        else:
            key = f"{keys.landing_date(keys.landing(put.feed), put.date)}{len(names)}.csv"
            names.append(key)
        self._rows[key].append(dict(enumerate(put.rows, start=2)))
        spec = feed_named(put.feed)
        token = self._ledger.leases.acquire(spec, RUN)
        self._ledger.files.register(spec, token, RUN, [FileStamp(self._bucket, key, f"etag {len(self._rows[key])}", 1, now())])
        self._ledger.leases.release(spec, token)

    def round(self, feed: str, most: int) -> bool:
        """Judge, decide and publish the next files as a run does; whether there were any."""
        spec, ledger = feed_named(feed), self._ledger
        files = ledger.files.undecided(spec, most, 10**9)
        if not files:
            return False
        token = ledger.leases.acquire(spec, RUN)
        verdicts = [self._verdict(file.file_id, file.key, file.version) for file in files if not file.validated]
        ledger.files.record_verdicts(spec, token, RUN, "0", verdicts, "suite")
        decide(ledger, spec, RUN, token, [file.file_id for file in files])
        batch = ledger.batches.open(spec)
        if batch is None:
            ledger.leases.release(spec, token)
            return True
        attempt = ledger.batches.begin_attempt(spec, token, RUN, batch.number)
        publish = self._prepared(batch)
        with ledger.batches.publishing(spec, token, RUN, attempt, {}) as (cursor, batch):
            publish(cursor, batch)
        return True

    def _verdict(self, file_id: int, key: str, version: int) -> Verdict:
        rows = len(self._rows[key][version - 1])
        return Verdict(file_id, sha256=hashlib.sha256(f"{key} {version}".encode()).hexdigest(), lines=rows, accepted=rows, rejected=0)

    def drain(self) -> None:
        for feed in FEEDS:
            while self.round(feed, 3):
                pass

    def files(self) -> list[naive.File]:
        """What was published, in the ledger's order."""
        found = self._ledger.rows(
            "select * from file where key = any(%s) and state in ('published', 'superseded') order by file_id", ([*self._rows],)
        )
        seqs = {row["file_id"]: row["seq"] for row in found}
        return [
            naive.File(
                *(row["feed"], row["seq"], row["file_id"], row["date"]),
                self._rows[row["key"]][row["version"] - 1],
                max((seqs[old] for old in row["supersedes"] or ()), default=None),
            )
            for row in found
        ]

    def proven(self) -> naive.Published:
        """What people see of this shop, once it is what its files say they should."""
        self.drain()
        files = self.files()
        assert len(files) == sum(map(len, self._rows.values()))
        expected, found = what_should_be(files), what_is_published(self._ledger)
        for part in dataclasses.fields(naive.Published):
            assert getattr(found, part.name) == getattr(expected, part.name), part.name
        assert self._ledger.rows("select holds from sales.proof") == [{"holds": True}]
        return found

    def _prepared(self, batch: Batch) -> Publish:
        """What publishes what the batch's job would leave."""
        before = self.files()
        moved = {file.file_id for file in batch.files}
        known = {row["file_id"]: row for row in self._ledger.rows("select * from file where file_id = any(%s)", ([*moved],))}
        new = [
            naive.File(
                batch.feed, file.seq, file.file_id, known[file.file_id]["date"], self._rows[file.key][known[file.file_id]["version"] - 1]
            )
            for file in batch.files
        ]
        gone = {old.file_id for old in batch.superseded}
        if batch.feed == naive.FACTS:
            replaced = {old.file_id: file.seq for file in batch.files for old in file.supersedes}
            sums, findings = self._facts(before, new, [file for file in before if file.file_id in gone], replaced)
            return partial(publish_facts, sums=sums, findings=findings)
        after = [*(file for file in in_force(before, batch.feed) if file.file_id not in gone), *new]
        return self._dimension(batch.feed, before, after, moved | gone)

    def _facts(
        self, before: list[naive.File], new: list[naive.File], gone: list[naive.File], replaced: Mapping[int, int]
    ) -> tuple[Spooled, Spooled]:
        sums: dict[tuple[Any, ...], tuple[int, Decimal]] = defaultdict(lambda: (0, Decimal(0)))
        for sign, files in ((1, new), (-1, gone)):
            for file, _, row in naive.lines(files):
                month, seq = naive.first_of_month(row["sales_date"]), file.seq if sign > 0 else replaced[file.file_id]
                for names in (("customer_id",), ("store_id", "sales_person_id"), ("product_name",)):
                    group = (seq, sign, month, *(row[name] if name in names else None for name in star.SUMS.names[1:5]))
                    rows, total = sums[group]
                    sums[group] = (rows + sign, total + sign * row["total_cost"])
        told = [dict(zip(star.SUMS.names, (group[0], *group[3:], group[2], *sum_), strict=True)) for group, sum_ in sums.items()]
        versions = {feed: naive.versions_of(feed, in_force(before, feed)) for feed in naive.KEYS}
        return spooled(told, star.SUMS), spooled(unusual(naive.lines(new), versions), star.FACT_FINDINGS)

    def _dimension(self, feed: str, before: list[naive.File], after: list[naive.File], moved: set[int]) -> Publish:
        dimension = star.DIMENSIONS[feed]
        then, there = (in_force(files, feed) for files in (before, [*after]))
        touched = {row[dimension.key] for file, _, row in naive.lines([*then, *there]) if file.file_id in moved}
        old, held = naive.versions_of(feed, then), naive.versions_of(feed, there)
        facts = in_force(before, naive.FACTS)
        told: list[dict[str, Any]] = []
        again = LookedAtAgain()
        if dimension is star.PRODUCT:
            changed = changed_names(timelines(old), timelines(held))
            named_before = {row["product_name"] for row in timelines(old)}
            looked = {file.file_id for file in files_to_look_at(published_facts(self._ledger.session), changed, named_before)}
            again = LookedAtAgain(tuple(sorted(changed)), tuple(sorted(looked)))
            concerned = [one for one in naive.lines(facts) if one[0].file_id in looked and one[2]["product_name"] in changed]
            told = unusual(concerned, {"product": held})
        else:
            lost = touched - held.keys()
            told = [
                dict(zip(star.FACT_FINDINGS.names[:4], (file.file_id, line, dimension.names, str(row[dimension.names])), strict=True))
                for file, line, row in naive.lines(facts)
                if row[dimension.names] in lost
            ]
        tables = {
            "touched_keys": spooled([{"key": key} for key in sorted(touched)], pa.schema([("key", pa.int64())])),
            "changed": spooled([*self._versions(dimension, there, held, touched)], dimension.versions),
            "findings": spooled(told, star.FACT_FINDINGS),
        }
        publisher = DimensionPublisher(dimension, self._ledger.session, S3Store(None), self._bucket)  # type: ignore[arg-type]
        return partial(publisher.publish, state={}, again=again, **tables)

    def _versions(
        self, dimension: star.Dimension, files: list[naive.File], held: Mapping[int, Sequence[naive.Version]], touched: set[int]
    ) -> Iterator[dict[str, Any]]:
        said_in = {id(row): (file, line) for file, line, row in naive.lines(files)}
        for key in sorted(touched & held.keys()):
            for version in held[key]:
                file, line = said_in[id(version.row)]
                said = naive.said_for(dimension.feed, file, version.row)
                yield {
                    **{name: version.row.get(name) for name in dimension.attributes.names},
                    "key": key,
                    "valid_from": version.since,
                    "valid_to": version.until,
                    "surrogate": self._numbers[dimension.feed, key, said],
                    "seq": file.seq,
                    "line": line,
                    "file_id": file.file_id,
                }


def in_force(files: Sequence[naive.File], feed: str) -> list[naive.File]:
    return naive.in_force_of(files, feed)


def unusual(lines: Any, versions: Mapping[str, Mapping[int, Sequence[naive.Version]]]) -> list[dict[str, Any]]:
    """What is unknown in these facts, of all columns or of products alone, and which prices are others."""
    unknown, priced = [], []
    everything = {feed: versions.get(feed, {}) for feed in naive.KEYS}
    for file, line, row in lines:
        told = [one for one in naive.unknown(file, line, row, everything) if len(versions) > 1 or one[2] == "product_name"]
        unknown += [dict(zip(star.FACT_FINDINGS.names[:4], one, strict=True)) for one in told]
        for file_id, _, product_id, since in naive.warned(file, line, row, everything["product"]):
            match = naive.sold(row, everything["product"])
            assert match is not None
            values = (file_id, line, row["product_name"], product_id, since, row["price"], match[1].row["current_price"])
            priced.append(dict(zip(_PRICED, values, strict=True)))
    return [*unknown, *priced]


def spooled(rows: Sequence[Mapping[str, Any]], schema: pa.Schema) -> Spooled:
    """Rows as publish gets them from a job."""
    return Spooled(io.BytesIO(parquet_bytes(pa.Table.from_pylist(list(rows), schema))))


def timelines(products: Mapping[int, Sequence[naive.Version]]) -> Iterator[dict[str, Any]]:
    """Which product each name means, from each day on which any bearer of it comes or goes."""
    bearers: dict[str, list[tuple[int, naive.Version]]] = defaultdict(list)
    for product_id, versions in products.items():
        for version in versions:
            bearers[version.row["name"]].append((product_id, version))
    for name, those in bearers.items():
        ends = sorted({version.until for _, version in those if version.until} | {version.since for _, version in those})
        for since, until in itertools.zip_longest(ends, ends[1:]):
            match = naive.sold({"product_name": name, "sales_date": since}, products)
            if match is not None:
                product_id, version = match
                yield {
                    "product_name": name,
                    "since": since,
                    "until": until,
                    "product_id": product_id,
                    "product_key": (product_id, version.since),
                    "current_price": version.row["current_price"],
                    "product_valid_from": version.since,
                }


@pytest.fixture
def ledger(where: Settings) -> Iterator[tuple[Ledger, str]]:
    with ExitStack() as stack:
        opened: Any = stack.enter_context(open_ports(where, feed_named("sales"), print)).ledger
        yield opened, where.s3.bucket


EXAMPLES = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


SUGAR = {"name": "sugar", "updated_date": None}
SOLD = {"customer_id": 1, "store_id": 1, "sales_person_id": 1, "quantity": 1, "product_name": "sugar", "sales_date": DAYS[0]}
TAKEN_OVER = [
    Put("product", DAYS[0], ({**SUGAR, "id": 3, "current_price": None},)),
    Put("sales", DAYS[0], ({**SOLD, "price": PRICES[1], "total_cost": PRICES[1]},)),
    Round("product", 1),
    Round("sales", 1),
    Put("product", DAYS[0], ({**SUGAR, "id": 1, "current_price": PRICES[0]},)),
]
"""A name that one product bears is taken over by another with a lower id (found 2026-11-30)."""


@EXAMPLES
@example(life=TAKEN_OVER)
@given(life=LIVES)
def test_whatever_arrives_and_however_runs_cut_it_people_see_what_the_files_in_force_say(
    ledger: tuple[Ledger, str], life: list[Put | Round]
) -> None:
    play = Play(*ledger)
    for one in life:
        if isinstance(one, Put):
            play.land(one)
        else:
            play.round(*one)
    found = play.proven()
    for part in dataclasses.fields(naive.Published):
        if getattr(found, part.name):
            event(f"{part.name} told")
    if any(file.supersedes for file in play.files()):
        event("superseded")


def untied(files: list[Put]) -> list[Put]:
    """The same files without rows that say a second thing of a key and day, so that it does not matter which came last."""
    said: set[Any] = set()
    left = []
    for put in files:
        rows = []
        for row in put.rows:
            about = (put.feed, row.get("customer_id", row.get("id")), row.get("updated_date"), put.feed == "sales_team" and put.date)
            if put.feed == naive.FACTS or about not in said:
                rows.append(row)
                said.add(about)
        if rows:
            left.append(put._replace(rows=tuple(rows)))
    return left


@EXAMPLES
@given(files=st.lists(puts(st.none()), min_size=2, max_size=9).map(untied), data=st.data())
def test_where_nothing_is_overwritten_and_nothing_ties_any_order_of_arrival_gives_the_same(
    ledger: tuple[Ledger, str], files: list[Put], data: st.DataObject
) -> None:
    seen = []
    for order in (range(len(files)), data.draw(st.permutations(range(len(files))))):
        play = Play(*ledger)
        for place in order:
            play.land(files[place])
            for one in data.draw(st.lists(ROUNDS, max_size=2)):
                play.round(*one)
        play.proven()
        seen.append(told(play))
    assert seen[0] == seen[1]


def told(play: Play) -> dict[str, Any]:
    """What people see of a shop apart from which of its files said it, and what incentives were on the way."""
    found = play.proven()
    rows = {file.file_id: file.rows for file in play.files()}

    def of_line(file_id: int, line: int) -> list[str]:
        return sorted(f"{name} {value}" for name, value in rows[file_id][line].items())

    return {
        "customers": found.customers,
        "team": found.team,
        "unresolved": sorted((of_line(file_id, line), column, value) for file_id, line, column, value in found.unresolved),
        "warnings": sorted((of_line(file_id, line), product_id, since) for file_id, line, product_id, since in found.warnings),
        "versions": found.versions,
    }
