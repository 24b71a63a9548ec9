"""Send what is queued: in order within a conversation, side by side across conversations, never twice if it can be
known (ARCHITECTURE.md, Outbox).
"""

from __future__ import annotations

import asyncio
from functools import partial

from core.model.errors import AmbiguousError, RateLimitedError, RetryableError, SignoffError
from core.model.inquiries import DeliveryState, InquiryState
from core.model.unit import (
    AddAudit,
    Applied,
    Audit,
    Change,
    ClaimPosts,
    Fence,
    Guard,
    LeasedPost,
    MoveDelivery,
    MovePost,
    PostState,
    PutInquiry,
    Table,
    Unit,
    Version,
)
from core.model.views import InquiryCard
from core.ports import Platform
from core.rules import inquiry as rules
from core.runtime.context import Context, insist, log, patiently

SWEEP_SECONDS = 2.0
LEASE_MS = 60_000
SEND_SECONDS_MAX = 30
ATTEMPTS_MAX = 8
AGE_MS_MAX = 86_400_000
"""A post that fails for a day, and often, is dead; an hour's outage or a flood of 429s costs nothing but time."""
BACKOFF_MS = 1_000
BACKOFF_MS_MAX = 60_000
TRIES_MAX = 20


class Outbox:
    """The loop that sends."""

    def __init__(self, context: Context, *, places: int = 32) -> None:
        self._context = context
        self._places = places
        self._busy = 0
        self._held_until_ms: dict[str, int] = {}  # platforms whose whole account was limited

    async def run(self) -> None:
        """For ever."""
        async with asyncio.TaskGroup() as group:
            while True:
                leased = await patiently(self._context, self.claim)
                for item in leased:
                    self._busy += 1
                    group.create_task(self._send(item))
                if not leased:
                    await self._context.bus.wait("posts", SWEEP_SECONDS)

    async def claim(self) -> tuple[LeasedPost, ...]:
        """Lease the heads of the conversations of platforms that may send."""
        free, now_ms = self._places - self._busy, self._context.clock.now_ms()
        names = tuple(n for n in self._context.platforms if self._held_until_ms.get(n, 0) <= now_ms)
        if free <= 0 or not names:
            return ()
        claim = ClaimPosts(n=free, holder=self._context.holder, lease_ms=LEASE_MS, platforms=names)
        return await self._context.store.claim_posts(claim)

    async def _send(self, leased: LeasedPost) -> None:
        try:
            await self.deliver(leased)
        except Exception:  # noqa: BLE001 - a post that breaks our own code must not stop the others; its lease lapses
            log.exception("post.broke", post=leased.post.id)
        finally:
            self._busy -= 1
            self._context.bus.notify("posts")

    async def deliver(self, leased: LeasedPost) -> None:
        """Send one post and record what became of it."""
        platform = self._context.platforms[leased.post.conversation.platform]
        state, receipt, not_before_ms, error = PostState.SENT, "", 0, ""
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX):
                receipt = await _send_once(platform, leased)
        except RateLimitedError as limited:
            wait_ms = limited.retry_after_ms or BACKOFF_MS
            state, not_before_ms, error = PostState.QUEUED, self._context.clock.now_ms() + wait_ms, limited.what
            if limited.scope == "account":
                self._held_until_ms[platform.name] = not_before_ms
        except (AmbiguousError, TimeoutError) as unknown:
            state, error = PostState.UNCERTAIN, str(unknown) or "timeout"
        except RetryableError as later:
            wait_ms = later.retry_after_ms or min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** min(10, leased.attempt_n - 1))
            state, not_before_ms, error = PostState.QUEUED, self._context.clock.now_ms() + wait_ms, later.what
        except SignoffError as never:
            state, error = PostState.DEAD, str(never)
        old = self._context.clock.now_ms() - leased.post.at_ms > AGE_MS_MAX
        if state is PostState.QUEUED and old and leased.attempt_n >= ATTEMPTS_MAX:
            state = PostState.DEAD
        if state is not PostState.SENT:
            log.warning("post.not-sent", post=leased.post.id, state=state.value, why=error)
        move = MovePost(id=leased.post.id, state=state, receipt=receipt, not_before_ms=not_before_ms, error=error)
        await self._record(leased, move)

    async def _record(self, leased: LeasedPost, move: MovePost) -> None:
        """The receipt; and if it was a card, that its inquiry is open now (transition 2) or undeliverable (3)."""
        fence = Fence(table=Table.POST, id=leased.post.id, fence=leased.fence)
        for _ in range(TRIES_MAX):
            guards: list[Guard] = [fence]
            changes: list[Change] = [move]
            if isinstance(leased.post.view, InquiryCard) and move.state is not PostState.QUEUED:
                await self._shown(leased.post.view, move, guards, changes)
            unit = Unit(guards=tuple(guards), changes=tuple(changes))
            answer = await insist(self._context, partial(self._context.store.commit, unit))
            if isinstance(answer, Applied) or not isinstance(answer.guard, Version):
                return

    async def _shown(self, card: InquiryCard, move: MovePost, guards: list[Guard], changes: list[Change]) -> None:
        outcome = {
            PostState.SENT: DeliveryState.POSTED,
            PostState.UNCERTAIN: DeliveryState.UNKNOWN,
            PostState.DEAD: DeliveryState.FAILED,
        }[move.state]
        ids = await self._context.store.read.inquiry_ids(card.inquiry)
        row = await self._context.store.read.inquiry(ids[0]) if ids else None
        if row is None:
            return
        changes.append(MoveDelivery(id=f"{card.inquiry}:{card.revision}", state=outcome, receipt=move.receipt))
        before = row.inquiry
        if before.state not in {InquiryState.CREATED, InquiryState.UNDELIVERABLE}:
            return
        now_ms = self._context.clock.now_ms()
        after = rules.shown(before, outcome, now_ms)
        if after is not before:
            guards.append(Version(table=Table.INQUIRY, id=before.id, version=before.version))
            changes.append(PutInquiry(inquiry=after))
            audit = Audit(
                id=f"{before.id}:{card.revision}:shown:{outcome.value}",
                at_ms=now_ms,
                what="inquiry.shown",
                subject=before.id,
                detail={"outcome": outcome.value, "digest": before.digest, "revision": card.revision},
            )
            changes.append(AddAudit(row=audit))


async def _send_once(platform: Platform, leased: LeasedPost) -> str:
    """After an unknown outcome, look first. Raises AmbiguousError when nobody can know."""
    if leased.again:
        found = await platform.find_sent(leased.post)
        if found is not None:
            return found
    return await platform.send(leased.post, leased.edits)
