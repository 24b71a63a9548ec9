"""`signoff say`: give the team work from the command line, and wait for what comes of it if asked to."""

from __future__ import annotations

import argparse
import os
import sys

from bots.app import House
from bots.commands.delivery import Delivered, deliver
from bots.commands.drawing import show, show_card
from bots.commands.place import (
    PLATFORM,
    UsageError,
    conversation_of,
    person_of,
    refuse_inside_a_run,
    sender_of,
    with_house,
)
from core.model.errors import TerminalError
from core.model.events import MessageReceived
from core.model.ids import TaskId, short
from core.model.unit import TaskRow
from core.model.work import Phase
from core.rules.router import TEXT_BYTES_MAX
from core.rules.views import answer_view

LOOK_SECONDS = 0.1
LIVES_EVERY = 20


def say(parsed: argparse.Namespace) -> int:
    """Refused inside a tool's run: agents hand work on by the matrix."""
    refuse_inside_a_run()
    if parsed.text == ["-"]:  # longer than a command line may be
        parsed.text = [sys.stdin.buffer.read(TEXT_BYTES_MAX + 1).decode("utf-8", "surrogateescape")]
    if not "".join(parsed.text).strip():
        raise UsageError("there is nothing to say", "signoff say TEXT")
    return with_house(_say)(parsed)


async def _say(parsed: argparse.Namespace, house: House) -> int:
    person = person_of(parsed, house.teams.current())
    # What the shell passed may be no UTF-8; what is stored is.
    text = " ".join(parsed.text).encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    conversation = conversation_of(house)
    event = MessageReceived(
        key=f"{PLATFORM}:{conversation.thread}",
        at_ms=house.clock.now_ms(),
        conversation=conversation,
        sender=sender_of(person),
        text=text,
        role=parsed.to,
    )
    delivered = await deliver(house, event)
    if delivered.task is None:
        raise TerminalError("\n".join(delivered.lines) or "that was not taken")
    later = "" if delivered.engine_up else "; it starts when signoff is up"
    print(f"accepted as {short(delivered.task)}{later}", flush=True)
    return await _wait(house, delivered, delivered.task) if parsed.wait else 0


async def _wait(house: House, delivered: Delivered, task_id: TaskId) -> int:
    if not delivered.engine_up:
        raise TerminalError("there is nothing to wait for while signoff is down", "start it with `signoff run`")
    looks_n = 0
    while True:
        rows = await house.store.read.tasks(root=task_id)
        row = next(row for row in rows if row.task.id == task_id)
        if row.task.phase.final:
            show(house, answer_view(row.task, house.teams.current()))
            return 0 if row.task.phase is Phase.DONE else 1
        if await _needs_a_person(house, rows, task_id):
            return 0
        if looks_n % LIVES_EVERY == 0 and not _engine_lives(house):
            raise TerminalError(f"signoff has stopped while {short(task_id)} was open", "start it with `signoff run`")
        looks_n += 1
        await house.clock.sleep(LOOK_SECONDS)


async def _needs_a_person(house: House, rows: tuple[TaskRow, ...], root: TaskId) -> bool:
    """Nothing of it can move by itself: show what is asked, or say that it is stopped."""
    if any(row.state not in {"waiting", "paused", "finished"} for row in rows):
        return False
    asked = await house.store.read.inquiries(root=root)
    for inquiry in asked:
        found = await house.store.read.inquiry(inquiry.id)
        if found is not None:
            await show_card(house, found)
    if not asked and any(row.state == "paused" for row in rows):
        print(f"{short(root)} is stopped; `signoff resume {short(root)}` lets it go on")
        return True
    return bool(asked)


def _engine_lives(house: House) -> bool:
    """By the pid in its lock's file: taking the lock to find out could get in the way of one that starts."""
    try:
        os.kill(int(house.lock().path.read_text("ascii")), 0)
    except (OSError, ValueError):
        return False
    return True
