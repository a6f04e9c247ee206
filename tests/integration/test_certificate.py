"""The crash certificate: a small seeded run of it, that it can fail, and that its yardstick is right."""

from __future__ import annotations

import csv
import gzip
import io
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from decimal import Decimal

import pytest

from certificate.domains.transactions.domain import TRANSACTIONS
from certificate.domains.transactions.stream import CHUNK_ROWS
from certificate.draw import Draw
from certificate.found import Snapshot
from certificate.places import Effect, Strike, Target, When
from certificate.report import Certificate, Round
from certificate.rounds import disturbed, undisturbed
from certificate.services import Services
from certificate.stream import Stream, Wave
from tests import naive
from tests.integration import mutations
from tests.integration.conftest import REUSED
from tests.integration.striking import Scripted, struck

__all__ = ["struck"]

SEED = 4
CHEAP = ("ingest", "producer", "network", "zombie", "restore")
KILLS = 40


@pytest.fixture(scope="module")
def stream() -> Stream:
    return TRANSACTIONS.stream(SEED)


@pytest.fixture(scope="module")
def yardstick(struck: Services, stream: Stream) -> Snapshot:
    return undisturbed(struck, TRANSACTIONS, stream)


def test_the_yardstick_is_what_a_naive_evaluation_says(yardstick: Snapshot, stream: Stream) -> None:
    accepted = [file for file in yardstick["file"].values() if file["state"] == "published"]
    contents = dict(contents_of(stream))
    files = [(file["seq"], good_rows(contents[file["key"], file["size"]])) for file in accepted]
    assert [len(rows) for _, rows in files] == [file["accepted"] for file in accepted]
    importance = [
        naive.ImportanceRow(row["Source"], row["Target"], Decimal(row["Weight"]), row["typeTrans"])
        for row in csv.DictReader(io.StringIO(stream.references["transactions", "importance"].decode()), quotechar="'")
    ]
    expected = naive.detections(files, importance, naive.Parameters(**stream.parameters))
    found = [(one["seq"], one["pattern_id"], one["merchant_id"], one["customer_name"]) for one in yardstick["detection"].values()]
    assert found == [tuple(one) for one in expected]
    assert {one.pattern_id for one in expected} == {"PatId1", "PatId2", "PatId3"}
    assert {file["state"] for file in yardstick["file"].values()} == {"published", "quarantined", "duplicate"}
    codes = {file["reason_code"] for file in yardstick["file"].values()}
    assert codes == {None, "overwrite", "too_many_rejects", "column_missing", "column_doubled", "empty"}
    assert "seen_again" in {event[0] for event in yardstick["event"].values()}


def contents_of(stream: Stream) -> Iterator[tuple[tuple[str, int], str]]:
    """The text of every file by key and size; the producer's chunks cut here, independently of it."""
    number = 0
    for wave in stream.waves:
        for key, body in wave.objects:
            yield (key, len(body)), (gzip.decompress(body) if key.endswith(".gz") else body).decode()
        for chunk in chunks_of(wave):
            number += 1
            yield (f"landing/transactions/dt=2026-11-01/chunk_{number}.csv", len(chunk.encode())), chunk


def chunks_of(wave: Wave) -> Iterator[str]:
    header, *lines = wave.source.decode().splitlines(keepends=True) or [""]
    for first in range(0, len(lines), CHUNK_ROWS):
        yield header + "".join(lines[first : first + CHUNK_ROWS])


def good_rows(content: str) -> list[naive.Row]:
    rows = csv.DictReader(io.StringIO(content), quotechar="'")
    return [
        naive.Row(row["customer"], row["gender"], row["merchant"], Decimal(row["amount"]))
        for row in rows
        if None not in row and row["gender"] in set("FMEU") and not row["amount"].startswith("-")
    ]


def test_killed_forty_times_in_as_many_places_nothing_is_lost_doubled_or_different(
    struck: Services, stream: Stream, yardstick: Snapshot
) -> None:
    certificate = Certificate()
    kinds = CHEAP if REUSED else (*CHEAP, "s3", "postgres", "worker")
    while certificate.kills < KILLS and certificate.clean:
        number = len(certificate.rounds) + 1
        draw = Draw(random.Random(f"{SEED}/{number}"), certificate.by_place(), kinds, TRANSACTIONS.never)
        done = disturbed(struck, stream, yardstick, draw, Round("transactions", SEED, number), KILLS + 10 - certificate.kills)
        certificate.rounds.append(done)
    print(certificate.text())
    assert certificate.clean, certificate.first_difference
    assert len(certificate.by_place()) > KILLS / 2


@pytest.mark.parametrize(
    ("taken_out", "blow", "kind", "noticed"),
    [
        (
            mutations.without_the_fence,
            Strike(Target.ZOMBIE, When.AFTER, Effect.MANIFEST),
            "different",
            "merchant_transaction_counts",
        ),
        (
            mutations.with_the_transaction_split,
            Strike(Target.INGEST, When.AFTER, Effect.PUBLISH),
            "different",
            "merchant_transaction_counts",
        ),
        (
            mutations.without_the_key_of_a_file,
            Strike(Target.INGEST, When.AFTER, Effect.REGISTRATION),
            "doubled",
            "file transactions seq",
        ),
    ],
)
def test_with_a_safeguard_taken_out_the_certificate_reports_the_difference(
    struck: Services, stream: Stream, taken_out: Callable[[], None], blow: Strike, kind: str, noticed: str
) -> None:
    short, expected = first_wave(struck, stream)
    for prepare, clean in ((None, True), (taken_out, False)):
        draw = Scripted(random.Random(SEED), Counter(), ("ingest",), blows=[blow])
        done = disturbed(struck, short, expected, draw, Round("transactions", SEED, 1), 1, prepare)
        assert sum((done.kills | done.faults).values()) == 1, "the blow did not fall"
        assert done.clean is clean, done
    assert getattr(done, kind) > 0
    assert kind in done.first_difference or noticed in done.first_difference


def first_wave(struck: Services, stream: Stream) -> tuple[Stream, Snapshot]:
    """The stream's first wave alone, and what it comes to."""
    short = replace(stream, waves=stream.waves[:1])
    return short, undisturbed(struck, TRANSACTIONS, short)
