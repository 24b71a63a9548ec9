"""Tools on demand: which of them a model is shown, and how it finds the rest (TEAM.md, Tools)."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import msgspec

from core.model.team import ToolSpec
from core.rules.actions import RUN_COMMAND

NAME = "find_tools"
FOUND_MAX = 5
_UNMARKED = frozenset({"delegate", "hand_off", "ask_human", NAME, RUN_COMMAND})
"""What acts on nothing: its tier decides nothing. And commands: each says its own."""
_WORD = re.compile(r"[a-z0-9]+")


def shown(specs: Sequence[ToolSpec], found: Collection[str]) -> tuple[ToolSpec, ...]:
    """Those that are always there, then those it has found, in that order: what was sent once stays as it was. What
    acts says its tier.
    """
    there = [spec for spec in specs if not spec.on_demand]
    named = {spec.name: spec for spec in specs if spec.on_demand}
    return tuple(_with_tier(spec) for spec in (*there, *(named[name] for name in found if name in named)))


def _with_tier(spec: ToolSpec) -> ToolSpec:
    if spec.name in _UNMARKED:
        return spec
    return msgspec.structs.replace(spec, about=f"{spec.about} [{spec.tier.value}]")


def find(specs: Sequence[ToolSpec], query: str) -> tuple[ToolSpec, ...]:
    """The tools on demand that share most words with the query, the best first; a name itself always finds its tool."""
    asked = set(_WORD.findall(query.lower()))
    ranked = []
    for n, spec in enumerate(spec for spec in specs if spec.on_demand):
        words = set(_WORD.findall(f"{spec.name} {spec.about}".lower()))
        score = len(asked & words) + 100 * (spec.name in query)
        if score:
            ranked.append((-score, n, spec))
    return tuple(spec for _, _, spec in sorted(ranked, key=lambda item: item[:2])[:FOUND_MAX])


def told(found: Sequence[ToolSpec], specs: Sequence[ToolSpec]) -> str:
    """What the model reads: its schemas come with the next request."""
    if found:
        lines = [f"{spec.name} ({spec.tier.value}): {spec.about.splitlines()[0]}" for spec in found]
        return "You can call these from now on:\n" + "\n".join(lines)
    names = ", ".join(spec.name for spec in specs if spec.on_demand)
    return f"Nothing fits. There are: {names}" if names else "You have no other tools."
