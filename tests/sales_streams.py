"""Small streams of sales files: few keys and few days, so that ties, late files, unknown keys and superseded files are common."""

from __future__ import annotations

import datetime as dt
import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from tests.naive_sales import FACTS, KEYS, File

FEEDS = (FACTS, *KEYS)
DAYS = [dt.date(2026, month, day) for month in (1, 2, 3) for day in (1, 14, 28)]
PRICES = [Decimal(price) for price in ("1.00", "2.50", "99.99")]
NAMES = ["quaker oats", "sugar", "maida", "besan", "é"]


def stream(seed: int, files: int = 14, rows: int = 8) -> list[File]:
    """Accepted files of all five feeds in the order in which they came; seqs are dense in each feed."""
    dice = random.Random(seed)
    made: list[File] = []
    for number in range(1, files + 1):
        feed = dice.choice((*FEEDS, FACTS, FACTS))
        earlier = [file for file in made if file.feed == feed]
        replaced = {file.supersedes for file in earlier}
        current_versions = [file.seq for file in earlier if file.seq not in replaced]
        supersedes = dice.choice(current_versions) if current_versions and dice.random() < 0.5 else None
        content = {line: row_of(feed, dice) for line in range(2, 2 + dice.randint(1, rows))}
        made.append(File(feed, len(earlier) + 1, 100 + number, dice.choice(DAYS), content, supersedes))
    return made


def instant(dice: random.Random) -> dt.datetime:
    return dt.datetime.combine(dice.choice(DAYS), dt.time(dice.choice([0, 23])), dt.UTC)


def row_of(feed: str, dice: random.Random) -> Mapping[str, Any]:
    def maybe(value: Any) -> Any:
        return None if dice.random() < 0.2 else value

    key = dice.randint(1, 4)
    person = {
        "first_name": maybe(dice.choice("AB")),
        "last_name": maybe(dice.choice("XY")),
        "address": maybe(dice.choice(["here", "there"])),
    }
    match feed:
        case "sales":
            price, quantity = dice.choice(PRICES), dice.randint(1, 3)
            return {
                "customer_id": dice.randint(1, 5),
                "store_id": dice.randint(1, 3),
                "product_name": dice.choice(NAMES),
                "sales_date": dice.choice(DAYS),
                "sales_person_id": dice.randint(1, 4),
                "price": price,
                "quantity": quantity,
                "total_cost": price * quantity,
            }
        case "customer":
            return person | {
                "customer_id": key,
                "phone_number": maybe(dice.choice("123")),
                "customer_joining_date": maybe(instant(dice)),
            }
        case "store":
            return {"id": key, "address": maybe("road"), "store_manager_name": maybe(dice.choice("MN"))}
        case "product":
            price = maybe(dice.choice(PRICES))
            return {"id": key, "name": dice.choice(NAMES), "current_price": price, "updated_date": maybe(instant(dice))}
        case _:
            return person | {"id": key, "manager_id": maybe(dice.randint(1, 4)), "store_id": maybe(dice.randint(1, 3))}


def batches(files: list[File], dice: random.Random) -> list[list[File]]:
    """One split of a stream into batches: each holds files of one feed, a contiguous stretch of its seqs.

    Feeds come in an order of their own, as their runs happen; the files of a feed never change theirs.
    """
    waiting = {feed: [file for file in files if file.feed == feed] for feed in FEEDS}
    made = []
    while any(waiting.values()):
        feed = dice.choice([feed for feed, left in waiting.items() if left])
        size = dice.randint(1, len(waiting[feed]))
        made.append(waiting[feed][:size])
        waiting[feed] = waiting[feed][size:]
    return made
