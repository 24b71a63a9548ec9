"""Quiet hours in people's own zones, absences, and who can stand in for whom."""

from __future__ import annotations

from datetime import datetime, time
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.team import Absence, Person, StageRule, TierRule
from core.rules import absence, notes
from tests.rules_kit import person, team

BERLIN = "Europe/Berlin"


def ms(text: str, zone: str = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def sleeper(quiet="", *days, zone=BERLIN):
    return Person(id="ana", name="Ana", role="owner", zone=zone, quiet=quiet, quiet_days=days)


@pytest.mark.parametrize(
    ("quiet", "span"),
    [
        ("18:00-09:00", (time(18), time(9))),
        ("00:00-06:30", (time(0), time(6, 30))),
        ("09:00-09:00", None),
        ("24:00-09:00", None),
        ("9:00-18:00", None),
        ("18:00", None),
        ("", None),
    ],
)
def test_a_span_is_two_times_of_day(quiet, span):
    assert absence.span_of(quiet) == span


@pytest.mark.parametrize(
    ("who", "now", "awake"),
    [
        (sleeper(), "2026-11-20T03:00", "2026-11-20T03:00"),
        (sleeper("18:00-09:00"), "2026-11-20T12:00", "2026-11-20T12:00"),
        (sleeper("18:00-09:00"), "2026-11-20T18:00", "2026-11-21T09:00"),
        (sleeper("18:00-09:00"), "2026-11-21T08:59", "2026-11-21T09:00"),
        (sleeper("18:00-09:00"), "2026-11-21T09:00", "2026-11-21T09:00"),
        (sleeper("12:00-13:00"), "2026-11-20T12:30", "2026-11-20T13:00"),
        (sleeper("12:00-13:00"), "2026-11-20T13:00", "2026-11-20T13:00"),
        (sleeper("", "sat", "sun"), "2026-11-21T12:00", "2026-11-23T00:00"),
        # Friday evening: the night, then the weekend, then Monday's early hours
        (sleeper("18:00-09:00", "sat", "sun"), "2026-11-20T19:00", "2026-11-23T09:00"),
        # The clocks go back in the night: nine is nine
        (sleeper("18:00-09:00"), "2026-10-24T20:00", "2026-10-25T09:00"),
    ],
)
def test_nobody_is_woken(who, now, awake):
    assert absence.awake_ms(who, ms(now)) == ms(awake)


def test_quiet_hours_are_those_of_the_persons_own_zone():
    at = ms("2026-11-20T12:00", "UTC")
    assert absence.awake_ms(sleeper("18:00-09:00", zone="UTC"), at) == at
    assert absence.awake_ms(sleeper("18:00-09:00", zone="Asia/Tokyo"), at) == ms("2026-11-21T09:00", "Asia/Tokyo")


def test_a_week_without_a_day_keeps_nobody_asleep_for_ever():
    always = sleeper("", *absence.DAYS)  # refused when it is read; bounded all the same
    assert absence.awake_ms(always, ms("2026-11-20T12:00")) == ms("2026-12-06T00:00")


SPANS = st.builds("{:02}:{:02}-{:02}:{:02}".format, *[st.integers(0, 23), st.integers(0, 59)] * 2)


@given(
    SPANS,
    st.lists(st.sampled_from(absence.DAYS[:6]), unique=True),
    st.integers(1_700_000_000_000, 1_900_000_000_000),
    st.sampled_from(["UTC", BERLIN, "America/St_Johns", "Pacific/Chatham"]),
)
def test_whoever_is_woken_is_awake_and_within_a_week_somebody_is(quiet, days, now_ms, zone):
    who = sleeper(quiet, *days, zone=zone)
    at = absence.awake_ms(who, now_ms)
    assert now_ms <= at <= now_ms + 8 * 86_400_000
    assert absence.awake_ms(who, at) == at


@pytest.mark.parametrize(
    ("text", "until"),
    [
        ("8", "2026-11-20T20:00"),
        ("8h", "2026-11-20T20:00"),
        ("2026-12-24", "2026-12-24T00:00"),
        ("2026-11-20", None),
        ("2028-01-01", None),
        ("2026-13-01", None),
        ("0", None),
        ("9999", None),
        ("tomorrow", None),
        ("", None),
    ],
)
def test_until_when_somebody_is_away(text, until):
    expected = None if until is None else ms(until)
    assert absence.until_of(text, BERLIN, ms("2026-11-20T12:00")) == expected


def test_people_are_named_by_id_or_name():
    of = team((person("you", "owner"), Person(id="bo", name="Bo Li", role="approver")))
    assert absence.person_named(of, "@BO").id == absence.person_named(of, "bo li").id == "bo"
    assert absence.person_named(of, "zoe") is None


PEOPLE = (person("you", "owner"), *map(person, ("bob", "carol")), person("mia", "member"), person("vi", "viewer"))
TEAM = team(PEOPLE)


def why_not(who, delegate, *away, of=TEAM):
    absences = {one.person: one for one in away}
    return absence.objection(of, of.person(who), of.person(delegate), absences, 100)


def test_case_24_a_delegate_outside_every_selector_is_refused():
    assert why_not("you", "mia") == notes.delegate_outside("Mia")
    assert why_not("mia", "vi") == notes.delegate_outside("Vi")
    assert why_not("mia", "bob") == ""
    assert why_not("you", "bob") == ""
    named = {tier: TierRule(stages=(StageRule(people=("you",)),)) for tier in TEAM.policy.tiers}
    assert why_not("you", "bob", of=team(PEOPLE, **named)) == notes.delegate_outside("Bob")


def test_case_24_a_delegation_in_a_circle_is_refused():
    to_carol = Absence(person="bob", until_ms=200, delegate="carol")
    back = Absence(person="carol", until_ms=200, delegate="you")
    assert why_not("you", "you") == notes.DELEGATE_SELF
    assert why_not("you", "bob", to_carol) == ""
    assert why_not("you", "bob", to_carol, back) == notes.DELEGATE_CIRCLE
    over = Absence(person="carol", until_ms=100, delegate="you")
    assert why_not("you", "bob", to_carol, over) == ""
