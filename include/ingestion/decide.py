"""Which judged files become accepted, quarantined or duplicate: serially, in seq order, after the gate's verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from include.ingestion.feed import FeedSpec, OnQuarantine, OverwritePolicy
from include.ingestion.lifecycle import State
from include.ingestion.verdict import Fault

# Faults that lie in the bytes themselves: the same bytes again fail again. A refused overwrite or a lost object says nothing of them.
NOT_IN_THE_BYTES = frozenset({Fault.OVERWRITE, Fault.OBJECT_GONE})


@dataclass(frozen=True)
class Candidate:
    """A judged file that waits for its decision."""

    file_id: int
    seq: int
    bucket: str
    key: str
    sha256: str | None
    fault: str | None
    reason: str | None


@dataclass
class Known:
    """What earlier decisions say: who holds these bytes, whose bytes were condemned, which keys hold accepted content."""

    holders: dict[str, tuple[int, int]] = field(default_factory=dict)
    condemned: dict[str, tuple[int, int]] = field(default_factory=dict)
    taken_keys: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    file_id: int
    state: State
    fault: str | None = None
    reason: str | None = None
    duplicate_of: int | None = None


def decide(spec: FeedSpec, candidates: Iterable[Candidate], known: Known) -> list[Decision]:
    """Decide files one after another; each decision counts for those after it. `known` is brought up to date.

    With the policy `hold`, nothing after the first quarantined file is decided.
    """
    decisions: list[Decision] = []
    for candidate in sorted(candidates, key=lambda one: one.seq):
        decision = _decide_one(spec, candidate, known)
        decisions.append(decision)
        if decision.state is State.ACCEPTED and candidate.sha256 is not None:
            known.holders[candidate.sha256] = (candidate.file_id, candidate.seq)
            known.taken_keys[candidate.bucket, candidate.key] = (candidate.file_id, candidate.seq)
        elif decision.state is State.QUARANTINED:
            if candidate.sha256 is not None and decision.fault not in NOT_IN_THE_BYTES:
                known.condemned.setdefault(candidate.sha256, (candidate.file_id, candidate.seq))
            if spec.on_quarantine is OnQuarantine.HOLD:
                break
    return decisions


def _decide_one(spec: FeedSpec, candidate: Candidate, known: Known) -> Decision:
    if candidate.fault is not None:
        reason = candidate.reason or candidate.fault
        earlier = known.condemned.get(candidate.sha256 or "")
        if earlier is not None:
            reason += f" (the same bytes as file {earlier[0]}, seq {earlier[1]}, which was quarantined before)"
        return Decision(candidate.file_id, State.QUARANTINED, candidate.fault, reason)
    same = known.holders.get(candidate.sha256 or "")
    if same is not None:
        return Decision(
            candidate.file_id, State.DUPLICATE, None, f"the same bytes as file {same[0]}, seq {same[1]}; nothing changes", same[0]
        )
    taken = known.taken_keys.get((candidate.bucket, candidate.key))
    if taken is not None and spec.overwrite is OverwritePolicy.REJECT:
        return Decision(
            candidate.file_id,
            State.QUARANTINED,
            Fault.OVERWRITE,
            f"other bytes under the key of file {taken[0]}, seq {taken[1]}, which was accepted; {spec.name} refuses overwrites: "
            "give the new content a name of its own",
        )
    return Decision(candidate.file_id, State.ACCEPTED)
