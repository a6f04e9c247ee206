"""The proxy before the real S3 as one that refuses to read what a test names by its key."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from tests.integration.choosy_s3 import Answer, Spoiled, before


@dataclass(frozen=True)
class Refusal:
    """How a read is refused: with a status and a code of S3's, by an answer that ends too early or is empty, or by none."""

    code: str = ""
    status: int = 403
    heads: bool = False


CUT, EMPTY, SILENT = Refusal("cut"), Refusal("empty"), Refusal("silent")
_SPOILED = {CUT: Spoiled.CUT, EMPTY: Spoiled.EMPTY, SILENT: Spoiled.SILENT}


@dataclass
class Refusing:
    """What is refused now, by a part of its key."""

    endpoint: str
    refused: dict[str, Refusal] = field(default_factory=dict)

    def of(self, method: str, key: str, _: object) -> Answer | Spoiled | None:
        for mark, refusal in self.refused.items():
            if mark in key and (method == "GET" or (method == "HEAD" and refusal.heads)):
                return _SPOILED.get(refusal, (refusal.status, refusal.code))
        return None


@contextmanager
def refusing(endpoint: str) -> Iterator[Refusing]:
    """The proxy, for as long as the block needs it."""
    with before(endpoint) as choosy:
        rules = Refusing(choosy.url)
        choosy.refuses = rules.of
        yield rules
