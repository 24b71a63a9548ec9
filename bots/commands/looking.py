"""Look things up: tasks, one task, the inbox, one inquiry, past decisions, the day. Needs no engine, and changes one
thing only: who has seen what is remembered, because several can only be approved at once by who has seen them.
"""

from __future__ import annotations

import argparse
import contextlib
from collections import defaultdict
from collections.abc import Iterable

from bots.app import House
from bots.commands.drawing import needs_now, show, show_whole
from bots.commands.place import PLATFORM, moment_of, person_of, sender_of, the_only, with_house
from bots.commands.shapes import inquiry_shape, line, task_shape
from core.model.errors import DeniedError, StoreFullError
from core.model.ids import short
from core.model.inquiries import Inquiry
from core.model.team import Person
from core.model.unit import AddAudit, Audit, Change, TaskRow, Unit
from core.rules.history import told
from core.rules.inbox import Wanted
from core.rules.text import human_count, human_duration, human_money, one_line
from core.rules.views import answer_view
from core.runtime import digests, inbox
from core.runtime.away import stand_ins_at

NEWEST_MAX = 100
EVERYTHING = 10**9
TITLE_MAX = 60
INBOX_MAX = 50


def look(parsed: argparse.Namespace) -> int:
    """The command by its name."""
    looks = {
        "tasks": _tasks,
        "task": _task,
        "inbox": _inbox,
        "view": _view,
        "decisions": _decisions,
        "digest": _digest,
    }
    return with_house(looks[parsed.command])(parsed)


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
    team, person = house.teams.current(), _who(parsed, house)
    if person is None and parsed.mine:
        raise DeniedError("nobody can tell who you are", "say it with --as PERSON")
    wanted = Wanted(mine=parsed.mine, overdue=parsed.overdue, tier=parsed.tier)
    limit = EVERYTHING if parsed.json else INBOX_MAX
    read, now_ms = house.store.read, house.clock.now_ms()
    who, instead = person.id if person else "", await stand_ins_at(read, now_ms)
    found = await inbox.page(read, team, wanted, who, limit, instead)
    if parsed.json:
        for inquiry, needs in zip(found.inquiries, found.needs, strict=True):
            print(line(inquiry_shape(inquiry, needs)))
        return 0
    show(house, found.view(team, now_ms))
    if below := found.below(now_ms):
        print(below)
    if person is not None:
        await _remember(house, inbox.listed(person.id, found.inquiries))
    return 0


def _who(parsed: argparse.Namespace, house: House) -> Person | None:
    try:
        return person_of(parsed, house.teams.current())
    except DeniedError:
        if parsed.person is not None:
            raise
        return None


async def _remember(house: House, *changes: Change) -> None:
    """What a person was shown. An agent that runs this command shows nothing to anybody; a full disk stops no look."""
    from agents.tools.spool import inside_a_run  # noqa: PLC0415

    if not inside_a_run():
        with contextlib.suppress(StoreFullError):
            await house.store.commit(Unit(changes=changes))


async def _decisions(parsed: argparse.Namespace, house: House) -> int:
    read, team = house.store.read, house.teams.current()
    found = await read.decisions(
        who=parsed.who,
        what=tuple(parsed.what.split()),
        since_ms=moment_of(parsed.since, team.zone),
        state=parsed.state,
        limit=max(1, parsed.number),
    )
    votes = await read.votes(tuple(inquiry.id for inquiry in found))
    for inquiry in found:
        print(told(inquiry, [v for v in votes if v.inquiry == inquiry.id], team, house.clock.now_ms()))
    if not found:
        print("Nothing like that was decided.")
    return 0


async def _digest(_parsed: argparse.Namespace, house: House) -> int:
    print(await digests.now(house.store.read, house.teams.current(), house.clock.now_ms()))
    return 0


async def _view(parsed: argparse.Namespace, house: House) -> int:
    inquiry = await the_only("inquiry", parsed.id, house.store.read.inquiry_ids)
    row = await house.store.read.inquiry(inquiry)
    if row is not None and parsed.json:
        print(line(inquiry_shape(row.inquiry, await needs_now(house, row))))
    elif row is not None:
        await show_whole(house, row)
        if (person := _who(parsed, house)) is not None:
            await _remember(house, inbox.viewed(row.inquiry, person.id), _viewed(house, row.inquiry, person))
    return 0


def _viewed(house: House, inquiry: Inquiry, person: Person) -> AddAudit:
    sender, key = sender_of(person), house.ids.token()
    row = Audit(
        id=f"{inquiry.id}:{PLATFORM}:{key}:inquiry.viewed",
        at_ms=house.clock.now_ms(),
        what="inquiry.viewed",
        subject=inquiry.id,
        principal=person.id,
        account=sender.account,
        detail={"revision": inquiry.revision, "digest": inquiry.digest, "place": PLATFORM},
    )
    return AddAudit(row=row)
