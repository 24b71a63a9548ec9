"""Everything one connection to Discord hears: committed first, acknowledged then, and nothing missed that was said
while nobody listened.

Laws of this file. What is said in one channel is taken in order, and what was said before the connection comes first.
The mark, from which the next connection reads, never passes anything that is not yet committed.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec
import structlog

from bots import words as common
from bots.discord import cards, forms, wire, words
from bots.discord.gateway import listen
from bots.discord.markup import fitted
from bots.discord.memory import Handle, Memory
from bots.discord.rest import RefusedError, Rest
from core.model.errors import RetryableError, SignoffError, StoreFullError
from core.model.events import CommandReceived, ControlPressed, MessageReceived
from core.model.ids import digest_of
from core.ports import Clock, Intake
from core.rules.commands import MENU
from core.rules.text import one_line

MARK: Final = "discord.heard"
COMMANDS: Final = "discord.commands"
DIRECTS: Final = "discord.direct"
FIRST: Final = "discord.first"
DIRECTS_MAX: Final = 200
OVERLAP_MS: Final = 30_000
MARK_SECONDS: Final = 60.0
READY_SECONDS_MAX: Final = 60.0
WAITING_MAX: Final = 20_000
PAGE: Final = 100
PAGES_AT_ONCE: Final = 4
TRIES_MAX: Final = 5
EARLIER_MAX: Final = 20
EARLIER_SECONDS: Final = 1.5
ANCHOR_SECONDS: Final = 2.0
PROMISE_SECONDS: Final = 4.0
NEWS_MS_MAX: Final = 600_000  # whoever invites a bot before starting it for the first time is greeted within this
ARCHIVED_AFTER_MS: Final = 3_300_000  # threads that are silent for an hour may be archived, and are not told of then
THREAD_NAME_MAX: Final = 80

log = structlog.get_logger()

Job = Callable[[], Awaitable[None]]


class Receiver:
    """One connection's worth."""

    def __init__(self, *, rest: Rest, intake: Intake, clock: Clock, memory: Memory) -> None:
        self._rest = rest
        self._intake = intake
        self._clock = clock
        self._memory = memory
        self._me = wire.Me(id="")
        self._spots: dict[str, wire.Spot] = {}
        self._lanes: dict[str, deque[tuple[int, Job]]] = {}  # by channel
        self._open: dict[int, int] = {}  # what is not committed yet: number -> from when it is
        self._awaited: set[str] = set()  # servers that Discord promised and has not described yet
        self._numbers = itertools.count()
        self._paging = asyncio.Semaphore(PAGES_AT_ONCE)
        self._ready = asyncio.Event()
        self._mark_ms = 0
        self._first_ms = 0  # when this bot connected for the first time
        self._directs: list[str] = []  # private chats, the latest last: Discord does not list them
        self._tasks = asyncio.TaskGroup()

    async def run(self, gateway_url: str) -> None:
        """Until the connection is lost, which is raised."""
        kept = await self._intake.recall(MARK)
        if kept.isdigit():
            self._mark_ms = wire.time_of(kept)
        else:
            self._mark_ms = self._clock.now_ms()
            await self._intake.note(MARK, wire.snowflake_at(self._mark_ms))
        first = await self._intake.recall(FIRST)
        self._first_ms = int(first) if first.isdigit() else self._mark_ms
        if not first:
            await self._intake.note(FIRST, str(self._first_ms))
        self._directs = [some for some in (await self._intake.recall(DIRECTS)).split(",") if some.isdigit()]
        async with self._tasks as tasks:
            tasks.create_task(listen(self._rest, gateway_url, self._hear, self._alive))
            tasks.create_task(self._become_ready())
            tasks.create_task(self._move_mark())

    # --- Evidence of traffic ----------------------------------------------------------------------------------------

    def _alive(self) -> None:
        self._memory.heard_at_ms = self._clock.now_ms()

    async def _become_ready(self) -> None:
        try:
            async with asyncio.timeout(READY_SECONDS_MAX):
                await self._ready.wait()
        except TimeoutError as error:
            raise RetryableError(words.NOT_READY) from error

    async def _move_mark(self) -> None:
        """Once a minute. Up to the last frame everything has come, and what is not committed is still open."""
        await self._ready.wait()
        while True:
            await asyncio.sleep(MARK_SECONDS)
            safe_ms = self.safe_ms()
            if safe_ms > self._mark_ms:
                self._mark_ms = safe_ms
                await self._intake.note(MARK, wire.snowflake_at(safe_ms))

    def safe_ms(self) -> int:
        """All that was said before is committed."""
        if self._awaited or not self._ready.is_set():
            return self._mark_ms
        return min([self._memory.heard_at_ms, *self._open.values()])

    # --- What comes in ----------------------------------------------------------------------------------------------

    def _hear(self, kind: str, data: Any) -> None:
        """Every event, in order; only looked at here, and put in its lane."""
        if not isinstance(data, dict):
            return
        match kind:
            case "READY":
                self._begin(data)
            case "RESUMED":
                self._memory.trouble = ""
            case "GUILD_CREATE":
                self._guild(data)
            case "GUILD_DELETE":
                self._awaited.discard(wire.id_of(data, "id"))
            case "CHANNEL_CREATE" | "CHANNEL_UPDATE" | "THREAD_CREATE" | "THREAD_UPDATE":
                self._learn({wire.id_of(data, "id"): wire.spot(data)})
            case "THREAD_LIST_SYNC":
                self._learn(wire.spots({"id": data.get("guild_id"), "threads": data.get("threads")}))
            case "CHANNEL_DELETE" | "THREAD_DELETE":
                self._spots.pop(wire.id_of(data, "id"), None)
                self._memory.threads.drop(wire.id_of(data, "id"))
            case "MESSAGE_CREATE" if wire.is_speech(data, self._me):
                self._enqueue(wire.id_of(data, "channel_id"), lambda: self._message(data))
            case "MESSAGE_UPDATE" if wire.is_speech(data, self._me):
                self._enqueue(wire.id_of(data, "channel_id"), lambda: self._edit(data))
            case "INTERACTION_CREATE":
                self._tasks.create_task(self._interact(data))
            case _:
                log.debug("discord.ignored", kind=kind)

    def _enqueue(self, lane: str, job: Job, from_ms: int | None = None) -> None:
        if len(self._open) >= WAITING_MAX:
            raise RetryableError(words.FLOOD)
        number = next(self._numbers)
        self._open[number] = self._clock.now_ms() if from_ms is None else from_ms
        if lane in self._lanes:
            self._lanes[lane].append((number, job))
        else:
            self._lanes[lane] = deque([(number, job)])
            self._tasks.create_task(self._work(lane))

    async def _work(self, lane: str) -> None:
        """A lane lives as long as there is something in it. Raises what keeps an event from being committed."""
        queue = self._lanes[lane]
        while queue:
            number, job = queue[0]
            await job()
            queue.popleft()
            del self._open[number]
        del self._lanes[lane]

    # --- Places -----------------------------------------------------------------------------------------------------

    def _begin(self, ready: wire.Data) -> None:
        """A new session: what was said before it has to be read."""
        self._me = wire.Me(id=wire.id_of(wire.dict_of(ready, "user"), "id"))
        self._memory.me = self._me.id
        self._memory.connected_at_ms = self._clock.now_ms()
        self._memory.trouble = ""
        application = wire.id_of(wire.dict_of(ready, "application"), "id") or self._me.id
        guilds = wire.list_of(ready, "guilds")
        self._awaited = {wire.id_of(guild, "id") for guild in guilds if guild.get("unavailable", True)}
        for guild in guilds:
            if not guild.get("unavailable", True):
                self._guild(guild)
        self._enqueue("direct", self._page_directs, self._mark_ms)
        self._tasks.create_task(self._sync_commands(application))
        self._ready.set()

    def _learn(self, spots: dict[str, wire.Spot]) -> None:
        self._spots.update(spots)
        for channel, spot in spots.items():
            if spot.parent:
                self._memory.threads.keep(channel, value=True)

    def _guild(self, guild: wire.Data) -> None:
        guild_id = wire.id_of(guild, "id")
        if not guild_id or guild.get("unavailable"):
            return
        self._me = wire.Me(id=self._me.id, roles=self._me.roles | wire.own_roles(guild, self._me.id))
        spots = wire.spots(guild)
        self._learn(spots)
        since = wire.snowflake_at(self._mark_ms - OVERLAP_MS)
        for channel, spot in spots.items():
            unread = spot.last_message is None or (spot.last_message and int(spot.last_message) > int(since))
            if spot.writable and unread:
                self._enqueue(channel, self._pager(channel, guild_id), self._mark_ms)
        if self._clock.now_ms() - self._mark_ms > ARCHIVED_AFTER_MS:
            self._enqueue(
                f"archived {guild_id}", lambda: self._page_archived(guild_id, frozenset(spots)), self._mark_ms
            )
        now_ms = self._clock.now_ms()
        added = wire.added(guild, now_ms)
        # Discord tells of every server at every connection: where the bot has long been, nobody waits for a greeting.
        if added is not None and wire.joined_ms(guild) >= min(self._first_ms, now_ms - NEWS_MS_MAX):
            self._enqueue(f"added {guild_id}", lambda: self._accept(added))
        self._awaited.discard(guild_id)

    async def _accept(self, event: Any) -> None:
        await self._intake.accept(event)

    async def _spot(self, message: wire.Data) -> wire.Spot:
        """Raises RetryableError: a thread taken for a channel would answer in the wrong place."""
        channel, guild = wire.id_of(message, "channel_id"), wire.id_of(message, "guild_id")
        known = self._spots.get(channel)
        if known is not None or not guild:
            return known or wire.Spot()
        try:
            found = await self._rest.call("GET", "/channels/{channel_id}", channel_id=channel)
        except RefusedError:
            return wire.Spot(guild=guild)
        self._learn({channel: wire.spot(found if isinstance(found, dict) else {}, guild)})
        return self._spots[channel]

    # --- What was said meanwhile ------------------------------------------------------------------------------------

    def _pager(self, channel: str, guild: str) -> Job:
        after = wire.snowflake_at(self._mark_ms - OVERLAP_MS)
        return lambda: self._page(channel, guild, after)

    async def _page(self, channel: str, guild: str, after: str) -> None:
        """All of a channel's history after that id, oldest first."""
        while True:
            query = {"after": after, "limit": str(PAGE)}
            found = await self._patiently(channel, query)
            messages = sorted((m for m in found if wire.id_of(m, "id")), key=lambda m: int(wire.id_of(m, "id")))
            for message in messages:
                await self._message({**message, "guild_id": guild, "channel_id": channel})
            if len(found) < PAGE or not messages:
                return
            after = wire.id_of(messages[-1], "id")

    async def _patiently(self, channel: str, query: dict[str, str]) -> Sequence[wire.Data]:
        """Messages, none where the bot may not read. Raises RetryableError after several tries."""
        path = "/channels/{channel_id}/messages"
        for n in itertools.count(1):
            try:
                async with self._paging:
                    found = await self._rest.call("GET", path, query=query, channel_id=channel)
                return wire.list_of({"found": found}, "found")
            except RefusedError:
                return ()
            except RetryableError as error:
                if n == TRIES_MAX:
                    raise
                await asyncio.sleep((error.retry_after_ms or 1_000 * n) / 1_000)
        raise AssertionError

    async def _page_directs(self) -> None:
        """Private chats that we know of."""
        places = [place.channel for place in await self._intake.threads(wire.NAME, wire.DIRECT)]
        for channel in dict.fromkeys((*self._directs, *places)):
            self._enqueue(channel, self._pager(channel, ""), self._mark_ms)

    async def _keep_direct(self, channel: str) -> None:
        """So that the next connection reads it."""
        if channel in self._directs:
            return
        self._directs = [*self._directs, channel][-DIRECTS_MAX:]
        await self._intake.note(DIRECTS, ",".join(self._directs))

    async def _page_archived(self, guild: str, active: frozenset[str]) -> None:
        """Threads of ours that have been silent so long that Discord does not list them."""
        for place in await self._intake.threads(wire.NAME, guild):
            if place.thread and place.thread not in active:
                self._learn({place.thread: wire.Spot(guild=guild, parent=place.channel)})
                self._enqueue(place.thread, self._pager(place.thread, guild), self._mark_ms)

    # --- Messages ---------------------------------------------------------------------------------------------------

    async def _message(self, data: wire.Data) -> None:
        where = await self._spot(data)
        event = wire.received(data, where, self._me)
        if event is None or not (event.addressed or await self._intake.concerns(event)):
            return
        if where.parent and event.addressed and not isinstance(wire.typed(event), CommandReceived):
            event = await self._with_earlier(event)
        if event.conversation.account == wire.DIRECT:
            await self._keep_direct(event.conversation.channel)
        typed = wire.typed(event)
        if isinstance(typed, MessageReceived) and not where.parent and typed.conversation.thread:
            self._memory.names.keep(typed.conversation.thread, one_line(typed.text, THREAD_NAME_MAX))
        await self._intake.accept(typed)

    async def _with_earlier(self, event: MessageReceived) -> MessageReceived:
        """What was said before in a thread that the team is new to; without it, if Discord is slow."""
        place = event.conversation
        if place in await self._intake.threads(wire.NAME, place.account):
            return event
        query = {"before": event.key.rsplit(":", 1)[-1], "limit": str(EARLIER_MAX)}
        path = "/channels/{channel_id}/messages"
        try:
            found = await self._rest.call("GET", path, query=query, seconds=EARLIER_SECONDS, channel_id=place.thread)
        except SignoffError as error:
            log.info("discord.no-earlier", why=str(error))
            return event
        messages = wire.list_of({"found": found}, "found")
        return msgspec.structs.replace(event, earlier=wire.quotes(reversed(messages), self._me) or event.earlier)

    async def _edit(self, data: wire.Data) -> None:
        found = wire.edited(data, await self._spot(data), self._me)
        if found is not None and (found[0].addressed or await self._intake.concerns(found[0])):
            await self._intake.accept(found[1])

    # --- Interactions -----------------------------------------------------------------------------------------------

    async def _interact(self, data: wire.Data) -> None:
        """What cannot be committed is not acknowledged, and Discord tells the person so."""
        some = wire.interaction(data)
        if some is None:
            log.debug("discord.ignored", kind="INTERACTION_CREATE", type=wire.number_of(data, "type"))
            return
        try:
            if not await self._opened_form(some):
                await self._take(some)
        except StoreFullError as error:
            log.error("discord.not-taken", key=some.event.key, why=str(error))  # noqa: TRY400  # no bug of ours

    async def _opened_form(self, some: wire.Interaction) -> bool:
        event = some.event
        if not isinstance(event, ControlPressed) or not forms.wants_form(event.control):
            return False
        if not await self._intake.knows(event.sender.account):
            return False
        card = await self._intake.card(event.control)
        form = forms.modal(event.control, card) if card is not None else None
        if form is not None:
            # A form that does not open is pressed for again: without its words the press would mean something else.
            await self._respond(some, {"type": 9, "data": form})
        return form is not None

    async def _take(self, some: wire.Interaction) -> None:
        handle = self._memory.handles.find(some.event.key)  # told again: the first may be acknowledged already
        if handle is None:
            handle = Handle(application=some.application, token=some.token, at_ms=self._clock.now_ms())
            self._memory.handles.keep(some.event.key, handle)
        if some.asks:
            await self._intake.accept(wire.asked(some, await self._anchor(some)))
        else:
            await self._intake.accept(some.event)
        is_command = isinstance(some.event, CommandReceived)
        if await self._respond(some, {"type": 5, "data": {"flags": 64}} if is_command else {"type": 6}):
            handle.acknowledged.set()
            if is_command:
                await self._take_back(handle)

    async def _respond(self, some: wire.Interaction, body: dict[str, Any]) -> bool:
        path = "/interactions/{interaction}/{webhook_token}/callback"
        try:
            await self._rest.call("POST", path, body=body, seconds=3.0, interaction=some.id, webhook_token=some.token)
        except SignoffError as error:
            log.info("discord.not-acknowledged", key=some.event.key, why=str(error))
            return False
        return True

    async def _take_back(self, handle: Handle) -> None:
        """Discord shows that the bot thinks until it answers there; what is answered in public is not seen to. What is
        private and comes later goes into the private chat.
        """
        try:
            async with asyncio.timeout(PROMISE_SECONDS):
                await handle.used.wait()
        except TimeoutError:
            handle.at_ms = 0
            path = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
            try:
                await self._rest.call("DELETE", path, webhook_id=handle.application, webhook_token=handle.token)
            except SignoffError as error:
                log.info("discord.still-thinking", why=str(error))

    async def _anchor(self, some: wire.Interaction) -> str:
        """A message for all to see what was asked, which gets the thread; "" where there is none, or not in time."""
        place, sender = some.event.conversation, some.event.sender
        if place.account == wire.DIRECT or not await self._intake.knows(sender.account):
            return ""
        text = fitted(common.asks(sender.name, some.asks), cards.CONTENT_MAX)
        body = {
            "content": text,
            "allowed_mentions": {"parse": []},
            "nonce": digest_of("anchor", some.id)[: cards.NONCE_MAX],
            "enforce_nonce": True,
        }
        path, channel = "/channels/{channel_id}/messages", place.thread or place.channel
        try:
            sent = await self._rest.call("POST", path, body=body, seconds=ANCHOR_SECONDS, channel_id=channel)
        except SignoffError as error:
            log.info("discord.no-anchor", key=some.event.key, why=str(error))
            return ""
        anchor = wire.id_of(sent if isinstance(sent, dict) else {}, "id")
        self._memory.names.keep(anchor, one_line(some.asks, THREAD_NAME_MAX))
        return anchor

    async def _sync_commands(self, application: str) -> None:
        """Only when they have changed: Discord allows few such calls."""
        menu = forms.commands(MENU)
        digest = forms.commands_digest(application, menu)
        if await self._intake.recall(COMMANDS) == digest:
            return
        path = "/applications/{application_id}/commands"
        try:
            await self._rest.call("PUT", path, body=menu, application_id=application)
        except SignoffError as error:
            log.warning("discord.no-commands", why=str(error))
            return
        await self._intake.note(COMMANDS, digest)
