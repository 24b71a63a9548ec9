"""An inquiry's life, press by press."""

import msgspec
import pytest

from core.model.inquiries import (
    Delivery,
    DeliveryState,
    Evidence,
    Grant,
    GrantState,
    InquiryState,
    Kind,
    Label,
    Stage,
    Verb,
)
from core.model.team import StageRule, Tier, TierRule
from core.model.unit import InquiryRow
from core.model.work import Failure, Verdict
from core.rules import inquiry as rules
from core.rules import notes
from core.rules.actions import act_of
from core.rules.canonical import action_digest
from core.rules.policy import DAY_MS, Gates, Panel
from core.rules.votes import count
from tests.rules_kit import CALL, NOW, PRINTS, Desk, approval, person, question, ship_act, task, team, vote

S = InquiryState
TEAM = team()
MAIL = {"tool": "send_mail", "arguments": {"to": "x"}}
ALONE = team((person("you", "owner"),))


def mail(of=TEAM, **changes):
    """A desk with an act that one approver decides."""
    return Desk(of, approval(of, **MAIL, **changes))


def unchanged(desk, decision, note):
    assert (decision.note, decision.changed, decision.transition) == (note, False, 0)
    assert (decision.vote, decision.grant, decision.verdict, decision.revoke) == (None, None, None, None)


# --- The table ------------------------------------------------------------------------------------------------------

STATES = [None, *InquiryState]


def test_the_table_is_whole():
    assert [row.number for row in rules.TRANSITIONS] == list(range(1, 20))
    assert all(row.moves and row.rule for row in rules.TRANSITIONS)
    assert rules.TRANSITIONS[0].sources == {None}
    assert rules.TRANSITIONS[6].targets == {S.APPROVED, S.OPEN}


@pytest.mark.parametrize("number", range(1, 20))
@pytest.mark.parametrize("state", list(InquiryState))
def test_every_pair_moves_by_the_table_or_names_the_guilty(number, state):
    row = rules.TRANSITIONS[number - 1]
    at = approval(TEAM, state=state)
    for to in InquiryState:
        if (state, to) in row.moves:
            assert rules.move(at, number, to, updated_at_ms=5).state is to
        else:
            with pytest.raises(rules.IllegalTransitionError, match=f"transition {number} ") as caught:
                rules.move(at, number, to)
            assert (caught.value.number, caught.value.state) == (number, state)


def test_nothing_starts_from_an_end_but_approved_ones():
    ends = {S.DENIED, S.ANSWERED, S.DISMISSED, S.SUPERSEDED, S.CANCELLED, S.EXPIRED}
    for row in rules.TRANSITIONS[:-1]:
        assert not row.sources & ends, row.number
    assert "nothing" in str(rules.IllegalTransitionError(1, None, S.OPEN))


# --- Opening --------------------------------------------------------------------------------------------------------


def test_an_approval_freezes_what_it_needs():
    asked = approval(TEAM, state=S.CREATED)
    assert (asked.kind, asked.label, asked.tier, asked.policy) == (Kind.APPROVAL, Label.FULL, Tier.INFRASTRUCTURE, "p1")
    assert asked.digest == action_digest(asked.action)
    assert asked.editable == ("args.note", "args.site")
    assert asked.verbs == (Verb.APPROVE, Verb.DENY, Verb.EDIT, Verb.ASK_BACK, Verb.VIEW)
    assert asked.decide_by_ms == NOW + 2 * DAY_MS
    assert asked.initiators == ("you",)
    assert mail().inquiry.editable == ("n", "to")


def test_without_arguments_there_is_nothing_to_edit():
    act = ship_act(TEAM, "run_command", {"command": "status"})
    gates = Gates(
        tier=Tier.READ,
        stages=(StageRule(),),
        decide_ms=1,
        execute_ms=1,
        at_deadline="queue",
        reasons=(),
        verified=False,
        reason_required=False,
        allow_self=False,
    )
    asked = rules.approval(
        call=CALL,
        generation=1,
        task=task(),
        act=act,
        gates=gates,
        panel=Panel(label=Label.FULL, stages=()),
        schema=None,
        why="",
        digest="",
        policy_version="",
        now_ms=NOW,
    )
    assert Verb.EDIT not in asked.verbs


def test_everybody_who_may_ask_may_answer():
    of = team((person("you", "owner"), person("mia", "member"), person("vi", "viewer")))
    assert question(of).stages == (Stage(eligible=("you", "mia"), approve_n=1),)


@pytest.mark.parametrize(
    ("kind", "text", "options", "of", "why"),
    [
        (Kind.APPROVAL, "x", (), TEAM, "approval is not a question"),
        (Kind.QUESTION, " ", (), TEAM, "it has no text"),
        (Kind.CHOICE, "x", (), TEAM, "must be different texts"),
        (Kind.CHOICE, "x", ("a", "a"), TEAM, "must be different texts"),
        (Kind.CHOICE, "x", ("a", " "), TEAM, "must be different texts"),
        (Kind.FORM, "x", tuple(map(str, range(26))), TEAM, "more than 25"),
        (Kind.QUESTION, "x", (), team((person("vi", "viewer"),)), "nobody"),
    ],
)
def test_a_question_that_cannot_be_asked_is_said(kind, text, options, of, why):
    failure = rules.question(
        call=CALL, generation=1, task=task(), kind=kind, text=text, options=options, why="", team=of, now_ms=NOW
    )
    assert isinstance(failure, Failure)
    assert why in failure.why


@pytest.mark.parametrize(
    ("state", "outcome", "after"),
    [
        (S.CREATED, DeliveryState.POSTED, S.OPEN),
        (S.CREATED, DeliveryState.UNKNOWN, S.OPEN),
        (S.UNDELIVERABLE, DeliveryState.POSTED, S.OPEN),
        (S.CREATED, DeliveryState.FAILED, S.UNDELIVERABLE),
        (S.CREATED, DeliveryState.GONE, S.UNDELIVERABLE),
        (S.CREATED, DeliveryState.SENDING, S.CREATED),
        (S.UNDELIVERABLE, DeliveryState.FAILED, S.UNDELIVERABLE),
        (S.OPEN, DeliveryState.FAILED, S.OPEN),
        (S.DENIED, DeliveryState.POSTED, S.DENIED),
    ],
)
def test_case_39_what_a_delivery_means(state, outcome, after):
    at = approval(TEAM, state=state)
    new = rules.shown(at, outcome, NOW)
    assert new.state is after
    assert (new is at) == (state is after)


def test_shown_after_its_deadline_it_is_overdue_at_once():
    late = rules.shown(approval(TEAM, state=S.CREATED), DeliveryState.POSTED, NOW + 3 * DAY_MS)
    assert late.overdue


# --- Approving ------------------------------------------------------------------------------------------------------


def test_one_approval_where_one_is_needed():
    desk = mail()
    decision = desk.press("bob", fingerprint=None, reason="fine")
    assert (desk.inquiry.state, decision.transition, decision.note) == (S.APPROVED, 7, notes.APPROVED)
    grant = decision.grant
    assert (grant.digest, grant.by, grant.state) == (desk.inquiry.digest, ("bob",), GrantState.LIVE)
    assert grant.execute_by_ms == NOW + DAY_MS
    assert decision.verdict == Verdict(
        inquiry=desk.inquiry.id,
        state="approved",
        by=("Bob",),
        reason="fine",
        grant=grant.id,
        action_arguments={"to": "x", "n": 1},
        label="full",
    )
    assert decision.finalise


def test_two_stages_take_two_people_in_turn():
    desk = Desk(TEAM, approval(TEAM))
    assert desk.press("bob").note == notes.REVIEW_NEXT
    assert (desk.inquiry.state, desk.inquiry.stage) == (S.IN_REVIEW, 1)
    decision = desk.press("carol")
    assert desk.inquiry.state is S.APPROVED
    assert decision.grant.by == ("bob", "carol")


def test_case_23_the_second_reviewer_is_another_person():
    desk = Desk(TEAM, approval(TEAM))
    desk.press("bob")
    unchanged(desk, desk.press("bob"), notes.ANOTHER_REVIEWER)


def test_a_quorum_collects():
    of = team(external=TierRule(stages=(StageRule(approve_n=2),)))
    desk = mail(of)
    assert desk.press("bob", fingerprint=None).transition == 5
    assert desk.inquiry.state is S.COLLECTING
    unchanged(desk, desk.press("bob", fingerprint=None), notes.SEEN)  # case 1
    assert desk.press("carol", fingerprint=None).transition == 7


def test_case_4_a_second_opinion_does_not_overwrite_the_first():
    of = team(external=TierRule(stages=(StageRule(approve_n=2, deny_n=2),)))
    desk = mail(of)
    desk.press("bob", fingerprint=None)
    unchanged(desk, desk.press("bob", Verb.DENY), notes.CONFLICT)
    assert desk.press("carol", Verb.DENY).transition == 5
    unchanged(desk, desk.press("carol", fingerprint=None), notes.CONFLICT)


def test_case_7_a_valid_press_opens_what_was_not_shown_yet():
    for state in (S.CREATED, S.UNDELIVERABLE):
        desk = mail(state=state)
        unchanged(desk, desk.press("eve"), notes.UNKNOWN_PERSON)
        assert desk.inquiry.state is state
        desk.press("bob", fingerprint=None)
        assert desk.inquiry.state is S.APPROVED


@pytest.mark.parametrize(
    ("who", "given", "note"),
    [
        ("bob", {"revision": 2}, notes.STALE),
        ("bob", {"verb": Verb.HAPPENED}, notes.NOT_OFFERED),
        (None, {}, notes.UNKNOWN_PERSON),
        ("eve", {}, notes.UNKNOWN_PERSON),
        ("you", {}, notes.NOT_YOUR_OWN),
        ("mia", {}, notes.NOT_ELIGIBLE),
        ("bob", {"standing": False}, notes.NOT_ELIGIBLE),
        ("bob", {"verb": Verb.WITHDRAW}, notes.NO_VOTE),
        ("bob", {"verb": Verb.VIEW}, ""),
        ("bob", {"verb": Verb.ASK_BACK, "standing": None, "reason": "x"}, notes.NOT_CHECKED),
    ],
)
def test_presses_that_do_not_count(who, given, note):
    of = team((*TEAM.people, person("mia", "member")))
    desk = mail(of)
    unchanged(desk, desk.press(who, **{"verb": Verb.APPROVE, **given}), note)


def test_somebody_elses_standing_is_nobodys():
    desk = mail()
    decision = rules.press(
        desk.row,
        rules.Press(
            verb=Verb.APPROVE,
            principal="bob",
            account="a",
            evidence=Evidence.VERIFIED,
            callback="c",
            revision=1,
            at_ms=NOW,
        ),
        rules.Standing(principal="carol", may_approve=True, checked_at_ms=NOW),
        TEAM,
        NOW,
        task_alive=True,
        fingerprint_now=None,
    )
    unchanged(desk, decision, notes.UNKNOWN_PERSON)


def test_case_3_a_callback_is_one_persons():
    of = team(external=TierRule(stages=(StageRule(approve_n=2),)))
    desk = mail(of)
    desk.press("bob", callback="same", fingerprint=None)
    unchanged(desk, desk.press("carol", callback="same", fingerprint=None), notes.SEEN)


def test_a_tier_may_want_votes_that_a_platform_vouches_for():
    of = team(external=TierRule(stages=(StageRule(),), verified=True))
    desk = mail(of)
    unchanged(desk, desk.press("bob", evidence=Evidence.ASSERTED), notes.NEEDS_VERIFIED)
    assert desk.press("bob", fingerprint=None).transition == 7


@pytest.mark.parametrize("given", [{"standing": None}, {"age": 60_001}])
def test_an_unknown_standing_keeps_the_vote_and_counts_it_when_it_is_known(given):
    desk = mail()
    decision = desk.press("bob", fingerprint=None, **given)
    assert (decision.note, decision.transition, desk.inquiry.state) == (notes.KEPT, 5, S.COLLECTING)
    unchanged(desk, desk.press("bob", fingerprint=None, **given), notes.KEPT)
    decision = desk.press("bob", fingerprint=None)
    assert (decision.transition, decision.vote.checked) == (7, True)


def test_an_unknown_standing_is_kept_in_review_too_and_for_denials():
    desk = Desk(TEAM, approval(TEAM))
    desk.press("bob")
    assert desk.press("carol", standing=None).note == notes.KEPT
    assert (desk.inquiry.state, desk.inquiry.stage) == (S.IN_REVIEW, 1)
    other = mail()
    assert other.press("bob", Verb.DENY, standing=None).transition == 5
    assert other.press("carol", fingerprint=None).transition == 8  # the kept denial counts, and wins


def test_case_19_a_removed_approvers_vote_is_void():
    desk = Desk(TEAM, approval(TEAM))
    desk.press("bob")
    desk.team = team((*TEAM.people[:1], person("bob", "member"), person("carol")))
    decision = desk.press("carol")
    assert (decision.transition, desk.inquiry.state, desk.inquiry.stage) == (5, S.OPEN, 0)
    assert decision.grant is None


def test_whoever_is_needed_later_does_not_use_their_seat_up():
    of = team(infrastructure=TierRule(stages=(StageRule(), StageRule(people=("bob",)))))
    desk = Desk(of, approval(of))
    unchanged(desk, desk.press("bob"), notes.NEEDED_LATER)
    desk.press("carol")
    assert desk.press("bob").transition == 7


def test_case_18_nothing_but_a_person_of_the_team_counts():
    desk = mail()
    for who in ("devops", "ceo", "bot", ""):
        unchanged(desk, desk.press(who), notes.UNKNOWN_PERSON)


# --- Single operator ------------------------------------------------------------------------------------------------


def test_the_only_person_presses_twice_on_purpose():
    desk = Desk(ALONE, approval(ALONE))
    assert desk.inquiry.label is Label.SINGLE
    first = desk.press("you", callback="one", at_ms=NOW)
    assert (first.note, desk.inquiry.pressed_once, desk.inquiry.state) == (notes.CONFIRM, True, S.COLLECTING)
    unchanged(desk, desk.press("you", callback="one", at_ms=NOW + 5_000), notes.CONFIRM)  # redelivered
    for at_ms in (NOW, NOW + 999, NOW - 999):  # a double click
        unchanged(desk, desk.press("you", callback=f"click {at_ms}", at_ms=at_ms), notes.CONFIRM)
    second = desk.press("you", callback="two", at_ms=NOW + 1_000)
    assert (second.transition, second.verdict.label) == (7, "single operator")


def test_the_only_person_needs_a_standing_and_may_take_the_first_press_back_or_deny():
    desk = Desk(ALONE, approval(ALONE))
    unchanged(desk, desk.press("you", standing=None), notes.NOT_CHECKED)
    desk.press("you")
    assert desk.press("you", Verb.WITHDRAW).note == notes.TAKEN_BACK
    assert (desk.inquiry.state, desk.inquiry.pressed_once) == (S.OPEN, False)
    desk.press("you")
    assert desk.press("you", Verb.DENY, reason="no").transition == 8


# --- Checked again --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fingerprint", ["cd" * 32, None])
def test_case_26_another_program_is_not_what_was_approved(fingerprint):
    desk = Desk(TEAM, approval(TEAM))
    desk.press("bob")
    decision = desk.press("carol", fingerprint=fingerprint)
    assert (desk.inquiry.state, decision.note, decision.grant) == (S.CANCELLED, notes.ACTION_CHANGED, None)
    assert decision.verdict.state == "cancelled"
    assert decision.verdict.by == ("policy",)


def test_case_44_a_row_that_was_tampered_with_is_not_approved():
    good = approval(TEAM, **MAIL)
    other = msgspec.structs.replace(good.action, arguments={"to": "y", "n": 1})
    for bad in (msgspec.structs.replace(good, digest="v1:0"), msgspec.structs.replace(good, action=other)):
        desk = Desk(TEAM, bad)
        desk.press("bob", fingerprint=None)
        assert desk.inquiry.state is S.CANCELLED


def test_a_stricter_policy_today_asks_anew_and_voids_votes():
    desk = mail()
    desk.team = team(external=TierRule(stages=(StageRule(), StageRule()), verified=True, decide_ms=9))
    decision = desk.press("bob", fingerprint=None)
    new = desk.inquiry
    assert (decision.transition, decision.note, decision.vote) == (7, notes.STRICTER, None)
    assert (new.state, new.revision, new.verified, new.decide_by_ms) == (S.OPEN, 2, True, NOW + 9)
    assert len(new.stages) == 2
    unchanged(desk, desk.press("bob", revision=1), notes.STALE)


def test_a_stricter_policy_nobody_can_meet_leaves_it_as_it_is():
    desk = mail()
    desk.team = team(external=TierRule(stages=(StageRule(), StageRule(people=("gone",)))))
    unchanged(desk, desk.press("bob", fingerprint=None), notes.NOBODY_LEFT)


def test_a_review_of_something_that_is_no_action_needs_no_grant():
    review = approval(TEAM, **MAIL, kind=Kind.REVIEW, action=None)
    desk = Desk(TEAM, review)
    decision = desk.press("bob")
    assert (desk.inquiry.state, decision.grant, decision.verdict.action_arguments) == (S.APPROVED, None, None)


# --- Deny -----------------------------------------------------------------------------------------------------------


def test_a_denial_carries_its_reason():
    desk = mail()
    decision = desk.press("bob", Verb.DENY, reason="not today")
    assert (desk.inquiry.state, decision.verdict.reason, decision.verdict.by) == (S.DENIED, "not today", ("Bob",))


def test_a_tier_may_want_a_reason():
    desk = mail(reason_required=True)
    unchanged(desk, desk.press("bob", Verb.DENY, reason=" "), notes.REASON_NEEDED)
    assert desk.press("bob", Verb.DENY, reason="x").transition == 8


# --- Edit -----------------------------------------------------------------------------------------------------------


def test_an_edit_is_a_new_revision_that_the_editor_does_not_approve():
    desk = Desk(team((*TEAM.people, person("dan"))), approval(team((*TEAM.people, person("dan")))))
    before = desk.inquiry
    desk.press("bob")
    decision = desk.press("carol", Verb.EDIT, edit={"args.site": "docs"})
    new = desk.inquiry
    assert (decision.transition, new.state, new.revision, new.stage) == (11, S.OPEN, 2, 0)
    assert new.action.arguments == {"command": "ship", "args": {"site": "docs", "note": ""}}
    assert new.action.resource == "site:docs"
    assert new.digest != before.digest
    assert new.intent != before.intent
    assert desk.row.votes == ()
    assert all("carol" not in stage.eligible for stage in new.stages)
    desk.press("bob")
    assert desk.press("dan").verdict.action_arguments["args"]["site"] == "docs"


def test_an_edit_of_an_approved_one_revokes_its_grant():
    desk = mail()
    grant = desk.press("bob", fingerprint=None).grant
    decision = desk.press("carol", Verb.EDIT, edit={"n": 2})
    assert (decision.revoke, desk.inquiry.state, desk.inquiry.resolution) == (grant.id, S.OPEN, None)


@pytest.mark.parametrize(
    ("edit", "note"),
    [
        (None, notes.NO_CHANGE),
        ({}, notes.NO_CHANGE),
        ({"n": 1}, notes.NO_CHANGE),
        ({"cc": "y"}, "That change does not fit: cc cannot be changed."),
        ({"n": "two"}, "That change does not fit: n must be integer."),
    ],
)
def test_case_30_edits_that_do_not_fit(edit, note):
    desk = mail()
    unchanged(desk, desk.press("bob", Verb.EDIT, edit=edit), note)


def test_an_edit_goes_by_the_commands_own_arguments_too():
    desk = Desk(TEAM, approval(TEAM))
    note = desk.press("bob", Verb.EDIT, edit={"args.site": "moon"}).note
    assert note == "That change does not fit: site must be one of ['landing', 'docs']."
    without = Desk(TEAM, approval(TEAM, schema=None))
    assert (
        "its program is missing" in without.press("bob", Verb.EDIT, edit={"args.site": "docs"}, fingerprint=None).note
    )


def test_an_edit_that_leaves_too_few_is_refused():
    desk = Desk(TEAM, approval(TEAM))
    unchanged(desk, desk.press("bob", Verb.EDIT, edit={"args.site": "docs"}), notes.EDITOR_NEEDED)


def test_an_edit_under_a_worse_tier_or_a_stricter_policy_is_refused():
    worse = Desk(TEAM, approval(TEAM, **MAIL, tier=Tier.INTERNAL))
    unchanged(worse, worse.press("bob", Verb.EDIT, edit={"n": 2}), notes.RAISES_TIER)
    desk = mail()
    desk.team = team(external=TierRule(stages=(StageRule(),), reason_required=True))
    unchanged(desk, desk.press("bob", Verb.EDIT, edit={"n": 2}), notes.RAISES_TIER)


def test_a_single_operator_edits_and_approves():
    desk = Desk(ALONE, approval(ALONE))
    desk.press("you")
    assert desk.press("you", Verb.EDIT, edit={"args.site": "docs"}).transition == 11
    assert not desk.inquiry.pressed_once
    desk.press("you")
    assert desk.press("you").transition == 7


def test_a_single_operators_kept_denial_is_not_turned_into_a_yes():
    desk = Desk(ALONE, approval(ALONE))
    desk.press("you", Verb.DENY, standing=None)
    unchanged(desk, desk.press("you"), notes.CONFLICT)


def test_where_today_asks_for_nobody_an_edit_is_still_decided_by_people():
    desk = mail()
    desk.team = team(external=TierRule())
    assert desk.press("bob", Verb.EDIT, edit={"n": 2}).transition == 11
    assert desk.inquiry.decide_by_ms == NOW + DAY_MS
    assert desk.press("carol", fingerprint=None).transition == 7


# --- Ask back, answer, dismiss --------------------------------------------------------------------------------------


def test_asking_back_goes_to_the_agent_and_decides_nothing():
    desk = mail()
    decision = desk.press("bob", Verb.ASK_BACK, reason="why now?")
    assert (decision.comment, decision.transition, decision.verdict, decision.changed) == ("why now?", 4, None, False)
    unchanged(desk, desk.press("bob", Verb.ASK_BACK), notes.TEXT_NEEDED)
    fresh = mail(state=S.CREATED)
    assert fresh.press("bob", Verb.ASK_BACK, reason="x").changed


@pytest.mark.parametrize(
    ("kind", "options", "answer", "fits"),
    [
        (Kind.QUESTION, (), "blue", True),
        (Kind.QUESTION, (), " ", False),
        (Kind.QUESTION, (), 3, False),
        (Kind.CHOICE, ("a", "b"), "b", True),
        (Kind.CHOICE, ("a", "b"), "c", False),
        (Kind.FORM, ("name", "size"), {"name": "x", "size": "y"}, True),
        (Kind.FORM, ("name", "size"), {"name": "x"}, False),
    ],
)
def test_answers_pass_the_schema_or_stay(kind, options, answer, fits):
    desk = Desk(TEAM, question(TEAM, kind, options))
    decision = desk.press("you", Verb.ANSWER, answer=answer, standing=None)
    if fits:
        assert (decision.transition, decision.verdict.answer, decision.vote.answer) == (9, answer, answer)
    else:
        assert decision.note.startswith(notes.INVALID_ANSWER)
        assert desk.inquiry.state is S.OPEN


def test_dismissing_is_not_denying():
    desk = Desk(TEAM, question(TEAM))
    assert desk.press("bob", Verb.DISMISS).transition == 10
    assert desk.inquiry.state is S.DISMISSED


# --- Take back ------------------------------------------------------------------------------------------------------


def test_a_vote_is_taken_back_by_its_voter():
    of = team(external=TierRule(stages=(StageRule(approve_n=3),)))
    desk = Desk(team((*of.people, person("dan"))), approval(team((*of.people, person("dan"))), **MAIL))
    desk.team = msgspec.structs.replace(of, people=desk.team.people)
    three = msgspec.structs.replace(desk.inquiry, stages=(Stage(eligible=("bob", "carol", "dan"), approve_n=3),))
    desk.row = InquiryRow(inquiry=three, votes=(), deliveries=(), grant=None)
    desk.press("bob", fingerprint=None)
    desk.press("carol", fingerprint=None)
    decision = desk.press("carol", Verb.WITHDRAW)
    assert (decision.transition, decision.vote.active, desk.inquiry.state) == (5, False, S.COLLECTING)
    desk.press("bob", Verb.WITHDRAW)
    assert desk.inquiry.state is S.OPEN


def test_taking_the_first_stage_back_reopens_it():
    desk = Desk(TEAM, approval(TEAM))
    desk.press("bob")
    decision = desk.press("bob", Verb.WITHDRAW)
    assert (decision.vote.stage, desk.inquiry.stage, desk.inquiry.state) == (0, 0, S.OPEN)


def test_taking_back_in_review_stays_in_review():
    desk = Desk(TEAM, approval(TEAM))
    desk.press("bob")
    desk.press("carol", standing=None)
    desk.press("carol", Verb.WITHDRAW)
    assert (desk.inquiry.stage, desk.inquiry.state) == (1, S.IN_REVIEW)


def test_neither_a_denial_nor_a_withdrawal_approves_on_a_kept_vote():
    of = team(external=TierRule(stages=(StageRule(deny_n=2),)))
    desk = mail(of)
    desk.press("bob", standing=None)
    assert desk.press("carol", Verb.DENY).transition == 5
    assert desk.press("carol", Verb.WITHDRAW).transition == 5
    assert desk.inquiry.state is S.COLLECTING
    assert desk.press("bob").transition == 7


def test_transition_17_an_approver_takes_a_live_grant_back():
    desk = mail()
    grant = desk.press("bob", fingerprint=None).grant
    unchanged(desk, desk.press("you", Verb.WITHDRAW), notes.NOT_YOUR_OWN)
    decision = desk.press("carol", Verb.WITHDRAW)
    assert (decision.transition, decision.revoke, decision.verdict.state) == (17, grant.id, "cancelled")


@pytest.mark.parametrize("state", [GrantState.CONSUMED, GrantState.EXPIRED, GrantState.REVOKED])
def test_afterwards_taking_back_is_only_a_note(state):
    desk = mail()
    grant = desk.press("bob", fingerprint=None).grant
    used = msgspec.structs.replace(grant, state=state)
    desk.row = InquiryRow(inquiry=desk.inquiry, votes=desk.row.votes, deliveries=(), grant=used)
    unchanged(desk, desk.press("bob", Verb.WITHDRAW), notes.TOO_LATE_TO_STOP)
    unchanged(desk, desk.press("bob", Verb.EDIT, edit={"n": 2}), "Already approved by Bob.")


# --- Too late -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [s for s in InquiryState if s.final])
def test_case_13_a_press_too_late_is_told_what_happened(state):
    desk = mail(state=state)
    decision = desk.press("bob")
    assert not decision.changed
    assert decision.note == notes.afterwards(state, "nobody")


def test_what_is_open_is_said_to_be_open():
    assert notes.afterwards(S.COLLECTING, "x") == "It is still open."


@pytest.mark.parametrize(("overdue", "state"), [(False, S.CANCELLED), (True, S.EXPIRED)])
def test_an_answer_after_the_tasks_end_does_not_count(overdue, state):
    desk = mail(overdue=overdue)
    decision = desk.press("bob", alive=False)
    assert (desk.inquiry.state, decision.note, decision.grant) == (state, notes.TASK_OVER, None)


def test_a_press_on_a_live_grant_after_the_tasks_end_revokes_it():
    desk = mail()
    grant = desk.press("bob", fingerprint=None).grant
    assert desk.press("bob", Verb.WITHDRAW, alive=False).revoke == grant.id


def test_overdue_is_still_answerable():
    desk = mail(overdue=True)
    assert desk.press("bob", fingerprint=None, now=NOW + 5 * DAY_MS).transition == 7


# --- Deadline, withdraw, supersede, expire, gone ---------------------------------------------------------------------


@pytest.mark.parametrize("at_deadline", ["queue", "escalate"])
@pytest.mark.parametrize("state", [S.OPEN, S.COLLECTING, S.IN_REVIEW])
def test_transition_14_flags_and_never_approves(state, at_deadline):
    desk = mail(state=state, at_deadline=at_deadline)
    assert rules.deadline(desk.row, NOW + DAY_MS - 1).inquiry is desk.inquiry
    decision = rules.deadline(desk.row, NOW + DAY_MS)
    desk.keep(decision)
    assert (decision.transition, desk.inquiry.overdue, desk.inquiry.state) == (14, True, state)
    assert rules.deadline(desk.row, NOW + 2 * DAY_MS).transition == 0


def test_a_policy_may_deny_at_the_deadline():
    desk = mail(at_deadline="deny")
    decision = rules.deadline(desk.row, NOW + DAY_MS)
    assert (decision.transition, decision.inquiry.state, decision.inquiry.resolution.by) == (8, S.DENIED, ("deadline",))


@pytest.mark.parametrize("state", [S.CREATED, S.UNDELIVERABLE])
def test_what_could_be_shown_to_nobody_is_late_too(state):
    decision = rules.deadline(mail(state=state).row, NOW + DAY_MS)
    assert (decision.transition, decision.inquiry.overdue, decision.inquiry.state) == (14, True, state)
    decision = rules.deadline(mail(state=state, at_deadline="deny").row, NOW + DAY_MS)
    assert (decision.transition, decision.inquiry.state) == (8, S.DENIED)


@pytest.mark.parametrize("changes", [{"state": S.DENIED}, {"decide_by_ms": None}])
def test_a_deadline_leaves_the_rest_alone(changes):
    assert rules.deadline(mail(**changes).row, NOW + 9 * DAY_MS).transition == 0


@pytest.mark.parametrize("state", [S.CREATED, S.UNDELIVERABLE, S.OPEN, S.COLLECTING, S.IN_REVIEW])
def test_transition_13_withdraws_what_is_undecided(state):
    decision = rules.withdraw(mail(state=state).row, "no longer needed", "devops", NOW)
    assert (decision.transition, decision.verdict.state, decision.revoke) == (13, "cancelled", None)
    assert decision.inquiry.resolution.reason == "no longer needed"


def test_transition_13_revokes_a_live_grant_and_nothing_else():
    desk = mail()
    grant = desk.press("bob", fingerprint=None).grant
    assert rules.withdraw(desk.row, "x", "kill", NOW).revoke == grant.id
    used = InquiryRow(
        inquiry=desk.inquiry, votes=(), deliveries=(), grant=msgspec.structs.replace(grant, state=GrantState.CONSUMED)
    )
    unchanged(desk, rules.withdraw(used, "x", "kill", NOW), notes.TOO_LATE_TO_STOP)
    unchanged(desk, rules.withdraw(mail(state=S.DENIED).row, "x", "kill", NOW), notes.TOO_LATE_TO_STOP)


def test_transition_12_replaces():
    decision = rules.supersede(mail().row, "i-2", "devops", NOW)
    assert (decision.transition, decision.verdict.state, decision.verdict.reason) == (
        12,
        "superseded",
        "replaced by i-2",
    )
    assert rules.supersede(mail(state=S.DENIED).row, "i-2", "devops", NOW).transition == 0


def test_transition_16_an_unused_grant_runs_out():
    desk = mail()
    grant = desk.press("bob", fingerprint=None).grant
    assert rules.expire_grant(desk.row, NOW + DAY_MS - 1).transition == 0
    decision = rules.expire_grant(desk.row, NOW + DAY_MS)
    assert (decision.transition, decision.expire, decision.inquiry.state) == (16, grant.id, S.EXPIRED)
    assert rules.expire_grant(mail().row, NOW).transition == 0
    assert rules.expire_grant(mail(state=S.APPROVED).row, NOW).transition == 0


def delivery(name, state=DeliveryState.POSTED):
    at = approval(TEAM)
    return Delivery(id=name, inquiry=at.id, revision=1, conversation=at.conversation, nonce_hash=name, state=state)


@pytest.mark.parametrize(
    ("state", "others", "transition"),
    [
        (S.OPEN, (), 4),
        (S.OPEN, (delivery("b"),), 0),
        (S.OPEN, (delivery("b", DeliveryState.GONE),), 4),
        (S.CREATED, (), 3),
        (S.UNDELIVERABLE, (), 0),
        (S.DENIED, (), 0),
    ],
)
def test_a_deleted_message_is_shown_again(state, others, transition):
    row = InquiryRow(inquiry=approval(TEAM, state=state), votes=(), deliveries=(delivery("a"), *others), grant=None)
    decision = rules.gone(row, "a", NOW)
    assert decision.transition == transition
    assert decision.finalise == bool(transition)


# --- Reconcile ------------------------------------------------------------------------------------------------------


def lost(of=TEAM, original=None, initiators=("you",), tool="run_command", arguments=None):
    act = ship_act(of, tool, arguments)
    asked = rules.reconcile(
        call=CALL,
        generation=2,
        task=task(initiators=initiators),
        original=original,
        act_says=act.action.says,
        action=act.action,
        digest=action_digest(act.action),
        team=of,
        now_ms=NOW,
    )
    return Desk(of, rules.shown(asked, DeliveryState.POSTED, NOW))


def test_transition_18_running_it_again_goes_through_the_original_stages():
    original = approval(TEAM)
    desk = lost(original=original)
    assert (desk.inquiry.stages, desk.inquiry.tier) == (original.stages, original.tier)
    desk.press("bob", Verb.RERUN)
    decision = desk.press("carol", Verb.RERUN)
    assert (decision.transition, decision.inquiry.resolution.answer) == (7, "rerun")
    assert decision.grant.digest == original.digest
    assert decision.grant.inquiry == desk.inquiry.id != original.id
    assert decision.verdict.answer == {"outcome": "rerun"}


@pytest.mark.parametrize(("verb", "outcome"), [(Verb.HAPPENED, "happened"), (Verb.GIVE_UP, "gave_up")])
def test_one_person_says_what_happened(verb, outcome):
    desk = lost(original=approval(TEAM))
    decision = desk.press("bob", verb)
    assert (decision.transition, decision.verdict.answer, decision.grant) == (9, {"outcome": outcome}, None)
    assert desk.inquiry.resolution.answer == verb.value


def test_whoever_wants_it_run_does_not_also_say_that_it_happened():
    of = team(infrastructure=TierRule(stages=(StageRule(approve_n=2),)))
    desk = lost(of)
    desk.press("bob", Verb.RERUN)
    unchanged(desk, desk.press("bob", Verb.HAPPENED), notes.CONFLICT)


def test_without_an_original_the_policy_of_today_decides_and_one_approver_at_least():
    assert len(lost().inquiry.stages) == 2
    plain = lost(tool="write_file", arguments={"path": "x"}).inquiry
    assert (plain.stages, plain.tier) == ((Stage(eligible=("bob", "carol"), approve_n=1),), Tier.INTERNAL)
    assert lost(ALONE).inquiry.label is Label.SINGLE


def test_where_all_approvers_asked_they_decide_together_and_an_empty_list_fails_closed():
    of = team((person("you", "owner"), person("bob")))
    both = lost(of, initiators=("you", "bob")).inquiry
    assert (both.label, both.stages) == (Label.REDUCED, (Stage(eligible=("you", "bob"), approve_n=2),))
    assert lost(team((person("mia", "member"),))).inquiry.stages == (Stage(eligible=(), approve_n=1),)


def test_an_action_whose_tool_is_gone_is_asked_about_as_the_worst_tier():
    act = ship_act(TEAM)
    asked = rules.reconcile(
        call=CALL,
        generation=2,
        task=task(),
        original=None,
        act_says="x",
        action=act.action,
        digest="v1:0",
        team=team(commands={}),
        now_ms=NOW,
    )
    assert asked.tier is Tier.INFRASTRUCTURE
    assert isinstance(act_of(team(commands={}), "devops", "run_command", {"command": "ship"}, PRINTS), Failure)


def test_a_stricter_policy_asks_about_a_rerun_anew_and_keeps_its_deadline_open():
    desk = lost(original=approval(TEAM, **MAIL), **MAIL)
    desk.team = team(external=TierRule(stages=(StageRule(), StageRule()), at_deadline="deny"))
    desk.press("bob", Verb.RERUN, fingerprint=None)
    assert (desk.inquiry.revision, desk.inquiry.at_deadline) == (2, "queue")


# --- In words -------------------------------------------------------------------------------------------------------


def needs(desk):
    return rules.needs_of(desk.inquiry, desk.row.votes, desk.team)


def test_what_is_still_needed_in_words():
    desk = Desk(TEAM, approval(TEAM))
    assert needs(desk) == "1 of 2: Bob or Carol, then 1 more; not You (asked)"
    desk.press("bob")
    assert needs(desk) == "1 of 1: Carol; not You (asked)"
    desk.press("carol")
    assert needs(desk) == ""


def test_one_answer_says_what_happened_and_running_it_again_needs_the_rule():
    desk = lost()
    assert needs(desk).startswith("an answer from ")
    desk.press("bob", Verb.RERUN)
    assert needs(desk).startswith("1 of ")


def test_needs_of_a_quorum_and_of_many():
    of = team((*TEAM.people, *map(person, "defgh")), external=TierRule(stages=(StageRule(approve_n=2),)))
    desk = Desk(of, approval(of, **MAIL, initiators=()))
    assert needs(desk) == "2 of 8: You, Bob, Carol, D or 4 others"
    desk.press("bob", fingerprint=None)
    assert needs(desk).startswith("1 of 7: You, Carol,")


def test_needs_of_a_kept_vote_and_of_a_stage_anybody_may_share():
    desk = mail()
    desk.press("bob", fingerprint=None, standing=None)
    assert needs(desk) == "1 of 2: Bob or Carol; not You (asked)"
    shared = mail(stages=(Stage(eligible=("bob",), approve_n=1, disjoint=False),))
    assert needs(shared) == "1 of 1: Bob; not You (asked)"
    nobody = mail(stages=(Stage(eligible=(), approve_n=1),), initiators=())
    assert needs(nobody) == "1 of 0: nobody"


def test_needs_of_the_others():
    desk = Desk(ALONE, approval(ALONE))
    assert needs(desk) == "two presses by You"
    desk.press("you")
    assert needs(desk) == "one more press by You"
    assert needs(Desk(TEAM, question(TEAM))) == "an answer from You, Bob or Carol"
    assert rules.needs_of(mail(stages=()).inquiry, (), TEAM) == ""


def test_votes_that_do_not_count_are_not_counted():
    at = approval(TEAM, **MAIL)
    void = (
        vote("bob", inquiry=at, active=False),
        vote("bob", inquiry=at, revision=2),
        vote("bob", inquiry=at, stage=7),
        vote("you", inquiry=at),
        vote("eve", inquiry=at),
    )
    assert rules.needs_of(at, void, TEAM) == rules.needs_of(at, (), TEAM)
    strangers = (vote("you", verb=Verb.DENY, inquiry=at), vote("eve", verb=Verb.DENY, inquiry=at))
    assert count(at, strangers, TEAM).denied_by == ()
    twice = (vote("bob", verb=Verb.DENY, inquiry=at), vote("bob", verb=Verb.DENY, inquiry=at))
    assert count(at, twice, TEAM).denied_by == ("bob",)


# --- What the agent hears -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", list(InquiryState))
def test_every_verdict_has_a_result(state):
    result = rules.result_of(Verdict(inquiry="i-1", state=state.value, by=("Bob",), reason="because"))
    if state in {S.APPROVED, S.ANSWERED, S.DISMISSED}:
        assert result.failure is None
        assert result.text
    else:
        assert result.failure.recovery
        assert result.failure.why == "because"


def test_answers_are_passed_on():
    def heard(answer):
        return rules.result_of(Verdict(inquiry="i-1", state="answered", by=("Bob",), answer=answer))

    assert heard("blue").text == "blue"
    assert heard({"name": "x"}).text == '{"name":"x"}'
    assert "Do not run it again" in heard({"outcome": "happened"}).text
    assert "unknown" in heard({"outcome": "gave_up"}).failure.what


def test_a_grant_is_what_it_is():
    assert Grant(id="g-1", inquiry="i-1", task="t-1", digest="d", execute_by_ms=1).state is GrantState.LIVE
