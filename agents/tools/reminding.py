"""schedule_reminder: be told later, in the conversation where the work was asked for.

Law: the tool only writes it down; the engine keeps it (core/runtime/reminders.py).
"""

from __future__ import annotations

from typing import Any

from agents.tools.control import shape
from core.model.ids import TaskId, digest_of
from core.model.team import EffectClass, Team, Tier, ToolSpec
from core.model.work import Failure, ToolResult
from core.ports import Reminders, Workplace
from core.rules import reminders
from core.rules.reminders import Reminder
from core.rules.text import human_time

SPEC = ToolSpec(
    name="schedule_reminder",
    about="Be told later: then the conversation hears it and you get it as work. Say in it all you must know then.",
    parameters=shape(
        {
            "text": {"type": "string", "minLength": 1, "maxLength": reminders.TEXT_MAX},
            "when": {"type": "string", "description": reminders.GRAMMAR},
        },
        ("text", "when"),
    ),
    tier=Tier.INTERNAL,
    effect=EffectClass.IDEMPOTENT,
    verb="remind",
    resource="reminder",
    says="Sets a reminder ({when}): {text}",
)


class ScheduleReminder:
    """Implements ports.Tool."""

    def __init__(self, kept: Reminders, team: Team) -> None:
        self._kept = kept
        self._team = team

    @property
    def spec(self) -> ToolSpec:
        """The same for everybody."""
        return SPEC

    @property
    def remembers(self) -> bool:
        """Doing it again comes to the same."""
        return False

    async def cancel(self, attempt: str) -> None:
        """It is over in a moment by itself."""

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """Keep it. What cannot be kept is a Failure that says why."""
        now_ms, zone = self._kept.now_ms(), self._team.zone
        due_ms = reminders.due_ms(str(arguments["when"]), now_ms, zone)
        if isinstance(due_ms, str):
            return _refused(due_ms, reminders.GRAMMAR)
        if place.conversation is None:
            return _refused("nobody asked for this anywhere", "hand this off instead")
        reminder = Reminder(
            id="r-" + digest_of("reminder", place.attempt)[:12],
            role=place.role,
            task=TaskId(place.root or place.task),
            conversation=place.conversation,
            text=str(arguments["text"]),
            set_at_ms=now_ms,
            due_at_ms=due_ms,
            people=place.asked_by,
            untrusted=place.untrusted,
        )
        if why := await self._kept.add(reminder):
            return _refused(why, "do without, or hand off and say so")
        return ToolResult(text=f"{reminder.id}: you will be reminded on {human_time(due_ms, zone)}")


def _refused(why: str, recovery: str) -> ToolResult:
    return ToolResult(failure=Failure(what="no reminder was set", why=why, recovery=recovery))
