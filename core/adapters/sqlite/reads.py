"""The reading side: one named SELECT a method, on read-only connections that never wait for the writer.

In WAL mode a read sees every commit before it and holds nobody up; each is over before it returns.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import aiosqlite
import msgspec
from msgspec.structs import replace

from core.adapters.rows import said_by_person, said_by_role, task_state
from core.adapters.sqlite import sql
from core.adapters.sqlite.memories import MemoryReads
from core.model import unit as u
from core.model.effects import Performed
from core.model.events import Conversation, MessageReceived
from core.model.ids import InquiryId, TaskId
from core.model.inquiries import (
    Attempt,
    AttemptState,
    Delivery,
    DeliveryState,
    Grant,
    GrantState,
    Inquiry,
    Vote,
)
from core.model.team import AccountLink
from core.model.views import Post
from core.model.work import Entry, Said, Task
from core.ports import Clock

_decode_task: Final = msgspec.json.Decoder(Task).decode
_decode_entry: Final[msgspec.json.Decoder[Entry]] = msgspec.json.Decoder(Entry)
_decode_effect: Final[msgspec.json.Decoder[Performed]] = msgspec.json.Decoder(Performed)
_decode_inquiry: Final = msgspec.json.Decoder(Inquiry).decode
_decode_vote: Final = msgspec.json.Decoder(Vote).decode
_decode_delivery: Final = msgspec.json.Decoder(Delivery).decode
_decode_grant: Final = msgspec.json.Decoder(Grant).decode
_decode_attempt: Final = msgspec.json.Decoder(Attempt).decode
_decode_message: Final = msgspec.json.Decoder(MessageReceived).decode
_decode_post: Final = msgspec.json.Decoder(Post).decode
_decode_link: Final = msgspec.json.Decoder(AccountLink).decode
_decode_audit: Final = msgspec.json.Decoder(u.Audit).decode

_INQUIRIES: Final = MappingProxyType(
    {
        (False, False): sql.READ_INQUIRIES,
        (False, True): sql.READ_INQUIRIES_ACTIVE,
        (True, False): sql.READ_INQUIRIES_OF,
        (True, True): sql.READ_INQUIRIES_OF_ACTIVE,
    }
)
_TASKS: Final = MappingProxyType(
    {
        (False, False): sql.READ_TASKS,
        (False, True): sql.READ_TASKS_OPEN,
        (True, False): sql.READ_TREE,
        (True, True): sql.READ_TREE_OPEN,
    }
)
_POSTS: Final = MappingProxyType(
    {
        (False, False): sql.READ_POSTS,
        (False, True): sql.READ_POSTS_OF,
        (True, False): sql.READ_POSTS_IN,
        (True, True): sql.READ_POSTS_OF_IN,
    }
)


class SqliteReads(MemoryReads):
    """Reads over one read-only connection, opened at the first read."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._connection: aiosqlite.Connection | None = None
        self._opening = asyncio.Lock()

    async def close(self) -> None:
        """Safe to call twice."""
        async with self._opening:
            if self._connection is not None:
                await self._connection.close()
                self._connection = None

    async def _all(self, statement: str, params: Any = ()) -> Iterable[Any]:
        connection = self._connection
        if connection is None:
            async with self._opening:
                if self._connection is None:
                    uri = f"{self._path.resolve().as_uri()}?mode=ro"
                    self._connection = await aiosqlite.connect(uri, uri=True, isolation_level=None)
                connection = self._connection
        return await connection.execute_fetchall(statement, params)

    async def _first(self, statement: str, params: Any = ()) -> Any:
        for row in await self._all(statement, params):
            return row
        return None

    # --- Tasks ------------------------------------------------------------------------------------------------------

    async def task(self, task: TaskId) -> Task | None:
        row = await self._first(sql.READ_TASK, (task,))
        return _decode_task(row[0]) if row else None

    async def journal(self, task: TaskId, after: int = -1) -> tuple[tuple[int, Entry], ...]:
        rows = await self._all(sql.READ_JOURNAL, (task, after))
        return tuple((n, _decode_entry.decode(body)) for n, body in rows)

    async def tasks(
        self, *, open_only: bool = False, root: TaskId | None = None, limit: int = 1000
    ) -> tuple[u.TaskRow, ...]:
        params = {"now": self._clock.now_ms(), "n": limit, "root": root}
        rows = await self._all(_TASKS[root is not None, open_only], params)
        found = []
        for body, paused, leased, ready in rows:
            task = _decode_task(body)
            found.append(u.TaskRow(task=task, state=task_state(task, paused=paused, leased=leased, ready=ready)))
        return tuple(found)

    async def open_root(self, conversation: Conversation) -> Task | None:
        row = await self._first(sql.READ_OPEN_ROOT, (conversation.key,))
        return _decode_task(row[0]) if row else None

    async def task_ids(self, prefix: str) -> tuple[TaskId, ...]:
        return tuple(TaskId(row[0]) for row in await self._all(sql.READ_TASK_IDS, _range(prefix)))

    async def effects(self, task: TaskId) -> tuple[u.EffectRow, ...]:
        return tuple(
            u.EffectRow(
                effect=_decode_effect.decode(body),
                task=TaskId(of),
                role=role,
                state=u.EffectState(state),
                fence=fence,
                not_before_ms=not_before_ms,
                attempt_n=attempt_n,
            )
            for body, of, role, state, fence, not_before_ms, attempt_n in await self._all(sql.READ_EFFECTS, (task,))
        )

    # --- Inquiries --------------------------------------------------------------------------------------------------

    async def inquiry(self, inquiry: InquiryId) -> u.InquiryRow | None:
        whole: Inquiry | None = None
        votes: list[Vote] = []
        deliveries: list[Delivery] = []
        grant: Grant | None = None
        for kind, body, state, receipt in await self._all(sql.READ_INQUIRY, {"id": inquiry}):
            match kind:
                case "inquiry":
                    whole = _decode_inquiry(body)
                case "vote":
                    votes.append(_decode_vote(body))
                case "delivery":
                    deliveries.append(_delivery(body, state, receipt))
                case _:
                    grant = _grant(body, state)
        if whole is None:
            return None
        return u.InquiryRow(inquiry=whole, votes=tuple(votes), deliveries=tuple(deliveries), grant=grant)

    async def inquiry_ids(self, prefix: str) -> tuple[InquiryId, ...]:
        return tuple(InquiryId(row[0]) for row in await self._all(sql.READ_INQUIRY_IDS, _range(prefix)))

    async def inquiries(
        self, *, active_only: bool = True, root: TaskId | None = None, limit: int = 1000
    ) -> tuple[Inquiry, ...]:
        rows = await self._all(_INQUIRIES[root is not None, active_only], {"root": root, "n": limit})
        return tuple(_decode_inquiry(row[0]) for row in rows)

    async def waiting(
        self, *, person: str = "", overdue: bool = False, tier: str = "", limit: int = 50
    ) -> tuple[tuple[Inquiry, ...], int]:
        look = {"person": person, "any": overdue, "tier": tier, "n": limit}
        rows = await self._all(sql.READ_WAITING_FOR if person else sql.READ_WAITING, look)
        found = tuple(_decode_inquiry(row[0]) for row in rows)
        if len(found) < limit:
            return found, len(found)
        (n,) = await self._first(sql.READ_WAITING_FOR_N if person else sql.READ_WAITING_N, look)
        return found, max(n, len(found))  # what was decided between the two looks is no reason for a negative rest

    async def votes(self, inquiries: tuple[InquiryId, ...]) -> tuple[Vote, ...]:
        rows = await self._all(sql.READ_VOTES, {"ids": msgspec.json.encode(inquiries).decode()})
        return tuple(_decode_vote(row[0]) for row in rows)

    async def decisions(
        self, *, who: str = "", what: tuple[str, ...] = (), since_ms: int = 0, state: str = "", limit: int = 50
    ) -> tuple[Inquiry, ...]:
        words = msgspec.json.encode([word.casefold() for word in what]).decode()
        look = {"who": who, "what": words, "since_ms": since_ms, "state": state, "n": limit}
        return tuple(_decode_inquiry(row[0]) for row in await self._all(sql.READ_DECISIONS, look))

    async def delivery(self, nonce_hash: str) -> Delivery | None:
        row = await self._first(sql.READ_DELIVERY, (nonce_hash,))
        return _delivery(*row) if row else None

    async def grant(self, grant: str) -> Grant | None:
        row = await self._first(sql.READ_GRANT, (grant,))
        return _grant(*row) if row else None

    async def attempt(self, attempt: str) -> Attempt | None:
        row = await self._first(sql.READ_ATTEMPT, (attempt,))
        return replace(_decode_attempt(row[0]), state=AttemptState(row[1])) if row else None

    # --- Conversations ----------------------------------------------------------------------------------------------

    async def talked(self, conversation: Conversation) -> bool:
        return await self._first(sql.READ_TALKED, (conversation.key,)) is not None

    async def places(self, platform: str, account: str, limit: int) -> tuple[Conversation, ...]:
        rows = await self._all(sql.READ_PLACES, (*_range(f"{platform}/{account}/"), limit))
        return tuple(Conversation.of_key(row[0]) for row in rows)

    async def said(self, conversation: Conversation, limit: int, since_ms: int = 0) -> tuple[Said, ...]:
        look = {"conversation": conversation.key, "n": limit, "since_ms": since_ms}
        rows = list(await self._all(sql.READ_SAID, look))
        return tuple(
            said_by_person(_decode_message(event)) if event is not None else said_by_role(_decode_post(post))
            for event, post in reversed(rows)
        )

    async def posts(
        self, *, conversation: Conversation | None = None, slot: str | None = None, limit: int = 200
    ) -> tuple[u.PostRow, ...]:
        params = {"conversation": conversation.key if conversation else None, "slot": slot, "n": limit}
        rows = await self._all(_POSTS[conversation is not None, slot is not None], params)
        return tuple(
            u.PostRow(post=_decode_post(body), state=u.PostState(state), receipt=receipt, error=error)
            for body, state, receipt, error in rows
        )

    async def event_task(self, key: str) -> TaskId | None:
        row = await self._first(sql.READ_EVENT_TASK, (key,))
        return TaskId(row[0]) if row and row[0] else None

    # --- The rest ---------------------------------------------------------------------------------------------------

    async def spent(self, scope: str) -> u.Spent:
        row = await self._first(sql.READ_SPENT, (scope,))
        if row is None:
            return u.Spent()
        return u.Spent(tokens=row[0], microusd=row[1], reserved_tokens=row[2], reserved_microusd=row[3])

    async def paused(self) -> tuple[str, ...]:
        return tuple(row[0] for row in await self._all(sql.READ_PAUSED))

    async def blob(self, blob_hash: str) -> bytes | None:
        row = await self._first(sql.READ_BLOB, (blob_hash,))
        return row[0] if row else None

    async def account(self, account: str) -> AccountLink | None:
        row = await self._first(sql.READ_ACCOUNT, (account,))
        return _decode_link(row[0]) if row else None

    async def accounts(self) -> tuple[AccountLink, ...]:
        return tuple(_decode_link(row[0]) for row in await self._all(sql.READ_ACCOUNTS))

    async def meta(self, name: str) -> str | None:
        row = await self._first(sql.READ_META, (name,))
        return row[0] if row else None

    async def facts(self, prefix: str, limit: int = 1000) -> tuple[tuple[str, str], ...]:
        return tuple((name, value) for name, value in await self._all(sql.READ_FACTS, (*_range(prefix), limit)))

    async def unsealed(self, limit: int) -> tuple[u.Audit, ...]:
        return tuple(_decode_audit(row[0]) for row in await self._all(sql.READ_UNSEALED, (limit,)))

    async def chain(self, after: int = 0, limit: int = 1000) -> tuple[u.Sealed, ...]:
        return tuple(
            u.Sealed(seq=seq, hash=digest, previous=previous, row=_decode_audit(body))
            for seq, digest, previous, body in await self._all(sql.READ_CHAIN, (after, limit))
        )

    async def chain_head(self) -> tuple[int, str]:
        row = await self._first(sql.READ_CHAIN_HEAD)
        return (row[0], row[1]) if row else (0, "")

    async def counts(self, platforms: tuple[str, ...] | None = None) -> u.Counts:
        sent_here = None if platforms is None else msgspec.json.encode(platforms).decode()
        events, signals, effects, posts, tasks, inquiries = await self._first(
            sql.READ_COUNTS, {"now": self._clock.now_ms(), "platforms": sent_here}
        )
        return u.Counts(
            events_new=events,
            signals_due=signals,
            effects_open=effects,
            posts_open=posts,
            tasks_open=tasks,
            inquiries_active=inquiries,
        )


def _delivery(body: bytes, state: str, receipt: str) -> Delivery:
    return replace(_decode_delivery(body), state=DeliveryState(state), receipt=receipt)


def _grant(body: bytes, state: str) -> Grant:
    return replace(_decode_grant(body), state=GrantState(state))


def _range(prefix: str) -> tuple[str, str]:
    return prefix, prefix + "\U0010ffff"
