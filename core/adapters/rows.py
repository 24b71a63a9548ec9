"""What stored rows mean, the same in every store."""

from __future__ import annotations

import msgspec

from core.model.events import MessageReceived
from core.model.inquiries import Inquiry
from core.model.views import Answer, Line, Post
from core.model.work import Phase, Said, Task
from core.rules.text import shorten
from core.rules.values import masked, secret_texts
from core.rules.views import arguments_shown


def task_state(task: Task, *, paused: bool, leased: bool, ready: bool) -> str:
    """One word for what a task does, the most final first."""
    if task.phase.final:
        return "finished"
    if task.phase is Phase.CANCELLING:
        return "cancelling"
    if paused:
        return "paused"
    if leased:
        return "leased"
    return "ready" if ready else "waiting"


def spoken(post: Post) -> bool:
    """It is part of what was said in its conversation: an answer, or a line that a role said."""
    return isinstance(post.view, Answer) or (isinstance(post.view, Line) and bool(post.view.speaker))


def said_by_person(event: MessageReceived) -> Said:
    return Said(speaker=event.sender.name or event.sender.account, text=event.text, at_ms=event.at_ms)


def said_by_role(post: Post) -> Said:
    """Of a post that is `spoken`."""
    match post.view:
        case Answer(speaker=speaker, text=text, untrusted=untrusted):
            return Said(speaker=speaker, text=text, by_agent=True, at_ms=post.at_ms, untrusted=untrusted)
        case Line(speaker=speaker, text=text):
            return Said(speaker=speaker, text=text, by_agent=True, at_ms=post.at_ms)
        case _:
            raise TypeError(post.view)


FOUND_CHARS_MAX = 4_000
"""So much of an inquiry can be found again by its words."""


def deciders(inquiry: Inquiry) -> tuple[str, ...]:
    """Who may decide it at its present stage, each once; nobody once it has ended."""
    if inquiry.state.final or inquiry.stage >= len(inquiry.stages):
        return ()
    return tuple(dict.fromkeys(inquiry.stages[inquiry.stage].eligible))


def decided_at_ms(inquiry: Inquiry) -> int:
    """When it ended."""
    return inquiry.resolution.at_ms if inquiry.resolution else inquiry.updated_at_ms


def found_by(inquiry: Inquiry) -> str:
    """What an inquiry that has ended is searched by, folded; without secrets."""
    action, end = inquiry.action, inquiry.resolution
    secrets = secret_texts(action)
    words = [inquiry.id, inquiry.role, inquiry.question, *inquiry.options, inquiry.why, *inquiry.gates]
    if end is not None:
        words += [end.reason, "" if end.answer is None else msgspec.json.encode(end.answer).decode()]
    if action is not None:
        arguments = msgspec.json.encode(arguments_shown(action)).decode()
        words += [action.tool, action.verb, action.resource, action.says, arguments]
    return shorten(masked("\n".join(filter(None, words)), secrets), FOUND_CHARS_MAX).casefold()
