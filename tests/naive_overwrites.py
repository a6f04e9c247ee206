"""What becomes of files, told one after another: each is decided and published, or put aside, before the next is looked at.

Shares no code with the program. A file is a `Put`; its fate is one of published, superseded, quarantined, duplicate.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Put:
    """Something that arrives.

    Attributes:
        name: its name; of a replay or a correction without meaning.
        content: equal bytes are equal contents.
        bad: the gate refuses these bytes.
        poison: the job fails on these bytes.
        replays: the place in the stream of the quarantined file that it stands in for.
        corrects: the place of the file whose rejected line it corrects, and the line.
    """

    name: str
    content: str
    bad: bool = False
    poison: bool = False
    replays: int | None = None
    corrects: tuple[int, int] | None = None


def fates(policy: str, stream: Sequence[Put]) -> list[str]:
    """The fate of each file after all of them, with the policy `reject`, `append` or `supersede`."""
    found: list[str] = []
    names: list[str] = []
    landed: list[int] = []
    for place, put in enumerate(stream):
        parent = put.replays
        names.append(put.name if parent is None else names[parent])
        landed.append(place if parent is None else landed[parent])
        found.append(_fate(policy, stream, found, names, landed))
        if parent is not None and found[place] == "published":
            found[parent] = "discarded"
    return found


def _fate(policy: str, stream: Sequence[Put], found: list[str], names: list[str], landed: list[int]) -> str:
    place = len(found)
    put = stream[place]
    in_force = [other for other in range(place) if found[other] == "published"]
    if put.bad:
        return "quarantined"
    if any(stream[other].content == put.content for other in in_force):
        return "duplicate"
    if put.corrects is not None:
        parent, _ = put.corrects
        fixed = any(stream[other].corrects == put.corrects for other in in_force)
        return "published" if found[parent] == "published" and not fixed else "quarantined"
    same_name = [other for other in in_force if stream[other].corrects is None and names[other] == names[place]]
    if policy == "supersede":
        return _superseding(stream, found, landed, place, same_name)
    if policy == "reject" and put.replays is None and [other for other in same_name if stream[other].replays is None]:
        return "quarantined"
    return "quarantined" if put.poison else "published"


def _superseding(stream: Sequence[Put], found: list[str], landed: list[int], place: int, same_name: list[int]) -> str:
    if stream[place].poison or any(landed[other] > landed[place] for other in same_name):
        return "quarantined"
    for old in same_name:
        for other, put in enumerate(stream[:place]):
            if found[other] == "published" and (other == old or (put.corrects is not None and put.corrects[0] == old)):
                found[other] = "superseded"
    return "published"
