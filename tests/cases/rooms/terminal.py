"""The room of the terminal: one prompt, at which everybody takes a turn."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import msgspec
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import create_pipe_input
from prompt_toolkit.output import DummyOutput

from bots.console.client import Console
from core.adapters.system import SystemIds
from core.model.events import Sender
from core.model.views import InquiryCard, Post
from core.ports import Clock, Intake, Platform
from tests.cases.rooms.room import GIVE_UP_SECONDS, Card, Room, plain

COLUMNS = "400"
"""Of the terminal: a sentence stays on its line."""


class Watched(Console):
    """The terminal, and what it printed, by message."""

    def __init__(self, **more: Any) -> None:
        super().__init__(**more)
        self.printed: list[str] = []
        self.understood = asyncio.Event()
        self.greeted = asyncio.Event()
        self.sent_n = 0
        self.shown: dict[str, Card] = {}  # by inquiry, as its card was printed last

    def sits_down(self, who: str) -> None:
        """One terminal: whoever types, has the seat."""
        self._sender = Sender(account=f"console:{who}", name=who.title(), asserted=who)

    async def _print(self, lines: list[str]) -> None:
        self.printed.extend(lines)
        self.greeted.set()
        await super()._print(lines)

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        before_n = len(self.printed)
        receipt = await super().send(post, edits, part)
        self.sent_n += len(self.printed) > before_n
        if isinstance(post.view, InquiryCard):
            text = "\n".join(self.printed[before_n:])
            keys = {button.label: button.key for button in post.view.buttons}
            asked = post.view.inquiry
            self.shown.pop(asked, None)
            self.shown[asked] = Card(id=receipt, text=text, buttons=tuple(keys), inquiry=asked, look=keys)
        return receipt

    async def _understand(self, text: str, intake: Intake) -> bool:
        goes_on = await super()._understand(text, intake)
        self.understood.set()
        return goes_on


TYPED = {"Approve": "approve", "Deny": "deny", "Edit": "edit", "Ask back": "askback", "View all": "view"}
"""What is typed for a card that is not the newest, where letters mean another one."""


class ConsoleRoom(Room):
    """One terminal with a prompt, at which everybody takes a turn."""

    name = "console"

    def __init__(self) -> None:
        super().__init__()
        self._session = contextlib.ExitStack()
        self.terminal: Watched | None = None

    async def start(self) -> None:
        pipe = self._session.enter_context(create_pipe_input())
        self._session.enter_context(create_app_session(input=pipe, output=DummyOutput()))
        self._pipe = pipe

    async def stop(self) -> None:
        self._session.close()

    def account(self, who: str) -> str:
        return f"console:{who}"

    def adapter(self, clock: Clock) -> Platform:
        sender = Sender(account="console:you", name="You", asserted="you")
        self.terminal = Watched(team="acme", sender=sender, clock=clock, ids=SystemIds(), interactive=True)
        return self.terminal

    async def connected(self) -> None:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await self._console.greeted.wait()

    @property
    def _console(self) -> Watched:
        assert self.terminal is not None
        return self.terminal

    def undelivered(self) -> int:
        return 0

    async def _type(self, line: str) -> None:
        self._console.understood.clear()
        self._pipe.send_text(f"{line}\r")
        await self._console.understood.wait()

    async def _told(self, who: str, *lines: str) -> str:
        before_n = len(self._console.printed)
        self._console.sits_down(who)
        for line in lines:
            await self.during(self._type(line))
        return plain("\n".join(self._console.printed[before_n:]))

    async def say(
        self, who: str, text: str, *, mention: bool = False, under: Card | None = None, apart: bool = False
    ) -> str:
        return await self._told(who, text)

    async def order(self, who: str, line: str, *, apart: bool = False) -> str:
        return await self._told(who, line)

    async def press(self, who: str, label: str, *, on: Card | None = None, twice: bool = False, **fields: str) -> str:
        card = on or self.card()
        cards, typed = self.cards(), list(fields.values())
        if label == "Edit":
            typed = [msgspec.json.encode(fields).decode()]
        if cards and card == cards[-1]:
            letter = card.look[label]
            if len(cards) > 1:  # a card that has only just come in wants a second look
                self.table.turn_clock(seconds=1)
            asks = label in {"Deny", "Edit", "Ask back", "Answer"}
            lines = [letter, *(typed or [""])] if asks else [letter]
        else:
            lines = [" ".join([f"/{TYPED[label]}", card.inquiry, *typed])]
        return await self._told(who, *lines * (2 if twice else 1))

    def cards(self) -> list[Card]:
        return [self._console.shown[asked] for asked in self._console._cards]

    def posts_n(self) -> int:
        return self._console.sent_n

    def everything(self) -> str:
        return "\n".join(self._console.printed)
