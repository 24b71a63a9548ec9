"""Sets of a stage: each filled by people who count for no other, however the votes come in."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.inquiries import InquiryState as S
from core.model.inquiries import Label, Quorum, Stage, Verb
from core.model.team import SetRule, StageRule, TierRule
from core.rules import notes, quorum
from core.rules.inquiry import needs_of
from core.rules.policy import Gates, fillable, gates_of, panel_of, stricter
from core.rules.votes import needed
from tests.rules_kit import Desk, approval, person, ship_act, team

PEOPLE = (person("you", "owner"), person("ann", "owner"), *map(person, ("bob", "carol", "dan")))
OWNER_AND_TWO = StageRule(
    sets=(SetRule(roles=("owner",)), SetRule(people=("ann", "bob", "carol"), approve_n=2)), deny_n=2
)
MAIL = {"tool": "send_mail", "arguments": {"to": "x"}}


def of(*stages, people=PEOPLE, **rule):
    return team(people, external=TierRule(stages=stages, **rule))


def desk_of(*stages, **rule):
    return Desk(of(*stages, **rule), approval(of(*stages, **rule), **MAIL))


def test_a_panel_keeps_its_sets_and_the_requester_is_in_none():
    (stage,) = desk_of(OWNER_AND_TWO).inquiry.stages
    assert stage.sets == (
        Quorum(eligible=("ann",), approve_n=1),
        Quorum(eligible=("ann", "bob", "carol"), approve_n=2),
    )
    assert (stage.eligible, stage.approve_n, stage.deny_n) == (("ann", "bob", "carol"), 3, 2)


@pytest.mark.parametrize("order", list(permutations(("ann", "bob", "carol"))))
@pytest.mark.parametrize("sets", [OWNER_AND_TWO.sets, OWNER_AND_TWO.sets[::-1]], ids=["narrow", "broad first"])
def test_whoever_comes_first_nobody_counts_where_another_is_needed_more(order, sets):
    desk = desk_of(StageRule(sets=sets))
    assert desk.inquiry.label is Label.FULL
    for who in order[:2]:
        assert desk.press(who).inquiry.state is S.COLLECTING
    last = desk.press(order[2])
    assert last.inquiry.state is S.APPROVED
    assert set(last.grant.by) == {"ann", "bob", "carol"}


def test_one_person_fills_one_seat_and_people_outside_the_sets_none():
    desk = desk_of(OWNER_AND_TWO)
    assert desk.press("dan").note == notes.NOT_ELIGIBLE
    desk.press("ann")
    desk.press("bob")
    assert desk.inquiry.state is S.COLLECTING
    assert desk.press("bob").note == notes.SEEN


def test_what_is_missing_is_said_by_set_and_met_sets_are_left_out():
    desk = desk_of(OWNER_AND_TWO)
    assert needs_of(desk.inquiry, (), desk.team) == ("1 of 1: Ann; and 2 of 3: Ann, Bob or Carol; not You (asked)")
    desk.press("bob")
    assert needs_of(desk.inquiry, desk.row.votes, desk.team).startswith("1 of 1: Ann; and 1 of 2: Ann or Carol")
    desk.press("carol")
    assert needs_of(desk.inquiry, desk.row.votes, desk.team).startswith("1 of 1: Ann; not")
    assert needed(desk.inquiry, desk.row.votes, desk.team) == ("ann",)
    desk.press("ann")
    assert needed(desk.inquiry, desk.row.votes, desk.team) == ()


def test_denials_are_counted_by_stage_whatever_the_set():
    desk = desk_of(OWNER_AND_TWO, StageRule(people=("dan",)))
    assert desk.press("bob", Verb.DENY).inquiry.state is S.COLLECTING
    assert desk.press("ann", Verb.DENY).inquiry.state is S.DENIED
    second = desk_of(StageRule(people=("bob",), deny_n=1), StageRule(people=("dan",)))
    second.press("bob")
    assert second.press("dan", Verb.DENY).inquiry.state is S.DENIED


def test_nobody_takes_the_seat_of_a_later_stage_that_only_they_can_fill():
    stages = (StageRule(sets=(SetRule(people=("ann", "bob")), SetRule(people=("carol",)))), StageRule(people=("ann",)))
    desk = desk_of(*stages)
    assert desk.press("ann").note == notes.NEEDED_LATER
    desk.press("bob")
    assert desk.press("carol").note == notes.REVIEW_NEXT
    assert desk.press("carol").note == notes.NOT_ELIGIBLE
    assert desk.press("ann").inquiry.state is S.APPROVED


def test_sets_too_few_people_are_left_for_are_one_reduced_quorum():
    two = (StageRule(sets=(SetRule(people=("bob", "you")), SetRule(people=("bob",)))),)
    panel = panel_of(of(*two), gates_for(two), ("you",), ())
    assert (panel.label, panel.stages) == (Label.REDUCED, (Stage(eligible=("bob",), approve_n=1),))
    empty = (StageRule(sets=(SetRule(people=("bob",)), SetRule(people=("gone",)))),)
    assert "no approver" in panel_of(of(*empty), gates_for(empty), ("you",), ()).why


def gates_for(stages) -> Gates:
    found = gates_of(of(*stages), "devops", ship_act(of(*stages), **MAIL), gated=False, untrusted=False)
    assert found is not None
    return found


def test_more_sets_today_are_stricter_and_an_approvals_reason_is():
    plain = approval(of(StageRule(approve_n=2)), **MAIL)
    split = (StageRule(sets=(SetRule(), SetRule())),)
    assert stricter(gates_for(split), plain)
    assert not stricter(gates_for((StageRule(approve_n=2),)), plain)
    reasons = of(StageRule(approve_n=2), approve_reason=True)
    gates = gates_of(reasons, "devops", ship_act(reasons, **MAIL), gated=False, untrusted=False)
    assert stricter(gates, plain)
    assert not stricter(gates, msgspec.structs.replace(plain, approve_reason=True))


def test_an_editor_leaves_every_set():
    desk = desk_of(StageRule(sets=(SetRule(people=("ann", "bob")), SetRule(people=("bob", "carol", "dan")))))
    edited = desk.press("bob", Verb.EDIT, edit={"to": "y"}).inquiry
    assert edited.stages[0].sets == (
        Quorum(eligible=("ann",), approve_n=1),
        Quorum(eligible=("carol", "dan"), approve_n=1),
    )
    assert edited.editors == ("bob",)


def test_the_reason_of_an_approval_may_be_required_by_itself():
    desk = desk_of(StageRule(), approve_reason=True)
    assert desk.press("bob").note == notes.APPROVE_REASON_NEEDED
    assert desk.press("bob", reason="checked").inquiry.state is S.APPROVED
    other = desk_of(StageRule(), approve_reason=True)
    assert other.press("bob", Verb.DENY).inquiry.state is S.DENIED


NAMES = st.sampled_from("abcdef")
GROUPS = st.lists(st.tuples(st.frozensets(NAMES), st.integers(0, 3)), max_size=4)


def brute(groups, people):
    """The most seats that can be taken, by trying everything."""
    if not people:
        return 0
    first, *rest = people
    best = brute(groups, rest)
    for n, (who, size) in enumerate(groups):
        if first in who and size:
            taken = [*groups[:n], (who, size - 1), *groups[n + 1 :]]
            best = max(best, 1 + brute(taken, rest))
    return best


@given(GROUPS, st.lists(NAMES, unique=True, max_size=5))
def test_no_other_seating_seats_more(groups, people):
    seats = quorum.seated(groups, people)
    everybody = [p for one in seats for p in one]
    assert len(everybody) == len(set(everybody)) == brute(groups, people)
    assert all(set(one) <= set(who) and len(one) <= size for one, (who, size) in zip(seats, groups, strict=True))


@given(GROUPS)
def test_groups_can_be_filled_if_everybody_together_fills_them(groups):
    everybody = sorted({p for who, _ in groups for p in who})
    assert quorum.can_fill(groups) == (brute(groups, everybody) == sum(size for _, size in groups))


def test_several_short_stages_are_filled_as_their_sets_are():
    sets = (Quorum(eligible=("a", "b"), approve_n=1), Quorum(eligible=("b",), approve_n=1))
    stage = quorum.stage_of(sets, deny_n=1)
    assert fillable((stage,))
    assert not fillable((stage,), frozenset({"a"}))
    assert quorum.stage_of(sets[:1], deny_n=1) == Stage(eligible=("a", "b"), approve_n=1)


def test_an_approval_by_somebody_the_policy_means_no_longer_is_asked_anew():
    desk = desk_of(StageRule(approve_n=2, people=("bob", "carol")))
    desk.press("bob")
    desk.team = of(StageRule(approve_n=2, people=("carol", "dan")))
    anew = desk.press("carol")
    assert (anew.note, anew.inquiry.revision, anew.grant) == (notes.STRICTER, 2, None)
    assert anew.inquiry.stages[0].eligible == ("carol", "dan")
    assert desk.press("carol").inquiry.state is S.COLLECTING
    assert desk.press("dan").inquiry.state is S.APPROVED
