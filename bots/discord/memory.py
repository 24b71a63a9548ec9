"""What is known of Discord between two events: bounded, and a convenience only, since all of it may be forgotten."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

T = TypeVar("T")

HANDLES_MAX: Final = 500
THREADS_MAX: Final = 5_000
HANDLE_MS_MAX: Final = 14 * 60_000  # a token lives for 15 minutes


class Bounded(Generic[T]):
    """The last so many."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._kept: dict[str, T] = {}

    def keep(self, key: str, value: T) -> None:
        """As the newest."""
        self._kept.pop(key, None)
        self._kept[key] = value
        if len(self._kept) > self._n:
            del self._kept[next(iter(self._kept))]

    def find(self, key: str) -> T | None:
        """None for what was never kept, or is forgotten."""
        return self._kept.get(key)

    def drop(self, key: str) -> None:
        """Forget it."""
        self._kept.pop(key, None)


@dataclass(slots=True, kw_only=True)
class Handle:
    """How an interaction can still be answered, so that only its person sees it."""

    application: str
    token: str
    at_ms: int
    acknowledged: asyncio.Event = field(default_factory=asyncio.Event)
    used: asyncio.Event = field(default_factory=asyncio.Event)


class Memory:
    """Of one adapter, over all its connections."""

    def __init__(self) -> None:
        self.handles: Bounded[Handle] = Bounded(HANDLES_MAX)  # by event key
        self.threads: Bounded[bool] = Bounded(THREADS_MAX)  # by id: False for one that cannot be made
        self.names: Bounded[str] = Bounded(THREADS_MAX)  # what a thread to be made is called, by message id
        self.sent: Bounded[str] = Bounded(HANDLES_MAX)  # keys by message id: whose a message is
        self.last: Bounded[int] = Bounded(THREADS_MAX)  # our last message by channel
        self.directs: Bounded[str] = Bounded(HANDLES_MAX)  # private channels by user
        self.tried: Bounded[int] = Bounded(THREADS_MAX)  # by key: what was sent is newer than this message
        self.typed_at_ms: Bounded[int] = Bounded(HANDLES_MAX)  # by channel
        self.me = ""
        self.connected_at_ms = 0
        self.heard_at_ms = 0
        self.sent_at_ms = 0
        self.trouble = ""
