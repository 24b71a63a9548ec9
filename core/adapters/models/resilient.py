"""Patience with a model: a few retries with growing waits, then a circuit breaker, so that a sick model is left alone.

Only OverloadedError is waited out; every other answer, a refusal too, shows that the model is there, and closes the
breaker. Time passes on the Clock alone. A refused request that has pictures is made once more without them: for a model
that cannot see, or a file that is no picture after all, every later turn of the task would be refused, too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec

from core.model.errors import AuthenticationError, OverloadedError, SignoffError, TerminalError
from core.model.work import Reply
from core.ports import Clock, Ids, ModelProvider, ModelRequest

WAIT_MAX_MS = 120_000
UNSEEN = "(The picture cannot be shown to you: this model, or its vendor, does not take it.)"

_JITTER = 0.5  # a wait is up to this much longer, so that many tasks do not come back at once


@dataclass(slots=True, kw_only=True)
class _Breaker:
    """Failures in a row; while open, when it closes; while half open, that a trial is under way."""

    failures: int = 0
    open_until_ms: int | None = None
    trial: bool = False


class Resilient:
    """A ModelProvider around another. `tries` is how often an overloaded call is tried again: 3 make 4 calls at most.

    `on_wait(task, text)` is told before each wait, in words for a person.
    """

    def __init__(
        self,
        inner: ModelProvider,
        clock: Clock,
        ids: Ids,
        *,
        tries: int = 3,
        base_ms: int = 1000,
        breaker_failures: int = 5,
        breaker_open_ms: int = 300_000,
        on_wait: Callable[[str, str], None] | None = None,
    ) -> None:
        self._inner = inner
        self._clock = clock
        self._ids = ids
        self._tries = tries
        self._base_ms = base_ms
        self._breaker_failures = breaker_failures
        self._breaker_open_ms = breaker_open_ms
        self._on_wait = on_wait
        self._breakers: dict[tuple[str, str], _Breaker] = {}

    async def reply(self, request: ModelRequest) -> Reply:
        """One turn. An open breaker is an OverloadedError at once, which says when the model is tried again."""
        breaker = self._breakers.setdefault((request.model.provider, request.model.model), _Breaker())
        for retry in range(self._tries + 1):
            trial = self._enter(breaker, request.model.model)
            try:
                reply = await self._asked(request)
            except OverloadedError as error:
                self._failed(breaker, trial=trial)
                if retry == self._tries or breaker.open_until_ms is not None:
                    raise
                await self._wait(request.task, error, retry)
            except SignoffError:
                self._answered(breaker)
                raise
            else:
                self._answered(breaker)
                return reply
            finally:
                if trial:
                    breaker.trial = False
        raise AssertionError("the last try returns or raises")

    async def close(self) -> None:
        """The vendor's connections."""
        await self._inner.close()

    async def _asked(self, request: ModelRequest) -> Reply:
        try:
            return await self._inner.reply(request)
        except TerminalError as error:
            if isinstance(error, AuthenticationError) or not any(message.pictures for message in request.messages):
                raise
        blind = tuple(message.blind({use for use, _ in message.pictures}, UNSEEN) for message in request.messages)
        return await self._inner.reply(msgspec.structs.replace(request, messages=blind))

    def _enter(self, breaker: _Breaker, model: str) -> bool:
        """Whether this call is the one trial of an open breaker. Raises OverloadedError."""
        if breaker.open_until_ms is None:
            return False
        left_ms = breaker.open_until_ms - self._clock.monotonic_ms()
        if left_ms > 0:
            at = datetime.fromtimestamp((self._clock.now_ms() + left_ms) / 1000, UTC)
            raise OverloadedError(
                f"The model {model} failed {breaker.failures} times in a row and is left alone",
                f"it is tried again at {at:%H:%M:%S} UTC, in {_seconds(left_ms)} s",
                retry_after_ms=left_ms,
            )
        if breaker.trial:
            raise OverloadedError(
                f"The model {model} failed {breaker.failures} times in a row and is being tried with one call",
                "ask again in a moment",
                retry_after_ms=self._base_ms,
            )
        breaker.trial = True
        return True

    def _failed(self, breaker: _Breaker, *, trial: bool) -> None:
        breaker.failures += 1
        if trial or (breaker.failures >= self._breaker_failures and breaker.open_until_ms is None):
            breaker.open_until_ms = self._clock.monotonic_ms() + self._breaker_open_ms

    def _answered(self, breaker: _Breaker) -> None:
        breaker.failures = 0
        breaker.open_until_ms = None

    async def _wait(self, task: str, error: OverloadedError, retry: int) -> None:
        own_ms = int(self._base_ms * 2**retry * (1 + _JITTER * self._ids.jitter()))
        wait_ms = min(max(own_ms, error.retry_after_ms or 0), WAIT_MAX_MS)
        if self._on_wait is not None:
            left = self._tries - retry
            often = "once" if left == 1 else f"up to {left} times"
            text = f"{error.what}. Trying again in {_seconds(wait_ms)} s, {often}; then I ask you."
            self._on_wait(task, text)
        await self._clock.sleep(wait_ms / 1000)


def _seconds(ms: int) -> int:
    return max(1, -(-ms // 1000))
