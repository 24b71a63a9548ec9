"""Add a rule to policy.allow in team.yaml, as text: everything else of the file stays as people wrote it.

Law: what is written is what an owner was shown, to the byte. The file is replaced whole or not at all, the one before
is kept, and one that changed meanwhile, or would not load, is left alone.
"""

from __future__ import annotations

import difflib
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import yaml

from agents.manifest import Manifest, read_file
from agents.source import FileTeamSource
from agents.team import FILE, TeamErrors
from core.model.ids import digest_of
from core.model.team import AllowRule, Amendment
from core.ports import Laws

UNAPPROVED = "the team's files have changes that nobody has approved yet"


def amended(text: str, rule: dict[str, Any]) -> str:
    """The text with one rule more, first of its list. Raises ValueError for a policy that cannot be added to."""
    line = msgspec.json.encode(rule).decode()
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    policy = _child(root, "policy")
    if policy is None:
        return f"{text.rstrip()}\n\npolicy:\n  allow:\n    - {line}\n"
    if isinstance(policy, yaml.ScalarNode) and policy.tag.endswith(":null"):
        start, end = policy.start_mark.index, policy.end_mark.index
        text = text[:start] + text[end:]
        first, newline, rest = text[start:].partition("\n")
        return f"{text[:start]}{first}{newline or chr(10)}  allow:\n    - {line}\n{rest}"
    if not isinstance(policy, yaml.MappingNode):
        raise ValueError("policy is no mapping")  # noqa: TRY004 - what people wrote, not a bug
    allow = _child(policy, "allow")
    if allow is None:
        return _with_key(text, policy, line)
    if not isinstance(allow, yaml.SequenceNode):
        raise ValueError("policy.allow is no list")  # noqa: TRY004 - the same
    at = allow.start_mark.index
    if allow.flow_style:
        return f"{text[: at + 1]}{line}{', ' if allow.value else ''}{text[at + 1 :]}"
    return f"{text[:at]}- {line}\n{' ' * allow.start_mark.column}{text[at:]}"


def _with_key(text: str, policy: yaml.MappingNode, line: str) -> str:
    at = policy.start_mark.index
    if policy.flow_style:
        return f"{text[: at + 1]}allow: [{line}]{', ' if policy.value else ''}{text[at + 1 :]}"
    indent = " " * policy.start_mark.column
    return f"{text[:at]}allow:\n{indent}  - {line}\n{indent}{text[at:]}"


def _child(node: yaml.Node | None, name: str) -> yaml.Node | None:
    pairs = node.value if isinstance(node, yaml.MappingNode) else ()
    return next((value for key, value in pairs if key.value == name), None)


class FileLaws(Laws):
    """team.yaml of a workspace. `backups` is where the files before are kept."""

    def __init__(self, workspace: Path, teams: FileTeamSource, backups: Path) -> None:
        self._path = workspace / FILE
        self._teams = teams
        self._backups = backups

    def fingerprint(self) -> str:
        """The digest of the file as it is; "" if it cannot be read."""
        try:
            return digest_of(self._text())
        except (OSError, UnicodeDecodeError):
            return ""

    def _text(self) -> str:
        return self._path.read_bytes().decode()

    def propose(self, rule: AllowRule) -> Amendment | str:
        """The change, or why it cannot be made."""
        try:
            if self._waits():
                return UNAPPROVED
            before = self._text()
            after = amended(before, self._row(rule))
        except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError, TeamErrors) as error:
            return f"{FILE} cannot be changed: {error}"
        lines = difflib.unified_diff(before.splitlines(), after.splitlines(), FILE, FILE, lineterm="")
        return Amendment(before=digest_of(before), after=digest_of(after), diff="\n".join(lines))

    def _row(self, rule: AllowRule) -> dict[str, Any]:
        zone = ZoneInfo(self._teams.current().zone)
        last = datetime.fromtimestamp((rule.until_ms - 1) / 1000, UTC).astimezone(zone).date()
        row = msgspec.structs.asdict(rule)
        del row["until_ms"]
        return {**row, "until": last.isoformat()}

    def amend(self, rule: AllowRule, amendment: Amendment) -> str:
        """Make the change and load it. "" if it is made, or was already; else why not."""
        try:
            before, waits = self._text(), self._waits()
            if digest_of(before) == amendment.after and not waits:
                self._teams.reload()
                return ""
            if waits:
                return UNAPPROVED
            after = amended(before, self._row(rule))
            if digest_of(before) != amendment.before or digest_of(after) != amendment.after:
                return f"{FILE} has changed since"
            return self._replace(before, after)
        except (OSError, UnicodeDecodeError, ValueError, yaml.YAMLError, TeamErrors) as error:
            return f"{FILE} cannot be changed: {error}"

    def _waits(self) -> bool:
        """Whether edited files wait for approval: what is added to them would put all of them in force."""
        approves = self._teams.current().policy.changes is not None
        return approves and self._teams.draft().version != self._teams.edition().version

    def _replace(self, before: str, after: str) -> str:
        new = self._path.with_name(f".{self._path.name}.new")
        _write(new, after)
        try:
            document = read_file(new, FILE, Manifest)
            if document.errors:
                return f"{FILE} would not load: {document.errors[0]}"
            self._backups.mkdir(parents=True, exist_ok=True)
            _write(self._backups / f"team-{digest_of(before)[:12]}.yaml", before)
            new.replace(self._path)
        finally:
            new.unlink(missing_ok=True)
        try:
            self._teams.reload()
        except TeamErrors as error:
            _write(new, before)
            new.replace(self._path)
            return f"{FILE} would not load: {error}"
        return ""


def _write(path: Path, text: str) -> None:
    with path.open("wb") as file:
        file.write(text.encode())
        file.flush()
        os.fsync(file.fileno())
