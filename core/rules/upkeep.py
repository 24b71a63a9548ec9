"""When the memory of a team is tended, and what is then said about it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.model.events import Conversation
from core.model.memory import EVERYBODY, Layer, Memory, Place, Scope, private
from core.model.team import Role, Team
from core.rules import telling
from core.rules.remembering import line_of

WEEKLY_AT: Final = time(3, 0)  # on Mondays
MONTHLY_AT: Final = time(4, 0)  # on the first
PATTERN_FACTS_MIN: Final = 10
"""Of fewer facts nothing follows."""
PATTERN_FACTS_MAX: Final = 100
OFFLINE: Final = "offline"
REMEMBER: Final = "remember"


def weekly_ms(zone: str, now_ms: int) -> int:
    """The last time that weekly work was due, up to now."""
    today = _today(zone, now_ms)
    monday = today - timedelta(days=today.weekday())
    due_ms = _at(zone, monday, WEEKLY_AT)
    return due_ms if due_ms <= now_ms else _at(zone, monday - timedelta(days=7), WEEKLY_AT)


def monthly_ms(zone: str, now_ms: int) -> int:
    """The last time that monthly work was due, up to now."""
    first = _today(zone, now_ms).replace(day=1)
    due_ms = _at(zone, first, MONTHLY_AT)
    return due_ms if due_ms <= now_ms else _at(zone, (first - timedelta(days=1)).replace(day=1), MONTHLY_AT)


def _today(zone: str, now_ms: int) -> date:
    return datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).date()


def _at(zone: str, day: date, at: time) -> int:
    return int(datetime.combine(day, at, tzinfo=ZoneInfo(zone)).timestamp() * 1000)


def tended(team: Team) -> tuple[Place, ...]:
    """Where entries are made fewer: every role's own, every team's, everybody's."""
    teams = (Place(scope=Scope.TEAM, owner=name) for name in team.teams)
    return (*(private(role) for role in team.roles), *teams, EVERYBODY)


def told_in(team: Team) -> Conversation | None:
    """Where people are told about it: with the digest, or in the inbox."""
    return team.digest.to if team.digest is not None else team.policy.inbox


# --- Patterns -------------------------------------------------------------------------------------------------------


def patterns_brief(team: Team, role: Role, found: Iterable[Memory], since_ms: int) -> str:
    """What a role is asked once a month: what its facts have in common; "" where nothing would come of it: it cannot
    remember, no model of a vendor thinks for it, it knows little, or nothing new.
    """
    if REMEMBER not in role.tools or team.model_of(role.id).provider == OFFLINE:
        return ""
    facts = [one for one in found if one.layer <= Layer.KEPT and not one.untrusted and one.expires_at_ms is None]
    if len(facts) < PATTERN_FACTS_MIN or all(one.at_ms < since_ms for one in facts):
        return ""
    lines = (line_of(one, team.zone) for one in facts[:PATTERN_FACTS_MAX])
    return "\n".join((telling.PATTERNS_BRIEF, *lines))


# --- Review ---------------------------------------------------------------------------------------------------------


def review(counts: Iterable[tuple[str, int]]) -> str:
    """What people are told once a month: how much is new, by role; "" if nothing is."""
    new = [(role, n) for role, n in counts if n]
    if not new:
        return ""
    return telling.memory_review(sum(n for _, n in new), ", ".join(f"{role} {n}" for role, n in new))
