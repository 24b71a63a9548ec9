"""Telegram's Bot API on a real socket: chats, messages, updates that are kept until they are confirmed, and its errors.

What it refuses it refuses in the Bot API's own words. A request is journalled when it arrives and again when it took
effect; a planned fault stands between the two.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

from tests.fakes.service import Fault, Faults, Journal, Someone
from tests.fakes.telegram_text import CAPTION_MAX, TEXT_MAX, ApiError, bad, keyboard, parse, units

LOOK_SECONDS = 0.002
DOWNLOAD_MAX = 20_000_000
UPLOAD_MAX = 50_000_000
_JSON = {"reply_markup", "entities", "reply_parameters", "link_preview_options", "commands", "allowed_updates", "scope"}


@dataclass(slots=True, kw_only=True)
class Chat:
    """A private chat (its id is the person's), a supergroup, or one with topics."""

    id: int
    kind: str = "private"
    title: str = ""
    members: dict[int, Someone] = field(default_factory=dict)
    topics: dict[int, str] = field(default_factory=dict)
    bot_here: bool = True
    last_id: int = 0

    def native(self) -> dict[str, Any]:
        if self.kind == "private":
            return {"id": self.id, "type": "private", "first_name": self.members[self.id].name}
        forum = {"is_forum": True} if self.topics else {}
        return {"id": self.id, "type": self.kind, "title": self.title, **forum}


@dataclass(slots=True, kw_only=True)
class Message:
    """One message. `native` is what was sent, `content` its document or photo fields."""

    id: int
    chat: Chat
    thread: int
    author: Someone
    text: str
    at: int
    entities: list[dict[str, Any]] = field(default_factory=list)
    markup: dict[str, Any] = field(default_factory=dict)
    content: dict[str, Any] = field(default_factory=dict)
    files: tuple[tuple[str, bytes], ...] = ()
    reply: Message | None = None
    edits_n: int = 0
    gone: bool = False
    native: dict[str, Any] = field(default_factory=dict)


def user_of(someone: Someone) -> dict[str, Any]:
    return {"id": int(someone.id), "is_bot": someone.is_bot, "first_name": someone.name, "language_code": "en"}


class BotApi:
    """The server, and all it knows."""

    token = "700000001:FAKE-telegram_token-of_no_value0000"
    secret_header = "X-Telegram-Bot-Api-Secret-Token"

    def __init__(self, journal: Journal, faults: Faults) -> None:
        self.journal = journal
        self.faults = faults
        self.me = Someone(id="700000001", name="Signoff", is_bot=True)
        self.username = "signoff_test_bot"
        self.privacy = False
        self.chats: dict[int, Chat] = {}
        self.messages: dict[tuple[int, int], Message] = {}
        self.commands: list[dict[str, str]] = []
        self.updates: list[dict[str, Any]] = []  # not confirmed, oldest first
        self.again: list[dict[str, Any]] = []  # delivered once more, whatever is confirmed
        self.files: dict[str, tuple[str, str, bytes]] = {}
        self.queries: dict[str, float] = {}  # when they were made
        self.answers: dict[str, dict[str, Any]] = {}
        self.query_seconds_max = 60.0
        self.down = ""  # "close", "invalid", "silent", "conflict": what getUpdates meets
        self.webhook: dict[str, Any] = {}
        self._polls_n = 0
        self._polling: web.Request | None = None
        self._update_id = 41_000
        self._held: dict[int, float] = {}  # 429 for this chat until then; 0: for everything
        self._runner: web.AppRunner | None = None
        self._pusher: asyncio.Task[None] | None = None
        self.port = 0

    # --- Life -------------------------------------------------------------------------------------------------------

    async def start(self) -> None:
        app = web.Application(client_max_size=UPLOAD_MAX + 10_000_000)
        app.router.add_route("*", "/bot{token}/{method}", self._called)
        app.router.add_get("/file/bot{token}/{path:.+}", self._downloaded)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self._pusher = asyncio.create_task(self._push())

    async def stop(self) -> None:
        self._polls_n += 1
        if self._pusher is not None:
            self._pusher.cancel()
            await asyncio.wait([self._pusher])
        if self._runner is not None:
            await self._runner.cleanup()

    @property
    def polled(self) -> bool:
        """Somebody who is still there waits for updates, or is called."""
        return bool(self.webhook) or (self._polling is not None and not _left(self._polling))

    # --- Updates ----------------------------------------------------------------------------------------------------

    def update(self, kind: str, body: dict[str, Any]) -> dict[str, Any]:
        """Something happened; it is kept until it is confirmed."""
        self._update_id += 1
        made = {"update_id": self._update_id, kind: body}
        self.updates.append(made)
        return made

    async def _poll(self, request: web.Request, asked: dict[str, Any]) -> list[dict[str, Any]]:
        if self.webhook:
            raise ApiError(409, "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook")
        self._polls_n += 1
        mine = self._polls_n
        offset = int(asked.get("offset") or 0)
        self._confirm(offset)
        limit = int(asked.get("limit") or 100)
        give_up = time.monotonic() + float(asked.get("timeout") or 0)
        self._polling = request
        deaf = self.down == "silent"
        while True:
            if self._polls_n != mine or self.down == "conflict":
                raise ApiError(
                    409,
                    "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
                )
            if _left(request):
                return []
            if self.down == "close":
                raise _CutError
            if self.down == "invalid":
                raise web.HTTPBadGateway(text="<html><h1>502 Bad Gateway</h1></html>", content_type="text/html")
            deaf = deaf or self.down == "silent"  # a connection that went dead stays dead
            ready = [] if deaf else self.again[:] + [u for u in self.updates if u["update_id"] >= offset]
            if ready or (time.monotonic() > give_up and not deaf):
                self.again.clear()
                for one in ready[:limit]:
                    self.journal.note("delivered", _kind(one), update_id=one["update_id"])
                return ready[:limit]
            await asyncio.sleep(LOOK_SECONDS)

    def _confirm(self, offset: int) -> None:
        for one in self.updates[:]:
            if one["update_id"] < offset:
                self.updates.remove(one)
                self.journal.note("acknowledged", _kind(one), update_id=one["update_id"])

    async def _push(self) -> None:
        """The webhook, if there is one: each update until it is taken."""
        async with aiohttp.ClientSession() as session:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                for one in [*self.again, *self.updates] if self.webhook and not self.down else ():
                    self.journal.note("delivered", _kind(one), update_id=one["update_id"])
                    headers = {self.secret_header: self.webhook["secret"]} if self.webhook["secret"] else {}
                    try:
                        async with session.post(self.webhook["url"], json=one, headers=headers) as answer:
                            taken = answer.status == 200
                    except aiohttp.ClientError:
                        taken = False
                    if not taken:
                        await asyncio.sleep(0.2)
                        break
                    if one in self.again:
                        self.again.remove(one)
                    else:
                        self._confirm(one["update_id"] + 1)

    # --- Requests ---------------------------------------------------------------------------------------------------

    async def _called(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        if request.match_info["token"] != self.token:
            return _refusal(ApiError(401, "Unauthorized"))
        handler = self._handler(method)
        if handler is None:
            return _refusal(ApiError(404, "Not Found: method not found"))
        upload = request.content_type.startswith("multipart/")
        fault = self.faults.take(method)
        if fault is not None:
            self.journal.note("fault", method, how=fault.how, applied=fault.applied)
            if upload and fault.hook and not fault.applied:
                await request.content.readany()
                self.journal.note("request", method, unfinished=True)
                await fault.hook()
                raise web.HTTPBadGateway
        try:
            asked = await _asked(request)
        except (ConnectionError, ValueError):
            return _refusal(bad("can't read the request"))
        shown = {name: value for name, value in asked.items() if not isinstance(value, web.FileField)}
        self.journal.note("request", method, **shown)
        try:
            if fault is not None:
                return await self._faulty(request, method, handler, asked, fault)
            return await self._answered(request, method, handler, asked)
        except _CutError:
            if request.transport is not None:
                request.transport.abort()
            raise web.HTTPBadGateway from None

    async def _answered(
        self, request: web.Request, method: str, handler: Callable[..., Any], asked: dict[str, Any]
    ) -> web.Response:
        try:
            if method == "getUpdates":
                result: Any = await self._poll(request, asked)
            else:
                self._limited(asked)
                result = handler(asked)
        except ApiError as error:
            self.journal.note("refused", method, why=error.description, status=error.code)
            return _refusal(error)
        except (KeyError, ValueError) as error:
            return _refusal(bad(f"a parameter is missing or wrong: {error}"))
        return web.json_response({"ok": True, "result": result})

    async def _faulty(
        self, request: web.Request, method: str, handler: Callable[..., Any], asked: dict[str, Any], fault: Fault
    ) -> web.StreamResponse:
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        answer: web.Response | None = None
        if fault.applied:
            answer = await self._answered(request, method, handler, asked)
        if fault.hook is not None:
            await fault.hook()
            if answer is None and _left(request):
                raise _CutError  # whoever asked is gone, and nothing took effect
        match fault.how:
            case "cut":
                raise _CutError
            case "garbage":
                return web.Response(text="<html>not what you asked for", content_type="text/html")
            case "status" if fault.status == 429:
                chat = 0 if fault.everywhere else _number(asked.get("chat_id"))
                self._held[chat] = time.monotonic() + fault.retry_after
                return _refusal(_too_many(fault.retry_after))
            case "status":
                return _refusal(ApiError(fault.status, "Internal Server Error"))
            case _:
                return answer or await self._answered(request, method, handler, asked)

    def _limited(self, asked: dict[str, Any]) -> None:
        """Who was told to wait and does not is told so again."""
        for chat in {0, _number(asked.get("chat_id"))}:
            left = self._held.get(chat, 0.0) - time.monotonic()
            if left > 0:
                self.journal.note("fault", "impatient", chat=chat)
                raise _too_many(left)

    async def _downloaded(self, request: web.Request) -> web.StreamResponse:
        self.journal.note("request", "download", path=request.match_info["path"])
        fault = self.faults.take("download")
        if fault is not None:
            self.journal.note("fault", "download", how=fault.how)
            if fault.hook is not None:
                await fault.hook()
            raise web.HTTPBadGateway
        found = self.files.get(request.match_info["path"].rpartition("/")[2].partition(".")[0])
        if request.match_info["token"] != self.token or found is None:
            raise web.HTTPNotFound
        return web.Response(body=found[2], content_type="application/octet-stream")

    def _handler(self, method: str) -> Callable[[dict[str, Any]], Any] | None:
        name = "do_" + "".join(f"_{c.lower()}" if c.isupper() else c for c in method)
        return (lambda _: None) if method == "getUpdates" else getattr(self, name, None)

    # --- Methods ----------------------------------------------------------------------------------------------------

    def do_get_me(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {
            **user_of(self.me),
            "username": self.username,
            "can_join_groups": True,
            "can_read_all_group_messages": not self.privacy,
            "supports_inline_queries": False,
        }

    def do_set_my_commands(self, asked: dict[str, Any]) -> bool:
        for command in asked["commands"]:
            name, about = command["command"], command["description"]
            if not (1 <= len(name) <= 32 and name.replace("_", "a").isalnum() and name.islower() and name.isascii()):
                raise bad("BOT_COMMAND_INVALID")
            if not 1 <= len(about) <= 256:
                raise bad("BOT_COMMAND_DESCRIPTION_INVALID")
        if len(asked["commands"]) > 100:
            raise bad("BOT_COMMANDS_TOO_MUCH")
        self.commands = asked["commands"]
        return True

    def do_get_my_commands(self, asked: dict[str, Any]) -> list[dict[str, str]]:
        return self.commands

    def do_send_message(self, asked: dict[str, Any]) -> dict[str, Any]:
        text, entities = parse(str(asked.get("text", "")), str(asked.get("parse_mode", "")))
        if not text:
            raise bad("message text is empty")
        if units(text) > TEXT_MAX:
            raise bad("message is too long")
        return self._sent("sendMessage", asked, text, entities)

    def do_send_document(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._uploaded("sendDocument", "document", asked)

    def do_send_photo(self, asked: dict[str, Any]) -> dict[str, Any]:
        return self._uploaded("sendPhoto", "photo", asked)

    def _uploaded(self, method: str, kind: str, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked.get(kind)
        if isinstance(given, str) and given.startswith("attach://"):
            given = asked.get(given.removeprefix("attach://"))
        if not isinstance(given, web.FileField):
            raise bad(f"there is no {kind} in the request")
        content = given.file.read()
        if not content:
            raise bad("file must be non-empty")
        if len(content) > (10_000_000 if kind == "photo" else UPLOAD_MAX):
            raise ApiError(413, "Request Entity Too Large")
        caption, entities = parse(str(asked.get("caption", "")), str(asked.get("parse_mode", "")))
        if units(caption) > CAPTION_MAX:
            raise bad("message caption is too long")
        fields = self.keep(kind, given.filename, given.content_type, content)
        return self._sent(method, asked, caption, entities, fields, ((given.filename, content),))

    def keep(self, kind: str, name: str, media: str, content: bytes) -> dict[str, Any]:
        """Store a file; the message's fields that stand for it."""
        file_id = f"F{len(self.files) + 1}"
        self.files[file_id] = (name, media, content)
        entry = {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": len(content)}
        if kind == "photo":
            small = {**entry, "width": 90, "height": 90, "file_size": max(len(content) // 10, 1)}
            return {"photo": [small, {**entry, "width": 800, "height": 800}]}
        return {"document": {**entry, "file_name": name, "mime_type": media}}

    def _sent(
        self,
        method: str,
        asked: dict[str, Any],
        text: str,
        entities: list[dict[str, Any]],
        content: dict[str, Any] | None = None,
        files: tuple[tuple[str, bytes], ...] = (),
    ) -> dict[str, Any]:
        chat = self._reachable(asked)
        thread = _number(asked.get("message_thread_id"))
        if thread and thread not in chat.topics:
            raise bad("message thread not found")
        markup = asked.get("reply_markup") or {}
        keyboard(markup)
        if "force_reply" in markup and len(markup.get("input_field_placeholder", "")) > 64:
            raise bad("input field placeholder is too long")
        reply = asked.get("reply_parameters") or {}
        target = _number(reply.get("message_id", asked.get("reply_to_message_id")))
        answered = self.messages.get((chat.id, target)) if target else None
        patient = reply.get("allow_sending_without_reply") or asked.get("allow_sending_without_reply") in {"true", True}
        if target and (answered is None or answered.gone):
            answered = None
            if not patient:
                raise bad("message to be replied not found")
        message = self.add(chat, thread, self.me, text, entities, content or {}, files, answered)
        message.markup = markup
        message.native = {name: value for name, value in asked.items() if not isinstance(value, web.FileField)}
        self.journal.note("applied", method, message=f"{chat.id}:{message.id}", text=text, thread=thread)
        return self.native(message)

    def do_edit_message_text(self, asked: dict[str, Any]) -> dict[str, Any]:
        text, entities = parse(str(asked.get("text", "")), str(asked.get("parse_mode", "")))
        if not text:
            raise bad("message text is empty")
        if units(text) > TEXT_MAX:
            raise bad("message is too long")
        message = self._editable(asked)
        if message.files:
            raise bad("there is no text in the message to edit")
        return self._edited("editMessageText", message, asked, text, entities)

    def do_edit_message_caption(self, asked: dict[str, Any]) -> dict[str, Any]:
        text, entities = parse(str(asked.get("caption", "")), str(asked.get("parse_mode", "")))
        if units(text) > CAPTION_MAX:
            raise bad("message caption is too long")
        return self._edited("editMessageCaption", self._editable(asked), asked, text, entities)

    def do_edit_message_reply_markup(self, asked: dict[str, Any]) -> dict[str, Any]:
        message = self._editable(asked)
        return self._edited("editMessageReplyMarkup", message, asked, message.text, message.entities)

    def _edited(
        self, method: str, message: Message, asked: dict[str, Any], text: str, entities: list[dict[str, Any]]
    ) -> dict[str, Any]:
        markup = asked.get("reply_markup") or {}
        keyboard(markup)
        rows, old_rows = markup.get("inline_keyboard") or [], message.markup.get("inline_keyboard") or []
        if (text, entities, rows) == (message.text, message.entities, old_rows):
            raise bad(
                "message is not modified: specified new message content and reply markup are exactly the same as a "
                "current content and reply markup of the message"
            )
        message.text, message.entities, message.markup = text, entities, markup
        message.edits_n += 1
        message.native = asked
        self.journal.note(
            "applied", method, message=f"{message.chat.id}:{message.id}", text=text, thread=message.thread
        )
        return self.native(message)

    def _editable(self, asked: dict[str, Any]) -> Message:
        chat = self._reachable(asked)
        message = self.messages.get((chat.id, _number(asked["message_id"])))
        if message is None or message.gone:
            raise bad("message to edit not found")
        if message.author.id != self.me.id or "force_reply" in message.markup:
            raise bad("message can't be edited")
        return message

    def do_delete_message(self, asked: dict[str, Any]) -> bool:
        chat = self._reachable(asked)
        message = self.messages.get((chat.id, _number(asked["message_id"])))
        if message is None or message.gone:
            raise bad("message to delete not found")
        message.gone = True
        self.journal.note("applied", "deleteMessage", message=f"{chat.id}:{message.id}")
        return True

    def do_send_chat_action(self, asked: dict[str, Any]) -> bool:
        self._reachable(asked)
        return True

    def do_answer_callback_query(self, asked: dict[str, Any]) -> bool:
        query = str(asked["callback_query_id"])
        if time.monotonic() - self.queries.get(query, float("-inf")) > self.query_seconds_max:
            raise bad("query is too old and response timeout expired or query ID is invalid")
        if len(asked.get("text", "")) > 200:
            raise bad("MESSAGE_TOO_LONG")
        self.answers.setdefault(query, asked)
        self.journal.note("applied", "answerCallbackQuery", query=query, text=asked.get("text", ""))
        return True

    def do_get_file(self, asked: dict[str, Any]) -> dict[str, Any]:
        found = self.files.get(str(asked["file_id"]))
        if found is None:
            raise bad("wrong file_id or the file is temporarily unavailable")
        if len(found[2]) > DOWNLOAD_MAX:
            raise bad("file is too big")
        file_id = str(asked["file_id"])
        path = f"documents/{file_id}.bin"
        return {"file_id": file_id, "file_unique_id": f"u{file_id}", "file_size": len(found[2]), "file_path": path}

    def do_get_chat(self, asked: dict[str, Any]) -> dict[str, Any]:
        return {**self._reachable(asked).native(), "accent_color_id": 0, "max_reaction_count": 11, **_GIFTS}

    def do_get_chat_member(self, asked: dict[str, Any]) -> dict[str, Any]:
        chat = self._reachable(asked)
        someone = chat.members.get(_number(asked["user_id"]))
        if someone is None:
            if _number(asked["user_id"]) == int(self.me.id):
                return {"status": "member", "user": user_of(self.me)}
            raise bad("PARTICIPANT_ID_INVALID")
        if "admin" in someone.roles:
            rights = dict.fromkeys(_RIGHTS, True)
            return {"status": "administrator", "user": user_of(someone), "can_be_edited": False, **rights}
        return {"status": "member", "user": user_of(someone)}

    def do_get_chat_administrators(self, asked: dict[str, Any]) -> list[dict[str, Any]]:
        chat = self._reachable(asked)
        admins = [one for one in chat.members.values() if "admin" in one.roles]
        return [self.do_get_chat_member({"chat_id": chat.id, "user_id": one.id}) for one in admins]

    def do_get_webhook_info(self, asked: dict[str, Any]) -> dict[str, Any]:
        waiting = len(self.updates)
        return {"url": self.webhook.get("url", ""), "has_custom_certificate": False, "pending_update_count": waiting}

    def do_delete_webhook(self, asked: dict[str, Any]) -> bool:
        self.webhook = {}
        if asked.get("drop_pending_updates") in {"true", True}:
            self.updates.clear()
        return True

    def do_set_webhook(self, asked: dict[str, Any]) -> bool:
        url = str(asked.get("url", ""))
        self.webhook = {"url": url, "secret": str(asked.get("secret_token", ""))} if url else {}
        return True

    # --- Chats and messages -----------------------------------------------------------------------------------------

    def _reachable(self, asked: dict[str, Any]) -> Chat:
        chat = self.chats.get(_number(asked.get("chat_id")))
        if chat is None:
            raise bad("chat not found")
        if not chat.bot_here:
            was = "bot was blocked by the user" if chat.kind == "private" else "bot was kicked from the supergroup chat"
            raise ApiError(403, f"Forbidden: {was}")
        return chat

    def add(
        self,
        chat: Chat,
        thread: int,
        author: Someone,
        text: str,
        entities: list[dict[str, Any]],
        content: dict[str, Any],
        files: tuple[tuple[str, bytes], ...] = (),
        reply: Message | None = None,
    ) -> Message:
        chat.last_id += 1
        message = Message(
            id=chat.last_id,
            chat=chat,
            thread=thread,
            author=author,
            text=text,
            at=int(time.time()),
            entities=entities,
            content=content,
            files=files,
            reply=reply,
        )
        self.messages[chat.id, message.id] = message
        return message

    def native(self, message: Message, *, nested: bool = False) -> dict[str, Any]:
        """As updates and answers show it."""
        body: dict[str, Any] = {
            "message_id": message.id,
            "date": message.at,
            "chat": message.chat.native(),
            "from": user_of(message.author),
            **message.content,
        }
        if message.author.id == self.me.id:
            body["from"]["username"] = self.username
        if message.text:
            words, marks = ("caption", "caption_entities") if message.content else ("text", "entities")
            body |= {words: message.text, **({marks: message.entities} if message.entities else {})}
        if message.thread:
            body |= {"message_thread_id": message.thread, "is_topic_message": True}
        elif message.reply and message.chat.kind == "supergroup":
            body["message_thread_id"] = message.reply.id  # of a thread of replies, which is no topic
        if rows := message.markup.get("inline_keyboard"):
            body["reply_markup"] = {"inline_keyboard": rows}
        if message.edits_n:
            body["edit_date"] = int(time.time())
        if message.reply and not nested:
            body["reply_to_message"] = self.native(message.reply, nested=True)
        return body


class _CutError(Exception):
    pass


_RIGHTS = (
    "can_manage_chat",
    "can_delete_messages",
    "can_manage_video_chats",
    "can_restrict_members",
    "can_promote_members",
    "can_change_info",
    "can_invite_users",
    "is_anonymous",
    "can_post_stories",
    "can_edit_stories",
    "can_delete_stories",
)
_GIFTS = {
    "accepted_gift_types": dict.fromkeys(
        ("unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"), False
    )
}


def _left(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _kind(update: dict[str, Any]) -> str:
    return next((name for name in update if name != "update_id"), "")


def _number(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def _too_many(seconds: float) -> ApiError:
    whole = max(int(seconds + 0.999), 1)
    return ApiError(429, f"Too Many Requests: retry after {whole}", retry_after=whole)


def _refusal(error: ApiError) -> web.Response:
    body: dict[str, Any] = {"ok": False, "error_code": error.code, "description": error.description}
    if error.parameters:
        body["parameters"] = error.parameters
    return web.json_response(body, status=error.code)


async def _asked(request: web.Request) -> dict[str, Any]:
    """Parameters as the Bot API takes them: query, form, multipart or JSON; structures inside forms are JSON."""
    asked: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        asked |= await request.json()
    elif request.method == "POST":
        asked |= dict(await request.post())
    for name in _JSON & asked.keys():
        if isinstance(asked[name], str):
            asked[name] = json.loads(asked[name])
    return asked
