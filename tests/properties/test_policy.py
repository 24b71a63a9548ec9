"""However people and rules are mixed: floors only add, and a panel can always be filled by people who may decide."""

import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from core.model.inquiries import Label
from core.model.team import EffectClass, Person, StageRule, Tier
from core.model.work import Failure
from core.rules.policy import fillable, gates_of, panel_of
from tests.rules_kit import ship_act, team
from tests.unit.test_policy import people

NAMES = ["a", "b", "c", "d"]
TEAM = team()
BASE = ship_act(TEAM, "write_file", {"path": "x"})
SOME = st.lists(st.sampled_from(NAMES), unique=True).map(tuple)


@given(
    st.dictionaries(st.sampled_from(NAMES), st.sampled_from(["owner", "approver", "member", "viewer"])),
    st.lists(
        st.builds(StageRule, approve_n=st.integers(0, 3), deny_n=st.integers(0, 3), people=SOME), min_size=1, max_size=3
    ),
    SOME,
)
def test_a_panel_is_people_who_may_decide_and_can_be_filled(roles, rules, initiators):
    of = team(tuple(Person(id=name, name=name, role=role) for name, role in roles.items()))
    panel = panel_of(of, people(rules), initiators, ())
    if isinstance(panel, Failure):
        return
    assert fillable(panel.stages)
    eligible = {p for stage in panel.stages for p in stage.eligible}
    assert all(of.person(p).may_approve for p in eligible)
    assert panel.label is Label.SINGLE or not eligible & set(initiators)
    assert all(1 <= stage.deny_n <= len(stage.eligible) for stage in panel.stages)
    if panel.label is Label.FULL:
        assert [s.approve_n for s in panel.stages] == [max(1, r.approve_n) for r in rules]


@given(st.sampled_from(Tier), st.sampled_from(EffectClass), st.booleans(), st.booleans(), st.text())
def test_floors_only_add(tier, effect, gated, untrusted, path):
    act = dataclasses.replace(BASE, tier=tier, effect=effect, path=path)
    plain = gates_of(TEAM, "devops", act, gated=False, untrusted=False)
    more = gates_of(TEAM, "devops", act, gated=gated, untrusted=untrusted)
    if plain is not None:
        assert more is not None
        assert len(more.stages) >= len(plain.stages)
    if tier in {Tier.EXTERNAL, Tier.FINANCIAL, Tier.INFRASTRUCTURE}:
        assert more is not None
    if gated and effect is not EffectClass.READ:
        assert more is not None
