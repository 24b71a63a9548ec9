"""What an act needs, and who may give it."""

import dataclasses

import msgspec
import pytest

from core.model.inquiries import Label, Stage
from core.model.team import EffectClass, StageRule, Tier, TierRule
from core.model.work import Brief, Failure
from core.rules.policy import (
    DAY_MS,
    DEFAULT_TIERS,
    DEFAULT_WORDS,
    Gates,
    Panel,
    fillable,
    gates_of,
    panel_of,
    rule_of,
    stricter,
    word_in_brief,
)
from tests.rules_kit import approval, person, ship_act, team

TEAM = team()


def gates(act, *, of=TEAM, gated=False, untrusted=False):
    return gates_of(of, "devops", act, gated=gated, untrusted=untrusted)


def act_with(tool="write_file", arguments=None, of=TEAM, /, **action):
    act = ship_act(of, tool, arguments or {"path": "notes.md"})
    return dataclasses.replace(act, action=msgspec.structs.replace(act.action, **action))


def people(rules, *, allow_self=False):
    return Gates(
        tier=Tier.EXTERNAL,
        stages=tuple(rules),
        decide_ms=1,
        execute_ms=1,
        at_deadline="queue",
        reasons=(),
        verified=False,
        reason_required=False,
        allow_self=allow_self,
    )


# --- Gates ----------------------------------------------------------------------------------------------------------


def test_the_default_policy_is_the_one_written_down():
    assert DEFAULT_WORDS == ("deploy", "production", "database", "billing", "delete")
    assert {tier: (len(rule.stages), rule.decide_ms // DAY_MS) for tier, rule in DEFAULT_TIERS.items()} == {
        "read": (0, 1),
        "internal": (0, 1),
        "external": (1, 1),
        "financial": (1, 1),
        "infrastructure": (2, 2),
    }


def test_mild_acts_run_at_once():
    assert gates(act_with()) is None
    assert gates(act_with("read_file", {"path": "x"})) is None


def test_a_tier_asks_for_its_stages():
    got = gates(ship_act(TEAM))
    assert (got.tier, len(got.stages), got.decide_ms) == (Tier.INFRASTRUCTURE, 2, 2 * DAY_MS)
    assert got.reasons == ("infrastructure actions need one approver and a second reviewer",)
    assert gates(act_with("send_mail", {"to": "x"})).reasons == ("external actions need one approver",)


@pytest.mark.parametrize(
    ("n", "said"),
    [((2,), "2 approvers"), ((1, 1, 1), "3 stages of approval")],
)
def test_other_quorums_are_said(n, said):
    of = team(external=TierRule(stages=tuple(StageRule(approve_n=k) for k in n)))
    assert said in gates(act_with("send_mail", {"to": "x"}, of), of=of).reasons[0]


@pytest.mark.parametrize(
    ("tool", "arguments", "action"),
    [
        ("write_file", {"path": "deploy.sh"}, {}),
        ("write_file", {"path": "x/Production/y"}, {}),
        ("write_file", {"path": "x"}, {"resource": "the-DATABASE"}),
        ("write_file", {"path": "x"}, {"tool": "deleteFile"}),
        ("write_file", {"path": "x"}, {"verb": "run billing"}),
        ("write_file", {"path": "x"}, {"arguments": {"command": "delete"}}),
        ("write_file", {"path": "delete_me"}, {}),
    ],
)
def test_words_gate_what_they_name(tool, arguments, action):
    got = gates(act_with(tool, arguments, **action))
    assert got.stages == (StageRule(),)
    assert got.decide_ms == DAY_MS
    assert got.reasons[0].startswith("it names ")


@pytest.mark.parametrize(
    ("arguments", "action"),
    [
        ({"path": "x", "content": "deploy to production, delete the database"}, {}),
        ({"path": "redeployment.md"}, {}),
        ({"path": "x"}, {"arguments": {"command": 3}}),
        ({"path": "x"}, {"says": "delete"}),
    ],
)
def test_words_are_whole_and_never_looked_for_in_content(arguments, action):
    assert gates(act_with("write_file", arguments, **action)) is None


def test_looking_is_not_gated_by_words_or_briefs():
    look = act_with("read_file", {"path": "production/database"})
    assert gates(look, gated=True, untrusted=True) is None


def test_configuration_adds_words():
    of = msgspec.structs.replace(TEAM, policy=msgspec.structs.replace(TEAM.policy, words=("", "a.b c")))
    assert gates(act_with("write_file", {"path": "A.B C"}), of=of) is not None
    assert gates(act_with("write_file", {"path": "axb c"}), of=of) is None


def test_case_22_a_gated_task_asks_for_everything_but_reads():
    got = gates(act_with(), gated=True)
    assert got.reasons == ("what was asked of devops needs approval",)
    assert got.stages == (StageRule(),)


def test_untrusted_text_gates_what_reaches_outside_even_where_the_policy_does_not():
    of = team(external=TierRule())
    mail = act_with("send_mail", {"to": "x"}, of)
    assert gates(mail, of=of) is None
    assert gates(mail, of=of, untrusted=True).reasons == ("the task has read text from outside",)
    assert gates(act_with(), untrusted=True) is None


def test_all_gates_merge_and_the_strictest_wins():
    of = team(infrastructure=TierRule(stages=(StageRule(approve_n=2),), verified=True, decide_ms=5, allow_self=True))
    act = act_with("run_command", {"command": "ship", "args": {"site": "docs"}}, of, resource="production")
    got = gates(act, of=of, gated=True, untrusted=True)
    assert (got.stages, got.decide_ms, got.verified, got.allow_self) == ((StageRule(approve_n=2),), 5, True, True)
    assert len(got.reasons) == 4


def test_a_tier_the_policy_leaves_out_keeps_its_default():
    bare = msgspec.structs.replace(TEAM.policy, tiers={})
    assert rule_of(bare, Tier.FINANCIAL).stages == (StageRule(),)


def test_words_in_a_brief():
    assert word_in_brief(TEAM.policy, Brief(objective="Deploy the site"))
    assert word_in_brief(TEAM.policy, Brief(objective="x", kind="delete"))
    assert not word_in_brief(TEAM.policy, Brief(objective="x", context="production"))


# --- Who can decide -------------------------------------------------------------------------------------------------

TWO = (StageRule(), StageRule())
ONE = (StageRule(),)


def test_enough_people_keep_the_full_rule():
    assert panel_of(TEAM, people(TWO), ("you",), ()) == Panel(
        label=Label.FULL,
        stages=(Stage(eligible=("bob", "carol"), approve_n=1), Stage(eligible=("bob", "carol"), approve_n=1)),
    )


def test_case_17_initiators_are_left_out_unless_the_tier_names_self_approval():
    assert "you" not in panel_of(TEAM, people(ONE), ("you", "bob"), ()).stages[0].eligible
    assert "you" in panel_of(TEAM, people(ONE, allow_self=True), ("you",), ()).stages[0].eligible


def test_too_few_decide_alone_and_it_is_labelled():
    of = team((person("you", "owner"), person("bob")))
    assert panel_of(of, people(TWO), ("you",), ()) == Panel(
        label=Label.REDUCED, stages=(Stage(eligible=("bob",), approve_n=1),)
    )
    three = (StageRule(approve_n=3),)
    assert panel_of(TEAM, people(three), ("you",), ()).stages == (Stage(eligible=("bob", "carol"), approve_n=2),)


def test_lists_that_overlap_too_much_are_reduced_as_well():
    only_bob = (StageRule(people=("bob",)), StageRule(people=("bob", "you")))
    assert panel_of(TEAM, people(only_bob), ("you",), ()) == Panel(
        label=Label.REDUCED, stages=(Stage(eligible=("bob",), approve_n=1),)
    )


def test_the_only_one_who_may_decide_may_decide_their_own():
    of = team((person("you", "owner"), person("mia", "member")))
    assert panel_of(of, people(TWO), ("you",), ()) == Panel(
        label=Label.SINGLE, stages=(Stage(eligible=("you",), approve_n=1),)
    )


@pytest.mark.parametrize(
    ("of", "rules", "initiators"),
    [
        (team((person("mia", "member"),)), ONE, ()),
        (team(()), ONE, ("you",)),
        (TEAM, (StageRule(), StageRule(people=("gone",))), ("you",)),
        (team((person("you", "owner"), person("bob"))), ONE, ("you", "bob")),
    ],
)
def test_case_16_nobody_means_refused(of, rules, initiators):
    failure = panel_of(of, people(rules), initiators, ("ceo",))
    assert isinstance(failure, Failure)
    assert "ceo" in failure.why


def test_a_denial_stays_possible():
    assert panel_of(TEAM, people((StageRule(deny_n=9),)), ("you",), ()).stages[0].deny_n == 2


def test_distinct_people_must_fill_the_stages():
    a, ab = Stage(eligible=("a",), approve_n=1), Stage(eligible=("a", "b"), approve_n=1)
    assert fillable((a, ab))
    assert not fillable((a, a))
    assert not fillable((a, ab), frozenset({"b"}))
    assert fillable(())


# --- Stricter today -------------------------------------------------------------------------------------------------


def today(**changes):
    base = gates(ship_act(TEAM))
    return dataclasses.replace(base, **changes)


def test_the_same_policy_is_not_stricter():
    assert not stricter(None, approval(TEAM))
    assert not stricter(today(), approval(TEAM))


@pytest.mark.parametrize(
    "changes",
    [
        {"verified": True},
        {"reason_required": True},
        {"stages": (StageRule(approve_n=3),)},
        {"stages": (StageRule(),) * 3},
    ],
)
def test_more_is_stricter(changes):
    assert stricter(today(**changes), approval(TEAM))


def test_a_worse_tier_is_stricter():
    assert stricter(today(), approval(TEAM, tier=Tier.EXTERNAL))


def test_self_approval_taken_away_is_stricter():
    own = approval(TEAM, stages=(Stage(eligible=("you", "bob"), approve_n=1),) * 2)
    assert stricter(today(), own)
    assert not stricter(today(allow_self=True), own)


def test_people_who_were_missing_then_are_not_a_stricter_policy():
    alone = approval(team((person("you", "owner"), person("bob"))))
    assert alone.label is Label.REDUCED
    assert not stricter(today(), alone)


def test_effects_are_what_the_kit_says():
    assert act_with("read_file").effect is EffectClass.READ
