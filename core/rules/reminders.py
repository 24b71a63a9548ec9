"""Reminders: what a role has asked to be told later, as it is written down, and when that is.

Law: a reminder is work that nobody asks for at its time, so it carries what it was set with: who had asked for it then,
and whether that work had read what came from outside. It is open as long as its fact is not empty.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from core.model.events import Conversation, ScheduleFired, Sender
from core.model.ids import TaskId, post_of
from core.model.team import Team
from core.model.views import Line, Post
from core.rules.text import human_time, readable

PREFIX: Final = "reminder:"
TEXT_MAX: Final = 2_000
AHEAD_MS_MIN: Final = 60_000
AHEAD_MS_MAX: Final = 366 * 86_400_000
OPEN_MAX: Final = 20
"""In one conversation."""
GRAMMAR: Final = '"in 45 minutes", "in 3 hours", "in 2 days", "in 1 week", or a time as in "2026-11-24T09:00"'
_IN: Final = re.compile(r"in ([1-9]\d{0,5}) (minute|hour|day|week)s?", re.IGNORECASE)
_AT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d)?(?:Z|[+-]\d\d:\d\d)?")
_UNITS_MS: Final = {"minute": 60_000, "hour": 3_600_000, "day": 86_400_000, "week": 604_800_000}


class Reminder(msgspec.Struct, frozen=True, kw_only=True, tag="Reminder/1"):
    """`id` comes from the call that set it; `task` is the root of its work, `people` those who had asked for that."""

    id: str
    role: str
    task: TaskId
    conversation: Conversation
    text: str
    set_at_ms: int
    due_at_ms: int
    people: tuple[str, ...] = ()
    untrusted: bool = False

    @property
    def name(self) -> str:
        """Of its fact, and of its signal."""
        return f"{names_in(self.conversation)}{self.id}"


def names_in(conversation: Conversation) -> str:
    """What the names of a conversation's reminders begin with."""
    return f"{PREFIX}{conversation.key}:"


def due_ms(when: str, now_ms: int, zone: str) -> int | str:
    """The time meant, or why there is none. A time without an offset is the zone's."""
    text = when.strip()
    if match := _IN.fullmatch(text):
        at_ms = now_ms + int(match[1]) * _UNITS_MS[match[2].lower()]
    elif _AT.fullmatch(text):
        try:
            at = datetime.fromisoformat(text)
            at_ms = int((at if at.tzinfo else at.replace(tzinfo=ZoneInfo(zone))).timestamp() * 1000)
        except (ValueError, OverflowError):
            return f"{text} is no time there is"
    else:
        return f"{text[:60]!r} is no time: {GRAMMAR}"
    if at_ms < now_ms + AHEAD_MS_MIN:
        now = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(ZoneInfo(zone)).strftime("%Y-%m-%dT%H:%M")
        return f"it is {now} in {zone}: choose a time at least a minute ahead"
    if at_ms > now_ms + AHEAD_MS_MAX:
        return "that is more than a year ahead"
    return at_ms


def line_of(reminder: Reminder, team: Team, now_ms: int) -> Post:
    """What its conversation hears."""
    post_id = post_of("reminder", reminder.name)
    title = team.roles[reminder.role].title if reminder.role in team.roles else ""
    line = Line(text=f"Reminder: {readable(reminder.text)}", speaker=title)
    return Post(id=post_id, conversation=reminder.conversation, view=line, slot=post_id, at_ms=now_ms)


def event_of(reminder: Reminder, team: Team, now_ms: int) -> ScheduleFired | None:
    """The work it starts; None when all who had asked for it may no longer ask for anything."""
    people = [team.person(person) for person in reminder.people]
    if people and not any(person is not None and person.may_ask for person in people):
        return None
    set_at = human_time(reminder.set_at_ms, team.zone)
    text = f"A reminder you set yourself ({set_at}): {reminder.text}"
    return ScheduleFired(
        key=reminder.name,
        at_ms=now_ms,
        conversation=reminder.conversation,
        sender=Sender(account=f"reminder:{reminder.id}", name="a reminder"),
        schedule=f"reminder {reminder.id}",
        scheduled_at_ms=reminder.due_at_ms,
        text=text,
        role=reminder.role if reminder.role in team.roles else None,
        initiators=reminder.people,
        untrusted=reminder.untrusted,
    )
