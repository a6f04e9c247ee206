"""Faulty rows to plant between good ones: each kind of fault that lives in a row, and some oddities that are none."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

EVERY = 100  # good rows for each planted line: far below the feed's tolerance of one in ten


@dataclass(frozen=True)
class Kind:
    """One way to be wrong.

    Attributes:
        name: what is wrong, as the data files of the tests are named.
        line: the physical line with its line end.
        column: the column at fault, or None where the whole line is.
        rejected: whether the gate must reject it; False for an empty line, which is no record.
    """

    name: str
    line: bytes
    column: str | None = None
    rejected: bool = True


def _row(**changed: str) -> bytes:
    """A row that is right but for what is changed; values stand as they are, quotes included."""
    good = {
        "step": "7",
        "customer": "'SC0000000001'",
        "age": "'3'",
        "gender": "'F'",
        "zipcodeOri": "'28007'",
        "merchant": "'SM0000000001'",
        "zipMerchant": "'28007'",
        "category": "'sl_food'",
        "amount": "12.5",
        "fraud": "0",
    }
    return ",".join({**good, **changed}.values()).encode() + b"\n"


_GOOD = _row()

KINDS = (
    Kind("step_not_an_integer", _row(step="7.0"), "step"),
    Kind("step_negative", _row(step="-1"), "step"),
    Kind("step_null", _row(step=""), "step"),
    Kind("customer_null", _row(customer="''"), "customer"),
    Kind("merchant_null", _row(merchant=""), "merchant"),
    Kind("gender_unknown", _row(gender="'X'"), "gender"),
    Kind("gender_lower_case", _row(gender="'f'"), "gender"),
    Kind("gender_null", _row(gender=""), "gender"),
    Kind("amount_null", _row(amount=""), "amount"),
    Kind("amount_negative", _row(amount="-0.01"), "amount"),
    Kind("amount_absurd", _row(amount="1234567890123.00"), "amount"),
    Kind("amount_not_a_number", _row(amount="'twelve'"), "amount"),
    Kind("amount_nan", _row(amount="NaN"), "amount"),
    Kind("amount_exponent", _row(amount="1e2"), "amount"),
    Kind("amount_three_decimals", _row(amount="12.500"), "amount"),
    Kind("amount_thousands", _row(amount="'1,250.00'"), "amount"),
    Kind("amount_blank_before", _row(amount=" 12.5"), "amount"),
    Kind("fields_too_few", b"7,'SC0000000001','3'\n"),
    Kind("fields_too_many", _GOOD.replace(b"\n", b",0\n")),
    Kind("blanks", b"   \n"),
    Kind("quote_not_closed", _row(customer="'SC0000000001")),
    Kind("quote_followed_by_text", _row(customer="'SC'0000000001")),
    Kind("quote_in_the_middle", _row(customer="SC'0000000001")),
    Kind("utf8_invalid", _row(category="'sl_caf?'").replace(b"?", b"\xe9")),
    Kind("cr_inside", _row(amount="12\r.5"), "amount"),
    Kind("wrong_delimiter", _GOOD.replace(b",", b";")),
    Kind("line_empty", b"\n", rejected=False),
    Kind("line_empty_crlf", b"\r\n", rejected=False),
)


@dataclass(frozen=True)
class Planted:
    """Where a fault lies: its physical line in the file (the header is 1), and what is to be said of it."""

    line: int
    kind: str
    column: str | None
    rejected: bool


def plant(rows: list[bytes], first_line: int, random: np.random.Generator) -> tuple[list[bytes], list[Planted]]:
    """Put one faulty line among every hundred rows (`rows` begin at `first_line`), the kinds in turn by their line."""
    lines: list[bytes] = []
    planted: list[Planted] = []
    for start in range(0, len(rows), EVERY):
        some = rows[start : start + EVERY]
        if len(some) == EVERY:
            kind = KINDS[((first_line + len(lines)) // EVERY) % len(KINDS)]
            at = int(random.integers(EVERY))
            planted.append(Planted(first_line + len(lines) + at, kind.name, kind.column, kind.rejected))
            some.insert(at, kind.line)
        lines += some
    return lines, planted
