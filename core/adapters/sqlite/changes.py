"""From a unit to statements with their parameters, and from statements to an answer.

`prepare` runs where the caller is and does all the encoding: what cannot be written fails there, and the
writer's thread does nothing but SQL. `apply` leaves undoing what a refused unit had begun to whoever holds the
transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from types import MappingProxyType
from typing import Any, Final, NamedTuple

import msgspec

from core.adapters.rows import decided_at_ms, deciders, found_by, spoken
from core.adapters.sqlite import memories, sql
from core.adapters.sqlite.steps import Moment, Step
from core.model import unit as u
from core.model.events import MessageReceived
from core.model.inquiries import InquiryState
from core.model.memory import ForgetMemories, PutMemory, SupersedeMemory

encode: Final = msgspec.json.Encoder().encode

_ALREADY_THERE = (sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY)


class Prepared(NamedTuple):
    """A unit, ready for the writer."""

    guards: tuple[tuple[u.Guard, str, Any], ...]
    steps: tuple[Step, ...]


def prepare(unit: u.Unit, moment: Moment) -> Prepared:
    """Raises what encoding raises, before anything is written."""
    guards = tuple((guard, *_GUARDS[type(guard)](guard)) for guard in unit.guards)
    return Prepared(guards, tuple(step for change in unit.changes for step in _CHANGES[type(change)](change, moment)))


def apply(cursor: sqlite3.Cursor, prepared: Prepared) -> u.Answer:
    """Only after Applied(known=False) may the work be kept; everything else is for the caller to undo."""
    for guard, statement, params in prepared.guards:
        found = cursor.execute(statement, params).fetchone()
        if type(guard) is u.InsertOnce:
            if found is None:
                cursor.execute(sql.ONCE_KEEP, (guard.key, guard.digest))
            elif found[0] == guard.digest:
                return u.Applied(known=True)
            else:
                return u.Refused(guard=guard, why="the key is known with another body")
        elif found is None:
            return u.Refused(guard=guard)
    try:
        for statement, params, then in prepared.steps:
            cursor.execute(statement, params)
            if then is not None and (why := then(cursor)):
                return u.Refused(guard=None, why=why)
    except sqlite3.IntegrityError as error:
        if error.sqlite_errorcode not in _ALREADY_THERE:
            raise
        return u.Refused(guard=None, why=f"already there: {error}")
    return u.Applied()


# --- Guards ---------------------------------------------------------------------------------------------------------


def _version(guard: u.Version) -> tuple[str, Any]:
    if guard.version == 0:
        return sql.VERSION_ABSENT[guard.table], (guard.id,)
    return sql.VERSION[guard.table], (guard.id, guard.version)


def _room(guard: u.Room) -> tuple[str, Any]:
    return sql.ROOM, {
        "scope": guard.scope,
        "tokens": guard.tokens,
        "microusd": guard.microusd,
        "tokens_max": guard.tokens_max,
        "microusd_max": guard.microusd_max,
    }


_GUARDS: Final[MappingProxyType[type, Callable[[Any], tuple[str, Any]]]] = MappingProxyType(
    {
        u.Version: _version,
        u.Fence: lambda guard: (sql.FENCE[guard.table], (guard.id, guard.fence)),
        u.State: lambda guard: (sql.STATE[guard.table], (guard.id, encode(guard.states).decode())),
        u.Room: _room,
        u.InsertOnce: lambda guard: (sql.ONCE_LOOK, (guard.key,)),
    }
)

# --- Changes that take more than one statement ----------------------------------------------------------------------


def _add_event(change: u.AddEvent, _: Moment) -> Iterator[Step]:
    event = change.event
    yield Step(sql.ADD_EVENT, (event.key, encode(event)))
    if isinstance(event, MessageReceived):
        yield Step(sql.ADD_LINE_OF_EVENT, (event.conversation.key,))


def _put_task(change: u.PutTask, _: Moment) -> Iterator[Step]:
    task = change.task
    body = encode(task)
    whole = {
        "id": task.id,
        "parent": task.parent,
        "root": task.root,
        "role": task.role,
        "conversation": task.conversation.key,
        "phase": task.phase.value,
        "open": not task.phase.final,
        "version": task.version,
        "body": body,
    }
    if task.phase.final or task.version <= 1:
        yield Step(sql.PUT_TASK, whole)
    else:
        step = (task.version, task.phase.value, body, task.id)
        yield Step(sql.STEP_TASK, step, partial(_else_put_task, whole))


def _else_put_task(whole: dict[str, Any], cursor: sqlite3.Cursor) -> str:
    if not cursor.rowcount:
        cursor.execute(sql.PUT_TASK, whole)
    return ""


def _add_effect(change: u.AddEffect, moment: Moment) -> Iterator[Step]:
    started = bool(change.holder)
    lease_until_ms = moment.now_ms + change.lease_ms if started else 0
    head = (change.effect.id, change.task, change.role, "started" if started else "queued", int(started), int(started))
    lease = (change.holder, lease_until_ms, moment.boot if started else 0)
    yield Step(sql.ADD_EFFECT, (*head, *lease, change.not_before_ms, encode(change.effect)))


def _put_inquiry(change: u.PutInquiry, _: Moment) -> Iterator[Step]:
    inquiry = change.inquiry
    state: InquiryState = inquiry.state
    columns = (inquiry.id, inquiry.root, state.value, not state.final, inquiry.revision, inquiry.version)
    yield Step(sql.PUT_INQUIRY, (*columns, inquiry.overdue, inquiry.tier.value, encode(inquiry)))
    people = {"id": inquiry.id, "people": encode(deciders(inquiry)).decode()}
    yield Step(sql.DROP_DECIDERS, people)
    if not state.final:
        yield Step(sql.PUT_DECIDERS, people)
        yield Step(sql.DROP_DECISION, {"id": inquiry.id})  # an edit opens what was approved again
        return
    ended = {
        "id": inquiry.id,
        "at_ms": decided_at_ms(inquiry),
        "state": state.value,
        "by": encode(inquiry.resolution.by if inquiry.resolution else ()).decode(),
        "found_by": found_by(inquiry),
    }
    yield Step(sql.PUT_DECISION, ended)


def _put_vote(change: u.PutVote, _: Moment) -> Iterator[Step]:
    vote = change.vote
    place = (vote.inquiry, vote.revision, vote.stage, vote.principal)
    yield Step(sql.RETIRE_VOTE, (*place, vote.callback))
    yield Step(sql.PUT_VOTE, (*place, vote.callback, vote.active, encode(vote)))
    yield Step(sql.NOTE_VOTE, {"person": vote.principal, "id": vote.inquiry})


def _put_delivery(change: u.PutDelivery, _: Moment) -> Iterator[Step]:
    one = change.delivery
    yield Step(sql.PUT_DELIVERY, (one.id, one.inquiry, one.nonce_hash, one.state.value, one.receipt, encode(one)))


def _add_post(change: u.AddPost, _: Moment) -> Iterator[Step]:
    post = change.post
    params = {
        "id": post.id,
        "platform": post.conversation.platform,
        "conversation": post.conversation.key,
        "slot": post.slot,
        "rank": post.rank,
        "body": encode(post),
    }
    yield Step(sql.ADD_POST, params, partial(_when_new_post, params, spoken(post)))


def _when_new_post(params: dict[str, Any], says: bool, cursor: sqlite3.Cursor) -> str:  # noqa: FBT001
    if cursor.rowcount:
        cursor.execute(sql.SUPERSEDE_POSTS, params)
        if says:
            cursor.execute(sql.ADD_LINE_OF_POST, params)
    return ""


def _move_post(change: u.MovePost, _: Moment) -> Iterator[Step]:
    params = {
        "id": change.id,
        "state": change.state.value,
        "receipt": change.receipt,
        "not_before_ms": change.not_before_ms,
        "error": change.error,
        "part": change.part,
        "doubt": change.doubt,
    }
    yield Step(sql.MOVE_POST, params)
    if change.state is u.PostState.QUEUED:
        yield Step(sql.DEFER_NEWER_POST, params)
        yield Step(sql.RETIRE_OLDER_POST, params)


def _reserve(change: u.Reserve, _: Moment) -> Iterator[Step]:
    yield Step(sql.RESERVE, (change.id, change.scope, change.tokens, change.microusd), partial(_when_reserved, change))


def _when_reserved(change: u.Reserve, cursor: sqlite3.Cursor) -> str:
    if cursor.rowcount:
        cursor.execute(sql.RESERVE_HOLD, (change.scope, change.tokens, change.microusd))
        return ""
    same = cursor.execute(sql.RESERVE_SAME, (change.id, change.scope, change.tokens, change.microusd)).fetchone()
    return "" if same else f"{change.id} holds another amount of {change.scope}"


def _settle(change: u.Settle, _: Moment) -> Iterator[Step]:
    params = {"id": change.id, "tokens": change.tokens, "microusd": change.microusd}
    yield Step(sql.SETTLE_BOOK, params)
    yield Step(sql.SETTLE_RELEASE, params)


def _use_grant(change: u.UseGrant, _: Moment) -> Iterator[Step]:
    params = {"id": change.id, "used_n": change.used_n}
    why = f"{change.used_n} is not the next use of {change.id}"
    yield Step(sql.USE_GRANT, params, lambda cursor: "" if cursor.rowcount else why)


def _seal(change: u.Seal, _: Moment) -> Iterator[Step]:
    params = {"id": change.id, "seq": change.seq, "previous": change.previous, "hash": change.hash}
    yield Step(sql.SEAL, params, lambda cursor: "" if cursor.rowcount else f"{change.seq} is not the chain's next")


def _one(statement: str, params: Callable[[Any], Any]) -> Callable[[Any, Moment], tuple[Step, ...]]:
    return lambda change, _: (Step(statement, params(change)),)


_CHANGES: Final[MappingProxyType[type, Callable[[Any, Moment], Iterator[Step] | tuple[Step, ...]]]] = MappingProxyType(
    {
        u.AddEvent: _add_event,
        u.CloseEvent: _one(sql.CLOSE_EVENT, lambda c: (c.task, c.key)),
        u.PutTask: _put_task,
        u.AddEntry: _one(sql.ADD_ENTRY, lambda c: (c.task, c.n, encode(c.entry))),
        u.AddEffect: _add_effect,
        u.EndEffect: _one(sql.END_EFFECT, lambda c: (c.id,)),
        u.RequeueEffect: _one(sql.REQUEUE_EFFECT, lambda c: (c.not_before_ms, c.unstarted, c.id)),
        u.PutInquiry: _put_inquiry,
        u.PutVote: _put_vote,
        u.PutGrant: _one(sql.PUT_GRANT, lambda c: (c.grant.id, c.grant.inquiry, c.grant.state.value, encode(c.grant))),
        u.UseGrant: _use_grant,
        u.MoveGrant: _one(sql.MOVE_GRANT, lambda c: (c.state.value, c.id)),
        u.PutAttempt: _one(sql.PUT_ATTEMPT, lambda c: (c.attempt.id, c.attempt.state.value, encode(c.attempt))),
        u.MoveAttempt: _one(sql.MOVE_ATTEMPT, lambda c: (c.state.value, c.id)),
        u.PutDelivery: _put_delivery,
        u.MoveDelivery: _one(sql.MOVE_DELIVERY, lambda c: {"id": c.id, "state": c.state.value, "receipt": c.receipt}),
        u.AddPost: _add_post,
        u.MovePost: _move_post,
        u.AddSignal: _one(sql.ADD_SIGNAL, lambda c: (c.signal.id, c.signal.task, c.signal.due_at_ms, encode(c.signal))),
        u.CloseSignal: _one(sql.CLOSE_SIGNAL, lambda c: (c.id,)),
        u.Reserve: _reserve,
        u.Settle: _settle,
        u.AddAudit: _one(sql.ADD_AUDIT, lambda c: (c.row.id, encode(c.row))),
        u.Seal: _seal,
        u.PutBlob: _one(sql.PUT_BLOB, lambda c: (c.hash, c.body)),
        u.Pause: lambda c, _: (Step(sql.PAUSE, (c.scope, c.by)) if c.paused else Step(sql.RESUME, (c.scope,)),),
        u.LinkAccount: _one(sql.LINK_ACCOUNT, lambda c: (c.link.account, c.link.person, encode(c.link))),
        u.UnlinkAccount: _one(sql.UNLINK_ACCOUNT, lambda c: (c.account,)),
        u.SetMeta: _one(sql.SET_META, lambda c: (c.name, c.value)),
        PutMemory: lambda c, _: memories.put(c),
        SupersedeMemory: lambda c, _: memories.supersede(c),
        ForgetMemories: lambda c, _: memories.forget(c),
    }
)
