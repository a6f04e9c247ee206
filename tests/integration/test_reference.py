"""Loading CustomerImportance on real PostgreSQL and S3: checked, exact, versioned, and never half."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg
import pyarrow.parquet as pq
import pytest

from include.clients import ledger_connection
from include.domains.transactions.schema import REFERENCE
from include.errors import UsageError
from include.files.file import FileStamp
from sluice.produce.sources import source
from sluice.reference.errors import ReferenceUnfit
from sluice.reference.history import history
from sluice.reference.loader import Loaded, load
from sluice.runtime import new_id, now
from tests.integration.world import DAY, World

HEADER = "Source,Target,Weight,typeTrans,fraud\n"
ROWS = "'C1','M1',1.00,'a',0\n'C1','M1',2,'a',0\n'C1','M1',2.10,'b',0\n'C2','M1',0.5,'a',1\n'C1','M0',3,'a',0\n"
WEIGHTED = [("C1", "M0", 3 * 10**9), ("C1", "M1", 1_800_000_000), ("C2", "M1", 500_000_000)]

Load = Callable[..., Loaded]


@pytest.fixture
def loading(world: World, tmp_path: Path) -> Load:
    def loaded(content: str | bytes, **options: Any) -> Loaded:
        path = tmp_path / "CustomerImportance.csv"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        options = {"feed": "transactions", "name": "importance", "loaded_by": "me", "run_id": "r", "new_id": new_id, **options}
        with ledger_connection(world.where.ledger) as ledger:
            return load(source(str(path)), world.store, ledger, bucket=world.bucket, log=world.said.append, **options)

    return loaded


def register(world: World, *names: str) -> None:
    token = world.ledger.leases.acquire(world.spec, world.run())
    world.ledger.files.register(world.spec, token, world.run(), [FileStamp(world.bucket, DAY + name, "e", 1, now()) for name in names])
    world.ledger.leases.release(world.spec, token)


def test_a_load_is_aggregated_exactly_and_registered(world: World, loading: Load) -> None:
    made = loading(HEADER + ROWS)
    assert (made.version, made.unchanged, made.rows, made.rejected, made.pairs, made.after_seq) == (1, False, 5, 0, 3, 0)
    stored = pq.read_table(io.BytesIO(world.store.read_bytes(world.bucket, made.key)))
    assert stored.schema.equals(REFERENCE)
    assert [tuple(row.values()) for row in stored.to_pylist()] == WEIGHTED
    (row,) = world.ledger.rows("select * from reference")
    stamp = world.store.head(world.bucket, made.key)
    assert stamp is not None
    assert (row["key"], row["etag"], row["sha256"], row["loaded_by"], row["run_id"]) == (made.key, stamp.etag, made.sha256, "me", "r")


def test_a_later_load_is_in_force_for_the_files_after_those_registered(world: World, loading: Load) -> None:
    loading(HEADER + ROWS)
    register(world, "a.csv", "b.csv")
    made = loading(HEADER + ROWS + "'C9','M1',1,'a',0\n")
    assert (made.version, made.after_seq, made.pairs) == (2, 2, 4)
    with ledger_connection(world.where.ledger) as ledger:
        assert [(row["version"], row["after_seq"]) for row in history(ledger, "transactions")] == [(1, 0), (2, 2)]


@pytest.mark.parametrize("again", [HEADER + ROWS, gzip.compress((HEADER + ROWS).encode())], ids=["plain", "packed"])
def test_the_content_in_force_loaded_again_changes_nothing(again: str | bytes, world: World, loading: Load) -> None:
    first = loading(HEADER + ROWS)
    register(world, "a.csv")
    made = loading(again)
    assert (made.unchanged, made.version, made.after_seq, made.key) == (True, 1, 0, first.key)
    assert world.keys("state/transactions/reference/") == [first.key]


def test_an_older_content_put_back_is_a_version_of_its_own(loading: Load) -> None:
    assert loading(HEADER + ROWS).version == 1
    assert loading(HEADER + "'C1','M1',1,'a',0\n").version == 2
    assert loading(HEADER + ROWS).version == 3


def test_rejected_rows_are_left_out_and_told(world: World, loading: Load) -> None:
    good = "'C5','M5',1,'a',0\n" * 20
    made = loading(HEADER + "'C1','M1',-1,'a',0\n" + good + "'','M1',1,'a',0\n")
    assert (made.rows, made.rejected, made.pairs) == (22, 2, 1)
    assert world.said[-2:] == ["  line 2: Weight does not match [0-9]{1,9}(\\.[0-9]{1,9})?", "  line 23: Source is empty"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("", "the file is empty"),
        (HEADER, "has a header and no rows"),
        ("Source,Target,typeTrans\n'C1','M1','a'\n", "missing columns Weight"),
        (HEADER + "'C1','M1',x,'a',0\n" + ROWS, r"1 of 6 rows are rejected, more than its contract tolerates \(Weight matches 1\)"),
        (HEADER + "'C1','M1',1\n", r"1 of 1 rows are rejected, more than its contract tolerates \(line fields 1\)"),
    ],
)
def test_a_reference_that_does_not_keep_its_contract_leaves_the_one_in_force(content: str, says: str, world: World, loading: Load) -> None:
    first = loading(HEADER + ROWS)
    with pytest.raises(ReferenceUnfit, match=rf"CustomerImportance.csv: .*{says}.* Nothing was loaded"):
        loading(content)
    assert world.keys("state/transactions/reference/") == [first.key]
    assert len(world.ledger.rows("select 1 from reference")) == 1


def test_a_reference_that_no_feed_has_is_refused(loading: Load) -> None:
    with pytest.raises(UsageError, match="transactions has no reference 'weights'; there are: transactions importance"):
        loading(HEADER + ROWS, name="weights")


@pytest.mark.parametrize("statement", ["update reference set pairs = 9", "delete from reference"])
def test_what_was_loaded_stays(statement: str, world: World, loading: Load) -> None:
    loading(HEADER + ROWS)
    with pytest.raises(psycopg.errors.RaiseException, match="was loaded and stays as it is"):
        world.ledger.rows(statement)


def test_the_command_loads_and_lists(world: World, tmp_path: Path) -> None:
    path = tmp_path / "importance.csv.gz"
    path.write_bytes(gzip.compress((HEADER + ROWS).encode()))
    assert "version 1: 5 rows, 0 rejected, 3 pairs" in world.sluice("reference", "load", str(path)).stdout
    assert "nothing changed" in world.sluice("reference", "load", str(path)).stdout
    assert '"after_seq": 0' in world.sluice("reference", "list", "--json").stdout
