"""Views on a terminal that is written to once: the console's own drawing, without keys."""

from __future__ import annotations

import os
import shutil
import sys

from bots.app import House
from bots.console import wire
from bots.console.client import wants_colour
from core.model.unit import InquiryRow
from core.model.views import View
from core.rules.inquiry import needs_of
from core.rules.views import inquiry_card


def look_of(house: House) -> wire.Look:
    """As wide as the terminal, in the team's zone."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else 80
    return wire.Look(width=width, colour=wants_colour(os.environ, sys.stdout), zone=house.teams.current().zone)


def show(house: House, view: View) -> None:
    """Print it."""
    print("\n".join(wire.draw(view, look_of(house))), flush=True)


def show_card(house: House, row: InquiryRow) -> None:
    """Print an inquiry as it is asked."""
    team = house.teams.current()
    needs = needs_of(row.inquiry, row.votes, team)
    show(house, inquiry_card(row.inquiry, team, row.votes, "", house.clock.now_ms(), needs=needs))


def show_whole(house: House, row: InquiryRow) -> None:
    """Print all that would be decided on, and what is still needed."""
    inquiry, team = row.inquiry, house.teams.current()
    needs = needs_of(inquiry, row.votes, team)
    card = inquiry_card(inquiry, team, row.votes, "", house.clock.now_ms(), needs=needs)
    lines = [*wire.draw_whole(card, look_of(house))]
    if inquiry.digest:
        lines.append(f"  digest: {inquiry.digest}")
    state = inquiry.state.value if inquiry.state.final else f"needs {needs}" if needs else inquiry.state.value
    lines.append(f"  {inquiry.tier.value} · revision {inquiry.revision} · {state}")
    print("\n".join(lines), flush=True)
