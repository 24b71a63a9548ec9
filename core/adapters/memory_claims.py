"""Claims on the store in memory: who gets what, and until when. Each is one pass over the rows; nothing suspends."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from core.adapters.memory_reads import OPEN_POSTS, EffectRow, PostRow, SignalRow, Tables
from core.model import unit as u
from core.model.signals import Signal
from core.model.work import Phase


def _lapsed(row: EffectRow | PostRow, now_ms: int, boot: int) -> bool:
    return row.lease_until_ms <= now_ms or row.boot < boot


def claim_effects(t: Tables, claim: u.ClaimEffects, now_ms: int, boot: int) -> tuple[u.LeasedEffect, ...]:
    started = [row for row in t.effects.values() if row.state is u.EffectState.STARTED]
    running = Counter(row.role for row in started if not _lapsed(row, now_ms, boot))
    queued = [row for row in t.effects.values() if row.state is u.EffectState.QUEUED]
    waiting = [row for row in started if _lapsed(row, now_ms, boot)]
    waiting += [row for row in queued if row.not_before_ms <= now_ms]
    leased: list[u.LeasedEffect] = []
    taken: Counter[str] = Counter()
    for row in waiting:
        held = t.tasks.get(row.task)
        blocked = held is None or (held.task.phase is Phase.WORKING and t.paused(row.task, row.role))
        if held is None or blocked or len(leased) >= claim.n or running[row.role] >= claim.caps.get(row.role, 1):
            continue
        if taken[row.role] >= claim.batches.get(row.role, claim.n):
            continue
        running[row.role] += 1
        taken[row.role] += 1
        new = replace(
            row,
            state=u.EffectState.STARTED,
            fence=row.fence + 1,
            attempt_n=row.attempt_n + 1,
            holder=claim.holder,
            lease_until_ms=now_ms + claim.lease_ms,
            boot=boot,
        )
        t.effects[row.effect.id] = new
        again = row.state is u.EffectState.STARTED
        leased.append(
            u.LeasedEffect(
                effect=row.effect,
                task=held.task,
                fence=new.fence,
                again=again,
                attempt_n=new.attempt_n,
                holder=claim.holder,
            )
        )
    return tuple(leased)


def claim_posts(t: Tables, claim: u.ClaimPosts, now_ms: int, boot: int) -> tuple[u.LeasedPost, ...]:
    lanes: dict[str, list[PostRow]] = {}
    for row in t.posts.values():
        if row.state in OPEN_POSTS and row.post.conversation.platform in claim.platforms:
            lanes.setdefault(row.lane, []).append(row)
    heads = []
    for lane in lanes.values():
        head = min(lane, key=lambda row: (row.state is u.PostState.QUEUED, row.part == 0, row.post.rank, row.seq))
        sending = head.state is u.PostState.SENDING
        waits = any(row.state is u.PostState.QUEUED and row.not_before_ms > now_ms for row in lane)
        if _lapsed(head, now_ms, boot) if sending else not waits:
            heads.append(head)
    heads.sort(key=lambda row: (row.post.rank, row.seq))
    leased = []
    for row in heads[: claim.n]:
        new = replace(
            row,
            state=u.PostState.SENDING,
            fence=row.fence + 1,
            attempt_n=row.attempt_n + 1,
            holder=claim.holder,
            lease_until_ms=now_ms + claim.lease_ms,
            boot=boot,
        )
        t.posts[row.post.id] = new
        sent = [one.receipt for one in t.same_slot(row) if one.state is u.PostState.SENT and one.receipt]
        leased.append(
            u.LeasedPost(
                post=row.post,
                fence=new.fence,
                again=row.state is u.PostState.SENDING or row.doubt,
                attempt_n=new.attempt_n,
                edits=sent[-1] if sent else "",
                part=row.part,
                receipt=row.receipt,
            )
        )
    return tuple(leased)


def due(t: Tables, n: int, now_ms: int) -> tuple[tuple[u.StoredEvent, ...], tuple[Signal, ...], int | None]:
    events = [row for row in t.events.values() if row.state == "new"]
    new = [row for row in t.signals.values() if row.state == "new"]
    now = sorted((row for row in new if row.signal.due_at_ms <= now_ms), key=_due)
    following = min((row.signal.due_at_ms for row in new if row.signal.due_at_ms > now_ms), default=None)
    return (
        tuple(u.StoredEvent(seq=row.seq, event=row.event) for row in events[:n]),
        tuple(row.signal for row in now[:n]),
        following,
    )


def _due(row: SignalRow) -> tuple[int, int]:
    return row.signal.due_at_ms, row.seq
