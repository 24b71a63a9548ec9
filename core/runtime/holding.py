"""What people have stopped does not work: however long that lasts, and whatever comes meanwhile, no time is counted,
and the journal hears of it only when something happens.
"""

from __future__ import annotations

from core.model.ids import TaskId
from core.model.signals import Deadline, HoldEnded, Signal
from core.model.unit import Applied, CloseSignal
from core.model.work import Held, Phase, Task
from core.rules.plan import fold
from core.runtime.context import Context

HELD_MAX = 10_000
HELD_WAIT_MS = 3_600_000
"""How often a timer that came under a stop looks again. Whoever resumes sets it anew at once; this is for the rest."""
AGAIN = ":held"
"""Ends the id of a deadline that came under a stop."""


async def is_held(context: Context, task: Task) -> bool:
    """People have stopped it, or its role, or a task above it."""
    if not context.stopped:
        return False
    rows = await context.store.read.tasks(root=task.root)
    return any(row.task.id == task.id and row.state == "paused" for row in rows)


async def uncounted(context: Context, task: Task) -> Task:
    """The task with the time it has been held so far taken out, written in a transaction of its own: before the entry
    by which it may stop running, which would count that time.
    """
    now_ms, since_ms = context.clock.now_ms(), task.active_since_ms
    if not context.stopped or task.phase is not Phase.WORKING or since_ms is None or since_ms >= now_ms:
        return task
    if not await is_held(context, task):
        return task
    plan = context.plan(context.env(await context.team(task.definition)))
    new = fold(plan, task, Held(at_ms=now_ms))
    if isinstance(await context.commit(plan), Applied):
        return new
    return await context.store.read.task(task.id) or task


async def dealt_with(context: Context, signal: Signal) -> bool:
    """A timer whose time comes while its task is held is set again, and nothing is written down. A deadline comes back
    as the end of a hold, so that it is never taken for time that was worked; if another has been set since, it is over.
    """
    if not isinstance(signal.errand, Deadline | HoldEnded):
        return False
    task = await context.store.read.task(signal.task)
    if task is None:
        return False
    plan = context.plan(context.env(await context.team()))
    if await is_held(context, task):
        signal_id: str = signal.id
        if isinstance(signal.errand, Deadline):
            plan.changes.append(CloseSignal(id=signal.id))
            signal_id += AGAIN
        plan.signal(signal_id, signal.task, HoldEnded(), plan.env.now_ms + HELD_WAIT_MS)
    elif signal.id.endswith(AGAIN) and signal.id != f"{task.deadline}{AGAIN}":
        plan.changes.append(CloseSignal(id=signal.id))
    else:
        return False
    await context.commit(plan)
    return True


async def going_on(context: Context, root: TaskId | None = None) -> None:
    """Before those that are held are let go on, all or those of one root task: none of that time is their work."""
    rows = await context.store.read.tasks(open_only=True, root=root, limit=HELD_MAX)
    for row in rows:
        if row.state == "paused":
            await uncounted(context, row.task)
