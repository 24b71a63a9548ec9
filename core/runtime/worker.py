"""Claim effects and have them performed, as many side by side as there are places. A parked task holds no coroutine."""

from __future__ import annotations

import asyncio

from core.model.unit import ClaimEffects, LeasedEffect
from core.runtime.context import Context, log, patiently
from core.runtime.perform import Performer

SWEEP_SECONDS = 2.0
LEASE_MS = 3_600_000
"""An engine that dies voids its leases by the next boot; this bound is for a holder that lives and hangs."""


class Worker:
    """The loop that takes up effects."""

    def __init__(self, context: Context, *, places: int = 64) -> None:
        self._context = context
        self._places = places
        self._busy = 0
        self._performer = Performer(context)

    async def run(self) -> None:
        """For ever. Cancelled, it lets commits under way finish; what was started is recovered at the next start."""
        async with asyncio.TaskGroup() as group:
            while True:
                leased = await patiently(self._context, self.claim)
                for item in leased:
                    self._busy += 1
                    group.create_task(self._perform(item))
                if not leased:
                    await self._context.bus.wait("effects", SWEEP_SECONDS)

    async def claim(self) -> tuple[LeasedEffect, ...]:
        """Lease what there are places for."""
        free = self._places - self._busy
        if free <= 0:
            return ()
        team = await self._context.team()
        caps = {role.id: role.concurrency_max for role in team.roles.values()}
        batches = {role.id: role.batch_max for role in team.roles.values()}
        claim = ClaimEffects(n=free, holder=self._context.holder, lease_ms=LEASE_MS, caps=caps, batches=batches)
        return await self._context.store.claim_effects(claim)

    async def _perform(self, leased: LeasedEffect) -> None:
        try:
            await self._performer.run(leased)
        except Exception:  # noqa: BLE001 - one effect that breaks the engine's own code must not stop the others; it stays leased
            log.exception("effect.broke", effect=leased.effect.id, task=leased.task.id)
        finally:
            self._busy -= 1
            self._context.bus.notify("effects")
