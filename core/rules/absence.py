"""People who are away, the hours in which nobody wakes them, and who stands in for them.

Laws of this file. Being away takes nothing from anybody: who may decide, and how many must, stay as they are. A
delegate counts as themselves, and only where the policy could have asked them, too; standing in is not passed on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from core.model.team import Absence, Person, Team
from core.rules import notes
from core.rules.policy import DEFAULT_TIERS, rule_sets, selects

HOUR_MS: Final = 3_600_000
AWAY_MS_MAX: Final = 366 * 24 * HOUR_MS
DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_HOURS: Final = re.compile(r"(\d{1,4})h?", re.ASCII)
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
_LOOKS_MAX: Final = 16
"""Ends of quiet spans to look at: seven days of two spans each, and one more of both."""

# --- Quiet hours ------------------------------------------------------------------------------------------------------


def span_of(quiet: str) -> tuple[time, time] | None:
    """`18:00-09:00` as its ends; None for anything else, and for a span of no length."""
    found = _SPAN.fullmatch(quiet)
    if found is None:
        return None
    begin, end = time(int(found[1]), int(found[2])), time(int(found[3]), int(found[4]))
    return (begin, end) if begin != end else None


def awake_ms(person: Person, now_ms: int) -> int:
    """When this person may be reminded: now, or at the end of their quiet time."""
    zone, at = _zone(person.zone), datetime.fromtimestamp(now_ms / 1000, UTC)
    for _ in range(_LOOKS_MAX):
        later = _quiet_until(person, at.astimezone(zone))
        if later is None:
            break
        at = later.astimezone(UTC)
    return max(now_ms, int(at.timestamp() * 1000))


def _quiet_until(person: Person, at: datetime) -> datetime | None:
    """The end of the span or day that a local time lies in."""
    if DAYS[at.weekday()] in person.quiet_days:
        return datetime.combine(at.date() + timedelta(days=1), time(), at.tzinfo)
    span = span_of(person.quiet)
    if span is None:
        return None
    (begin, end), now = span, at.time()
    over_night = begin > end
    if not (now >= begin or now < end if over_night else begin <= now < end):
        return None
    next_day = over_night and now >= begin
    return datetime.combine(at.date() + timedelta(days=int(next_day)), end, at.tzinfo)


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)


# --- Away -------------------------------------------------------------------------------------------------------------


def until_of(text: str, zone: str, now_ms: int) -> int | None:
    """`8`, `8h` (hours from now) or `2026-12-24` (the beginning of that day there); None for what is neither, is over,
    or is more than a year away.
    """
    hours = _HOURS.fullmatch(text)
    if hours is not None:
        until_ms = now_ms + int(hours[1]) * HOUR_MS
    elif _DATE.fullmatch(text):
        try:
            day = datetime.fromisoformat(text).date()
            until_ms = int(datetime.combine(day, time(), _zone(zone)).timestamp() * 1000)
        except (ValueError, OverflowError):
            return None
    else:
        return None
    return until_ms if now_ms < until_ms <= now_ms + AWAY_MS_MAX else None


def person_named(team: Team, name: str) -> Person | None:
    """By id or by name, with or without an @."""
    wanted = name.removeprefix("@").casefold()
    return next((p for p in team.people if wanted in {p.id.casefold(), p.name.casefold()}), None)


def objection(team: Team, person: Person, delegate: Person, absences: Mapping[str, Absence], now_ms: int) -> str:
    """Why somebody cannot stand in for somebody; "" if they can (case_24)."""
    if delegate.id == person.id:
        return notes.DELEGATE_SELF
    if not delegate.may_ask or (person.may_approve and not _share_a_selector(team, person, delegate)):
        return notes.delegate_outside(delegate.name)
    at, seen = delegate.id, {person.id}
    while at and at not in seen:
        seen.add(at)
        away = absences.get(at)
        at = away.delegate if away is not None and away.until_ms > now_ms else ""
    return notes.DELEGATE_CIRCLE if at else ""


def _share_a_selector(team: Team, one: Person, other: Person) -> bool:
    rules = {**DEFAULT_TIERS, **team.policy.tiers}.values()
    sets = [s for rule in rules for stage in rule.stages for s in rule_sets(stage)]
    return any(selects(s, one) and selects(s, other) for s in sets)
