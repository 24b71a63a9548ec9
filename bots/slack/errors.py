"""What Slack refuses, in kinds: without the library, so that everybody may name them."""

from __future__ import annotations

from bots.slack import words
from core.model.errors import RetryableError, TerminalError


class SlackRefusedError(TerminalError):
    """Slack said no, for a reason that is neither the token nor the place. `needed` is a scope that is missing."""

    def __init__(self, code: str, needed: str = "") -> None:
        super().__init__(words.refused(code), words.add_scope(needed) if needed else "")
        self.code = code
        self.needed = needed


class SlackPlaceError(TerminalError):
    """The bot cannot write there any more."""

    def __init__(self, code: str) -> None:
        super().__init__(f"{words.GONE} ({code})", words.INVITE)
        self.code = code


class SlackUnreadError(RetryableError):
    """There is more than was read; what was read has been handed out."""

    def __init__(self) -> None:
        super().__init__(words.MORE_TO_READ)
