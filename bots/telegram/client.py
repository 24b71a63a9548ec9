"""Telegram as a platform: the Bot API over HTTPS, by our own long poll or our own webhook.

Laws of this file. The offset moves, or 200 is said, only after an event was committed. Waiting updates are never
dropped, and a webhook that somebody set is never taken away. A connection is alive while polls succeed; one that does
not is given up whole. Sending is BLIND: what may have arrived is not sent again, unless it edits.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, assert_never

import msgspec
import structlog

from bots.telegram import cards, forms, webhook, wire, words
from bots.telegram.errors import ConflictError, MovedError, RefusedError
from bots.telegram.pace import Pace
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    RateLimitedError,
    RetryableError,
    SignoffError,
    TerminalError,
)
from core.model.events import Attachment, Conversation, MessageReceived
from core.model.views import InquiryCard, Line, Post, StatusLine
from core.ports import Clock, Health, Ids, Intake, Platform, Sending, Shelf
from core.rules import commands

if TYPE_CHECKING:
    from bots.telegram.api import Api

log = structlog.get_logger()

TOKEN: Final = "TELEGRAM_BOT_TOKEN"  # noqa: S105  # its name
API_URL: Final = "https://api.telegram.org"
POLL_SECONDS: Final = 25.0
DEAF_SECONDS_MAX: Final = 10.0  # over the poll's own time, the answer is late
HOLD_SECONDS: Final = 1.0  # how long a press waits for what to say about it
FORM_SECONDS: Final = 2.5
TYPING_MS: Final = 4_500  # Telegram shows it for five seconds
PER_SECOND: Final = 30
PATIENCE_MS: Final = 1_000  # a shorter wait is waited out here
ALERT_UNITS_MAX: Final = 200
REMEMBERED_MAX: Final = 1_000
DOWNLOAD_BYTES_MAX: Final = 20_000_000
UPLOAD_BYTES_MAX: Final = 50_000_000


def configured(settings: Mapping[str, str]) -> bool:
    """There is a token."""
    return bool(settings.get(TOKEN))


async def connect(settings: Mapping[str, str]) -> Api:
    """A new set of connections. The library is loaded beside the event loop: it takes a while."""
    module = await asyncio.to_thread(importlib.import_module, "bots.telegram.api")
    api: Api = module.Api(settings[TOKEN], settings.get("SIGNOFF_TELEGRAM_API_URL") or API_URL)
    return api


class _Memory(OrderedDict[str, Any]):
    """The newest few; what is lost costs comfort, never truth."""

    def put(self, key: str, value: Any) -> None:
        self[key] = value
        while len(self) > REMEMBERED_MAX:
            self.popitem(last=False)


class Telegram(Platform):
    """One bot."""

    def __init__(self, settings: Mapping[str, str], *, clock: Clock, ids: Ids, zone: str, shelf: Shelf) -> None:
        self._settings = settings
        self._clock = clock
        self._zone = zone
        self._shelf = shelf
        self._pace = Pace(int(settings.get("SIGNOFF_TELEGRAM_PER_SECOND") or PER_SECOND))
        self._poll_s = max(1.0, float(settings.get("SIGNOFF_TELEGRAM_POLL_SECONDS") or POLL_SECONDS))
        self._api: Api | None = None
        self._me = wire.Me(id=settings[TOKEN].partition(":")[0], username="")
        self._tasks: set[asyncio.Task[None]] = set()
        self._queries = _Memory()  # by event key: presses that can still be told something
        self._moved = _Memory()  # by chat: its new id
        self._typed_ms = _Memory()  # by chat and topic: when we last said that we type
        self._connected_at_ms = self._heard_at_ms = self._sent_at_ms = 0
        self._trouble = ""

    @property
    def name(self) -> str:
        return wire.NAME

    @property
    def sending(self) -> Sending:
        return Sending.BLIND

    def health(self) -> Health:
        return Health(
            connected_at_ms=self._connected_at_ms,
            heard_at_ms=self._heard_at_ms,
            sent_at_ms=self._sent_at_ms,
            trouble=self._trouble,
        )

    # --- Receiving --------------------------------------------------------------------------------------------------

    async def run(self, intake: Intake) -> None:
        hook = webhook.hook(self._settings)
        api = await connect(self._settings)
        try:
            await self._introduce(api, intake)
            self._api = api
            self._connected_at_ms = self._clock.now_ms()
            if hook is None:
                await self._poll(api, intake)
            else:
                self._trouble = ""
                await webhook.receive(hook, api, lambda update: self._heard(update, intake), self._clock)
        except AmbiguousError as error:
            self._trouble = str(error)
            raise RetryableError(error.what) from error
        except SignoffError as error:
            self._trouble = str(error)
            raise
        finally:
            if self._api is api:
                self._api = None
            await self._end_tasks()
            await api.close()

    async def _introduce(self, api: Api, intake: Intake) -> None:
        """Learn our name, and bring the menu up to date."""
        me = wire.who_am_i(await api.call("getMe"))
        if me is None:
            raise RetryableError(words.out_of_order("getMe"))
        self._me = me
        menu = wire.commands(
            tuple((name, "", words.menu(arguments, about)) for name, arguments, about in commands.MENU)
        )
        digest = hashlib.sha256(json.dumps(menu).encode()).hexdigest()[:16]
        note = f"{wire.NAME}:menu:{me.id}"
        if await intake.recall(note) == digest:
            return
        try:
            await api.call("setMyCommands", {"commands": menu})
        except AuthenticationError:
            raise
        except SignoffError as error:
            log.warning("telegram.menu", why=str(error))
        else:
            await intake.note(note, digest)

    async def _poll(self, api: Api, intake: Intake) -> None:
        """Ask for what comes after the last update that was committed, for ever."""
        offset = 0
        late_s = min(self._poll_s, DEAF_SECONDS_MAX)
        while True:
            asked: dict[str, Any] = {"timeout": int(self._poll_s), "allowed_updates": list(wire.KINDS)}
            if offset:
                asked["offset"] = offset
            try:
                async with asyncio.timeout(self._poll_s + 2 * late_s):  # however the library fails to notice
                    updates = await api.call("getUpdates", asked, seconds=self._poll_s + late_s)
            except TimeoutError as error:
                raise RetryableError(words.DEAF) from error
            except AmbiguousError as error:
                raise RetryableError(words.DEAF if error.what == words.UNKNOWN else error.what) from error
            except ConflictError as error:
                raise await self._conflict(api, error) from error
            if not isinstance(updates, list):
                raise RetryableError(words.out_of_order("getUpdates"))
            self._trouble = ""
            self._heard_at_ms = self._clock.now_ms()
            for update in updates:
                await self._heard(update, intake)
                offset = max(offset, wire.update_id(update) + 1)

    async def _conflict(self, api: Api, error: ConflictError) -> RetryableError:
        """Who has the updates instead of us."""
        if "webhook" not in error.what:
            log.error("telegram.second-poller", what=words.SECOND_POLLER, remedy=words.SECOND_POLLER_REMEDY)
            return ConflictError(words.SECOND_POLLER, words.SECOND_POLLER_REMEDY)
        found = await api.call("getWebhookInfo")
        url = found.get("url") if isinstance(found, dict) else ""
        log.error("telegram.webhook-set", url=url, remedy=words.OTHER_WEBHOOK_REMEDY)
        return ConflictError(words.other_webhook(str(url)), words.OTHER_WEBHOOK_REMEDY)

    async def _heard(self, update: Any, intake: Intake) -> None:
        """Commit what it means. Raises what `accept` raises: then it was not heard."""
        self._heard_at_ms = self._clock.now_ms()
        found = wire.read(update, self._me, self._heard_at_ms)
        match found:
            case None:
                log.debug("telegram.ignored", update=wire.update_id(update))
            case wire.Press():
                await self._pressed(found, intake)
            case wire.Reply():
                await self._replied(found, intake)
            case MessageReceived(addressed=False) if not await intake.concerns(found):
                log.debug("telegram.not-for-us", key=found.key)
            case _:
                await intake.accept(found)

    async def _pressed(self, press: wire.Press, intake: Intake) -> None:
        """A form is opened; everything else is an event, and the press is held until there is something to say."""
        event = press.event
        card = None
        if forms.wants_form(event.control) and await intake.knows(event.sender.account):
            card = await intake.card(event.control)
        if card is not None and forms.is_wanted(card, event.control):
            form = forms.opened(card, event.control)
            asker = (event.sender.account.partition(":")[2], event.sender.name)
            if await self._ask(event.conversation, str(press.message), form, card, asker):
                await self._answer_query(press.query)
                return
        self._queries.put(event.key, press.query)  # before the commit: the engine may be quick
        try:
            await intake.accept(event)
        except SignoffError:
            self._queries.pop(event.key, None)
            raise
        self._spawn(self._release(event.key))

    async def _replied(self, reply: wire.Reply, intake: Intake) -> None:
        """The fields; or the next question, while there is one and somebody of ours answers."""
        event = reply.event
        read = forms.answered(reply.form, reply.text)
        if isinstance(read, forms.Form):
            card = await intake.card(event.control) if await intake.knows(event.sender.account) else None
            who = (event.sender.account.partition(":")[2], event.sender.name)
            if card is not None:  # if it cannot be put, the first question stands, and half an answer is none
                await self._ask(event.conversation, str(reply.message), read, card, who, again=read == reply.form)
                return
            read = dict(read.got)
        await intake.accept(msgspec.structs.replace(event, fields=read))

    async def _ask(
        self,
        where: Conversation,
        reply_to: str,
        form: forms.Form,
        card: InquiryCard,
        who: tuple[str, str],
        *,
        again: bool = False,
    ) -> bool:
        """Whether the question of a form could be put."""
        text = forms.question(form, card, self._me.username, who, again=again)
        more = {"reply_markup": wire.force_reply(forms.placeholder(form, card))}
        try:
            async with asyncio.timeout(FORM_SECONDS), self._connected() as api:
                place = wire.place(where.channel, where.thread, reply_to)
                await api.call("sendMessage", {**place, **wire.message(text), **more})
        except (SignoffError, TimeoutError) as error:
            log.warning("telegram.form", why=str(error))
            return False
        return True

    async def _release(self, key: str) -> None:
        """Whoever pressed is not left with a turning wheel."""
        await self._clock.sleep(HOLD_SECONDS)
        query = self._queries.pop(key, None)
        if query is not None:
            await self._answer_query(query)

    async def _answer_query(self, query: str, text: str = "") -> bool:
        """Whether the person sees it. One that is too old was answered by time itself."""
        asked = {"callback_query_id": query, **({"text": text, "show_alert": True} if text else {})}
        try:
            async with self._connected() as api:
                await api.call("answerCallbackQuery", asked)
        except SignoffError as error:
            log.debug("telegram.query", why=str(error))
            return False
        return True

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_tasks(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[Api]:
        """The connection that receives, or while there is none, one for this."""
        if self._api is not None:
            yield self._api
            return
        api = await connect(self._settings)
        try:
            yield api
        finally:
            await api.close()

    # --- Sending ----------------------------------------------------------------------------------------------------

    def parts(self, post: Post) -> int:
        return len(cards.draw(post.view, self._zone))

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        view, where = post.view, post.conversation
        piece = cards.draw(view, self._zone)[part]
        try:
            async with self._connected() as api:
                if isinstance(view, Line) and view.private:
                    return await self._tell(api, view, piece, part)
                goes_on = isinstance(view, StatusLine) and not view.done
                if goes_on:
                    self._type(api, where)
                receipt = await self._show(api, piece, where, edits if part == 0 else "", post.reply_to, spare=goes_on)
        except AuthenticationError as error:  # the post is not at fault: it waits for a better token
            raise RetryableError(error.what, error.remedy) from error
        self._sent_at_ms = self._clock.now_ms()
        return receipt

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        if edits and part == 0:
            return None  # editing again does no harm
        raise AmbiguousError(words.UNKNOWN)

    async def _show(
        self,
        api: Api,
        piece: cards.Piece,
        where: Conversation,
        edits: str,
        reply_to: str | None,
        *,
        spare: bool = False,
    ) -> str:
        match piece:
            case cards.Text() if edits:
                return await self._edit(api, piece, where, edits, spare=spare)
            case cards.Text():
                place = wire.place(where.channel, where.thread, reply_to)
                return await self._call(api, "sendMessage", {**place, **wire.message(piece)})
            case cards.Whole(name, body):
                return await self._upload(api, where, name, body.encode("utf-8", "replace"))
            case cards.Stored(artifact):
                found = await asyncio.to_thread(self._shelf.read, artifact)
                if found is None or not 0 < len(found[1]) <= UPLOAD_BYTES_MAX:
                    log.info("telegram.no-file", artifact=artifact)  # the answer names it all the same
                    return f"{where.channel}:0"
                return await self._upload(api, where, *found)
            case _ as never:
                assert_never(never)

    async def _edit(self, api: Api, text: cards.Text, where: Conversation, edits: str, *, spare: bool) -> str:
        chat, number = wire.of_receipt(edits)
        asked = {"chat_id": chat, "message_id": number, **wire.message(text)}
        try:
            return await self._call(api, "editMessageText", asked, spare=edits if spare else "")
        except AmbiguousError as error:
            raise RetryableError(error.what) from error
        except RefusedError as error:
            if "not modified" in error.what:
                return edits
            log.info("telegram.edit", why=error.what)
        except MovedError:
            pass  # what was said in the old group cannot be changed
        return await self._call(api, "sendMessage", {**wire.place(where.channel, where.thread), **wire.message(text)})

    async def _upload(self, api: Api, where: Conversation, name: str, content: bytes) -> str:
        plain = name.replace("\\", "/").rpartition("/")[2].strip() or "file"
        chat = self._moved.get(where.channel, where.channel)
        await self._wait(chat)
        sent = await self._limits(chat, api.upload(wire.place(chat, where.thread), plain, content))
        return wire.receipt(chat, sent)

    async def _call(self, api: Api, method: str, asked: dict[str, Any], *, spare: str = "") -> str:
        """In its turn, and where the chat is now. `spare` is the receipt of what may as well stay as it is."""
        old = str(asked["chat_id"])
        chat = self._moved.get(old, old) if method == "sendMessage" else old
        if not await self._wait(chat, spare=bool(spare)):
            return spare
        try:
            sent = await self._limits(chat, api.call(method, {**asked, "chat_id": chat}))
        except MovedError as moved:
            self._moved.put(old, moved.chat)
            if method != "sendMessage":
                raise
            sent = await self._limits(chat, api.call(method, {**asked, "chat_id": moved.chat}))
        receipt = wire.receipt(chat, sent)
        if not receipt:
            raise AmbiguousError(words.UNKNOWN)
        return receipt

    async def _wait(self, chat: str, *, spare: bool = False) -> bool:
        """Until it is this chat's turn. False: it is not, and there is something better to say."""
        while wait_ms := self._pace.wait_ms(chat, self._clock.monotonic_ms(), spare=spare):
            if spare:
                return False
            if wait_ms > PATIENCE_MS:
                raise RateLimitedError(words.SLOWER, retry_after_ms=wait_ms, scope="conversation")
            await self._clock.sleep(wait_ms / 1000)
        return True

    async def _limits(self, chat: str, call: Coroutine[Any, Any, Any]) -> Any:
        try:
            return await call
        except RateLimitedError as error:
            wait_ms = error.retry_after_ms or PATIENCE_MS
            scope = self._pace.scope(chat, self._clock.monotonic_ms(), wait_ms)
            raise RateLimitedError(error.what, retry_after_ms=wait_ms, scope=scope) from error

    def _type(self, api: Api, where: Conversation) -> None:
        """Beside the status line; whether it arrives matters to nobody."""
        now_ms = self._clock.monotonic_ms()
        if now_ms - self._typed_ms.get(where.key, -TYPING_MS) < TYPING_MS or api is not self._api:
            return
        self._typed_ms.put(where.key, now_ms)

        async def typing() -> None:
            try:
                place = wire.place(self._moved.get(where.channel, where.channel), where.thread)
                await api.call("sendChatAction", {**place, "action": "typing"}, seconds=2)
            except SignoffError as error:
                log.debug("telegram.typing", why=str(error))

        self._spawn(typing())

    async def _tell(self, api: Api, line: Line, piece: cards.Piece, part: int) -> str:
        """One person alone: over their press while it can be answered, else in their own chat. What cannot reach them
        is not said anywhere else.
        """
        who = line.to.partition(":")[2]
        query = self._queries.pop(line.event, None) if part == 0 else None
        text = cards.plain(line)
        if query is not None and cards.units(text) <= ALERT_UNITS_MAX and await self._answer_query(query, text):
            return f"{who}:0"
        there = Conversation(platform=wire.NAME, account=self._me.id, channel=who)
        try:
            receipt = await self._show(api, piece, there, "", None)
        except RateLimitedError:
            if query is not None:
                self._queries.put(line.event, query)
            raise
        except SignoffError as error:
            log.info("telegram.private", why=str(error))
            if query is not None:
                await self._answer_query(query, words.OPEN_A_CHAT)
            return f"{who}:0"
        if query is not None:
            await self._answer_query(query)
        return receipt

    # --- Looking up -------------------------------------------------------------------------------------------------

    async def roles(self, account: str, conversation: Conversation) -> frozenset[str]:
        user = account.partition(":")[2]
        if conversation.channel == user:
            return frozenset()
        try:
            async with self._connected() as api:
                asked = {"chat_id": self._moved.get(conversation.channel, conversation.channel), "user_id": user}
                return wire.member_roles(await api.call("getChatMember", asked))
        except (AmbiguousError, AuthenticationError) as error:
            raise RetryableError(error.what) from error
        except TerminalError:
            return frozenset()  # nobody there, or we are not

    def direct(self, account: str) -> Conversation | None:
        return wire.private_chat(account, self._me.id)

    def is_private(self, conversation: Conversation) -> bool:
        return wire.is_person(conversation.channel)

    async def fetch(self, file: Attachment) -> bytes:
        if file.bytes_n > DOWNLOAD_BYTES_MAX:
            raise TerminalError(words.FILE_TOO_LARGE)
        try:
            async with self._connected() as api:
                found = await api.call("getFile", json.loads(file.ref))
                path = found.get("file_path") if isinstance(found, dict) else None
                if not isinstance(path, str):
                    raise TerminalError(words.FILE_GONE)
                return await api.download(path)
        except (AmbiguousError, AuthenticationError) as error:
            raise RetryableError(error.what) from error
        except RefusedError as error:
            raise TerminalError(words.FILE_TOO_LARGE if "too big" in error.what else words.FILE_GONE) from error
