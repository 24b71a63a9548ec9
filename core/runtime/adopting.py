"""A running request goes on under today's definition: one order, one entry in the journal of each of its open tasks.

Law: nothing else changes what a task is bound to. All open tasks of the request go together, or none does.
"""

from __future__ import annotations

from core.model.events import Event
from core.model.ids import post_of
from core.model.team import Person, Team
from core.model.unit import Applied, CloseEvent, State, Table
from core.model.views import Line, Post
from core.model.work import Phase, Redefined, Task
from core.rules import replies
from core.rules.plan import fold
from core.runtime.context import Context
from core.runtime.stale import StaleError

TRIES_MAX = 20
OPEN_MAX = 1_000


async def adopt(context: Context, event: Event, person: Person, task: Task) -> None:
    """Raises StaleError when others are faster, again and again."""
    for _ in range(TRIES_MAX):
        rows = await context.store.read.tasks(root=task.root, open_only=True, limit=OPEN_MAX)
        team, working = context.teams.of(task.root), [row.task for row in rows if row.task.phase is Phase.WORKING]
        plan = context.plan(context.env(team))
        plan.guards.append(State(table=Table.EVENT, id=event.key, states=("new",)))
        line = _refusal(team, task, working)
        plan.changes.append(CloseEvent(key=event.key, task=None if line else task.root))
        for one in () if line else (one for one in working if one.definition != team.version):
            own = context.plan(context.env(await context.team(one.definition)))  # a task steps under its own definition
            version = team.roles[one.role].version
            fold(own, one, Redefined(at_ms=plan.env.now_ms, definition=team.version, role_version=version))
            plan.guards.extend(own.guards)
            plan.changes.extend(own.changes)
            plan.roots |= own.roots
            detail = {"definition": team.version, "before": one.definition}
            plan.audit(one.id, event.key, "task.redefined", principal=person.id, account=event.sender.account, **detail)
        post_id = post_of("answer", event.key)
        view = Line(text=line or replies.adopted(task.root, len(working)))
        post = Post(id=post_id, conversation=event.conversation, view=view, slot=post_id, rank=0, at_ms=plan.env.now_ms)
        plan.post(post)
        if isinstance(await context.commit(plan), Applied):
            return
    raise StaleError(f"{task.root}: {TRIES_MAX} tries")


def _refusal(team: Team, task: Task, working: list[Task]) -> str:
    """Why nothing is to be done; "" if something is."""
    if not working:
        return replies.over_already(task.root)
    gone = next((one.role for one in working if one.role not in team.roles), "")
    if gone:
        return replies.role_gone(gone)
    return "" if any(one.definition != team.version for one in working) else replies.adopted_already(task.root)
