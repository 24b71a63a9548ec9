"""Where an event goes: an order of ours, a press on an inquiry, a word to a running task, or new work for a role.

Nobody the team does not know gets anything but one polite line (fail closed).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from core.model.events import (
    BotAdded,
    CardMoved,
    CommandReceived,
    ControlPressed,
    Event,
    FormSubmitted,
    MessageEdited,
    MessageReceived,
    ReactionAdded,
    ScheduleFired,
    Sender,
    WebhookReceived,
)
from core.model.inquiries import Evidence
from core.model.team import Person, Team
from core.rules import replies
from core.rules.commands import Always, ApproveAll, Ask, Control, Decide, Link, Order, Show, Unclear, parse

TEXT_BYTES_MAX = 256 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """New work for a role."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """A word to the conversation's running task."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """A button or form of an inquiry. `fields` is None for a plain press."""

    control: str
    fields: dict[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Say:
    """Nothing to do but answer with a line."""

    line: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnAway:
    """A stranger: one polite line a day, and nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Greet:
    """A new place: who is here, and how to ask."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reworded:
    """The message of this event reads differently now."""

    original: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ignore:
    """Nothing to do."""


Acted = Decide | ApproveAll | Always | Control | Show | Link
Route = Start | Tell | Press | Say | TurnAway | Greet | Reworded | Ignore | Acted


def sender_of(team: Team, sender: Sender) -> tuple[Person | None, Evidence]:
    """Who it is: the person an account is linked to, or the one a command line says it is."""
    if sender.asserted is not None:
        return team.person(sender.asserted), Evidence.ASSERTED
    return team.person_of_account(sender.account), Evidence.VERIFIED


def route(event: Event, team: Team, person: Person | None, *, task_runs: bool) -> Route:
    """`task_runs`: the conversation has a task that has not ended."""
    match event:
        case ScheduleFired() | WebhookReceived() | CardMoved():
            text = event.body if isinstance(event, WebhookReceived) else event.text
            return _start(team, text, event.role)
        case ReactionAdded():
            return Ignore()
        case BotAdded():
            return Greet()
        case MessageEdited():
            return Ignore() if person is None else Reworded(original=event.original)
        case MessageReceived() | CommandReceived() | ControlPressed() | FormSubmitted():
            if person is None:
                return _of_stranger(event)
            return _of_person(event, team, person, task_runs=task_runs)
        case _:  # pragma: no cover
            assert_never(event)


def names_a_role(text: str, team: Team) -> bool:
    """Whether it begins with `@role` and says something to it."""
    return _addressed(text.strip(), team)[0] is not None


def _addressed(text: str, team: Team) -> tuple[str | None, str]:
    """The role a text begins with, if any, and the rest of it."""
    name, _, rest = text[1:].partition(" ")
    name = name.lower().rstrip(",:")
    return (name, rest.strip()) if text.startswith("@") and name in team.roles and rest.strip() else (None, text)


def _of_stranger(event: MessageReceived | CommandReceived | ControlPressed | FormSubmitted) -> Route:
    """A code makes somebody of them; chatter that was not meant for us is not answered."""
    if isinstance(event, MessageReceived) and not event.addressed:
        return Ignore()
    order = parse(event.name, event.arguments) if isinstance(event, CommandReceived) else None
    return order if isinstance(order, Link) and order.code else TurnAway()


def _of_person(
    event: MessageReceived | CommandReceived | ControlPressed | FormSubmitted,
    team: Team,
    person: Person,
    *,
    task_runs: bool,
) -> Route:
    match event:
        case MessageReceived():
            return _message(event, team, person, task_runs=task_runs)
        case CommandReceived():
            return _order(parse(event.name, event.arguments), team, person)
        case ControlPressed():
            return Press(control=event.control)
        case FormSubmitted():
            return Press(control=event.control, fields=event.fields)
        case _:  # pragma: no cover
            assert_never(event)


def _message(event: MessageReceived, team: Team, person: Person, *, task_runs: bool) -> Route:
    text, role = event.text.strip(), event.role
    if not text:
        return Ignore()
    if len(text.encode("utf-8", "replace")) > TEXT_BYTES_MAX:
        return Say(line=replies.MESSAGE_TOO_LONG)
    if not person.may_ask:
        return Say(line=replies.MAY_NOT_ASK)
    if role is None:
        role, text = _addressed(text, team)
    if role is not None and role not in team.roles:
        return Say(line=replies.no_such_role(role, tuple(team.roles)))
    if task_runs and role is None:
        return Tell(text=text)
    bound = team.channels.get(f"{event.conversation.platform}:{event.conversation.channel}")
    return _start(team, text, role or bound)


def _order(order: Order, team: Team, person: Person) -> Route:
    match order:
        case Unclear(say=line):
            return Say(line=line)
        case Ask(text=text, role=role):
            return _start(team, text, role) if person.may_ask else Say(line=replies.MAY_NOT_ASK)
        case Control():
            return order if person.may_ask else Say(line=replies.MAY_NOT_ASK)
        case Decide() | ApproveAll() | Always() | Show() | Link():
            return order
        case _:  # pragma: no cover
            assert_never(order)


def _start(team: Team, text: str, role: str | None) -> Route:
    if role is not None and role not in team.roles:
        return Say(line=replies.no_such_role(role, tuple(team.roles)))
    return Start(role=role or team.lead, text=text)
