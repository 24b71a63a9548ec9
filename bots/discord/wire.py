"""What Discord tells us, as events: pure.

Laws of this file. Every function is total: whatever JSON comes, an event or nothing. Keys are Discord's own ids: a
message has one key however often and by whichever way it comes. No text holds what cannot be stored.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import msgspec

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

NAME: Final = "discord"
DIRECT: Final = "dm"
EPOCH_MS: Final = 1_420_070_400_000
TEXT_MAX: Final = 20_000  # Discord's own limit is 4,000
NAME_MAX: Final = 80
FILES_MAX: Final = 20
THREADS: Final = frozenset({10, 11, 12})
DIRECTS: Final = frozenset({1, 3})

UNKNOWN_CHANNEL, UNKNOWN_MESSAGE, THREAD_ARCHIVED, THREAD_EXISTS = 10003, 10008, 50083, 160004  # Discord's reasons

_SPOKEN: Final = frozenset({0, 19})
_STARTER: Final = 21
_ID: Final = re.compile(r"[0-9]{1,20}", re.ASCII)
_MENTION: Final = re.compile(r"<@!?(\d{1,20})>", re.ASCII)
_EMOJI: Final = re.compile(r"<a?:(\w{1,64}):\d{1,20}>", re.ASCII)
_COMMAND: Final = re.compile(r"/([A-Za-z][A-Za-z_-]*)(?:\s+(.*))?", re.DOTALL)

Data = Mapping[str, Any]
Spoken = MessageReceived | CommandReceived


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who we are on Discord. `roles`: those that servers made for the bot itself."""

    id: str
    roles: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Spot:
    """What a channel id stands for. `parent`: the channel a thread is in, "" for what is no thread."""

    guild: str = ""
    parent: str = ""
    last_message: str | None = None  # None: not told
    writable: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction:
    """A press, a form or a slash command, and what is needed to answer it."""

    id: str
    token: str
    application: str
    event: CommandReceived | ControlPressed | FormSubmitted

    @property
    def asks(self) -> str:
        """What a slash `ask` asks for, "" for anything else."""
        command = self.event
        if isinstance(command, CommandReceived) and command.name == "ask":
            return " ".join(command.arguments)
        return ""


# --- JSON of any kind -----------------------------------------------------------------------------------------------


def text_of(data: Data, name: str) -> str:
    """A string that can be stored, "" if there is none."""
    value = data.get(name)
    return value[:TEXT_MAX].replace("\x00", "").encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def id_of(data: Data, name: str) -> str:
    """A snowflake, "" if there is none."""
    value = data.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    return value if isinstance(value, str) and _ID.fullmatch(value) else ""


def number_of(data: Data, name: str) -> int:
    """A number, -1 if there is none."""
    value = data.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else -1


def dict_of(data: Data, name: str) -> Data:
    """An object, {} if there is none."""
    value = data.get(name)
    return value if isinstance(value, dict) else {}


def list_of(data: Data, name: str) -> list[Data]:
    """The objects of a list."""
    value = data.get(name)
    return [some for some in value if isinstance(some, dict)] if isinstance(value, list) else []


def time_of(snowflake: str) -> int:
    """When it was made, UTC milliseconds."""
    return (int(snowflake) >> 22) + EPOCH_MS


def snowflake_at(ms: int) -> str:
    """The first id of that moment."""
    return str(max(ms - EPOCH_MS, 0) << 22)


# --- Places ---------------------------------------------------------------------------------------------------------


def spots(guild: Data) -> dict[str, Spot]:
    """Channels and threads of a server that people write in, as GUILD_CREATE has them."""
    guild_id = id_of(guild, "id")
    every = [*list_of(guild, "channels"), *list_of(guild, "threads")]
    return {channel: spot(some, guild_id) for some in every if (channel := id_of(some, "id"))}


def spot(channel: Data, guild: str = "") -> Spot:
    """What a channel object describes."""
    kind = number_of(channel, "type")
    return Spot(
        guild=id_of(channel, "guild_id") or guild,
        parent=id_of(channel, "parent_id") if kind in THREADS else "",
        last_message=id_of(channel, "last_message_id") if "last_message_id" in channel else None,
        writable=kind not in {4, 14, 15, 16},  # categories, directories, forums: only their threads hold messages
    )


def own_roles(guild: Data, me: str) -> frozenset[str]:
    """The roles a server made for this bot: to mention one is to mention it."""
    return frozenset(
        id_of(role, "id") for role in list_of(guild, "roles") if id_of(dict_of(role, "tags"), "bot_id") == me
    )


def added(guild: Data, at_ms: int) -> BotAdded | None:
    """The bot is in a server. Told at every connection: the key is that of the time it joined."""
    guild_id = id_of(guild, "id")
    texts = [id_of(some, "id") for some in list_of(guild, "channels") if number_of(some, "type") == 0]
    channel = id_of(guild, "system_channel_id") or next(filter(None, texts), "")
    if not guild_id or not channel:
        return None
    joined = text_of(guild, "joined_at")[:40]
    return BotAdded(
        key=f"{NAME}:added:{guild_id}:{joined}",
        at_ms=at_ms,
        conversation=Conversation(platform=NAME, account=guild_id, channel=channel),
        sender=Sender(account=f"{NAME}:guild:{guild_id}", name=one_line(text_of(guild, "name"), NAME_MAX)),
    )


def joined_ms(guild: Data) -> int:
    """When the bot came into a server, 0 if that is not told."""
    return _iso_ms(text_of(guild, "joined_at"))


def conversation(message: Data, where: Spot) -> Conversation | None:
    """Where a message belongs: what is said at the top of a channel begins a thread of its own."""
    channel, message_id = id_of(message, "channel_id"), id_of(message, "id")
    if not channel or not message_id:
        return None
    guild = id_of(message, "guild_id") or where.guild
    if not guild:
        return Conversation(platform=NAME, account=DIRECT, channel=channel)
    if where.parent:
        return Conversation(platform=NAME, account=guild, channel=where.parent, thread=channel)
    answered = dict_of(dict_of(message, "referenced_message"), "thread")
    return Conversation(platform=NAME, account=guild, channel=channel, thread=id_of(answered, "id") or message_id)


# --- Messages -------------------------------------------------------------------------------------------------------


def private_chat(account: str) -> Conversation | None:
    """Where the bot and one account are alone, before anybody knows which channel that is."""
    platform, _, user = account.partition(":")
    known = platform == NAME and user.isascii() and user.isdecimal()
    return Conversation(platform=NAME, account=DIRECT, channel=f"@{user}") if known else None


def addressee(place: Conversation) -> str:
    """Whose private chat it is, if its channel is still to be opened; else ""."""
    return place.channel.removeprefix("@") if place.channel.startswith("@") else ""


def is_speech(message: Data, me: Me) -> bool:
    """A person wrote it: neither a program nor Discord itself."""
    author = dict_of(message, "author")
    if not id_of(author, "id") or id_of(author, "id") == me.id or author.get("bot") or message.get("webhook_id"):
        return False
    return number_of(message, "type") in _SPOKEN or "type" not in message


def received(message: Data, where: Spot, me: Me) -> MessageReceived | None:
    """What somebody wrote."""
    place = conversation(message, where)
    if place is None or not is_speech(message, me):
        return None
    answered = dict_of(message, "referenced_message")
    mentioned = is_mentioned(message, me)
    text, files = clean(message, me), tuple(_files(message))
    if not (text or files or mentioned):
        return None
    answers_us = id_of(dict_of(answered, "author"), "id") == me.id
    message_id = id_of(message, "id")
    return MessageReceived(
        key=f"{NAME}:message:{message_id}",
        at_ms=time_of(message_id),
        conversation=place,
        sender=_sender(dict_of(message, "author"), dict_of(message, "member")),
        text=text,
        reply_to=id_of(dict_of(message, "message_reference"), "message_id") or None,
        addressed=place.account == DIRECT or mentioned or answers_us,
        files=files,
        earlier=() if answers_us else quotes([answered], me),
    )


def typed(event: MessageReceived) -> Spoken:
    """A command of ours that was typed as a message is that command; anything else is what it is."""
    found = _COMMAND.fullmatch(event.text)
    if found is None or not event.addressed:
        return event
    name, rest = found[1].lower(), found[2] or ""
    if name == "ask":
        return msgspec.structs.replace(event, text=rest)
    place = event.conversation
    if event.key.endswith(f":{place.thread}"):  # the thread that it would have begun
        place = msgspec.structs.replace(place, thread="")
    return CommandReceived(
        key=event.key,
        at_ms=event.at_ms,
        conversation=place,
        sender=event.sender,
        name=name,
        arguments=tuple(rest.split(maxsplit=1)),
    )


def edited(message: Data, where: Spot, me: Me) -> tuple[MessageReceived, MessageEdited] | None:
    """What a message was changed to, as a message and as the change. Changes of Discord's own making have no time."""
    changed_ms = _iso_ms(text_of(message, "edited_timestamp"))
    event = received(message, where, me) if changed_ms else None
    if event is None:
        return None
    original = event.key
    key = f"{NAME}:edit:{id_of(message, 'id')}:{changed_ms}"
    place, sender = event.conversation, event.sender
    edit = MessageEdited(
        key=key, at_ms=changed_ms, conversation=place, sender=sender, original=original, text=event.text
    )
    return event, edit


def quotes(messages: Iterable[Data], me: Me) -> tuple[Quote, ...]:
    """Earlier messages as context, in the order given."""
    return tuple(quote for message in messages if (quote := _quote(message, me)) is not None)


def _quote(message: Data, me: Me) -> Quote | None:
    if number_of(message, "type") == _STARTER:
        message = dict_of(message, "referenced_message")
    author, text = dict_of(message, "author"), clean(message, me)
    if not text or not author:
        return None
    sender = _sender(author, dict_of(message, "member"))
    return Quote(speaker=sender.name, text=text, by_agent=id_of(author, "id") == me.id)


def is_mentioned(message: Data, me: Me) -> bool:
    """By name, or by the role that is the bot's own."""
    roles = message.get("mention_roles")
    ours = any(role in me.roles for role in roles if isinstance(role, str)) if isinstance(roles, list) else False
    return ours or any(id_of(user, "id") == me.id for user in list_of(message, "mentions"))


def clean(message: Data, me: Me) -> str:
    """The text as people read it: our own name taken out, others' as names, emoji as words."""
    names = {id_of(user, "id"): _sender(user, dict_of(user, "member")).name for user in list_of(message, "mentions")}
    text = text_of(message, "content")
    for role in me.roles:
        text = text.replace(f"<@&{role}>", "")
    text = _MENTION.sub(lambda found: "" if found[1] == me.id else f"@{names.get(found[1], found[1])}", text)
    return _EMOJI.sub(r":\1:", text).strip()


def _sender(user: Data, member: Data) -> Sender:
    shown = (text_of(member, "nick"), text_of(user, "global_name"), text_of(user, "username"), id_of(user, "id"))
    name = next((name for some in shown if (name := one_line(some, NAME_MAX).strip())), "")
    return Sender(account=f"{NAME}:{id_of(user, 'id')}", name=name)


def _files(message: Data) -> Iterator[Attachment]:
    for some in list_of(message, "attachments")[:FILES_MAX]:
        ref = {"channel": id_of(message, "channel_id"), "message": id_of(message, "id"), "id": id_of(some, "id")}
        if ref["id"]:
            yield Attachment(
                name=text_of(some, "filename")[:255],
                media=text_of(some, "content_type")[:100],
                bytes_n=max(number_of(some, "size"), 0),
                ref=json.dumps(ref | {"url": text_of(some, "url")}),
            )


def _iso_ms(text: str) -> int:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except (ValueError, OverflowError):
        return 0


# --- Interactions ---------------------------------------------------------------------------------------------------


def interaction(data: Data) -> Interaction | None:
    """A press, a form or a command; None for other kinds and for what is not whole."""
    member = dict_of(data, "member")
    user = dict_of(member, "user") or dict_of(data, "user")
    channel = dict_of(data, "channel")
    channel_id = id_of(channel, "id") or id_of(data, "channel_id")
    number, token, application = id_of(data, "id"), text_of(data, "token"), id_of(data, "application_id")
    if not (number and token and channel_id and id_of(user, "id")):
        return None
    guild = id_of(data, "guild_id")
    parent = id_of(channel, "parent_id") if number_of(channel, "type") in THREADS else ""
    place = Conversation(
        platform=NAME,
        account=guild or DIRECT,
        channel=(parent or channel_id) if guild else channel_id,
        thread=channel_id if guild and parent else "",
    )
    event = _event(number_of(data, "type"), dict_of(data, "data"), number, place, _sender(user, member))
    return Interaction(id=number, token=token, application=application, event=event) if event else None


def _event(
    kind: int, data: Data, number: str, place: Conversation, sender: Sender
) -> CommandReceived | ControlPressed | FormSubmitted | None:
    key, at_ms = f"{NAME}:interaction:{number}", time_of(number)
    name, control = text_of(data, "name").lower()[:40], text_of(data, "custom_id")[:100]
    if kind == 2 and name:
        words = " ".join(text_of(option, "value") for option in list_of(data, "options")).split(maxsplit=1)
        arguments = tuple(word.strip() for word in words)
        return CommandReceived(key=key, at_ms=at_ms, conversation=place, sender=sender, name=name, arguments=arguments)
    if kind == 3 and control:
        return ControlPressed(key=key, at_ms=at_ms, conversation=place, sender=sender, control=control)
    if kind == 5 and control:
        fields = dict(_inputs(data))
        return FormSubmitted(key=key, at_ms=at_ms, conversation=place, sender=sender, control=control, fields=fields)
    return None


def _inputs(data: Data, depth: int = 0) -> Iterator[tuple[str, str]]:
    """Inputs stand in rows or in labels."""
    for some in [*list_of(data, "components"), dict_of(data, "component")]:
        name, values = text_of(some, "custom_id"), some.get("values")
        if name and isinstance(values, list):
            yield name, next((value for value in values if isinstance(value, str)), "")
        elif name:
            yield name, text_of(some, "value")
        elif some and depth < 3:
            yield from _inputs(some, depth + 1)


def asked(some: Interaction, anchor: str) -> MessageReceived:
    """A slash `ask` as a message. `anchor`: the message left in the channel for it, "" if there is none."""
    event = some.event
    place = event.conversation
    return MessageReceived(
        key=event.key,
        at_ms=event.at_ms,
        conversation=msgspec.structs.replace(place, thread=place.thread or anchor),
        sender=event.sender,
        text=some.asks,
    )
