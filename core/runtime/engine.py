"""The engine: its loops, their start after whatever happened before, and their end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import msgspec

from core.model.unit import Counts, PutBlob, SetMeta, Unit
from core.ports import Intake
from core.runtime.context import Context, log
from core.runtime.dispatch import Dispatcher
from core.runtime.intake import StoreIntake
from core.runtime.outbox import Outbox
from core.runtime.sealer import Sealer
from core.runtime.status import Status
from core.runtime.worker import Worker

LOOP_RESTART_SECONDS = 1.0


class Engine:
    """Everything that runs. Correctness never depends on which of its loops is alive."""

    def __init__(
        self, context: Context, *, sources: Mapping[str, Callable[[Intake], Awaitable[None]]] | None = None
    ) -> None:
        """`sources` give it work, as platforms do, but show nothing: schedules."""
        self.context = context
        self.sources = dict(sources or {})
        self.intake = StoreIntake(context.store, context.bus)
        self.dispatcher = Dispatcher(context)
        self.worker = Worker(context)
        self.outbox = Outbox(context)
        self.status = Status(context)
        self.sealer = Sealer(context)

    async def keep_definition(self) -> None:
        """Store the current definition under its hash, before any task can be bound to it; learn what is stopped."""
        team = self.context.teams.current()
        blob = PutBlob(hash=team.version, body=msgspec.json.encode(team))
        await self.context.store.commit(Unit(changes=(blob, SetMeta(name="definition", value=team.version))))
        self.context.stopped.update(await self.context.store.read.paused())

    async def run(self) -> None:
        """All loops, until cancelled."""
        await self.keep_definition()
        moving = [
            row for row in await self.context.store.read.tasks(open_only=True) if row.state in {"ready", "leased"}
        ]
        for root in {row.task.root for row in moving}:
            for changed in self.context.on_change:
                changed(root)
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
        }
        for name, platform in self.context.platforms.items():
            loops[f"platform {name}"] = lambda platform=platform: platform.run(self.intake)  # type: ignore[misc]
        for name, source in self.sources.items():
            loops[f"source {name}"] = partial(source, self.intake)
        return loops

    async def _keep(self, name: str, loop: Callable[[], Awaitable[None]]) -> None:
        """A loop that breaks is started again: one platform's trouble never touches another's. One that returns has
        said all it had to say (standard input has ended).
        """
        while True:
            try:
                await loop()
            except asyncio.CancelledError:
                raise
            except Exception:  # noqa: BLE001 - logged with its trace; the loop starts again from the store, which has the truth
                log.exception("loop.broke", loop=name)
                await self.context.clock.sleep(LOOP_RESTART_SECONDS)
            else:
                return

    async def idle(self) -> bool:
        """Everything there is has been dealt with: what is left waits for people or for a time to come."""
        counts: Counts = await self.context.store.read.counts(tuple(self.context.platforms))
        busy = counts.events_new + counts.signals_due + counts.effects_open
        return busy == 0 and counts.posts_open == 0
