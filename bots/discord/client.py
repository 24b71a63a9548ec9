"""Discord as a platform: what a process that runs for months keeps, and how posts get there.

Sending is KEYED: a message carries a nonce made of its post's id, and Discord shows two with one nonce once, for some
minutes; after these we look for it in the channel's history. Law: what may be another of our messages is not taken for
the one that is looked for. To say a thing twice is better than never.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import msgspec
import structlog

from bots.discord import cards, wire, words
from bots.discord.memory import HANDLE_MS_MAX, Memory
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    RateLimitedError,
    RetryableError,
    SignoffError,
    TerminalError,
)
from core.model.events import Attachment, Conversation
from core.model.views import Line, Post, StatusLine
from core.ports import Clock, Health, Ids, Intake, Platform, Sending, Shelf

if TYPE_CHECKING:
    from types import ModuleType

    from bots.discord.rest import RefusedError, Rest

TOKEN: Final = "DISCORD_BOT_TOKEN"  # noqa: S105  # its name
API_URL: Final = "SIGNOFF_DISCORD_API_URL"
GATEWAY_URL: Final = "SIGNOFF_DISCORD_GATEWAY_URL"

NONCE_MS_MAX: Final = 120_000
LOOK_BACK_MS: Final = 10_000  # our clock and Discord's may differ
START_MS: Final = 1_000  # what an earlier process sent is older than this
PAGES_MAX: Final = 5
PAGE: Final = 100
TYPING_MS: Final = 8_000  # Discord shows it for ten seconds
TYPING_SECONDS: Final = 2.0
THREAD_SECONDS: Final = 8.0
CARD: Final = "card"
ACKNOWLEDGED_SECONDS: Final = 3.0
FETCH_BYTES_MAX: Final = 20_000_000
ARCHIVE_MINUTES: Final = 1_440
PRIVATELY: Final = "private:"

log = structlog.get_logger()


def configured(settings: Mapping[str, str]) -> bool:
    """Whether there is a token."""
    return bool(settings.get(TOKEN, "").strip())


class Discord(Platform):
    """One bot, in as many servers as it was invited to."""

    def __init__(self, settings: Mapping[str, str], *, clock: Clock, ids: Ids, zone: str, shelf: Shelf) -> None:
        self._settings = settings
        self._clock = clock
        self._shelf = shelf
        self._memory = Memory()
        self._rest: Rest | None = None

    @property
    def name(self) -> str:
        return wire.NAME

    @property
    def sending(self) -> Sending:
        return Sending.KEYED

    def health(self) -> Health:
        memory = self._memory
        return Health(
            connected_at_ms=memory.connected_at_ms,
            heard_at_ms=memory.heard_at_ms,
            sent_at_ms=memory.sent_at_ms,
            trouble=memory.trouble,
        )

    # --- Receiving --------------------------------------------------------------------------------------------------

    async def run(self, intake: Intake) -> None:
        if not configured(self._settings):
            raise AuthenticationError(words.SIGN_IN_MISSING, words.SIGN_IN_REMEDY)
        receiving = await _module("receiving")
        try:
            rest = self._rest = await self._open()
            try:
                receiver = receiving.Receiver(rest=rest, intake=intake, clock=self._clock, memory=self._memory)
                await receiver.run(self._settings.get(GATEWAY_URL, ""))
            finally:
                self._rest = None
                await rest.close()
        except SignoffError as error:
            self._memory.trouble = str(error)
            raise
        except BaseExceptionGroup as group:
            self._memory.trouble = str(reason := _reason(group))
            raise reason from group

    async def _open(self) -> Rest:
        rest: type[Rest] = (await _module("rest")).Rest
        return await rest.open(self._settings.get(TOKEN, "").strip(), self._settings.get(API_URL, ""))

    @asynccontextmanager
    async def _session(self) -> AsyncIterator[Rest]:
        """The running connection's, or one of its own between connections. A refused token may be mended: wait."""
        if self._rest is not None:
            yield self._rest
            return
        try:
            rest = await self._open()
        except AuthenticationError as error:
            raise RetryableError(error.what, error.remedy) from error
        try:
            yield rest
        finally:
            await rest.close()

    # --- Sending ----------------------------------------------------------------------------------------------------

    def parts(self, post: Post) -> int:
        return len(cards.messages(post.view))

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        message = await self._message(post, part)
        async with self._session() as rest:
            post = await self._placed(rest, post)
            if isinstance(post.view, Line) and post.view.private:
                await self._whisper(rest, post, post.view, part, message)
                receipt = PRIVATELY
            else:
                receipt = await self._edit(rest, edits, message) or await self._create(rest, post, part, message)
                if _is_replaced(edits, message):
                    await self._remove(rest, edits)
            self._memory.sent_at_ms = self._clock.now_ms()
            if isinstance(post.view, StatusLine) and not post.view.done:
                await self._type(rest, receipt.partition(":")[0])
        return receipt

    async def _placed(self, rest: Rest, post: Post) -> Post:
        """A post for one person's private chat goes to the channel Discord has for it."""
        place = post.conversation
        user = wire.addressee(place)
        if not user:
            return post
        channel = self._memory.directs.find(user)
        if channel is None:
            channel = await self._direct(rest, f"{wire.NAME}:{user}")
            self._memory.directs.keep(user, channel)
        return msgspec.structs.replace(post, conversation=msgspec.structs.replace(place, channel=channel))

    async def _message(self, post: Post, part: int) -> cards.Message:
        message = cards.messages(post.view)[part]
        if not message.artifact:
            return message
        return cards.attached(message, await asyncio.to_thread(self._shelf.read, message.artifact))

    async def _edit(self, rest: Rest, receipt: str, message: cards.Message) -> str:
        """The receipt, or "" where there is nothing to edit any more. Text becomes a card when its text is taken away;
        a card never becomes text again.
        """
        channel, was_card, sent = _parsed(receipt)
        if not sent or _is_replaced(receipt, message):
            return ""
        becomes: cards.Body = (
            {"content": None, "embeds": [], "attachments": []} if message.is_card and not was_card else {}
        )
        for again in (False, True):
            try:
                await rest.call(
                    "PATCH",
                    "/channels/{channel_id}/messages/{message_id}",
                    body={**message.body, **becomes},
                    upload=message.upload,
                    waits=False,
                    channel_id=channel,
                    message_id=sent,
                )
            except TerminalError as error:
                code = getattr(error, "code", 0)
                if code == wire.UNKNOWN_MESSAGE:
                    return ""
                if code != wire.THREAD_ARCHIVED or again:
                    raise
                body = {"archived": False}
                await rest.call("PATCH", "/channels/{channel_id}", body=body, waits=False, channel_id=channel)
            else:
                break
        return _receipt(channel, sent, is_card=message.is_card)

    async def _remove(self, rest: Rest, receipt: str) -> None:
        """What another message stands for now. If it cannot be removed, its buttons say so when they are pressed."""
        channel, _, sent = _parsed(receipt)
        path = "/channels/{channel_id}/messages/{message_id}"
        try:
            await rest.call("DELETE", path, seconds=THREAD_SECONDS, channel_id=channel, message_id=sent)
        except SignoffError as error:
            log.info("discord.not-removed", why=str(error))

    async def _create(self, rest: Rest, post: Post, part: int, message: cards.Message) -> str:
        place = post.conversation
        target, refused = await self._target(rest, place)
        try:
            return await self._post(rest, target, post, part, message)
        except TerminalError as error:
            if getattr(error, "code", 0) != wire.UNKNOWN_CHANNEL or not place.thread or target == place.channel:
                raise
            self._memory.threads.drop(place.thread)
            # There never was a thread: it may not be made, or the message that it would belong to was taken back.
            if refused is None or (refused.status != 403 and refused.code != wire.UNKNOWN_MESSAGE):
                raise
            self._memory.threads.keep(place.thread, value=False)
            return await self._post(rest, place.channel, post, part, message)

    async def _post(self, rest: Rest, channel: str, post: Post, part: int, message: cards.Message) -> str:
        body, key = cards.marked(message.body, post, part), cards.nonce(post, part)
        if answers := _answered(post, channel):
            body["message_reference"] = {"message_id": answers, "fail_if_not_exists": False}
        if self._memory.tried.find(key) is None:
            began_ms = self._clock.now_ms() - START_MS
            newest = self._memory.last.find(channel) or int(wire.snowflake_at(began_ms))
            self._memory.tried.keep(key, newest)
        sent = await rest.call(
            "POST",
            "/channels/{channel_id}/messages",
            body=body,
            upload=message.upload,
            creates=True,
            waits=False,
            channel_id=channel,
        )
        number = wire.id_of(sent if isinstance(sent, dict) else {}, "id")
        if not number:
            raise AmbiguousError(words.UNKNOWN_OUTCOME)
        self._memory.sent.keep(number, key)
        self._memory.last.keep(channel, int(number))
        return _receipt(channel, number, is_card=message.is_card)

    async def _target(self, rest: Rest, place: Conversation) -> tuple[str, RefusedError | None]:
        """Where to post; the thread is made from the message it belongs to if it is not there. With what Discord said
        if it would not make one: the thread may still be there, made in another way.
        """
        if not place.thread or place.account == wire.DIRECT:
            return place.channel, None
        known = self._memory.threads.find(place.thread)
        if known is not None:
            return (place.thread if known else place.channel), None
        refusal: type[RefusedError] = (await _module("rest")).RefusedError
        name = self._memory.names.find(place.thread) or words.THREAD
        try:
            await rest.call(
                "POST",
                "/channels/{channel_id}/messages/{message_id}/threads",
                body={"name": name, "auto_archive_duration": ARCHIVE_MINUTES},
                waits=False,
                seconds=THREAD_SECONDS,
                channel_id=place.channel,
                message_id=place.thread,
            )
        except refusal as error:
            if error.code != wire.THREAD_EXISTS:
                return place.thread, error
        self._memory.threads.keep(place.thread, value=True)
        return place.thread, None

    async def _type(self, rest: Rest, channel: str) -> None:
        now_ms = self._clock.now_ms()
        if now_ms - (self._memory.typed_at_ms.find(channel) or 0) < TYPING_MS:
            return
        self._memory.typed_at_ms.keep(channel, now_ms)
        try:
            path = "/channels/{channel_id}/typing"
            await rest.call("POST", path, waits=False, seconds=TYPING_SECONDS, channel_id=channel)
        except SignoffError as error:
            log.debug("discord.not-typing", why=str(error))

    # --- Private lines ----------------------------------------------------------------------------------------------

    async def _whisper(self, rest: Rest, post: Post, line: Line, part: int, message: cards.Message) -> None:
        """Where only one person sees it, or nowhere. Raises RateLimitedError: a limit only takes time."""
        try:
            if await self._ephemeral(rest, line, message):
                return
            place = post.conversation
            channel = place.channel if place.account == wire.DIRECT else await self._direct(rest, line.to)
            await self._post(rest, channel, post, part, message)
        except RateLimitedError:
            raise
        except SignoffError as error:
            log.info("discord.not-told", post=post.id, why=str(error))

    async def _ephemeral(self, rest: Rest, line: Line, message: cards.Message) -> bool:
        handle = self._memory.handles.find(line.event)
        if handle is None or self._clock.now_ms() - handle.at_ms > HANDLE_MS_MAX:
            return False
        try:
            async with asyncio.timeout(ACKNOWLEDGED_SECONDS):
                await handle.acknowledged.wait()
            await rest.call(
                "POST",
                "/webhooks/{webhook_id}/{webhook_token}",
                body={**message.body, "flags": message.body.get("flags", 0) | 64},
                upload=message.upload,
                creates=True,
                webhook_id=handle.application,
                webhook_token=handle.token,
            )
        except (TimeoutError, TerminalError) as error:
            log.info("discord.not-ephemeral", why=str(error))
            return False
        handle.used.set()
        return True

    async def _direct(self, rest: Rest, account: str) -> str:
        user = account.removeprefix(f"{wire.NAME}:")
        if not user.isdigit():
            raise TerminalError(words.PLACE_GONE)
        opened = await rest.call("POST", "/users/@me/channels", body={"recipient_id": user})
        return wire.id_of(opened if isinstance(opened, dict) else {}, "id") or _missing()

    # --- Looking ----------------------------------------------------------------------------------------------------

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        private = isinstance(post.view, Line) and post.view.private
        if private or self._clock.now_ms() - post.at_ms < NONCE_MS_MAX:
            return None  # Discord still knows the nonce
        message = await self._message(post, part)
        if _parsed(edits)[2] and not _is_replaced(edits, message):
            return None  # an edit may be made again
        tried = self._memory.tried.find(cards.nonce(post, part))
        if tried is None and not cards.is_telling(post.view, message):
            return None  # an earlier process sent it, and "done" may be said for many things
        async with self._session() as rest:
            try:
                post = await self._placed(rest, post)
            except TerminalError:
                return None  # there is no such chat; sending says why
            place = post.conversation
            no_thread = not place.thread or self._memory.threads.find(place.thread) is False
            for channel in (place.channel,) if no_thread else (place.thread, place.channel):
                try:
                    return await self._found(rest, channel, post, part, message, tried or 0)
                except TerminalError as error:
                    log.debug("discord.no-such-place", why=str(error))  # so it holds nothing; sending says why
        return None

    async def _found(
        self, rest: Rest, channel: str, post: Post, part: int, message: cards.Message, newer_than: int
    ) -> str | None:
        """The receipt, if a channel's history has it. Raises TerminalError where there is none to read."""
        key, answers = cards.nonce(post, part), _answered(post, channel)
        after = max(int(wire.snowflake_at(post.at_ms - LOOK_BACK_MS)), newer_than)
        for _ in range(PAGES_MAX):
            query = {"after": str(after), "limit": str(PAGE)}
            found = await rest.call("GET", "/channels/{channel_id}/messages", query=query, channel_id=channel)
            page = wire.list_of({"found": found}, "found")
            for sent in page:
                number = wire.id_of(sent, "id")
                ours = wire.id_of(wire.dict_of(sent, "author"), "id") == self._memory.me or not self._memory.me
                anothers = self._memory.sent.find(number) not in {None, key}
                if ours and not anothers and cards.is_same(dict(sent), post, part, message, answers):
                    return _receipt(channel, number, is_card=message.is_card)
            if len(page) < PAGE:
                break
            after = max(int(wire.id_of(sent, "id") or "0") for sent in page)
        return None

    async def roles(self, account: str, conversation: Conversation) -> frozenset[str]:
        user = account.removeprefix(f"{wire.NAME}:")
        if conversation.account == wire.DIRECT or not user.isdigit():
            return frozenset()
        guild_id = conversation.account
        async with self._session() as rest:
            try:
                path = "/guilds/{guild_id}/members/{member_id}"
                member = await rest.call("GET", path, guild_id=guild_id, member_id=user)
                guild = await rest.call("GET", "/guilds/{guild_id}", guild_id=guild_id)
            except AuthenticationError as error:
                raise RetryableError(error.what, error.remedy) from error
            except TerminalError:
                return frozenset()  # not a member, or we are none
        held = member.get("roles") if isinstance(member, dict) else None
        roles = {f"role:{role}" for role in held if isinstance(role, str)} if isinstance(held, list) else set()
        is_owner = wire.id_of(guild if isinstance(guild, dict) else {}, "owner_id") == user
        return frozenset(roles | ({"admin"} if is_owner else set()))

    def direct(self, account: str) -> Conversation | None:
        return wire.private_chat(account)

    def is_private(self, conversation: Conversation) -> bool:
        return conversation.account == wire.DIRECT

    async def fetch(self, file: Attachment) -> bytes:
        """Addresses expire after a day; the message has a new one."""
        if file.bytes_n > FETCH_BYTES_MAX:
            raise TerminalError(words.FILE_TOO_LARGE)
        rest_module = await _module("rest")
        ref = _reference(file.ref)
        url = wire.text_of(ref, "url")
        try:
            return bytes(await rest_module.download(url, FETCH_BYTES_MAX))
        except rest_module.RefusedError:
            fresh = await self._fresh_url(ref)
            return bytes(await rest_module.download(fresh, FETCH_BYTES_MAX))

    async def _fresh_url(self, ref: wire.Data) -> str:
        channel, message = wire.id_of(ref, "channel"), wire.id_of(ref, "message")
        if not channel or not message:
            raise TerminalError(words.FILE_GONE)
        async with self._session() as rest:
            path = "/channels/{channel_id}/messages/{message_id}"
            found = await rest.call("GET", path, channel_id=channel, message_id=message)
        files = wire.list_of(found if isinstance(found, dict) else {}, "attachments")
        for some in files:
            if wire.id_of(some, "id") == wire.id_of(ref, "id"):
                return wire.text_of(some, "url")
        raise TerminalError(words.FILE_GONE)


async def _module(name: str) -> ModuleType:
    """Our own that needs the library: a third of a second and 30 MB, so not before it is used, and in a thread."""
    return await asyncio.to_thread(importlib.import_module, f"bots.discord.{name}")


def _receipt(channel: str, message: str, *, is_card: bool) -> str:
    return f"{channel}:{CARD}:{message}" if is_card else f"{channel}:{message}"


def _parsed(receipt: str) -> tuple[str, bool, str]:
    """Channel, whether it is a card, and message; without a message if it names none."""
    channel, *kind, sent = receipt.split(":") if ":" in receipt else ("", "")
    return (channel, kind == [CARD], sent) if channel.isdigit() and sent.isdigit() else ("", False, "")


def _is_replaced(receipt: str, message: cards.Message) -> bool:
    """A card is to become text: Discord does not do that."""
    return _parsed(receipt)[1] and not message.is_card


def _answered(post: Post, channel: str) -> str:
    """The message it answers there, "" for none."""
    place = post.conversation
    if channel not in {place.channel, place.thread}:
        return ""  # somebody's private chat
    answers = (post.reply_to or "").rsplit(":", 1)[-1]
    if channel == place.channel and place.thread:
        answers = place.thread  # there can be no thread: at least it is plain what is answered
    return answers if answers.isdigit() and answers != channel else ""


def _reference(ref: str) -> wire.Data:
    try:
        found = json.loads(ref)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _missing() -> str:
    raise TerminalError(words.PLACE_GONE)


def _reason(group: BaseExceptionGroup[BaseException]) -> SignoffError:
    """The first error that says who must act; a bug of ours is a connection to be built anew."""
    left: list[BaseException] = [group]
    while left:
        error = left.pop(0)
        if isinstance(error, SignoffError):
            return error
        if isinstance(error, BaseExceptionGroup):
            left.extend(error.exceptions)
    log.error("discord.broke", exc_info=group)
    return RetryableError(words.LOST)
