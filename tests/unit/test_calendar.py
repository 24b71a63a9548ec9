"""When schedules come due, above all where clocks are changed.

Berlin jumps on 2026-03-29 and goes back on 2026-10-25.
"""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from core.model.events import Conversation
from schedules.calendar import ScheduleCalendar, WallTimes
from schedules.load import Schedule

BERLIN = "Europe/Berlin"
MAIN = Conversation(platform="console", account="acme", channel="main")


def ms(text, zone=BERLIN, fold=0):
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp() * 1000)


def times(start, n, *, cron="", every_ms=0, zone=BERLIN):
    """The next n times after a local one, as a clock on the wall shows them."""
    schedule = Schedule(id="s", say="go", conversation=MAIN, cron=cron, every_ms=every_ms, zone=zone)
    calendar = ScheduleCalendar([schedule])
    at_ms, found = ms(start, zone), []
    for _ in range(n):
        at_ms = calendar.next_after("s", at_ms)
        local = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
        found.append(f"{local:%a %m-%d %H:%M} {local.tzname()}")
    return found


def test_a_time_of_day_keeps_its_reading_when_clocks_change():
    spring = times("2026-03-28 08:00", 2, cron="0 7 * * *")
    assert spring == ["Sun 03-29 07:00 CEST", "Mon 03-30 07:00 CEST"]
    autumn = times("2026-10-24 08:00", 2, cron="0 7 * * *")
    assert autumn == ["Sun 10-25 07:00 CET", "Mon 10-26 07:00 CET"]


def test_a_time_that_is_skipped_comes_when_the_clock_jumps():
    spring = times("2026-03-27 12:00", 3, cron="30 2 * * *")
    assert spring == ["Sat 03-28 02:30 CET", "Sun 03-29 03:00 CEST", "Mon 03-30 02:30 CEST"]


def test_several_that_are_skipped_come_once():
    spring = times("2026-03-29 01:00", 2, cron="*/15 2 * * *")
    assert spring == ["Sun 03-29 03:00 CEST", "Mon 03-30 02:00 CEST"]


def test_a_time_that_is_there_twice_comes_the_first_time_only():
    autumn = times("2026-10-24 12:00", 2, cron="30 2 * * *")
    assert autumn == ["Sun 10-25 02:30 CEST", "Mon 10-26 02:30 CET"]


def test_every_so_often_comes_both_times_and_never_misses_an_hour():
    spring = times("2026-03-29 01:00", 3, cron="*/30 * * * *")
    assert spring == ["Sun 03-29 01:30 CET", "Sun 03-29 03:00 CEST", "Sun 03-29 03:30 CEST"]
    autumn = times("2026-10-25 01:30", 5, cron="*/30 * * * *")
    assert [time[10:] for time in autumn] == ["02:00 CEST", "02:30 CEST", "02:00 CET", "02:30 CET", "03:00 CET"]


def test_the_same_is_true_where_half_an_hour_is_skipped():
    spring = times("2026-10-03 12:00", 2, cron="10 2 * * *", zone="Australia/Lord_Howe")
    assert [time[4:15] for time in spring] == ["10-04 02:30", "10-05 02:10"]


def test_a_question_asked_late_has_the_same_answer():
    calendar = ScheduleCalendar([Schedule(id="s", say="go", conversation=MAIN, cron="30 2 * * *", zone=BERLIN)])
    jump_ms = ms("2026-03-29 03:00")
    assert calendar.next_after("s", jump_ms - 1) == jump_ms
    assert calendar.next_after("s", jump_ms) == ms("2026-03-30 02:30")


def test_intervals_are_counted_in_utc_and_know_no_change_of_clocks():
    assert times("2026-03-29 01:10", 3, every_ms=1_800_000) == [
        "Sun 03-29 01:30 CET",
        "Sun 03-29 03:00 CEST",
        "Sun 03-29 03:30 CEST",
    ]
    calendar = ScheduleCalendar([Schedule(id="s", say="go", conversation=MAIN, every_ms=60_000)])
    assert calendar.next_after("s", 60_000) == 120_000
    assert calendar.next_after("s", 60_001) == 120_000
    assert calendar.next_after("s", 119_999) == 120_000


@pytest.mark.parametrize(
    ("weekday", "days"),
    [
        ("1-5", "Mon Tue Wed Thu Fri"),
        ("0", "Sun"),
        ("7", "Sun"),
        ("5-7", "Fri Sat Sun"),
        ("0,6", "Sat Sun"),
        ("*/2", "Tue Thu Sat Sun"),
        ("1-5/2", "Mon Wed Fri"),
        ("4/2", "Thu Sat"),
        ("mon-wed", "Mon Tue Wed"),
        ("*", "Mon Tue Wed Thu Fri Sat Sun"),
    ],
)
def test_weekdays_are_counted_from_sunday(weekday, days):
    times_ = WallTimes.parse(f"0 7 * * {weekday}", "UTC")
    monday, seen = datetime(2026, 6, 1, tzinfo=UTC), []
    at_ms = int(monday.timestamp() * 1000)
    while (at_ms := times_.next_after(at_ms)) < (monday + timedelta(days=7)).timestamp() * 1000:
        seen.append(f"{datetime.fromtimestamp(at_ms / 1000, UTC):%a}")
    assert " ".join(seen) == days


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("0 7 * *", "4 fields"),
        ("@daily", "1 fields"),
        ("60 7 * * *", "60"),
        ("0 7 * * 8", "8"),
        ("0 7 * * 5-1", "end before they begin"),
        ("0 7 * * mun", "mun"),
        ("x 7 * * *", "x"),
        ("0 7 1 * 1", "both"),
        ("0 7 30 2 *", "no such date"),
        ("*/0 7 * * *", "0"),
        ("0 7 * * */", "Unrecognized"),
        ("0 7 * * 01", "no weekday"),
    ],
)
def test_what_is_no_cron_line_is_refused(cron, why):
    with pytest.raises(ValueError, match=why):
        WallTimes.parse(cron, "UTC")


def test_a_leap_day_comes():
    assert times("2026-01-01 00:00", 1, cron="0 7 29 2 *")[0].startswith("Tue 02-29")


def test_the_calendar_ends():
    assert WallTimes.parse("0 7 * * *", "UTC").next_after(ms("9999-12-31 12:00", "UTC")) is None
