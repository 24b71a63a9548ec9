"""The machine itself: its clock, its chance, and notices within one process."""

from __future__ import annotations

import asyncio
import random
import secrets
import time


class SystemClock:
    """Wall clock and monotonic clock of this machine."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000

    def monotonic_ms(self) -> int:
        return time.monotonic_ns() // 1_000_000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class SystemIds:
    """Chance nobody can guess; jitter anybody may."""

    def __init__(self) -> None:
        self._chance = random.Random()  # noqa: S311  jitter only; tokens come from `secrets`

    def token(self) -> str:
        return secrets.token_hex(8)

    def jitter(self) -> float:
        return self._chance.random()


class LocalBus:
    """Notices within one process. A notice wakes everyone who waits for its topic; with nobody waiting it is kept,
    once, for the next who comes, so that none falls between a look and a wait. `notify` may be called from any thread.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._kept: set[str] = set()

    def notify(self, topic: str) -> None:
        try:
            running = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if self._loop is None or running is self._loop:
            self._wake(topic)
        else:
            try:
                self._loop.call_soon_threadsafe(self._wake, topic)
            except RuntimeError:
                return  # the loop is closed: nobody is left to wake

    async def wait(self, topic: str, seconds: float) -> None:
        self._loop = asyncio.get_running_loop()
        if topic in self._kept:
            self._kept.discard(topic)
            return
        notice: asyncio.Future[None] = self._loop.create_future()
        waiting = self._waiting.setdefault(topic, set())
        waiting.add(notice)
        try:
            await asyncio.wait((notice,), timeout=seconds)
        finally:
            waiting.discard(notice)

    def _wake(self, topic: str) -> None:
        waiting = self._waiting.get(topic)
        if not waiting:
            self._kept.add(topic)
            return
        for notice in waiting:
            if not notice.done():
                notice.set_result(None)
