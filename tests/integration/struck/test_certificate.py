"""The crash certificate: a small seeded run of it, that it can fail, and that its baseline is right."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal

import pytest

from tests import naive
from tests.integration.struck import mutations
from tests.integration.struck.striking import KINDS, clean_until_taken_out, contents_of, killed_often, struck
from tools.certificate.domains.transactions.domain import TRANSACTIONS
from tools.certificate.places import Effect, Fault, Target, When
from tools.certificate.records import Snapshot
from tools.certificate.rounds import undisturbed
from tools.certificate.services import Services
from tools.certificate.stream import Stream

__all__ = ["struck"]

SEED = 4
KILLS = 40


@pytest.fixture(scope="module")
def stream() -> Stream:
    return TRANSACTIONS.stream(SEED)


@pytest.fixture(scope="module")
def baseline(struck: Services, stream: Stream) -> Snapshot:
    return undisturbed(struck, TRANSACTIONS, stream)


@pytest.fixture(scope="module")
def first_wave(struck: Services, stream: Stream) -> tuple[Stream, Snapshot]:
    """The stream's first wave alone, and what it comes to."""
    short = replace(stream, waves=stream.waves[:1])
    return short, undisturbed(struck, TRANSACTIONS, short)


def test_the_baseline_is_what_a_naive_evaluation_says(baseline: Snapshot, stream: Stream) -> None:
    accepted = [file for file in baseline["file"].values() if file["state"] == "published"]
    contents = {(key, len(body)): (gzip.decompress(body) if key.endswith(".gz") else body).decode() for key, body in contents_of(stream)}
    files = [(file["seq"], good_rows(contents[file["key"], file["size"]])) for file in accepted]
    assert [len(rows) for _, rows in files] == [file["accepted"] for file in accepted]
    importance = [
        naive.ImportanceRow(row["Source"], row["Target"], Decimal(row["Weight"]), row["typeTrans"])
        for row in csv.DictReader(io.StringIO(stream.references["transactions", "importance"].decode()), quotechar="'")
    ]
    expected = naive.detections(files, importance, naive.Parameters(**stream.parameters))
    found = [(one["seq"], one["pattern_id"], one["merchant_id"], one["customer_name"]) for one in baseline["detection"].values()]
    assert found == [tuple(one) for one in expected]
    assert {one.pattern_id for one in expected} == {"PatId1", "PatId2", "PatId3"}
    assert {file["state"] for file in baseline["file"].values()} == {"published", "quarantined", "duplicate"}
    codes = {file["reason_code"] for file in baseline["file"].values()}
    assert codes == {None, "overwrite", "too_many_rejects", "column_missing", "column_doubled", "empty"}
    assert "seen_again" in {event[0] for event in baseline["event"].values()}


def good_rows(content: str) -> list[naive.Row]:
    rows = csv.DictReader(io.StringIO(content), quotechar="'")
    return [
        naive.Row(row["customer"], row["gender"], row["merchant"], Decimal(row["amount"]))
        for row in rows
        if None not in row and row["gender"] in set("FMEU") and not row["amount"].startswith("-")
    ]


def test_killed_forty_times_in_as_many_places_nothing_is_lost_doubled_or_different(
    struck: Services, stream: Stream, baseline: Snapshot
) -> None:
    killed_often(struck, TRANSACTIONS, stream, baseline, SEED, KILLS, (*KINDS, "worker"))


@pytest.mark.parametrize(
    ("taken_out", "fault", "kind", "noticed"),
    [
        (
            mutations.without_the_fence,
            Fault(Target.FENCED_RUN, When.AFTER, Effect.MANIFEST),
            "different",
            "merchant_transaction_counts",
        ),
        (
            mutations.without_the_fence_of_deliveries,
            Fault(Target.FENCED_RUN, When.BEFORE, Effect.ARCHIVE),
            "doubled",
            ", event ",
        ),
        (
            mutations.with_the_transaction_split,
            Fault(Target.INGEST, When.AFTER, Effect.PUBLISH),
            "different",
            "merchant_transaction_counts",
        ),
        (
            mutations.without_the_key_of_a_file,
            Fault(Target.INGEST, When.AFTER, Effect.REGISTRATION),
            "doubled",
            "file transactions seq",
        ),
    ],
)
def test_with_a_safeguard_taken_out_the_certificate_reports_the_difference(
    struck: Services, first_wave: tuple[Stream, Snapshot], taken_out: Callable[[], None], fault: Fault, kind: str, noticed: str
) -> None:
    short, expected = first_wave
    done = clean_until_taken_out(struck, TRANSACTIONS, short, expected, taken_out, fault)
    assert getattr(done, kind) > 0
    assert kind in done.first_difference or noticed in done.first_difference
