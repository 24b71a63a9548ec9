"""Accept an event: one transaction, and only then may its platform be told (P1)."""

from __future__ import annotations

import hashlib

import msgspec

from core.model.events import Event
from core.model.unit import AddEvent, Applied, InsertOnce, Unit
from core.ports import Bus, Store


class StoreIntake:
    """Implements ports.Intake. Needs no engine: the command line uses it while the engine is down."""

    def __init__(self, store: Store, bus: Bus | None = None) -> None:
        self._store = store
        self._bus = bus

    async def accept(self, event: Event) -> bool:
        """Commit it. True: new. False: seen before, in these words or others; the first stands."""
        digest = hashlib.sha256(msgspec.json.encode(event)).hexdigest()
        unit = Unit(guards=(InsertOnce(key=event.key, digest=digest),), changes=(AddEvent(event=event),))
        answer = await self._store.commit(unit)
        if self._bus is not None:
            self._bus.notify("events")
        return isinstance(answer, Applied) and not answer.known
