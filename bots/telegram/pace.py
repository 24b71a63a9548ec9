"""How fast a bot may talk (PLATFORMS.md): asked before every message, so that Telegram need not say it. Pure but for
what it remembers.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

CHATS_MAX: Final = 5_000
CHAT_N, CHAT_MS = 5, 5_000  # one a second, of which a few may come at once
GROUP_N, GROUP_MS = 20, 60_000
SPARE_N = 10  # of a group's twenty: what a status line leaves to answers and cards
ALL_MS = 1_000


class Pace:
    """Windows that slide, by the monotonic clock."""

    def __init__(self, all_n: int) -> None:
        self._all_n = all_n
        self._all: deque[int] = deque()
        self._chats: OrderedDict[str, deque[int]] = OrderedDict()
        self._limited: tuple[str, int] = ("", 0)

    def wait_ms(self, chat: str, now_ms: int, *, spare: bool = False) -> int:
        """0, and the message counts as sent; or how long it must wait. `spare`: it would rather not be sent at all."""
        said = self._chats.setdefault(chat, deque())
        self._chats.move_to_end(chat)
        while len(self._chats) > CHATS_MAX:
            self._chats.popitem(last=False)
        left_n = SPARE_N if spare else 0
        waits = [_full_ms(self._all, self._all_n, ALL_MS, now_ms), _full_ms(said, CHAT_N, CHAT_MS, now_ms)]
        if chat.startswith("-"):
            waits.append(_full_ms(said, GROUP_N - left_n, GROUP_MS, now_ms))
        if max(waits) == 0:
            said.append(now_ms)
            self._all.append(now_ms)
            _forget(said, GROUP_MS, now_ms)
            _forget(self._all, ALL_MS, now_ms)
        return max(waits)

    def scope(self, chat: str, now_ms: int, wait_ms: int) -> str:
        """Whose limit Telegram meant, which it does not say: two chats at once are told to wait only by the whole."""
        before, until_ms = self._limited
        self._limited = (chat, now_ms + wait_ms)
        return "account" if before not in {"", chat} and now_ms < until_ms else "conversation"


def _full_ms(said: deque[int], n: int, window_ms: int, now_ms: int) -> int:
    return max(0, said[-n] + window_ms - now_ms) if len(said) >= n else 0


def _forget(said: deque[int], window_ms: int, now_ms: int) -> None:
    while said and said[0] <= now_ms - window_ms:
        said.popleft()
