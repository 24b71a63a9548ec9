"""A policy explained: what the engine would decide, in words, without a line of its own about policy."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from core.model.events import Conversation
from core.model.team import (
    AllowRule,
    BoundRule,
    Escalation,
    EscalationStep,
    Person,
    Policy,
    SetRule,
    StageRule,
    Team,
    Tier,
    TierRule,
    Triggers,
)
from core.rules import telling
from core.rules.explain import explain
from core.rules.policy import DEFAULT_TIERS
from tests import small

BOB, CAROL = (Person(id=i, name=i.title(), role="approver") for i in ("bob", "carol"))
MIA = Person(id="mia", name="Mia", role="member")
SHIP = {"command": "ship", "args": {"site": "landing"}}
SIDE = Conversation(platform="slack", account="T1", channel="C42")


def told(team: Team, role: str, tool: str, arguments: Any, asked_by: str = "", now_ms: int = 0) -> str:
    prints = small.FINGERPRINTS
    return "\n".join(explain(team, role, tool, arguments, asked_by=asked_by, fingerprints=prints, now_ms=now_ms))


def ruled(rule: TierRule, tier: Tier = Tier.EXTERNAL, *people: Person, **policy: Any) -> Team:
    tiers = {**DEFAULT_TIERS, tier.value: rule}
    made = Policy(tiers=tiers, words=("deploy",), version="p", **policy)
    return structs.replace(small.team(*(people or (small.YOU, BOB, CAROL, MIA))), policy=made)


def test_the_whole_rule_with_who_may_and_who_may_not() -> None:
    said = told(small.team(small.YOU, BOB, CAROL, MIA), "ops", "run_command", SHIP, "you")
    assert said.splitlines()[:5] == [
        "people are asked: OPS asks to run ship",
        "Runs ./ship.sh landing on this machine",
        "tier: infrastructure",
        "because: infrastructure actions need one approver and a second reviewer",
        "the full rule can be kept",
    ]
    assert "stage 1 of 2: 1 of Bob and Carol must approve" in said
    assert "stage 2 of 2: 1 of Bob and Carol must approve" in said
    assert "not You: asked for it" in said
    assert "not Mia: is a member" in said
    assert telling.EXPLAIN_OTHERS in said
    assert "after 2 d without a decision: it is overdue, stays open, and waits in the inbox" in said
    assert "an approval is good for 1 d, once, for exactly this: v1:" in said


def test_a_schedule_asks_nobody_in_person() -> None:
    assert "1 of You, Bob and Carol must approve" in told(small.team(small.YOU, BOB, CAROL), "ops", "mail", {"to": "x"})


def test_too_few_people_are_a_label() -> None:
    assert telling.EXPLAIN_LABELS["single operator"] in told(small.team(), "ops", "mail", {"to": "x"}, "you")
    assert "reduced quorum" in told(small.team(small.YOU, BOB), "ops", "run_command", SHIP, "you")


def test_words_are_named_that_matched() -> None:
    said = told(ruled(TierRule()), "ops", "mail", {"to": "deploy"})
    assert 'because: it names "deploy"' in said


def test_what_runs_at_once_says_why_and_what_would_change_that() -> None:
    said = told(small.team(), "ops", "note", {"text": "hi"}).splitlines()
    assert said == [
        "runs at once: Uses note",
        "because: internal actions need nobody, and none of the policy's words names it",
        "would be asked of people if: what was asked of ops needs approval",
    ]
    said = told(ruled(TierRule()), "ops", "mail", {"to": "x"}).splitlines()
    assert said[-1] == "would be asked of people if: the task has read text from outside"


@pytest.mark.parametrize(
    ("role", "tool", "arguments", "why"),
    [
        ("ops", "mail", {}, "to"),
        ("ops", "nothing", {}, "not among those team.yaml allows"),
        ("dev", "run_command", SHIP, "dev has no permission for it in team.yaml"),
        ("ceo", "delegate", {"to": "ops", "kind": "deployment", "objective": "x"}, "because: "),
    ],
)
def test_a_refusal_says_why_and_what_the_agent_is_told(role: str, tool: str, arguments: Any, why: str) -> None:
    said = told(small.team(), role, tool, arguments)
    assert said.startswith("refused: ")
    assert why in said
    assert "the agent is told: " in said


def test_nobody_left_to_decide_is_a_refusal() -> None:
    assert told(ruled(TierRule(stages=(StageRule(),)), Tier.EXTERNAL, MIA), "ops", "mail", {"to": "x"}).startswith(
        "refused: nobody may decide this"
    )


def test_calls_that_ask_for_no_permission() -> None:
    said = told(small.team(), "ceo", "delegate", {"to": "cto", "kind": "build", "objective": "x"})
    assert said == "hands the work to CTO; no person is asked"
    assert told(small.team(small.YOU, BOB), "ops", "ask_human", {"question": "which?"}).endswith(
        "You and Bob is enough"
    )
    assert told(small.team(), "ops", "hand_off", {"summary": "done"}) == telling.EXPLAIN_ENDS


def test_work_that_a_trigger_keeps_for_a_person() -> None:
    team = small.team()
    roles = {**team.roles, "cto": structs.replace(team.roles["cto"], triggers=Triggers(words=("lawsuit",)))}
    brief = {"to": "cto", "kind": "build", "objective": "answer the lawsuit"}
    assert "is not handed to CTO: a person takes" in told(
        structs.replace(team, roles=roles, policy=structs.replace(team.policy, brief_triggers=True)),
        "ceo",
        "delegate",
        brief,
    )


def test_conditions_places_and_all_that_time_brings() -> None:
    escalation = Escalation(
        steps=(
            EscalationStep(after_ms=3_600_000, to=("carol",), deliver=(SIDE,)),
            EscalationStep(after_ms=7_200_000, replace=True),
        ),
        repeat_n=2,
    )
    rule = TierRule(
        stages=(StageRule(deny_n=2, sets=(SetRule(people=("bob",)), SetRule(roles=("owner",)))),),
        verified=True,
        reason_required=True,
        approve_reason=True,
        override=True,
        at_deadline="escalate",
        deliver=(structs.replace(SIDE, thread="1.5"),),
        remind_ms=(1_800_000,),
        escalation="up",
    )
    team = ruled(rule, inbox=SIDE, escalations={"up": escalation})
    said = told(team, "ops", "mail", {"to": "x"}, "mia").splitlines()
    for line in (
        "1 of Bob must approve",
        "1 of You must approve",
        "2 denials end it",
        "not Carol: the policy names other people",
        telling.EXPLAIN_OVERRIDE,
        telling.EXPLAIN_VERIFIED,
        telling.EXPLAIN_DENY_REASON,
        telling.EXPLAIN_APPROVE_REASON,
        "shown: where the work was asked for, slack:T1/C42/1.5",
        "after 30 m: a reminder",
        "after 1 d without a decision: it is overdue, stays open, and others are asked, also shown in slack:T1/C42",
        "after 1 h past the deadline, others are asked, too: carol, slack:T1/C42",
        "after 2 h past the deadline, others are asked instead of those before: nobody",
        "then all of these again, 2 times",
    ):
        assert line in said, said
    denied = structs.replace(rule, at_deadline="deny", escalation="", override=False)
    assert "it is denied" in told(ruled(denied), "ops", "mail", {"to": "x"})
    queued, once = structs.replace(rule, at_deadline="queue"), structs.replace(escalation, repeat_n=0)
    text = told(ruled(queued, escalations={"up": once}), "ops", "mail", {"to": "x"})
    assert "after 1 h, others are asked, too: carol" in text
    assert "all of these again" not in text
    unnamed = told(ruled(structs.replace(rule, escalation="")), "ops", "mail", {"to": "x"})
    assert "at the deadline, others are asked, too: owner" in unnamed
    first = Escalation(steps=(EscalationStep(after_ms=0, to=("carol",)),))
    assert "at once, others are asked, too: carol" in told(
        ruled(queued, escalations={"up": first}), "ops", "mail", {"to": "x"}
    )


def test_that_an_approval_may_be_for_several_times_is_said() -> None:
    rule = TierRule(stages=(StageRule(),), bounded=BoundRule(count_max=3, hours_max=1.5))
    said = told(ruled(rule), "ops", "mail", {"to": "x"}, "you")
    assert "or, where all who approve say so: up to 3 times within 1.5 h" in said
    assert "up to" not in told(ruled(structs.replace(rule, bounded=None)), "ops", "mail", {"to": "x"}, "you")


def test_a_circle_of_reporting_lines_ends() -> None:
    team = small.team()
    roles = {**team.roles, "ceo": structs.replace(team.roles["ceo"], reports_to="cto")}
    assert told(structs.replace(team, roles=roles), "ops", "look", {"at": "x"}).startswith("runs at once")


def test_what_is_allowed_for_good_runs_at_once_until_its_day_is_over() -> None:
    rule = AllowRule(tool="mail", verb="mail", until_ms=small.NOW_MS + 3 * 86_400_000)
    team = ruled(TierRule(stages=(StageRule(),)), allow=(rule,))
    said = told(team, "ops", "mail", {"to": "all"}, "you", small.NOW_MS)
    assert said.splitlines()[1] == "because: policy.allow lets it, for another 3 d"
    assert "would be asked of people if: the task has read text from outside" in said
    for now_ms in (0, rule.until_ms):
        assert "people are asked" in told(team, "ops", "mail", {"to": "all"}, "you", now_ms)


def test_times_are_told_from_when_it_is_asked() -> None:
    said = told(ruled(TierRule(stages=(StageRule(),))), "ops", "mail", {"to": "all"}, "you", small.NOW_MS)
    assert "after 1 d without a decision" in said


def test_what_is_shown_in_private_is_said() -> None:
    steps = (EscalationStep(after_ms=60_000, direct=True),)
    rule = TierRule(stages=(StageRule(),), direct=True, deliver=(SIDE,), escalation="up")
    said = told(ruled(rule, escalations={"up": Escalation(steps=steps)}), "ops", "mail", {"to": "all"}, "you")
    assert f"shown: where the work was asked for, slack:T1/C42, {telling.EXPLAIN_DIRECT}" in said
    assert f"others are asked, too: {telling.EXPLAIN_DIRECT}" in said
