"""A room: what every place with a screen offers to a case."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import time
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import msgspec

from core.adapters.models.scripted import Script
from core.adapters.sqlite.store import SqliteStore
from core.model.errors import SignoffError
from core.model.events import Conversation
from core.model.team import Team
from core.ports import Clock, Platform
from tests.cases.kit import EVERYBODY, MAILING, office
from tests.cases.rooms.live import Door, Live
from tests.engine_kit import person
from tests.fakes.service import Place

OLGA, EVE = person("olga", "owner"), person("eve")
NAMES = tuple(one.id for one in (*EVERYBODY, OLGA, EVE))
"""All who are in the room; who is in the team is each case's business."""
GIVE_UP_SECONDS = 12.0
PAUSE_SECONDS_MAX = 5


def plain(text: str) -> str:
    """However its lines were broken."""
    return " ".join(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A message as it looked when somebody looked at it: their finger may still be over its buttons."""

    id: str
    text: str
    buttons: tuple[str, ...]
    inquiry: str = ""
    place: Place | None = None
    look: Any = None

    def forged(self, old: str, new: str) -> Card:
        """With something else behind its buttons."""
        return replace(self, look=json.loads(json.dumps(self.look).replace(old, new)))


class Room(ABC):
    """See the module's docstring."""

    name: ClassVar[str]

    def __init__(self) -> None:
        self._table: Live | None = None
        self._door: Door | None = None
        self._receiving: asyncio.Task[None] | None = None
        self.held = False  # the service holds something back, and nothing waits for it

    @property
    def table(self) -> Live:
        assert self._table is not None, "nobody has come in yet"
        return self._table

    @property
    def door(self) -> Door:
        assert self._door is not None, "nobody has come in yet"
        return self._door

    # --- Opening and closing ----------------------------------------------------------------------------------------

    async def open(
        self,
        team: Team | None = None,
        script: Mapping[str, Script] = MAILING,
        *,
        also: tuple[Conversation, ...] = (),
        **more: Any,
    ) -> Live:
        """The team works here. `also`: where its inquiries are shown besides."""
        home = self.at_home(team or office(), also=also)
        self._table = Live(self.adapter, script=script, team=home, **more)
        self._door = Door(self._table)
        self._receiving = asyncio.ensure_future(self._table.adapter.run(self._door))
        await self.connected()
        await self.quiet()
        return self._table

    async def asking(
        self, team: Team | None = None, script: Mapping[str, Script] = MAILING, by: str = "you", **more: Any
    ) -> Live:
        """Somebody gave ops the work, and it needs people now."""
        table = await self.open(team, script, **more)
        await self.say(by, "@ops tell them", mention=True)
        return table

    def at_home(self, team: Team, *, also: tuple[Conversation, ...] = ()) -> Team:
        """The team, whose people have their accounts here and whose inquiries are shown where they are asked."""
        people = tuple(
            msgspec.structs.replace(one, accounts=(self.account(one.id), f"chat:{one.id}", f"desk:{one.id}"))
            for one in team.people
        )
        tiers = {name: msgspec.structs.replace(rule, deliver=also) for name, rule in team.policy.tiers.items()}
        return msgspec.structs.replace(team, people=people, policy=msgspec.structs.replace(team.policy, tiers=tiers))

    async def close(self) -> None:
        if self._receiving is not None:
            self._receiving.cancel()
            with contextlib.suppress(asyncio.CancelledError, SignoffError):
                await self._receiving
        if self._table is not None:
            await self._table.close()
            if isinstance(kept := self._table.store.inner, SqliteStore):
                await kept.close()

    def its_own_channel(self) -> tuple[Conversation, ...]:
        """Where a card has to be shown for people to reply to it; () for where it is shown anyway."""
        return ()

    # --- Going on ---------------------------------------------------------------------------------------------------

    async def during(self, act: Coroutine[Any, Any, Any], *, hears: bool = False) -> Any:
        """Somebody does something, and everything follows that follows. `hears`: the door hears of it by itself."""
        heard_n = self.door.heard_n
        doing = asyncio.ensure_future(act)
        give_up = time.monotonic() + GIVE_UP_SECONDS
        while not doing.done() or (hears and self.door.heard_n == heard_n):
            await self._go_on()
            assert time.monotonic() < give_up, f"nobody heard of it; there is\n{self.everything()}"
        await self.quiet()
        return doing.result()

    async def later(self, *, seconds: float = 0, hours: float = 0) -> None:
        """Time goes by; for the adapter only so much that no connection seems to have died."""
        self.table.turn_clock(seconds=seconds, hours=hours)
        self.table.pauses.turn(min(PAUSE_SECONDS_MAX, seconds + hours * 3600))
        await self.quiet()

    async def _go_on(self) -> None:
        assert self._receiving is None or not self._receiving.done(), self._receiving
        await self.table.settle()
        if self.table.running:
            self.table.pauses.skip()
        await asyncio.sleep(0.001)

    async def quiet(self) -> None:
        """Nothing is left to do, for anybody."""
        give_up = time.monotonic() + GIVE_UP_SECONDS
        for _ in range(2):
            while True:
                await self._go_on()
                busy = self.door.inside_n or self.undelivered() or (self.table.running and not self.held)
                if not busy:
                    break
                assert time.monotonic() < give_up, f"it does not come to rest; there is\n{self.everything()}"
            await asyncio.sleep(0.003)

    # --- What people do ---------------------------------------------------------------------------------------------

    @abstractmethod
    async def say(
        self, who: str, text: str, *, mention: bool = False, under: Card | None = None, apart: bool = False
    ) -> str:
        """Somebody writes, if `apart`, then in their own chat with the bot. Returns what they could read then that was
        not there before.
        """

    @abstractmethod
    async def order(self, who: str, line: str, *, apart: bool = False) -> str:
        """A command, as people type or choose it here. `apart`: in their own chat with the bot, where there is one."""

    @abstractmethod
    async def press(self, who: str, label: str, *, on: Card | None = None, twice: bool = False, **fields: str) -> str:
        """The button of that label, on the newest card or on one as it looked before; then its form, if it has one."""

    # --- What people see --------------------------------------------------------------------------------------------

    @abstractmethod
    def cards(self) -> list[Card]:
        """Those that can be decided now, oldest first."""

    @abstractmethod
    def everything(self) -> str:
        """All that can be read."""

    @abstractmethod
    def posts_n(self) -> int:
        """How many messages there are."""

    def card(self) -> Card:
        return self.cards()[-1]

    def reads(self, text: str) -> bool:
        return plain(text) in plain(self.everything())

    def reads_denied(self, who: str, why: str) -> bool:
        """Whether a card says so, whatever the hour."""
        said = rf"{re.escape(plain(f'Denied by {who} at '))}.{{1,20}}{re.escape(plain(f': {why}'))}"
        return re.search(said, plain(self.everything())) is not None

    # --- The place --------------------------------------------------------------------------------------------------

    @abstractmethod
    def account(self, who: str) -> str: ...

    @abstractmethod
    def adapter(self, clock: Clock) -> Platform: ...

    @abstractmethod
    async def connected(self) -> None: ...

    @abstractmethod
    def undelivered(self) -> int:
        """What happened, and the adapter has not dealt with yet."""

    @abstractmethod
    async def start(self) -> None: ...

    @abstractmethod
    async def stop(self) -> None: ...
