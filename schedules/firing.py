"""Start what is due: a schedule's time becomes an event, once, whatever dies in between.

Law: the event first, then the note of how far the schedule has come. The event's key holds the time meant, so a death
between the two finds it known; before it, the note is old and the time comes up again. Several times that were missed
are one (`misfire: one`) or none (`misfire: skip`): nobody wants three days of mornings at once.

A schedule counts from the moment it is first seen, and so does one whose times were changed; its other words may be
edited freely. When the clock is set back, what fired stays fired.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence

import msgspec

from core.model.events import ScheduleFired, Sender
from core.model.unit import SetMeta, Unit
from core.ports import Calendar, Clock, Intake, Store
from schedules.load import Schedule

LATE_MS = 60_000
"""A time noticed later than this was missed: a busy moment or a restart takes less."""
SLEEP_SECONDS_MAX = 30.0
"""For so long a clock that was set, or a machine that has slept, may go unnoticed."""
SLEEP_SECONDS_MIN = 0.001


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a schedule has come: all its times up to `after_ms` are dealt with. `when` is what its times were."""

    after_ms: int
    when: str


class Schedules:
    """The loop that starts work with nobody asking."""

    def __init__(self, schedules: Sequence[Schedule], calendar: Calendar, store: Store, clock: Clock) -> None:
        self._schedules = tuple(schedules)
        self._calendar = calendar
        self._store = store
        self._clock = clock

    async def run(self, intake: Intake) -> None:
        """For ever."""
        while True:
            await self._clock.sleep(await self.sweep(intake))

    async def sweep(self, intake: Intake) -> float:
        """Fire what is due. Returns how long nothing will be, in seconds, at most SLEEP_SECONDS_MAX."""
        coming = [await self._take_up(schedule, intake) for schedule in self._schedules]
        next_ms = min((at_ms for at_ms in coming if at_ms is not None), default=None)
        if next_ms is None:
            return SLEEP_SECONDS_MAX
        seconds = (next_ms - self._clock.now_ms()) / 1000
        return min(SLEEP_SECONDS_MAX, max(SLEEP_SECONDS_MIN, seconds))

    async def _take_up(self, schedule: Schedule, intake: Intake) -> int | None:
        """Fire it if it is due. Returns its next time."""
        now_ms = self._clock.now_ms()
        after_ms = await self._after_ms(schedule, now_ms)
        next_ms = self._calendar.next_after(schedule.id, after_ms)
        if next_ms is None or next_ms > now_ms:
            return next_ms
        latest_ms = self._latest_due_ms(schedule.id, next_ms, now_ms)
        if schedule.misfire == "one" or now_ms - latest_ms <= LATE_MS:
            await intake.accept(_event(schedule, latest_ms, now_ms))
        await self._keep(schedule, latest_ms)
        return self._calendar.next_after(schedule.id, latest_ms)

    async def _after_ms(self, schedule: Schedule, now_ms: int) -> int:
        """Up to when it is dealt with; never in the future, or a clock that was wrong once would silence it."""
        kept = await self._store.read.meta(_name(schedule))
        progress = msgspec.json.decode(kept, type=Progress) if kept is not None else None
        if progress is None or progress.when != schedule.when:
            await self._keep(schedule, now_ms)
            return now_ms
        return min(progress.after_ms, now_ms)

    def _latest_due_ms(self, schedule: str, due_ms: int, now_ms: int) -> int:
        """The last of its times from one that is due up to now: the first moment whose next time is yet to come.
        Searched, not counted: a year of minutes takes 35 questions.
        """

        def is_last(passed_ms: int) -> bool:
            next_ms = self._calendar.next_after(schedule, due_ms + passed_ms)
            return next_ms is None or next_ms > now_ms

        return due_ms + bisect_left(range(now_ms - due_ms), True, key=is_last)

    async def _keep(self, schedule: Schedule, after_ms: int) -> None:
        value = msgspec.json.encode(Progress(after_ms=after_ms, when=schedule.when)).decode()
        await self._store.commit(Unit(changes=(SetMeta(name=_name(schedule), value=value),)))


def _name(schedule: Schedule) -> str:
    return f"schedule:{schedule.id}"


def _event(schedule: Schedule, scheduled_at_ms: int, now_ms: int) -> ScheduleFired:
    return ScheduleFired(
        key=f"schedule:{schedule.id}:{scheduled_at_ms}",
        at_ms=now_ms,
        conversation=schedule.conversation,
        sender=Sender(account=f"schedule:{schedule.id}", name=f"the schedule {schedule.id}"),
        schedule=schedule.id,
        scheduled_at_ms=scheduled_at_ms,
        text=schedule.say,
        role=schedule.role,
    )
