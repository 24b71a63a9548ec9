"""Two definitions of a team, compared for people: everything that governs agents, as unified diffs.

Law: nothing in which they differ is left out. Roles whose words changed alike, because a shared file was edited, are
shown once, together.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import Any

import msgspec

from agents.versions import concerned, facts_of
from core.model.editions import Edition
from core.model.team import Team


def edition_diff(before: Edition, after: Edition) -> str:
    """As text; "" where nothing differs."""
    return "\n".join(_diff(_pages(before), _pages(after)))


def _pages(edition: Edition) -> dict[str, str]:
    pages = team_pages(edition.team)
    if edition.candidate is not None:
        other = team_pages(edition.candidate)
        changed = {name: text for name, text in other.items() if pages.get(name) != text}
        pages["rollout"] = f"{edition.percent} % of new requests: {', '.join(sorted(changed))}\n"
        pages.update({f"rollout: {name}": text for name, text in changed.items()})
    return pages


def team_pages(team: Team) -> dict[str, str]:
    """A definition as pages of text, a fact a line."""
    pages: dict[str, str] = {}
    for name, role in team.roles.items():
        pages[f"{name}: prompt"] = role.prompt + "\n"
        pages[f"{name}: rules"] = facts_of(role, *concerned(team, name))
        pages[f"{name}: tools"] = _lines([msgspec.to_builtins(spec) for spec in role.specs])
    rest = msgspec.to_builtins(team)
    for name in ("roles", "version"):
        rest.pop(name)
    pages.update({f"team: {name}": _lines(value) for name, value in rest.items()})
    return pages


def _lines(value: Any) -> str:
    pretty = msgspec.json.format(msgspec.json.encode(value, order="sorted"), indent=1).decode()
    return pretty if pretty.endswith("\n") else pretty + "\n"


def _diff(before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    alike: dict[tuple[str, ...], list[str]] = {}
    for name in sorted({*before, *after}):
        old, new = before.get(name, "").splitlines(), after.get(name, "").splitlines()
        lines = [*difflib.unified_diff(old, new, lineterm="", n=2)][2:]
        if lines:
            body = tuple(line for line in lines if not line.startswith("@@"))
            alike.setdefault(body, []).append(name)
    for body, names in alike.items():
        yield f"=== {', '.join(names)}"
        yield from body
