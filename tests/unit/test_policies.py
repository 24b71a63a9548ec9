"""The policy of team.yaml: what its rows mean, and every rule nobody could live by, at its line."""

from __future__ import annotations

import re

import pytest

from agents.team import check, load
from core.model.events import Conversation
from core.model.team import Escalation, EscalationStep, SetRule, StageRule
from tests.unit.test_team import edit, errors_of, place

__all__ = ["place"]  # the fixture: a workspace with ana (owner), ben (approver), eve (viewer)

HOUR_MS, MINUTE_MS = 3_600_000, 60_000


def write(place, text):
    """Put a policy in place of the manifest's; its first line is line 38."""
    edit(place, "  words_add: []\n  tiers: {}\n", text)


WRONG = [
    # The policy, the line, what, what was expected
    (
        "  tiers:\n    external:\n      stages:\n        - sets: [{approve: 3}]\n",
        41,
        "3 must approve, and 2 can",
        "at most 2",
    ),
    (
        (
            "  tiers:\n    external:\n      stages:\n        - deny: 1\n          sets:\n"
            "            - {people: [ana]}\n            - {people: [zoe]}\n"
        ),
        44,
        "unknown person zoe",
        "one of: ana, ben, eve",
    ),
    (
        "  tiers:\n    external:\n      stages:\n        - sets:\n            - {roles: [owner], approve: 2}\n",
        42,
        "2 must approve, and 1 can",
        "more people",
    ),
    ("  tiers: {external: {stages: [{roles: [member]}]}}\n", 38, "roles: 'member'", "one of: approver, owner"),
    (
        "  tiers: {external: {stages: [{sets: [{people: [ana]}, {people: [ana]}]}]}}\n",
        38,
        "its sets need different people",
        "fewer sets",
    ),
    (
        "  tiers: {external: {stages: [{sets: [{people: [ana]}, {}]}, {}]}}\n",
        38,
        "the stages of external need different people",
        "fewer stages",
    ),
    ("  tiers: {external: {stages: [{approve: 2, sets: [{}]}]}}\n", 38, "sets beside approve", "all of it in the sets"),
    ("  tiers: {external: {stages: [{deny: 3}]}}\n", 38, "3 must deny, and 2 can", "at most 2"),
    ("  tiers: {external: {stages: [{sets: [{people: [eve]}]}]}}\n", 38, "eve may not approve", "owner or approver"),
    ("  tiers:\n    external:\n      escalation: night\n", 40, "unknown escalation night", "none yet"),
    (
        "  tiers: {external: {escalation: night}}\n  escalations: {day: {steps: [{after_minutes: 1, to: [ana]}]}}\n",
        38,
        "unknown escalation night",
        "one of: day",
    ),
    ("  tiers: {external: {remind_hours: [20, 4]}}\n", 38, "reminders out of order", "each later"),
    ("  tiers: {external: {remind_hours: [4, 4]}}\n", 38, "reminders out of order", "each later"),
    ("  tiers: {external: {remind_hours: [0]}}\n", 38, "remind_hours: '0'", "above 0"),
    ("  tiers: {external: {remind_hours: 4}}\n", 38, "remind_hours: '4'", "a list"),
    (
        "  tiers:\n    external:\n      remind_hours:\n        every_hours: 1\n        most: 51\n",
        42,
        "most: 51",
        "at most 50",
    ),
    ("  tiers: {external: {remind_hours: {every_hours: 1}}}\n", 38, "most is missing", "a whole number"),
    ("  tiers: {external: {reason_required: never}}\n", 38, "reason_required: 'never'", "one of: approve, both, deny"),
    ("  tiers: {external: {reason_required: [deny]}}\n", 38, "reason_required: a list", "true or false"),
    ("  escalations: {day: {steps: []}}\n", 38, "an empty list", "at least 1"),
    (
        (
            "  escalations:\n    day:\n      steps:\n        - {after_minutes: 9, to: [ana]}\n"
            "        - {after_minutes: 9, to: [ben]}\n"
        ),
        42,
        "after_minutes: no later",
        "more minutes",
    ),
    ("  escalations: {day: {steps: [{after_minutes: 1}]}}\n", 38, "it asks nobody", "to: [...]"),
    (
        "  escalations: {day: {steps: [{after_minutes: 1, to: [zoe]}]}}\n",
        38,
        "unknown person zoe",
        "owner, approver, ana",
    ),
    (
        "  escalations: {day: {steps: [{after_minutes: 1, deliver: [origin]}]}}\n",
        38,
        "'origin' is no place",
        "slack:T01/C42",
    ),
    (
        "  escalations: {day: {repeat: 2, steps: [{after_minutes: 0, to: [ana]}]}}\n",
        38,
        "a round of day takes no time",
        "a last step",
    ),
    (
        "  escalations: {day: {repeat: 21, steps: [{after_minutes: 1, to: [ana]}]}}\n",
        38,
        "day goes on too long",
        "20 steps",
    ),
    (
        (
            "  tiers: {external: {escalation: day, stages: [{people: [ben]}]}}\n  escalations:\n    day:\n"
            "      steps:\n        - {after_minutes: 1, to: [owner], replace: true}\n"
        ),
        42,
        "those who replace the others could not decide external",
        "no replace",
    ),
    ("  deliver: [origin, dm]\n", 38, "'dm' is no place", "origin, direct, or platform:account/channel"),
    ("  deliver: [direct]\n", 38, "origin is missing", "origin first"),
    ("  deliver: [origin, direct, direct]\n", 38, "direct is said twice", "direct once"),
    ("  inbox: {channel: direct}\n", 38, "'direct' is no place", "slack:T01/C42"),
    (
        "  escalations: {day: {steps: [{after_minutes: 1, deliver: [Direct]}]}}\n",
        38,
        "'Direct' is no place",
        "direct, or platform:account/channel",
    ),
    ("  yes_counts: perhaps\n", 38, "yes_counts: 'perhaps'", "true or false"),
]


@pytest.mark.parametrize(("policy", "line", "what", "expected"), WRONG, ids=[w[2][:40] for w in WRONG])
def test_case_21_a_rule_nobody_can_meet_is_refused_at_its_line(place, policy, line, what, expected):
    write(place, policy)
    found = [error for error in errors_of(place) if what in error]
    assert found, errors_of(place)
    assert int(re.match(r"agents/team\.yaml:(\d+): ", found[0])[1]) == line, found[0]
    assert expected in found[0]


def test_each_mistake_is_said_once(place):
    write(place, "  tiers: {external: {stages: [{sets: [{approve: 9}, {people: [zoe]}]}, {deny: 8}]}}\n")
    assert len(errors_of(place)) == 3


def test_what_the_rows_mean(place):
    write(
        place,
        """\
  yes_counts: true
  tiers:
    external:
      stages: [{sets: [{people: [ana]}, {roles: [approver, owner], approve: 1}], deny: 2}]
      reason_required: both
      remind_hours: [4, 20.5]
      escalation: oncall
      override: true
    financial:
      remind_hours: {every_hours: 4, most: 3}
      reason_required: approve
      stages: [{roles: [owner]}]
    infrastructure:
      reason_required: true
    internal:
      reason_required: deny
  escalations:
    oncall:
      steps:
        - {after_minutes: 0.5, to: [ana], deliver: [slack:T/C]}
        - {after_minutes: 60, to: [owner, ben], replace: true}
      repeat: 2
""",
    )
    policy = load(place, environ={}).policy
    external, financial = policy.tiers["external"], policy.tiers["financial"]
    assert external.stages == (
        StageRule(deny_n=2, sets=(SetRule(people=("ana",)), SetRule(roles=("approver", "owner")))),
    )
    assert (external.remind_ms, external.escalation) == ((4 * HOUR_MS, 20 * HOUR_MS + HOUR_MS // 2), "oncall")
    assert financial.remind_ms == (4 * HOUR_MS, 8 * HOUR_MS, 12 * HOUR_MS)
    assert financial.stages == (StageRule(roles=("owner",)),)
    reasons = {name: (rule.reason_required, rule.approve_reason) for name, rule in policy.tiers.items()}
    assert reasons == {
        "read": (False, False),
        "internal": (True, False),
        "external": (True, True),
        "financial": (False, True),
        "infrastructure": (True, False),
    }
    assert (external.override, financial.override, policy.yes_counts) == (True, False, True)
    room = Conversation(platform="slack", account="T", channel="C")
    assert policy.escalations == {
        "oncall": Escalation(
            steps=(
                EscalationStep(after_ms=MINUTE_MS // 2, to=("ana",), deliver=(room,)),
                EscalationStep(after_ms=60 * MINUTE_MS, to=("owner", "ben"), replace=True),
            ),
            repeat_n=2,
        )
    }


def test_what_decides_names_the_policy(place):
    before = load(place, environ={}).policy.version
    write(place, "  yes_counts: true\n")
    assert load(place, environ={}).policy.version != before


def test_an_override_needs_less_than_the_default(place):
    write(place, "  tiers: {external: {override: true, reason_required: false}}\n")
    errors, notices = check(place)
    assert not errors
    assert any("external needs less than it does by default" in str(notice) for notice in notices)


@pytest.mark.parametrize(
    ("row", "what", "expected"),
    [
        ("quiet: 9-18", "quiet: '9-18'", '"18:00-09:00"'),
        ("quiet: '09:00-09:00'", "quiet: '09:00-09:00'", '"18:00-09:00"'),
        ("quiet_days: [mon, tue, wed, thu, fri, sat, sun]", "ben is never awake", "a day that is not quiet"),
        ("quiet_days: [saturday]", "quiet_days: 'saturday'", "one of: fri, mon"),
    ],
)
def test_quiet_hours_are_hours(place, row, what, expected):
    edit(place, "name: Ben,", f"name: Ben, {row},")
    (error,) = errors_of(place)
    assert error.startswith("agents/team.yaml:5: ")
    assert what in error
    assert expected in error


def test_quiet_hours_are_a_persons_own(place):
    edit(place, "name: Ben,", "name: Ben, quiet: 18:00-09:00, quiet_days: [sat, sun],")
    people = load(place, environ={}).people
    assert (people[1].quiet, people[1].quiet_days, people[0].quiet) == ("18:00-09:00", ("sat", "sun"), "")


def test_direct_is_a_place_for_everybody_who_may_decide(place):
    write(
        place,
        """\
  deliver: [origin, direct]
  tiers:
    external: {deliver: [origin]}
    financial: {escalation: day}
  escalations:
    day: {steps: [{after_minutes: 1, deliver: [direct, slack:T/C]}, {after_minutes: 2, to: [ana]}]}
""",
    )
    policy = load(place, environ={}).policy
    assert {name: rule.direct for name, rule in policy.tiers.items()} == {
        "read": True,
        "internal": True,
        "external": False,
        "financial": True,
        "infrastructure": True,
    }
    assert policy.review.direct
    assert [step.direct for step in policy.escalations["day"].steps] == [True, False]
    assert policy.escalations["day"].steps[0].deliver == (Conversation(platform="slack", account="T", channel="C"),)
    assert not policy.tiers["financial"].deliver


def test_direct_needs_accounts(place):
    write(place, "  tiers: {external: {deliver: [origin, direct]}}\n")
    edit(place, "name: Ben,", "name: Ben, accounts: [],")
    _, notices = check(place)
    (told,) = [str(notice) for notice in notices if "direct reaches nobody" in str(notice)]
    assert "Ben" in told
    assert ":38" in told


def test_every_key_of_a_tier_is_in_force_and_the_rest_of_the_tier_stays(place):
    write(
        place,
        "  tiers:\n    external: {decide_hours: 0.5, execute_hours: 2, at_deadline: deny, verified: true,\n"
        "      allow_self: true, override: true, may_allow: true, bounded: {count_max: 3, hours_max: 1.5}}\n",
    )
    policy = load(place, environ={}).policy
    rule, other = policy.tiers["external"], policy.tiers["financial"]
    assert (rule.decide_ms, rule.execute_ms, rule.at_deadline) == (HOUR_MS // 2, 2 * HOUR_MS, "deny")
    assert (rule.verified, rule.allow_self, rule.override, rule.may_allow) == (True, True, True, True)
    assert (rule.bounded.count_max, rule.bounded.hours_max) == (3, 1.5)
    assert rule.stages == other.stages
    assert (other.decide_ms, other.execute_ms, other.at_deadline) == (24 * HOUR_MS, 24 * HOUR_MS, "queue")
    assert (other.verified, other.allow_self, other.override, other.bounded) == (False, False, False, None)
