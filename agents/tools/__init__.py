"""The tools agents may call: schema, tier, effect class, and the code that runs them.

A new tool is a module here: its specs join `base_specs`, its code `registry`. Whatever it needs of the process it runs
in is a field of Equipment.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from agents.tools import (
    commands,
    control,
    editing,
    fetching,
    file_tools,
    files,
    git,
    library,
    memory,
    reminding,
    searching,
    written,
)
from agents.tools.mcp.hub import Hub
from agents.tools.mcp.tool import McpTool, is_outside
from agents.tools.spool import Spool
from core.model.team import Team, ToolSpec
from core.ports import Reminders, Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class Equipment:
    """What tools are given. `environ` is where a role's credentials are looked up, by the names its manifest lists.
    Without a notebook nothing is remembered.
    """

    workspace: Path
    spool: Spool
    environ: Mapping[str, str] = field(default_factory=dict)
    notebook: memory.Notebook | None = None
    outside: Hub | None = None
    fetch: fetching.FetchUrl = field(default_factory=fetching.FetchUrl)
    reminders: Reminders | None = None


def base_specs() -> dict[str, ToolSpec]:
    """Every tool there is, as nobody in particular sees it."""
    ours = (
        *(commands.spec({}), library.skill_spec(()), library.KNOWLEDGE_SPEC),
        *(searching.SPEC, editing.SPEC, fetching.SPEC, reminding.SPEC),
    )
    return {**control.specs(), **file_tools.SPECS, **memory.SPECS, **git.SPECS, **{spec.name: spec for spec in ours}}


def registry(equipment: Equipment, team: Team) -> dict[str, Tool]:
    """What a worker can run. What control has is not here: the step handles it itself."""
    store = files.Files(equipment.workspace)
    tools: tuple[Tool, ...] = (
        file_tools.ReadFile(store),
        file_tools.WriteFile(store),
        file_tools.ListFiles(store),
        searching.SearchFiles(store),
        editing.EditFile(store),
        equipment.fetch,
        commands.RunCommand(equipment.workspace, team, equipment.spool, equipment.environ),
        library.UseSkill(equipment.workspace, team),
        library.ReadKnowledge(equipment.workspace, team),
        git.Git(equipment.workspace, team),
        git.GitMerge(equipment.workspace, team),
        *((reminding.ScheduleReminder(equipment.reminders, team),) if equipment.reminders is not None else ()),
        *(memory.tools(equipment.notebook, team) if equipment.notebook is not None else ()),
        *(
            written.WrittenTool(equipment.workspace, spec, equipment.spool, equipment.environ)
            for spec in team.tools.values()
            if spec.program
        ),
        *(McpTool(spec, equipment.outside) for spec in team.tools.values() if is_outside(spec)),
    )
    return {tool.spec.name: tool for tool in tools}
