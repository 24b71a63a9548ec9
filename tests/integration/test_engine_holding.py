"""Time under a stop is not work: a task that was held has its time still, and the journal does not grow meanwhile."""

from __future__ import annotations

import msgspec

from core.adapters.models.scripted import say, use
from core.model import unit as u
from core.model.ids import SignalId, TaskId
from core.model.signals import Deadline, HoldEnded, Signal, StopOrder
from core.model.unit import AddSignal, PutTask, Unit, Version
from core.model.work import Held, Phase
from core.runtime import holding
from tests.engine_kit import CAROL, SIDE, YOU, Table, company

BOB_TOO = company(YOU, CAROL)
ENTRIES_MAX = 3
DAY_SECONDS_MAX = 900


async def at_rest(table: Table) -> Table:
    """Its tool has ended under a stop; its next thought waits to start."""
    table.tools["note"].hold()
    await table.say("go", role="ops")
    await table.order("/stop all")
    table.tools["note"].let_go.set()
    await table.settle()
    return table


def two_notes() -> Table:
    return Table({"ops": [use("note", text="a"), use("note", text="b"), say("done")]})


async def test_two_days_under_a_stop_are_not_work_and_not_told_again_and_again() -> None:
    table = await at_rest(two_notes())
    before_n = len(await table.journal())
    await table.settle_later(seconds=1800, times=98)
    assert len(await table.journal()) - before_n <= ENTRIES_MAX
    table.tools["note"].does = None
    await table.order("/resume all")
    assert table.answer == "done"
    task = await table.task()
    assert (task.phase, task.active_ms) == (Phase.DONE, 0)


async def test_a_jump_of_two_days_under_a_stop_is_not_work() -> None:
    table = await at_rest(two_notes())
    table.turn_clock(hours=49)
    table.tools["note"].does = None
    await table.order("/resume all")
    assert table.answer == "done"


async def test_what_comes_under_a_stop_does_not_make_its_time_work() -> None:
    """A call that had started ends just before each deadline would have come, and people are asked."""
    table = Table({"ops": [use("note", text="a"), use("run_command", command="deploy", args={"site": "landing"})]})
    table.tools["note"].hold()
    await table.say("go", role="ops")
    await table.order("/stop all")
    await table.settle_later(seconds=DAY_SECONDS_MAX - 1, times=1)
    table.tools["note"].let_go.set()
    await table.settle()
    task = await table.task()
    assert task.active_ms == 0
    assert task.active_since_ms == table.clock.now_ms()


async def test_the_clock_of_a_task_that_was_stopped_runs_again_when_it_goes_on() -> None:
    table = await at_rest(two_notes())
    await table.settle_later(seconds=3600, times=3)
    table.tools["note"].let_go.clear()
    await table.order("/resume all")
    task = await table.task()
    assert task.active_since_ms == table.clock.now_ms()
    await table.settle_later(seconds=DAY_SECONDS_MAX - 1, times=1)
    assert not (await table.task()).phase.final
    await table.settle_later(seconds=400, times=2)
    assert (await table.task()).phase is Phase.FAILED


async def test_a_hold_that_ends_under_another_goes_on() -> None:
    table = await at_rest(two_notes())
    task = await table.task()
    await table.order(f"/stop {task.id}")
    table.turn_clock(hours=1)
    await table.order("/resume all")
    await table.settle_later(seconds=1800, times=20)
    assert sum(isinstance(entry, Held) for entry in await table.journal()) <= ENTRIES_MAX
    table.tools["note"].does = None
    await table.order(f"/resume {task.id}")
    assert table.answer == "done"


async def test_what_others_are_stopped_for_holds_nobody_else() -> None:
    table = two_notes()
    table.tools["note"].hold()
    await table.say("go", role="ops")
    await table.order("/stop ceo")
    table.turn_clock(seconds=9)
    task = await table.task()
    assert await holding.uncounted(table.context, task) is task
    assert not await holding.is_held(table.context, task)
    await table.order("/stop all")
    assert await holding.is_held(table.context, task)


async def test_who_was_faster_is_believed() -> None:
    table = await at_rest(two_notes())
    table.turn_clock(seconds=60)
    task = await table.task()

    async def meanwhile(unit: Unit) -> bool:
        version = Version(table=u.Table.TASK, id=task.id, version=task.version)
        newer = msgspec.structs.replace(task, version=task.version + 1, title="changed")
        await table.store.inner.commit(Unit(guards=(version,), changes=(PutTask(task=newer),)))
        return True

    table.store.meanwhile = meanwhile
    assert (await holding.uncounted(table.context, task)).title == "changed"


async def test_a_timer_of_a_task_nobody_knows_is_left_to_others() -> None:
    table = await at_rest(two_notes())
    lost = Signal(id=SignalId("t-lost:1:deadline"), task=TaskId("t-lost"), due_at_ms=0, errand=Deadline())
    assert not await holding.dealt_with(table.context, lost)
    task = await table.task()
    over = Signal(id=SignalId(f"{task.id}:0:deadline{holding.AGAIN}"), task=task.id, due_at_ms=0, errand=HoldEnded())
    await table.order("/resume all")  # another deadline has been set since: this one is over, and said to nobody
    await table.store.commit(Unit(changes=(AddSignal(signal=over),)))
    await table.settle()
    assert not any(one.id == over.id for one in (await table.store.due(9))[1])
    stopped = Signal(id=SignalId("x"), task=task.id, due_at_ms=0, errand=StopOrder(by="You"))
    assert not await holding.dealt_with(table.context, stopped)


async def test_of_two_roles_only_the_one_that_is_held_stands_still() -> None:
    """Resuming takes the time out of what was held, and leaves what works alone."""
    table = Table({"ops": [use("note", text="a"), say("done")], "ceo": [use("ask_human", question="well?")]})
    table.tools["note"].hold()
    await table.say("go", role="ops")
    await table.say("and you?", at=SIDE, role="ceo")
    await table.order("/stop ops")
    table.tools["note"].let_go.set()
    await table.settle()
    table.turn_clock(seconds=600)
    await table.order("/resume ops")
    assert (await table.task()).active_ms == 0
    assert not any(isinstance(entry, Held) for entry in await table.journal("ceo"))
