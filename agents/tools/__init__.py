"""The tools agents may call: schema, tier, effect class, and the code that runs them."""

from __future__ import annotations

from pathlib import Path

from agents.tools import commands, control, files
from agents.tools.spool import Spool
from core.model.team import Team, ToolSpec
from core.ports import Tool


def base_specs() -> dict[str, ToolSpec]:
    """Every tool there is, as nobody in particular sees it."""
    return {**control.specs(), **files.SPECS, commands.NAME: commands.spec({})}


def registry(workspace: Path, team: Team, spool: Spool) -> dict[str, Tool]:
    """What a worker can run. `delegate`, `ask_human` and `hand_off` are not here: the step handles them itself."""
    store = files.Files(workspace)
    tools: tuple[Tool, ...] = (
        files.ReadFile(store),
        files.WriteFile(store),
        files.ListFiles(store),
        commands.RunCommand(workspace, team, spool),
    )
    return {tool.spec.name: tool for tool in tools}
