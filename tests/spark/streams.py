"""Random streams of files, run through the product in batches, and through the naive evaluation in one go."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st

from spark_jobs.transactions import detect
from tests import naive
from tests.spark.facts import DecisionContext, Found, Spent, detected, partials

customers = st.sampled_from(["a", "b", "c", "d", "é", "C1"])
merchants = st.sampled_from(["m", "n", "\uff21"])
spent = st.builds(Spent, customers, merchants, st.sampled_from([0, 1, 2299, 2300, 2301, 5000]), st.sampled_from("FMEU"))
streams = st.lists(st.lists(spent, max_size=12), min_size=1, max_size=8)
weight = st.one_of(
    st.sampled_from([Decimal(0), Decimal("0.1"), Decimal("0.01"), Decimal(1)]),
    st.decimals(0, 3, places=9, allow_nan=False, allow_infinity=False),
)
importance = st.lists(st.builds(naive.ImportanceRow, customers, merchants, weight, st.sampled_from(["x", "y"])), max_size=25)
thresholds = st.builds(
    naive.Parameters,
    min_total=st.integers(0, 12),
    min_count=st.integers(1, 4),
    max_avg_cents=st.sampled_from([1, 2300, 2301]),
    min_female=st.integers(0, 2),
    top=st.sampled_from([0, 10, 33, 50, 100]),
    bottom=st.sampled_from([0, 10, 33, 50, 100]),
)


def naively(files: Sequence[Sequence[Spent]], rows: Sequence[naive.ImportanceRow], parameters: naive.Parameters) -> list[Found]:
    """What should be found, from the tests' own evaluation; seqs from 1."""
    history = [
        (seq, [naive.Row(row.customer, row.gender, row.merchant, Decimal(row.cents) / 100) for row in file])
        for seq, file in enumerate(files, start=1)
    ]
    return [(d.seq, d.pattern_id, d.merchant, d.customer) for d in naive.detections(history, rows, parameters)]


def in_batches(
    files: Sequence[Sequence[Spent]], cuts: Sequence[int], rows: Sequence[naive.ImportanceRow], parameters: naive.Parameters
) -> list[Found]:
    """The same from the product: batch by batch, partials becoming state, each key once."""
    weights = {pair: int(value * 10**9) for pair, value in naive.weights_of(rows).items()}
    state: list[DecisionContext] = []
    found: list[Found] = []
    seen: set[tuple[str, str, str | None]] = set()
    for batch in cut(files, cuts):
        for detection in detected(batch, state, weights, **parameters._asdict()):
            if detection[1:] not in seen:
                seen.add(detection[1:])
                found.append(detection)
        state += partials(batch, state)
    return found


def cut(files: Sequence[Sequence[Spent]], cuts: Sequence[int]) -> Iterator[Mapping[int, Sequence[Spent]]]:
    """Batches of the files, cut after the given seqs."""
    ends = [*sorted({place for place in cuts if 0 < place < len(files)}), len(files)]
    for first, end in zip([0, *ends], ends, strict=False):
        yield {seq: files[seq - 1] for seq in range(first + 1, end + 1)}


def bronze(batch: Mapping[int, Sequence[Spent]], file_id: int, seq: int) -> pa.Table:
    """A file's accepted rows as the gate leaves them, as far as the job looks at them; lines from 2."""
    rows = batch[seq]
    return pa.table(
        {
            "step": pa.array([0] * len(rows), pa.int64()),
            "customer": pa.array([row.customer for row in rows], pa.string()),
            "gender": pa.array([row.gender for row in rows], pa.string()),
            "merchant": pa.array([row.merchant for row in rows], pa.string()),
            "amount_cents": pa.array([row.cents for row in rows], pa.int64()),
            "additional_column": pa.nulls(len(rows), pa.string()),
            "_file_id": pa.array([file_id] * len(rows), pa.int64()),
            "_line": pa.array(range(2, len(rows) + 2), pa.int64()),
        }
    )


PATTERNS = (detect.UPGRADE, detect.CHILD, detect.DEI_NEEDED)
