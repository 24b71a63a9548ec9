"""What happened outside: past tense, immutable. `key` is globally unique and comes from the platform's own id.

Every tag ends in its version; a later release adds a version and reads the old one.
"""

from __future__ import annotations

import msgspec


class Conversation(msgspec.Struct, frozen=True, kw_only=True):
    """Where people talk: platform, account (workspace or bot), channel, thread."""

    platform: str
    account: str
    channel: str
    thread: str = ""

    @property
    def key(self) -> str:
        """One string for indexes and lanes: order is kept per conversation."""
        return f"{self.platform}/{self.account}/{self.channel}/{self.thread}"

    @classmethod
    def of_key(cls, key: str) -> Conversation:
        """The conversation with this key; of the four parts only the last may hold a slash. Raises ValueError."""
        platform, account, channel, thread = key.split("/", 3)
        return cls(platform=platform, account=account, channel=channel, thread=thread)


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it, as the platform says. `asserted` names a person on a command line's own word (INQUIRIES.md)."""

    account: str  # "telegram:1111", "console:<os user>"
    name: str = ""
    asserted: str | None = None


class Attachment(msgspec.Struct, frozen=True, kw_only=True):
    """A file somebody sent, by reference: `ref` is the platform's own handle, fetched after the event is accepted."""

    name: str  # as the sender's device says: anything at all, never a path
    media: str = ""  # MIME type, as the platform says
    bytes_n: int = 0
    ref: str


class Quote(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier line of a thread the team was called into: untrusted context."""

    speaker: str
    text: str
    by_agent: bool = False


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    at_ms: int
    conversation: Conversation
    sender: Sender


class MessageReceived(_Event, frozen=True, kw_only=True, tag="MessageReceived/1"):
    """Somebody wrote. `role` is who was addressed, `reply_to` the platform's id of the message answered. `addressed`:
    in private, or with the team's name; what was merely said in a place it takes part in is not. `earlier`: what was
    said before in a thread that the team is new to, oldest first.
    """

    text: str
    role: str | None = None
    reply_to: str | None = None
    addressed: bool = True
    files: tuple[Attachment, ...] = ()
    earlier: tuple[Quote, ...] = ()


class MessageEdited(_Event, frozen=True, kw_only=True, tag="MessageEdited/1"):
    """Somebody changed what they had written. `original` is the key of the event it was accepted as."""

    original: str
    text: str


class CommandReceived(_Event, frozen=True, kw_only=True, tag="CommandReceived/1"):
    """A command of ours: `name` without its slash, the rest of the line as `arguments`."""

    name: str
    arguments: tuple[str, ...] = ()


class ControlPressed(_Event, frozen=True, kw_only=True, tag="ControlPressed/1"):
    """A native button. `control` is the opaque id we issued; `message`, where the platform tells, what `send` would
    have returned for the message it is on.
    """

    control: str
    message: str = ""


class FormSubmitted(_Event, frozen=True, kw_only=True, tag="FormSubmitted/1"):
    """A native form. `fields` by the names we gave them."""

    control: str
    fields: dict[str, str]


class ReactionAdded(_Event, frozen=True, kw_only=True, tag="ReactionAdded/1"):
    """A reaction on a message of ours."""

    message: str
    reaction: str


class BotAdded(_Event, frozen=True, kw_only=True, tag="BotAdded/1"):
    """The team was brought to a new place: a channel, a group, a private chat."""


class ScheduleFired(_Event, frozen=True, kw_only=True, tag="ScheduleFired/1"):
    """A schedule came due, or a reminder; `scheduled_at_ms` is the time meant, not the time noticed. Of a reminder,
    `initiators` are the people whose work set it, and `untrusted` says that this had read what came from outside.
    """

    schedule: str
    scheduled_at_ms: int
    text: str
    role: str | None = None
    initiators: tuple[str, ...] = ()
    untrusted: bool = False


class WebhookReceived(_Event, frozen=True, kw_only=True, tag="WebhookReceived/1"):
    """A signed call from another system, its body as text."""

    hook: str
    body: str
    role: str | None = None


class CardMoved(_Event, frozen=True, kw_only=True, tag="CardMoved/1"):
    """A card on the board went from one column to another."""

    card: str
    column_from: str
    column_to: str
    text: str = ""
    role: str | None = None


Event = (
    MessageReceived
    | MessageEdited
    | CommandReceived
    | ControlPressed
    | FormSubmitted
    | ReactionAdded
    | BotAdded
    | ScheduleFired
    | WebhookReceived
    | CardMoved
)
