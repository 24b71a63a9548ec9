"""However people press, and whatever happens meanwhile: nothing is approved but by enough entitled people (P3)."""

from hypothesis import given
from hypothesis import strategies as st

from core.model.inquiries import GrantState, InquiryState, Label, Verb
from core.model.team import StageRule, TierRule
from core.rules import inquiry as rules
from core.rules.canonical import action_digest
from core.rules.policy import DAY_MS
from tests.rules_kit import NOW, Desk, approval, person, team

PEOPLE = ("you", "bob", "carol", "dan", "mia", "ghost", None)
PRESSES = st.fixed_dictionaries(
    {
        "who": st.sampled_from(PEOPLE),
        "verb": st.sampled_from(Verb),
        "standing": st.sampled_from([True, True, True, False, None]),
        "reason": st.sampled_from(["", "because"]),
        "edit": st.sampled_from([None, {"args.site": "docs"}, {"args.site": "landing"}, {"args.note": 3}, {"x": 1}]),
    }
)
PASSES = st.sampled_from(["deadline", "withdraw", "expire", "program"])
RULES = st.lists(st.builds(StageRule, approve_n=st.integers(1, 2), deny_n=st.integers(1, 2)), min_size=1, max_size=2)


def desks(stages, alone):
    people = (person("you", "owner"),) if alone else tuple(map(person, ("you", "bob", "carol", "dan")))
    of = team((*people, person("mia", "member")), infrastructure=TierRule(stages=tuple(stages)))
    return Desk(of, approval(of))


def check(desk, before, decision):
    now = desk.inquiry
    if now.state is not before.state or now.revision != before.revision:
        assert decision.transition
    assert now.revision >= before.revision
    assert (decision.verdict is not None) == (now.state.final and now.state is not before.state)
    if decision.grant is None:
        assert now.state is not InquiryState.APPROVED or before.state is InquiryState.APPROVED
        return
    grant = decision.grant
    assert before.state.active or before.state is InquiryState.CREATED
    assert grant.digest == now.digest == action_digest(now.action)
    assert grant.state is GrantState.LIVE
    assert len(set(grant.by)) == len(grant.by)
    assert len(grant.by) >= sum(stage.approve_n for stage in now.stages)
    assert all(desk.team.person(p).may_approve for p in grant.by)
    assert now.label is Label.SINGLE or "you" not in grant.by


@given(RULES, st.booleans(), st.lists(PRESSES | PASSES, max_size=14))
def test_only_enough_entitled_people_approve(stages, alone, script):
    desk = desks(stages, alone)
    for n, act in enumerate(script):
        before = desk.inquiry
        now_ms = NOW + n * DAY_MS // 6
        if isinstance(act, dict):
            decision = desk.press(act["who"], **{k: v for k, v in act.items() if k != "who"}, now=now_ms)
        elif act == "program":
            decision = desk.press("bob", fingerprint="cd" * 32, now=now_ms)
            assert decision.grant is None
        else:
            passing = {
                "deadline": lambda: rules.deadline(desk.row, now_ms),  # noqa: B023 - called at once
                "withdraw": lambda: rules.withdraw(desk.row, "x", "task", now_ms),  # noqa: B023 - called at once
                "expire": lambda: rules.expire_grant(desk.row, now_ms),  # noqa: B023 - called at once
            }
            decision = passing[act]()
            assert decision.grant is None
            desk.keep(decision)
        check(desk, before, decision)
        assert isinstance(rules.needs_of(desk.inquiry, desk.row.votes, desk.team), str)


@given(RULES)
def test_liveness_everybody_pressing_once_decides_a_full_panel(stages):
    desk = desks(stages, alone=False)
    for _ in range(2):
        for who in ("bob", "carol", "dan"):
            if desk.inquiry.state.active:
                desk.press(who)
    assert desk.inquiry.state is InquiryState.APPROVED
