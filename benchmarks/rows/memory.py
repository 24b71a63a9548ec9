"""Memory by the hundred thousand: what a search costs a role, and what the look at the beginning of a task does.

Half the entries hold one word, so that the common case and the worst are both asked for. Roles share the index: what is
measured is one role's search among everybody's entries.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from benchmarks.bench import Scale, place, remove
from benchmarks.report import Figure
from core.adapters.sqlite.store import SqliteStore
from core.adapters.system import SystemClock
from core.model.memory import BOARD, EVERYBODY, Memory, PutMemory, Secrecy, private
from core.model.unit import Unit
from core.rules.remembering import query_of

ROLES_N: Final = 12
UNIT: Final = 1_000
WORDS_N: Final = 5_000
ENTRY_WORDS_N: Final = 14
TRIES_N: Final = 30
SEED: Final = 7
FOUND_MAX: Final = 10
PLACES: Final = (private("role1"), EVERYBODY, BOARD)
CLASSES: Final = (Secrecy.PUBLIC, Secrecy.INTERNAL)


async def measure(scale: Scale) -> AsyncIterator[Figure]:
    """The slowest kind of search, by its median; and what a task looks at when it begins."""
    folder = place("memory")
    folder.mkdir(parents=True, exist_ok=True)
    store = await SqliteStore.open(folder / "memory.db", SystemClock(), synchronous="NORMAL")
    try:
        words = await _fill(store, scale.memories)
        asked = {
            "a word of every other entry": "often",
            "a common word": words[0],
            "three words": " ".join((words[0], words[1], words[7])),
            "a rare word": words[-1],
            "nothing has it": "nowhere",
            "a long question": " ".join(("often", *words[:20])),
        }
        found = {what: await _median_ms(partial(_search, store, query)) for what, query in asked.items()}
        view_ms = await _median_ms(lambda: store.read.memory_view(PLACES, CLASSES, 50, 0))
    finally:
        await store.close()
        remove(folder)
    slowest = max(found, key=lambda what: found[what])
    usual = statistics.median(found.values())
    note = f"{scale.memories:,} entries of {ROLES_N} roles; slowest: {slowest}; usual {usual:.1f} ms"
    yield Figure(key="memory-search", value=found[slowest], note=note)
    yield Figure(key="memory-view", value=view_ms, note=f"{scale.memories:,} entries; one read")


async def _search(store: SqliteStore, query: str) -> object:
    return await store.read.memories_found(query_of(query), PLACES, CLASSES, FOUND_MAX)


async def _median_ms(look: Callable[[], Awaitable[object]]) -> float:
    times = []
    for _ in range(TRIES_N):
        begun = time.perf_counter()
        await look()
        times.append((time.perf_counter() - begun) * 1000)
    return statistics.median(times)


async def _fill(store: SqliteStore, n: int) -> list[str]:
    """Entries of words as unevenly common as those of a language. Returns the words, the commonest first."""
    r = random.Random(SEED)
    words = [f"{''.join(r.choices('abcdefghijklmnopqrstuvwxyz', k=r.randrange(3, 9)))}{k}" for k in range(WORDS_N)]
    weights = [1 / rank for rank in range(1, WORDS_N + 1)]
    for first in range(0, n, UNIT):
        picked = [r.choices(words, weights, k=ENTRY_WORDS_N) for _ in range(min(UNIT, n - first))]
        changes = (
            PutMemory(
                memory=Memory(
                    id=f"m-{first + k:012x}",
                    place=EVERYBODY if k % 10 == 0 else private(f"role{k % ROLES_N}"),
                    text=" ".join((*(("often",) if k % 2 else ()), *line)),
                    at_ms=first + k,
                    by="bench",
                )
            )
            for k, line in enumerate(picked)
        )
        await store.commit(Unit(changes=tuple(changes)))
    return words
