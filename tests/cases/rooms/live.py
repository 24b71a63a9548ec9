"""The engine's table with an adapter that is real: whose time is its own, and whose front desk counts who comes."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

from core.model.events import Conversation, Event, MessageReceived
from core.model.views import InquiryCard
from core.ports import Clock, Intake, Platform, Shelf
from tests.engine_kit import Table

IDLE_SECONDS = 0.02


class OwnClock(Clock):
    """An adapter's: the engine's date, and pauses that end when `skip` says that nothing else goes on."""

    def __init__(self, table: Callable[[], Table]) -> None:
        self.pace = 1.0  # how fast time goes by that is only measured
        self._table = table
        self._ahead = 0.0
        self._until: list[float] = []
        self._skipped = asyncio.Event()

    def _now(self) -> float:
        return time.monotonic() + self._ahead

    def now_ms(self) -> int:
        return self._table().clock.now_ms()

    def monotonic_ms(self) -> int:
        return int(self._now() * 1000 * self.pace)

    async def sleep(self, seconds: float) -> None:
        until = self._now() + seconds
        self._until.append(until)
        try:
            while (left := until - self._now()) > 0:
                skipped = self._skipped
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(left):
                        await skipped.wait()
        finally:
            self._until.remove(until)

    def skip(self) -> None:
        """To the end of the pause that ends first."""
        if self._until:
            self.turn(max(0.0, min(self._until) - self._now()))

    def turn(self, seconds: float) -> None:
        self._ahead += seconds
        self._skipped.set()
        self._skipped = asyncio.Event()


class Live(Table):
    """The table, where what is outside takes its time."""

    def __init__(self, adapter: Callable[[Clock], Platform], **more: Any) -> None:
        super().__init__(**more)
        self.pauses = OwnClock(lambda: self)
        self.adapter = adapter(self.pauses)
        self.context.platforms[self.adapter.name] = self.adapter  # type: ignore[index]

    async def _round(self) -> bool:
        moved = await super()._round()
        if not self.running:
            return moved
        done, self.running = await asyncio.wait(self.running, timeout=IDLE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        return moved or bool(done)


class Door(Intake):
    """The engine's front desk, whichever engine it is by now, with somebody who counts."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self.events: list[Event] = []
        self.heard_n = 0  # whatever was taken, or found to be none of ours
        self.inside_n = 0

    async def accept(self, event: Event) -> bool:
        self.inside_n += 1
        try:
            self.events.append(event)
            return await self._table.engine.intake.accept(event)
        finally:
            self.inside_n -= 1
            self.heard_n += 1

    async def concerns(self, event: MessageReceived) -> bool:
        ours = await self._table.engine.intake.concerns(event)
        self.heard_n += not ours
        return ours

    async def knows(self, account: str) -> bool:
        return await self._table.engine.intake.knows(account)

    async def card(self, control: str) -> InquiryCard | None:
        return await self._table.engine.intake.card(control)

    async def threads(self, platform: str, account: str) -> tuple[Conversation, ...]:
        return await self._table.engine.intake.threads(platform, account)

    async def recall(self, name: str) -> str:
        return await self._table.engine.intake.recall(name)

    async def note(self, name: str, value: str) -> None:
        await self._table.engine.intake.note(name, value)


class NoFiles(Shelf):
    def read(self, artifact: str) -> tuple[str, bytes] | None:
        return None
