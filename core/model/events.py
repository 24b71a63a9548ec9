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


class Sender(msgspec.Struct, frozen=True, kw_only=True):
    """Who did it, as the platform says. `asserted` names a person on a command line's own word (INQUIRIES.md)."""

    account: str  # "telegram:1111", "console:<os user>"
    name: str = ""
    asserted: str | None = None


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    key: str
    at_ms: int
    conversation: Conversation
    sender: Sender


class MessageReceived(_Event, frozen=True, kw_only=True, tag="MessageReceived/1"):
    """Somebody wrote. `role` is who was addressed, `reply_to` the platform's id of the message answered."""

    text: str
    role: str | None = None
    reply_to: str | None = None


class CommandReceived(_Event, frozen=True, kw_only=True, tag="CommandReceived/1"):
    """A command of ours: `name` without its slash, the rest of the line as `arguments`."""

    name: str
    arguments: tuple[str, ...] = ()


class ControlPressed(_Event, frozen=True, kw_only=True, tag="ControlPressed/1"):
    """A native button. `control` is the opaque id we issued, `callback` the platform's id of this press."""

    control: str


class FormSubmitted(_Event, frozen=True, kw_only=True, tag="FormSubmitted/1"):
    """A native form. `fields` by the names we gave them."""

    control: str
    fields: dict[str, str]


class ReactionAdded(_Event, frozen=True, kw_only=True, tag="ReactionAdded/1"):
    """A reaction on a message of ours."""

    message: str
    reaction: str


class ScheduleFired(_Event, frozen=True, kw_only=True, tag="ScheduleFired/1"):
    """A schedule came due; `scheduled_at_ms` is the time meant, not the time noticed."""

    schedule: str
    scheduled_at_ms: int
    text: str
    role: str | None = None


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
    | CommandReceived
    | ControlPressed
    | FormSubmitted
    | ReactionAdded
    | ScheduleFired
    | WebhookReceived
    | CardMoved
)
