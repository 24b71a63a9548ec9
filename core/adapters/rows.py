"""What stored rows mean, the same in every store."""

from __future__ import annotations

from core.model.events import MessageReceived
from core.model.views import Answer, Line, Post
from core.model.work import Phase, Said, Task


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
    return Said(speaker=event.sender.name or event.sender.account, text=event.text)


def said_by_role(post: Post) -> Said:
    """Of a post that is `spoken`."""
    match post.view:
        case Answer(speaker=speaker, text=text) | Line(speaker=speaker, text=text):
            return Said(speaker=speaker, text=text, by_agent=True)
        case _:
            raise TypeError(post.view)
