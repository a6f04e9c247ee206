"""What is lost, doubled or different beside the undisturbed run, and the first difference in words."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from certificate.found import Snapshot

_LONGEST = 400


@dataclass(frozen=True)
class Difference:
    """One thing that is not as in the undisturbed run."""

    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def differences(expected: Snapshot, found: Snapshot) -> list[Difference]:
    """All of them, in the order of the sections.

    >>> for one in differences({"event": {"1": "a", "2": "b"}}, {"event": {"1": "c", "3": "b"}}):
    ...     print(one)
    different: event 1 is 'c', undisturbed 'a'
    lost: event 2 ('b')
    doubled: event 3 ('b')
    """
    return [difference for section in expected for difference in _in(section, expected[section], found.get(section, {}))]


def _in(section: str, expected: dict[str, object], found: dict[str, object]) -> Iterator[Difference]:
    for key, value in expected.items():
        if key in found and found[key] != value:
            yield Difference("different", _unlike(f"{section} {key}", found[key], value))
    for key in sorted(expected.keys() - found.keys()):
        yield Difference("lost", _cut(f"{section} {key} ({expected[key]!r})"))
    for key in sorted(found.keys() - expected.keys()):
        yield Difference("doubled", _cut(f"{section} {key} ({found[key]!r})"))


def _unlike(what: str, found: object, expected: object) -> str:
    """Of two mappings only what differs in them."""
    if isinstance(found, dict) and isinstance(expected, dict):
        names = [name for name in expected if found.get(name) != expected[name]] + [name for name in found if name not in expected]
        found, expected = ({name: one.get(name) for name in names} for one in (found, expected))
    return _cut(f"{what} is {found!r}, undisturbed {expected!r}")


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
