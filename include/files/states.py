"""The states of a file and the moves between them; `sql/` holds the same table and refuses any other move."""

from __future__ import annotations

import enum


class State(enum.StrEnum):
    REGISTERED = "registered"
    ACCEPTED = "accepted"
    PUBLISHED = "published"
    QUARANTINED = "quarantined"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    REPLAYING = "replaying"
    DISCARDED = "discarded"


FOLLOWS: dict[State, frozenset[State]] = {
    State.REGISTERED: frozenset({State.ACCEPTED, State.QUARANTINED, State.DUPLICATE}),
    State.ACCEPTED: frozenset({State.PUBLISHED, State.QUARANTINED}),
    State.PUBLISHED: frozenset({State.SUPERSEDED}),
    State.QUARANTINED: frozenset({State.REPLAYING, State.DISCARDED}),
    State.REPLAYING: frozenset({State.ACCEPTED, State.QUARANTINED}),
    State.DUPLICATE: frozenset(),
    State.SUPERSEDED: frozenset(),
    State.DISCARDED: frozenset(),
}
