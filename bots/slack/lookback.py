"""What was said while nobody listened, read back from Slack's history.

Laws of this file. The mark `slack.heard` is a moment up to which everything that was heard is committed: it only grows,
stops before whatever was heard and not committed, and is never moved past what has not been read back. What is read
back twice has the same key twice. A message that was first read as it was after an edit has that edit behind it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from bots.slack import wire
from bots.slack.errors import SlackPlaceError, SlackRefusedError, SlackUnreadError
from core.ports import Clock, Intake

if TYPE_CHECKING:
    from bots.slack.web import Web

MARK: Final = "slack.heard"
EDITS: Final = "slack.edits"
EDITS_MAX: Final = 100
OVERLAP_MS: Final = 30_000
NOTE_MS: Final = 60_000
QUIET_MS: Final = 300_000  # after so long without an event, history is asked whether there should have been one
PAGE: Final = 200
HELD_MAX: Final = 10_000  # messages of one channel; of more the oldest are taken first, and the others next time
BACK_MS: Final = 7 * 24 * 3_600_000  # how old a thread may be that goes on after the mark, unless the team is in it
BACK_PAGES: Final = 5
KINDS: Final = "public_channel,private_channel,mpim,im"

log = structlog.get_logger()

Again = Callable[[wire.Spoken], Awaitable[bool]]
"""Takes a message that was read back. True: it was not known."""


class Lookback:
    """One for each connection."""

    def __init__(self, web: Web, me: wire.Me, intake: Intake, clock: Clock) -> None:
        self._web = web
        self._me = me
        self._intake = intake
        self._clock = clock
        self._mark = ""
        self._noted = ""
        self._newest = ""
        self._read = ""  # what was said after this moment is still to be read, so the mark stops there; "" for nothing
        self._edits: OrderedDict[str, str] = OrderedDict()  # key of a message, ts of the edit it was first read after
        self._pending: dict[str, str] = {}  # heard and not committed: key, ts
        self._noted_ms = self._heard_ms = clock.monotonic_ms()

    async def begin(self) -> None:
        """Before connecting, or a live message would move the mark past what was missed."""
        self._mark = self._noted = await self._intake.recall(MARK)
        if wire.moment_ms(self._mark) is None:
            self._mark = self._noted = wire.moment_ts(self._clock.now_ms())
            await self._intake.note(MARK, self._mark)
        self._newest = self._mark
        self._edits = OrderedDict(_edits(await self._intake.recall(EDITS)))

    def heard(self) -> None:
        """Something came by itself: the connection is not deaf."""
        self._heard_ms = self._clock.monotonic_ms()

    def came(self, key: str, ts: str) -> None:
        """A message came, and is not committed yet."""
        self._pending[key] = ts

    def kept(self, key: str, ts: str) -> None:
        """It is committed, or not for the team."""
        self._pending.pop(key, None)
        if wire.later(ts, self._newest):
            self._newest = ts

    async def first_read(self, found: wire.Spoken) -> None:
        """It was not known before, and is known as it was after its last edit."""
        if found.edited:
            self._edits[found.event.key] = found.edited
            self._edits.move_to_end(found.event.key)
            while len(self._edits) > EDITS_MAX:
                self._edits.popitem(last=False)
            await self._intake.note(EDITS, msgspec.json.encode(self._edits).decode())

    def is_behind(self, message: str, edited: str) -> bool:
        """This edit of a message had been made when it was first read."""
        return not wire.later(edited, self._edits.get(message, ""))

    async def keep(self, again: Again) -> bool:
        """Note the mark, at most once a minute. True: history has what should have come by itself and did not."""
        now_ms = self._clock.monotonic_ms()
        deaf = False
        if self._read:
            await self.catch_up(again)
        elif now_ms - self._heard_ms > QUIET_MS:
            self._heard_ms = now_ms
            deaf = await self.catch_up(again, back=False) > 0
        if now_ms - self._noted_ms >= NOTE_MS or deaf:
            self._noted_ms = now_ms
            await self._note()
        return deaf

    async def _note(self) -> None:
        mark = self._newest
        for ts in (*self._pending.values(), *filter(None, (self._read,))):
            mark = ts if wire.later(mark, ts) else mark
        if wire.later(mark, self._noted):
            await self._intake.note(MARK, mark)
            self._mark = self._noted = mark

    # --- Reading back -----------------------------------------------------------------------------------------------

    async def catch_up(self, again: Again, *, back: bool = True) -> int:
        """Everything since the mark, in every conversation, each in order; or as much of it as can be held, and the
        next call goes on there. How many messages were not known, and were said so long ago that they should have come
        by themselves. `back`: threads that began before the mark are looked for, too, as far as that is worth it.
        """
        since_ms = wire.moment_ms(self._mark) or 0
        since = self._read or wire.moment_ts(max(since_ms - OVERLAP_MS, 0))
        late = wire.moment_ts(max(self._clock.now_ms() - OVERLAP_MS, 0))
        threads: dict[str, set[str]] = {}
        for place in await self._intake.threads(wire.NAME, self._me.team):
            if place.thread:
                threads.setdefault(place.channel, set()).add(place.thread)
        missed, read = 0, ""
        for channel in await self._channels():
            one = _Channel(self._web, self._me, channel, since, threads.get(channel, set()))
            try:
                found = await one.said(BACK_PAGES if back else 0)
            except (SlackPlaceError, SlackRefusedError) as error:  # archived or left a moment ago
                log.info("slack.no-history", channel=channel, why=str(error))
                continue
            if one.read:
                log.warning("slack.more-to-read", channel=channel, read=one.read)
                read = one.read if not read or wire.later(read, one.read) else read
            for spoken in found:
                if await again(spoken) and wire.later(late, spoken.ts):
                    missed += 1
        self._read = read
        return missed

    async def _channels(self) -> list[str]:
        pages = self._web.pages(
            "users.conversations",
            "channels",
            patient=True,
            whole=True,
            types=KINDS,
            exclude_archived=True,
            limit=PAGE,
        )
        listed = [channel async for page in pages for channel in page if isinstance(channel, dict)]
        return [channel["id"] for channel in listed if isinstance(channel.get("id"), str)]


class _Channel:
    """A channel's messages after a moment. `read`: only those up to then could be held, "" for all of them."""

    def __init__(self, web: Web, me: wire.Me, channel: str, since: str, threads: set[str]) -> None:
        self.read = ""
        self._web = web
        self._me = me
        self._channel = channel
        self._since = since
        self._parents = set(threads)
        self._found: OrderedDict[str, wire.Spoken] = OrderedDict()

    async def said(self, back_pages: int) -> list[wire.Spoken]:
        """Those in threads too, oldest first."""
        await self._history(back_pages)
        for parent in sorted(self._parents):
            try:
                await self._replies(parent)
            except (SlackPlaceError, SlackRefusedError) as error:
                log.info("slack.no-thread", channel=self._channel, thread=parent, why=str(error))
        return sorted(self._found.values(), key=lambda spoken: wire.moment(spoken.ts))

    async def _history(self, back_pages: int) -> None:
        """From now back to the moment, and some pages more: a parent tells there whether something was said below it
        since. One page at least is read.
        """
        back = wire.moment_ts(max((wire.moment_ms(self._since) or 0) - BACK_MS, 0))
        beyond_n = -1  # the page on which the moment lies is no page more
        async for page in self._web.pages(
            "conversations.history", "messages", patient=True, whole=True, channel=self._channel, limit=PAGE
        ):
            messages = [message for message in page if isinstance(message, dict)]
            for message in messages:
                self._take(message)
                ts = str(message.get("ts"))
                if wire.later(str(message.get("latest_reply") or ""), self._since):
                    self._parents.add(ts)
                else:
                    self._parents.discard(ts)
            while len(self._found) > HELD_MAX:
                self._found.popitem(last=False)
                self.read = next(iter(self._found))
            oldest = str(messages[-1].get("ts")) if messages else ""
            if oldest and not wire.later(oldest, self._since):
                beyond_n += 1
                if beyond_n >= back_pages or not wire.later(oldest, back):
                    break

    async def _replies(self, parent: str) -> None:
        last = ""
        try:
            async for page in self._web.pages(
                "conversations.replies",
                "messages",
                patient=True,
                channel=self._channel,
                ts=parent,
                oldest=self._since,
                limit=PAGE,
            ):
                for message in page:
                    self._take(message)
                    last = str(message.get("ts")) if isinstance(message, dict) else last
        except SlackUnreadError:
            self.read = last if not self.read or wire.later(self.read, last) else self.read

    def _take(self, message: Any) -> None:
        spoken = wire.message({**message, "channel": self._channel}, self._me) if isinstance(message, dict) else None
        if spoken is not None and (wire.later(spoken.ts, self._since) or wire.later(spoken.edited, self._since)):
            self._found[spoken.ts] = spoken


def _edits(noted: str) -> dict[str, str]:
    try:
        return msgspec.json.decode(noted or "{}", type=dict[str, str])
    except msgspec.MsgspecError:
        return {}
