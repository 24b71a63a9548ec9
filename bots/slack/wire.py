"""Slack's payloads as events: pure.

Laws of this file. Reading is total: whatever Slack sends is something it says, or `Ignored`. A message has one key
however it comes: as an event, as a mention, twice, or read back from history.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypedDict, TypeGuard

import msgspec

from bots.slack import words
from bots.slack.forms import filled, form_verb
from bots.slack.markup import Json
from core.model.events import (
    Attachment,
    BotAdded,
    CommandReceived,
    ControlPressed,
    Conversation,
    Event,
    FormSubmitted,
    MessageEdited,
    MessageReceived,
    Quote,
    Sender,
)
from core.model.inquiries import Verb

NAME: Final = "slack"
DIRECT: Final = "dm"
TEXT_MAX: Final = 300_000  # more than the engine takes: it is the one to say so
CONTROL_MAX: Final = 255
FILES_MAX: Final = 20
EARLIER_MAX: Final = 20
_SPOKEN: Final = frozenset({"", "file_share", "thread_broadcast", "me_message"})  # subtypes that are people's words
_MARKUP: Final = re.compile(r"<([^<>]*)>")
_TS: Final = re.compile(r"(\d{1,11})(?:\.(\d{1,9}))?", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Me:
    """Who the bot is, as auth.test says."""

    team: str
    user: str
    bot: str = ""


# --- What a payload is ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoken:
    """A message. `thread` is the one it was written in, "" for none; `ours`: that thread began with a message of the
    bot's. `edited` is the ts of its last edit, "" for none.
    """

    event: MessageReceived
    ts: str
    thread: str = ""
    ours: bool = False
    edited: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rewritten:
    """An edit, and the message as it is now. `edited` is the ts of the edit itself."""

    event: MessageEdited
    message: MessageReceived
    ts: str
    edited: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """`/signoff ask`: a request, not yet in a thread. `name` is who typed it."""

    event: MessageReceived
    name: str
    response_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button. `verb` is the form it may open, None for one that acts at once."""

    event: ControlPressed
    verb: Verb | None = None
    trigger: str = ""
    response_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """An event that needs nothing else."""

    event: Event
    response_url: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignored:
    """Nothing of ours. `what` is its kind, for the log; `team` is set if another workspace sent it."""

    what: str
    team: str = ""


Heard = Spoken | Rewritten | Asked | Pressed | Taken | Ignored


class _Common(TypedDict):
    key: str
    at_ms: int
    conversation: Conversation
    sender: Sender


def read(body: object, me: Me, now_ms: int) -> Heard:
    """What a payload says. `now_ms` is the time of what carries none of its own."""
    if not is_json(body):
        return Ignored(what="no object")
    kind = text_of(body, "type")
    team = text_of(inner(body, "team"), "id") or text_of(body, "team_id")
    if team != me.team and not any(text_of(some, "team_id") == me.team for some in inners(body, "authorizations")):
        return Ignored(what=kind or text_of(body, "command"), team=team or "(none)")
    match kind:
        case "event_callback":
            return _event(body, me, now_ms)
        case "block_actions":
            return _pressed(body, me, now_ms)
        case "view_submission":
            return _submitted(body, me, now_ms)
        case "" if text_of(body, "command"):
            return _ordered(body, me, now_ms)
        case _:
            return Ignored(what=kind)


def _event(body: Json, me: Me, now_ms: int) -> Heard:
    event = inner(body, "event")
    kind = text_of(event, "type")
    match kind:
        case "message" if text_of(event, "subtype") == "message_changed":
            return _changed(event, me)
        case "message" | "app_mention":
            return message(event, me) or Ignored(what=f"{kind} {text_of(event, 'subtype')}".strip())
        case "member_joined_channel" if text_of(event, "user") == me.user and text_of(body, "event_id"):
            channel = text_of(event, "channel")
            common = _Common(
                key=f"{NAME}:{me.team}:{text_of(body, 'event_id')}",
                at_ms=_seconds(body.get("event_time"), now_ms),
                conversation=_place(me, channel),
                sender=_sender(text_of(event, "inviter") or me.user),
            )
            return Taken(event=BotAdded(**common)) if channel else Ignored(what=kind)
        case _:
            return Ignored(what=kind)


# --- Messages -------------------------------------------------------------------------------------------------------


def message(event: Json, me: Me) -> Spoken | None:
    """A message, from an event or from history; None for everything that no person said to anybody."""
    channel, user, ts = (text_of(event, name) for name in ("channel", "user", "ts"))
    at_ms = moment_ms(ts)
    if at_ms is None or not channel or not user or _is_bot(event, me) or text_of(event, "subtype") not in _SPOKEN:
        return None
    written = text_of(event, "text")
    files = attachments(inners(event, "files"))
    mentioned = f"<@{me.user}>" in written or f"<@{me.user}|" in written
    text = said(written, me.user)
    if not (text or files or mentioned):
        return None
    direct = channel.startswith("D") or text_of(event, "channel_type") == "im"
    parent = text_of(event, "thread_ts")
    thread = parent if parent != ts else ""
    ours = bool(thread) and text_of(event, "parent_user_id") == me.user
    received = MessageReceived(
        key=message_key(me, channel, ts),
        at_ms=at_ms,
        conversation=_place(me, channel, thread or ("" if direct else ts)),
        sender=_sender(user, _name(event)),
        text=text,
        reply_to=thread or None,
        addressed=direct or mentioned or ours,
        files=files,
    )
    return Spoken(event=received, ts=ts, thread=thread, ours=ours, edited=text_of(inner(event, "edited"), "ts"))


def private_chat(account: str) -> Conversation | None:
    """Where the bot and one account are alone, before anybody knows which channel that is."""
    platform, _, user = account.partition(":")
    return Conversation(platform=NAME, account=DIRECT, channel=f"@{user}") if platform == NAME and user else None


def addressee(place: Conversation) -> str:
    """Whose private chat it is, if its channel is still to be opened; else ""."""
    return place.channel.removeprefix("@") if place.channel.startswith("@") else ""


def is_private(place: Conversation) -> bool:
    """Whether the bot and one account are alone there: Slack's direct messages begin with D."""
    return place.channel.startswith(("D", "@"))


def message_key(me: Me, channel: str, ts: str) -> str:
    """The same for every way in which a message can come."""
    return f"{NAME}:{me.team}:{channel}:{ts}"


def edit_of(spoken: Spoken, me: Me) -> MessageEdited | None:
    """The last edit of a message that was read back; None if it has none."""
    at_ms = moment_ms(spoken.edited)
    event = spoken.event
    if at_ms is None:
        return None
    return MessageEdited(
        key=f"{NAME}:{me.team}:edit:{event.conversation.channel}:{spoken.ts}:{spoken.edited}",
        at_ms=at_ms,
        conversation=event.conversation,
        sender=event.sender,
        original=event.key,
        text=event.text,
    )


def _changed(event: Json, me: Me) -> Heard:
    """Slack also says so when a link was unfolded: only what was edited, and reads differently now, is an edit."""
    now, before = inner(event, "message"), inner(event, "previous_message")
    place = {name: text_of(event, name) for name in ("channel", "channel_type")}
    spoken = message(now | place, me)
    edit = edit_of(spoken, me) if spoken else None
    if spoken is None or edit is None or text_of(now, "text") == text_of(before, "text"):
        return Ignored(what="message_changed")
    return Rewritten(event=edit, message=spoken.event, ts=text_of(event, "ts"), edited=spoken.edited)


def _is_bot(event: Json, me: Me) -> bool:
    return bool(
        text_of(event, "bot_id") or text_of(event, "subtype") == "bot_message" or text_of(event, "user") == me.user
    )


def said(text: str, me: str) -> str:
    """What a person reads: the bot's own name is gone, others and links are words."""
    if me:
        text = re.sub(rf"[ \t]*<@{re.escape(me)}(?:\|[^<>]*)?>[ \t]*[:,]?[ \t]*", " ", text)
    text = _MARKUP.sub(_reference, text)
    text = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    return text.strip()[:TEXT_MAX]


def _reference(found: re.Match[str]) -> str:
    target, bar, label = found[1].partition("|")
    match target[:1]:
        case "@":
            return f"@{label or target[1:]}"
        case "#":
            return f"#{label or target[1:]}"
        case "!":
            name = target[1:].partition("^")[0]
            return (label if "^" in target else f"@{label.removeprefix('@')}") if bar else f"@{name}"
        case _ if not bar or label == target or target in (f"mailto:{label}", f"http://{label}", f"https://{label}"):
            return label or target
        case _:
            return f"{label} ({target})"


def attachments(files: Iterable[Json]) -> tuple[Attachment, ...]:
    """Files by reference; those that Slack no longer hands out are left out."""
    found = []
    for file in files:
        number, url = text_of(file, "id"), text_of(file, "url_private_download") or text_of(file, "url_private")
        if not number or text_of(file, "mode") in {"tombstone", "hidden_by_limit"}:
            continue
        size = file.get("size")
        found.append(
            Attachment(
                name=text_of(file, "name") or text_of(file, "title") or number,
                media=text_of(file, "mimetype"),
                bytes_n=size if isinstance(size, int) and 0 <= size < 2**53 else 0,
                ref=msgspec.json.encode({"id": number, "url": url}).decode(),
            )
        )
    return tuple(found[:FILES_MAX])


def quotes(messages: Iterable[object], before: str, me: Me, names: dict[str, str]) -> tuple[Quote, ...]:
    """What was said in a thread before `before`, oldest first: what it began with, and the last lines. None of it if
    the team had been speaking there: then it knows the thread already.
    """
    earlier = [some for some in messages if is_json(some) and moment(text_of(some, "ts")) < moment(before)]
    if any(is_own(some, me) for some in earlier):
        return ()
    found = [
        Quote(
            speaker=names.get(text_of(some, "user")) or _name(some) or text_of(some, "user") or words.SOMEBODY,
            text=text,
            by_agent=bool(text_of(some, "bot_id")),
        )
        for some in sorted(earlier, key=lambda some: moment(text_of(some, "ts")))
        if (text := said(text_of(some, "text"), ""))
    ]
    return tuple(found if len(found) <= EARLIER_MAX else (found[0], *found[1 - EARLIER_MAX :]))


def is_own(event: Json, me: Me) -> bool:
    """The bot itself wrote it."""
    return text_of(event, "user") == me.user or (me.bot != "" and text_of(event, "bot_id") == me.bot)


# --- Commands, buttons, forms ---------------------------------------------------------------------------------------


def _ordered(body: Json, me: Me, now_ms: int) -> Heard:
    channel, user, trigger = (text_of(body, name) for name in ("channel_id", "user_id", "trigger_id"))
    if not (channel and user and trigger):
        return Ignored(what="command without a place, a person or an id")
    common = _Common(
        key=f"{NAME}:{me.team}:{trigger}",
        at_ms=now_ms,
        conversation=_place(me, channel),
        sender=_sender(user, text_of(body, "user_name")),
    )
    url = text_of(body, "response_url")
    verb, rest = (*text_of(body, "text").replace("\x00", "").strip()[:TEXT_MAX].split(maxsplit=1), "", "")[:2]
    if verb.lower() == "ask" and rest:
        name = text_of(body, "user_name") or words.SOMEBODY
        return Asked(event=MessageReceived(**common, text=rest), name=name, response_url=url)
    command = CommandReceived(**common, name=verb.lower() or "help", arguments=tuple(rest.split(maxsplit=1)))
    return Taken(event=command, response_url=url)


def _pressed(body: Json, me: Me, now_ms: int) -> Heard:
    user = inner(body, "user")
    trigger = text_of(body, "trigger_id")
    actions = inners(body, "actions")
    control = (text_of(actions[0], "value") or text_of(actions[0], "action_id")) if actions else ""
    container, shown = inner(body, "container"), inner(body, "message")
    channel = text_of(inner(body, "channel"), "id") or text_of(container, "channel_id")
    if not (0 < len(control) <= CONTROL_MAX and channel and trigger and text_of(user, "id")):
        return Ignored(what="block_actions without a control, a place, a person or an id")
    thread = text_of(shown, "thread_ts") or text_of(container, "thread_ts")
    event = ControlPressed(
        key=f"{NAME}:{me.team}:{trigger}",
        at_ms=now_ms,
        conversation=_place(me, channel, thread if thread != text_of(shown, "ts") else ""),
        sender=_sender(text_of(user, "id"), text_of(user, "name") or text_of(user, "username")),
        control=control,
    )
    return Pressed(event=event, verb=form_verb(control), trigger=trigger, response_url=text_of(body, "response_url"))


def _submitted(body: Json, me: Me, now_ms: int) -> Heard:
    user, view = inner(body, "user"), inner(body, "view")
    form = filled(view)
    number = text_of(body, "trigger_id") or text_of(view, "id")
    if form is None or not number or not text_of(user, "id"):
        return Ignored(what="view_submission of a form that is not ours")
    control, fields, channel, thread = form
    event = FormSubmitted(
        key=f"{NAME}:{me.team}:{number}",
        at_ms=now_ms,
        conversation=_place(me, channel, thread),
        sender=_sender(text_of(user, "id"), text_of(user, "name") or text_of(user, "username")),
        control=control,
        fields=fields,
    )
    return Taken(event=event)


# --- Looking into what others wrote ---------------------------------------------------------------------------------


def moment_ms(ts: str) -> int | None:
    """A message's ts as UTC milliseconds; None for what is none."""
    found = _TS.fullmatch(ts)
    return int(found[1]) * 1000 + int(f"{found[2] or '':0<3}"[:3]) if found else None


def moment_ts(ms: int) -> str:
    """UTC milliseconds as Slack writes a moment."""
    return f"{ms // 1000}.{ms % 1000:03d}000"


def moment(text: str) -> tuple[int, int]:
    """What moments are ordered by: what is none is before all."""
    found = _TS.fullmatch(text)
    return (int(found[1]), int(f"{found[2] or '':0<9}")) if found else (0, 0)


def later(ts: str, than: str) -> bool:
    """Whether one moment is after another; what is no moment is before all."""
    return moment(ts) > moment(than)


def _seconds(value: object, otherwise_ms: int) -> int:
    return value * 1000 if isinstance(value, int) and 0 <= value < 10**11 else otherwise_ms


def _place(me: Me, channel: str, thread: str = "") -> Conversation:
    return Conversation(platform=NAME, account=me.team, channel=channel, thread=thread)


def _sender(user: str, name: str = "") -> Sender:
    return Sender(account=f"{NAME}:{user}", name=name)


def _name(event: Json) -> str:
    profile = inner(event, "user_profile")
    return text_of(profile, "display_name") or text_of(profile, "real_name") or text_of(event, "username")


def is_json(value: object) -> TypeGuard[Json]:
    return isinstance(value, dict)


def inner(body: Json, name: str) -> Json:
    value: Any = body.get(name)
    return value if is_json(value) else {}


def inners(body: Json, name: str) -> list[Json]:
    value: Any = body.get(name)
    return [some for some in value if is_json(some)] if isinstance(value, list) else []


def text_of(body: Json, name: str) -> str:
    """A string that can be stored: halves of characters become question marks."""
    value: Any = body.get(name)
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""
