"""Which judged files become accepted, quarantined or duplicate: serially, in seq order, after the gate's verdicts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from include.feed import FeedSpec, OnQuarantine, OverwritePolicy
from include.files.decision import NOT_IN_THE_BYTES, Candidate, Decision, DecisionContext
from include.files.file import Decided, Kind, State
from include.files.verdict import Fault
from include.ledger import Ledger
from include.ledger.decisions import load_candidates, load_context, save
from include.ledger.session import repeated
from include.run import Run

# Corrected rows that came in once are refused the second time; where the whole file came in once, it is a duplicate.
DUPLICATE_WINS_OVER = frozenset({Fault.REFERENCE, Fault.NOTHING_FIXED})


@repeated
def decide(ledger: Ledger, spec: FeedSpec, run: Run, token: int, file_ids: Sequence[int]) -> Decided:
    """Decide validated files in seq order and fix a batch of the accepted ones, in one transaction."""
    with ledger.batches.deciding(spec, token, run) as cursor:
        candidates = load_candidates(cursor, file_ids)
        decisions = decisions_on(spec, candidates, load_context(cursor, spec, candidates))
        return save(cursor, spec, run, file_ids, candidates, decisions)


def decisions_on(spec: FeedSpec, candidates: Iterable[Candidate], context: DecisionContext) -> list[Decision]:
    """Decide files one after another; each decision counts for those after it. `context` is brought up to date.

    Nothing is decided after
    - the first quarantined file, with the policy `hold`;
    - corrected rows that were judged before the decision on others of the same lines was known: they are judged anew;
    - a file whose decision rests on a version that is accepted and not published: it might still be put aside, and then the one before
      it stays in force. The next run decides it. So a batch holds no two versions of a name, and what enters depends on the order alone.
    """
    decisions: list[Decision] = []
    for candidate in sorted(candidates, key=lambda one: one.seq):
        decision = _decide_one(spec, candidate, context)
        if decision is None:
            break
        decisions.append(decision)
        if decision.state is State.ACCEPTED:
            context.accept(spec, candidate, decision.supersedes)
        elif decision.state is State.REGISTERED:
            break
        elif decision.state is State.QUARANTINED:
            if candidate.sha256 is not None and decision.fault not in NOT_IN_THE_BYTES:
                context.rejected_digests.setdefault(candidate.sha256, (candidate.file_id, candidate.seq))
            if spec.on_quarantine is OnQuarantine.HOLD:
                break
    return decisions


def _decide_one(spec: FeedSpec, candidate: Candidate, context: DecisionContext) -> Decision | None:
    """The decision on one file; None where it has to wait for the publication of an earlier one."""
    same = context.holders.get(candidate.sha256 or "")
    if candidate.fault is not None and not (same and candidate.fault in DUPLICATE_WINS_OVER):
        reason = candidate.reason or candidate.fault
        earlier = context.rejected_digests.get(candidate.sha256 or "")
        if earlier is not None and candidate.kind is Kind.LANDING:
            reason += f" (the same bytes as file {earlier[0]}, seq {earlier[1]}, which was quarantined before)"
        return Decision(candidate.file_id, State.QUARANTINED, candidate.fault, reason)
    if same is not None:
        if same[0] in context.pending_supersede:
            return None
        return Decision(
            candidate.file_id, State.DUPLICATE, None, f"the same bytes as file {same[0]}, seq {same[1]}; nothing changes", same[0]
        )
    if candidate.kind is Kind.ROW_FIX:
        return _decide_fix(candidate, context)
    return _decide_overwrite(spec, candidate, context)


def _decide_fix(candidate: Candidate, context: DecisionContext) -> Decision | None:
    """Corrected rows: of a file that is in force, and of lines that did not come in corrected before."""
    if candidate.parent in context.pending_supersede:
        return None
    by = context.superseded.get(candidate.parent or 0)
    if by is not None:
        return Decision(
            candidate.file_id,
            State.QUARANTINED,
            Fault.REFERENCE,
            f"file {candidate.parent}, whose rows it corrects, was superseded by file {by[0]}, seq {by[1]}: correct the rows of that one",
        )
    if any((candidate.parent, line) in context.fixed for line in candidate.fixes):
        return Decision(candidate.file_id, State.REGISTERED)
    return Decision(candidate.file_id, State.ACCEPTED)


def _decide_overwrite(spec: FeedSpec, candidate: Candidate, context: DecisionContext) -> Decision | None:
    """Other bytes under a name that may hold accepted content."""
    version = candidate.version(spec.overwrite)
    current_versions = context.current_versions.get(version.name, []) if version else []
    if version is None or not current_versions or spec.overwrite is OverwritePolicy.APPEND:
        return Decision(candidate.file_id, State.ACCEPTED)
    newest = current_versions[-1]
    if spec.overwrite is OverwritePolicy.REJECT:
        return Decision(
            candidate.file_id,
            State.QUARANTINED,
            Fault.OVERWRITE,
            f"other bytes under the key of file {newest.file_id}, seq {newest.seq}, which was accepted; {spec.name} refuses overwrites: "
            "give the new content a name of its own",
        )
    superseded = [file_id for one in current_versions for file_id in (one.file_id, *context.fixes_of.get(one.file_id, ()))]
    if context.uncertain(superseded):
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
