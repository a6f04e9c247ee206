"""Decisions in any split against a model that decides one file after another: overwrites, duplicates, refusals, replays, corrections."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from include.domains.transactions.feeds import TRANSACTIONS
from include.feed import FeedSpec, OverwritePolicy
from include.files.decision import Candidate, CurrentVersion, DecisionContext, Version
from include.files.file import FOLLOWS, Kind, State
from include.files.verdict import Fault
from include.pipeline.decide import decisions_on
from tests.naive_overwrites import Put, fates

BUCKET = "sluice"


@dataclass
class Row:
    """A file as a ledger keeps it. Its place in the stream is its seq and its id."""

    put: Put
    state: State = State.REGISTERED
    fault: Fault | None = None
    validated: bool = False
    supersedes: tuple[int, ...] = ()


@dataclass
class Memory:
    """A ledger in memory that gates, decides and publishes a few files at a time."""

    spec: FeedSpec
    rows: dict[int, Row] = field(default_factory=dict)

    def move(self, seq: int, to: State) -> None:
        row = self.rows[seq]
        assert to in FOLLOWS[row.state], (row.state, to)
        row.state = to

    def origin(self, seq: int) -> int:
        parent = self.rows[seq].put.replays
        return seq if parent is None else self.origin(parent)

    def register(self, seq: int, put: Put) -> None:
        self.rows[seq] = Row(put)
        if put.replays is not None:
            self.move(put.replays, State.REPLAYING)

    @property
    def waiting(self) -> list[int]:
        return [seq for seq, row in self.rows.items() if row.state in {State.REGISTERED, State.ACCEPTED}]

    def round(self, window: int, batch: int) -> None:
        """Gate and decide the next files, then publish a few of those that were accepted."""
        seqs = self.waiting[:window]
        for seq in seqs:
            if self.rows[seq].state is State.REGISTERED and not self.rows[seq].validated:
                self.validate(seq)
        candidates = [self.candidate(seq) for seq in seqs if self.rows[seq].state is State.REGISTERED]
        for decision in decisions_on(self.spec, candidates, self.context()):
            self.record(decision.file_id, decision.state, decision.supersedes)
        self.publish([seq for seq in seqs if self.rows[seq].state is State.ACCEPTED][:batch])

    def validate(self, seq: int) -> None:
        row = self.rows[seq]
        row.validated, row.fault = True, Fault.NO_ROWS if row.put.bad else None
        if row.put.corrects is not None and row.fault is None:
            parent = self.rows[row.put.corrects[0]]
            if parent.state not in {State.ACCEPTED, State.PUBLISHED}:
                row.fault = Fault.REFERENCE
            elif row.put.corrects in self.fixed(before=seq):
                row.fault = Fault.NOTHING_FIXED

    def fixed(self, before: int) -> dict[tuple[int, int], tuple[int, int]]:
        return {
            row.put.corrects: (seq, seq)
            for seq, row in self.rows.items()
            if seq < before and row.put.corrects and row.state in {State.ACCEPTED, State.PUBLISHED}
        }

    def candidate(self, seq: int) -> Candidate:
        row, put = self.rows[seq], self.rows[seq].put
        kind = Kind.ROW_FIX if put.corrects else Kind.LANDING if put.replays is None else Kind.REPLACEMENT
        origin = self.origin(seq)
        return Candidate(
            *(seq, seq, BUCKET, put.name if kind is Kind.LANDING else f"fixes/{seq}", put.content, row.fault, "a reason", kind),
            parent=put.corrects[0] if put.corrects else put.replays,
            fixes=(put.corrects[1],) if put.corrects else (),
            instead_of=Version(BUCKET, self.rows[origin].put.name, origin) if kind is Kind.REPLACEMENT else None,
        )

    def context(self) -> DecisionContext:
        context = DecisionContext(fixed=self.fixed(before=len(self.rows) + 1))
        for seq, row in self.rows.items():
            if row.state is State.ACCEPTED:
                context.unpublished.add(seq)
                context.pending_supersede.update(row.supersedes)
            if row.state is State.PUBLISHED or row.state is State.SUPERSEDED:
                context.superseded |= dict.fromkeys(row.supersedes, (seq, seq))
            if row.state in {State.ACCEPTED, State.PUBLISHED}:
                context.holders[row.put.content] = (seq, seq)
                if row.put.corrects:
                    context.fixes_of.setdefault(row.put.corrects[0], []).append(seq)
                elif row.put.replays is None or self.spec.overwrite is OverwritePolicy.SUPERSEDE:
                    origin = self.origin(seq)
                    context.current_versions.setdefault((BUCKET, self.rows[origin].put.name), []).append(CurrentVersion(seq, seq, origin))
        return context

    def record(self, seq: int, state: State, supersedes: tuple[int, ...]) -> None:
        row = self.rows[seq]
        if state is State.REGISTERED:
            row.validated = False
            return
        self.move(seq, state)
        row.supersedes = supersedes
        if row.put.replays is not None:
            self.move(row.put.replays, State.QUARANTINED)
            if state is State.ACCEPTED:
                self.move(row.put.replays, State.DISCARDED)

    def publish(self, batch: list[int]) -> None:
        """All together; one that the job fails on is put aside when it is tried alone."""
        names = [self.candidate(seq).version(self.spec.overwrite) for seq in batch]
        if self.spec.overwrite is OverwritePolicy.SUPERSEDE:
            held = [version.name for version in names if version]
            assert len(held) == len(set(held)), "a batch holds no two versions of a name"
        if any(self.rows[seq].put.poison for seq in batch):
            batch = batch[:1]
        for seq in batch:
            if self.rows[seq].put.poison:
                self.move(seq, State.QUARANTINED)
                self.rows[seq].supersedes = ()
                continue
            self.move(seq, State.PUBLISHED)
            for old in self.rows[seq].supersedes:
                self.move(old, State.SUPERSEDED)


@st.composite
def streams(draw: st.DrawFn, poison: bool = False) -> list[Put]:
    """Few names and contents, so that they meet. Replays and corrections of what arrived before come too."""
    stream: list[Put] = []
    for place in range(draw(st.integers(1, 12))):
        kind = draw(st.sampled_from(["land"] * 5 + ["replay", "correct"]))
        content = draw(st.sampled_from("pqrstu" if kind == "land" else "pqrvw"))
        bad = content == "s"
        put = Put(draw(st.sampled_from("abc")), content, bad, poison and content == "t")
        if kind != "land" and place:
            parent = draw(st.integers(0, place - 1))
            if kind == "replay":
                put = dataclasses.replace(put, replays=parent)
            elif stream[parent].corrects is None:
                line = draw(st.integers(2, 3))
                put = Put("", f"{parent}.{line}.{content}", corrects=(parent, line))
        stream.append(put)
    return stream


def possible(policy: str, stream: list[Put]) -> list[Put]:
    """What people can have put there: a replay stands in for a file that is quarantined, corrections are of one that was accepted."""
    kept: list[Put] = []
    moved: dict[int, int] = {}
    for place, put in enumerate(stream):
        parent = put.replays if put.replays is not None else put.corrects[0] if put.corrects else None
        if parent is not None:
            so_far = fates(policy, kept)
            at = moved.get(parent)
            wanted = {"quarantined"} if put.replays is not None else {"published", "superseded"}
            if at is None or so_far[at] not in wanted or kept[at].corrects is not None:
                continue
            moved[place] = len(kept)
            kept.append(dataclasses.replace(put, **({"replays": at} if put.corrects is None else {"corrects": (at, put.corrects[1])})))  # type: ignore[arg-type]
            continue
        moved[place] = len(kept)
        kept.append(put)
    return kept


def ran(policy: str, stream: list[Put], sizes: st.DataObject) -> list[str]:
    """The fates after rounds of any size, with everything that a person has to have seen decided before."""
    ledger = Memory(dataclasses.replace(TRANSACTIONS, overwrite=OverwritePolicy(policy)))
    for seq, put in enumerate(stream):
        seen = put.replays if put.replays is not None else put.corrects[0] if put.corrects else None
        while seen is not None and ledger.rows[seen].state not in {State.PUBLISHED, State.SUPERSEDED, State.QUARANTINED}:
            ledger.round(*sizes.draw(st.tuples(st.integers(1, 6), st.integers(1, 6))))
        ledger.register(seq, put)
        if sizes.draw(st.booleans()):
            ledger.round(*sizes.draw(st.tuples(st.integers(1, 6), st.integers(1, 6))))
    while before := [(seq, ledger.rows[seq].state) for seq in ledger.waiting]:
        ledger.round(*sizes.draw(st.tuples(st.integers(1, 6), st.integers(1, 6))))
        after = [(seq, ledger.rows[seq].state) for seq in ledger.waiting]
        revalidated = any(not row.validated for row in ledger.rows.values())
        assert after != before or revalidated, "every round gets on"
    return [row.state.value for row in ledger.rows.values()]


@settings(max_examples=300, deadline=None)
@given(policy=st.sampled_from(["reject", "append", "supersede"]), stream=streams(), sizes=st.data())
def test_what_enters_and_what_is_taken_out_depends_on_the_order_alone(policy: str, stream: list[Put], sizes: st.DataObject) -> None:
    stream = possible(policy, stream)
    assert ran(policy, stream, sizes) == fates(policy, stream)


@settings(max_examples=200, deadline=None)
@given(stream=streams(poison=True), sizes=st.data())
def test_a_version_that_the_job_cannot_work_on_leaves_in_force_what_it_would_have_superseded(
    stream: list[Put], sizes: st.DataObject
) -> None:
    stream = [put for put in possible("supersede", stream) if put.replays is None and put.corrects is None]
    in_force = [fate if fate in {"published", "superseded"} else "never in force" for fate in fates("supersede", stream)]
    found = [fate if fate in {"published", "superseded"} else "never in force" for fate in ran("supersede", stream, sizes)]
    assert found == in_force
