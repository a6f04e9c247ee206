"""Deciding judged files: sameness, the overwrite policy, holding back."""

from __future__ import annotations

import dataclasses

import pytest

from include.feeds.transactions.spec import TRANSACTIONS
from include.ingestion.decide import Candidate, Known, Standing, decide
from include.ingestion.feed import OnQuarantine, OverwritePolicy
from include.ingestion.file import Kind
from include.ingestion.lifecycle import FOLLOWS, State
from include.ingestion.verdict import Fault


def candidate(file_id: int, sha256: str, key: str = "", fault: str | None = None) -> Candidate:
    return Candidate(file_id, file_id, "sluice", key or f"landing/transactions/{file_id}.csv", sha256, fault, fault and "it is bad")


def states(spec, candidates, known=None):  # noqa: ANN001, ANN201
    return [decision.state for decision in decide(spec, candidates, known or Known())]


def test_the_lowest_seq_of_the_same_bytes_is_accepted_and_the_others_repeat_it() -> None:
    decisions = decide(TRANSACTIONS, [candidate(3, "a"), candidate(1, "a"), candidate(2, "b")], Known())
    assert [(d.file_id, d.state, d.duplicate_of) for d in decisions] == [
        (1, State.ACCEPTED, None),
        (2, State.ACCEPTED, None),
        (3, State.DUPLICATE, 1),
    ]


def test_a_refused_file_does_not_make_the_same_bytes_duplicates_but_is_named() -> None:
    decisions = decide(TRANSACTIONS, [candidate(1, "a", fault=Fault.NO_ROWS), candidate(2, "a", fault=Fault.NO_ROWS)], Known())
    assert [d.state for d in decisions] == [State.QUARANTINED, State.QUARANTINED]
    assert decisions[1].reason == "it is bad (the same bytes as file 1, seq 1, which was quarantined before)"


def test_bytes_condemned_under_one_ending_may_pass_under_another() -> None:
    known = Known(condemned={"a": (1, 1)})
    assert states(TRANSACTIONS, [candidate(2, "a")], known) == [State.ACCEPTED]


@pytest.mark.parametrize(
    ("policy", "state", "fault"),
    [(OverwritePolicy.REJECT, State.QUARANTINED, Fault.OVERWRITE), (OverwritePolicy.APPEND, State.ACCEPTED, None)],
)
def test_other_bytes_under_an_accepted_key_follow_the_policy(policy: OverwritePolicy, state: State, fault: str | None) -> None:
    spec = dataclasses.replace(TRANSACTIONS, overwrite=policy)
    decisions = decide(spec, [candidate(1, "a", "k.csv"), candidate(2, "b", "k.csv")], Known())
    assert (decisions[1].state, decisions[1].fault) == (state, fault)


def test_a_corrected_file_may_reuse_the_name_of_a_refused_one() -> None:
    assert states(TRANSACTIONS, [candidate(1, "a", "k.csv", Fault.NO_ROWS), candidate(2, "b", "k.csv")]) == [
        State.QUARANTINED,
        State.ACCEPTED,
    ]


def test_an_accepted_files_bytes_over_another_accepted_key_are_a_duplicate_not_an_overwrite() -> None:
    decisions = decide(TRANSACTIONS, [candidate(1, "a", "k.csv"), candidate(2, "b", "l.csv"), candidate(3, "a", "l.csv")], Known())
    assert [d.state for d in decisions] == [State.ACCEPTED, State.ACCEPTED, State.DUPLICATE]


def test_the_bytes_of_a_refused_overwrite_are_accepted_under_another_name() -> None:
    decisions = decide(TRANSACTIONS, [candidate(1, "a", "k.csv"), candidate(2, "b", "k.csv"), candidate(3, "b", "l.csv")], Known())
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
    known = Known()
    decisions = decide(TRANSACTIONS, [fix(4, "c", 9), fix(3, "b", 7, 8), fix(2, "a", 7)], known)
    assert [(d.file_id, d.state) for d in decisions] == [(2, State.ACCEPTED), (3, State.REGISTERED)]
    assert known.fixed == {(1, 7): (2, 2)}
    assert states(TRANSACTIONS, [fix(3, "b", 8), fix(4, "c", 9)], known) == [State.ACCEPTED, State.ACCEPTED]


def test_the_same_line_of_another_file_is_another_line() -> None:
    assert states(TRANSACTIONS, [fix(3, "a", 7, parent=1), fix(4, "b", 7, parent=2)]) == [State.ACCEPTED, State.ACCEPTED]


def test_corrections_may_reuse_the_name_of_others_that_were_accepted() -> None:
    assert states(TRANSACTIONS, [fix(2, "a", 7), fix(3, "b", 8)]) == [State.ACCEPTED, State.ACCEPTED]


@pytest.mark.parametrize("fault", [Fault.NOTHING_FIXED, Fault.REFERENCE])
def test_corrections_that_came_in_before_as_a_whole_are_a_duplicate_although_the_gate_refuses_them_now(fault: Fault) -> None:
    (decision,) = decide(TRANSACTIONS, [fix(3, "a", fault=fault)], Known(holders={"a": (2, 2)}))
    assert (decision.state, decision.duplicate_of) == (State.DUPLICATE, 2)
    assert states(TRANSACTIONS, [fix(3, "a", fault=fault)]) == [State.QUARANTINED]


def test_the_original_bytes_replayed_are_refused_for_their_own_reason_alone() -> None:
    again = dataclasses.replace(candidate(2, "a", fault=Fault.NO_ROWS), kind=Kind.REPLACEMENT, parent=1)
    (decision,) = decide(TRANSACTIONS, [again], Known(condemned={"a": (1, 1)}))
    assert (decision.state, decision.reason) == (State.QUARANTINED, "it is bad")


def test_a_replacement_follows_no_overwrite_policy_for_its_key_is_its_own() -> None:
    known = Known(standing={("sluice", "k.csv"): [Standing(1, 1, 1)]})
    assert states(TRANSACTIONS, [dataclasses.replace(candidate(2, "b", "k.csv"), kind=Kind.REPLACEMENT, parent=1)], known) == [
        State.ACCEPTED
    ]
