"""Editions, and the question whether one takes the place of another: pure."""

import msgspec

from core.model.editions import Edition, EditionNote, note_of, share_of
from core.model.ids import task_of_event
from core.model.inquiries import Inquiry, Kind, Label
from core.model.team import StageRule, TierRule
from core.model.work import Failure
from core.rules import changing, words
from core.rules.policy import OWNERS, rule_for
from core.rules.views import title_of_inquiry
from tests import small
from tests.engine_kit import BOB, YOU, person

ANN = person("ann", "owner")
RULE = TierRule(stages=(StageRule(roles=("owner",)),), decide_ms=1_000)


def team(*people, changes=RULE, **more):
    made = small.team(*(people or (YOU,)), **more)
    return msgspec.structs.replace(made, policy=msgspec.structs.replace(made.policy, changes=changes))


def asked(*people, changes=RULE, diff="=== dev: prompt\n-a\n+b", generation=1):
    return changing.proposal(team(*people, changes=changes), "b" * 64, "a" * 64, diff, small.PLACE, generation, 5)


def test_an_edition_is_named_by_all_of_it():
    one, other = small.team(), msgspec.structs.replace(small.team(), version="team-2")
    alone, both = Edition(team=one), Edition(team=one, candidate=other, percent=20)
    assert alone.version == "team-1"
    assert len({alone.version, both.version, Edition(team=one, candidate=other, percent=30).version}) == 3
    assert (alone.teams, both.teams) == ((one,), (one, other))
    assert note_of(alone) == EditionNote(team="team-1")
    assert note_of(both) == EditionNote(team="team-1", candidate="team-2", percent=20)


def test_a_request_falls_where_its_id_says():
    one, other = small.team(), msgspec.structs.replace(small.team(), version="team-2")
    root = task_of_event("x")
    share = share_of(root)
    assert 0 <= share < 10_000
    assert Edition(team=one).of(root) is one
    assert Edition(team=one, candidate=other, percent=share // 100 + 1).of(root) is other
    assert Edition(team=one, candidate=other, percent=share // 100).of(root) is one


def test_owners_are_asked_and_nobody_is_barred():
    made = asked(YOU, BOB, ANN)
    assert isinstance(made, Inquiry)
    assert (made.kind, made.label, made.initiators) == (Kind.POLICY, Label.FULL, ())
    assert [stage.eligible for stage in made.stages] == [("you", "ann")]
    assert made.decide_by_ms == 1_005
    assert changing.is_change(made)
    assert (changing.before_of(made), changing.after_of(made)) == ("b" * 64, "a" * 64)
    assert made.action.says == "Changes dev: prompt"
    assert title_of_inquiry(made, team()) == words.CHANGE_OF_TEAM
    assert asked(YOU, generation=2).id != asked(YOU).id == asked(YOU).id


def test_the_rule_is_the_policys_own():
    made = asked(YOU, BOB, changes=TierRule(stages=(StageRule(people=("bob",)),)))
    assert [stage.eligible for stage in made.stages] == [("bob",)]
    assert rule_for(team().policy, made) == RULE
    assert rule_for(team(changes=None).policy, made) is OWNERS
    always = msgspec.structs.replace(made, action=msgspec.structs.replace(made.action, verb="allow"))
    assert not changing.is_change(always)
    assert rule_for(team().policy, always) is OWNERS
    assert rule_for(team().policy, msgspec.structs.replace(made, action=None)) is OWNERS


def test_without_a_rule_the_owners_are_asked():
    assert [stage.eligible for stage in asked(YOU, BOB, changes=None).stages] == [("you",)]


def test_what_nobody_could_decide_or_see_is_not_asked():
    assert isinstance(asked(BOB), Failure)
    long = asked(YOU, diff="x" * (changing.DIFF_CHARS_MAX + 1))
    assert isinstance(long, Failure)
    assert long.why == words.CHANGE_TOO_LONG


def test_what_has_no_action_replaces_nothing():
    bare = msgspec.structs.replace(asked(YOU), action=None)
    assert (changing.before_of(bare), changing.after_of(bare)) == ("", "")


def test_one_line_names_what_differs():
    diff = "=== a: prompt, b: prompt\n-x\n=== team: policy\n+y"
    assert changing.names_in(diff) == ("a: prompt", "b: prompt", "team: policy")
    assert words.changes(changing.names_in(diff), 2) == "Changes a: prompt, b: prompt and 1 more"
    assert words.changes((), 2) == "Changes nothing that is in force today"
