"""The rooms of the three platforms: a fake service on real sockets, and what people can do there."""

from __future__ import annotations

import asyncio
import copy
from abc import abstractmethod
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

from bots.discord.client import Discord
from bots.slack.client import Slack
from bots.telegram.client import Telegram
from core.adapters.system import SystemIds
from core.model.events import Conversation
from core.ports import Clock, Platform
from tests.cases.rooms.live import NoFiles, OwnClock
from tests.cases.rooms.room import GIVE_UP_SECONDS, NAMES, Card, Room, plain
from tests.fakes.discord.service import DiscordService
from tests.fakes.service import Fault, Place, Pressed, Service, Shown, Someone
from tests.fakes.slack.service import SlackService
from tests.fakes.telegram import HOME
from tests.fakes.telegram import Telegram as FakeTelegram
from tests.fakes.telegram_api import Chat


class ServiceRoom(Room):
    """A fake service, and what people can do there."""

    service: Any

    def __init__(self, service: Service) -> None:
        super().__init__()
        self.service = service
        self.people = {name: Someone(id=self.number(n, name), name=name.title()) for n, name in enumerate(NAMES, 1)}
        for someone in self.people.values():
            self.welcome(someone)

    def card_to_reply_to(self) -> Card:
        """It stands by itself, not in a thread of something else's."""
        channels = {where.channel for where in self.its_own_channel()}
        return next(card for card in self.cards() if not channels or (card.place and card.place.channel in channels))

    @asynccontextmanager
    async def holding_back(self, method: str) -> AsyncIterator[None]:
        """Requests of this method take effect, and are not answered while it lasts."""
        answered = asyncio.Event()

        async def wait() -> None:
            await answered.wait()

        self.held = True
        self.service.faults.plan(Fault(method=method, times=99, applied=True, hook=wait))
        yield
        self.service.faults.clear()
        self.held = False
        answered.set()

    @abstractmethod
    def number(self, n: int, name: str) -> str:
        """What the platform calls its nth user."""

    @abstractmethod
    def welcome(self, someone: Someone) -> None:
        """One more person of the place, or one who changed."""

    def account(self, who: str) -> str:
        return f"{self.name}:{self.people[who].id}"

    async def start(self) -> None:
        await self.service.start()

    async def stop(self) -> None:
        await self.service.stop()

    async def connected(self) -> None:
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await self.service.connected()

    def undelivered(self) -> int:
        return int(self.service.unacknowledged())

    async def say(
        self, who: str, text: str, *, mention: bool = False, under: Card | None = None, apart: bool = False
    ) -> str:
        place = self.service.direct(self.people[who]) if apart else self.service.home
        place = under.place if under is not None else place
        act = self.service.say(
            self.people[who], text, place, mention=mention, reply_to=under.id if under is not None else ""
        )
        return await self._told(who, act, hears=True)

    async def order(self, who: str, line: str, *, apart: bool = False) -> str:
        name, _, arguments = line.removeprefix("/").partition(" ")
        place = self.service.direct(self.people[who]) if apart else self.service.home
        return await self._told(who, self.ordered(self.people[who], name, arguments, place), hears=True)

    def rename(self, who: str, name: str) -> None:
        """They call themselves something else from now on."""
        self.people[who] = replace(self.people[who], name=name)
        self.welcome(self.people[who])

    async def ordered(self, who: Someone, name: str, arguments: str, place: Place) -> Pressed:
        pressed: Pressed = await self.service.order(who, name, arguments, place)
        return pressed

    async def press(self, who: str, label: str, *, on: Card | None = None, twice: bool = False, **fields: str) -> str:
        card, someone = on or self.card(), self.people[who]

        async def act() -> Pressed:
            pressed = await self.looking_at(card, self.service.press(someone, card.id, label))
            if not pressed.form:
                return pressed
            values = tuple(fields.values()) or ("",)
            submitted: Pressed = await self.service.submit(someone, pressed.form, values)
            return submitted

        async def both() -> Pressed:
            """Not one after the other: the second click is there before anything came of the first."""
            first, second = asyncio.ensure_future(act()), asyncio.ensure_future(act())
            await second
            return await first

        return await self._told(who, both() if twice else act())

    async def looking_at(self, card: Card, press: Coroutine[Any, Any, Pressed]) -> Pressed:
        """The press goes to what the card looked like."""
        return await press

    async def _told(self, who: str, act: Coroutine[Any, Any, Any], *, hears: bool = False) -> str:
        before = {shown.id: shown.text for shown in self.service.screen()}
        done = await self.during(act, hears=hears)
        note = done.note if isinstance(done, Pressed) else ""
        new = [shown for shown in self._visible(who) if before.get(shown.id) != shown.text]
        return plain("\n".join([note, *(_whole(shown) for shown in new)]))

    def _visible(self, who: str) -> list[Shown]:
        mine, someone = self.service.direct(self.people[who]), self.people[who]
        return [
            shown
            for shown in self.service.screen()
            if shown.only_for in {"", someone.id} and (not shown.place.private or shown.place.channel == mine.channel)
        ]

    def cards(self) -> list[Card]:
        return [self._card(shown) for shown in self.service.screen() if {"Approve", "Answer"} & {*shown.buttons}]

    def posts_n(self) -> int:
        return len(self.service.screen())

    def _card(self, shown: Shown) -> Card:
        return Card(id=shown.id, text=_whole(shown), buttons=shown.buttons, place=shown.place, look=self.look(shown.id))

    def look(self, message: str) -> Any:
        """What a client keeps of it, for whoever is slow."""
        return None

    def everything(self) -> str:
        return "\n---\n".join(f"{_whole(shown)} {shown.buttons or ''}" for shown in self.service.screen())


def _whole(shown: Shown) -> str:
    return "\n".join([shown.text, *(content.decode("utf-8", "replace") for _, content in shown.files)])


class TelegramRoom(ServiceRoom):
    name = "telegram"

    def __init__(self) -> None:
        super().__init__(FakeTelegram())
        self.service.patience_seconds = 1.5

    def number(self, n: int, name: str) -> str:
        return str(2000 + n)

    def welcome(self, someone: Someone) -> None:
        self.service.api.chats[HOME].members[int(someone.id)] = someone
        self.service.api.chats[int(someone.id)] = Chat(id=int(someone.id), members={int(someone.id): someone})

    def adapter(self, clock: Clock) -> Platform:
        """Its pace is Telegram's: as if people took their time between two presses."""
        assert isinstance(clock, OwnClock)
        clock.pace = 1000.0
        settings = self.service.environ() | {"SIGNOFF_TELEGRAM_POLL_SECONDS": "1"}
        return Telegram(settings, clock=clock, ids=SystemIds(), zone="UTC", shelf=NoFiles())

    def look(self, message: str) -> Any:
        return copy.deepcopy(self.service._message(message).markup)

    async def looking_at(self, card: Card, press: Coroutine[Any, Any, Pressed]) -> Pressed:
        message = self.service._message(card.id)
        now, message.markup = message.markup, card.look
        pressing = asyncio.ensure_future(press)
        await asyncio.sleep(0)
        message.markup = now
        return await pressing


class DiscordRoom(ServiceRoom):
    name = "discord"

    def __init__(self) -> None:
        super().__init__(DiscordService())

    def number(self, n: int, name: str) -> str:
        return f"1000000000000002{n:02}"

    def welcome(self, someone: Someone) -> None:
        self.service.world.people[someone.id] = someone

    def adapter(self, clock: Clock) -> Platform:
        return Discord(self.service.environ(), clock=clock, ids=SystemIds(), zone="UTC", shelf=NoFiles())

    async def ordered(self, who: Someone, name: str, arguments: str, place: Place) -> Pressed:
        """What is in no menu is typed to the bot."""
        every = self.service.world.commands
        if name in {command["name"] for commands in every.values() for command in commands}:
            return await super().ordered(who, name, arguments, place)
        await self.service.say(who, f"/{name} {arguments}".strip(), place, mention=not place.private)
        return Pressed(acknowledged=True)

    def look(self, message: str) -> Any:
        return copy.deepcopy(self.service.world.messages[message].native["components"])

    async def looking_at(self, card: Card, press: Coroutine[Any, Any, Pressed]) -> Pressed:
        message = self.service.world.messages[card.id]
        now, message.native = message.native, {**message.native, "components": card.look}
        pressing = asyncio.ensure_future(press)
        await asyncio.sleep(0)
        message.native = now
        return await pressing


class SlackRoom(ServiceRoom):
    name = "slack"

    def __init__(self) -> None:
        super().__init__(SlackService())
        self.service.deliveries.gaps = (0.0, 0.05, 0.05)
        self._apart = self.service.channel("approvals")

    def number(self, n: int, name: str) -> str:
        return f"U0{name.upper()}"

    def welcome(self, someone: Someone) -> None:
        self.service.space.people[someone.id] = someone
        for channel in self.service.space.channels.values():
            if channel.kind != "im":
                channel.members.add(someone.id)

    def adapter(self, clock: Clock) -> Platform:
        return Slack(self.service.environ(), clock=clock, ids=SystemIds(), zone="UTC", shelf=NoFiles())

    def its_own_channel(self) -> tuple[Conversation, ...]:
        """In a thread, everybody replies to its beginning."""
        return (Conversation(platform=self.name, account=self.service.space.team, channel=self._apart.channel),)

    def look(self, message: str) -> Any:
        return copy.deepcopy(self.service.space.find(message)[1].get("blocks"))

    async def looking_at(self, card: Card, press: Coroutine[Any, Any, Pressed]) -> Pressed:
        channel, now = self.service.space.find(card.id)
        channel.messages[now["ts"]] = {**now, "blocks": card.look}
        pressing = asyncio.ensure_future(press)
        await asyncio.sleep(0)
        channel.messages[now["ts"]] = now
        return await pressing
