"""What the team remembers, as rows and as an index of words: both are kept by the same unit of work."""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from core.adapters.sqlite import sql_memory as sql
from core.adapters.sqlite.steps import Step
from core.model.memory import BOARD, ForgetMemories, Memory, Place, PutMemory, Secrecy, SupersedeMemory
from core.ports import Clock
from core.rules.remembering import ALL_WORDS_MAX, LOOKED_AT_MAX, place_word, ranked, words_of

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(Memory).decode

Rows = Callable[..., Awaitable[Iterable[Any]]]

# --- Changes --------------------------------------------------------------------------------------------------------


def put(change: PutMemory) -> Iterator[Step]:
    one = change.memory
    row = {
        "id": one.id,
        "place": one.place.key,
        "layer": int(one.layer),
        "secrecy": one.secrecy.value,
        "at_ms": one.at_ms,
        "expires_at_ms": one.expires_at_ms,
        "untrusted": one.untrusted,
        "superseded": one.superseded_by,
        "body": _encode(one),
    }
    more: list[tuple[str, dict[str, Any]]] = []
    if one.people:
        more.append((sql.PUT_PEOPLE, {"id": one.id, "people": _encode(one.people).decode()}))
    if not one.superseded_by:
        words = {"id": one.id, "words": " ".join(words_of(one.text)), "place_word": place_word(one.place)}
        more.append((sql.PUT_WORDS, words))
    yield Step(sql.PUT, row, partial(_when_new, more))


def _when_new(more: list[tuple[str, dict[str, Any]]], cursor: sqlite3.Cursor) -> str:
    if cursor.rowcount:
        for statement, params in more:
            cursor.execute(statement, params)
    return ""


def supersede(change: SupersedeMemory) -> Iterator[Step]:
    params = {"id": change.id, "by": change.by}
    yield Step(sql.DROP_WORDS, params)
    yield Step(sql.SUPERSEDE, params)


def forget(change: ForgetMemories) -> Iterator[Step]:
    yield Step(sql.FIND_FORGOTTEN, {"ids": _encode(change.ids).decode(), "person": change.person}, _forget)


def _forget(cursor: sqlite3.Cursor) -> str:
    found = cursor.fetchall()
    for statement in sql.FORGET:
        cursor.executemany(statement, found)
    if found:
        cursor.execute(sql.MERGE_WORDS)
    return ""


# --- Reads ----------------------------------------------------------------------------------------------------------


class MemoryReads:
    """The part of SqliteReads that reads memories."""

    _clock: Clock
    _all: Rows

    async def memories(self, places: tuple[Place, ...], limit: int = 1000) -> tuple[Memory, ...]:
        look = {"places": _keys(places), "now": self._clock.now_ms(), "n": limit}
        return _memories(await self._all(sql.READ_IN, look))

    async def memory_view(
        self, places: tuple[Place, ...], classes: tuple[Secrecy, ...], facts_max: int, since_ms: int, limit: int = 200
    ) -> tuple[Memory, ...]:
        look = {
            "places": _keys(places),
            "classes": _encode(classes).decode(),
            "facts": facts_max,
            "since": since_ms,
            "board": BOARD.key,
            "now": self._clock.now_ms(),
            "n": limit,
        }
        return _memories(await self._all(sql.READ_VIEW, look))

    async def memories_found(
        self, words: tuple[str, ...], places: tuple[Place, ...], classes: tuple[Secrecy, ...], limit: int
    ) -> tuple[Memory, ...]:
        if not words or not places:
            return ()
        where = " OR ".join(f'"{place_word(place)}"' for place in places)
        look = {"classes": _encode(classes).decode(), "now": self._clock.now_ms()}

        async def find(join: str, n: int) -> tuple[Memory, ...]:
            quoted = join.join(f'"{word}"' for word in words)
            match = f"place : ({where}) AND words : ({quoted})"
            return _memories(await self._all(sql.READ_FOUND, look | {"match": match, "n": n}))

        whole = await find(" AND ", limit) if len(words) <= ALL_WORDS_MAX else ()
        return whole or ranked(words, await find(" OR ", LOOKED_AT_MAX), limit)

    async def memories_like(self, prefix: str) -> tuple[Memory, ...]:
        return _memories(await self._all(sql.READ_LIKE, (prefix, prefix + "\U0010ffff")))

    async def memories_of(self, person: str, limit: int = 1000) -> tuple[Memory, ...]:
        return _memories(await self._all(sql.READ_OF, (person, limit)))

    async def memories_archived(self, place: Place, limit: int = 1000) -> tuple[Memory, ...]:
        return _memories(await self._all(sql.READ_ARCHIVE, (place.key, limit)))

    async def memories_spent(self, before_ms: int, limit: int) -> tuple[str, ...]:
        look = {"now": self._clock.now_ms(), "before": before_ms, "n": limit}
        return tuple(row[0] for row in await self._all(sql.READ_SPENT, look))


def _memories(rows: Iterable[Any]) -> tuple[Memory, ...]:
    return tuple(replace(_decode(body), superseded_by=superseded) for body, superseded in rows)


def _keys(places: tuple[Place, ...]) -> str:
    return _encode([place.key for place in places]).decode()
