"""The engine: its loops, their start after whatever happened before, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from core.model.editions import Edition
from core.model.errors import AuthenticationError, SignoffError
from core.model.unit import Counts, SetMeta, Unit
from core.ports import Health, Intake
from core.runtime import reloading
from core.runtime.context import Context, log
from core.runtime.digests import Digests
from core.runtime.dispatch import Dispatcher
from core.runtime.intake import FrontDesk
from core.runtime.outbox import Outbox
from core.runtime.sealer import Sealer
from core.runtime.status import Status
from core.runtime.upkeep import Upkeep
from core.runtime.worker import Worker

LOOP_RESTART_SECONDS = 1.0
LOOP_RESTART_SECONDS_MAX = 60.0
LOOP_WELL_SECONDS = 60.0
"""A loop that ran so long was well: its next trouble is a new one."""
REFUSED_SECONDS = 300.0
"""Until a refused token is tried again: it may have been renewed, but asking often would look like an attack."""
HEALTH_SECONDS = 15.0
HEARD_STEP_MS = 60_000
"""Traffic is recorded by the minute: a quiet night must not write."""


class Engine:
    """Everything that runs. Correctness never depends on which of its loops is alive."""

    def __init__(
        self, context: Context, *, sources: Mapping[str, Callable[[Intake], Awaitable[None]]] | None = None
    ) -> None:
        """`sources` give it work, as platforms do, but show nothing: schedules."""
        self.context = context
        self.sources = dict(sources or {})
        self.on_trouble: Callable[[str, str], None] = lambda _loop, _line: None
        self._troubles: dict[str, str] = {}  # by platform: why it is not running now
        self._recorded: dict[str, Health] = {}
        self.intake = FrontDesk(context)
        self.dispatcher = Dispatcher(context)
        self.worker = Worker(context)
        self.outbox = Outbox(context)
        self.status = Status(context)
        self.sealer = Sealer(context)
        self.digests = Digests(context)
        self.upkeep = Upkeep(context)
        self.reloading = reloading.Reloading(context)

    async def keep_definition(self) -> None:
        """Store the current definition under its hash, before any task can be bound to it; learn what is stopped."""
        drafts = self.context.drafts
        edition = drafts.edition() if drafts is not None else Edition(team=self.context.teams.current())
        await self.context.store.commit(Unit(changes=reloading.kept(edition)))
        await reloading.keep_versions(self.context)
        self.context.stopped.update(await self.context.store.read.paused())

    async def run(self) -> None:
        """All loops, until cancelled."""
        await self.keep_definition()
        await self.status.recover()
        async with asyncio.TaskGroup() as group:
            for name, loop in self.loops().items():
                group.create_task(self._keep(name, loop), name=name)

    def loops(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """Each by its name."""
        loops: dict[str, Callable[[], Awaitable[None]]] = {
            "dispatcher": self.dispatcher.run,
            "worker": self.worker.run,
            "outbox": self.outbox.run,
            "status": self.status.run,
            "sealer": self.sealer.run,
            "digests": self.digests.run,
            "upkeep": self.upkeep.run,
            "files": self.dispatcher.files.run,
            "health": self._record_health,
        }
        if self.context.drafts is not None:
            loops["definition"] = self.reloading.run
        for name, platform in self.context.platforms.items():
            loops[f"platform {name}"] = lambda platform=platform: platform.run(self.intake)  # type: ignore[misc]
        for name, source in self.sources.items():
            loops[f"source {name}"] = partial(source, self.intake)
        return loops

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """A loop that breaks is started again: one platform's trouble never touches another's. One that returns has
        said all it had to say (standard input has ended).
        """
        clock, tries_n = self.context.clock, 0
        while True:
            begun_ms = clock.monotonic_ms()
            try:
                await loop()
            except asyncio.CancelledError:
                raise
            except SignoffError as error:
                log.warning("loop.broke", loop=name, why=str(error))
                wait_seconds, why = _again_seconds(tries_n), str(error)
                if isinstance(error, AuthenticationError):
                    wait_seconds = REFUSED_SECONDS
            except Exception as error:  # noqa: BLE001 - logged with its trace; the loop starts again from the store, which has the truth
                log.exception("loop.broke", loop=name)
                wait_seconds, why = _again_seconds(tries_n), f"{type(error).__name__}, see the log"
            else:
                return
            well = clock.monotonic_ms() - begun_ms >= LOOP_WELL_SECONDS * 1000
            tries_n = 0 if well else tries_n + 1
            self._note_trouble(name, why)
            await clock.sleep(wait_seconds)

    def _note_trouble(self, name: str, why: str) -> None:
        """Say it once, not at every try."""
        platform = name.removeprefix("platform ")
        if self._troubles.get(platform) != why:
            self.on_trouble(platform, why)
        self._troubles[platform] = why

    async def _record_health(self) -> None:
        """Keep what is known of each connection where `doctor` can read it."""
        while True:
            for name, platform in self.context.platforms.items():
                health = platform.health()
                if health.connected_at_ms and not health.trouble:
                    self._troubles.pop(name, None)
                trouble = health.trouble or self._troubles.get(name, "")
                heard_ms, sent_ms = (t - t % HEARD_STEP_MS for t in (health.heard_at_ms, health.sent_at_ms))
                coarse = msgspec.structs.replace(health, trouble=trouble, heard_at_ms=heard_ms, sent_at_ms=sent_ms)
                if coarse not in (Health(), self._recorded.get(name)):
                    self._recorded[name] = coarse
                    fact = SetMeta(name=f"health:{name}", value=msgspec.json.encode(coarse).decode())
                    await self.context.store.commit(Unit(changes=(fact,)))
            await self.context.clock.sleep(HEALTH_SECONDS)

    async def idle(self) -> bool:
        """Everything there is has been dealt with: what is left waits for people or for a time to come."""
        counts: Counts = await self.context.store.read.counts(tuple(self.context.platforms))
        busy = counts.events_new + counts.signals_due + counts.effects_open
        return busy == 0 and counts.posts_open == 0


def _again_seconds(tries_n: int) -> float:
    return min(LOOP_RESTART_SECONDS_MAX, LOOP_RESTART_SECONDS * (1 << min(tries_n, 10)))
