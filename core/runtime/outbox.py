"""Send what is queued: in order within a conversation, side by side across conversations, never twice if it can be
known (ARCHITECTURE.md, Outbox).
"""

from __future__ import annotations

import asyncio
from functools import partial

from core.model.errors import AmbiguousError, AuthenticationError, RateLimitedError, RetryableError, SignoffError
from core.model.ids import post_of, short
from core.model.inquiries import DeliveryState
from core.model.unit import (
    AddPost,
    Applied,
    Change,
    ClaimPosts,
    Fence,
    Guard,
    LeasedPost,
    MovePost,
    PostState,
    Table,
    Unit,
    Version,
)
from core.model.views import Answer, DecidedCard, InquiryCard, Line, Post, Trouble
from core.ports import Platform, Sending
from core.rules import replies
from core.runtime import inquiries
from core.runtime.context import Context, insist, log, patiently

SWEEP_SECONDS = 2.0
LEASE_MS = 60_000
SEND_SECONDS_MAX = 30
ATTEMPTS_MAX = 8
AGE_MS_MAX = 86_400_000
"""A post that fails for a day, and often, is dead; an hour's outage or a flood of 429s costs nothing but time."""
BACKOFF_MS = 1_000
BACKOFF_MS_MAX = 60_000
TOKEN_MS = 60_000
"""How long a whole account waits while its token is refused. Nothing is given up for it: somebody will mend it."""
TRIES_MAX = 20
DOUBTFUL = "uncertain:"
"""Slots of the lines that say so."""


class Outbox:
    """The loop that sends."""

    def __init__(self, context: Context, *, places: int = 32) -> None:
        self._context = context
        self._places = places
        self._busy = 0
        self._held_until_ms: dict[str, int] = {}  # monotonic: platforms whose whole account was limited, or shut out

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
        free, now_ms = self._places - self._busy, self._context.clock.monotonic_ms()
        names = tuple(n for n in self._context.platforms if self._held_until_ms.get(n, 0) <= now_ms)
        if free <= 0 or not names:
            return ()
        claim = ClaimPosts(n=free, holder=self._context.holder, lease_ms=LEASE_MS, platforms=names)
        return await self._context.store.claim_posts(claim)

    def _hold(self, platform: Platform, wait_ms: int) -> None:
        """By a clock that nobody sets."""
        self._held_until_ms[platform.name] = self._context.clock.monotonic_ms() + wait_ms

    async def _send(self, leased: LeasedPost) -> None:
        try:
            await self.deliver(leased)
        except Exception:  # noqa: BLE001 - a post that breaks our own code must not stop the others; its lease lapses
            log.exception("post.broke", post=leased.post.id)
        finally:
            self._busy -= 1
            self._context.bus.notify("posts")

    async def deliver(self, leased: LeasedPost) -> None:
        """Send one part of one post and record what became of it."""
        platform = self._context.platforms[leased.post.conversation.platform]
        state, receipt, not_before_ms, error, shut_out = PostState.SENT, "", 0, "", False
        doubt = leased.again  # what could not be looked for is looked for next time
        try:
            async with asyncio.timeout(SEND_SECONDS_MAX):
                receipt = await _send_once(platform, leased)
        except RateLimitedError as limited:
            wait_ms = limited.retry_after_ms or BACKOFF_MS
            state, not_before_ms, error = PostState.QUEUED, self._context.clock.now_ms() + wait_ms, limited.what
            if limited.scope == "account":
                self._hold(platform, wait_ms)
        except (AmbiguousError, TimeoutError) as unknown:
            error = str(unknown) or "timeout"
            blind = platform.sending is Sending.BLIND and not leased.edits
            if (blind or isinstance(unknown, _UnknowableError)) and not _is_harmless(leased.post):
                state = PostState.UNCERTAIN
            else:
                wait_ms = _backoff_ms(leased)
                state, not_before_ms, doubt = PostState.QUEUED, self._context.clock.now_ms() + wait_ms, True
        except RetryableError as later:
            wait_ms = later.retry_after_ms or _backoff_ms(leased)
            state, not_before_ms, error = PostState.QUEUED, self._context.clock.now_ms() + wait_ms, later.what
        except AuthenticationError as refused:
            state, not_before_ms, error = PostState.QUEUED, self._context.clock.now_ms() + TOKEN_MS, str(refused)
            self._hold(platform, TOKEN_MS)
            shut_out = True
        except SignoffError as never:
            state, error = PostState.DEAD, str(never)
        old = self._context.clock.now_ms() - leased.post.at_ms > AGE_MS_MAX
        if state is PostState.QUEUED and old and not shut_out and leased.attempt_n >= ATTEMPTS_MAX:
            state = PostState.DEAD
        if state is not PostState.SENT:
            log.warning("post.not-sent", post=leased.post.id, state=state.value, why=error)
        done = state in {PostState.SENT, PostState.UNCERTAIN}
        if done and leased.part + 1 < platform.parts(leased.post):
            state = PostState.QUEUED
        move = MovePost(
            id=leased.post.id,
            state=state,
            receipt=leased.receipt or receipt,
            not_before_ms=not_before_ms,
            error=error,
            part=leased.part + done,
            doubt=doubt and not done,
        )
        await self._record(leased, move)

    async def _record(self, leased: LeasedPost, move: MovePost) -> None:
        """The receipt; and if it was a card, that its inquiry is open now (transition 2) or undeliverable (3)."""
        fence = Fence(table=Table.POST, id=leased.post.id, fence=leased.fence)
        for _ in range(TRIES_MAX):
            guards: list[Guard] = [fence]
            changes: list[Change] = [move]
            if isinstance(leased.post.view, InquiryCard) and move.state is not PostState.QUEUED:
                await self._shown(leased.post.view, move, guards, changes)
            if move.state is PostState.UNCERTAIN and (line := self._doubtful(leased.post)) is not None:
                changes.append(AddPost(post=line))
            unit = Unit(guards=tuple(guards), changes=tuple(changes))
            answer = await insist(self._context, partial(self._context.store.commit, unit))
            if isinstance(answer, Applied) or not isinstance(answer.guard, Version):
                return

    def _doubtful(self, post: Post) -> Post | None:
        """A word about what people may have missed."""
        match post.view:
            case Answer(task=task):
                text = replies.answer_uncertain(short(task))
            case InquiryCard(inquiry=inquiry) | DecidedCard(inquiry=inquiry):
                text = replies.card_uncertain(short(inquiry))
            case Trouble():
                text = replies.TROUBLE_UNCERTAIN
            case _:
                return None
        now_ms, post_id = self._context.clock.now_ms(), post_of("uncertain", post.id)
        slot = f"{DOUBTFUL}{post.id}"
        return Post(id=post_id, conversation=post.conversation, view=Line(text=text), slot=slot, at_ms=now_ms)

    async def _shown(self, card: InquiryCard, move: MovePost, guards: list[Guard], changes: list[Change]) -> None:
        outcome = {
            PostState.SENT: DeliveryState.POSTED,
            PostState.UNCERTAIN: DeliveryState.UNKNOWN,
            PostState.DEAD: DeliveryState.FAILED,
        }[move.state]
        needed, changed = await inquiries.shown(self._context, card, outcome, move.receipt)
        guards.extend(needed)
        changes.extend(changed)


class _UnknowableError(AmbiguousError):
    """The platform was asked what became of it, and cannot tell."""


async def _send_once(platform: Platform, leased: LeasedPost) -> str:
    """After an unknown outcome, look first. Raises AmbiguousError when nobody can know."""
    if leased.again and not _is_harmless(leased.post):
        try:
            found = await platform.find_sent(leased.post, leased.edits, leased.part)
        except AmbiguousError as error:
            raise _UnknowableError(str(error)) from error
        if found is not None:
            return found
    return await platform.send(leased.post, leased.edits, leased.part)


def _is_harmless(post: Post) -> bool:
    """Said twice it does no harm, and not said at all it does."""
    return post.slot.startswith(DOUBTFUL)


def _backoff_ms(leased: LeasedPost) -> int:
    return min(BACKOFF_MS_MAX, BACKOFF_MS << min(10, leased.attempt_n - 1))
