"""What a role's words and tools cost before it has read a single message. Estimates: four bytes a token."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agents import prompts
from agents.findings import Findings
from agents.folders import read_role, read_shared
from agents.team import KEYS, load
from core.model.team import ModelSpec, Team
from core.rules.finding import shown

_MTOK = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """`parts` by name, in tokens, in the order they are sent; prices in millionths of a dollar."""

    parts: tuple[tuple[str, int], ...]
    model: ModelSpec

    @property
    def tokens(self) -> int:
        """All of it."""
        return sum(tokens for _, tokens in self.parts)

    @property
    def first_microusd(self) -> float:
        """The first call, which fills the provider's cache where that has a price of its own."""
        price = self.model.cache_write_microusd_per_mtok or self.model.input_microusd_per_mtok
        return self.tokens * price / _MTOK

    @property
    def next_microusd(self) -> float:
        """A call that finds it cached."""
        price = self.model.cache_read_microusd_per_mtok or self.model.input_microusd_per_mtok
        return self.tokens * price / _MTOK


def priced(workspace: Path, environ: Mapping[str, str]) -> Team:
    """The team with the models of its preset, whether or not there is a key for them. Raises TeamErrors."""
    return load(workspace, environ={**environ, KEYS[0]: environ.get(KEYS[0]) or "-"})


def cost_of(workspace: Path, environ: Mapping[str, str], team: Team, role_id: str) -> Cost:
    """What one role's files come to. A pinned role's parts are those of its files; the sum is of what is in force."""
    role, agents, found = team.roles[role_id], workspace / "agents", Findings()
    text = read_role(agents, role.folder, role_id, found, env=environ.get("SIGNOFF_ENV", ""))
    shared = read_shared(agents, found)
    specs = [{"name": s.name, "description": s.about, "input_schema": s.parameters} for s in shown(role.specs, ())]
    named = [("tools", msgspec.json.encode(specs).decode()), ("_shared", "\n\n".join(shared))]
    if text is not None:
        named += [
            ("CONSTITUTION", text.constitution),
            ("SOUL", text.soul),
            ("AGENTS", text.agents),
            ("TOOLS", text.tools),
            ("HEARTBEAT", prompts.beginning(text.heartbeat.session)),
        ]
    parts = [(name, prompts.tokens(body)) for name, body in named]
    rest = prompts.tokens(role.prompt) - sum(tokens for name, tokens in parts if name != "tools")
    return Cost(parts=(*parts, ("matrix and frame", rest)), model=team.model_of(role_id))
