"""The digest of the accepted rows says what the rows are, whatever holds them."""

from __future__ import annotations

import pyarrow as pa

from include.quality.bronze import FILE_ID, Digest
from tests.unit.quality.desk import HEADER, Desk

WITH_NULLS = HEADER.replace(b"fraud", b"note") + b"".join(
    b"%d,'C','%s','F','','M','','es',1,%s\n" % (n, b"4" if n % 2 else b"", b"x" * (n % 3)) for n in range(100)
)


def test_rows_read_back_from_bronze_have_the_digest_that_was_recorded_also_where_values_are_null() -> None:
    desk = Desk()
    (verdict,) = desk.validate([desk.land(WITH_NULLS)])
    table = desk.bronze(verdict).drop_columns([FILE_ID])
    assert table["additional_column"].null_count == 34
    digest = Digest()
    digest.update(table)
    assert digest.hexdigest() == verdict.bronze_digest


def test_null_and_empty_text_are_not_the_same() -> None:
    digests = []
    for values in (["", None, "a"], [None, "", "a"], ["", "", "a"]):
        digest = Digest()
        digest.update(pa.table({"text": pa.array(values, pa.string())}))
        digests.append(digest.hexdigest())
    assert len(set(digests)) == 3
