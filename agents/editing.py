"""Change the team's files from a command: whole or not at all, and only to something that `signoff check` takes.

Law: what is written was checked first, in a copy of the workspace, so that an engine that looks at the files never sees
a team that does not load. All new contents are on the disk before the first takes its place; if one cannot, those that
did go back.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

import yaml

from agents import rollout
from agents.source import WATCHED
from agents.team import FILE, check
from agents.versions import RoleVersion, Versions, child, end_of, files_of, rows_of, write_whole
from core.model.errors import ConfigError, TerminalError
from core.model.ids import digest_of

Files = Mapping[str, bytes | None]
"""By path below the workspace; None: the file is to go."""


def trial(workspace: Path, files: Files) -> list[ConfigError]:
    """What `check` would find if the files were so."""
    with tempfile.TemporaryDirectory(prefix="signoff-") as folder:
        copy = Path(folder).resolve()
        for path in workspace.iterdir():
            if path.name in WATCHED and path.is_dir():
                shutil.copytree(path, copy / path.name, ignore_dangling_symlinks=True)
            else:
                (copy / path.name).symlink_to(path.resolve())
        for name, body in files.items():
            _put_one(copy / name, body)
        return check(copy)[0]


def put(workspace: Path, files: Files) -> None:
    """Check them, then write all of them. Raises TerminalError with the first error found, OSError; then nothing is
    written.
    """
    errors = trial(workspace, files)
    if errors:
        raise TerminalError(f"nothing was written: {errors[0]}")
    before = {name: _read(workspace / name) for name in files}
    news = {name: body for name, body in files.items() if body is not None}
    try:
        for name, body in news.items():
            path = workspace / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(_beside(path), body)
        for name in news:
            _beside(workspace / name).replace(workspace / name)
        for name in files.keys() - news.keys():
            (workspace / name).unlink(missing_ok=True)
    except OSError:
        for name, old in before.items():
            _put_one(workspace / name, old)
        raise
    finally:
        for name in news:
            _beside(workspace / name).unlink(missing_ok=True)


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.next")


def _put_one(path: Path, body: bytes | None) -> None:
    if body is None:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, body)


def _read(path: Path) -> bytes | None:
    return path.read_bytes() if path.is_file() else None


def _manifest(workspace: Path) -> str:
    try:
        return (workspace / FILE).read_bytes().decode()
    except UnicodeDecodeError as error:
        raise TerminalError(f"{FILE} is not UTF-8", "save it as text") from error


# --- Pins -------------------------------------------------------------------------------------------------------------


def put_pins(workspace: Path, pins: rollout.Pins) -> None:
    """Raises TerminalError for pins that cannot be kept to."""
    text = rollout.text_of(pins)
    put(workspace, {rollout.FILE: text.encode() if text else None})


# --- Rolled back ------------------------------------------------------------------------------------------------------


def roll_back(workspace: Path, role: str, version: str, backups: Path) -> RoleVersion:
    """Write a version's files, and its row of team.yaml, back. What they replace is kept in `backups`, if it is no
    version. Raises TerminalError, ConfigError, OSError; then nothing is written.
    """
    kept = Versions(workspace).find(role, version)
    text = _manifest(workspace)
    if role not in rows_of(text):
        raise TerminalError(f"there is no role {role} in {FILE}", "`signoff agents new` makes one")
    folder = f"agents/{kept.role.folder}"
    there = files_of(workspace, kept.role.folder)
    files: dict[str, bytes | None] = {f"{folder}/{name}": None for name in there.keys() - kept.files.keys()}
    files |= {f"{folder}/{name}": body.encode() for name, body in kept.files.items() if there.get(name) != body}
    if kept.row:
        start, end = rows_of(text)[role]
        files[FILE] = f"{text[:start]}{kept.row}{text[end:]}".encode()
    _back_up(workspace, backups, [*files])
    put(workspace, files)
    return kept


def _back_up(workspace: Path, backups: Path, names: list[str]) -> None:
    """A copy of each file as it is, under the hash of all of them."""
    bodies = {name: body for name in sorted(names) if (body := _read(workspace / name)) is not None}
    place = backups / f"agents-{digest_of(*bodies, *bodies.values())[:12]}"
    for name, body in bodies.items():
        _put_one(place / name, body)


# --- A new role -------------------------------------------------------------------------------------------------------

_SOUL = """\
---
id: {role}
name: {title}
role: {title}
---

## Identity
You are the {title} of this team. Say here in two sentences what you are for.

## Core Responsibilities
- Do what a brief asks, and nothing beside it.
- Hand off with what changed, what is left and what is at risk.

## Decision Principles
- The smallest change that meets the success criteria.
- What you cannot verify, you say you could not verify.

## Boundaries
You work on what you were given. You hand nothing to people directly unless a person gave you the work.

## Decision Authority
- Alone: how the work is done.
- Escalates to {above}: what the brief does not answer.

## Communication Style
Short and exact: paths, figures, what was not done.
"""
_CONSTITUTION = """\
## Hard Rules
1. Never claim that something was done which no tool result shows.
2. Never put a secret into a file, a brief or an answer.
"""
_TOOLS = """\
## Using your tools
- Read before you write; write whole files.
"""
_AGENTS = """\
## Working with others
- A brief that cannot be begun: hand off with only what you need to know.
"""
_HEARTBEAT = """\
<!-- What it does unasked: `## Daily (07:00)`, `## Weekly (Monday 09:00)`, `## Every 30 minutes` or
`## On session start`, and below it what to do, a bullet each. -->
"""
_ROW = """\
id: {role}
folder: {role}
reports_to: {above}
tools: {{allow: [read_file, write_file, list_files, hand_off, ask_human]}}
complexity: work
budget: {{call: {{input: 32000, output: 4000}}, task: {{tokens: 50000, calls: 10}}, day: {{tokens: 500000, usd: 5.00}}}}
escalates_to: [{above}, people]"""


def new_role(workspace: Path, role: str, above: str) -> tuple[str, ...]:
    """Write a folder, a row, and the row of the matrix by which `above` gives it work; "" is the team's lead. Returns
    the files written. Raises TerminalError, OSError; then nothing is written.
    """
    text = _manifest(workspace)
    rows = rows_of(text)
    lead = child(child(yaml.compose(text, Loader=yaml.SafeLoader) if rows else None, "team"), "lead")
    above = above or (lead.value if isinstance(lead, yaml.ScalarNode) else "")
    folder = f"agents/{role}"
    if role in rows or (workspace / folder).exists():
        raise TerminalError(f"{role} is there already", "choose another name")
    if above not in rows:
        raise TerminalError(f"there is no role {above[:40]} to report to", f"one of: {', '.join(rows)}")
    words = {"role": role, "above": above, "title": role.replace("-", " ").replace("_", " ").title()}
    hand = f"{{from: {above}, to: {role}, kinds: [task], when: what {words['title']} is for}}"
    text = _added(text, "roles", _ROW.format(**words))
    text = _added(text, "matrix", hand)
    files = {
        f"{folder}/SOUL.md": _SOUL,
        f"{folder}/CONSTITUTION.md": _CONSTITUTION,
        f"{folder}/TOOLS.md": _TOOLS,
        f"{folder}/AGENTS.md": _AGENTS,
        f"{folder}/HEARTBEAT.md": _HEARTBEAT,
    }
    bodies: dict[str, bytes | None] = {name: body.format(**words).encode() for name, body in files.items()}
    put(workspace, {**bodies, FILE: text.encode()})
    return (*files, FILE)


def _added(text: str, key: str, item: str) -> str:
    """The manifest with one item more at the end of one of its lists; every other byte stays. Raises TerminalError."""
    listed = child(yaml.compose(text, Loader=yaml.SafeLoader), key)
    block = item.splitlines()
    if listed is None:
        return f"{text.rstrip()}\n\n{key}:\n{_item(block, '  ')}\n"
    if not isinstance(listed, yaml.SequenceNode):
        raise TerminalError(f"{key} in {FILE} is no list", "a list, as `signoff check` wants it")
    if listed.flow_style:
        at = listed.end_mark.index - 1
        flow = item if item.startswith("{") else "{" + ", ".join(block) + "}"
        return f"{text[:at]}{', ' if listed.value else ''}{flow}{text[at:]}"
    end = text.find("\n", end_of(listed))
    at = end if end >= 0 else len(text)
    return f"{text[:at]}\n{_item(block, ' ' * listed.start_mark.column)}{text[at:]}"


def _item(block: list[str], indent: str) -> str:
    first, *more = block
    return "\n".join((f"{indent}- {first}", *(f"{indent}  {line}" for line in more)))
