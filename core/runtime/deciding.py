"""Fold an entry into a task and commit what follows: read, decide, commit; decide again if somebody was faster."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from core.model.ids import TaskId
from core.model.inquiries import Grant, InquiryState
from core.model.team import EffectClass, Team
from core.model.unit import Applied, Change, Guard, Refused, Table, Version
from core.model.work import Decided, Entry, Lost, Replied, Task
from core.rules.plan import Plan, fold
from core.runtime import grants, holding, remembering
from core.runtime.away import stand_ins
from core.runtime.context import Context, exhausted_scope
from core.runtime.directs import directs_of
from core.runtime.stale import StaleError

__all__ = ["StaleError", "decide"]

TRIES_MAX = 50
"""Each refused try means that another commit to the same task succeeded, so this is a bound, not a hope."""

CONTROL_TOOLS = frozenset({"delegate", "ask_human", "hand_off"})
ACTING = (Replied, Decided, Lost)
"""Entries after which an action may be decided: only then must programs be looked at."""


@dataclass(frozen=True, slots=True)
class Known:
    """What people have said that calls are judged by: intents they denied, bounded grants they gave."""

    denied: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()


async def decide(
    context: Context,
    task: Task | TaskId,
    entry_of: Callable[[Task], Entry],
    *,
    guards: Iterable[Guard] = (),
    changes: Callable[[Task], Iterable[Change]] = lambda _task: (),
    free_role: str = "",
) -> tuple[Task, Plan]:
    """Commit the entry, its step and `changes` in one transaction under `guards`. `task` may be a state known from a
    claim: then the first try reads nothing. Raises StaleError, KeyError (no such task), StoreFullError.
    """
    exhausted: frozenset[str] = frozenset()
    known = task if isinstance(task, Task) else None
    task_id = task.id if isinstance(task, Task) else task
    counted = False
    for _ in range(TRIES_MAX):
        state = known or await context.store.read.task(task_id)
        if state is None:
            raise KeyError(task_id)
        if not counted:
            state, counted = await holding.uncounted(context, state), True
        team = await context.team(state.definition)
        entry = entry_of(state)
        said = await known_in(context, team, state, entry)
        env = context.env(
            team,
            commands=team.roles[state.role].commands if isinstance(entry, ACTING) else (),
            exhausted=exhausted,
            denied=said.denied,
            grants=said.grants,
            directs=await directs_of(context, team, state.conversation, state.initiators),
            stand_ins=await stand_ins(context) if isinstance(entry, ACTING) else {},
            memories=await remembering.views_for(context, team, state.role, entry),
        )
        # While anything is stopped, what comes next is left to a claim: claims know which tasks and roles that holds.
        plan = context.plan(env, free_role="" if context.stopped else free_role)
        plan.guards.extend(guards)
        plan.changes.extend(changes(state))
        new = fold(plan, state, entry)
        answer = await context.commit(plan)
        if isinstance(answer, Applied):
            return new, plan
        known = None
        if scope := exhausted_scope(answer):
            exhausted |= {scope}
        elif not _lost_race(answer):
            raise StaleError(str(answer))
    raise StaleError(f"{task_id}: {TRIES_MAX} tries")


def _lost_race(answer: Refused) -> bool:
    return isinstance(answer.guard, Version) and answer.guard.table is Table.TASK


async def known_in(context: Context, team: Team, task: Task, entry: Entry) -> Known:
    """What people said in this root task. Read only when the reply wants to act, not just to look."""
    if not isinstance(entry, Replied) or not any(_acts(team, task.role, use.name) for use in entry.reply.uses):
        return Known()
    asked = await context.store.read.inquiries(active_only=False, root=task.root)
    denied = frozenset(i.intent for i in asked if i.state is InquiryState.DENIED and i.intent)
    bounded = [i.id for i in asked if i.bounds is not None and i.state is InquiryState.APPROVED]
    found = [await grants.standing(context, inquiry) for inquiry in bounded]
    return Known(denied=denied, grants=tuple(grant for grant in found if grant is not None))


def _acts(team: Team, role: str, tool: str) -> bool:
    spec = team.spec(role, tool)
    return spec is not None and tool not in CONTROL_TOOLS and spec.effect is not EffectClass.READ
