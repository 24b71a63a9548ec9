"""A conversation that a person has taken over: the team keeps what is said there, and does not answer until it is
handed back (CONSTITUTION.md, Escalation Triggers; core/rules/triggers decides when).
"""

from __future__ import annotations

import msgspec

from core.model.events import Conversation, Event, MessageReceived
from core.model.ids import post_of
from core.model.signals import Signal, TakenOver
from core.model.team import Person, Team
from core.model.unit import AddPost, Change, CloseEvent, Guard, Pause, SetMeta, State, Table
from core.model.views import Line, Post
from core.model.work import Said, Task
from core.rules import replies, triggers
from core.rules.handing import PREFIX, Handed, kept, name_of
from core.rules.text import readable, shorten
from core.runtime import holding
from core.runtime.context import Context
from core.runtime.looking import talk_began_ms

__all__ = ["PREFIX", "Handed", "hand_back", "hand_over", "handed", "reason", "taken_over"]

SAID_MAX = 50
REPEATS_WITHIN_MS = 3_600_000
"""Who asks the same again within an hour is not helped by the answers; who does so every Monday is."""
LINE_MAX = 500


async def handed(context: Context, conversation: Conversation) -> Handed | None:
    """What is known of a hand-over that still holds."""
    fact = await context.store.read.meta(name_of(conversation))
    return msgspec.json.decode(fact.encode(), type=Handed) if fact else None


async def reason(context: Context, team: Team, event: Event, role: str, text: str) -> str:
    """Why what was just said to a role goes to a person; "" if it need not."""
    role_triggers = team.roles[role].triggers
    if not role_triggers.repeats:
        return triggers.fired(role_triggers, text, ())
    since_ms = max(await talk_began_ms(context, event.conversation.key), event.at_ms - REPEATS_WITHIN_MS)
    said = await context.store.read.said(event.conversation, SAID_MAX, since_ms)
    before = [one.text for one in said if not one.by_agent]
    if isinstance(event, MessageReceived):
        before = before[:-1]  # it is among what was said already
    return triggers.fired(role_triggers, text, before)


async def hand_over(context: Context, team: Team, event: Event, role: str, why: str, running: Task | None) -> None:
    """The team falls silent there, says so, and tells the people who look after the inbox all that was said."""
    now_ms, where = context.clock.now_ms(), event.conversation
    said = await context.store.read.said(where, SAID_MAX)
    plan = context.plan(context.env(team))
    plan.guards.append(State(table=Table.EVENT, id=event.key, states=("new",)))
    plan.changes.append(CloseEvent(key=event.key, task=running.id if running else None))
    plan.changes.append(kept(where, role, why, now_ms))
    if running is not None:
        plan.changes.append(Pause(scope=f"task:{running.root}", paused=True, by="handover"))
        plan.roots.add(running.root)
    plan.audit(where.key, event.key, "conversation.handed-over", role=role, why=why, account=event.sender.account)
    plan.post(_line(event, where, replies.handed_over(team.roles[role].title, why), now_ms))
    inbox = team.policy.inbox
    if inbox is not None and inbox != where:
        plan.changes.append(AddPost(post=_line(event, inbox, _whole(where, why, said), now_ms)))
    await context.commit(plan)


async def taken_over(
    context: Context, signal: Signal, errand: TakenOver, guards: tuple[Guard, ...], changes: tuple[Change, ...]
) -> None:
    """All that was said in a task's conversation, and what was to be handed on, for the people of the inbox. Raises
    LookupError for a task nobody knows.
    """
    task = await context.store.read.task(signal.task)
    if task is None:
        raise LookupError(signal.task)
    team, where = await context.team(), task.conversation
    plan = context.plan(context.env(team))
    plan.guards.extend(guards)
    plan.changes.extend(changes)
    inbox = team.policy.inbox
    if inbox is not None and inbox != where:
        said = await context.store.read.said(where, SAID_MAX)
        asked = Said(speaker=replies.TO_BE_HANDED_ON, text=errand.asked, by_agent=True)
        post_id, line = post_of("handover", signal.id), Line(text=_whole(where, errand.why, (*said, asked)))
        plan.post(Post(id=post_id, conversation=inbox, view=line, slot=post_id, rank=0, at_ms=plan.env.now_ms))
    await context.commit(plan)


async def hand_back(context: Context, team: Team, event: Event, person: Person | None, place: str = "") -> None:
    """The team answers there again: where it is said, or in the place that is named, as the inbox names it. Approvers
    may say so, nobody else.
    """
    now_ms = context.clock.now_ms()
    where = await _named(context, place.strip()) if place.strip() else event.conversation
    plan = context.plan(context.env(team))
    plan.guards.append(State(table=Table.EVENT, id=event.key, states=("new",)))
    plan.changes.append(CloseEvent(key=event.key, task=None))
    if where is None:
        text, where = replies.no_handover(place), event.conversation
    elif await handed(context, where) is None:
        text = replies.NOT_HANDED_OVER
    elif person is None or not person.may_approve:
        text = replies.NOT_YOURS
    else:
        plan.changes.append(SetMeta(name=name_of(where), value=""))
        root = await context.store.read.open_root(where)
        if root is not None:
            plan.changes.append(Pause(scope=f"task:{root.id}", paused=False, by=person.id))
            await holding.going_on(context, root.id)
            plan.roots.add(root.id)
        plan.audit(where.key, event.key, "conversation.handed-back", principal=person.id, account=event.sender.account)
        text = replies.HANDED_BACK
        if where != event.conversation:
            plan.post(_line(event, where, text, now_ms))
            text = replies.handed_back(where.key.rstrip("/"))
    plan.post(_line(event, event.conversation, text, now_ms))
    await context.commit(plan)


async def _named(context: Context, place: str) -> Conversation | None:
    """The one conversation with a person whose name is this, or begins so."""
    found = [name.removeprefix(PREFIX) for name, _ in await context.store.read.facts(f"{PREFIX}{place}")]
    exact = [key for key in found if key.rstrip("/") == place.rstrip("/")] or found
    return Conversation.of_key(exact[0]) if len(exact) == 1 else None


def _line(event: Event, where: Conversation, text: str, now_ms: int) -> Post:
    post_id = post_of("handover", event.key, where.key)
    return Post(id=post_id, conversation=where, view=Line(text=text), slot=post_id, rank=0, at_ms=now_ms)


def _whole(where: Conversation, why: str, said: tuple[Said, ...]) -> str:
    lines = [f"{one.speaker}: {shorten(readable(one.text), LINE_MAX)}" for one in said]
    return "\n".join((replies.taken_over(where.key, why), *lines))
