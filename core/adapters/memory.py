"""The store in memory: the fake that simulations and tests run on. It passes the same conformance suite as the others.

It is one plain dict a table, rows are frozen, every write keeps what it replaced, and a refused unit is undone from
that. No method suspends, so a seeded run replays. A restart of the process is the same store in new hands: `new_boot()`
voids the leases of the life before. Whatever is committed goes through JSON once, as it would on its way to a disk.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final, assert_never

import msgspec

from core.adapters import memory_claims, memory_remembered
from core.adapters.memory_reads import (
    AuditRow,
    EffectRow,
    EventRow,
    Held,
    MemoryReads,
    PostRow,
    SignalRow,
    Tables,
    TaskRow,
)
from core.adapters.rows import spoken
from core.model import unit as u
from core.model.events import MessageReceived
from core.model.ids import GrantId
from core.model.inquiries import GrantState, Vote
from core.model.memory import ForgetMemories, PutMemory, SupersedeMemory
from core.model.signals import Signal
from core.ports import Clock

_encode: Final = msgspec.json.Encoder().encode
_decode: Final = msgspec.json.Decoder(u.Unit).decode


class MemoryStore:
    """Implements Store."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._boot = 0
        self._tables = Tables()
        self._reads = MemoryReads(self._tables, clock)

    @property
    def read(self) -> MemoryReads:
        """The reading side."""
        return self._reads

    async def new_boot(self) -> int:
        """The engine starts: leases of every earlier boot are void from here on."""
        self._boot += 1
        self._tables.meta["engine.boot"] = str(self._boot)
        return self._boot

    def watch(self, callback: Callable[[], None]) -> None:
        """Nobody else can commit here."""

    async def close(self) -> None:
        """Nothing is open."""

    async def commit(self, unit: u.Unit) -> u.Answer:
        unit = _decode(_encode(unit))
        try:
            for guard in unit.guards:
                if answer := self._check(guard):
                    return answer
            for change in unit.changes:
                if why := self._apply(change):
                    return u.Refused(guard=None, why=why)
            self._tables.keep()
            return u.Applied()
        finally:
            self._tables.roll_back()  # of what was not kept

    # --- Guards -----------------------------------------------------------------------------------------------------

    def _check(self, guard: u.Guard) -> u.Answer | None:
        match guard:
            case u.Version(table=table, id=key, version=version):
                if self._version(table, key) == version:
                    return None
            case u.Fence(table=table, id=key, fence=fence):
                if self._fenced(table, key, fence):
                    return None
            case u.State(table=table, id=key, states=states):
                if self._state(table, key) in states:
                    return None
            case u.Room():
                spent = self._tables.budgets.get(guard.scope, u.Spent())
                tokens = spent.tokens + spent.reserved_tokens + guard.tokens
                microusd = spent.microusd + spent.reserved_microusd + guard.microusd
                if tokens <= guard.tokens_max and microusd <= guard.microusd_max:
                    return None
            case u.InsertOnce(key=key, digest=digest):
                known = self._tables.once.get(key)
                if known is None:
                    self._tables.put(self._tables.once, key, digest)
                    return None
                if known == digest:
                    return u.Applied(known=True)
                return u.Refused(guard=guard, why="the key is known with another body")
            case _:
                assert_never(guard)
        return u.Refused(guard=guard)

    def _version(self, table: u.Table, key: str) -> int:
        if table is u.Table.TASK:
            task = self._tables.tasks.get(key)
            return task.task.version if task else 0
        if table is u.Table.INQUIRY:
            inquiry = self._tables.inquiries.get(key)
            return inquiry.version if inquiry else 0
        raise KeyError(table)

    def _fenced(self, table: u.Table, key: str, fence: int) -> bool:
        if table is u.Table.EFFECT:
            effect = self._tables.effects.get(key)
            return effect is not None and effect.state is u.EffectState.STARTED and effect.fence == fence
        if table is u.Table.POST:
            post = self._tables.posts.get(key)
            return post is not None and post.state is u.PostState.SENDING and post.fence == fence
        raise KeyError(table)

    def _state(self, table: u.Table, key: str) -> str:
        if table is u.Table.TASK:
            task = self._tables.tasks.get(key)
            return task.task.phase.value if task else ""
        if table is u.Table.MEMORY:
            return memory_remembered.state(self._tables, key)
        tables: dict[u.Table, dict[str, Any]] = {
            u.Table.EVENT: self._tables.events,
            u.Table.SIGNAL: self._tables.signals,
            u.Table.EFFECT: self._tables.effects,
            u.Table.INQUIRY: self._tables.inquiries,
            u.Table.GRANT: self._tables.grants,
            u.Table.ATTEMPT: self._tables.attempts,
            u.Table.POST: self._tables.posts,
        }
        row = tables[table].get(key)
        return str(row.state) if row else ""

    # --- Changes ----------------------------------------------------------------------------------------------------

    def _apply(self, change: u.Change) -> str:
        """The reason to refuse the unit, "" for none."""
        t = self._tables
        match change:
            case u.AddEvent() | u.CloseEvent() | u.AddSignal() | u.CloseSignal():
                return self._apply_inbox(change)
            case u.PutTask() | u.AddEntry() | u.AddEffect() | u.EndEffect() | u.RequeueEffect():
                return self._apply_work(change)
            case u.AddPost() | u.MovePost():
                return self._apply_post(change)
            case u.Reserve() | u.Settle():
                return self._apply_budget(change)
            case u.PutInquiry(inquiry=inquiry):
                t.put(t.inquiries, inquiry.id, inquiry)
            case u.PutVote(vote=vote):
                self._vote(vote)
            case u.UseGrant(id=key, used_n=used_n):
                return self._use_grant(key, used_n)
            case u.PutGrant(grant=grant):
                if grant.id not in t.grants:
                    t.put(t.grants, grant.id, grant)
            case u.MoveGrant(id=key, state=state):
                if key in t.grants:
                    t.put(t.grants, key, msgspec.structs.replace(t.grants[key], state=state))
            case u.PutAttempt(attempt=attempt):
                if attempt.id in t.attempts:
                    return f"already there: attempt {attempt.id}"
                t.put(t.attempts, attempt.id, attempt)
            case u.MoveAttempt(id=key, state=tried):
                if key in t.attempts:
                    t.put(t.attempts, key, msgspec.structs.replace(t.attempts[key], state=tried))
            case u.PutDelivery(delivery=delivery):
                t.put(t.deliveries, delivery.id, delivery)
            case u.MoveDelivery(id=key, state=shown, receipt=receipt):
                if old := t.deliveries.get(key):
                    new = msgspec.structs.replace(old, state=shown, receipt=receipt or old.receipt)
                    t.put(t.deliveries, key, new)
            case u.AddAudit(row=row):
                if row.id not in t.audit:
                    t.put(t.audit, row.id, AuditRow(seq=next(t.numbers), row=row))
            case u.Seal():
                return self._seal(change)
            case u.PutBlob(hash=digest, body=body):
                t.put(t.blobs, digest, t.blobs.get(digest, body))
            case u.Pause(scope=scope, paused=True, by=by):
                t.put(t.pauses, scope, by)
            case u.Pause(scope=scope):
                t.drop(t.pauses, scope)
            case u.LinkAccount(link=link):
                t.put(t.accounts, link.account, link)
            case u.UnlinkAccount(account=account):
                t.drop(t.accounts, account)
            case u.SetMeta(name=name, value=value):
                t.put(t.meta, name, value)
            case PutMemory() | SupersedeMemory() | ForgetMemories():
                memory_remembered.apply(t, change)
            case _:
                assert_never(change)
        return ""

    def _apply_inbox(self, change: u.AddEvent | u.CloseEvent | u.AddSignal | u.CloseSignal) -> str:
        t = self._tables
        match change:
            case u.AddEvent(event=event):
                if event.key in t.events:
                    return f"already there: event {event.key}"
                row = EventRow(seq=next(t.numbers), event=event)
                t.put(t.events, event.key, row)
                if isinstance(event, MessageReceived):
                    t.put(t.lines, next(t.numbers), row)
            case u.CloseEvent(key=key, task=task):
                if key in t.events:
                    t.put(t.events, key, replace(t.events[key], state="done", task=task))
            case u.AddSignal(signal=signal):
                old = t.signals.get(signal.id)
                if old is None:
                    t.put(t.signals, signal.id, SignalRow(seq=next(t.numbers), signal=signal))
                elif old.state == "new":
                    later = msgspec.structs.replace(old.signal, due_at_ms=signal.due_at_ms)
                    t.put(t.signals, signal.id, replace(old, signal=later))
            case u.CloseSignal(id=key):
                if key in t.signals:
                    t.put(t.signals, key, replace(t.signals[key], state="done"))
            case _:
                assert_never(change)
        return ""

    def _apply_work(self, change: u.PutTask | u.AddEntry | u.AddEffect | u.EndEffect | u.RequeueEffect) -> str:
        t = self._tables
        match change:
            case u.PutTask(task=task):
                if old := t.tasks.get(task.id):
                    t.put(t.tasks, task.id, replace(old, task=task))
                else:
                    above = t.tasks.get(task.parent) if task.parent else None
                    path = f"{above.path if above else '/'}{task.id}/"
                    t.put(t.tasks, task.id, TaskRow(seq=next(t.numbers), path=path, task=task))
            case u.AddEntry(task=of, n=n, entry=entry):
                journal = t.entries.setdefault(of, {})
                if n in journal:
                    return f"already there: entry {n} of {of}"
                t.put(journal, n, entry)
            case u.AddEffect(effect=effect):
                if effect.id in t.effects:
                    return f"already there: effect {effect.id}"
                t.put(t.effects, effect.id, self._new_effect(change))
            case u.EndEffect(id=key):
                if key in t.effects:
                    t.put(t.effects, key, replace(t.effects[key], state=u.EffectState.ENDED))
            case u.RequeueEffect(id=key, not_before_ms=not_before_ms, unstarted=unstarted):
                held = t.effects.get(key)
                if held and held.state is u.EffectState.STARTED:
                    n = held.attempt_n - unstarted
                    t.put(
                        t.effects,
                        key,
                        replace(held, state=u.EffectState.QUEUED, not_before_ms=not_before_ms, attempt_n=n),
                    )
            case _:
                assert_never(change)
        return ""

    def _new_effect(self, change: u.AddEffect) -> EffectRow:
        started = bool(change.holder)
        return EffectRow(
            seq=next(self._tables.numbers),
            task=change.task,
            role=change.role,
            effect=change.effect,
            state=u.EffectState.STARTED if started else u.EffectState.QUEUED,
            fence=int(started),
            attempt_n=int(started),
            holder=change.holder,
            lease_until_ms=self._clock.now_ms() + change.lease_ms if started else 0,
            boot=self._boot if started else 0,
            not_before_ms=change.not_before_ms,
        )

    def _apply_post(self, change: u.AddPost | u.MovePost) -> str:
        t = self._tables
        match change:
            case u.AddPost(post=post):
                if post.id in t.posts:
                    return ""
                new = PostRow(seq=next(t.numbers), post=post)
                old = [row for row in t.same_slot(new) if row.state is u.PostState.QUEUED]
                for row in old:
                    t.put(t.posts, row.post.id, replace(row, state=u.PostState.SUPERSEDED))
                wait_ms = max((row.not_before_ms for row in old), default=0)
                t.put(t.posts, post.id, replace(new, not_before_ms=wait_ms))
                if spoken(post):
                    t.put(t.lines, next(t.numbers), post.id)
            case u.MovePost(id=key, state=state, not_before_ms=wait_ms):
                if key not in t.posts:
                    return ""
                receipt = change.receipt or t.posts[key].receipt
                moved = replace(t.posts[key], state=state, receipt=receipt, not_before_ms=wait_ms, error=change.error)
                moved = replace(moved, part=change.part, doubt=change.doubt)
                newer = [row for row in t.same_slot(moved) if row.seq > moved.seq]
                if state is u.PostState.QUEUED and newer:
                    moved = replace(moved, state=u.PostState.SUPERSEDED)
                    for row in newer:
                        if row.state is u.PostState.QUEUED:
                            later_ms = max(row.not_before_ms, wait_ms)
                            t.put(t.posts, row.post.id, replace(row, not_before_ms=later_ms))
                t.put(t.posts, key, moved)
            case _:
                assert_never(change)
        return ""

    def _vote(self, vote: Vote) -> None:
        t = self._tables
        if vote.callback in t.votes:
            return
        place = (vote.inquiry, vote.revision, vote.stage, vote.principal)
        for callback, old in list(t.votes.items()):
            if old.active and (old.inquiry, old.revision, old.stage, old.principal) == place:
                t.put(t.votes, callback, msgspec.structs.replace(old, active=False))
        t.put(t.votes, vote.callback, vote)

    def _use_grant(self, key: GrantId, used_n: int) -> str:
        t = self._tables
        grant = t.grants.get(key)
        if grant is None or grant.state is not GrantState.LIVE or grant.used_n != used_n - 1:
            return f"{used_n} is not the next use of {key}"
        last = grant.bounds is None or used_n >= grant.bounds.count_max
        state = GrantState.CONSUMED if last else grant.state
        t.put(t.grants, key, msgspec.structs.replace(grant, used_n=used_n, state=state))
        return ""

    def _seal(self, change: u.Seal) -> str:
        t = self._tables
        found = t.audit.get(change.id)
        previous = t.chain[len(t.chain)].hash if t.chain else ""
        if found is None or found.sealed or change.seq != len(t.chain) + 1 or change.previous != previous:
            return f"{change.seq} is not the chain's next"
        sealed = u.Sealed(seq=change.seq, hash=change.hash, previous=change.previous, row=found.row)
        t.put(t.audit, change.id, replace(found, sealed=sealed))
        t.put(t.chain, change.seq, sealed)
        return ""

    def _apply_budget(self, change: u.Reserve | u.Settle) -> str:
        t = self._tables
        match change:
            case u.Reserve(scope=scope, id=key, tokens=tokens, microusd=microusd):
                if known := t.held.get((key, scope)):
                    same = (known.tokens, known.microusd) == (tokens, microusd)
                    return "" if same else f"{key} holds another amount of {scope}"
                t.put(t.held, (key, scope), Held(tokens=tokens, microusd=microusd))
                self._book(scope, reserved_tokens=tokens, reserved_microusd=microusd)
            case u.Settle(id=key, tokens=tokens, microusd=microusd):
                for (holder, scope), held in list(t.held.items()):
                    if holder == key and not held.settled:
                        t.put(t.held, (key, scope), replace(held, settled=True))
                        self._book(scope, tokens, microusd, -held.tokens, -held.microusd)
            case _:
                assert_never(change)
        return ""

    def _book(
        self, scope: str, tokens: int = 0, microusd: int = 0, reserved_tokens: int = 0, reserved_microusd: int = 0
    ) -> None:
        spent = self._tables.budgets.get(scope, u.Spent())
        booked = u.Spent(
            tokens=spent.tokens + tokens,
            microusd=spent.microusd + microusd,
            reserved_tokens=spent.reserved_tokens + reserved_tokens,
            reserved_microusd=spent.reserved_microusd + reserved_microusd,
        )
        self._tables.put(self._tables.budgets, scope, booked)

    # --- Claims -----------------------------------------------------------------------------------------------------

    async def claim_effects(self, claim: u.ClaimEffects) -> tuple[u.LeasedEffect, ...]:
        return memory_claims.claim_effects(self._tables, claim, self._clock.now_ms(), self._boot)

    async def claim_posts(self, claim: u.ClaimPosts) -> tuple[u.LeasedPost, ...]:
        return memory_claims.claim_posts(self._tables, claim, self._clock.now_ms(), self._boot)

    async def due(self, n: int) -> tuple[tuple[u.StoredEvent, ...], tuple[Signal, ...], int | None]:
        return memory_claims.due(self._tables, n, self._clock.now_ms())
