"""Which judged files become accepted, quarantined or duplicate: serially, in seq order, after the gate's verdicts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from include.ingestion.feed import FeedSpec, OnQuarantine, OverwritePolicy
from include.ingestion.file import Kind
from include.ingestion.lifecycle import State
from include.ingestion.verdict import Fault

# Faults that lie in the bytes themselves: the same bytes again fail again. These say nothing of the bytes.
NOT_IN_THE_BYTES = frozenset({Fault.OVERWRITE, Fault.OBJECT_GONE, Fault.REFERENCE, Fault.NOTHING_FIXED, Fault.POISON})
# Corrected rows that came in once are refused the second time; where the whole file came in once, it is a duplicate.
_TOLD_BY_WHAT_CAME_BEFORE = frozenset({Fault.REFERENCE, Fault.NOTHING_FIXED})


@dataclass(frozen=True)
class Candidate:
    """A judged file that waits for its decision. `parent` and `fixes`: the lines of another file that it corrects."""

    file_id: int
    seq: int
    bucket: str
    key: str
    sha256: str | None
    fault: str | None
    reason: str | None
    kind: Kind = Kind.LANDING
    parent: int | None = None
    fixes: tuple[int, ...] = ()


@dataclass
class Known:
    """What earlier decisions say.

    Attributes:
        holders: who was accepted with these bytes.
        condemned: whose bytes were refused.
        taken_keys: which keys hold accepted content.
        fixed: which lines of which file came in corrected, and with whom.
    """

    holders: dict[str, tuple[int, int]] = field(default_factory=dict)
    condemned: dict[str, tuple[int, int]] = field(default_factory=dict)
    taken_keys: dict[tuple[str, str], tuple[int, int]] = field(default_factory=dict)
    fixed: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Decision:
    """What becomes of a file; `registered` again where it has to be judged anew."""

    file_id: int
    state: State
    fault: str | None = None
    reason: str | None = None
    duplicate_of: int | None = None


def decide(spec: FeedSpec, candidates: Iterable[Candidate], known: Known) -> list[Decision]:
    """Decide files one after another; each decision counts for those after it. `known` is brought up to date.

    With the policy `hold`, nothing after the first quarantined file is decided. Nor is anything after corrected rows that were judged
    before the decision on others of the same lines was known: they are judged anew, so that what enters depends on the order alone.
    """
    decisions: list[Decision] = []
    for candidate in sorted(candidates, key=lambda one: one.seq):
        decision = _decide_one(spec, candidate, known)
        decisions.append(decision)
        if decision.state is State.ACCEPTED and candidate.sha256 is not None:
            known.holders[candidate.sha256] = (candidate.file_id, candidate.seq)
            known.taken_keys[candidate.bucket, candidate.key] = (candidate.file_id, candidate.seq)
            if candidate.parent is not None:
                known.fixed |= dict.fromkeys(((candidate.parent, line) for line in candidate.fixes), (candidate.file_id, candidate.seq))
        elif decision.state is State.REGISTERED:
            break
        elif decision.state is State.QUARANTINED:
            if candidate.sha256 is not None and decision.fault not in NOT_IN_THE_BYTES:
                known.condemned.setdefault(candidate.sha256, (candidate.file_id, candidate.seq))
            if spec.on_quarantine is OnQuarantine.HOLD:
                break
    return decisions


def _decide_one(spec: FeedSpec, candidate: Candidate, known: Known) -> Decision:
    same = known.holders.get(candidate.sha256 or "")
    if candidate.fault is not None and not (same and candidate.fault in _TOLD_BY_WHAT_CAME_BEFORE):
        reason = candidate.reason or candidate.fault
        earlier = known.condemned.get(candidate.sha256 or "")
        if earlier is not None and candidate.kind is Kind.LANDING:
            reason += f" (the same bytes as file {earlier[0]}, seq {earlier[1]}, which was quarantined before)"
        return Decision(candidate.file_id, State.QUARANTINED, candidate.fault, reason)
    if same is not None:
        return Decision(
            candidate.file_id, State.DUPLICATE, None, f"the same bytes as file {same[0]}, seq {same[1]}; nothing changes", same[0]
        )
    if any((candidate.parent, line) in known.fixed for line in candidate.fixes):
        return Decision(candidate.file_id, State.REGISTERED)
    taken = known.taken_keys.get((candidate.bucket, candidate.key)) if candidate.kind is Kind.LANDING else None
    if taken is not None and spec.overwrite is OverwritePolicy.REJECT:
        return Decision(
            candidate.file_id,
            State.QUARANTINED,
            Fault.OVERWRITE,
            f"other bytes under the key of file {taken[0]}, seq {taken[1]}, which was accepted; {spec.name} refuses overwrites: "
            "give the new content a name of its own",
        )
    return Decision(candidate.file_id, State.ACCEPTED)
