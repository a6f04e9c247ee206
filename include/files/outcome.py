"""What evaluating a batch gives, as values that can be held against each other: contributions to state, findings, differences."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.files.file import ObjectRef

Key = tuple[str, ...]


@dataclass(frozen=True, order=True)
class Finding:
    """Something that holds after a file; `key` is what the feed finds once only, such as (pattern, merchant, customer)."""

    seq: int
    key: Key


@dataclass(frozen=True)
class Outcome:
    """What evaluating a batch gave.

    Attributes:
        manifest: what the job wrote last.
        state: the object with the batch's contribution to state.
        contributions: rows and digest of each file's part of it, by seq.
        findings: all that was found, also what earlier batches had found before.
    """

    manifest: Mapping[str, Any]
    state: ObjectRef
    contributions: Mapping[int, tuple[int, str]]
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class SeqRange:
    """A stretch of seqs whose contribution to state is to be another one than the published."""

    first_seq: int
    last_seq: int
    state: ObjectRef


@dataclass(frozen=True)
class Difference:
    """The first row in which two things differ.

    Attributes:
        where: in words that may stand in a log: line, column, number; never a value.
        values: what was recorded and what is now, for the certificate; its readers may see values.
    """

    where: str
    values: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Change:
    """A key that is found at another file than recorded: `was` None = not recorded, `now` None = not found any more (seqs)."""

    key: Key
    was: int | None
    now: int | None


def digest_of(keys: Iterable[Key]) -> str:
    """A sha256 over keys, whatever their order.

    >>> digest_of([("a", "b"), ("c",)]) == digest_of([("c",), ("a", "b")])
    True
    """
    return hashlib.sha256(json.dumps(sorted(keys), ensure_ascii=False).encode("utf-8", "surrogatepass")).hexdigest()
