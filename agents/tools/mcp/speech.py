"""What the hub and a connection say to each other. Nothing of the SDK is needed to say it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from core.model.work import Picture


class EndedError(Exception):
    """The server is no longer there, or had to be ended; the message says why, in one line. `said` are the server's own
    words: people read them behind a colon, agents behind a fence.
    """

    def __init__(self, why: str, said: str = "") -> None:
        super().__init__(f"{why}: {said}" if said else why)
        self.why = why
        self.said = said


class LoginNeededError(EndedError):
    """The server asks who we are, and nobody has logged in, or no longer."""


class CallError(Exception):
    """No result came. `ran`: whether the call may have been carried out all the same. `said` as in EndedError."""

    def __init__(self, why: str, said: str = "", *, ran: bool) -> None:
        super().__init__(f"{why}: {said}" if said else why)
        self.why = why
        self.said = said
        self.ran = ran


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """It certainly did not run, because it cannot now. `said` as in EndedError."""

    why: str
    recovery: str
    said: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a tool returned: bounded, without hidden characters. `failed`: the server says that it did not work."""

    text: str
    failed: bool = False
    picture: Picture | None = None


class Live(Protocol):
    """A connection to a server that is there."""

    async def tools(self) -> list[Mapping[str, Any]]:
        """What it lists now, raw. Raises EndedError."""

    async def call(self, tool: str, arguments: dict[str, Any], seconds: float) -> Answer:
        """Raises CallError, TimeoutError."""

    async def news(self, seconds: float) -> None:
        """Until it says that its tools have changed, or for so long. Raises EndedError once it has ended."""
