"""`signoff reminders`: what roles have asked to be told later, and how one is taken back. Needs no engine."""

from __future__ import annotations

import argparse

from bots.app import House
from bots.commands.place import person_of, refuse_inside_a_run, with_house
from bots.commands.shapes import line, reminder_shape
from core.model.errors import DeniedError, TerminalError
from core.rules.reminders import Reminder
from core.rules.text import human_when, one_line
from core.runtime.reminders import cancelled, open_ones

TEXT_MAX = 80


def reminders(parsed: argparse.Namespace) -> int:
    """List, or `--cancel`. The latter raises DeniedError inside a tool's run."""
    if parsed.cancel is None:
        return with_house(_list)(parsed)
    refuse_inside_a_run()
    return with_house(_cancel)(parsed)


async def _list(parsed: argparse.Namespace, house: House) -> int:
    there = await open_ones(house.store.read)
    if parsed.json:
        for one in there:
            print(line(reminder_shape(one)))
        return 0
    zone, now_ms = house.teams.current().zone, house.clock.now_ms()
    for one in there:
        marks = "  (from outside)" if one.untrusted else ""
        print(f"{one.id}  {human_when(one.due_at_ms, now_ms, zone)}  {one.role}  {one_line(one.text, TEXT_MAX)}{marks}")
    if not there:
        print("No reminder is open. Roles set them with schedule_reminder.")
    return 0


async def _cancel(parsed: argparse.Namespace, house: House) -> int:
    by = person_of(parsed, house.teams.current())
    if not by.may_ask:
        raise DeniedError(f"{by.name} may only read", "a member, an approver or an owner may take it back")
    one = _the_only(parsed.cancel, await open_ones(house.store.read))
    await house.store.commit(cancelled(one, by.id, house.clock.now_ms()))
    print(f"{one.id} will not come: {one_line(one.text, TEXT_MAX)}")
    return 0


def _the_only(typed: str, there: tuple[Reminder, ...]) -> Reminder:
    digits = typed.removeprefix("r-")
    found = [one for one in there if digits and one.id.removeprefix("r-").startswith(digits)]
    if len(found) != 1:
        what = (
            f"{typed} could be {', '.join(one.id for one in found)}" if found else f"there is no reminder {typed[:40]}"
        )
        raise TerminalError(what, "`signoff reminders` lists them")
    return found[0]
