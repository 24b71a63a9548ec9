"""Views on a terminal that is written to once: the console's own drawing, without keys."""

from __future__ import annotations

import os
import shutil
import sys

import msgspec

from bots.app import House
from bots.console import wire
from bots.console.client import wants_colour
from core.model.ids import short
from core.model.inquiries import Verb
from core.model.unit import InquiryRow
from core.model.views import InquiryCard, View
from core.rules.inquiry import needs_of
from core.rules.text import human_when
from core.rules.views import control_nonce, decided_card, inquiry_card, parse_control
from core.rules.words import SEPARATOR, by_when
from core.runtime.away import stand_ins_at


def look_of(house: House) -> wire.Look:
    """As wide as the terminal, in the team's zone."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
    return wire.Look(width=width, colour=wants_colour(os.environ, sys.stdout), zone=house.teams.current().zone)


def show(house: House, view: View) -> None:
    """Print it."""
    print("\n".join(wire.draw(view, look_of(house))), flush=True)


async def needs_now(house: House, row: InquiryRow) -> str:
    """What it still needs, in words, with those who stand in for the absent."""
    instead = await stand_ins_at(house.store.read, house.clock.now_ms())
    return needs_of(row.inquiry, row.votes, house.teams.current(), instead)


async def show_card(house: House, row: InquiryRow) -> None:
    """Print an inquiry as it is asked, and the commands that decide it."""
    card = _card(house, row, await needs_now(house, row))
    show(house, msgspec.structs.replace(card, buttons=()))
    parsed = (parse_control(button.control) for button in card.buttons)
    offered = tuple(dict.fromkeys(one[1] for one in parsed if one is not None))
    first, *others = (verb.value.replace("_", "") for verb in offered)
    also = f"; or {', '.join(others)}" if others else ""
    behind = " TEXT" if offered[0] is Verb.ANSWER else " --reason T" if card.approve_reason else ""
    print(f"To decide: signoff {first} {short(card.inquiry)}{behind}{also}", flush=True)


async def show_whole(house: House, row: InquiryRow) -> None:
    """Print all that would be decided on, why it is wanted, and what is still needed or who decided it."""
    inquiry, team, now_ms = row.inquiry, house.teams.current(), house.clock.now_ms()
    card = _card(house, row, await needs_now(house, row))
    lines = [*wire.draw_whole(card, look_of(house))]
    if inquiry.digest:
        lines.append(f"  digest: {inquiry.digest}")
    if card.why:
        lines += wire.wrap(f'"{card.why}"', look_of(house).width, "  ")
    due = "" if inquiry.decide_by_ms is None else human_when(inquiry.decide_by_ms, now_ms, team.zone)
    waits = (
        by_when(due, late=inquiry.overdue) if due else "",
        f"needs {card.needs}" if card.needs else inquiry.state.value,
    )
    ended = (decided_card(inquiry, team, now_ms).headline,)
    facts = (inquiry.tier.value, f"revision {inquiry.revision}", *(ended if inquiry.state.final else waits))
    lines.append(f"  {SEPARATOR.join(filter(None, facts))}")
    print("\n".join(lines), flush=True)


def _card(house: House, row: InquiryRow, needs: str) -> InquiryCard:
    """Its buttons are nobody's to press: they only say what it offers."""
    now_ms, nonce = house.clock.now_ms(), control_nonce("", row.inquiry.id)
    return inquiry_card(row.inquiry, house.teams.current(), row.votes, nonce, now_ms, needs=needs)
