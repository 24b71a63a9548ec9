"""Standing that nobody could tell, or that is lost: the vote is kept, or void, and looked at again."""

from __future__ import annotations

import msgspec
import pytest

from core.model.inquiries import InquiryState as S
from core.model.inquiries import Verb
from core.model.team import StageRule, TierRule
from core.rules import inquiry as rules
from core.rules import notes, views
from core.runtime.standing import AGAIN_MS, look_again_ms
from tests.rules_kit import NOW, Desk, approval, team, vote
from tests.unit.view_samples import NONCE

TWO = team(external=TierRule(stages=(StageRule(approve_n=2),)))
MAIL = {"tool": "send_mail", "arguments": {"to": "a"}}


def standing(who, may=True, age=0):
    return rules.Standing(principal=who, may_approve=may, checked_at_ms=NOW - age)


class Room(Desk):
    """A desk whose earlier voters are looked at again."""

    others: tuple[rules.Standing, ...] = ()

    def press(self, who, verb=Verb.APPROVE, *, may=True):
        self.presses += 1
        inquiry = self.inquiry
        decision = rules.press(
            self.row,
            rules.Press(
                verb=verb,
                principal=who,
                account=f"chat:{who}",
                evidence="verified",
                callback=f"cb{self.presses}",
                revision=inquiry.revision,
                at_ms=NOW,
            ),
            standing(who, may),
            self.team,
            NOW,
            task_alive=True,
            fingerprint_now=inquiry.action.fingerprint,
            others=self.others,
        )
        self.keep(decision)
        return decision


def mail(of=TWO):
    return Room(of, approval(of, **MAIL))


def test_a_kept_vote_does_not_count_when_another_comes():
    desk = mail()
    kept = desk.press("bob", may=None)
    assert (kept.note, kept.vote.checked, desk.inquiry.state) == (notes.KEPT, False, S.COLLECTING)
    assert desk.press("carol").note == notes.COUNTED
    assert desk.inquiry.state is S.COLLECTING
    assert rules.needs_of(desk.inquiry, desk.row.votes, TWO) == "1 of 1: Bob; not You (asked)"
    card = views.inquiry_card(desk.inquiry, TWO, desk.row.votes, NONCE, NOW)
    assert card.needs == "approved so far by Carol"
    done = desk.press("bob")
    assert (done.transition, done.vote.checked, done.grant.by) == (7, True, ("carol", "bob"))


def test_a_kept_vote_counts_with_the_next_if_it_can_by_then():
    desk = mail()
    desk.press("bob", may=None)
    desk.others = (standing("bob"),)
    assert desk.press("carol").transition == 7


@pytest.mark.parametrize(
    ("bob", "note"),
    [
        (standing("bob", None), notes.OTHERS_UNSURE),
        (standing("bob", age=60_001), notes.OTHERS_UNSURE),
        (standing("bob", may=False), notes.OTHERS_UNSURE),
    ],
)
def test_case_19_a_vote_whose_voter_may_no_more_does_not_count_at_the_last_moment(bob, note):
    desk = mail()
    desk.press("bob")
    desk.others = (bob,)
    decision = desk.press("carol")
    assert (decision.note, desk.inquiry.state, decision.grant) == (note, S.COLLECTING, None)
    desk.others = (standing("bob"),)
    assert desk.press("carol").transition == 7


def test_taking_back_leaves_out_those_who_may_no_more():
    desk = mail()
    desk.press("bob")
    desk.press("you", Verb.WITHDRAW)
    desk.others = (standing("bob", may=False),)
    desk.press("bob", Verb.WITHDRAW)
    assert desk.inquiry.state is S.OPEN


def test_when_standings_are_looked_at_again():
    asked = approval(TWO, **MAIL)
    sure = vote("bob", inquiry=asked)
    kept = msgspec.structs.replace(sure, checked=False)
    next_minute = (NOW // AGAIN_MS + 1) * AGAIN_MS
    assert look_again_ms((sure,), (), NOW, changed=True) is None
    assert look_again_ms((sure,), (standing("bob"),), NOW, changed=True) is None
    assert look_again_ms((sure,), (standing("bob", None),), NOW, changed=False) == next_minute
    assert look_again_ms((kept,), (standing("bob", may=False),), NOW, changed=True) is None
    assert look_again_ms((kept,), (standing("bob"),), NOW, changed=True) == NOW
    assert look_again_ms((kept,), (standing("bob"),), NOW, changed=False) is None
