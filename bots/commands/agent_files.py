"""`signoff agents new|rollback|pin|unpin|rollout|adopt`: change who the team is, with a check before every write.

Law: none of it needs an engine, and none of it works inside a tool's run. With an engine up, it notices what was
written, as it notices any edit; where the policy wants changes approved, these wait for it, too.
"""

from __future__ import annotations

import argparse
import os
import re

import msgspec

from agents import editing, rollout
from agents.source import FileTeamSource
from agents.team import TeamErrors
from agents.versions import SHOWN, Versions
from bots.app import Workspace, read_environment
from bots.commands.place import UsageError, refuse_inside_a_run, workspace_of
from core.adapters.system import SystemClock
from core.model.errors import TerminalError

NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}")
NOTICED = "A running signoff notices it in a few seconds; requests that run keep what they began with."


def change(parsed: argparse.Namespace) -> int:
    """Raises DeniedError inside a tool's run, TerminalError, ConfigError, UsageError."""
    refuse_inside_a_run()
    if parsed.what == "adopt":
        from bots.commands import ordering  # noqa: PLC0415 - it opens the house, which the others need not

        parsed.command = parsed.what
        return ordering.order(parsed)
    workspace = workspace_of(parsed)
    workspace.make()
    match parsed.what:
        case "new":
            return _new(parsed, workspace)
        case "rollback":
            return _rollback(parsed, workspace)
        case "pin":
            return _pin(workspace, parsed.role, parsed.version)
        case "unpin":
            return _pin(workspace, parsed.role, "")
        case _:
            return _rollout(parsed, workspace)


def _files(workspace: Workspace) -> FileTeamSource | None:
    """What the files say, kept as versions; None while they cannot be loaded."""
    try:
        source = FileTeamSource(workspace.root, environ=read_environment(workspace, os.environ))
    except TeamErrors:
        return None
    source.keep(SystemClock().now_ms())
    return source


def _new(parsed: argparse.Namespace, workspace: Workspace) -> int:
    if not NAME.fullmatch(parsed.role):
        raise UsageError(f"{parsed.role[:40]!r} is no name for a role", "a small letter first, then a-z, 0-9, - or _")
    _files(workspace)
    for name in editing.new_role(workspace.root, parsed.role, parsed.reports_to):
        print(f"wrote {name}")
    print(f"Say in agents/{parsed.role}/SOUL.md who it is, and in team.yaml's matrix when it is given work.")
    return 0


def _rollback(parsed: argparse.Namespace, workspace: Workspace) -> int:
    _files(workspace)
    kept = editing.roll_back(workspace.root, parsed.role, parsed.version, workspace.backups)
    source = _files(workspace)
    files = source.files_team() if source else None
    now = files.roles[parsed.role].version if files else ""
    print(
        f"{parsed.role} has the files of {kept.version[:SHOWN]} again; what they replace is kept in .signoff/backups."
    )
    if now != kept.version:
        print(f"It is {now[:SHOWN]} now: what all roles share, the matrix, commands or tools have changed since.")
    if parsed.role in rollout.pins_of(workspace.root).pins:
        print(f"It is pinned, so its files are not in force: `signoff agents unpin {parsed.role}`.")
    print(NOTICED)
    return 0


def _pin(workspace: Workspace, role: str, version: str) -> int:
    _files(workspace)
    pins = rollout.pins_of(workspace.root)
    if version:
        version = Versions(workspace.root).find(role, version).version[:SHOWN]
    elif role not in pins.pins:
        raise TerminalError(f"{role[:40]} is not pinned", f"pinned are: {', '.join(pins.pins) or 'none'}")
    editing.put_pins(workspace.root, rollout.pinned(pins, role, version))
    print(f"{role} is {version}, whatever its files say." if version else f"{role} is what its files say.")
    print(NOTICED)
    return 0


# --- A rollout --------------------------------------------------------------------------------------------------------


def _rollout(parsed: argparse.Namespace, workspace: Workspace) -> int:
    """`ROLE VERSION PERCENT`, `ROLE off`, `ROLE 100`. One at a time."""
    source, pins = _files(workspace), rollout.pins_of(workspace.root)
    role, row = parsed.role, pins.rollout
    if parsed.percent is None and parsed.version in {"off", "100"}:
        if row is None or row.role != role:
            raise TerminalError(f"nothing of {role[:40]} is rolled out", "`signoff agents` shows what is")
        if parsed.version == "100":
            pins = _all_of_it(pins, row, source)
        editing.put_pins(workspace.root, msgspec.structs.replace(pins, rollout=None))
        done = f"is {row.version[:SHOWN]} for every new request" if parsed.version == "100" else "is as it was"
        print(f"{role} {done}.")
    else:
        if parsed.percent is None or not 1 <= parsed.percent <= 99:
            raise UsageError("how many of a hundred requests?", "ROLE VERSION 1 to 99, ROLE 100, or ROLE off")
        version = Versions(workspace.root).find(role, parsed.version).version[:SHOWN]
        if row is not None and (row.role != role or not row.version.startswith(version[: len(row.version)])):
            raise TerminalError(
                f"{row.role} {row.version[:SHOWN]} is being rolled out",
                f"`signoff agents rollout {row.role} off` first",
            )
        one = rollout.RolloutRow(role=role, version=version, percent=parsed.percent)
        editing.put_pins(workspace.root, msgspec.structs.replace(pins, rollout=one))
        print(f"{parsed.percent} % of new requests, and what comes of them, work by {role} {version}.")
    print(NOTICED)
    return 0


def _all_of_it(pins: rollout.Pins, row: rollout.RolloutRow, source: FileTeamSource | None) -> rollout.Pins:
    """Pinned, unless its files say the very same."""
    files = source.files_team() if source else None
    same = files is not None and row.role in files.roles and files.roles[row.role].version.startswith(row.version)
    return rollout.pinned(pins, row.role, "" if same else row.version)
