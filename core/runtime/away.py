"""Who is away, until when, and who stands in for them: kept for each person, said in the chat."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from core.model.events import Event
from core.model.ids import post_of
from core.model.inquiries import Inquiry
from core.model.team import Absence, Person, Team
from core.model.unit import CloseEvent, SetMeta, State, Table
from core.model.views import Line, Post
from core.ports import Reads
from core.rules import absence, notes
from core.rules.text import human_when
from core.runtime.context import Context


async def absences_of(context: Context, inquiry: Inquiry) -> tuple[Absence, ...]:
    """Of those who may decide it."""
    people = dict.fromkeys(p for stage in inquiry.stages for p in stage.eligible)
    return tuple((await absences(context, people)).values())


async def absences(context: Context, people: Iterable[str]) -> dict[str, Absence]:
    """Who of them is away now."""
    now_ms, away = context.clock.now_ms(), {}
    for person in people:
        kept = await context.store.read.meta(_name(person))
        one = msgspec.json.decode(kept.encode(), type=Absence) if kept else None
        if one is not None and one.until_ms > now_ms:
            away[person] = one
    return away


async def stand_ins(context: Context) -> dict[str, str]:
    """Delegates by the absent who named them, of everybody, in one look."""
    return await stand_ins_at(context.store.read, context.clock.now_ms())


async def stand_ins_at(read: Reads, now_ms: int) -> dict[str, str]:
    """The same, where no engine is."""
    kept = [msgspec.json.decode(value.encode(), type=Absence) for _, value in await read.facts(_name(""))]
    return {one.person: one.delegate for one in kept if one.until_ms > now_ms and one.delegate}


async def leave(context: Context, team: Team, event: Event, person: Person, text: str) -> None:
    """`/away UNTIL [to PERSON]`."""
    now_ms = context.clock.now_ms()
    until, _, rest = text.strip().partition(" ")
    until_ms = absence.until_of(until, person.zone, now_ms)
    to, _, name = rest.strip().partition(" ")
    if until_ms is None or (to and (to.lower() != "to" or not name.strip())):
        await _answer(context, team, event, notes.AWAY_HOW)
        return
    delegate = absence.person_named(team, name.strip()) if name else None
    wrong = notes.DELEGATE_UNKNOWN if name and delegate is None else ""
    if delegate is not None:
        everybody = await absences(context, (p.id for p in team.people))
        wrong = absence.objection(team, person, delegate, everybody, now_ms)
    if wrong:
        await _answer(context, team, event, wrong)
        return
    fact = Absence(person=person.id, until_ms=until_ms, delegate=delegate.id if delegate else "")
    said = notes.away(human_when(until_ms, now_ms, person.zone), delegate.name if delegate else "")
    await _answer(context, team, event, said, fact)


async def back(context: Context, team: Team, event: Event, person: Person) -> None:
    """`/back`."""
    await _answer(context, team, event, notes.AWAY_BACK, Absence(person=person.id, until_ms=0))


async def _answer(context: Context, team: Team, event: Event, text: str, fact: Absence | None = None) -> None:
    """Close the event with a private line; keep a new fact with it, and on record."""
    plan = context.plan(context.env(team))
    plan.guards.append(State(table=Table.EVENT, id=event.key, states=("new",)))
    plan.changes.append(CloseEvent(key=event.key))
    if fact is not None:
        kept = msgspec.json.encode(fact).decode() if fact.until_ms else ""
        plan.changes.append(SetMeta(name=_name(fact.person), value=kept))
        plan.audit(
            f"person:{fact.person}",
            event.key,
            "person.away" if fact.until_ms else "person.back",
            principal=fact.person,
            account=event.sender.account,
            until_ms=fact.until_ms,
            delegate=fact.delegate,
        )
    post_id = post_of("answer", event.key)
    line = Line(text=text, private=True, to=event.sender.account, event=event.key)
    plan.post(Post(id=post_id, conversation=event.conversation, view=line, slot=post_id, rank=0, at_ms=plan.env.now_ms))
    await context.commit(plan)


def _name(person: str) -> str:
    """The fact that says it."""
    return f"away:{person}"
