"""Deciding judged files: sameness, the overwrite policy, holding back."""

from __future__ import annotations

import dataclasses

import pytest

from include.domains.transactions.feeds import TRANSACTIONS
from include.feed import OnQuarantine, OverwritePolicy
from include.files.decision import Candidate, CurrentVersion, DecisionContext
from include.files.file import FOLLOWS, Kind, State
from include.files.verdict import Fault
from include.pipeline.decide import decisions_on


def candidate(file_id: int, sha256: str, key: str = "", fault: str | None = None) -> Candidate:
    return Candidate(file_id, file_id, "sluice", key or f"landing/transactions/{file_id}.csv", sha256, fault, fault and "it is bad")


def states(spec, candidates, context=None):  # noqa: ANN001, ANN201
    return [decision.state for decision in decisions_on(spec, candidates, context or DecisionContext())]


def test_the_lowest_seq_of_the_same_bytes_is_accepted_and_the_others_repeat_it() -> None:
    decisions = decisions_on(TRANSACTIONS, [candidate(3, "a"), candidate(1, "a"), candidate(2, "b")], DecisionContext())
    assert [(d.file_id, d.state, d.duplicate_of) for d in decisions] == [
        (1, State.ACCEPTED, None),
        (2, State.ACCEPTED, None),
        (3, State.DUPLICATE, 1),
    ]


def test_a_refused_file_does_not_make_the_same_bytes_duplicates_but_is_named() -> None:
    decisions = decisions_on(
        TRANSACTIONS, [candidate(1, "a", fault=Fault.NO_ROWS), candidate(2, "a", fault=Fault.NO_ROWS)], DecisionContext()
    )
    assert [d.state for d in decisions] == [State.QUARANTINED, State.QUARANTINED]
    assert decisions[1].reason == "it is bad (the same bytes as file 1, seq 1, which was quarantined before)"


def test_bytes_condemned_under_one_ending_may_pass_under_another() -> None:
    context = DecisionContext(rejected_digests={"a": (1, 1)})
    assert states(TRANSACTIONS, [candidate(2, "a")], context) == [State.ACCEPTED]


@pytest.mark.parametrize(
    ("policy", "state", "fault"),
    [(OverwritePolicy.REJECT, State.QUARANTINED, Fault.OVERWRITE), (OverwritePolicy.APPEND, State.ACCEPTED, None)],
)
def test_other_bytes_under_an_accepted_key_follow_the_policy(policy: OverwritePolicy, state: State, fault: str | None) -> None:
    spec = dataclasses.replace(TRANSACTIONS, overwrite=policy)
    decisions = decisions_on(spec, [candidate(1, "a", "k.csv"), candidate(2, "b", "k.csv")], DecisionContext())
    assert (decisions[1].state, decisions[1].fault) == (state, fault)


def test_a_corrected_file_may_reuse_the_name_of_a_refused_one() -> None:
    assert states(TRANSACTIONS, [candidate(1, "a", "k.csv", Fault.NO_ROWS), candidate(2, "b", "k.csv")]) == [
        State.QUARANTINED,
        State.ACCEPTED,
    ]


def test_an_accepted_files_bytes_over_another_accepted_key_are_a_duplicate_not_an_overwrite() -> None:
    decisions = decisions_on(
        TRANSACTIONS, [candidate(1, "a", "k.csv"), candidate(2, "b", "l.csv"), candidate(3, "a", "l.csv")], DecisionContext()
    )
    assert [d.state for d in decisions] == [State.ACCEPTED, State.ACCEPTED, State.DUPLICATE]


def test_the_bytes_of_a_refused_overwrite_are_accepted_under_another_name() -> None:
    decisions = decisions_on(
        TRANSACTIONS, [candidate(1, "a", "k.csv"), candidate(2, "b", "k.csv"), candidate(3, "b", "l.csv")], DecisionContext()
    )
    assert [d.state for d in decisions] == [State.ACCEPTED, State.QUARANTINED, State.ACCEPTED]


def test_the_policy_hold_decides_nothing_after_the_first_bad_file() -> None:
    spec = dataclasses.replace(TRANSACTIONS, on_quarantine=OnQuarantine.HOLD)
    assert states(spec, [candidate(1, "a"), candidate(2, "b", fault=Fault.NO_ROWS), candidate(3, "c")]) == [
        State.ACCEPTED,
        State.QUARANTINED,
    ]


def test_no_state_follows_an_end_state() -> None:
    assert {state for state, next_states in FOLLOWS.items() if not next_states} == {State.DUPLICATE, State.SUPERSEDED, State.DISCARDED}


def fix(file_id: int, sha256: str, *lines: int, parent: int = 1, fault: str | None = None) -> Candidate:
    return dataclasses.replace(
        candidate(file_id, sha256, "fixes/transactions/rejects.csv", fault), kind=Kind.ROW_FIX, parent=parent, fixes=lines
    )


def test_of_two_corrections_of_one_line_the_lower_seq_is_accepted_the_other_judged_anew_and_nothing_behind_it_decided() -> None:
    context = DecisionContext()
    decisions = decisions_on(TRANSACTIONS, [fix(4, "c", 9), fix(3, "b", 7, 8), fix(2, "a", 7)], context)
    assert [(d.file_id, d.state) for d in decisions] == [(2, State.ACCEPTED), (3, State.REGISTERED)]
    assert context.fixed == {(1, 7): (2, 2)}
    assert states(TRANSACTIONS, [fix(3, "b", 8), fix(4, "c", 9)], context) == [State.ACCEPTED, State.ACCEPTED]


def test_the_same_line_of_another_file_is_another_line() -> None:
    assert states(TRANSACTIONS, [fix(3, "a", 7, parent=1), fix(4, "b", 7, parent=2)]) == [State.ACCEPTED, State.ACCEPTED]


def test_corrections_may_reuse_the_name_of_others_that_were_accepted() -> None:
    assert states(TRANSACTIONS, [fix(2, "a", 7), fix(3, "b", 8)]) == [State.ACCEPTED, State.ACCEPTED]


@pytest.mark.parametrize("fault", [Fault.NOTHING_FIXED, Fault.REFERENCE])
def test_corrections_that_came_in_before_as_a_whole_are_a_duplicate_although_the_gate_refuses_them_now(fault: Fault) -> None:
    (decision,) = decisions_on(TRANSACTIONS, [fix(3, "a", fault=fault)], DecisionContext(holders={"a": (2, 2)}))
    assert (decision.state, decision.duplicate_of) == (State.DUPLICATE, 2)
    assert states(TRANSACTIONS, [fix(3, "a", fault=fault)]) == [State.QUARANTINED]


def test_the_original_bytes_replayed_are_refused_for_their_own_reason_alone() -> None:
    again = dataclasses.replace(candidate(2, "a", fault=Fault.NO_ROWS), kind=Kind.REPLACEMENT, parent=1)
    (decision,) = decisions_on(TRANSACTIONS, [again], DecisionContext(rejected_digests={"a": (1, 1)}))
    assert (decision.state, decision.reason) == (State.QUARANTINED, "it is bad")


def test_a_replacement_follows_no_overwrite_policy_for_its_key_is_its_own() -> None:
    context = DecisionContext(current_versions={("sluice", "k.csv"): [CurrentVersion(1, 1, 1)]})
    assert states(TRANSACTIONS, [dataclasses.replace(candidate(2, "b", "k.csv"), kind=Kind.REPLACEMENT, parent=1)], context) == [
        State.ACCEPTED
    ]
