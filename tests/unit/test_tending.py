"""What people do to an inquiry besides voting, an owner's override, and a delegate's seat."""

from __future__ import annotations

import msgspec
import pytest

from core.model.inquiries import Evidence, Grant, Kind, Label, Stage, Verb
from core.model.inquiries import InquiryState as S
from core.model.team import Absence, SetRule, StageRule, TierRule
from core.rules import inquiry as rules
from core.rules import notes
from core.rules.revising import still_decides
from core.rules.tending import EXTENDED_MS_MAX
from tests.rules_kit import NOW, PROGRAM, Desk, approval, person, question, team

HOUR, DAY = 3_600_000, 86_400_000
MAIL = {"tool": "send_mail", "arguments": {"to": "x"}}
PEOPLE = (
    person("you", "owner"),
    person("ann", "owner"),
    *map(person, ("bob", "carol", "dan")),
    person("mia", "member"),
)
TWO = (StageRule(approve_n=2, people=("ann", "bob", "carol")),)


def of(stages=TWO, people=PEOPLE, **rule):
    return team(people, external=TierRule(stages=stages, **rule))


def desk_of(of_=None, **changes):
    of_ = of_ or of()
    return Desk(of_, approval(of_, **MAIL, **changes))


# --- Comment, snooze, extend ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["you", "bob", "dan"])
def test_a_comment_reaches_the_agent_and_leaves_it_open(who):
    at = desk_of()
    said = at.press(who, Verb.COMMENT, reason=" mind the footer ", standing=None)
    assert (said.remark, said.note, said.recorded) == ("mind the footer", notes.PASSED_ON, "inquiry.commented")
    assert (said.inquiry.state, said.vote, said.verdict, said.transition) == (S.OPEN, None, None, 4)


def test_a_comment_says_something_and_is_said_by_somebody_it_concerns():
    at = desk_of()
    assert at.press("bob", Verb.COMMENT, reason=" ").note == notes.TEXT_NEEDED
    assert at.press("mia", Verb.COMMENT, reason="hi").note == notes.NOT_ELIGIBLE
    assert at.press(None, Verb.COMMENT, reason="hi").note == notes.UNKNOWN_PERSON


@pytest.mark.parametrize(("text", "hours"), [("4", 4), ("168", 168), ("4h please", 4)])
def test_snoozed_for_everybody_until(text, hours):
    at = desk_of()
    found = at.press("you", Verb.SNOOZE, reason=text)
    assert at.inquiry.snoozed_until_ms == NOW + hours * HOUR
    assert (found.recorded, found.detail) == ("inquiry.snoozed", {"until_ms": NOW + hours * HOUR})
    assert found.note.startswith("No reminders of it until ")


@pytest.mark.parametrize("text", ["", "0", "169", "1.5", "-1", "9999", "soon", "٤"])
def test_hours_are_whole_hours(text):
    at = desk_of()
    assert at.press("bob", Verb.SNOOZE, reason=text).note == notes.SNOOZE_HOW
    assert at.press("bob", Verb.EXTEND, reason=text).note == notes.EXTEND_HOW


def test_an_extension_is_by_who_may_decide_and_at_most_seven_days_in_all():
    at = desk_of()
    for who, note in (("you", notes.NOT_YOUR_OWN), ("dan", notes.NOT_ELIGIBLE), ("mia", notes.NOT_ELIGIBLE)):
        assert at.press(who, Verb.EXTEND, reason="5").note == note
    assert at.press("bob", Verb.EXTEND, reason="5", standing=None).note == notes.NOT_CHECKED
    found = at.press("bob", Verb.EXTEND, reason="100")
    assert (at.inquiry.decide_by_ms, at.inquiry.extended_ms) == (NOW + DAY + 100 * HOUR, 100 * HOUR)
    assert found.detail == {"decide_by_ms": NOW + DAY + 100 * HOUR, "extended_ms": 100 * HOUR}
    assert at.press("ann", Verb.EXTEND, reason="69").note == notes.EXTENDED_ENOUGH
    assert at.press("ann", Verb.EXTEND, reason="68").inquiry.extended_ms == EXTENDED_MS_MAX
    assert at.press("bob", Verb.EXTEND, reason="1").note == notes.EXTENDED_ENOUGH


def test_what_is_overdue_is_in_time_again_from_now_on():
    at = desk_of(overdue=True, decide_by_ms=NOW - 3 * HOUR)
    found = at.press("bob", Verb.EXTEND, reason="2")
    assert (found.inquiry.overdue, found.inquiry.decide_by_ms) == (False, NOW + 2 * HOUR)
    assert found.inquiry.extended_ms == 5 * HOUR
    assert rules.deadline(at.row, NOW + HOUR).transition == 0
    assert rules.deadline(at.row, NOW + 2 * HOUR).inquiry.overdue


def test_only_a_deadline_can_be_extended():
    assert desk_of(decide_by_ms=None).press("bob", Verb.EXTEND, reason="2").note == notes.EXTEND_HOW


@pytest.mark.parametrize("verb", [Verb.COMMENT, Verb.SNOOZE, Verb.EXTEND, Verb.OVERRIDE])
def test_nothing_can_be_done_to_what_is_over(verb):
    assert desk_of(state=S.DENIED).press("bob", verb, reason="2").note == "Already denied by nobody."


def test_a_question_is_tended_as_well():
    at = Desk(of(), question(of()))
    assert at.press("mia", Verb.SNOOZE, reason="2").changed
    assert at.press("mia", Verb.EXTEND, reason="2").changed
    assert at.press("mia", Verb.COMMENT, reason="blue?").remark == "blue?"
    assert at.press("ann", Verb.OVERRIDE, reason="x").note == notes.NO_OVERRIDE


# --- Override ---------------------------------------------------------------------------------------------------------

FREE = of(override=True)


def test_case_25_an_owner_overrides_and_it_is_labelled():
    at = desk_of(FREE)
    at.press("bob")
    found = at.press("ann", Verb.OVERRIDE, reason="the site is down")
    assert (found.inquiry.state, found.inquiry.label) == (S.APPROVED, Label.OVERRIDE)
    assert (found.grant.by, found.vote.verb, found.verdict.label) == (("ann",), Verb.OVERRIDE, "owner override")
    assert found.inquiry.resolution.reason == "the site is down"
    assert found.recorded == "inquiry.overridden"
    assert found.detail == {"label": "owner override", "reason": "the site is down", "instead_of": "full"}


@pytest.mark.parametrize(
    ("who", "changes", "note"),
    [
        ("ann", {"reason": " "}, notes.REASON_NEEDED),
        ("you", {"reason": "x"}, notes.NOT_YOUR_OWN),
        ("bob", {"reason": "x"}, notes.OWNERS_ONLY),
        ("mia", {"reason": "x"}, notes.OWNERS_ONLY),
        ("ann", {"reason": "x", "standing": False}, notes.OWNERS_ONLY),
        ("ann", {"reason": "x", "standing": None}, notes.NOT_CHECKED),
        ("ann", {"reason": "x", "revision": 7}, notes.STALE),
    ],
)
def test_case_25_only_an_owner_who_did_not_ask_with_a_reason(who, changes, note):
    at = desk_of(FREE)
    found = at.press(who, Verb.OVERRIDE, **changes)
    assert (found.note, found.changed, found.grant) == (note, False, None)


def test_an_edit_after_an_override_is_for_the_usual_people_again():
    at = desk_of(FREE)
    label = at.inquiry.label
    at.press("ann", Verb.OVERRIDE, reason="the site is down")
    assert at.press("bob", Verb.EDIT, edit={"to": "y"}).note == notes.EDITED
    assert (at.inquiry.label, label) == (Label.FULL, Label.FULL)


def test_an_edit_after_an_override_of_too_few_says_so_again():
    people = tuple(one for one in PEOPLE if one.id in {"you", "ann", "bob"})
    few = of(stages=(StageRule(approve_n=3, people=("ann", "bob")),), people=people, override=True)
    at = desk_of(few, stages=(Stage(eligible=("ann", "bob"), approve_n=1),), label=Label.REDUCED)
    at.press("ann", Verb.OVERRIDE, reason="now")
    assert at.press("bob", Verb.EDIT, edit={"to": "y"}).note == notes.EDITED
    assert at.inquiry.label is Label.REDUCED
    at = desk_of(FREE)
    at.press("ann", Verb.OVERRIDE, reason="now")
    at.team = of(stages=(StageRule(approve_n=3, people=("ann", "bob", "carol")),), override=True)
    assert at.press("bob", Verb.EDIT, edit={"to": "y"}).note == notes.RAISES_TIER


def test_case_19_an_override_stands_as_long_as_its_owner_is_one():
    at = desk_of(FREE)
    at.press("ann", Verb.OVERRIDE, reason="now")
    assert still_decides(at.inquiry, ("ann",), FREE)
    approver = of(people=(*(one for one in PEOPLE if one.id != "ann"), person("ann")), override=True)
    assert not still_decides(at.inquiry, ("ann",), approver)
    reduced = msgspec.structs.replace(at.inquiry, label=Label.REDUCED)
    assert still_decides(reduced, ("ann",), approver)
    assert not still_decides(reduced, ("gone",), approver)


def test_case_25_without_the_policys_word_nobody_overrides():
    assert desk_of().press("ann", Verb.OVERRIDE, reason="x").note == notes.NO_OVERRIDE


def test_an_override_is_checked_like_every_approval():
    verified = desk_of(of(override=True, verified=True))
    typed = verified.press("ann", Verb.OVERRIDE, reason="x", evidence=Evidence.ASSERTED)
    assert typed.note == notes.NEEDS_VERIFIED
    ship = team(PEOPLE, infrastructure=TierRule(stages=TWO, override=True))
    other = Desk(ship, approval(ship)).press("ann", Verb.OVERRIDE, reason="x", fingerprint="cd" * 32)
    assert (other.inquiry.state, other.note, other.recorded) == (S.CANCELLED, notes.ACTION_CHANGED, "")
    same = Desk(ship, approval(ship)).press("ann", Verb.OVERRIDE, reason="x", fingerprint=PROGRAM)
    assert isinstance(same.grant, Grant)


def test_an_editor_does_not_override_and_whoever_denied_takes_that_back_first():
    at = desk_of(FREE)
    at.press("ann", Verb.EDIT, edit={"to": "y"})
    assert at.press("ann", Verb.OVERRIDE, reason="x").note == notes.NOT_YOUR_OWN
    twice = desk_of(of((StageRule(deny_n=2),), override=True))
    twice.press("ann", Verb.DENY)
    assert twice.press("ann", Verb.OVERRIDE, reason="x").note == notes.CONFLICT
    twice.press("ann", Verb.WITHDRAW)
    assert twice.press("ann", Verb.OVERRIDE, reason="x").inquiry.state is S.APPROVED


# --- Delegates --------------------------------------------------------------------------------------------------------


class Away(Desk):
    """A desk where some are away."""

    absences: tuple[Absence, ...] = ()

    def press(self, who, verb=Verb.APPROVE, **given):
        self.presses += 1
        given = {
            "principal": who,
            "account": f"chat:{who}",
            "evidence": Evidence.VERIFIED,
            "callback": f"cb{self.presses}",
            "revision": self.inquiry.revision,
            "at_ms": NOW,
            **given,
        }
        decision = rules.press(
            self.row,
            rules.Press(verb=verb, **given),
            rules.Standing(principal=who, may_approve=True, checked_at_ms=NOW),
            self.team,
            NOW,
            task_alive=True,
            fingerprint_now="",
            absences=self.absences,
        )
        self.keep(decision)
        return decision


def away(*absences, of_=None, **changes):
    of_ = of_ or of((StageRule(people=("ann", "bob")),))
    at = Away(of_, approval(of_, **MAIL, **changes))
    at.absences = absences
    return at


def gone(who, delegate="", hours=5):
    return Absence(person=who, until_ms=NOW + hours * HOUR, delegate=delegate)


def test_a_delegate_counts_as_themselves_and_says_for_whom():
    ann_only = (Stage(eligible=("ann",), approve_n=1),)
    found = away(gone("ann", "bob"), stages=ann_only).press("bob")
    assert (found.inquiry.state, found.grant.by, found.vote.stands_for) == (S.APPROVED, ("bob",), ("ann",))
    assert found.inquiry.stages[0].eligible == ("ann", "bob")
    # not in their frozen list, and nobody's delegate
    assert away(stages=ann_only).press("bob").note == notes.NOT_ELIGIBLE
    assert away(gone("ann", "bob", hours=0), stages=ann_only).press("bob").note == notes.NOT_ELIGIBLE


def test_case_24_a_delegate_whom_the_selector_does_not_mean_is_refused():
    at = away(gone("ann", "dan"))
    assert at.press("dan").note == notes.NOT_IN_THEIR_PLACE
    assert at.inquiry.stages[0].eligible == ("ann", "bob")
    yours = away(gone("ann", "you"))
    assert yours.press("you").note == notes.NOT_YOUR_OWN


def test_standing_in_is_not_passed_on():
    at = away(gone("ann", "bob"), gone("bob", "carol"), stages=(Stage(eligible=("ann",), approve_n=1),))
    assert at.press("carol").note == notes.NOT_ELIGIBLE


def test_one_person_is_one_vote_for_however_many():
    three = of((StageRule(approve_n=2, people=("ann", "bob", "carol")),))
    at = away(gone("ann", "bob"), of_=three)
    assert at.press("bob").inquiry.state is S.COLLECTING
    assert at.press("bob").note == notes.SEEN
    assert at.row.votes[0].stands_for == ("ann",)
    # away, and yet here: nobody is kept from deciding
    assert at.press("ann").inquiry.state is S.APPROVED


def test_a_delegate_sits_in_the_sets_of_the_absent_that_mean_them():
    sets = (SetRule(people=("ann", "dan")), SetRule(people=("bob", "carol")))
    split = of((StageRule(sets=sets),))
    at = away(gone("ann", "dan"), of_=split)
    narrow = msgspec.structs.replace(
        at.inquiry.stages[0],
        eligible=("ann", "bob"),
        sets=tuple(msgspec.structs.replace(one, eligible=one.eligible[:1]) for one in at.inquiry.stages[0].sets),
    )
    at = away(gone("ann", "dan"), of_=split, stages=(narrow,))
    assert at.press("dan").inquiry.stages[0].sets[0].eligible == ("ann", "dan")
    assert at.inquiry.stages[0].sets[1].eligible == ("bob",)
    assert at.press("bob").inquiry.state is S.APPROVED


def test_a_second_stage_is_kept_as_it_is():
    both = of((StageRule(people=("ann", "bob")), StageRule(people=("carol",))))
    at = away(gone("ann", "bob"), of_=both)
    narrow = (Stage(eligible=("ann",), approve_n=1), at.inquiry.stages[1])
    at = away(gone("ann", "bob"), of_=both, stages=narrow)
    assert at.press("bob").note == notes.REVIEW_NEXT
    assert at.inquiry.stages[1] == narrow[1]


def test_a_recast_vote_still_says_for_whom():
    at = away()
    assert at.press("bob", stands_for=("ann",)).vote.stands_for == ("ann",)


def test_nobody_stands_in_where_nothing_is_decided():
    at = away(gone("ann", "bob"), stages=(), state=S.DENIED)
    assert at.press("bob").note == "Already denied by nobody."
    review = away(gone("ann", "bob"), kind=Kind.APPROVAL)
    assert review.press("bob", Verb.VIEW).note == ""
