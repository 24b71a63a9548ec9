"""People change what they have approved, before it has started (transition 11 from approved): its call waits for them
again, and what was queued under the old grant is withdrawn in the same transaction.
"""

from __future__ import annotations

from core.model.ids import SignalId
from core.model.unit import CloseSignal, EffectState, EndEffect, InquiryRow, State, Table
from core.model.work import CallState, Reopened, Task
from core.rules.inquiry import Decision
from core.rules.plan import Plan, fold
from core.runtime import holding
from core.runtime.context import Context


def reopens(row: InquiryRow, decision: Decision) -> bool:
    """Whether what was approved is asked again."""
    return row.inquiry.state.final and not decision.inquiry.state.final


async def reopen(context: Context, plan: Plan, task: Task | None, row: InquiryRow) -> bool:
    """Write into the plan that the call waits again. False: it is too late, something has taken the approval up."""
    inquiry = row.inquiry
    call = next((c for c in task.calls if c.id == inquiry.call), None) if task else None
    if task is None or call is None or call.inquiry != inquiry.id:
        return False
    if call.state is CallState.PERSON:  # its task has not heard of the approval yet, and never will
        verdict = SignalId(f"{inquiry.id}:{inquiry.version}:verdict")
        plan.guards.append(State(table=Table.SIGNAL, id=verdict, states=("new",)))
        plan.changes.append(CloseSignal(id=verdict))
        return True
    queued = {row.effect.id for row in await context.store.read.effects(task.id) if row.state is EffectState.QUEUED}
    if call.state is not CallState.RUNNING or call.effect is None or call.effect not in queued:
        return False
    if await context.store.read.attempt(call.effect) is not None:  # it has begun once, and is to be taken up again
        return False
    plan.guards.append(State(table=Table.EFFECT, id=call.effect, states=(EffectState.QUEUED.value,)))
    plan.changes.append(EndEffect(id=call.effect))
    task = await holding.uncounted(context, task)
    own = context.plan(context.env(await context.team(task.definition)))  # a task steps under its own definition
    fold(own, task, Reopened(at_ms=own.env.now_ms, call=call.id, inquiry=inquiry.id))
    plan.guards.extend(own.guards)
    plan.changes.extend(own.changes)
    plan.roots |= own.roots
    return True
