"""What a task is shown of its role's memory when it begins: one read, whose lines go into its journal.

A run starts from the database, never from what a process holds; and once begun, a task sees what its journal says.
"""

from __future__ import annotations

from core.model.team import Team
from core.model.work import Entry, Replied
from core.rules.remembering import in_view, look_of
from core.runtime.context import Context

_HANDS_ON = "delegate"
_HANDS_OFF = "hand_off"


async def view_of(context: Context, team: Team, role: str) -> tuple[str, ...]:
    """The lines of a role's memory, now."""
    look = look_of(team, role, context.clock.now_ms())
    found = await context.store.read.memory_view(look.places, look.classes, look.facts_max, look.board_since_ms)
    return in_view(found, team.zone)


async def views_for(context: Context, team: Team, role: str, entry: Entry) -> dict[str, tuple[str, ...]]:
    """The same for every role that this entry may start a task of. Nothing is read for an entry that starts none."""
    if not isinstance(entry, Replied):
        return {}
    wanted: dict[str, None] = {}
    for use in entry.reply.uses:
        if use.name == _HANDS_ON and isinstance(use.arguments, dict):
            wanted[str(use.arguments.get("to"))] = None
        elif use.name == _HANDS_OFF:
            wanted[team.roles[role].judged_by] = None
    return {one: await view_of(context, team, one) for one in wanted if one in team.roles}
