"""The calendar never goes back, and finds no other times than a walk through all minutes does."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from schedules.calendar import WallTimes

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns")
DAYS = ((3, 8), (3, 29), (4, 5), (10, 4), (10, 25), (11, 1))
CHANGES = tuple(datetime(2026, month, day, tzinfo=UTC) for month, day in DAYS)
MINUTES, HOURS = (
    st.sampled_from(("0", "30", "7", "*/15", "0,45")),
    st.sampled_from(("*", "*/2", "1", "2", "1-3", "2,3")),
)
CRONS = st.builds("{} {} * * *".format, MINUTES, HOURS)
MINUTE_MS = 60_000


def fields(text, most):
    def one(item):
        span, _, step = item.partition("/")
        first, _, last = (f"0-{most}" if span == "*" else span).partition("-")
        return range(int(first), int(last or first) + 1, int(step or 1))

    return {value for item in text.split(",") for value in one(item)}


def walked(cron, zone, start_ms, end_ms):
    """By the words of the law: minute by minute, comparing the clock's reading with what it read before."""
    minutes, hours = fields(cron.split()[0], 59), fields(cron.split()[1], 23)
    found, last = [], datetime.fromtimestamp(start_ms / 1000, ZoneInfo(zone))
    for at_ms in range(start_ms + MINUTE_MS, end_ms + 1, MINUTE_MS):
        now = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone))
        reading, steps = now.replace(tzinfo=None), [now.replace(tzinfo=None)]
        while steps[-1] - timedelta(minutes=1) > last.replace(tzinfo=None):
            steps.append(steps[-1] - timedelta(minutes=1))
        due = any(step.minute in minutes and step.hour in hours for step in steps)
        if due and not (now.fold and reading.hour in hours and not cron.split()[1].startswith("*")):
            found.append(at_ms)
        last = now
    return found


@given(CRONS, st.sampled_from(ZONES), st.sampled_from(CHANGES))
def test_it_finds_what_a_walk_finds(cron, zone, day):
    start_ms = int(day.timestamp() * 1000) - 720 * MINUTE_MS
    end_ms = start_ms + 2400 * MINUTE_MS
    times, at_ms, found = WallTimes.parse(cron, zone), start_ms, []
    while (at_ms := times.next_after(at_ms)) <= end_ms:
        found.append(at_ms)
    assert found == walked(cron, zone, start_ms, end_ms)


@given(CRONS, st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(0, 172_800_000), st.integers(0, 7_200_000))
def test_a_later_question_never_has_an_earlier_answer(cron, zone, day, offset_ms, later_ms):
    times = WallTimes.parse(cron, zone)
    early_ms = int(day.timestamp() * 1000) - 43_200_000 + offset_ms
    first, second = times.next_after(early_ms), times.next_after(early_ms + later_ms)
    assert early_ms < first <= second
    if first > early_ms + later_ms:
        assert first == second
