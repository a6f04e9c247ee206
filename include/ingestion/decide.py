"""Which judged files become accepted, quarantined or duplicate: serially, in seq order, after the gate's verdicts."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from include.ingestion.feed import FeedSpec, OnQuarantine, OverwritePolicy
from include.ingestion.file import Kind
from include.ingestion.lifecycle import State
from include.ingestion.verdict import Fault

# Faults that lie in the bytes themselves: the same bytes again fail again. These say nothing of the bytes.
NOT_IN_THE_BYTES = frozenset({Fault.OVERWRITE, Fault.OBJECT_GONE, Fault.REFERENCE, Fault.NOTHING_FIXED, Fault.POISON})
# Corrected rows that came in once are refused the second time; where the whole file came in once, it is a duplicate.
_TOLD_BY_WHAT_CAME_BEFORE = frozenset({Fault.REFERENCE, Fault.NOTHING_FIXED})


FileSeq = tuple[int, int]
Name = tuple[str, str]


@dataclass(frozen=True)
class Version:
    """A landed version of a name (bucket and key)."""

    bucket: str
    key: str
    seq: int

    @property
    def name(self) -> Name:
        return self.bucket, self.key


@dataclass(frozen=True)
class Candidate:
    """A judged file that waits for its decision. `parent` and `fixes`: the lines of another file that it corrects.

    `instead_of`: of a replacement the landed version whose place it takes in the end.
    """

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
    instead_of: Version | None = None

    def version(self, policy: OverwritePolicy) -> Version | None:
        """The version of a name that it is for its feed's overwrite policy; None where the policy is not asked.

        A replacement has a key of its own, which overwrites nothing; but a feed whose files take each other's places has it take the
        place of whatever its name holds.
        """
        if self.kind is Kind.LANDING:
            return Version(self.bucket, self.key, self.seq)
        return self.instead_of if policy is OverwritePolicy.SUPERSEDE else None


@dataclass(frozen=True)
class Standing:
    """A file in force under a name, accepted or published. `version`: the seq of the landed version that it is or stands for."""

    file_id: int
    seq: int
    version: int


@dataclass
class Known:
    """What earlier decisions say.

    Attributes:
        holders: who was accepted with these bytes.
        condemned: whose bytes were refused.
        standing: which accepted files a name holds, in seq order.
        fixed: which lines of which file came in corrected, and with whom.
        fixes_of: the accepted files with corrected rows of a file.
        superseded: by whom a file was superseded.
        unpublished: accepted, and not published yet: whether they come into force is not certain.
        leaving: in force until one of those is published.
    """

    holders: dict[str, FileSeq] = field(default_factory=dict)
    condemned: dict[str, FileSeq] = field(default_factory=dict)
    standing: dict[Name, list[Standing]] = field(default_factory=dict)
    fixed: dict[tuple[int, int], FileSeq] = field(default_factory=dict)
    fixes_of: dict[int, list[int]] = field(default_factory=dict)
    superseded: dict[int, FileSeq] = field(default_factory=dict)
    unpublished: set[int] = field(default_factory=set)
    leaving: set[int] = field(default_factory=set)

    def uncertain(self, file_ids: Iterable[int]) -> bool:
        """Whether it is not certain yet that some of these files stay, or go."""
        return any(file_id in self.unpublished or file_id in self.leaving for file_id in file_ids)

    def accept(self, spec: FeedSpec, candidate: Candidate, supersedes: Collection[int]) -> None:
        """Let an accepted file count for those after it."""
        this = (candidate.file_id, candidate.seq)
        if candidate.sha256 is not None:
            self.holders[candidate.sha256] = this
        self.unpublished.add(candidate.file_id)
        self.leaving.update(supersedes)
        version = candidate.version(spec.overwrite)
        if version is not None:
            kept = [one for one in self.standing.get(version.name, ()) if one.file_id not in supersedes]
            self.standing[version.name] = [*kept, Standing(*this, version.seq)]
        if candidate.parent is not None and candidate.fixes:
            self.fixed |= dict.fromkeys(((candidate.parent, line) for line in candidate.fixes), this)
            self.fixes_of.setdefault(candidate.parent, []).append(candidate.file_id)


@dataclass(frozen=True)
class Decision:
    """What becomes of a file; `registered` again where it has to be judged anew. `supersedes`: whose effects its own take the place of."""

    file_id: int
    state: State
    fault: str | None = None
    reason: str | None = None
    duplicate_of: int | None = None
    supersedes: tuple[int, ...] = ()


def decide(spec: FeedSpec, candidates: Iterable[Candidate], known: Known) -> list[Decision]:
    """Decide files one after another; each decision counts for those after it. `known` is brought up to date.

    Nothing is decided after
    - the first quarantined file, with the policy `hold`;
    - corrected rows that were judged before the decision on others of the same lines was known: they are judged anew;
    - a file whose decision rests on a version that is accepted and not published: it might still be put aside, and then the one before
      it stays in force. The next run decides it. So a batch holds no two versions of a name, and what enters depends on the order alone.
    """
    decisions: list[Decision] = []
    for candidate in sorted(candidates, key=lambda one: one.seq):
        decision = _decide_one(spec, candidate, known)
        if decision is None:
            break
        decisions.append(decision)
        if decision.state is State.ACCEPTED:
            known.accept(spec, candidate, decision.supersedes)
        elif decision.state is State.REGISTERED:
            break
        elif decision.state is State.QUARANTINED:
            if candidate.sha256 is not None and decision.fault not in NOT_IN_THE_BYTES:
                known.condemned.setdefault(candidate.sha256, (candidate.file_id, candidate.seq))
            if spec.on_quarantine is OnQuarantine.HOLD:
                break
    return decisions


def _decide_one(spec: FeedSpec, candidate: Candidate, known: Known) -> Decision | None:
    """The decision on one file; None where it has to wait for the publication of an earlier one."""
    same = known.holders.get(candidate.sha256 or "")
    if candidate.fault is not None and not (same and candidate.fault in _TOLD_BY_WHAT_CAME_BEFORE):
        reason = candidate.reason or candidate.fault
        earlier = known.condemned.get(candidate.sha256 or "")
        if earlier is not None and candidate.kind is Kind.LANDING:
            reason += f" (the same bytes as file {earlier[0]}, seq {earlier[1]}, which was quarantined before)"
        return Decision(candidate.file_id, State.QUARANTINED, candidate.fault, reason)
    if same is not None:
        if same[0] in known.leaving:
            return None
        return Decision(
            candidate.file_id, State.DUPLICATE, None, f"the same bytes as file {same[0]}, seq {same[1]}; nothing changes", same[0]
        )
    if candidate.kind is Kind.ROW_FIX:
        return _decide_fix(candidate, known)
    return _decide_overwrite(spec, candidate, known)


def _decide_fix(candidate: Candidate, known: Known) -> Decision | None:
    """Corrected rows: of a file that is in force, and of lines that did not come in corrected before."""
    if candidate.parent in known.leaving:
        return None
    by = known.superseded.get(candidate.parent or 0)
    if by is not None:
        return Decision(
            candidate.file_id,
            State.QUARANTINED,
            Fault.REFERENCE,
            f"file {candidate.parent}, whose rows it corrects, was superseded by file {by[0]}, seq {by[1]}: correct the rows of that one",
        )
    if any((candidate.parent, line) in known.fixed for line in candidate.fixes):
        return Decision(candidate.file_id, State.REGISTERED)
    return Decision(candidate.file_id, State.ACCEPTED)


def _decide_overwrite(spec: FeedSpec, candidate: Candidate, known: Known) -> Decision | None:
    """Other bytes under a name that may hold accepted content."""
    version = candidate.version(spec.overwrite)
    standing = known.standing.get(version.name, []) if version else []
    if version is None or not standing or spec.overwrite is OverwritePolicy.APPEND:
        return Decision(candidate.file_id, State.ACCEPTED)
    newest = standing[-1]
    if spec.overwrite is OverwritePolicy.REJECT:
        return Decision(
            candidate.file_id,
            State.QUARANTINED,
            Fault.OVERWRITE,
            f"other bytes under the key of file {newest.file_id}, seq {newest.seq}, which was accepted; {spec.name} refuses overwrites: "
            "give the new content a name of its own",
        )
    superseded = [file_id for one in standing for file_id in (one.file_id, *known.fixes_of.get(one.file_id, ()))]
    if known.uncertain(superseded):
        return None
    if newest.version > version.seq:
        return Decision(
            candidate.file_id,
            State.QUARANTINED,
            Fault.OVERWRITE,
            f"it would take the place of seq {version.seq}, and file {newest.file_id}, seq {newest.seq}, a newer version of the same name, "
            "is in force: land the corrected content under that name",
        )
    return Decision(candidate.file_id, State.ACCEPTED, supersedes=tuple(superseded))
