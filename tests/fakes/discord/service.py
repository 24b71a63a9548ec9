"""Discord, as far as the bot can tell: gateway, REST and interactions on one port, and the people who use it.

`home` is a channel of a guild; `away` one of another guild. `owner` owns both guilds; `second` has the role Ops.
What Discord does and a test might not expect, on purpose: a nonce is lost when a message is fetched again; a thread
from a message begins with a message of type 21, and the source gets a MESSAGE_UPDATE that is no edit, as does every
link that unfolds; every message of the bot's comes back to it; a thread that was deleted still "already exists".
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from aiohttp import web

from tests.fakes.discord.gateway import Gateway
from tests.fakes.discord.http import BODY_BYTES_MAX
from tests.fakes.discord.interactions import (
    COMMAND,
    COMPONENT,
    MODAL_SUBMIT,
    Interaction,
)
from tests.fakes.discord.limits import CONTENT_MAX, INPUT, SELECT, walk
from tests.fakes.discord.reading import control_of
from tests.fakes.discord.rest import Rest
from tests.fakes.discord.world import ADMINISTRATOR, EVERYBODY_MAY, REPLY, Channel, File, Guild, Message, World, now
from tests.fakes.service import Place, Pressed, Service, Shown, Someone

BASE = "/api/v10"
TOKEN = "OTAwMDAwMDAwMDAwMDAwMDAx.fake00.not-a-secret-of-anybodys"
GUILD, OTHER_GUILD = "700000000000000001", "700000000000000002"
ADMINS, OPS = "710000000000000001", "710000000000000002"
BOT_ROLES = ("720000000000000001", "720000000000000002")  # one in each guild, made by Discord for the bot itself
RECONNECT_S = 5.0  # how long the registration of commands is awaited


class DiscordService(Service):
    """One Discord with one bot in it."""

    name = "discord"
    text_max = CONTENT_MAX

    def __init__(self) -> None:
        super().__init__()
        self.bot = Someone(
            id="900000000000000001", name="Signoff", is_bot=True, roles=tuple(f"role:{some}" for some in BOT_ROLES)
        )
        self.owner = Someone(id="100000000000000001", name="Uma Owner", roles=("admin", f"role:{ADMINS}"))
        self.second = Someone(id="100000000000000002", name="Ana", roles=(f"role:{OPS}",))
        self.stranger = Someone(id="100000000000000003", name="Mallory")
        self.other_bot = Someone(id="900000000000000002", name="Other Bot", is_bot=True)
        self.world = World(self.bot)
        for who in (self.owner, self.second, self.stranger, self.other_bot):
            self.world.people[who.id] = who
        ours, theirs = ({some: ("Signoff", EVERYBODY_MAY)} for some in BOT_ROLES)
        ours |= {GUILD: ("@everyone", EVERYBODY_MAY), ADMINS: ("Admins", ADMINISTRATOR), OPS: ("Ops", 0)}
        theirs |= {OTHER_GUILD: ("@everyone", EVERYBODY_MAY)}
        for guild, name, roles in ((GUILD, "Home", ours), (OTHER_GUILD, "Away", theirs)):
            self.world.guilds[guild] = Guild(id=guild, name=name, owner=self.owner.id, roles=roles)
        self.home = self.world.open_channel(GUILD, "general").place
        self.away = self.world.open_channel(OTHER_GUILD, "general").place
        self.gateway = Gateway(self.world, self.journal, self.faults, token=TOKEN)
        self.rest = Rest(self.world, self.gateway, self.journal, self.faults)
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._last: tuple[str, dict[str, Any]] | None = None

    # --- Life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        """A second start takes the same port again."""
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.add_routes([web.get("/", self.gateway.serve), web.get("/gateway", self.gateway.serve)])
        app.add_routes([web.get("/gateway/", self.gateway.serve), *self.rest.routes(BASE)])
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.world.base = f"http://127.0.0.1:{self.port}"
        self.gateway.url = self.rest.gateway_url = f"ws://127.0.0.1:{self.port}/gateway"

    async def stop(self) -> None:
        """The platform is down. What it keeps, it keeps."""
        self.gateway.cut()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    def environ(self) -> dict[str, str]:
        return {
            "DISCORD_BOT_TOKEN": TOKEN,
            "SIGNOFF_DISCORD_API_URL": f"http://127.0.0.1:{self.port}{BASE}",
            "SIGNOFF_DISCORD_GATEWAY_URL": self.gateway.url,
        }

    async def connected(self) -> None:
        async with self.gateway.changed:
            await self.gateway.changed.wait_for(self.gateway.live)

    async def disconnect(self, how: Literal["close", "invalid", "silent", "conflict"]) -> None:
        """Until `reconnectable`, new connections get 503. Discord knows no conflict of two instances (both are told
        everything); the nearest is a session that ends because too many were begun.
        """
        self.gateway.is_open = False
        match how:
            case "close":
                await self.gateway.close(4000)
            case "invalid":
                self.gateway.invalidate()
            case "silent":
                self.gateway.freeze()
            case "conflict":
                await self.gateway.close(4009, forget=True)

    async def reconnectable(self) -> None:
        """And what `expire` began."""
        self.gateway.is_open = True
        self.expire(expired=False)

    # --- People -----------------------------------------------------------------------------------------------------

    def direct(self, who: Someone) -> Place:
        self._known(who)
        return self.world.open_direct(who.id).place

    def channel(self, name: str, *, guild: str = GUILD) -> Place:
        """One more channel that the bot is in."""
        made = self.world.open_channel(guild, name)
        self.gateway.dispatch("CHANNEL_CREATE", self.world.channel(made.id))
        return made.place

    async def say(
        self,
        who: Someone,
        text: str,
        place: Place,
        *,
        mention: bool = False,
        reply_to: str = "",
        files: tuple[tuple[str, str, bytes], ...] = (),
    ) -> str:
        """In a thread that is not there yet, it is begun from the message of that id."""
        self._known(who)
        channel = self._where(place, who)
        about: dict[str, Any] = {}
        if reply_to:
            target = self.world.messages[reply_to]
            reference = {"type": 0, "message_id": reply_to, "channel_id": channel.id}
            reference |= {"guild_id": channel.guild} if channel.guild else {}
            about = {"type": REPLY, "message_reference": reference, "referenced_message": self.world.quoted(target)}
        body = {"content": f"<@{self.bot.id}> {text}" if mention else text}
        message = self.world.add(channel, who.id, body, **about)
        self.world.attach(message, [File(name=name, media=media, content=content) for name, media, content in files])
        if not self.world.is_hidden(channel):
            self._happened("MESSAGE_CREATE", self.world.event(message))
        if "://" in text:  # the preview arrives a moment later, as an update that nobody made
            links = re.findall(r"https?://\S+", text)
            message.native["embeds"] = [{"type": "link", "url": link, "title": "A page"} for link in links[:5]]
            self.gateway.dispatch("MESSAGE_UPDATE", self.world.event(message))
        return message.id

    async def edit(self, who: Someone, message: str, text: str) -> None:
        some = self.world.messages[message]
        assert some.native["author"]["id"] == who.id, "people edit their own messages only"
        self.world.write(some, {"content": text})
        some.native["edited_timestamp"] = now()
        some.edits_n += 1
        self._happened("MESSAGE_UPDATE", self.world.event(some))

    async def order(self, who: Someone, name: str, arguments: str, place: Place) -> Pressed:
        """The command must be registered, or be it soon."""
        self._known(who)
        channel = self._where(place, who)
        loop = asyncio.get_running_loop()
        give_up = loop.time() + RECONNECT_S
        while (command := self._command(channel.guild, name)) is None:
            assert loop.time() < give_up, f"no command /{name}: {self.world.commands}"
            await asyncio.sleep(0.01)
        texts = [option for option in command["options"] if option["type"] == 3]
        option = next((some for some in texts if some["name"] == "text"), texts[0] if texts else None)
        assert option is not None or not arguments, f"/{name} takes no text"
        data: dict[str, Any] = {"id": command["id"], "name": name, "type": 1, "options": []}
        if option is not None and arguments:
            data["options"] = [{"name": option["name"], "type": 3, "value": arguments}]
        assert arguments or option is None or not option.get("required"), f"/{name} needs text"
        return await self._act(COMMAND, who, channel, data, None)

    async def press(self, who: Someone, message: str, label: str, *, place: Place | None = None) -> Pressed:
        """A button by its label, or an option of a select by its."""
        self._known(who)
        assert place is None, "a message that was forwarded on Discord has no buttons"
        some = self.world.messages[message]
        assert some.only_for in {"", who.id}, "somebody else's ephemeral message"
        control = control_of(some.native, label)
        assert control is not None, f"no {label!r} on {self.world.screen(None)}"
        return await self._act(COMPONENT, who, self.world.channels[some.native["channel_id"]], control, some)

    async def submit(self, who: Someone, form: str, values: tuple[str, ...]) -> Pressed:
        opened = next(some for some in self.rest.interactions.every.values() if some.id == form)
        assert opened.modal is not None
        assert opened.who.id == who.id, "somebody else's form"
        inputs = [some for some in walk(opened.modal["components"]) if some.get("type") in {INPUT, SELECT}]
        filled = {some["custom_id"]: _filled(some, value) for some, value in zip(inputs, values, strict=True)}
        data = {
            "custom_id": opened.modal["custom_id"],
            "components": [_answered(some, filled) for some in opened.modal["components"]],
            "resolved": {},
        }
        return await self._act(MODAL_SUBMIT, who, opened.channel, data, opened.message)

    async def redeliver(self, times: int = 1) -> None:
        assert self._last is not None, "nothing has happened"
        for _ in range(times):
            self.gateway.dispatch(*self._last)

    async def delete(self, message: str) -> None:
        some = self.world.forget(message)
        channel = self.world.channels[some.native["channel_id"]]
        told = {"id": message, "channel_id": channel.id} | ({"guild_id": channel.guild} if channel.guild else {})
        self.gateway.dispatch("MESSAGE_DELETE", told)

    async def erase(self, place: Place) -> None:
        """Delete a thread, or a channel with its threads."""
        channel = self.world.channels.pop(place.thread or place.channel)
        kind = "THREAD_DELETE" if channel.is_thread else "CHANNEL_DELETE"
        told = {"id": channel.id, "type": channel.kind, "guild_id": channel.guild, "name": channel.name}
        self.gateway.dispatch(kind, told | {"parent_id": channel.parent or None, "position": 0})
        for thread in [some for some in self.world.channels.values() if some.parent == channel.id]:
            del self.world.channels[thread.id]

    async def remove_bot(self, place: Place) -> None:
        """From a channel, by taking away its right to see it; a person blocks it."""
        channel = self.world.channels[place.channel]
        if channel.recipient:
            self.rest.blocked.add(channel.recipient)
            return
        channel.hidden = True
        told = self.world.channel(channel.id)
        denied = [{"id": self.bot.id, "type": 1, "allow": "0", "deny": str(1 << 10)}]
        self.gateway.dispatch("CHANNEL_UPDATE", told | {"permission_overwrites": denied})

    async def kick(self, guild: str = GUILD) -> None:
        """Throw the bot out of a guild."""
        self.world.guilds[guild].joined = False
        self.gateway.dispatch("GUILD_DELETE", {"id": guild})

    async def invite(self, guild: str = GUILD) -> None:
        """Bring the bot (back) to a guild."""
        self.world.guilds[guild].joined, self.world.guilds[guild].joined_at = True, now()
        told = {key: value for key, value in self.world.guild_create(guild).items() if key != "unavailable"}
        self._happened("GUILD_CREATE", told)

    async def odd(self) -> None:
        nobody = {"guild_id": GUILD, "channel_id": self.home.channel}
        self.gateway.dispatch("SOMETHING_NEW", {"id": self.world.snowflake(), "of": ["a", {"kind": None}]})
        self.gateway.dispatch("MESSAGE_CREATE", nobody | {"id": self.world.snowflake(), "novelty": {"of": 1}})
        self.gateway.dispatch("MESSAGE_UPDATE", nobody | {"id": self.world.snowflake(), "flags": 1 << 30})
        some, told = self.rest.interactions.begin(99, self.owner, self.world.channels[self.home.channel], {})
        del self.rest.interactions.every[some.token]
        self.gateway.dispatch("INTERACTION_CREATE", {"id": told["id"], "type": 99, "token": told["token"]})

    def expire(self, *, expired: bool = True) -> None:
        if expired:
            self.rest.interactions.expire()
        self.rest.interactions.is_expired = expired

    async def swapped(self, first: Callable[[], Awaitable[Any]], second: Callable[[], Awaitable[Any]]) -> None:
        held: list[list[tuple[str, dict[str, Any]]]] = []
        async with asyncio.TaskGroup() as acts:
            for act in (first, second):
                self.gateway.held = []
                held.append(self.gateway.held)
                acts.create_task(_run(act))
                while not self.gateway.held:  # noqa: ASYNC110 # nobody is told of what is held
                    await asyncio.sleep(0)
            self.gateway.held = None
            for kind, data in [*held[1], *held[0]]:
                self.gateway.dispatch(kind, data)

    def unacknowledged(self) -> int:
        return self.rest.interactions.waiting_n()

    # --- The screen -------------------------------------------------------------------------------------------------

    def screen(self, place: Place | None = None) -> tuple[Shown, ...]:
        return self.world.screen(place)

    # --- Inside -----------------------------------------------------------------------------------------------------

    def _known(self, who: Someone) -> None:
        """Whoever acts is a member."""
        self.world.people.setdefault(who.id, who)

    def _where(self, place: Place, who: Someone) -> Channel:
        if not place.thread:
            return self.world.channels[place.channel]
        if place.thread not in self.world.channels:
            source = self.world.messages[place.thread]
            self.rest.start_thread(self.world.channels[place.channel], "a thread", who.id, source)
        return self.world.channels[place.thread]

    def _happened(self, kind: str, data: dict[str, Any]) -> None:
        self._last = (kind, json.loads(json.dumps(data)))
        self.gateway.dispatch(kind, data)

    def _command(self, guild: str, name: str) -> dict[str, Any] | None:
        every = [*self.world.commands.get("", []), *(self.world.commands.get(guild, []) if guild else [])]
        return next((some for some in every if some["name"] == name), None)

    async def _act(
        self, kind: int, who: Someone, channel: Channel, data: dict[str, Any], message: Message | None
    ) -> Pressed:
        """Tell the bot, and wait as long as a person sees "thinking"."""
        some, told = self.rest.interactions.begin(kind, who, channel, data, message)
        self._happened("INTERACTION_CREATE", told)
        try:
            await asyncio.wait_for(some.answered.wait(), self.rest.interactions.patience_s)
        except TimeoutError:
            return Pressed(acknowledged=False, note="This interaction failed")
        return self._pressed(some)

    def _pressed(self, some: Interaction) -> Pressed:
        if some.modal is not None:
            named = [part for part in walk(some.modal["components"]) if part.get("type") in {INPUT, SELECT}]
            above = {id(part["component"]): part["label"] for part in some.modal["components"] if "component" in part}
            labels = tuple(above.get(id(part)) or part.get("label") or "" for part in named)
            return Pressed(acknowledged=True, form=some.id, inputs=labels)
        note = ""
        if some.original is not None and some.original.only_for:
            note = self.world.drawn(some.original).text
        return Pressed(acknowledged=True, note=note)


async def _run(act: Callable[[], Awaitable[Any]]) -> None:
    await act()


def _filled(some: dict[str, Any], value: str) -> dict[str, Any]:
    """One input as a person leaves it. What its own limits forbid, nobody can type."""
    named = {"type": some["type"], "custom_id": some["custom_id"], "id": some.get("id", 1)}
    if some["type"] == SELECT:
        chosen = [option["value"] for option in some["options"] if value in {option["label"], option["value"]}]
        assert chosen or not some.get("required", True), f"no option {value!r}"
        return named | {"values": chosen[:1]}
    assert value or not some.get("required", True), f"{some['custom_id']} is required"
    assert not value or len(value) >= (some.get("min_length") or 0), "too short"
    assert len(value) <= (some.get("max_length") or 4000), "too long"
    return named | {"value": value}


def _answered(some: dict[str, Any], filled: dict[str, dict[str, Any]]) -> dict[str, Any]:
    shell = {"type": some["type"], "id": some.get("id", 1)}
    if "component" in some:
        return shell | {"component": filled[some["component"]["custom_id"]]}
    if "components" in some:
        return shell | {"components": [filled[inner["custom_id"]] for inner in some["components"]]}
    return shell
