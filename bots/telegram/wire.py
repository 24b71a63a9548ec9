"""Telegram's updates as events, and messages as what the Bot API takes: pure.

Laws of this file. It is total: an update with fields missing, wrong or unknown is nothing, never an error. One thing
that happened has one key, however often it is delivered. A message's key is made of its chat and number, because an
edit names its message by these.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any, Final, TypedDict

from bots.telegram import forms, words
from bots.telegram.cards import Text
from core.model.events import (
    Attachment,
    BotAdded,
    CommandReceived,
    ControlPressed,
    Conversation,
    FormSubmitted,
    MessageEdited,
    MessageReceived,
    Quote,
    Sender,
)
from core.rules.text import one_line

NAME: Final = "telegram"
KINDS: Final = ("message", "edited_message", "callback_query", "my_chat_member")
CHATS: Final = frozenset({"private", "group", "supergroup"})
TEXT_LETTERS_MAX: Final = 100_000
QUOTE_LETTERS_MAX: Final = 4_000
NAME_MAX: Final = 64
FILE_KINDS: Final = ("document", "audio", "video", "voice", "video_note", "animation")
_ORDER: Final = re.compile(r"/([A-Za-z0-9_]{1,64})(?:@([A-Za-z0-9_]+))?", re.ASCII)
_GONE: Final = frozenset({"left", "kicked"})
_THERE: Final = frozenset({"member", "administrator", "restricted"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Which bot we are."""

    id: str
    username: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A button. `query` is to be answered; `message` is the number of the message it stands on."""

    event: ControlPressed
    query: str
    message: int
    private: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """A form's question was answered: `event` has its fields, once `forms.answered` has read the text."""

    event: FormSubmitted
    form: forms.Form
    text: str
    message: int


Read = MessageReceived | MessageEdited | CommandReceived | BotAdded | Press | Reply


class _Common(TypedDict):
    key: str
    at_ms: int
    conversation: Conversation
    sender: Sender


# --- Reading --------------------------------------------------------------------------------------------------------


def read(update: Any, me: Me, now_ms: int) -> Read | None:
    """What an update means for us; None for everything that means nothing."""
    key = f"{NAME}:{me.id}:{_int(update, 'update_id')}"
    match update:
        case {"message": dict() as message}:
            return _message(message, me, now_ms)
        case {"edited_message": dict() as message}:
            return _edited(message, me, key, now_ms)
        case {"callback_query": {"id": str(query), "data": str(control), "message": dict() as message} as pressed}:
            common = _common(pressed, message, me, key, now_ms)
            if common is None:
                return None
            where = receipt(common["conversation"].channel, message)
            event = ControlPressed(**(common | {"at_ms": now_ms}), control=control[:64], message=where)
            private = _str(message, "chat", "type") == "private"
            return Press(event=event, query=query, message=_int(message, "message_id"), private=private)
        case {"my_chat_member": dict() as member}:
            common = _common(member, member, me, key, now_ms)
            was, now = _str(member, "old_chat_member", "status"), _str(member, "new_chat_member", "status")
            return BotAdded(**common) if common and was in _GONE and now in _THERE else None
        case _:
            return None


def update_id(update: Any) -> int:
    """Where the next poll goes on; 0 if it does not say."""
    return _int(update, "update_id")


def _common(speaks: dict[str, Any], where: dict[str, Any], me: Me, key: str, now_ms: int) -> _Common | None:
    """None for what no person did, or not in a chat."""
    chat, who = _int(where, "chat", "id"), _int(speaks, "from", "id")
    if not chat or not who or _str(where, "chat", "type") not in CHATS:
        return None
    if _at(speaks, "from", "is_bot") is True or _at(speaks, "sender_chat") is not None:
        return None
    if _at(speaks, "is_automatic_forward") is True:
        return None
    seconds = _int(where, "edit_date") or _int(where, "date")
    topic = _int(where, "message_thread_id") if _at(where, "is_topic_message") is True else 0
    return _Common(
        key=key,
        at_ms=seconds * 1000 if 0 < seconds < 1 << 40 else now_ms,
        conversation=Conversation(platform=NAME, account=me.id, channel=str(chat), thread=str(topic or "")),
        sender=Sender(account=f"{NAME}:{who}", name=_name(_at(speaks, "from"))),
    )


def _name(user: Any) -> str:
    whole = " ".join(filter(None, (_str(user, "first_name"), _str(user, "last_name"))))
    return one_line(whole.strip() or _str(user, "username"), NAME_MAX)


def _key(message: dict[str, Any], me: Me) -> str:
    return f"{NAME}:{me.id}:message:{_int(message, 'chat', 'id')}:{_int(message, 'message_id')}"


def _message(message: dict[str, Any], me: Me, now_ms: int) -> Read | None:
    common = _common(message, message, me, _key(message, me), now_ms)
    if common is None or not _int(message, "message_id"):
        return None
    raw, entities = _said(message)
    files = tuple(_files(message))
    answered = _answered(message)
    from_me = answered is not None and str(_int(answered, "from", "id")) == me.id
    form = forms.of_message(answered) if answered is not None and from_me else None
    if form is not None and raw.strip():
        event = FormSubmitted(**common, control=form.control, fields={})
        return Reply(event=event, form=form, text=_clean(raw), message=_int(message, "message_id"))
    order = _order(raw, entities)
    if order is not None:
        name, at, rest = order
        if at and at.lower() != me.username.lower():
            return None
        if name != "ask" or not files:
            return _command(common, name, _clean(rest))
        raw, entities = rest, ()
    mentioned, text = _without_mention(raw, entities, me)
    if not text and not files:
        return None
    return MessageReceived(
        **common,
        text=text,
        reply_to=str(_int(answered, "message_id")) if answered else None,
        addressed=mentioned or from_me or order is not None or _str(message, "chat", "type") == "private",
        files=files,
        earlier=_earlier(answered, me),
    )


def _edited(message: dict[str, Any], me: Me, key: str, now_ms: int) -> MessageEdited | None:
    common = _common(message, message, me, key, now_ms)
    raw, entities = _said(message)
    answered = _answered(message)
    if common is None or not raw or (answered is not None and forms.of_message(answered) is not None):
        return None
    order = _order(raw, entities)
    _, text = _without_mention(raw, entities, me) if order is None else (False, _clean(order[2]))
    return MessageEdited(**common, original=_key(message, me), text=text)


def _command(common: _Common, name: str, rest: str) -> Read:
    """As on every platform, but for `start`, which is what Telegram's own button says in a new chat."""
    if name != "start":
        return CommandReceived(**common, name=name, arguments=tuple(rest.split(maxsplit=1)))
    return CommandReceived(**common, name="link", arguments=(rest,)) if rest else BotAdded(**common)


def _said(message: dict[str, Any]) -> tuple[str, tuple[Any, ...]]:
    said, marks = ("text", "entities") if isinstance(_at(message, "text"), str) else ("caption", "caption_entities")
    found = _at(message, marks)
    return _str(message, said)[:TEXT_LETTERS_MAX], tuple(found) if isinstance(found, list) else ()


def _order(text: str, entities: tuple[Any, ...]) -> tuple[str, str, str] | None:
    """A command's name, the bot it names, and the rest of the text."""
    starts = any(_str(one, "type") == "bot_command" and _at(one, "offset") == 0 for one in entities)
    found = _ORDER.match(text) if starts else None
    return (found[1].lower(), found[2] or "", text[found.end() :].strip()) if found else None


def _without_mention(text: str, entities: tuple[Any, ...], me: Me) -> tuple[bool, str]:
    """Whether we were named, and the text without our name. Telegram counts in UTF-16 units."""
    raw = text.encode("utf-16-le", "surrogatepass")
    cuts: list[tuple[int, int]] = []
    for one in entities:
        start, end = _int(one, "offset") * 2, (_int(one, "offset") + _int(one, "length")) * 2
        named = raw[start:end].decode("utf-16-le", "replace").lower() == f"@{me.username.lower()}"
        meant = _str(one, "type") == "text_mention" and str(_int(one, "user", "id")) == me.id
        if 0 <= start < end and (meant or (named and _str(one, "type") == "mention")):
            cuts.append((start, end))
    for start, end in sorted(cuts, reverse=True):
        spaced = raw[start - 2 : start] == raw[end : end + 2] == " ".encode("utf-16-le")
        raw = raw[:start] + raw[end + 2 * spaced :]
    return bool(cuts), _clean(raw.decode("utf-16-le", "replace")) if cuts else _clean(text)


def _clean(text: str) -> str:
    return text.replace("\x00", "").strip().encode("utf-8", "replace").decode()


def _answered(message: dict[str, Any]) -> dict[str, Any] | None:
    """The message replied to. In a topic every message is a reply to what opened it, which says nothing."""
    found = _at(message, "reply_to_message")
    return found if isinstance(found, dict) and "forum_topic_created" not in found else None


def _earlier(answered: dict[str, Any] | None, me: Me) -> tuple[Quote, ...]:
    text = _clean(_said(answered)[0])[:QUOTE_LETTERS_MAX] if answered else ""
    if answered is None or not text:
        return ()
    by_agent = str(_int(answered, "from", "id")) == me.id
    return (Quote(speaker=_name(_at(answered, "from")), text=text, by_agent=by_agent),)


def _files(message: dict[str, Any]) -> list[Attachment]:
    found: dict[str, Attachment] = {}
    photos = _at(message, "photo")
    sizes = [one for one in photos if _str(one, "file_id")] if isinstance(photos, list) else []
    if sizes:
        largest = max(sizes, key=lambda one: _int(one, "width") * _int(one, "height"))
        name = f"photo-{_int(message, 'message_id')}.jpg"
        found["photo"] = _attachment(largest, name, "image/jpeg")
    for kind in FILE_KINDS:
        one = _at(message, kind)
        if _str(one, "file_id"):  # an animation is there as a document, too
            name = _str(one, "file_name") or f"{kind}-{_int(message, 'message_id')}"
            found.setdefault(_str(one, "file_id"), _attachment(one, name, _str(one, "mime_type")))
    return list(found.values())


def _attachment(one: Any, name: str, media: str) -> Attachment:
    ref = json.dumps({"file_id": _str(one, "file_id")})
    size = max(_int(one, "file_size"), 0)
    return Attachment(name=one_line(name, 200), media=one_line(media, 100), bytes_n=size, ref=ref)


def _at(value: Any, *path: str) -> Any:
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _str(value: Any, *path: str) -> str:
    found = _at(value, *path)
    return found if isinstance(found, str) else ""


def _int(value: Any, *path: str) -> int:
    found = _at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) and abs(found) < 1 << 63 else 0


# --- Writing --------------------------------------------------------------------------------------------------------


def message(text: Text) -> dict[str, Any]:
    """What sendMessage and editMessageText share. Without buttons an edit takes the old ones away."""
    body: dict[str, Any] = {
        "text": text.html,
        "parse_mode": "HTML",
        "link_preview_options": {"is_disabled": True},
    }
    if text.rows:
        rows = [[{"text": one.label[:64] or "…", "callback_data": one.control} for one in row] for row in text.rows]
        body["reply_markup"] = {"inline_keyboard": rows}
    return body


def private_chat(account: str, bot: str) -> Conversation | None:
    """Where the bot and one account are alone: a chat that has the account's number."""
    platform, _, user = account.partition(":")
    return Conversation(platform=NAME, account=bot, channel=user) if platform == NAME and is_person(user) else None


def is_person(chat: str) -> bool:
    """Whether a chat is one person's: groups and channels have numbers below zero."""
    return chat.isascii() and chat.isdecimal()


def place(chat: str, thread: str = "", reply_to: str | None = None) -> dict[str, Any]:
    """Where a message goes."""
    body: dict[str, Any] = {"chat_id": chat}
    if thread:
        body["message_thread_id"] = thread
    number = (reply_to or "").rpartition(":")[2]
    if number.isdecimal():
        body["reply_parameters"] = {"message_id": int(number), "allow_sending_without_reply": True}
    return body


def force_reply(placeholder: str) -> dict[str, Any]:
    """The keyboard that opens for whoever the message mentions or answers."""
    return {"force_reply": True, "selective": True, "input_field_placeholder": placeholder}


def receipt(chat: str, sent: Any) -> str:
    """What a message is edited by: its chat and number, "" if Telegram did not say."""
    number = _int(sent, "message_id")
    return f"{_int(sent, 'chat', 'id') or chat}:{number}" if number else ""


def of_receipt(some_receipt: str) -> tuple[str, str]:
    """Chat and number."""
    chat, _, number = some_receipt.rpartition(":")
    return chat, number


def commands(menu: tuple[tuple[str, str, str], ...]) -> list[dict[str, str]]:
    """The menu, as Telegram has it."""
    return [{"command": name, "description": words.menu(arguments, about)[:256]} for name, arguments, about in menu]


def member_roles(member: Any) -> frozenset[str]:
    """Who may lead a chat."""
    return frozenset({"admin"}) if _str(member, "status") in {"creator", "administrator"} else frozenset()


def who_am_i(me: Any) -> Me | None:
    """From getMe."""
    number, username = _int(me, "id"), _str(me, "username")
    return Me(id=str(number), username=username) if number and username else None
