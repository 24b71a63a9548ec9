"""A conversation that a person has taken over, as it is written down: it is silent until it is handed back."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from core.model.effects import GiveOver
from core.model.events import Conversation
from core.model.ids import post_of
from core.model.signals import TakenOver
from core.model.unit import Pause, SetMeta
from core.model.views import Line, Post
from core.model.work import Task
from core.rules import replies

if TYPE_CHECKING:
    from core.rules.plan import Plan

PREFIX: Final = "handed:"
"""What the names of these facts begin with; the conversation's key follows."""


class Handed(msgspec.Struct, frozen=True, kw_only=True, tag="Handed/1"):
    """Why and since when."""

    why: str
    role: str
    at_ms: int


def name_of(conversation: Conversation) -> str:
    """Under which the fact is kept."""
    return f"{PREFIX}{conversation.key}"


def kept(conversation: Conversation, role: str, why: str, at_ms: int) -> SetMeta:
    """From now on the conversation is a person's."""
    fact = Handed(why=why, role=role, at_ms=at_ms)
    return SetMeta(name=name_of(conversation), value=msgspec.json.encode(fact).decode())


def give_over(plan: Plan, task: Task, effect: GiveOver) -> None:
    """A brief fired a trigger of its reader's: the whole request is held, and people are told in the same transaction.
    What was said there is read afterwards, by whoever deals with the signal.
    """
    where, now_ms, role = task.conversation, plan.env.now_ms, plan.team.roles[effect.role].title
    plan.changes.append(kept(where, effect.role, effect.why, now_ms))
    plan.changes.append(Pause(scope=f"task:{task.root}", paused=True, by="handover"))
    plan.free_role = ""  # nothing of it starts any more
    plan.audit(where.key, f"{task.id}:{task.step}", "conversation.handed-over", role=effect.role, why=effect.why)
    post_id = post_of("handover", task.id, task.step)
    line = Line(text=replies.handed_over(role, effect.why))
    plan.post(Post(id=post_id, conversation=where, view=line, slot=post_id, rank=0, at_ms=now_ms))
    errand = TakenOver(why=effect.why, asked=effect.brief.objective)
    plan.signal(f"{task.id}:{task.step}:taken-over", task.id, errand)
