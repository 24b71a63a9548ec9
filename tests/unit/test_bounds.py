"""How wide an approval may be made, on the rules alone."""

from __future__ import annotations

import msgspec
import pytest

from core.model.inquiries import Kind, Verb
from core.model.team import BoundRule, EffectClass, StageRule, Tier, TierRule, ToolSpec
from core.model.work import Failure
from core.rules import always, notes
from core.rules.times import Wanted, parse
from tests.rules_kit import NOW, PEOPLE, PROGRAM, TOOLS, Desk, approval, person, team

TUNE = ToolSpec(
    name="tune",
    about="",
    parameters={
        "type": "object",
        "properties": {"level": {"enum": ["low", "high"]}, "any": True, "kind": {"const": "k", "default": "k"}},
        "required": ["level"],
    },
    tier=Tier.EXTERNAL,
    effect=EffectClass.ONCE,
    resource="dial",
)
BOUND = TierRule(stages=(StageRule(),), bounded=BoundRule(count_max=5, hours_max=8))
OF = team(tools={**TOOLS, "tune": TUNE}, external=BOUND, infrastructure=BOUND)


def wanted(*where: tuple[str, str]) -> Wanted:
    return Wanted(count_n=2, within_ms=3_600_000, where=where)


def press(desk: Desk, *where: tuple[str, str]):
    return desk.press("bob", wanted=wanted(*where))


def tuning(of=OF, **changes) -> Desk:
    return Desk(of, approval(of, tool="tune", arguments={"level": "low", "any": "x"}, **changes))


def test_a_tools_own_arguments_are_freed_by_their_names():
    decision = press(tuning(), ("level", "high"), ("kind", "*"))
    assert decision.grant.bounds.free == {"level": ("low", "high"), "kind": ("k",)}
    assert decision.inquiry.bounds == decision.grant.bounds
    assert decision.vote.bounds == decision.grant.bounds


@pytest.mark.parametrize("path", ["any", "no_such"])
def test_what_its_schema_does_not_list_stays_shut(path):
    assert press(tuning(), (path, "*")).note == notes.not_free(path)


def test_a_command_that_is_gone_frees_nothing():
    desk = Desk(OF, approval(OF))
    desk.team = msgspec.structs.replace(OF, commands={})
    assert press(desk, ("site", "*")).note == notes.not_free("site")


def test_a_value_that_would_not_pass_today_or_is_of_another_tier():
    desk = tuning()
    roles = {**OF.roles, "devops": msgspec.structs.replace(OF.roles["devops"], specs=())}
    desk.team = msgspec.structs.replace(OF, roles=roles)
    assert press(desk, ("level", "*")).note == notes.decides_what("level")
    assert press(tuning(tier=Tier.INFRASTRUCTURE), ("level", "*")).note == notes.decides_what("level")


@pytest.mark.parametrize("changes", [{"kind": Kind.REVIEW}, {"action": None, "editable": ()}])
def test_only_actions(changes):
    assert press(tuning(**changes)).note == notes.NOT_BOUNDED


def test_an_approval_without_an_action_is_once_and_has_no_grant():
    desk = tuning(action=None)
    assert desk.press("bob").grant is None
    assert desk.inquiry.state.value == "approved"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", (None, "")),
        ("for the win", (None, "for the win")),
        ("for 2 times within 1.5 h", (Wanted(count_n=2, within_ms=5_400_000), "")),
        ("for 1 time within 1 hour because so", (Wanted(count_n=1, within_ms=3_600_000), "so")),
        (
            "FOR 2 times within 1 hours where a = b|c, d=*, because, well",
            (Wanted(count_n=2, within_ms=3_600_000, where=(("a", "b"), ("a", "c"), ("d", "*"))), ", well"),
        ),
        ("for 0 times within 1 h", None),
        ("for many times", None),
        ("for 2 times within 1 h or so", None),
        ("for 2 times within 1 h where =b", None),
    ],
)
def test_how_often_is_read_whole_or_not_at_all(text, found):
    if found and found[0] and found[0].where:
        text = text.replace(", because, well", " because , well")
    assert parse(text) == found


def test_a_vote_with_other_bounds_makes_it_once():
    two = team(tools={**TOOLS, "tune": TUNE}, external=msgspec.structs.replace(BOUND, stages=BOUND.stages * 2))
    for same in (True, False):
        desk = tuning(two)
        desk.press("bob", wanted=wanted())
        decision = desk.press("carol", wanted=wanted() if same else wanted(("level", "high")))
        assert (decision.grant.bounds is not None) is same


# --- /always ----------------------------------------------------------------------------------------------------------


def test_a_secret_is_not_written_into_team_yaml():
    asked = tuning().inquiry
    hidden = msgspec.structs.replace(asked, action=msgspec.structs.replace(asked.action, secrets=("any",)))
    assert always.rule_from(hidden, OF, "", NOW) == notes.NOT_HIDDEN
    assert not isinstance(always.rule_from(asked, OF, "", NOW), str)


def test_without_an_owner_who_did_not_ask_there_is_no_proposal():
    two = (person("you", "owner"), person("eve", "owner"), *PEOPLE[1:])
    for people, refused in ((PEOPLE, False), (two, True), (PEOPLE[1:], True)):
        of = team(people, tools={**TOOLS, "tune": TUNE}, external=BOUND)
        asked = tuning(of, initiators=("you",)).inquiry
        rule = always.rule_from(asked, of, "", NOW)
        change = always.Amendment(before="b", after="a", diff="d")
        made = always.proposal(asked, of, rule, change, "eve" if people is two else "you", NOW)
        assert isinstance(made, Failure) is refused
        if not isinstance(made, Failure):
            assert always.rule_in(made) == rule
            assert always.amendment_in(made) == change
            assert Verb.EDIT not in made.verbs


def test_a_program_is_part_of_what_is_bound():
    assert approval(OF).action.fingerprint == PROGRAM
