"""Decide inquiries and control tasks. None of it works inside a tool's run, and what is decided is shown first."""

from __future__ import annotations

import argparse
import re
import sys

import msgspec

from bots.app import House
from bots.commands.delivery import Delivered, deliver
from bots.commands.drawing import show_whole
from bots.commands.place import (
    PLATFORM,
    UsageError,
    conversation_of,
    person_of,
    refuse_inside_a_run,
    sender_of,
    the_only,
    with_house,
)
from core.model.errors import TerminalError
from core.model.events import CommandReceived
from core.model.ids import InquiryId
from core.model.inquiries import InquiryState, Label
from core.model.team import Json, Person
from core.model.unit import InquiryRow
from core.rules import notes, replies
from core.rules.commands import CONTROLLING, DECIDING
from core.rules.several import COUNTS
from core.rules.voting import SAME_PRESS_MS

TAKEN = frozenset(
    {
        *(notes.COUNTED, notes.REVIEW_NEXT, notes.APPROVED, notes.DENIED, notes.ANSWERED, notes.DISMISSED),
        *(notes.EDITED, notes.PASSED_ON, notes.TAKEN_BACK, notes.REVOKED, notes.KEPT, notes.SEEN),
        replies.ASKED_BACK,
    }
)
_TOLD_WHEN = (notes.snoozed, notes.extended, lambda until: notes.away(until, ""), replies.handed_back)
_TIMELY = (*(say("|").partition("|")[0] for say in _TOLD_WHEN), notes.AWAY_BACK)
"""Answers that mean: it counts; and how those begin that name a time. Every other one is a refusal."""
APPROVING = frozenset({"approve", "always"})
ABSENT = frozenset({"away", "back", "handback"})
_SPAN = re.compile(r"(\d{1,4})\s*([hd])", re.IGNORECASE | re.ASCII)
PRESS_AGAIN = "you are the only person here: press a again to approve as single operator: "


def order(parsed: argparse.Namespace) -> int:
    """Raises DeniedError inside a tool's run, before anything is read."""
    refuse_inside_a_run()
    match parsed.command:
        case "stop" | "resume":
            return with_house(_pause)(parsed)
        case name if name in CONTROLLING:
            return with_house(_control)(parsed)
        case name if name in ABSENT:
            return with_house(_absent)(parsed)
        case name if name in DECIDING or name == "always":
            if name == "edit":
                _refuse_other_json(" ".join(parsed.text))
            return with_house(_decide)(parsed)
        case name:  # pragma: no cover
            raise AssertionError(name)


async def _send(house: House, person: Person, name: str, *arguments: str) -> Delivered:
    conversation = conversation_of(house)
    event = CommandReceived(
        key=f"{PLATFORM}:{conversation.thread}",
        at_ms=house.clock.now_ms(),
        conversation=conversation,
        sender=sender_of(person),
        name=name,
        arguments=tuple(a.encode("utf-8", "surrogateescape").decode("utf-8", "replace") for a in arguments if a),
    )
    return await deliver(house, event)


# --- Inquiries ------------------------------------------------------------------------------------------------------


async def _decide(parsed: argparse.Namespace, house: House) -> int:
    person = person_of(parsed, house.teams.current())
    typed = [parsed.id] if isinstance(parsed.id, str) else list(parsed.id)
    text = _text_of(parsed, several=len(typed) > 1)
    if len(typed) > 1:
        return await _approve_several(house, person, typed, text)
    inquiry = await the_only("inquiry", typed[0], house.store.read.inquiry_ids)
    row = await _row(house, inquiry)
    await show_whole(house, row)
    if parsed.command in APPROVING and row.inquiry.label is Label.SINGLE and not row.inquiry.state.final:
        delivered = await _approve_alone(house, person, row, parsed.command, text)
    else:
        delivered = await _send(house, person, parsed.command, inquiry, text)
    return await _told(house, inquiry, delivered)


def _text_of(parsed: argparse.Namespace, *, several: bool) -> str:
    """What stands behind the id, as people type it in a chat. Raises UsageError."""
    reason = getattr(parsed, "reason", "")
    match parsed.command:
        case "snooze" | "extend":
            return f"{_hours(parsed.span)} {reason}".strip()
        case "always":
            return str(parsed.until)
        case "approve" if parsed.times is not None or parsed.hours is not None or parsed.where:
            return _bounds(parsed, reason, several=several)
        case _:
            return " ".join(getattr(parsed, "text", ())) or reason


def _bounds(parsed: argparse.Namespace, reason: str, *, several: bool) -> str:
    """`for 3 times within 2 hours where site=docs because REASON`. Raises UsageError."""
    if several:
        raise UsageError("only one at a time can be approved more than once", "name one ID with --times and --hours")
    if parsed.times is None or parsed.hours is None:
        raise UsageError("an approval that holds more than once needs both bounds", "--times N --hours H")
    where = f" where {', '.join(parsed.where)}" if parsed.where else ""
    because = f" because {reason}" if reason else ""
    return f"for {parsed.times} times within {parsed.hours:g} hours{where}{because}"


def _hours(span: str) -> str:
    """`2h` and `1d` in hours, as a chat takes them. What is neither goes as it is, and is refused as there."""
    found = _SPAN.fullmatch(span.strip())
    return span if found is None else str(int(found[1]) * (24 if found[2].lower() == "d" else 1))


async def _approve_several(house: House, person: Person, typed: list[str], reason: str) -> int:
    """All of them or none; what needs a second press gets it as a single one does."""
    ids = [await the_only("inquiry", one, house.store.read.inquiry_ids) for one in typed]
    for inquiry in dict.fromkeys(ids):
        await show_whole(house, await _row(house, inquiry))
    delivered = await _send(house, person, "approve", *ids, reason)
    if _notes(delivered) == {notes.CONFIRM}:
        await _press_again(house, " ".join(ids))
        delivered = await _send(house, person, "approve", *ids, reason)
    if not _notes(delivered) <= COUNTS:
        raise TerminalError("\n".join(delivered.lines))
    print("\n".join(delivered.lines))
    if not delivered.engine_up:
        print("What is approved runs when signoff is up.")
    return 0


def _notes(delivered: Delivered) -> set[str]:
    """What each of several came to, behind its id."""
    return {said.partition(": ")[2] for text in delivered.lines for said in text.splitlines()}


async def _approve_alone(house: House, person: Person, row: InquiryRow, name: str, text: str) -> Delivered:
    """Single operator: two presses. A person at a terminal makes the second one; a script that names the inquiry has
    made up its mind, and so the command makes both.
    """
    inquiry = row.inquiry.id
    if not row.inquiry.pressed_once:
        delivered = await _send(house, person, name, inquiry, text)
        if not (await _row(house, inquiry)).inquiry.pressed_once:
            return delivered
    await _press_again(house, inquiry)
    return await _send(house, person, name, inquiry, text)


async def _press_again(house: House, inquiry: str) -> None:
    """Raises TerminalError if a person at a terminal does not. Never so fast that both count as one."""
    at_terminal = sys.stdin.isatty() and sys.stdout.isatty()
    if at_terminal and _ask(PRESS_AGAIN).strip().lower() not in {"a", "approve"}:
        raise TerminalError("not approved", f"`signoff deny {inquiry} --reason T` says no")
    await house.clock.sleep(SAME_PRESS_MS / 1000)


def _ask(question: str) -> str:
    """Blocking is fine: nothing else goes on in this process."""
    return input(question)


async def _row(house: House, inquiry: InquiryId) -> InquiryRow:
    row = await house.store.read.inquiry(inquiry)
    if row is None:
        raise TerminalError(f"there is no inquiry {inquiry}", "`signoff inbox` lists them")
    return row


async def _told(house: House, inquiry: InquiryId, delivered: Delivered) -> int:
    said = " ".join(delivered.lines)
    if not any(_counts(line) for line in delivered.lines):
        raise TerminalError(said or "nothing came of it", "" if said else f"look at it with `signoff view {inquiry}`")
    after = (await _row(house, inquiry)).inquiry
    if not delivered.engine_up and after.state.final:
        runs = after.state is InquiryState.APPROVED and after.action is not None
        said += " It runs when signoff is up." if runs else " The work goes on when signoff is up."
    print(said)
    return 0


def _counts(line: str) -> bool:
    return line in TAKEN or line.startswith(_TIMELY)


def _refuse_other_json(text: str) -> None:
    try:
        msgspec.json.decode(text, type=dict[str, Json])
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise UsageError(f"that is no JSON object ({error})", 'signoff edit ID \'{"name": "value"}\'') from error


# --- People ---------------------------------------------------------------------------------------------------------


async def _absent(parsed: argparse.Namespace, house: House) -> int:
    """Away, perhaps with somebody who stands in; or back. And a conversation handed back."""
    person = person_of(parsed, house.teams.current())
    words: tuple[str, ...] = (parsed.place,) if parsed.command == "handback" else ()
    if parsed.command == "away":
        words = (_hours(parsed.span), f"to {parsed.delegate}" if parsed.delegate else "")
    delivered = await _send(house, person, parsed.command, *words)
    if not any(_counts(line) for line in delivered.lines):
        raise TerminalError("\n".join(delivered.lines))
    print("\n".join(delivered.lines))
    return 0


# --- Tasks ----------------------------------------------------------------------------------------------------------


async def _control(parsed: argparse.Namespace, house: House) -> int:
    person = person_of(parsed, house.teams.current())
    task = await the_only("task", parsed.id, house.store.read.task_ids)
    delivered = await _send(house, person, parsed.command, task)
    if delivered.task is None:
        raise TerminalError("\n".join(delivered.lines))
    print("\n".join(delivered.lines))
    return 0


async def _pause(parsed: argparse.Namespace, house: House) -> int:
    team, scope = house.teams.current(), parsed.scope
    person = person_of(parsed, team)
    paused = f"role:{scope}" if scope in team.roles else scope
    if scope != "all" and scope not in team.roles:
        scope = await the_only("task", scope, house.store.read.task_ids)
        paused = f"task:{scope}"
    delivered = await _send(house, person, parsed.command, scope)
    if (paused in await house.store.read.paused()) is not (parsed.command == "stop"):
        raise TerminalError("\n".join(delivered.lines))
    print("\n".join(delivered.lines))
    return 0
