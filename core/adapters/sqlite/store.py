"""The embedded store: one SQLite file, one writing thread, one reading connection."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Self, cast

from core.adapters.sqlite import claims, migrate, sql
from core.adapters.sqlite.changes import prepare
from core.adapters.sqlite.reads import SqliteReads
from core.adapters.sqlite.steps import Moment
from core.adapters.sqlite.writer import Writer, end_process
from core.model import unit as u
from core.model.signals import Signal
from core.ports import Clock


class SqliteStore:
    """Implements Store. Made by `open`, in the event loop that uses it. `commit`, `claim_*` and `due` go through the
    writer in the order they were called. A caller that is cancelled must take the outcome as unknown and read again.
    """

    def __init__(self, writer: Writer, reads: SqliteReads, clock: Clock) -> None:
        self._writer = writer
        self._reads = reads
        self._clock = clock
        self._boot = 0

    @classmethod
    async def open(
        cls,
        path: Path,
        clock: Clock,
        *,
        synchronous: str = "FULL",
        scripts: tuple[str, ...] | None = None,
        die: Callable[[str], None] = end_process,
    ) -> Self:
        """Raises StoreRefusedError. `scripts` stands in for the schema in tests of migrations."""
        connect = partial(migrate.connect, path, now_ms=clock.now_ms(), synchronous=synchronous, scripts=scripts)
        writer = Writer(connect, die=die)
        await writer.start()
        store = cls(writer, SqliteReads(path, clock), clock)
        store._boot = await writer.do(_boot)
        return store

    async def new_boot(self) -> int:
        """The engine starts: leases of every earlier boot are void from here on. Hold the engine lock."""
        self._boot = await self._writer.do(_new_boot)
        return self._boot

    @property
    def read(self) -> SqliteReads:
        """The reading side."""
        return self._reads

    @property
    def batches_n(self) -> int:
        """Transactions so far; units ÷ batches is how well the group commit groups."""
        return self._writer.batches_n

    async def commit(self, unit: u.Unit) -> u.Answer:
        prepared = prepare(unit, Moment(self._clock.now_ms(), self._boot))
        return cast("u.Answer", await self._writer.do(prepared))

    async def claim_effects(self, claim: u.ClaimEffects) -> tuple[u.LeasedEffect, ...]:
        moment = Moment(self._clock.now_ms(), self._boot)
        rows = await self._writer.do(lambda cursor: claims.claim_effects(cursor, claim, moment))
        return claims.leased_effects(rows, claim.holder)

    async def claim_posts(self, claim: u.ClaimPosts) -> tuple[u.LeasedPost, ...]:
        moment = Moment(self._clock.now_ms(), self._boot)
        return claims.leased_posts(await self._writer.do(lambda cursor: claims.claim_posts(cursor, claim, moment)))

    async def due(self, n: int) -> tuple[tuple[u.StoredEvent, ...], tuple[Signal, ...], int | None]:
        now_ms = self._clock.now_ms()
        events, signals, following = await self._writer.do(lambda cursor: claims.due(cursor, n, now_ms))
        return claims.stored_events(events), claims.due_signals(signals), following

    def watch(self, callback: Callable[[], None]) -> None:
        """Call it, in the loop, within a quarter of a second of a commit by another process."""
        self._writer.watch(callback)

    async def close(self) -> None:
        """What is queued is committed first. Safe to call twice."""
        await self._reads.close()
        await self._writer.close()


def _boot(cursor: Any) -> int:
    row = cursor.execute(sql.BOOT).fetchone()
    return int(row[0]) if row else 0


def _new_boot(cursor: Any) -> int:
    return int(cursor.execute(sql.NEW_BOOT).fetchall()[0][0])
