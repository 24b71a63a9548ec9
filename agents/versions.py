"""Every version of every role that was ever read whole, with the files it was made of.

Law: a version is kept under the hash of its content, once, and what is read back is that content or nothing: a kept
file that was changed is no version any more. They are files of the workspace's state, so that a team can be loaded,
compared and rolled back without its database.
"""

from __future__ import annotations

import difflib
import functools
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from agents.findings import Findings
from agents.folders import text_of
from core.model.errors import TerminalError
from core.model.ids import digest_of
from core.model.team import Command, MatrixRow, Role, Team

FOLDER = Path(".signoff", "versions")
SHOWN = 12
"""Of a version's digits; any unique prefix will do where one is typed."""
_PREFIX_MIN = 4
_DIGITS = re.compile(r"[0-9a-f]+")
_ROLE = re.compile(r"[a-z][a-z0-9_-]{0,31}")


class RoleVersion(msgspec.Struct, frozen=True, kw_only=True, tag="RoleVersion/1"):
    """One version of a role: what it is, and what people wrote. `definition`: the team it was first read in."""

    role: Role
    rows: tuple[MatrixRow, ...]
    commands: tuple[Command, ...]
    files: dict[str, str]  # of its folder, by name
    row: str  # of team.yaml, as it stands there
    definition: str
    at_ms: int

    @property
    def version(self) -> str:
        """Its name."""
        return self.role.version


def version_of(role: Role, rows: Iterable[MatrixRow], commands: Iterable[Command]) -> str:
    """The hash of all that can change what a role does; the role's own `version` is no part of it. What is as it is
    without a word counts as not said, so that a release that can say more gives what was kept before the same name.
    """
    bare = msgspec.structs.replace(role, version="")
    content = msgspec.json.encode(
        (_said(bare), [_said(row) for row in rows], [_said(one) for one in commands]), order="sorted"
    )
    return digest_of(content.decode())


def _said(value: Any) -> Any:
    if isinstance(value, msgspec.Struct):
        held = ((encoded, getattr(value, name), unsaid) for encoded, name, unsaid in _fields(type(value)))
        return {encoded: _said(one) for encoded, one, unsaid in held if one != unsaid}
    return [_said(one) for one in value] if isinstance(value, tuple | list) else value


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, str, Any], ...]:
    """Of each field how it is encoded, its name, and what it is without a word."""
    fields = sorted(msgspec.structs.fields(kind), key=lambda field: field.encode_name)
    return tuple((field.encode_name, field.name, _unsaid(field)) for field in fields)


def _unsaid(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def concerned(team: Team, role: str) -> tuple[tuple[MatrixRow, ...], tuple[Command, ...]]:
    """The rows and commands that are part of a role's content."""
    rows = tuple(row for row in team.matrix if role in {row.source, row.target})
    return rows, tuple(team.commands[name] for name in team.roles[role].commands)


class Versions:
    """Those of one workspace."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._folder = workspace / FOLDER

    def keep(self, team: Team, rows: Mapping[str, str], at_ms: int) -> tuple[str, ...]:
        """Keep each role's version with its files as they are now. `team` is what those files say, `rows` its roles'
        rows of team.yaml. Returns the roles that were new. Raises OSError.
        """
        return tuple(name for name in team.roles if self._keep_one(team, name, rows.get(name, ""), at_ms))

    def _keep_one(self, team: Team, name: str, row: str, at_ms: int) -> bool:
        role = team.roles[name]
        path = self._path(name, role.version)
        if path.is_file():
            return False
        rows, commands = concerned(team, name)
        kept = RoleVersion(
            role=role,
            rows=rows,
            commands=commands,
            files=files_of(self._workspace, role.folder),
            row=row,
            definition=team.version,
            at_ms=at_ms,
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, msgspec.json.encode(kept))
        return True

    def _path(self, role: str, version: str) -> Path:
        return self._folder / role / f"{version}.json"

    def of(self, role: str) -> tuple[RoleVersion, ...]:
        """All that are whole, the oldest first."""
        found = (self._read(path) for path in sorted((self._folder / role).glob("*.json")))
        return tuple(sorted((one for one in found if one is not None), key=lambda one: (one.at_ms, one.version)))

    def find(self, role: str, prefix: str) -> RoleVersion:
        """The one whose version begins so. Raises TerminalError, saying which there are."""
        if not _ROLE.fullmatch(role):
            raise TerminalError(f"{role[:40]!r} is no role", "`signoff agents` lists them")
        if len(prefix) < _PREFIX_MIN or not _DIGITS.fullmatch(prefix):
            remedy = f"{_PREFIX_MIN} digits or more of one; `signoff agents history {role}` lists them"
            raise TerminalError(f"{prefix[:40]!r} is no version", remedy)
        paths = sorted((self._folder / role).glob(f"{prefix}*.json"))
        if len(paths) > 1:
            raise TerminalError(f"{prefix} could be {len(paths)} versions of {role}", "give more of its digits")
        kept = self._read(paths[0]) if paths else None
        if kept is None:
            raise TerminalError(f"unknown version {prefix[:SHOWN]} of {role}", f"`signoff agents history {role}`")
        return kept

    def _read(self, path: Path) -> RoleVersion | None:
        """None for what is not, or no longer, the content its name promises."""
        try:
            kept = msgspec.json.decode(path.read_bytes(), type=RoleVersion)
        except (OSError, msgspec.MsgspecError):
            return None
        right = version_of(kept.role, kept.rows, kept.commands) == kept.version == path.stem
        return kept if right and kept.role.id == path.parent.name else None


def files_of(workspace: Path, folder: str) -> dict[str, str]:
    """What stands in a role's folder, by file; knowledge is read on demand and is not part of who it is."""
    there = sorted((workspace / "agents" / folder).glob("*.md"))
    return {path.name: text_of(path, path.name, Findings()) or "" for path in there}


def write_whole(path: Path, body: bytes) -> None:
    """All of it is there, durably, or nothing is. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    try:
        with new.open("wb") as file:
            file.write(body)
            file.flush()
            os.fsync(file.fileno())
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)


# --- team.yaml's rows -------------------------------------------------------------------------------------------------


def rows_of(text: str) -> dict[str, tuple[int, int]]:
    """Where each role's row of a manifest stands, from its first to behind its last character. What is no manifest has
    none.
    """
    try:
        root = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (yaml.YAMLError, RecursionError):
        return {}
    rows = child(root, "roles")
    found: dict[str, tuple[int, int]] = {}
    for row in rows.value if isinstance(rows, yaml.SequenceNode) else ():
        name = child(row, "id")
        if isinstance(name, yaml.ScalarNode):
            found[name.value] = (row.start_mark.index, end_of(row))
    return found


def child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    """What a key of a mapping holds."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)


def end_of(node: yaml.Node) -> int:
    """Behind the last thing written in it: a block's own mark stands behind the comments that follow, too."""
    if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last: Any = node.value[-1]
        return end_of(last[1] if isinstance(last, tuple) else last)
    return int(node.end_mark.index)


def row_texts(text: str) -> dict[str, str]:
    """Each role's row, as it stands there."""
    return {name: text[start:end] for name, (start, end) in rows_of(text).items()}


# --- Compared ---------------------------------------------------------------------------------------------------------


def pages_of(kept: RoleVersion) -> dict[str, str]:
    """A version as pages of text: its files, then everything about it that stands elsewhere."""
    return {**kept.files, "team.yaml": facts_of(kept.role, kept.rows, kept.commands)}


def facts_of(role: Role, rows: Iterable[MatrixRow], commands: Iterable[Command]) -> str:
    """What governs a role besides its words, a line each: budgets, tools, permissions, its rows of the matrix."""
    plain = msgspec.to_builtins(role)
    for name in ("prompt", "version", "specs"):
        plain.pop(name)
    lines = [*_flat("", plain)]
    lines += [f"tool {spec.name}: {spec.tier.value}, {spec.effect.value}, {spec.seconds_max} s" for spec in role.specs]
    lines += [
        f"matrix: {row.source} -> {row.target}: {', '.join(row.kinds)}{f' ({row.when})' if row.when else ''}"
        for row in rows
    ]
    for command in commands:
        lines += _flat(f"command {command.name}", msgspec.to_builtins(command))
    return "\n".join(lines) + "\n"


def _flat(path: str, value: Any) -> Iterable[str]:
    """`budget.task_tokens_max: 50000`: one fact a line, so that a diff is one line, too."""
    if isinstance(value, dict) and value:
        for name, below in value.items():
            yield from _flat(f"{path}.{name}" if path else name, below)
    else:
        yield f"{path}: {value if isinstance(value, str) else msgspec.json.encode(value).decode()}"


def diff_of(before: Mapping[str, str], after: Mapping[str, str], was: str = "a", now: str = "b") -> str:
    """A unified diff of pages; "" where nothing differs."""
    lines: list[str] = []
    for name in sorted({*before, *after}):
        old, new = before.get(name, "").splitlines(), after.get(name, "").splitlines()
        lines += difflib.unified_diff(old, new, f"{was}/{name}", f"{now}/{name}", lineterm="")
    return "\n".join(lines)


def in_one_line(before: RoleVersion | None, after: RoleVersion) -> str:
    """What changed: `SOUL.md +2 -1, team.yaml +1 -1`."""
    if before is None:
        return "first kept"
    old, new, told = pages_of(before), pages_of(after), []
    for name in sorted({*old, *new}):
        lines = [*difflib.unified_diff(old.get(name, "").splitlines(), new.get(name, "").splitlines(), lineterm="")]
        added = sum(line.startswith("+") for line in lines[2:])
        gone = sum(line.startswith("-") for line in lines[2:])
        told += [f"{name} +{added} -{gone}"] if added or gone else []
    return ", ".join(told) or "what all roles share"
