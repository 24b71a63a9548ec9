"""An engine's front desk that takes everything, for adapters that are tested without an engine."""

from __future__ import annotations

import asyncio


class Desk:
    """Remembers what it accepted; `fails` are raised by the next ones, the last first."""

    def __init__(self):
        self.events = {}
        self.notes = {}
        self.known = set()
        self.cards = {}
        self.taken_part = set()
        self.fails = []
        self.changed = asyncio.Condition()

    async def accept(self, event):
        if self.fails:
            raise self.fails.pop()
        new = event.key not in self.events
        self.events.setdefault(event.key, event)
        async with self.changed:
            self.changed.notify_all()
        return new

    async def concerns(self, event):
        return event.conversation in self.taken_part or event.text.startswith("@cto")

    async def knows(self, account):
        return account in self.known

    async def card(self, some_control):
        return self.cards.get(some_control)

    async def threads(self, platform, account):
        return tuple(place for place in self.taken_part if place.account == account)

    async def recall(self, name):
        return self.notes.get(name, "")

    async def note(self, name, value):
        self.notes[name] = value

    def of(self, kind):
        return [event for event in self.events.values() if isinstance(event, kind)]

    async def until(self, kind, n=1, seconds=8):
        async with asyncio.timeout(seconds), self.changed:
            await self.changed.wait_for(lambda: len(self.of(kind)) >= n)
        return self.of(kind)[n - 1]
