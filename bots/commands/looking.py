"""Look things up: tasks, one task, the inbox, one inquiry. Changes nothing, and needs no engine."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterable

from bots.app import House
from bots.commands.drawing import show, show_whole
from bots.commands.place import the_only, with_house
from bots.commands.shapes import inquiry_shape, line, task_shape
from core.model.ids import short
from core.model.unit import TaskRow
from core.rules.inquiry import needs_of
from core.rules.text import human_count, human_duration, human_money, one_line
from core.rules.views import answer_view, inbox_view

NEWEST_MAX = 100
EVERYTHING = 10**9
TITLE_MAX = 60


def look(parsed: argparse.Namespace) -> int:
    """The command by its name."""
    return with_house({"tasks": _tasks, "task": _task, "inbox": _inbox, "view": _view}[parsed.command])(parsed)


async def _tasks(parsed: argparse.Namespace, house: House) -> int:
    read = house.store.read
    newest = await read.tasks(limit=EVERYTHING if parsed.all else NEWEST_MAX)
    still_open = () if parsed.all else await read.tasks(open_only=True, limit=EVERYTHING)
    rows = _as_trees({row.task.id: row for row in (*newest, *still_open)}.values())
    _print(rows, as_json=parsed.json, empty="No task yet. `signoff say TEXT` gives the team work.")
    return 0


def _as_trees(rows: Iterable[TaskRow]) -> tuple[TaskRow, ...]:
    """Oldest request first, each task after its parent."""
    known = {row.task.id: row for row in rows}
    below: dict[str, list[TaskRow]] = defaultdict(list)
    for row in sorted(known.values(), key=lambda row: (row.task.created_at_ms, row.task.id)):
        below[parent if (parent := row.task.parent) in known and parent else ""].append(row)
    ordered: list[TaskRow] = []
    waiting = below[""][::-1]
    while waiting:
        row = waiting.pop()
        ordered.append(row)
        waiting.extend(reversed(below[row.task.id]))
    return tuple(ordered)


async def _task(parsed: argparse.Namespace, house: House) -> int:
    read = house.store.read
    task_id = await the_only("task", parsed.id, read.task_ids)
    task = await read.task(task_id)
    rows = await read.tasks(root=task.root, limit=EVERYTHING) if task else ()
    below = {task_id}
    for row in rows:
        if row.task.parent in below:
            below.add(row.task.id)
    rows = _as_trees(row for row in rows if row.task.id in below)
    _print(rows, as_json=parsed.json, empty="")
    if task is None or parsed.json:
        return 0
    usage, team = task.usage, house.teams.current()
    used = f"{task.turns} steps · {human_count(usage.tokens)} tokens · {human_money(usage.cost_microusd)}"
    print(f"\n{used} · {human_duration(task.updated_at_ms - task.created_at_ms)}")
    if task.phase.final:
        show(house, answer_view(task, team))
    else:
        for waits_on in task.waiting_on:
            print(f"waits on {waits_on}")
    return 0


def _print(rows: tuple[TaskRow, ...], *, as_json: bool, empty: str) -> None:
    if as_json:
        for row in rows:
            print(line(task_shape(row)))
        return
    top = min((row.task.depth for row in rows), default=0)
    for row in rows:
        task = row.task
        state = task.phase.value if task.phase.final else row.state
        waits = f" on {', '.join(short(w) for w in task.waiting_on[:3])}" if row.state == "waiting" else ""
        indent = "  " * (task.depth - top)
        print(f"{indent}{short(task.id)}  {task.role}  {state}{waits}  {one_line(task.title, TITLE_MAX)}")
    if not rows and empty:
        print(empty)


async def _inbox(parsed: argparse.Namespace, house: House) -> int:
    read, team = house.store.read, house.teams.current()
    items = []
    for inquiry in await read.inquiries(limit=EVERYTHING):
        row = await read.inquiry(inquiry.id)
        items.append((inquiry, needs_of(inquiry, row.votes if row else (), team)))
    if parsed.json:
        for inquiry, needs in items:
            print(line(inquiry_shape(inquiry, needs)))
    else:
        show(house, inbox_view(tuple(items), team, house.clock.now_ms()))
    return 0


async def _view(parsed: argparse.Namespace, house: House) -> int:
    inquiry = await the_only("inquiry", parsed.id, house.store.read.inquiry_ids)
    row = await house.store.read.inquiry(inquiry)
    if row is not None and parsed.json:
        print(line(inquiry_shape(row.inquiry, needs_of(row.inquiry, row.votes, house.teams.current()))))
    elif row is not None:
        show_whole(house, row)
    return 0
