"""What is done with what comes from Slack: commit, and do at once what cannot wait.

Laws of this file. A payload is answered after its event is committed, and not at all if it could not be. A form is
opened first, because its trigger lives three seconds. Order is kept within a conversation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, assert_never
from weakref import WeakValueDictionary

import msgspec
import structlog

from bots.slack import forms, payloads, wire, words
from bots.slack.errors import SlackPlaceError
from bots.slack.lookback import Lookback
from bots.slack.sending import Voice
from core.model.errors import SignoffError
from core.model.events import Event, MessageReceived, Quote
from core.ports import Clock, Intake

if TYPE_CHECKING:
    from bots.slack.web import Web

FORM_SECONDS: Final = 2.2  # a trigger lives 3 s, and the answer has to follow
AGAIN_SECONDS: Final = 0.6
ANCHOR_SECONDS: Final = 2.0
EARLIER_SECONDS: Final = 1.5
EARLIER_READ: Final = 200
SETTLED_MS: Final = 1_000  # how long what is live waits for what was missed, to keep the order
NAMES_MAX: Final = 500
ANCHORS_MAX: Final = 200

log = structlog.get_logger()


@dataclass(slots=True)
class Memory:
    """What outlives a connection, and may be lost: names of people, and the anchors of typed requests."""

    names: OrderedDict[str, str] = field(default_factory=OrderedDict)
    anchors: OrderedDict[str, str] = field(default_factory=OrderedDict)


class Hearing:
    """One for each connection."""

    def __init__(
        self, web: Web, me: wire.Me, intake: Intake, clock: Clock, voice: Voice, memory: Memory, lookback: Lookback
    ) -> None:
        self.lookback = lookback
        self.settled = asyncio.Event()  # what was missed before this connection has been read back
        self._patient_until_ms = 0
        self._web = web
        self._me = me
        self._intake = intake
        self._clock = clock
        self._voice = voice
        self._memory = memory
        self._lanes: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def hear(self, body: Any) -> str:
        """Take a payload. Returns what only its sender reads, "" for nothing. Raises StoreFullError and what else keeps
        it from being committed.
        """
        found = wire.read(body, self._me, self._clock.now_ms())
        self.lookback.heard()
        match found:
            case wire.Ignored(what=what, team=team):
                if team:
                    log.info("slack.other-workspace", kind=what, team=team)
                else:
                    log.debug("slack.ignored", kind=what)
            case wire.Spoken():
                await self._spoken(found)
            case wire.Rewritten():
                await self._rewritten(found)
            case wire.Asked():
                return await self._asked(found)
            case wire.Pressed():
                await self._pressed(found)
            case wire.Taken(event=event, response_url=url):
                await self._accept(event, url)
            case _:
                assert_never(found)
        return ""

    async def _accept(self, event: Event, response_url: str = "") -> bool:
        self._voice.remember(event.key, response_url)
        return await self._intake.accept(event)

    @contextlib.asynccontextmanager
    async def _lane(self, event: MessageReceived) -> AsyncIterator[None]:
        lock = self._lanes.setdefault(event.conversation.key, asyncio.Lock())
        async with lock:
            yield

    # --- Messages ---------------------------------------------------------------------------------------------------

    async def _spoken(self, found: wire.Spoken) -> None:
        """What came by itself lets what was missed go first, for a moment."""
        self.lookback.came(found.event.key, found.ts)
        async with self._lane(found.event):
            await self._settle()
            await self._take(found)

    async def _settle(self) -> None:
        """However much was missed, what is live has to be acknowledged: all of it together waits a moment only."""
        now_ms = self._clock.monotonic_ms()
        self._patient_until_ms = self._patient_until_ms or now_ms + SETTLED_MS
        if self.settled.is_set() or now_ms >= self._patient_until_ms:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout((self._patient_until_ms - now_ms) / 1000):
                await self.settled.wait()

    async def again(self, found: wire.Spoken) -> bool:
        """A message that was read back. True: it is for the team, and was not known."""
        # Its lane stays open to what is live: that waits for this, not the other way round.
        return await self._take(found)

    async def _take(self, found: wire.Spoken) -> bool:
        event = found.event
        self.lookback.came(event.key, found.ts)
        new = False
        if event.addressed or await self._intake.concerns(event):
            if event.addressed and found.thread and not found.ours:
                event = msgspec.structs.replace(event, earlier=await self._earlier(found))
            new = await self._accept(event)
            edit = wire.edit_of(found, self._me)
            if new:
                await self.lookback.first_read(found)
            elif edit is not None and not self.lookback.is_behind(event.key, found.edited):
                await self._accept(edit)
        self.lookback.kept(event.key, found.ts)
        return new

    async def _rewritten(self, found: wire.Rewritten) -> None:
        self.lookback.came(found.event.key, found.ts)
        async with self._lane(found.message):
            seen = self.lookback.is_behind(found.message.key, found.edited)
            if not seen and (found.message.addressed or await self._intake.concerns(found.message)):
                await self._accept(found.event)
        self.lookback.kept(found.event.key, found.ts)

    async def _earlier(self, found: wire.Spoken) -> tuple[Quote, ...]:
        """What was said in the thread before; nothing if it cannot be had in time."""
        channel, messages = found.event.conversation.channel, list[Any]()
        try:
            async with asyncio.timeout(EARLIER_SECONDS):
                pages = self._web.pages(
                    "conversations.replies",
                    "messages",
                    channel=channel,
                    ts=found.thread,
                    latest=found.ts,
                    limit=EARLIER_READ,
                )
                async for page in pages:
                    messages = [*messages, *page][-EARLIER_READ:]
                await self._learn_names([m for m in messages if isinstance(m, dict)][-wire.EARLIER_MAX - 1 :])
        except (SignoffError, TimeoutError) as error:
            log.info("slack.no-earlier", channel=channel, thread=found.thread, why=str(error))
        return wire.quotes(messages, found.ts, self._me, dict(self._memory.names))

    async def _learn_names(self, messages: list[dict[str, Any]]) -> None:
        names = self._memory.names
        for user in dict.fromkeys(str(message.get("user") or "") for message in messages):
            if user and user != self._me.user and user not in names:
                person = (await self._web.call("users.info", user=user)).get("user")
                profile = person.get("profile") if isinstance(person, dict) else None
                known = profile if isinstance(profile, dict) else {}
                names[user] = str(known.get("display_name") or known.get("real_name") or user)
                while len(names) > NAMES_MAX:
                    names.popitem(last=False)

    # --- Commands and buttons ---------------------------------------------------------------------------------------

    async def _asked(self, found: wire.Asked) -> str:
        """A typed request is answered in a thread below a message that says what was asked."""
        event, where, thread, note = found.event, found.event.conversation, "", ""
        if not where.channel.startswith("D") and await self._intake.knows(event.sender.account):
            try:
                thread = await self._anchor(found)
            except SlackPlaceError:
                note = words.NO_ACKNOWLEDGEMENT_PLACE
            except (SignoffError, TimeoutError) as error:
                log.info("slack.no-anchor", channel=where.channel, why=str(error))
        place = msgspec.structs.replace(where, thread=thread)
        await self._accept(msgspec.structs.replace(event, conversation=place), found.response_url)
        return note

    async def _anchor(self, found: wire.Asked) -> str:
        anchors = self._memory.anchors
        if found.event.key not in anchors:
            async with asyncio.timeout(ANCHOR_SECONDS):
                answer = await self._web.call("chat.postMessage", **payloads.anchor(found))
            anchors[found.event.key] = str(answer.get("ts") or "")
            while len(anchors) > ANCHORS_MAX:
                anchors.popitem(last=False)
        return anchors[found.event.key]

    async def _pressed(self, found: wire.Pressed) -> None:
        event = found.event
        if found.verb is not None and await self._intake.knows(event.sender.account):
            card = await self._intake.card(event.control)
            if card is not None and forms.is_wanted(found.verb, card):
                view = forms.modal(event.control, found.verb, card, event.conversation)
                await self._open(found, view)
                return
        await self._accept(event, found.response_url)

    async def _open(self, found: wire.Pressed, view: dict[str, Any]) -> None:
        try:
            async with asyncio.timeout(FORM_SECONDS):
                await self._web.call("views.open", trigger_id=found.trigger, view=view)
        except (SignoffError, TimeoutError) as error:
            log.info("slack.no-form", why=str(error))
            await self._press_again(found)

    async def _press_again(self, found: wire.Pressed) -> None:
        place, user = found.event.conversation, found.event.sender.account.partition(":")[2]
        try:
            async with asyncio.timeout(AGAIN_SECONDS):
                await self._web.call(
                    "chat.postEphemeral",
                    channel=place.channel,
                    user=user,
                    thread_ts=place.thread or None,
                    text=words.PRESS_AGAIN,
                )
        except (SignoffError, TimeoutError) as error:
            log.info("slack.press-again-lost", why=str(error))
