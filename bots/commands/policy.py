"""`signoff policy explain`: what would happen to a call, and why. Asks nobody, does nothing."""

from __future__ import annotations

import argparse

import msgspec

from agents.tools.commands import CommandResolver
from bots.app import House
from bots.commands.place import UsageError, with_house
from core.model.errors import TerminalError
from core.model.team import Json, Team
from core.rules.explain import explain


def policy(parsed: argparse.Namespace) -> int:
    """Raises UsageError, TerminalError for a role or a person the team does not have."""
    return with_house(_explain)(parsed)


async def _explain(parsed: argparse.Namespace, house: House) -> int:
    team = house.teams.current()
    if parsed.role not in team.roles:
        raise TerminalError(f"there is no role {parsed.role[:40]}", f"here are: {', '.join(team.roles)}")
    if parsed.asked_by and team.person(parsed.asked_by) is None:
        people = ", ".join(person.id for person in team.people)
        raise TerminalError(f"there is no person {parsed.asked_by[:40]}", f"known are: {people}")
    try:
        arguments = msgspec.json.decode(parsed.arguments, type=dict[str, Json])
    except (msgspec.MsgspecError, UnicodeEncodeError) as error:
        raise UsageError(f"that is no JSON object ({error})", 'as in \'{"path": "notes.md"}\'') from error
    fingerprints = _fingerprints(house, team, parsed.role)
    for line in explain(
        team,
        parsed.role,
        parsed.tool,
        arguments,
        asked_by=parsed.asked_by,
        fingerprints=fingerprints,
        now_ms=house.clock.now_ms(),
    ):
        print(line)
    return 0


def _fingerprints(house: House, team: Team, role: str) -> dict[str, str]:
    """Of the role's commands whose programs can be read."""
    resolver, found = CommandResolver(house.workspace.root, house.teams.current), {}
    for name in team.roles[role].commands:
        try:
            found[name] = resolver.fingerprint("run_command", {"command": name})
        except TerminalError:
            continue
    return found
