"""What was said while nobody listened, read back from Slack's history.

Laws of this file. The mark `slack.heard` is a moment up to which everything that was heard is committed: it only grows,
stops before whatever was heard and not committed, and stays where it is until all that was missed has been read back.
What is read back twice has the same key twice.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import structlog

from bots.slack import wire
from bots.slack.errors import SlackPlaceError, SlackRefusedError
from core.ports import Clock, Intake

if TYPE_CHECKING:
    from bots.slack.web import Web

MARK: Final = "slack.heard"
OVERLAP_MS: Final = 30_000
NOTE_MS: Final = 60_000
QUIET_MS: Final = 300_000  # after so long without an event, history is asked whether there should have been one
PAGE: Final = 200
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
        self._pending: dict[str, str] = {}  # heard and not committed: key, ts
        self._noted_ms = self._heard_ms = clock.monotonic_ms()

    async def begin(self) -> None:
        """Before connecting, or a live message would move the mark past what was missed."""
        self._mark = self._noted = await self._intake.recall(MARK)
        if wire.moment_ms(self._mark) is None:
            self._mark = self._noted = wire.moment_ts(self._clock.now_ms())
            await self._intake.note(MARK, self._mark)
        self._newest = self._mark

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

    async def keep(self, again: Again) -> bool:
        """Note the mark, at most once a minute. True: history has what should have come by itself and did not."""
        now_ms = self._clock.monotonic_ms()
        deaf = False
        if now_ms - self._heard_ms > QUIET_MS:
            self._heard_ms = now_ms
            deaf = await self.catch_up(again) > 0
        if now_ms - self._noted_ms >= NOTE_MS or deaf:
            self._noted_ms = now_ms
            await self._note()
        return deaf

    async def _note(self) -> None:
        mark = self._newest
        for ts in self._pending.values():
            mark = ts if wire.later(mark, ts) else mark
        if wire.later(mark, self._noted):
            await self._intake.note(MARK, mark)
            self._mark = self._noted = mark

    # --- Reading back -----------------------------------------------------------------------------------------------

    async def catch_up(self, again: Again) -> int:
        """Everything since the mark, in every conversation, each in order. How many messages were not known, and were
        said so long ago that they should have come by themselves.
        """
        since_ms = wire.moment_ms(self._mark) or 0
        since = wire.moment_ts(max(since_ms - OVERLAP_MS, 0))
        late = wire.moment_ts(max(self._clock.now_ms() - OVERLAP_MS, 0))
        threads: dict[str, set[str]] = {}
        for place in await self._intake.threads(wire.NAME, self._me.team):
            if place.thread:
                threads.setdefault(place.channel, set()).add(place.thread)
        missed = 0
        channels = [
            channel["id"]
            async for page in self._web.pages(
                "users.conversations", "channels", patient=True, types=KINDS, exclude_archived=True, limit=PAGE
            )
            for channel in page
            if isinstance(channel, dict) and isinstance(channel.get("id"), str)
        ]
        for channel in channels:
            try:
                found = await self._since(channel, since, threads.get(channel, set()))
            except (SlackPlaceError, SlackRefusedError) as error:  # archived or left a moment ago
                log.info("slack.no-history", channel=channel, why=str(error))
                continue
            for spoken in found:
                if await again(spoken) and wire.later(late, spoken.ts):
                    missed += 1
        return missed

    async def _since(self, channel: str, since: str, known: set[str]) -> list[wire.Spoken]:
        """A channel's messages after a moment, those in threads too, oldest first. One page at least is read, because
        parents of older threads tell there whether something was said in them.
        """
        found: dict[str, wire.Spoken] = {}
        parents = set(known)
        async for page in self._web.pages(
            "conversations.history", "messages", patient=True, channel=channel, limit=PAGE
        ):
            messages = [message for message in page if isinstance(message, dict)]
            for message in messages:
                self._take(found, message, channel, since)
                ts = str(message.get("ts"))
                if wire.later(str(message.get("latest_reply") or ""), since):
                    parents.add(ts)
                else:
                    parents.discard(ts)
            if not messages or not wire.later(str(messages[-1].get("ts")), since):
                break
        for parent in sorted(parents):
            try:
                async for page in self._web.pages(
                    "conversations.replies",
                    "messages",
                    patient=True,
                    channel=channel,
                    ts=parent,
                    oldest=since,
                    limit=PAGE,
                ):
                    for message in page:
                        self._take(found, message, channel, since)
            except (SlackPlaceError, SlackRefusedError) as error:
                log.info("slack.no-thread", channel=channel, thread=parent, why=str(error))
        return [found[ts] for ts in sorted(found, key=wire.moment)]

    def _take(self, found: dict[str, wire.Spoken], message: Any, channel: str, since: str) -> None:
        spoken = wire.message({**message, "channel": channel}, self._me) if isinstance(message, dict) else None
        if spoken is not None and (wire.later(spoken.ts, since) or wire.later(spoken.edited, since)):
            found[spoken.ts] = spoken
