"""What Telegram says no to, where the caller can do something about it."""

from __future__ import annotations

from core.model.errors import RetryableError, TerminalError


class RefusedError(TerminalError):
    """400: the request as it is. `what` has Telegram's own words."""


class MovedError(RetryableError):
    """The group became a supergroup, which has another id: the same request may succeed there."""

    def __init__(self, chat: str) -> None:
        super().__init__(f"the group is now {chat}")
        self.chat = chat


class ConflictError(RetryableError):
    """409: somebody else receives this bot's messages."""
