"""When schedules come due. apscheduler's triggers do the arithmetic of fields; the time zone is ours.

Law: `next_after` never goes back: a later question never has an earlier answer. apscheduler does not promise that where
clocks are changed (3.11 fires 02:30 twice in autumn, and forgets it in spring when asked too late), so its triggers see
only the reading of the wall clock, and what a reading means is said here:

- a reading that is skipped (spring) comes at the moment the clock jumps, once however many of them are skipped;
- a reading that is there twice (autumn) comes the first time only, unless the hour is `*` or `*/n`: such a schedule
  means every so often, not a time of day, and comes both times (as Vixie cron has it).

Intervals are counted from 1970 in UTC, so that no restart moves them.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Self
from zoneinfo import ZoneInfo

from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from core.ports import Calendar
from schedules.load import Schedule

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_SECOND = timedelta(seconds=1)
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat", "sun")
_PROOF = (datetime(2024, 1, 1, tzinfo=UTC), datetime(2029, 1, 1, tzinfo=UTC))
"""Every date there is comes in these years: 2024 is a leap year."""


class ScheduleCalendar(Calendar):
    """The times of these schedules."""

    def __init__(self, schedules: Iterable[Schedule]) -> None:
        self._times = {schedule.id: times_of(schedule) for schedule in schedules}

    def next_after(self, schedule: str, after_ms: int) -> int | None:
        """The first time after `after_ms`, UTC. Raises KeyError for an unknown schedule."""
        return self._times[schedule].next_after(after_ms)


@dataclass(frozen=True, slots=True)
class Interval:
    """Every so many milliseconds since 1970; whole seconds."""

    trigger: Any

    def next_after(self, after_ms: int) -> int:
        """Strictly later."""
        return _ms(self.trigger.get_next_fire_time(None, _moment(after_ms + 1)))


@dataclass(frozen=True, slots=True)
class WallTimes:
    """Readings of a wall clock. The trigger thinks it lives in UTC; `zone` says when the clock reads so."""

    trigger: Any
    zone: ZoneInfo
    twice: bool

    @classmethod
    def parse(cls, cron: str, zone: str) -> Self:
        """Five fields. Raises ValueError for what is no cron line, and for one that never comes."""
        fields = cron.split()
        if len(fields) != 5:
            raise ValueError(f"{len(fields)} fields instead of five")
        minute, hour, day, month, weekday = fields
        if day != "*" and weekday != "*":
            raise ValueError("day and weekday cannot both be chosen: crons disagree on whether that means and or or")
        weekday = ",".join(_weekday(item) for item in weekday.split(","))
        trigger = CronTrigger(minute=minute, hour=hour, day=day, month=month, day_of_week=weekday, timezone=UTC)
        start, end = _PROOF
        first = trigger.get_next_fire_time(None, start)
        if first is None or first >= end:
            raise ValueError("there is no such date")
        return cls(trigger, ZoneInfo(zone), twice=hour.startswith("*"))

    def next_after(self, after_ms: int) -> int | None:
        """Strictly later; None at the end of the calendar."""
        moment = _moment(after_ms)
        passes = (0, 1) if self.twice else (0,)
        found = [at for fold in passes if (at := self._first_after(moment, fold)) is not None]
        return _ms(min(found)) if found else None

    def _first_after(self, moment: datetime, fold: int) -> datetime | None:
        """`fold`: which of two equal readings is meant."""
        local = moment.astimezone(self.zone).replace(tzinfo=None)
        reading = moment + min(self._offset(local, 0), self._offset(local, 1))
        while (next_reading := self.trigger.get_next_fire_time(None, reading)) is not None:
            at = self._moment_of(next_reading, fold)
            if at > moment:
                return at
            reading = next_reading + _SECOND
        return None

    def _moment_of(self, reading: datetime, fold: int) -> datetime:
        """When the clock reads so, or jumps over it."""
        local = reading.replace(tzinfo=None)
        before, after = self._offset(local, 0), self._offset(local, 1)
        if before >= after:
            return reading - (after if fold else before)
        skipped_seconds = range((after - before) // _SECOND)
        early = reading - after  # the clock jumps within `skipped_seconds` from here
        jump = bisect_left(skipped_seconds, True, key=lambda s: self._offset_at(early + s * _SECOND) == after)
        return early + jump * _SECOND

    def _offset(self, local: datetime, fold: int) -> timedelta:
        return local.replace(tzinfo=self.zone, fold=fold).utcoffset() or timedelta()

    def _offset_at(self, moment: datetime) -> timedelta:
        return moment.astimezone(self.zone).utcoffset() or timedelta()


def times_of(schedule: Schedule) -> Interval | WallTimes:
    """The times of one schedule. Raises ValueError, but not for one that `load` has checked."""
    if schedule.cron:
        return WallTimes.parse(schedule.cron, schedule.zone)
    return Interval(IntervalTrigger(seconds=schedule.every_ms // 1000, start_date=_EPOCH, timezone=UTC))


def _weekday(item: str) -> str:
    """As cron counts them, from Sunday, into names: apscheduler 3 counts from Monday (its issue 286)."""
    match = re.fullmatch(r"(\*|([0-7])(?:-([0-7]))?)(?:/([1-9]))?", item)
    if match is None and any(letter.isdigit() for letter in item):
        raise ValueError(f"{item!r} is no weekday")
    if match is None or item == "*":
        return item  # a name, or nothing the trigger will take
    every, first, last, step = match.groups()
    start = 0 if every == "*" else int(first)
    end = 6 if every == "*" or (step and not last) else int(last or first)
    if start > end:
        raise ValueError(f"the weekdays {item} end before they begin")
    return ",".join(_WEEKDAYS[n] for n in range(start, end + 1, int(step or 1)))


def _moment(at_ms: int) -> datetime:
    return _EPOCH + at_ms * _MS


def _ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MS
