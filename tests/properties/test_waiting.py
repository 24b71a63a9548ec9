"""However people vote while others are asked instead, are away or come back: whoever approves is whom the policy means,
and every set of every stage is filled by people of its own.
"""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from core.model.inquiries import InquiryState, Label, Verb
from core.model.team import Absence, Escalation, EscalationStep, Person, SetRule, StageRule, TierRule
from core.model.work import Failure
from core.rules import inquiry as rules
from core.rules import waiting
from core.rules.absence import HOUR_MS
from core.rules.policy import entitled, gates_of, panel_of, rule_sets
from core.rules.quorum import can_fill, sets_of
from tests.rules_kit import NOW, Desk, approval, ship_act, team

MAIL = {"tool": "send_mail", "arguments": {"to": "x"}}
NAMES = ("a", "b", "c", "d", "e")
SOME = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)
SETS = st.builds(
    SetRule,
    approve_n=st.integers(1, 2),
    people=SOME,
    roles=st.lists(st.sampled_from(["owner", "approver"]), max_size=1).map(tuple),
)
STAGES = st.lists(
    st.builds(StageRule, deny_n=st.integers(1, 2), sets=st.lists(SETS, min_size=1, max_size=2).map(tuple)),
    min_size=1,
    max_size=2,
).map(tuple)
STEPS = st.lists(
    st.builds(
        lambda to, replace: EscalationStep(after_ms=HOUR_MS, to=to, replace=replace),
        st.lists(st.sampled_from((*NAMES, "owner")), max_size=3).map(tuple),
        st.booleans(),
    ),
    min_size=1,
    max_size=3,
)
ROLES = st.tuples(*[st.sampled_from(["owner", "approver", "approver", "member"])] * len(NAMES))
MOVES = st.lists(
    st.one_of(
        st.tuples(st.just("press"), st.sampled_from(NAMES), st.sampled_from([Verb.APPROVE] * 4 + [Verb.WITHDRAW])),
        st.tuples(st.just("away"), st.sampled_from(NAMES), st.sampled_from(NAMES)),
        st.tuples(st.just("escalate"), st.just(""), st.just("")),
    ),
    max_size=12,
)


def office(roles, stages, steps):
    people = tuple(Person(id=n, name=n, role=role) for n, role in zip(NAMES, roles, strict=True))
    made = team(people, external=TierRule(stages=stages, escalation="oncall"))
    late = tuple(msgspec.structs.replace(step, after_ms=(n + 1) * HOUR_MS) for n, step in enumerate(steps))
    policy = msgspec.structs.replace(made.policy, escalations={"oncall": Escalation(steps=late)})
    return msgspec.structs.replace(made, policy=policy)


@settings(max_examples=300, deadline=None)
@given(ROLES, STAGES, STEPS, SOME, MOVES)
def test_whoever_approves_is_whom_the_policy_means(roles, stages, steps, asked, moves):
    of = office(roles, stages, steps)
    gates = gates_of(of, "devops", ship_act(of, **MAIL), gated=False, untrusted=False)
    if isinstance(panel_of(of, gates, asked, ()), Failure):
        return
    desk = Desk(of, approval(of, **MAIL, initiators=asked))
    full, now, absences = desk.inquiry.label is Label.FULL, NOW, {}
    for n, (kind, who, what) in enumerate(moves):
        match kind:
            case "away":
                absences[who] = Absence(person=who, until_ms=now + HOUR_MS, delegate=what)
            case "escalate":
                now += HOUR_MS
                desk.keep(waiting.escalate(desk.row, of, now).decision)
                assert desk.inquiry.state is not InquiryState.APPROVED or desk.row.grant is not None
            case _:
                desk.keep(pressed(desk, of, who, what, n, now, tuple(absences.values())))
        if full:
            assert seats_of(desk, of, stages, asked)
        if desk.row.grant is not None:
            break
    if full and desk.row.grant is not None:
        by = set(desk.row.grant.by)
        groups = [(by & set(entitled(of, one)) - set(asked), one.approve_n) for s in stages for one in rule_sets(s)]
        assert can_fill(groups), (by, groups)


def seats_of(desk, of, stages, asked):
    """Whether nobody sits where the policy's selector does not mean them."""
    rows = zip(desk.inquiry.stages, stages, strict=True)
    pairs = [pair for stage, rule in rows for pair in zip(sets_of(stage), rule_sets(rule), strict=True)]
    return all(set(one.eligible) <= set(entitled(of, rule)) - set(asked) for one, rule in pairs)


def pressed(desk, of, who, verb, n, now, absences):
    return rules.press(
        desk.row,
        rules.Press(
            verb=verb,
            principal=who,
            account=f"chat:{who}",
            evidence="verified",
            callback=f"cb{n}",
            revision=desk.inquiry.revision,
            at_ms=now,
        ),
        rules.Standing(principal=who, may_approve=of.person(who).may_approve, checked_at_ms=now),
        of,
        now,
        task_alive=True,
        fingerprint_now="",
        absences=absences,
    )
