"""The tables of the store in memory, and its reading side."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from core.adapters.memory_remembered import RememberedReads
from core.adapters.rows import decided_at_ms, deciders, found_by, said_by_person, said_by_role, task_state
from core.model import unit as u
from core.model.effects import Performed
from core.model.events import Conversation, Event, MessageReceived
from core.model.ids import InquiryId, TaskId
from core.model.inquiries import Attempt, Delivery, Grant, Inquiry, Verb, Vote
from core.model.memory import Memory
from core.model.signals import Signal
from core.model.team import AccountLink
from core.model.views import Post
from core.model.work import Entry, Said, Task
from core.ports import Clock

OPEN_POSTS = (u.PostState.QUEUED, u.PostState.SENDING)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    seq: int
    event: Event
    state: str = "new"
    task: TaskId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignalRow:
    seq: int
    signal: Signal
    state: str = "new"


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskRow:
    seq: int
    path: str
    task: Task


@dataclass(frozen=True, slots=True, kw_only=True)
class EffectRow:
    seq: int
    task: TaskId
    role: str
    effect: Performed
    state: u.EffectState
    fence: int
    attempt_n: int
    holder: str
    lease_until_ms: int
    boot: int
    not_before_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PostRow:
    seq: int
    post: Post
    state: u.PostState = u.PostState.QUEUED
    fence: int = 0
    attempt_n: int = 0
    holder: str = ""
    lease_until_ms: int = 0
    boot: int = 0
    not_before_ms: int = 0
    receipt: str = ""
    error: str = ""
    part: int = 0
    doubt: bool = False

    @property
    def lane(self) -> str:
        """Order is kept here."""
        return self.post.conversation.key

    @property
    def place(self) -> tuple[str, str]:
        """The message on screen; an empty slot is nobody's."""
        return self.lane, self.post.slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    tokens: int
    microusd: int
    settled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditRow:
    seq: int  # of arrival
    row: u.Audit
    sealed: u.Sealed | None = None


@dataclass(slots=True, kw_only=True)
class Tables:
    """One dict a table, in order of arrival. `put` and `drop` are the only ways to write: they keep what was there."""

    once: dict[str, str] = field(default_factory=dict)
    events: dict[str, EventRow] = field(default_factory=dict)
    signals: dict[str, SignalRow] = field(default_factory=dict)
    tasks: dict[str, TaskRow] = field(default_factory=dict)
    entries: dict[str, dict[int, Entry]] = field(default_factory=dict)
    effects: dict[str, EffectRow] = field(default_factory=dict)
    inquiries: dict[str, Inquiry] = field(default_factory=dict)
    votes: dict[str, Vote] = field(default_factory=dict)
    grants: dict[str, Grant] = field(default_factory=dict)
    attempts: dict[str, Attempt] = field(default_factory=dict)
    deliveries: dict[str, Delivery] = field(default_factory=dict)
    posts: dict[str, PostRow] = field(default_factory=dict)
    lines: dict[int, EventRow | str] = field(default_factory=dict)  # a person's event, or a post's id
    budgets: dict[str, u.Spent] = field(default_factory=dict)
    held: dict[tuple[str, str], Held] = field(default_factory=dict)
    audit: dict[str, AuditRow] = field(default_factory=dict)
    chain: dict[int, u.Sealed] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    pauses: dict[str, str] = field(default_factory=dict)
    meta: dict[str, str] = field(default_factory=dict)
    accounts: dict[str, AccountLink] = field(default_factory=dict)
    memories: dict[str, tuple[int, Memory]] = field(default_factory=dict)  # with the number of their arrival
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    undo: list[tuple[dict[Any, Any], Any, Any]] = field(default_factory=list)

    def put(self, table: dict[Any, Any], key: Any, row: Any) -> None:
        self.undo.append((table, key, table.get(key, _ABSENT)))
        table[key] = row

    def drop(self, table: dict[Any, Any], key: Any) -> None:
        if key in table:
            self.undo.append((table, key, table.pop(key)))

    def roll_back(self) -> None:
        """As it was at the last `keep`."""
        for table, key, row in reversed(self.undo):
            if row is _ABSENT:
                del table[key]
            else:
                table[key] = row
        self.undo.clear()

    def keep(self) -> None:
        self.undo.clear()

    def paused(self, task: TaskId, role: str) -> bool:
        """A pause covers the task, its role, a task above it, or everything."""
        if not self.pauses:
            return False
        if "all" in self.pauses or f"role:{role}" in self.pauses:
            return True
        row = self.tasks.get(task)
        above = row.path.split("/") if row else [task]
        return any(f"task:{one}" in self.pauses for one in above if one)

    def same_slot(self, one: PostRow) -> list[PostRow]:
        """The other posts of its slot, oldest first."""
        if not one.post.slot:
            return []
        return [row for row in self.posts.values() if row.place == one.place and row.post.id != one.post.id]


_ABSENT = object()


class MemoryReads(RememberedReads):
    """Reads over the tables."""

    def __init__(self, tables: Tables, clock: Clock) -> None:
        self._tables = tables
        self._clock = clock

    async def task(self, task: TaskId) -> Task | None:
        row = self._tables.tasks.get(task)
        return row.task if row else None

    async def journal(self, task: TaskId, after: int = -1) -> tuple[tuple[int, Entry], ...]:
        return tuple((n, entry) for n, entry in sorted(self._tables.entries.get(task, {}).items()) if n > after)

    async def tasks(
        self, *, open_only: bool = False, root: TaskId | None = None, limit: int = 1000
    ) -> tuple[u.TaskRow, ...]:
        rows = sorted(self._tables.tasks.values(), key=lambda row: row.seq, reverse=root is None)
        chosen = (
            row.task
            for row in rows
            if (root is None or row.task.root == root) and not (open_only and row.task.phase.final)
        )
        return tuple(u.TaskRow(task=task, state=self._state(task)) for task in itertools.islice(chosen, limit))

    def _state(self, task: Task) -> str:
        now_ms = self._clock.now_ms()
        states = {row.state for row in self._tables.effects.values() if row.task == task.id}
        called = any(
            row.state == "new" and row.signal.task == task.id and row.signal.due_at_ms <= now_ms
            for row in self._tables.signals.values()
        )
        return task_state(
            task,
            paused=self._tables.paused(task.id, task.role),
            leased=u.EffectState.STARTED in states,
            ready=called or u.EffectState.QUEUED in states,
        )

    async def open_root(self, conversation: Conversation) -> Task | None:
        found = [
            row
            for row in self._tables.tasks.values()
            if row.task.id == row.task.root and row.task.conversation == conversation and not row.task.phase.final
        ]
        return max(found, key=lambda row: row.seq).task if found else None

    async def task_ids(self, prefix: str) -> tuple[TaskId, ...]:
        return tuple(TaskId(key) for key in _starting(self._tables.tasks, prefix))

    async def inquiry(self, inquiry: InquiryId) -> u.InquiryRow | None:
        tables = self._tables
        found = tables.inquiries.get(inquiry)
        if found is None:
            return None
        revision = found.revision
        votes = (vote for vote in tables.votes.values() if vote.inquiry == inquiry and vote.revision == revision)
        grants = [grant for grant in tables.grants.values() if grant.inquiry == inquiry]
        return u.InquiryRow(
            inquiry=found,
            votes=tuple(vote for vote in votes if vote.active),
            deliveries=tuple(one for one in tables.deliveries.values() if one.inquiry == inquiry),
            grant=grants[-1] if grants else None,
        )

    async def inquiry_ids(self, prefix: str) -> tuple[InquiryId, ...]:
        return tuple(InquiryId(key) for key in _starting(self._tables.inquiries, prefix))

    async def inquiries(
        self, *, active_only: bool = True, root: TaskId | None = None, limit: int = 1000
    ) -> tuple[Inquiry, ...]:
        found = (
            inquiry
            for inquiry in self._tables.inquiries.values()
            if (root is None or inquiry.root == root) and not (active_only and inquiry.state.final)
        )
        return tuple(itertools.islice(found, limit))

    async def waiting(
        self, *, person: str = "", overdue: bool = False, tier: str = "", limit: int = 50
    ) -> tuple[tuple[Inquiry, ...], int]:
        found = [
            inquiry
            for inquiry in self._tables.inquiries.values()
            if not inquiry.state.final
            and (inquiry.overdue or not overdue)
            and tier in {"", inquiry.tier.value}
            and (not person or (person in deciders(inquiry) and not self._voted(inquiry, person)))
        ]
        return tuple(found[:limit]), len(found)

    def _voted(self, inquiry: Inquiry, person: str) -> bool:
        return any(vote.principal == person and vote.verb is not Verb.VIEW for vote in self._votes_on(inquiry))

    def _votes_on(self, inquiry: Inquiry) -> list[Vote]:
        here = (inquiry.id, inquiry.revision)
        return [v for v in self._tables.votes.values() if v.active and (v.inquiry, v.revision) == here]

    async def votes(self, inquiries: tuple[InquiryId, ...]) -> tuple[Vote, ...]:
        found = self._tables.inquiries
        wanted = {(key, found[key].revision) for key in inquiries if key in found}
        return tuple(v for v in self._tables.votes.values() if v.active and (v.inquiry, v.revision) in wanted)

    async def decisions(
        self, *, who: str = "", what: tuple[str, ...] = (), since_ms: int = 0, state: str = "", limit: int = 50
    ) -> tuple[Inquiry, ...]:
        voted = {vote.inquiry for vote in self._tables.votes.values() if vote.active and vote.principal == who}
        found = [
            inquiry
            for inquiry in reversed(self._tables.inquiries.values())
            if inquiry.state.final
            and decided_at_ms(inquiry) >= since_ms
            and state in {"", inquiry.state.value}
            and (not who or inquiry.id in voted or (inquiry.resolution and who in inquiry.resolution.by))
            and all(word.casefold() in found_by(inquiry) for word in what)
        ]
        return tuple(sorted(found, key=decided_at_ms, reverse=True)[:limit])

    async def delivery(self, nonce_hash: str) -> Delivery | None:
        found = [one for one in self._tables.deliveries.values() if one.nonce_hash == nonce_hash]
        return found[-1] if found else None

    async def grant(self, grant: str) -> Grant | None:
        return self._tables.grants.get(grant)

    async def attempt(self, attempt: str) -> Attempt | None:
        return self._tables.attempts.get(attempt)

    async def effects(self, task: TaskId) -> tuple[u.EffectRow, ...]:
        return tuple(
            u.EffectRow(
                effect=row.effect,
                task=row.task,
                role=row.role,
                state=row.state,
                fence=row.fence,
                not_before_ms=row.not_before_ms,
                attempt_n=row.attempt_n,
            )
            for row in self._tables.effects.values()
            if row.task == task and row.state is not u.EffectState.ENDED
        )

    async def talked(self, conversation: Conversation) -> bool:
        return any(
            t.task.conversation == conversation and t.task.id == t.task.root for t in self._tables.tasks.values()
        )

    async def places(self, platform: str, account: str, limit: int) -> tuple[Conversation, ...]:
        roots = sorted((t for t in self._tables.tasks.values() if t.task.id == t.task.root), key=lambda t: -t.seq)
        found = dict.fromkeys(t.task.conversation for t in roots)
        return tuple(c for c in found if (c.platform, c.account) == (platform, account))[:limit]

    async def said(self, conversation: Conversation, limit: int, since_ms: int = 0) -> tuple[Said, ...]:
        said: list[Said] = []
        for _, line in sorted(self._tables.lines.items(), reverse=True):
            if len(said) >= limit:
                break
            if isinstance(line, EventRow):
                late = line.event.at_ms >= since_ms
                if isinstance(line.event, MessageReceived) and line.event.conversation == conversation and late:
                    said.append(said_by_person(line.event))
                continue
            row = self._tables.posts[line]
            silent = row.state in {u.PostState.SUPERSEDED, u.PostState.DEAD}
            if row.post.conversation == conversation and not silent and row.post.at_ms >= since_ms:
                said.append(said_by_role(row.post))
        return tuple(reversed(said))

    async def posts(
        self, *, conversation: Conversation | None = None, slot: str | None = None, limit: int = 200
    ) -> tuple[u.PostRow, ...]:
        found = (
            u.PostRow(post=row.post, state=row.state, receipt=row.receipt, error=row.error)
            for row in sorted(self._tables.posts.values(), key=lambda row: row.seq, reverse=True)
            if (conversation is None or row.post.conversation == conversation)
            and (slot is None or row.post.slot == slot)
        )
        return tuple(itertools.islice(found, limit))

    async def event_task(self, key: str) -> TaskId | None:
        row = self._tables.events.get(key)
        return row.task if row else None

    async def spent(self, scope: str) -> u.Spent:
        return self._tables.budgets.get(scope, u.Spent())

    async def paused(self) -> tuple[str, ...]:
        return tuple(sorted(self._tables.pauses))

    async def blob(self, blob_hash: str) -> bytes | None:
        return self._tables.blobs.get(blob_hash)

    async def account(self, account: str) -> AccountLink | None:
        return self._tables.accounts.get(account)

    async def accounts(self) -> tuple[AccountLink, ...]:
        return tuple(link for _, link in sorted(self._tables.accounts.items()))

    async def meta(self, name: str) -> str | None:
        return self._tables.meta.get(name)

    async def facts(self, prefix: str, limit: int = 1000) -> tuple[tuple[str, str], ...]:
        found = sorted((n, value) for n, value in self._tables.meta.items() if n.startswith(prefix) and value)
        return tuple(found[:limit])

    async def unsealed(self, limit: int) -> tuple[u.Audit, ...]:
        return tuple(itertools.islice((row.row for row in self._tables.audit.values() if not row.sealed), limit))

    async def chain(self, after: int = 0, limit: int = 1000) -> tuple[u.Sealed, ...]:
        links = (self._tables.chain[seq] for seq in sorted(self._tables.chain) if seq > after)
        return tuple(itertools.islice(links, limit))

    async def chain_head(self) -> tuple[int, str]:
        chain = self._tables.chain
        return (len(chain), chain[len(chain)].hash) if chain else (0, "")

    async def counts(self, platforms: tuple[str, ...] | None = None) -> u.Counts:
        tables, now_ms = self._tables, self._clock.now_ms()
        new = [row.signal for row in tables.signals.values() if row.state == "new"]
        undone = [row for row in tables.effects.values() if row.state is not u.EffectState.ENDED]
        return u.Counts(
            events_new=sum(row.state == "new" for row in tables.events.values()),
            signals_due=sum(signal.due_at_ms <= now_ms for signal in new),
            effects_open=sum(not tables.paused(row.task, row.role) for row in undone),
            posts_open=sum(
                row.state in OPEN_POSTS and (platforms is None or row.post.conversation.platform in platforms)
                for row in tables.posts.values()
            ),
            tasks_open=sum(not row.task.phase.final for row in tables.tasks.values()),
            inquiries_active=sum(not inquiry.state.final for inquiry in tables.inquiries.values()),
        )


def _starting(table: Iterable[str], prefix: str) -> list[str]:
    return sorted(key for key in table if key.startswith(prefix))[:10]
