"""Bounded wording of what was found, for reasons that people read: never a row's value."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from itertools import islice

_MOST = 20
_LONGEST = 60
_WORD = re.compile(r"\w+")


def some(items: Iterable[str]) -> str:
    """At most 20 of the items, and how many more there are.

    >>> some(map(str, range(23)))
    '0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19 and 3 more'
    """
    rest = iter(items)
    shown = list(islice(rest, _MOST))
    more = sum(1 for _ in rest)
    return ", ".join(shown) + (f" and {more} more" if more else "")


def some_names(names: Iterable[str]) -> str:
    r"""Column names of a file, cut and escaped so that a log line stays one short line.

    >>> some_names(["step", "a, b", "x\n", "", "y" * 70])
    "step, 'a, b', 'x\\n', '', yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy..."
    """
    shown = list(names)
    return some([*map(_shown, shown[:_MOST]), *shown[_MOST:]])


def header_names(names: Iterable[str], known: Collection[str]) -> str:
    """The names that a file's first line holds; a line that is more likely a row is counted, and its values are not told.

    >>> header_names(["step", "custmer"], {"step", "customer"}), header_names(["step;customer"], {"step", "customer"})
    ('step, custmer', 'step;customer')
    >>> header_names(["0", "C1093826151"], {"step", "customer"})
    '2 names that no column has: is the header missing?'
    """
    shown = list(names)
    return some_names(shown) if is_header(shown, known) else f"{len(shown)} names that no column has: is the header missing?"


def is_header(names: Iterable[str], known: Collection[str]) -> bool:
    """Whether a first line speaks of columns: half of its words are names of columns, or half of the columns are among its words."""
    words = set(_WORD.findall(" ".join(names)))
    return 2 * len(words.intersection(known)) >= min(len(words), len(known))


def _shown(name: str) -> str:
    cut = name[:_LONGEST]
    plain = cut.isprintable() and cut.strip() == cut and cut and not set(cut) & set(",'\"")
    return (cut if plain else ascii(cut) if not cut.isprintable() else repr(cut)) + "..." * (len(name) > _LONGEST)
