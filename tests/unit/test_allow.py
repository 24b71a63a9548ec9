"""What an owner has allowed for good: exactly that, until its day is over, and hardly ever infrastructure."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import pytest

from agents.team import check, load
from agents.workspace import init
from core.model.inquiries import Kind
from core.model.team import AllowRule, Tier, TierRule
from core.rules.policy import DEFAULT_TIERS, OWNERS, REVIEW, gates_of, rule_for
from tests.rules_kit import NOW, approval, ship_act, team

MAIL = {"to": "us", "n": 1}
RULE = AllowRule(
    tool="send_mail", verb="send_mail", until_ms=NOW + 1, role="devops", resource="send_mail", arguments=MAIL
)


def gates(of, rule, *, act=None, now=NOW, **more):
    made = msgspec.structs.replace(of, policy=msgspec.structs.replace(of.policy, allow=(rule,) if rule else ()))
    act = act or ship_act(made, "send_mail", {"to": "us"})
    return gates_of(made, "devops", act, **{"gated": False, "untrusted": False, **more}, now_ms=now)


def test_what_is_allowed_needs_nobody_until_its_day_is_over():
    assert gates(team(), None) is not None
    assert gates(team(), RULE) is None
    assert gates(team(), RULE, now=NOW + 1) is not None
    assert gates(team(), RULE, now=0) is not None


@pytest.mark.parametrize(
    ("change", "allowed"),
    [
        ({"role": ""}, True),
        ({"role": "qa"}, False),
        ({"resource": ""}, True),
        ({"resource": "other"}, False),
        ({"arguments": {"to": "us"}}, True),
        ({"arguments": {}}, True),
        ({"arguments": {"to": "them"}}, False),
        ({"arguments": {"n": True}}, False),
        ({"arguments": {"cc": "us"}}, False),
        ({"verb": "read"}, False),
        ({"tool": "write_file"}, False),
    ],
)
def test_nothing_wider_than_the_rule(change, allowed):
    assert (gates(team(), msgspec.structs.replace(RULE, **change)) is None) is allowed


def test_a_brief_and_text_from_outside_still_need_a_person():
    for more in ({"gated": True}, {"untrusted": True}):
        assert gates(team(), RULE, **more).stages == DEFAULT_TIERS[Tier.EXTERNAL.value].stages


def test_words_need_a_person_unless_the_rule_names_all_of_it():
    of = team()
    policy = msgspec.structs.replace(of.policy, words=("mail",))
    of = msgspec.structs.replace(of, policy=policy)
    assert gates(of, RULE) is None
    wide = msgspec.structs.replace(RULE, arguments={})
    (reason,) = gates(of, wide).reasons
    assert "mail" in reason
    both = msgspec.structs.replace(policy, allow=(wide, RULE))
    act = ship_act(of, "send_mail", {"to": "us"})
    of = msgspec.structs.replace(of, policy=both)
    assert gates_of(of, "devops", act, gated=False, untrusted=False, now_ms=NOW) is None


def test_infrastructure_only_where_the_policy_says_so():
    rule = AllowRule(tool="run_command", verb="ship", until_ms=NOW + 1)
    arguments = {"command": "ship", "args": {"site": "landing", "note": ""}}
    exact = msgspec.structs.replace(rule, resource="site:landing", arguments=arguments)
    for of, allowed in ((team(), False), (team(infrastructure=TierRule(stages=REVIEW.stages, may_allow=True)), True)):
        assert (gates(of, exact, act=ship_act(of)) is None) is allowed


def test_the_rule_an_inquiry_stands_under():
    of = team()
    asked = approval(of)
    strict = msgspec.structs.replace(REVIEW, verified=True)
    assert rule_for(of.policy, asked) == of.policy.tiers["infrastructure"]
    assert rule_for(of.policy, msgspec.structs.replace(asked, kind=Kind.POLICY)) == OWNERS
    review = msgspec.structs.replace(asked, kind=Kind.REVIEW)
    assert rule_for(of.policy, review) == REVIEW
    assert rule_for(msgspec.structs.replace(of.policy, review=strict), review) == strict


# --- In team.yaml -----------------------------------------------------------------------------------------------------


@pytest.fixture
def place(tmp_path):
    init(tmp_path)
    return tmp_path


def with_policy(place, text):
    path = place / "agents" / "team.yaml"
    before = path.read_text()
    path.write_text(before[: before.index("\npolicy:")] + f"\npolicy:\n{text}")
    return [str(error) for error in check(place)[0]]


def test_rules_are_read_with_their_day_where_the_team_is(place):
    text = '  allow: [{tool: web, verb: read, until: "2027-01-31"}]\n'
    text += "  tiers: {external: {bounded: {count_max: 5, hours_max: 8}}}\n"
    text += "  review: {approve: 1, roles: [owner], decide_hours: 2}\n"
    assert with_policy(place, text) == []
    made = load(place, environ={})
    (rule,) = made.policy.allow
    assert datetime.fromtimestamp(rule.until_ms / 1000, UTC).isoformat().startswith(("2027-01-31", "2027-02-01"))
    assert made.policy.tiers["external"].bounded.count_max == 5
    assert made.policy.review.decide_ms == 7_200_000
    assert made.policy.brief_triggers


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('  allow: [{tool: a, verb: b, until: "soon"}]\n', "until: 'soon'"),
        ('  allow: [{tool: a, verb: b, until: "9999-12-31"}]\n', "until: '9999-12-31'"),
        ('  allow: [{tool: a, verb: b, until: "2027-01-01", role: nobody}]\n', "unknown role nobody"),
        ('  allow: [{tool: run_command, verb: b, until: "2027-01-01"}]\n', "unknown command b"),
        ("  review: {approve: 9}\n", "9 must approve"),
        ("  review: {people: [nobody]}\n", "unknown person nobody"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_at_its_line(place, text, what):
    assert any(what in error for error in with_policy(place, text)), with_policy(place, text)


def test_infrastructure_is_refused_when_it_is_read(place):
    path = place / "agents" / "team.yaml"
    command = next(iter(load(place, environ={}).commands))
    rule = f'  allow: [{{tool: run_command, verb: {command}, until: "2027-01-01"}}]\n'
    assert load(place, environ={}).commands[command].tier is Tier.INFRASTRUCTURE
    assert any("may not be allowed for good" in error for error in with_policy(place, rule))
    path.write_text(path.read_text() + "\n")
    assert with_policy(place, f"{rule}  tiers: {{infrastructure: {{may_allow: true}}}}\n") == []


def test_reviewed_roles_need_a_reviewer(place):
    path = place / "agents" / "team.yaml"
    text = path.read_text().replace("requires_review: false", "requires_review: true", 1)
    path.write_text(text)
    assert check(place)[0] == []
