"""Link audit rows into the hash chain: one sealer, in commit order, after the facts (ARCHITECTURE.md, Audit)."""

from __future__ import annotations

from core.model.unit import Applied, Change, Seal, Unit
from core.rules.canonical import audit_hash
from core.runtime.context import Context

SWEEP_SECONDS = 2.0
BATCH_MAX = 500


class Sealer:
    """The loop that seals."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """For ever."""
        while True:
            if await self.seal() < BATCH_MAX:
                await self._context.clock.sleep(SWEEP_SECONDS)

    async def seal(self) -> int:
        """Seal what is there, at most BATCH_MAX rows. Returns how many."""
        store = self._context.store
        rows = await store.read.unsealed(BATCH_MAX)
        if not rows:
            return 0
        seq, head = await store.read.chain_head()
        changes: list[Change] = []
        for row in rows:
            seq, previous = seq + 1, head
            head = audit_hash(previous, seq, row)
            changes.append(Seal(id=row.id, seq=seq, previous=previous, hash=head))
        answer = await store.commit(Unit(changes=tuple(changes)))
        return len(rows) if isinstance(answer, Applied) else 0
