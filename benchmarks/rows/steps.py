"""Durable steps and whole approvals, through the real worker's path, with a model and tools that answer at once.

A step is a model's turn folded and committed: journal, state, the end of its effect, the start of the next, budgets.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from statistics import median
from typing import Final

from benchmarks.bench import PLATFORM, ROLE, People, Scale, Script, opened, running
from benchmarks.report import Figure
from benchmarks.rows import raw
from core.adapters.models.scripted import Step, say, turn_of, use
from core.model import unit as u
from core.model.events import Conversation
from core.model.ids import task_of_event
from core.model.work import Begun, Brief, Task
from core.ports import ModelRequest
from core.rules.plan import begin
from core.runtime.context import Context
from core.runtime.perform import Performer

ROUNDS: Final = 5
"""Of short bursts in each repeat: medians are of all of them."""


def thinking(turns: int) -> Script:
    """Turns that touch nothing outside: a call the rules answer themselves, the last one an answer."""
    return lambda request: say("done") if turn_of(request) >= turns - 1 else use("find_tools", query="n")


def doing(turns: int) -> Script:
    """The same, each turn with one ungated tool."""
    return lambda request: say("done") if turn_of(request) >= turns - 1 else use("note", text=f"n{turn_of(request)}")


def publishing(request: ModelRequest) -> Step:
    """One gated action, then the answer."""
    return say("It is published.") if turn_of(request) else use("publish", page="landing")


async def start(context: Context, name: str, tasks: int) -> tuple[u.LeasedEffect, ...]:
    """So many tasks, begun and leased."""
    team = await context.team()
    for n in range(tasks):
        env = context.env(team)
        brief = Brief(objective="Keep the notes of the day, one line for each thing that came up, and say when done.")
        task_id = task_of_event(f"{name}:{n}")
        task = Task(
            id=task_id,
            root=task_id,
            role=ROLE,
            title="Notes",
            brief=brief,
            conversation=Conversation(platform=PLATFORM, account="a", channel=f"{name}:{n}"),
            asked_by="ana",
            initiators=("ana",),
            definition=team.version,
            created_at_ms=env.now_ms,
            updated_at_ms=env.now_ms,
        )
        plan = context.plan(env)
        begin(plan, task, Begun(at_ms=env.now_ms, brief=brief, definition=team.version, asked_by="Ana"))
        await context.commit(plan)
    claim = u.ClaimEffects(n=tasks, holder=context.holder, lease_ms=600_000, caps={ROLE: tasks})
    leased = await context.store.claim_effects(claim)
    if len(leased) != tasks:
        raise RuntimeError(f"{len(leased)} of {tasks} effects could be claimed")
    return leased


async def turns_a_second(context: Context, name: str, tasks: int, turns: int) -> float:
    """All tasks side by side, from their first turn to their last."""
    leased = await start(context, name, tasks)
    performer = Performer(context)
    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for item in leased:
            group.create_task(performer.run(item))
    seconds = time.perf_counter() - begun
    context.on_abort.clear()
    for item in leased:
        task = await context.store.read.task(item.task.id)
        if task is None or task.turns != turns or not task.phase.final:
            raise RuntimeError(f"a task did not end as written: {task}")
    return tasks * turns / seconds


async def a_step_of(turns: int) -> raw.Blobs:
    """What a step in the middle of a task writes."""
    async with opened("sample", thinking(turns), keep=True) as (_, context, timeline):
        await turns_a_second(context, "sample", 1, turns)
        return raw.blobs_of(timeline.kept[len(timeline.kept) - turns // 2 - 1])


async def measure(scale: Scale) -> AsyncIterator[Figure]:
    """Every round takes each figure once in a short burst, so that a ratio's two sides saw the same disk."""
    turns = scale.turns
    blobs = await a_step_of(turns)
    found: dict[str, list[float]] = {}

    def keep(key: str, value: float) -> float:
        found.setdefault(key, []).append(value)
        return value

    with raw.opened(blobs) as anchor:
        async with (
            opened("steps", thinking(turns)) as (_, plain, _),
            opened("effects", doing(turns)) as (_, acting, _),
        ):
            await turns_a_second(plain, "warm", 16, turns)
            await turns_a_second(acting, "warm", 16, turns)
            for n in range(scale.repeats * ROUNDS):
                raw_64 = keep("raw-64", anchor.rate(raw.TASKS, scale.raw_batches))
                step_64 = keep("step-64", await turns_a_second(plain, f"a{n}", 64, turns))
                raw_1 = keep("raw-1", median([anchor.rate(1, scale.raw_units // 4) for _ in range(5)]))
                step_1 = keep("step-1", median([await turns_a_second(plain, f"b{n}-{k}", 1, turns) for k in range(5)]))
                step_16 = keep("step-16", await turns_a_second(plain, f"c{n}", 16, turns))
                effect_16 = await turns_a_second(acting, f"d{n}", 16, turns)
                keep("effect-step", effect_16 / step_16)
                keep("step-64-raw", step_64 / raw_64)
                keep("step-1-raw", step_1 / raw_1)
    for key, values in found.items():
        yield Figure(key=key, value=median(values))
    yield Figure(key="approval-16", value=await approvals_a_second(scale))


async def steps_beside(scale: Scale) -> float:
    """Sixteen tasks, as in the table, for whoever compares right now."""
    async with opened("beside", thinking(scale.turns)) as (_, context, _):
        await turns_a_second(context, "warm", 16, scale.turns)
        return median([await turns_a_second(context, f"b{n}", 16, scale.turns) for n in range(ROUNDS)])


async def approvals_a_second(scale: Scale) -> float:
    """From a message in to its answer out, with an approval by another person between; the whole engine runs."""
    people = People()
    async with opened("approvals", publishing, people=people) as (engine, _, _), running(engine, people):
        await asyncio.gather(*(people.ask(f"warm{n}", "Publish the landing page.") for n in range(4)))
        rates = []
        for repeat in range(scale.repeats):
            begun = time.perf_counter()
            await asyncio.gather(*(_lane(people, f"r{repeat}l{n}", scale.approvals // 16) for n in range(16)))
            rates.append(scale.approvals // 16 * 16 / (time.perf_counter() - begun))
        return median(rates)


async def _lane(people: People, name: str, approvals: int) -> None:
    for n in range(approvals):
        await people.ask(f"{name}n{n}", "Publish the landing page.")
