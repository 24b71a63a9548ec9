"""What leases and looks on the writer's connection: claims and `due`. Rows come back raw; the caller decodes them."""

from __future__ import annotations

import sqlite3
from typing import Any, Final

import msgspec

from core.adapters.sqlite import sql
from core.adapters.sqlite.steps import Moment
from core.model import unit as u
from core.model.effects import Performed
from core.model.events import Event
from core.model.signals import Signal
from core.model.views import Post
from core.model.work import Task

_decode_effect: Final = msgspec.json.Decoder(Performed).decode
_decode_task: Final = msgspec.json.Decoder(Task).decode
_decode_post: Final = msgspec.json.Decoder(Post).decode
_decode_event: Final[msgspec.json.Decoder[Event]] = msgspec.json.Decoder(Event)
_decode_signal: Final = msgspec.json.Decoder(Signal).decode

Rows = list[tuple[Any, ...]]


def claim_effects(cursor: sqlite3.Cursor, claim: u.ClaimEffects, moment: Moment) -> Rows:
    """(effect, fence, attempt_n, lapsed, task) each."""
    caps, batches = (msgspec.json.encode(most).decode() for most in (claim.caps, claim.batches))
    look = {"now": moment.now_ms, "boot": moment.boot, "n": claim.n, "caps": caps, "batches": batches}
    leased = []
    for seq, lapsed, task in cursor.execute(sql.FIND_EFFECTS, look).fetchall():
        lease = (claim.holder, moment.now_ms + claim.lease_ms, moment.boot, seq)
        leased += [(*row, lapsed, task) for row in cursor.execute(sql.LEASE_EFFECT, lease).fetchall()]
    return leased


def leased_effects(rows: Rows, holder: str) -> tuple[u.LeasedEffect, ...]:
    return tuple(
        u.LeasedEffect(
            effect=_decode_effect(effect),
            task=_decode_task(task),
            fence=fence,
            again=bool(lapsed),
            attempt_n=attempt_n,
            holder=holder,
        )
        for effect, fence, attempt_n, lapsed, task in rows
    )


def claim_posts(cursor: sqlite3.Cursor, claim: u.ClaimPosts, moment: Moment) -> Rows:
    """(post, fence, attempt_n, in doubt, receipt of what it edits, part, its own receipt) each."""
    platforms = msgspec.json.encode(claim.platforms).decode()
    look = {"now": moment.now_ms, "boot": moment.boot, "n": claim.n, "platforms": platforms}
    leased = []
    for seq, lapsed in cursor.execute(sql.FIND_POSTS, look).fetchall():
        lease = (claim.holder, moment.now_ms + claim.lease_ms, moment.boot, seq)
        for body, fence, attempt_n, slot, place, part, receipt in cursor.execute(sql.LEASE_POST, lease).fetchall():
            edits = cursor.execute(sql.EDITS, (slot, place)).fetchone()
            leased.append((body, fence, attempt_n, lapsed, edits[0] if edits else "", part, receipt))
    return leased


def leased_posts(rows: Rows) -> tuple[u.LeasedPost, ...]:
    return tuple(
        u.LeasedPost(
            post=_decode_post(post),
            fence=fence,
            again=bool(lapsed),
            attempt_n=attempt_n,
            edits=edits,
            part=part,
            receipt=receipt,
        )
        for post, fence, attempt_n, lapsed, edits, part, receipt in rows
    )


def due(cursor: sqlite3.Cursor, n: int, now_ms: int) -> tuple[Rows, Rows, int | None]:
    events = cursor.execute(sql.DUE_EVENTS, (n,)).fetchall()
    signals = cursor.execute(sql.DUE_SIGNALS, (now_ms, n)).fetchall()
    following: int | None = cursor.execute(sql.DUE_NEXT, (now_ms,)).fetchone()[0]
    return events, signals, following


def stored_events(rows: Rows) -> tuple[u.StoredEvent, ...]:
    return tuple(u.StoredEvent(seq=seq, event=_decode_event.decode(body)) for seq, body in rows)


def due_signals(rows: Rows) -> tuple[Signal, ...]:
    return tuple(msgspec.structs.replace(_decode_signal(body), due_at_ms=due_at_ms) for body, due_at_ms in rows)
