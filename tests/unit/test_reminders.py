"""When a reminder is due, and what it becomes."""

import pytest

from core.model.team import Person
from core.rules import reminders
from core.rules.reminders import Reminder, due_ms, event_of, line_of, names_in
from tests import small

NOW_MS = 1_800_000_000_000  # 2027-01-15 08:00 UTC
HOUR_MS = 3_600_000

TIMES = [
    ("in 1 minute", 60_000),
    ("in 45 minutes", 45 * 60_000),
    (" In 3 Hours ", 3 * HOUR_MS),
    ("in 2 days", 48 * HOUR_MS),
    ("in 1 week", 168 * HOUR_MS),
    ("2027-01-15T10:00", HOUR_MS),
    ("2027-01-15 10:00:30", HOUR_MS + 30_000),
    ("2027-01-15T10:00Z", 2 * HOUR_MS),
    ("2027-07-01T10:00", 167 * 24 * HOUR_MS),
]


@pytest.mark.parametrize(("when", "ahead_ms"), TIMES)
def test_times_are_those_of_the_zone_unless_they_say_otherwise(when, ahead_ms):
    assert due_ms(when, NOW_MS, "Europe/Berlin") == NOW_MS + ahead_ms


WRONG = [
    ("tomorrow", "is no time"),
    ("in 0 minutes", "is no time"),
    ("in three hours", "is no time"),
    ("in 3 months", "is no time"),
    ("180", "is no time"),
    ("2027-02-01", "is no time"),
    ("2027-02-30T10:00", "is no time there is"),
    ("2027-01-15T10:00+99:00", "is no time there is"),
    ("2027-01-15T09:00", "it is 2027-01-15T09:00 in Europe/Berlin"),
    ("2020-01-15T09:00", "at least a minute ahead"),
    ("in 53 weeks", "more than a year ahead"),
    ("9999-12-31T23:59", "more than a year ahead"),
]


@pytest.mark.parametrize(("when", "why"), WRONG)
def test_what_is_no_time_is_said(when, why):
    said = due_ms(when, NOW_MS, "Europe/Berlin")
    assert isinstance(said, str)
    assert why in said


def reminder(**changes):
    made = {
        "id": "r-1",
        "role": "ops",
        "task": "t-1",
        "conversation": small.PLACE,
        "text": "look at the page",
        "set_at_ms": NOW_MS,
        "due_at_ms": NOW_MS + HOUR_MS,
        "people": ("you",),
        "untrusted": True,
    }
    return Reminder(**(made | changes))


def test_a_reminder_becomes_work_with_what_it_was_set_with():
    event = event_of(reminder(), small.team(), NOW_MS + HOUR_MS)
    assert (event.role, event.initiators, event.untrusted) == ("ops", ("you",), True)
    assert event.text.startswith("A reminder you set yourself (")
    assert event.text.endswith("): look at the page")
    assert event.key == reminder().name == f"{names_in(small.PLACE)}r-1"
    assert line_of(reminder(), small.team(), NOW_MS).view.text == "Reminder: look at the page"
    assert line_of(reminder(), small.team(), NOW_MS).view.speaker == "OPS"


def test_a_role_that_is_gone_leaves_its_work_to_the_lead():
    assert event_of(reminder(role="gone"), small.team(), NOW_MS).role is None
    assert line_of(reminder(role="gone"), small.team(), NOW_MS).view.speaker == ""


@pytest.mark.parametrize("people", [("gone",), ("vic",), ("gone", "vic")])
def test_nobody_who_may_ask_starts_nothing(people):
    team = small.team(small.YOU, Person(id="vic", name="Vic", role="viewer"))
    assert event_of(reminder(people=people), team, NOW_MS) is None
    assert event_of(reminder(people=(*people, "you")), team, NOW_MS) is not None
    assert event_of(reminder(people=()), team, NOW_MS) is not None


def test_the_bounds_are_what_is_promised():
    assert reminders.OPEN_MAX == 20
    assert reminders.AHEAD_MS_MAX >= 365 * 24 * HOUR_MS
