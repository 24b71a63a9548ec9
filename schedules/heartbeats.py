"""What roles do unasked (HEARTBEAT.md), as schedules: each item a request of its own, in the team's zone.

Law: its answer goes to the team's inbox, or to a thread of its own on the console. An item that is moved keeps its
place in time; one whose time is changed counts from when that is seen.
"""

from __future__ import annotations

from core.model.events import Conversation
from core.model.team import Beat, Team
from schedules.load import Schedule

_MINUTE_MS = 60_000


def schedules_of(team: Team) -> tuple[Schedule, ...]:
    """Those of every role, in the order of the roles."""
    return tuple(
        _schedule(team, role.id, n, beat) for role in team.roles.values() for n, beat in enumerate(role.beats, 1)
    )


def _schedule(team: Team, role: str, n: int, beat: Beat) -> Schedule:
    name = f"heartbeat-{role}-{n}"
    alone = Conversation(platform="console", account=team.name, channel="main", thread=name)
    return Schedule(
        id=name,
        say=beat.say,
        conversation=team.policy.inbox or alone,
        cron=beat.cron,
        every_ms=beat.every_minutes * _MINUTE_MS,
        zone=team.zone,
        role=role,
    )
