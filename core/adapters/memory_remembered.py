"""What the team remembers, in the store in memory: the same answers as an index would give, found by looking."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from core.model.memory import BOARD, ForgetMemories, Layer, Memory, Place, PutMemory, Secrecy, SupersedeMemory
from core.ports import Clock
from core.rules.remembering import ALL_WORDS_MAX, LOOKED_AT_MAX, ranked, words_of

if TYPE_CHECKING:
    from core.adapters.memory_reads import Tables


def apply(t: Tables, change: PutMemory | SupersedeMemory | ForgetMemories) -> None:
    match change:
        case PutMemory(memory=one):
            if one.id not in t.memories:
                t.put(t.memories, one.id, (next(t.numbers), one))
        case SupersedeMemory(id=key, by=by):
            if key in t.memories and not t.memories[key][1].superseded_by:
                seq, one = t.memories[key]
                t.put(t.memories, key, (seq, replace(one, superseded_by=by)))
        case ForgetMemories(ids=ids, person=person):
            for key, (_, one) in list(t.memories.items()):
                if key in ids or person in one.people:
                    t.drop(t.memories, key)


def state(t: Tables, key: str) -> str:
    """As guards know it."""
    if key not in t.memories:
        return ""
    return "superseded" if t.memories[key][1].superseded_by else "live"


class RememberedReads:
    """The part of MemoryReads that reads memories."""

    _tables: Tables
    _clock: Clock

    def _latest(self, fits: Callable[[Memory], bool]) -> list[Memory]:
        """By what they were dated, then by arrival."""
        rows = [row for row in self._tables.memories.values() if fits(row[1])]
        return [one for _, one in sorted(rows, key=lambda row: (row[1].at_ms, row[0]), reverse=True)]

    async def memories(self, places: tuple[Place, ...], limit: int = 1000) -> tuple[Memory, ...]:
        now_ms = self._clock.now_ms()
        return tuple(self._latest(lambda one: one.place in places and one.lives(now_ms))[:limit])

    async def memory_view(
        self, places: tuple[Place, ...], classes: tuple[Secrecy, ...], facts_max: int, since_ms: int, limit: int = 200
    ) -> tuple[Memory, ...]:
        now_ms = self._clock.now_ms()
        seen = self._latest(
            lambda one: one.place in places and one.secrecy in classes and one.lives(now_ms) and not one.untrusted
        )
        facts = [one for one in seen if one.layer is Layer.FACT and (one.place != BOARD or one.at_ms >= since_ms)]
        more = sorted((one for one in seen if one.layer is not Layer.FACT), key=lambda one: -one.layer)
        return (*facts[:facts_max], *more[:limit])

    async def memories_found(
        self, words: tuple[str, ...], places: tuple[Place, ...], classes: tuple[Secrecy, ...], limit: int
    ) -> tuple[Memory, ...]:
        now_ms = self._clock.now_ms()
        here = [
            (set(words_of(one.text)), one)
            for _, one in sorted(self._tables.memories.values(), key=lambda row: -row[0])
            if one.place in places and one.secrecy in classes and one.lives(now_ms)
        ]
        if not words:
            return ()
        whole = [one for held, one in here if held.issuperset(words)] if len(words) <= ALL_WORDS_MAX else []
        some = [one for held, one in here if not held.isdisjoint(words)]
        return tuple(whole[:limit]) or ranked(words, some[:LOOKED_AT_MAX], limit)

    async def memories_like(self, prefix: str) -> tuple[Memory, ...]:
        keys = sorted(key for key in self._tables.memories if key.startswith(prefix))[:10]
        return tuple(self._tables.memories[key][1] for key in keys)

    async def memories_of(self, person: str, limit: int = 1000) -> tuple[Memory, ...]:
        return tuple(self._latest(lambda one: person in one.people)[:limit])

    async def memories_archived(self, place: Place, limit: int = 1000) -> tuple[Memory, ...]:
        return tuple(self._latest(lambda one: one.place == place and bool(one.superseded_by))[:limit])

    async def memories_spent(self, before_ms: int, limit: int) -> tuple[str, ...]:
        now_ms = self._clock.now_ms()

        def spent(one: Memory) -> bool:
            expired = one.expires_at_ms is not None and one.expires_at_ms <= now_ms
            return expired or (bool(one.superseded_by) and one.at_ms < before_ms)

        return tuple(sorted(one.id for one in self._latest(spent))[:limit])
