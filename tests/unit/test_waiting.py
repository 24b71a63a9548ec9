"""Reminders and escalation: time reminds and asks others, and decides nothing."""

from __future__ import annotations

import msgspec
import pytest

from core.model.events import Conversation
from core.model.inquiries import InquiryState as S
from core.model.inquiries import Kind, Label, Stage, Verb
from core.model.team import Absence, Escalation, EscalationStep, Person, SetRule, StageRule, TierRule
from core.rules import notes, waiting
from core.rules.audience import could_decide
from core.rules.opening import asked_anew
from tests.rules_kit import NOW, Desk, approval, person, question, team

HOUR, MINUTE, DAY = 3_600_000, 60_000, 86_400_000
MAIL = {"tool": "send_mail", "arguments": {"to": "x"}}
PEOPLE = (
    person("you", "owner"),
    person("ann", "owner"),
    *map(person, ("bob", "carol", "dan")),
    person("mia", "member"),
)
ROOM, DESK = (Conversation(platform="slack", account="T", channel=c) for c in ("room", "desk"))
# NOW is 2027-01-15 08:00 UTC, a Friday


THREE = (StageRule(people=("ann", "bob", "carol")),)


def of(*, people=PEOPLE, steps=(), repeat=0, stages=THREE, **rule):
    made = team(people, external=TierRule(stages=stages, escalation="oncall" if steps else "", **rule))
    escalations = {"oncall": Escalation(steps=tuple(steps), repeat_n=repeat)} if steps else {}
    return msgspec.structs.replace(made, policy=msgspec.structs.replace(made.policy, escalations=escalations))


def step(minutes, *to, deliver=(), replace=False):
    return EscalationStep(after_ms=minutes * MINUTE, to=to, deliver=tuple(deliver), replace=replace)


def desk(of_, **changes):
    return Desk(of_, approval(of_, **MAIL, **changes))


# --- Reminders --------------------------------------------------------------------------------------------------------

TWICE = of(remind_ms=(4 * HOUR, 20 * HOUR))


def remind(at, hours, *away, of_=None):
    return waiting.remind(at.row, of_ or at.team, away, NOW + int(hours * HOUR))


def test_reminders_come_at_their_times_and_name_who_is_needed():
    at = desk(TWICE)
    assert waiting.reminder_due_ms(TWICE.policy, at.inquiry) == NOW + 4 * HOUR
    assert remind(at, 3) == waiting.Reminder(decision=remind(at, 3).decision, due_ms=NOW + 4 * HOUR)
    first = remind(at, 4)
    assert (first.people, first.due_ms) == (("ann", "bob", "carol"), NOW + 20 * HOUR)
    assert (first.decision.recorded, first.decision.transition) == ("inquiry.reminded", 4)
    at.keep(first.decision)
    assert remind(at, 4).people == ()
    second = remind(at, 20)
    assert (second.people, second.due_ms) == (("ann", "bob", "carol"), None)
    at.keep(second.decision)
    assert remind(at, 21) == waiting.Reminder(decision=remind(at, 21).decision)


def test_case_38_after_downtime_one_reminder_comes_and_not_all_that_were_missed():
    at = desk(of(remind_ms=tuple(n * HOUR for n in range(1, 20))))
    found = remind(at, 18.5)
    assert (found.decision.inquiry.reminded_n, found.due_ms) == (18, NOW + 19 * HOUR)


def test_whoever_has_voted_is_not_reminded():
    two = of(stages=(StageRule(approve_n=2, people=("ann", "bob", "carol")),), remind_ms=(HOUR,))
    at = desk(two)
    at.press("bob")
    assert remind(at, 2).people == ("ann", "carol")


def test_nobody_is_woken_and_the_first_who_is_awake_is_asked():
    late = Person(id="ann", name="Ann", role="owner", quiet="07:00-12:00")
    later = Person(id="bob", name="Bob", role="approver", quiet="07:00-14:00")
    sleepers = of(people=(PEOPLE[0], late, later), stages=(StageRule(people=("ann", "bob")),), remind_ms=(HOUR,))
    at = desk(sleepers)
    asleep = remind(at, 1)  # 09:00
    assert (asleep.people, asleep.decision.changed, asleep.due_ms) == ((), False, NOW + 4 * HOUR)
    woken = remind(at, 4)
    assert (woken.people, woken.due_ms) == (("ann",), None)


def test_the_absent_are_not_reminded_and_their_delegates_are():
    at = desk(of(stages=(StageRule(people=("ann", "bob")),), remind_ms=(HOUR,)))
    gone = Absence(person="ann", until_ms=NOW + 9 * HOUR)
    assert remind(at, 1, gone).people == ("bob",)
    alone = desk(of(stages=(StageRule(people=("ann",)),), remind_ms=(HOUR,)))
    assert remind(alone, 1, gone).due_ms == NOW + 9 * HOUR
    over = Absence(person="ann", until_ms=NOW + HOUR)
    assert remind(alone, 1, over).people == ("ann",)
    seated = desk(of(remind_ms=(HOUR,)), stages=(Stage(eligible=("ann",), approve_n=1),))
    assert remind(seated, 1, Absence(person="ann", until_ms=NOW + 9 * HOUR, delegate="bob")).people == ("bob",)
    told = remind(seated, 1, Absence(person="ann", until_ms=NOW + 9 * HOUR, delegate="bob"))
    assert (told.people, told.stands_for) == (("bob",), {"bob": ("ann",)})
    both = desk(of(stages=(StageRule(people=("ann", "bob")),), remind_ms=(HOUR,)))  # bob is asked as himself
    away = Absence(person="ann", until_ms=NOW + 9 * HOUR, delegate="bob")
    assert (remind(both, 1, away).people, remind(both, 1, away).stands_for) == (("bob",), {})
    assert remind(both, 1, gone).stands_for == {}
    # dan could not be asked this, so nobody asks him
    assert remind(seated, 1, Absence(person="ann", until_ms=NOW + 9 * HOUR, delegate="dan")).people == ()


def test_people_who_left_are_not_reminded():
    at = desk(of(remind_ms=(HOUR,)))
    left = of(people=PEOPLE[:2], remind_ms=(HOUR,))
    assert remind(at, 1, of_=left).people == ("ann",)


@pytest.mark.parametrize(
    ("changes", "due"),
    [
        ({"overdue": True, "decide_by_ms": NOW - 7 * DAY}, None),
        ({"snoozed_until_ms": NOW + 3 * HOUR}, NOW + 3 * HOUR),
        ({"state": S.DENIED}, None),
        ({"reminded_n": 2}, None),
    ],
)
def test_none_when_long_overdue_or_snoozed_or_over(changes, due):
    at = desk(of(remind_ms=(HOUR,)), **changes)
    found = remind(at, 2)
    assert (found.people, found.decision.changed, found.due_ms) == ((), False, due)


def test_what_nobody_was_shown_yet_reminds_nobody_and_the_next_one_comes():
    at = desk(TWICE, state=S.CREATED)
    found = remind(at, 5)
    assert (found.people, found.decision.recorded, found.due_ms) == ((), "", NOW + 20 * HOUR)
    assert found.decision.inquiry.state is S.CREATED


def test_a_vote_of_everybody_needed_leaves_nobody_to_remind():
    at = desk(TWICE, stages=(Stage(eligible=(), approve_n=1),))
    assert remind(at, 5).people == ()


def test_a_new_revision_waits_from_its_beginning():
    new = asked_anew(desk(TWICE, reminded_n=2, escalated_n=3, left=(ROOM,)).inquiry, NOW + DAY)
    assert waiting.reminder_due_ms(TWICE.policy, new) == NOW + DAY + 4 * HOUR
    assert (new.escalated_n, new.left) == (0, ())


# --- Escalation -------------------------------------------------------------------------------------------------------


def escalate(at, minutes, of_=None):
    return waiting.escalate(at.row, of_ or at.team, NOW + minutes * MINUTE)


def test_nothing_escalates_that_has_no_escalation_or_is_over():
    at = desk(of())
    assert escalate(at, 9_999) == waiting.Escalated(decision=escalate(at, 1).decision)
    assert waiting.step_due_ms(at.team.policy, at.inquiry, 0) is None
    done = desk(of(steps=[step(30, "owner")]), state=S.DENIED)
    assert not escalate(done, 30).decision.changed


def test_steps_come_in_order_and_again():
    oncall = of(steps=[step(30, "bob"), step(60, "owner")], repeat=1)
    at = desk(oncall)
    assert [waiting.step_due_ms(oncall.policy, at.inquiry, n) for n in range(5)] == [
        *(NOW + n * MINUTE for n in (30, 60, 90, 120)),
        None,
    ]
    early = escalate(at, 29)
    assert (early.decision.changed, early.due_ms) == (False, NOW + 30 * MINUTE)
    first = escalate(at, 30)
    assert (first.called, first.due_ms, first.decision.transition) == (("bob",), NOW + 60 * MINUTE, 4)
    at.keep(first.decision)
    assert not escalate(at, 31).decision.changed
    at.keep(escalate(at, 60).decision)
    at.keep(escalate(at, 90).decision)
    last = escalate(at, 120)
    assert (last.called, last.due_ms) == (("you", "ann"), None)
    assert last.decision.inquiry.state is S.OPEN


def test_case_38_missed_steps_are_all_taken_and_only_the_newest_is_said():
    at = desk(of(steps=[step(1, "bob", deliver=[ROOM]), step(2, "carol"), step(3, "ann")]))
    found = escalate(at, 60)
    assert found.called == ("ann",)
    assert [one["step"] for one in found.decision.detail["steps"]] == [1, 2, 3]
    assert found.decision.inquiry.places == (ROOM,)


def test_those_who_replace_the_others_decide_instead_and_old_buttons_are_worth_nothing():
    at = desk(of(steps=[step(30, "ann", "dan", "mia", deliver=[DESK], replace=True)]), places=(ROOM,))
    found = escalate(at, 30)
    at.keep(found.decision)
    assert found.replaced
    # dan and mia were called, and the policy's selector means neither
    assert at.inquiry.stages[0].eligible == ("ann",)
    assert (at.inquiry.places, at.inquiry.left) == ((ROOM, DESK), (ROOM,))
    for who in ("bob", "dan", "mia"):
        assert at.press(who).note == notes.NOT_ELIGIBLE
    assert at.press("ann").inquiry.state is S.APPROVED


def test_a_place_that_was_left_may_be_asked_again():
    at = desk(of(steps=[step(1, deliver=[DESK], replace=True), step(2, deliver=[ROOM])]), places=(ROOM,))
    at.keep(escalate(at, 1).decision)
    assert at.inquiry.left == (ROOM,)
    at.keep(escalate(at, 2).decision)
    assert (at.inquiry.left, at.inquiry.places) == ((), (ROOM, DESK))
    assert at.inquiry.stages[0].eligible == ("ann", "bob", "carol")


def test_votes_that_were_cast_stay_when_others_are_asked_instead():
    two = of(stages=(StageRule(approve_n=2, people=("ann", "bob", "carol")),), steps=[step(30, "ann", replace=True)])
    at = desk(two)
    at.press("bob")
    at.keep(escalate(at, 30).decision)
    assert at.inquiry.stages[0].eligible == ("bob", "ann")
    assert at.press("carol").note == notes.NOT_ELIGIBLE
    assert at.press("ann").inquiry.state is S.APPROVED


def test_nobody_is_replaced_where_too_few_would_be_left():
    two = of(stages=(StageRule(approve_n=2, people=("ann", "bob", "carol")),), steps=[step(30, "ann", replace=True)])
    at = desk(two)
    found = escalate(at, 30)
    assert not found.replaced
    assert found.decision.inquiry.stages[0].eligible == ("ann", "bob", "carol")
    assert found.decision.detail["steps"][0]["replaced"] is False


def test_who_was_replaced_gets_a_seat_again_by_a_later_step():
    at = desk(of(steps=[step(30, "ann", replace=True), step(60, "bob", "you")]))
    at.keep(escalate(at, 30).decision)
    at.keep(escalate(at, 60).decision)
    # you asked for it
    assert at.inquiry.stages[0].eligible == ("ann", "bob")


def test_an_editor_gets_no_seat_by_an_escalation():
    at = desk(of(steps=[step(30, "bob")]))
    at.press("bob", Verb.EDIT, edit={"to": "y"})
    assert waiting.escalate(at.row, at.team, NOW + 9 * DAY).decision.inquiry.stages[0].eligible == ("ann", "carol")


def test_escalate_at_the_deadline_asks_the_owners_and_counts_from_it():
    plain = of(at_deadline="escalate", decide_ms=DAY)
    at = desk(plain)
    assert waiting.step_due_ms(plain.policy, at.inquiry, 0) == NOW + DAY
    assert escalate(at, 24 * 60).called == ("you", "ann")
    named = of(at_deadline="escalate", decide_ms=DAY, steps=[step(5, "bob")])
    late = desk(named)
    assert waiting.step_due_ms(named.policy, late.inquiry, 0) == NOW + DAY + 5 * MINUTE
    endless = desk(named, decide_by_ms=None)
    assert waiting.step_due_ms(named.policy, endless.inquiry, 0) is None


def test_what_nobody_was_shown_yet_is_shown_elsewhere():
    at = desk(of(steps=[step(30, deliver=[ROOM])]), state=S.UNDELIVERABLE)
    found = escalate(at, 30)
    assert (found.decision.inquiry.places, found.decision.inquiry.state) == ((ROOM,), S.UNDELIVERABLE)


def test_a_single_operator_stays_the_only_one():
    you = of(people=(person("you", "owner"),), stages=(StageRule(),))
    at = desk(you)
    assert at.inquiry.label is Label.SINGLE
    more = of(people=(person("you", "owner"), person("bob")), stages=(StageRule(),), steps=[step(1, "bob")])
    assert escalate(at, 1, of_=more).decision.inquiry.stages == at.inquiry.stages


# --- Who could be asked -----------------------------------------------------------------------------------------------


def test_who_could_decide_is_the_policys_to_say():
    sets = StageRule(sets=(SetRule(roles=("owner",)), SetRule(people=("bob", "carol"))))
    split = of(stages=(sets,))
    assert could_decide(split, desk(split).inquiry, 0) == ({"ann"}, {"bob", "carol"})
    selfish = of(stages=(sets,), allow_self=True)
    assert could_decide(selfish, desk(selfish).inquiry, 0) == ({"you", "ann"}, {"bob", "carol"})
    reduced = desk(split, label=Label.REDUCED, stages=(Stage(eligible=("bob",), approve_n=1),)).inquiry
    assert could_decide(split, reduced, 0) == ({"ann", "bob", "carol"},)
    asked = question(split, kind=Kind.QUESTION)
    assert could_decide(split, asked, 0) == ({"you", "ann", "bob", "carol", "dan", "mia"},)
