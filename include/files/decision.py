"""What a decision on a file rests on, and what it says."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

from include.feed import FeedSpec, OverwritePolicy
from include.files.file import Kind, State
from include.files.verdict import Fault

# Faults that lie in the bytes themselves: the same bytes again fail again. These say nothing of the bytes.
NOT_IN_THE_BYTES = frozenset(
    {Fault.OVERWRITE, Fault.OBJECT_GONE, Fault.REFERENCE, Fault.NOTHING_FIXED, Fault.POISON, Fault.UNREADABLE, Fault.GIVEN_UP}
)

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
class CurrentVersion:
    """A file in force under a name, accepted or published. `version`: the seq of the landed version that it is or stands for."""

    file_id: int
    seq: int
    version: int


@dataclass
class DecisionContext:
    """What earlier decisions say.

    Attributes:
        holders: who was accepted with these bytes.
        rejected_digests: whose bytes were refused.
        current_versions: which accepted files a name holds, in seq order.
        fixed: which lines of which file came in corrected, and with whom.
        fixes_of: the accepted files with corrected rows of a file.
        superseded: by whom a file was superseded.
        unpublished: accepted, and not published yet: whether they come into force is not certain.
        pending_supersede: in force until one of those is published.
    """

    holders: dict[str, FileSeq] = field(default_factory=dict)
    rejected_digests: dict[str, FileSeq] = field(default_factory=dict)
    current_versions: dict[Name, list[CurrentVersion]] = field(default_factory=dict)
    fixed: dict[tuple[int, int], FileSeq] = field(default_factory=dict)
    fixes_of: dict[int, list[int]] = field(default_factory=dict)
    superseded: dict[int, FileSeq] = field(default_factory=dict)
    unpublished: set[int] = field(default_factory=set)
    pending_supersede: set[int] = field(default_factory=set)

    def uncertain(self, file_ids: Iterable[int]) -> bool:
        """Whether it is not certain yet that some of these files stay, or go."""
        return any(file_id in self.unpublished or file_id in self.pending_supersede for file_id in file_ids)

    def accept(self, spec: FeedSpec, candidate: Candidate, supersedes: Collection[int]) -> None:
        """Let an accepted file count for those after it."""
        this = (candidate.file_id, candidate.seq)
        if candidate.sha256 is not None:
            self.holders[candidate.sha256] = this
        self.unpublished.add(candidate.file_id)
        self.pending_supersede.update(supersedes)
        version = candidate.version(spec.overwrite)
        if version is not None:
            kept = [one for one in self.current_versions.get(version.name, ()) if one.file_id not in supersedes]
            self.current_versions[version.name] = [*kept, CurrentVersion(*this, version.seq)]
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
