"""Saying things in Slack, and finding out whether they were said.

Laws of this file. One part is one message and one receipt, "<channel>:<ts>". A message carries the id of what it shows
in its metadata, so that after an unknown outcome history knows. What is private is never said in public.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, assert_never

import msgspec
import structlog

from bots.slack import payloads, wire, words
from bots.slack.cards import Message, Piece, Shared, Upload, pieces
from bots.slack.errors import SlackPlaceError, SlackRefusedError, SlackUnreadError
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    RateLimitedError,
    RetryableError,
    SignoffError,
    TerminalError,
)
from core.model.views import Line, Post, View
from core.ports import Clock, Shelf

if TYPE_CHECKING:
    from bots.slack.web import Web

SKEW_MS: Final = 60_000  # how far our clock may be from Slack's
PACE_MS: Final = 1_000  # one message a second in a channel that was once too many
PACED_MS: Final = 300_000
WAYS_MAX: Final = 1_000
LONG_MAX: Final = 8
WAY_MS: Final = 29 * 60_000  # a response_url is good for 30 minutes
PRIVATE: Final = "private"
NOTHING: Final = "nothing"

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Way:
    """A response_url, and until when it is good."""

    url: str
    until_ms: int


@dataclass(slots=True)
class _Slow:
    """A channel that Slack found too loud: when the next message may come, and until when they are counted."""

    next_ms: int
    until_ms: int


class Voice:
    """One for the life of the process."""

    def __init__(self, *, clock: Clock, shelf: Shelf, zone: str) -> None:
        self._clock = clock
        self._shelf = shelf
        self._zone = zone
        self._by_name = True  # the app may speak under a role's name, as far as is known
        self._slow: dict[str, _Slow] = {}
        self._ways: OrderedDict[str, _Way] = OrderedDict()
        self._directs: OrderedDict[str, str] = OrderedDict()  # private channels by user
        self._long: OrderedDict[str, tuple[View, tuple[Piece, ...]]] = OrderedDict()

    def remember(self, event: str, response_url: str) -> None:
        """Where the person who caused the event can be answered privately, for half an hour."""
        if response_url:
            self._ways[event] = _Way(response_url, self._clock.monotonic_ms() + WAY_MS)
            while len(self._ways) > WAYS_MAX:
                self._ways.popitem(last=False)

    def pieces(self, post: Post) -> tuple[Piece, ...]:
        """The messages and files of a post. Those of a long one are asked for once a part and more: they are kept."""
        kept = self._long.get(post.id)
        if kept is not None and kept[0] == post.view:
            return kept[1]
        found = pieces(post.view, self._zone)
        if len(found) > 1:
            self._long[post.id] = post.view, found
            while len(self._long) > LONG_MAX:
                self._long.popitem(last=False)
        return found

    # --- Sending ----------------------------------------------------------------------------------------------------

    async def send(self, web: Web, post: Post, edits: str, part: int) -> str:
        """As ports.Platform.send."""
        post = await self._placed(web, post)
        piece = self.pieces(post)[part]
        if isinstance(post.view, Line) and post.view.private:
            return await self._whisper(web, post, post.view, piece)
        match piece:
            case Message():
                channel, _, ts = edits.partition(":")
                if wire.moment_ms(ts) is not None and await self._update(web, post, part, piece, channel, ts):
                    return edits
                return await self._post(web, post, part, piece)
            case Upload() | Shared():
                return edits or await self._upload(web, post, part, piece)
            case _:
                assert_never(piece)

    async def _placed(self, web: Web, post: Post) -> Post:
        """A post for one person's private chat goes to the channel Slack has for it."""
        place = post.conversation
        user = wire.addressee(place)
        if not user:
            return post
        if user not in self._directs:
            self._directs[user] = await _opened(web, user)
            while len(self._directs) > WAYS_MAX:
                self._directs.popitem(last=False)
        return msgspec.structs.replace(post, conversation=msgspec.structs.replace(place, channel=self._directs[user]))

    async def _update(self, web: Web, post: Post, part: int, piece: Message, channel: str, ts: str) -> bool:
        """False: the message is gone, or no longer ours to change."""
        payload = payloads.updated(post, part, piece, ts, channel, by_name=self._by_name)
        try:
            await web.call("chat.update", again=True, **payload)
        except SlackRefusedError as error:
            if error.code in {"message_not_found", "cant_update_message", "edit_window_closed"}:
                return False
            raise
        return True

    async def _post(self, web: Web, post: Post, part: int, piece: Message) -> str:
        channel = post.conversation.channel
        self._pace(channel)
        payload = payloads.posted(post, part, piece, by_name=self._by_name)
        try:
            answer = await web.call("chat.postMessage", **payload)
        except RateLimitedError as error:
            raise self._slowed(channel, error) from error
        except SlackRefusedError as error:
            if error.code != "missing_scope" or not self._by_name or "username" not in payload:
                raise
            self._by_name = False  # chat:write.customize was not granted: names go into the text
            answer = await web.call("chat.postMessage", **payloads.posted(post, part, piece, by_name=False))
        ts = answer.get("ts")
        if not isinstance(ts, str) or wire.moment_ms(ts) is None:
            raise AmbiguousError(words.NO_ANSWER)
        return f"{answer.get('channel') or channel}:{ts}"

    async def _upload(self, web: Web, post: Post, part: int, piece: Upload | Shared) -> str:
        """Nobody sees a file before it is completed, so only that can be ambiguous."""
        name, body = self._content(piece)
        if not name:
            return NOTHING
        place = await web.call("files.getUploadURLExternal", filename=name, length=len(body))
        number, url = place.get("file_id"), place.get("upload_url")
        if not isinstance(number, str) or not isinstance(url, str):
            raise RetryableError(words.NO_ANSWER)
        await web.put(url, body)
        await web.call(
            "files.completeUploadExternal",
            files=json.dumps([{"id": number, "title": payloads.file_title(name, post, part)}]),
            channel_id=post.conversation.channel,
            thread_ts=post.conversation.thread or None,
        )
        return f"{post.conversation.channel}:file:{number}"

    def _content(self, piece: Upload | Shared) -> tuple[str, bytes]:
        """Name and bytes; no name for an artifact that is no file. Slack takes no empty file."""
        if isinstance(piece, Upload):
            return piece.name, piece.body or b"\n"
        found = self._shelf.read(piece.artifact)
        return (payloads.file_name(found[0]), found[1] or b"\n") if found else ("", b"")

    # --- Not too fast -----------------------------------------------------------------------------------------------

    def _pace(self, channel: str) -> None:
        """Slack says when a channel hears too much; from then on, and for a while, it hears a message a second. The
        outbox does the waiting.
        """
        slow, now_ms = self._slow.get(channel), self._clock.monotonic_ms()
        if slow is None:
            return
        if now_ms >= slow.until_ms:
            del self._slow[channel]
        elif now_ms < slow.next_ms:
            wait_ms = slow.next_ms - now_ms
            raise RateLimitedError(words.SLOW_DOWN, retry_after_ms=wait_ms, scope="conversation")
        else:
            slow.next_ms = now_ms + PACE_MS

    def _slowed(self, channel: str, error: RateLimitedError) -> RateLimitedError:
        """Slack does not say what it limits: two channels at once are taken for everything."""
        now_ms, wait_ms = self._clock.monotonic_ms(), error.retry_after_ms or PACE_MS
        others = any(name != channel and slow.next_ms > now_ms + PACE_MS for name, slow in self._slow.items())
        self._slow[channel] = _Slow(now_ms + wait_ms, now_ms + wait_ms + PACED_MS)
        scope = "account" if others else "conversation"
        return RateLimitedError(error.what, retry_after_ms=wait_ms, scope=scope)

    # --- In private -------------------------------------------------------------------------------------------------

    async def _whisper(self, web: Web, post: Post, line: Line, piece: Piece) -> str:
        """To one person, by the best way that works; if none does, the log has it and nobody else."""
        user = line.to.partition(":")[2]
        channel = post.conversation.channel
        content = payloads.whispered(piece) if isinstance(piece, Message) else {}
        way = self._ways.get(line.event)
        hook = way.url if way and self._clock.monotonic_ms() < way.until_ms else ""
        tries = ["hook"] if hook and not post.conversation.thread else []
        tries += ["here", "hook"] if line.event else []
        if channel.startswith("D"):
            tries = ["direct"]
        for how in (*dict.fromkeys(tries), "alone"):
            try:
                match how:
                    case "hook" if hook:
                        answer = {"response_type": "ephemeral", "replace_original": False}
                        await web.respond(hook, {**content, **answer})
                        return PRIVATE
                    case "here" if user and channel:
                        thread = post.conversation.thread or None
                        await web.call("chat.postEphemeral", channel=channel, user=user, thread_ts=thread, **content)
                        return PRIVATE
                    case "direct":
                        return await self._post(web, post, 0, piece) if isinstance(piece, Message) else PRIVATE
                    case "alone" if user:
                        alone = await _opened(web, user)
                        await web.call("chat.postMessage", channel=alone, **content, **payloads.QUIET)
                        return PRIVATE
                    case _:
                        pass
            except SignoffError as error:
                log.info("slack.private-line", way=how, why=str(error))
        log.warning("slack.private-line-lost", post=post.id)
        return PRIVATE

    # --- Looking back -----------------------------------------------------------------------------------------------

    async def find(self, web: Web, post: Post, edits: str, part: int) -> str | None:
        """As ports.Platform.find_sent."""
        if edits or (isinstance(post.view, Line) and post.view.private):
            return None
        piece = self.pieces(post)[part]
        title = ""
        if isinstance(piece, Upload | Shared):
            name, _ = self._content(piece)
            if not name:
                return NOTHING
            title = payloads.file_title(name, post, part)
        try:
            post = await self._placed(web, post)
            channel = post.conversation.channel
            async for page in self._said_since(web, post):
                for message in page:
                    if not title and (ts := payloads.holds(message, post, part)):
                        return f"{channel}:{ts}"
                    if title and (number := payloads.holds_file(message, title)):
                        return f"{channel}:file:{number}"
        except AuthenticationError as error:
            raise RetryableError(error.what, error.remedy) from error
        except SlackPlaceError:
            return None  # sending will say so
        except (TerminalError, SlackUnreadError) as error:
            raise AmbiguousError(error.what, error.remedy) from error
        return None

    def _said_since(self, web: Web, post: Post) -> AsyncIterator[list[Any]]:
        place = post.conversation
        since: dict[str, Any] = {
            "channel": place.channel,
            "oldest": wire.moment_ts(max(post.at_ms - SKEW_MS, 0)),
            "limit": 200,
            "include_all_metadata": True,
        }
        if place.thread:
            return web.pages("conversations.replies", "messages", ts=place.thread, **since)
        return web.pages("conversations.history", "messages", **since)


async def _opened(web: Web, user: str) -> str:
    """The channel in which the bot and this user are alone."""
    channel = (await web.call("conversations.open", again=True, users=user)).get("channel")
    number = channel.get("id") if isinstance(channel, dict) else None
    if not isinstance(number, str) or not number:
        raise RetryableError(words.NO_ANSWER)
    return number
