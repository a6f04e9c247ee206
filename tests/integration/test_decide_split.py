"""The ledger's own decisions, in PostgreSQL, in any split against the model that tells files one after another."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from collections.abc import Sequence

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from include.clients import ledger_connection
from include.feed import FeedSpec, OverwritePolicy
from include.files.file import FileStamp
from include.files.verdict import Fault, Verdict
from include.pipeline.decide import decide
from include.provision import add_feed
from sluice.runtime import now
from tests.integration.trade import ORDERS, Trade, TradeResults
from tests.naive_overwrites import Put, fates

_numbers = itertools.count()
PUTS = st.builds(Put, st.sampled_from("abc"), st.sampled_from("pqrst")).map(lambda put: dataclasses.replace(put, bad=put.content == "t"))


def sha256(put: Put) -> str:
    return hashlib.sha256(put.content.encode()).hexdigest()


class Settling:
    """A feed of its own in the ledger. What lands is registered at once; gate and job say what the test says."""

    def __init__(self, trade: Trade, policy: str) -> None:
        name = f"settling{next(_numbers)}"
        self.trade, self.ledger = trade, trade.ledger
        self.spec: FeedSpec = dataclasses.replace(ORDERS, name=name, overwrite=OverwritePolicy(policy))
        self.results = TradeResults(name, trade.ledger, trade.store, trade.bucket)
        self.puts: list[Put] = []
        with ledger_connection(trade.where.ledger) as connection:
            add_feed(connection, self.spec, trade.bucket)

    def land(self, put: Put) -> None:
        token = self.ledger.leases.acquire(self.spec, self.trade.run(run_id="test"))
        self.puts.append(put)
        stamp = FileStamp(self.trade.bucket, put.name, f"etag {len(self.puts)}", 1, now())
        self.ledger.files.register(self.spec, token, self.trade.run(), [stamp])
        self.ledger.leases.release(self.spec, token)

    def round(self, most: int) -> bool:
        """Judge, decide and publish the next files as a run does; whether there were any."""
        run = self.trade.run(run_id="test")
        files = self.ledger.files.undecided(self.spec, most, 10**9)
        if not files:
            return False
        token = self.ledger.leases.acquire(self.spec, run)
        verdicts = [self.verdict(file.file_id, self.puts[file.seq - 1]) for file in files if not file.validated]
        self.ledger.files.record_verdicts(self.spec, token, run, "0", verdicts, "suite")
        decide(self.ledger, self.spec, run, token, [file.file_id for file in files])
        batch = self.ledger.batches.open(self.spec)
        if batch is None:
            self.ledger.leases.release(self.spec, token)
            return True
        names = [file.key for file in batch.files]
        assert self.spec.overwrite is not OverwritePolicy.SUPERSEDE or len(names) == len(set(names))
        assert {file.file_id for file in batch.files}.isdisjoint(old.file_id for old in batch.superseded)
        attempt = self.ledger.batches.begin_attempt(self.spec, token, run, batch.number)
        with self.ledger.batches.publishing(self.spec, token, run, attempt, {}) as (cursor, batch):
            self.results.publish(cursor, batch, [])
        return True

    @staticmethod
    def verdict(file_id: int, put: Put) -> Verdict:
        if put.bad:
            return Verdict(file_id, Fault.NO_ROWS, "it is bad", sha256(put))
        return Verdict(file_id, sha256=sha256(put), lines=1, accepted=1, rejected=0)

    @property
    def fates(self) -> list[str]:
        return [file["state"] for file in self.ledger.queries.list_files(self.spec.name)]


def test_a_batch_takes_no_more_than_its_bytes_once_they_are_read(trade: Trade) -> None:
    settling = Settling(trade, "append")
    for name in "abcdef":
        settling.land(Put(name, name))
    run, ledger, spec = trade.run(run_id="test", max_bytes=100), trade.ledger, settling.spec
    # of the first two what they hold is not known: their size, 1 byte, is taken
    decoded = [None, None, 98, 1, 500, 3]
    files = ledger.files.undecided(spec, 10, 100)
    token = ledger.leases.acquire(spec, run)
    verdicts = [
        dataclasses.replace(settling.verdict(file.file_id, put), decoded_bytes=size)
        for file, put, size in zip(files, settling.puts, decoded, strict=True)
    ]
    ledger.files.record_verdicts(spec, token, run, "0", verdicts, "suite")
    batches = []
    while waiting := ledger.files.undecided(spec, 10, 100):
        decide(ledger, spec, run, token, [file.file_id for file in waiting])
        batch = ledger.batches.open(spec)
        assert batch is not None
        batches.append([file.seq for file in batch.files])
        attempt = ledger.batches.begin_attempt(spec, token, run, batch.number)
        with ledger.batches.publishing(spec, token, run, attempt, {}) as (cursor, batch):
            settling.results.publish(cursor, batch, [])
        token = ledger.leases.acquire(spec, run)
    assert batches == [[1, 2, 3], [4], [5], [6]]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(policy=st.sampled_from(["reject", "append", "supersede", "supersede"]), puts=st.lists(PUTS, min_size=1, max_size=9), sizes=st.data())
def test_what_the_ledger_decides_depends_on_the_order_alone(trade: Trade, policy: str, puts: Sequence[Put], sizes: st.DataObject) -> None:
    settling = Settling(trade, policy)
    for put in puts:
        settling.land(put)
        if sizes.draw(st.booleans()):
            settling.round(sizes.draw(st.integers(1, 5)))
    while settling.round(sizes.draw(st.integers(1, 5))):
        pass
    assert settling.fates == fates(policy, puts)
    reasons = trade.ledger.rows(
        """select f.reason, n.file_id, n.seq from file f join file n on n.supersedes @> array[f.file_id]
           where f.feed = %s and f.state = 'superseded' and n.state in ('published', 'superseded')""",
        (settling.spec.name,),
    )
    assert [row["reason"] for row in reasons] == [f"superseded by file {row['file_id']}, seq {row['seq']}" for row in reasons]
    assert len(reasons) == settling.fates.count("superseded")
