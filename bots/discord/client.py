"""Discord as a platform: what a process that runs for months keeps, and how posts get there.

Sending is KEYED: a message carries a nonce made of its post's id, and Discord shows two with one nonce once, for some
minutes; after these we look for it in the channel's history.
"""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final

import structlog

from bots.discord import cards, wire, words
from bots.discord.memory import HANDLE_MS_MAX, Memory
from core.model.errors import AmbiguousError, AuthenticationError, RetryableError, SignoffError, TerminalError
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
PAGES_MAX: Final = 5
PAGE: Final = 100
TYPING_MS: Final = 8_000  # Discord shows it for ten seconds
TYPING_SECONDS: Final = 2.0
ACKNOWLEDGED_SECONDS: Final = 3.0
FETCH_BYTES_MAX: Final = 25_000_000
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
            if isinstance(post.view, Line) and post.view.private:
                await self._whisper(rest, post, post.view, part, message)
                receipt = PRIVATELY
            else:
                receipt = await self._edit(rest, edits, message) or await self._create(rest, post, part, message)
            self._memory.sent_at_ms = self._clock.now_ms()
            if isinstance(post.view, StatusLine) and not post.view.done:
                await self._type(rest, receipt.partition(":")[0])
        return receipt

    async def _message(self, post: Post, part: int) -> cards.Message:
        message = cards.messages(post.view)[part]
        if not message.artifact:
            return message
        return cards.attached(message, await asyncio.to_thread(self._shelf.read, message.artifact))

    async def _edit(self, rest: Rest, receipt: str, message: cards.Message) -> str:
        """The receipt, or "" where there is nothing to edit any more."""
        channel, _, sent = receipt.partition(":")
        if not (channel.isdigit() and sent.isdigit()):
            return ""
        for again in (False, True):
            try:
                await rest.call(
                    "PATCH",
                    "/channels/{channel_id}/messages/{message_id}",
                    body=message.body,
                    upload=message.upload,
                    channel_id=channel,
                    message_id=sent,
                )
            except TerminalError as error:
                code = getattr(error, "code", 0)
                if code == wire.UNKNOWN_MESSAGE:
                    return ""
                if code != wire.THREAD_ARCHIVED or again:
                    raise
                await rest.call("PATCH", "/channels/{channel_id}", body={"archived": False}, channel_id=channel)
            else:
                break
        return receipt

    async def _create(self, rest: Rest, post: Post, part: int, message: cards.Message) -> str:
        place = post.conversation
        target, refused = await self._target(rest, place)
        body = _keyed(message.body, post, part)
        answered = (post.reply_to or "").rsplit(":", 1)[-1]
        if target == place.channel and place.thread:
            answered = place.thread  # there can be no thread: at least it is plain what is answered
        if answered.isdigit() and answered != target:
            body["message_reference"] = {"message_id": answered, "fail_if_not_exists": False}
        try:
            return await self._post(rest, target, body, message)
        except TerminalError as error:
            if getattr(error, "code", 0) != wire.UNKNOWN_CHANNEL or not place.thread or target == place.channel:
                raise
            self._memory.threads.drop(place.thread)
            if refused is None or refused.status != 403:
                raise
            self._memory.threads.keep(place.thread, value=False)
            body["message_reference"] = {"message_id": place.thread, "fail_if_not_exists": False}
            return await self._post(rest, place.channel, body, message)

    async def _post(self, rest: Rest, channel: str, body: cards.Body, message: cards.Message) -> str:
        sent = await rest.call(
            "POST",
            "/channels/{channel_id}/messages",
            body=body,
            upload=message.upload,
            creates=True,
            channel_id=channel,
        )
        number = wire.id_of(sent if isinstance(sent, dict) else {}, "id")
        if not number:
            raise AmbiguousError(words.UNKNOWN_OUTCOME)
        return f"{channel}:{number}"

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
            await rest.call("POST", "/channels/{channel_id}/typing", seconds=TYPING_SECONDS, channel_id=channel)
        except SignoffError as error:
            log.debug("discord.not-typing", why=str(error))

    # --- Private lines ----------------------------------------------------------------------------------------------

    async def _whisper(self, rest: Rest, post: Post, line: Line, part: int, message: cards.Message) -> None:
        """Where only one person sees it, or nowhere."""
        try:
            if await self._ephemeral(rest, line, message):
                return
            channel = await self._direct(rest, post.conversation, line.to)
            await self._post(rest, channel, _keyed(message.body, post, part), message)
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

    async def _direct(self, rest: Rest, place: Conversation, account: str) -> str:
        if place.account == wire.DIRECT:
            return place.channel
        user = account.removeprefix(f"{wire.NAME}:")
        if not user.isdigit():
            raise TerminalError(words.PLACE_GONE)
        opened = await rest.call("POST", "/users/@me/channels", body={"recipient_id": user})
        return wire.id_of(opened if isinstance(opened, dict) else {}, "id") or _missing()

    # --- Looking ----------------------------------------------------------------------------------------------------

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        private = isinstance(post.view, Line) and post.view.private
        if edits or private or self._clock.now_ms() - post.at_ms < NONCE_MS_MAX:
            return None  # an edit may be made again, and Discord still knows the nonce
        place = post.conversation
        flat = not place.thread or self._memory.threads.find(place.thread) is False
        channel = place.channel if flat else place.thread
        body = (await self._message(post, part)).body
        after = wire.snowflake_at(post.at_ms - LOOK_BACK_MS)
        async with self._session() as rest:
            for _ in range(PAGES_MAX):
                try:
                    found = await rest.call(
                        "GET",
                        "/channels/{channel_id}/messages",
                        query={"after": after, "limit": str(PAGE)},
                        channel_id=channel,
                    )
                except TerminalError:
                    return None  # there is no such place, so it holds nothing; sending says why
                messages = wire.list_of({"found": found}, "found")
                for message in messages:
                    ours = wire.id_of(wire.dict_of(message, "author"), "id") == self._memory.me or not self._memory.me
                    if ours and cards.is_same(dict(message), post, part, body):
                        return f"{channel}:{wire.id_of(message, 'id')}"
                if len(messages) < PAGE:
                    return None
                after = str(max(int(wire.id_of(message, "id") or "0") for message in messages))
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


def _keyed(body: cards.Body, post: Post, part: int) -> dict[str, Any]:
    return {**body, "nonce": cards.nonce(post, part), "enforce_nonce": True}


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
