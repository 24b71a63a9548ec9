"""HEARTBEAT.md: a checked grammar, and what it becomes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.findings import Findings
from agents.heartbeat import GRAMMAR, ITEMS_MAX, read_heartbeat
from agents.team import load
from core.model.events import Conversation
from core.model.team import Beat
from schedules.heartbeats import schedules_of
from tests.team_kit import edit, errors_of, made, notices_of

FILE = "agents/dev/HEARTBEAT.md"


@pytest.fixture
def place(tmp_path):
    return made(tmp_path)


def read(text):
    found = Findings()
    return read_heartbeat(text, "H", found), [str(error) for error in found.errors]


@pytest.mark.parametrize(
    ("heading", "cron", "minutes"),
    [
        ("## Daily (07:00)", "0 7 * * *", 0),
        ("##  daily  (23:59)", "59 23 * * *", 0),
        ("## Weekly (Monday 09:00)", "0 9 * * 1", 0),
        ("## Weekly (sunday 00:05)", "5 0 * * 0", 0),
        ("## Every 30 minutes", "", 30),
        ("## Every 1 minute", "", 1),
        ("## Every 2 hours", "", 120),
    ],
)
def test_each_heading_of_the_grammar_is_a_time(heading, cron, minutes):
    heartbeat, errors = read(f"{heading}\n- Look.\n* Look again\n  and further.\n")
    assert errors == []
    assert heartbeat.beats == (
        Beat(say="Look.", cron=cron, every_minutes=minutes),
        Beat(say="Look again and further.", cron=cron, every_minutes=minutes),
    )


@pytest.mark.parametrize(
    "heading",
    [
        *(
            "## Daily",
            "## Daily (7:00)",
            "## Daily (24:00)",
            "## Daily (07:60)",
            "## Weekly (09:00)",
            "# Daily (07:00)",
        ),
        *("## Weekly (Funday 09:00)", "## Every 0 minutes", "## Every minutes", "## Every 99999 minutes", "## Monthly"),
        *("### Daily (07:00)", "## Every -5 minutes", "## Every 5 minutes; rm -rf", "##", "## Daily (０７:００)"),
    ],
)
def test_any_other_heading_is_an_error_that_says_the_grammar(heading):
    heartbeat, errors = read(f"\n{heading}\n- Look.\n")
    assert heartbeat.beats == ()
    (error,) = errors
    assert error.startswith("H:2: ")
    assert "`## Weekly (Monday 09:00)`" in error


def test_what_is_no_bullet_and_what_stands_nowhere_are_errors():
    _, errors = read("- before\n## Daily (07:00)\nprose\n- fine\n")
    assert errors == [
        f"H:1: a bullet before any heading: {GRAMMAR}",
        "H:3: 'prose' is no bullet: `- ` and what to do",
    ]


def test_too_much_is_too_much():
    _, errors = read("## Daily (07:00)\n" + "- x\n" * (ITEMS_MAX + 1))
    assert errors == [f"H: {ITEMS_MAX + 1} things to do unasked: at most {ITEMS_MAX}"]


def test_comments_are_nothing_and_keep_the_lines():
    heartbeat, errors = read("<!-- ## Daily\n- x -->\n## Nightly\n")
    assert heartbeat.beats == ()
    assert errors[0].startswith("H:3: ")


@given(st.text(alphabet="#- DailyWeky(0:7)Eervy3 mintuOsar\n\t", max_size=80))
def test_any_text_is_beats_or_errors(text):
    heartbeat, _ = read(text)
    assert all(beat.say and bool(beat.cron) != bool(beat.every_minutes) for beat in heartbeat.beats)


def test_a_new_conversation_starts_with_what_the_file_says(place):
    (place / FILE).write_text("## On session start\n- Read the notes.\n")
    prompt = load(place, environ={}).roles["dev"].prompt
    assert prompt.endswith("# When a conversation begins\n- Read the notes.")


def test_times_are_schedules_of_the_role_in_the_teams_zone(place):
    (place / FILE).write_text("## Daily (07:00)\n- Look.\n## Every 30 minutes\n- Look again.\n")
    team = load(place, environ={})
    daily, often = schedules_of(team)
    assert (daily.id, daily.role, daily.cron, daily.zone) == ("heartbeat-dev-1", "dev", "0 7 * * *", "Europe/Berlin")
    assert (often.say, often.every_ms) == ("Look again.", 1_800_000)
    assert daily.conversation == Conversation(
        platform="console", account="acme", channel="main", thread="heartbeat-dev-1"
    )
    edit(place, "tiers: {}", "inbox: {channel: slack:T1/C9}")
    assert schedules_of(load(place, environ={}))[0].conversation.channel == "C9"


def test_a_heartbeat_is_part_of_the_version(place):
    before = load(place, environ={}).roles["dev"].version
    (place / FILE).write_text("## Daily (07:00)\n- Look.\n")
    assert load(place, environ={}).roles["dev"].version != before
    assert errors_of(place) == []
    assert notices_of(place) is not None
    (place / FILE).write_text("## Daily (7)\n- Look.\n")
    assert errors_of(place)[0].startswith("agents/dev/HEARTBEAT.md:1: '## Daily (7)' is no time")
