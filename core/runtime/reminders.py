"""Keep reminders, and start what they ask for when their time has come.

Law: a reminder is a fact and a signal, written together. The fact is what is true: emptied, the signal finds nothing to
do. What a reminder starts is an event like any other, accepted in the transaction that closes the signal.
"""

from __future__ import annotations

import asyncio

import msgspec

from core.model.ids import SignalId
from core.model.signals import ReminderDue, Signal
from core.model.unit import AddAudit, AddEvent, AddSignal, Audit, Change, Guard, InsertOnce, SetMeta, Unit
from core.ports import Bus, Clock, Reads, Store
from core.rules import reminders
from core.rules.reminders import OPEN_MAX, Reminder
from core.runtime.context import Context


class StoreReminders:
    """Implements ports.Reminders."""

    def __init__(self, store: Store, clock: Clock, bus: Bus) -> None:
        self._store = store
        self._clock = clock
        self._bus = bus
        self._adding = asyncio.Lock()

    def now_ms(self) -> int:
        """The engine's clock."""
        return self._clock.now_ms()

    async def add(self, reminder: Reminder) -> str:
        """Keep it, or say why not. The same one again changes nothing, even when it has been since."""
        name = reminder.name
        async with self._adding:
            if await self._store.read.meta(name) is not None:
                return ""
            there = await self._store.read.facts(reminders.names_in(reminder.conversation), OPEN_MAX)
            if len(there) >= OPEN_MAX:
                return f"{OPEN_MAX} are open in this conversation, which is the most there can be"
            errand = ReminderDue(name=name)
            signal = Signal(id=SignalId(name), task=reminder.task, due_at_ms=reminder.due_at_ms, errand=errand)
            changes = (SetMeta(name=name, value=msgspec.json.encode(reminder).decode()), AddSignal(signal=signal))
            row = _audit(reminder, "reminder.set", self.now_ms())
            await self._store.commit(Unit(changes=(*changes, AddAudit(row=row))))
        for topic in ("events", "audit"):
            self._bus.notify(topic)
        return ""


async def open_ones(read: Reads, prefix: str = reminders.PREFIX) -> tuple[Reminder, ...]:
    """Those that will come, the next first."""
    found = [msgspec.json.decode(value, type=Reminder) for _, value in await read.facts(prefix)]
    return tuple(sorted(found, key=lambda one: (one.due_at_ms, one.id)))


def cancelled(reminder: Reminder, by: str, now_ms: int) -> Unit:
    """It will not come."""
    row = _audit(reminder, "reminder.cancelled", now_ms, by)
    return Unit(changes=(SetMeta(name=reminder.name, value=""), AddAudit(row=row)))


async def due(
    context: Context, signal: Signal, errand: ReminderDue, guards: tuple[Guard, ...], changes: tuple[Change, ...]
) -> None:
    """The conversation hears it, and its role gets it as work. Raises LookupError for one that was cancelled."""
    value = await context.store.read.meta(errand.name)
    if not value:
        raise LookupError(errand.name)
    reminder = msgspec.json.decode(value, type=Reminder)
    team = await context.team()
    plan = context.plan(context.env(team))
    plan.guards.extend(guards)
    plan.changes.extend((*changes, SetMeta(name=errand.name, value="")))
    plan.post(reminders.line_of(reminder, team, plan.env.now_ms))
    event = reminders.event_of(reminder, team, plan.env.now_ms)
    if event is not None:
        plan.guards.append(InsertOnce(key=event.key, digest=reminder.id))
        plan.changes.append(AddEvent(event=event))
    plan.audit(signal.task, reminder.id, "reminder.due", role=reminder.role, started=event is not None)
    await context.commit(plan)


def _audit(reminder: Reminder, what: str, at_ms: int, by: str = "") -> Audit:
    detail = {"role": reminder.role, "due_at_ms": reminder.due_at_ms, "reminder": reminder.id}
    return Audit(
        id=f"{reminder.name}:{what}", at_ms=at_ms, what=what, subject=reminder.task, principal=by, detail=detail
    )
