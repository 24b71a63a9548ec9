"""agents/pins.yaml: which version of a role is in force whatever its files say, and which is tried on a share.

Law: what cannot be kept to is an error with its line, and then nothing of the team is loaded: a pin that is silently
dropped would put in force what somebody meant to keep out. One rollout at a time, of one role. A pinned version is the
words, tools, budgets and permissions of then; how its tools work, what they need, and where the role stands in the team
are today's. An example:

    version: 1
    pins:
      developer: 3f2a1b9c04de          # a version of `signoff agents history developer`
    rollout: {role: qa, version: 77aa01c2be90, percent: 20}
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from agents.findings import Findings
from agents.manifest import Document, read_file
from agents.rows import Name
from agents.versions import Versions
from core.model.editions import Edition
from core.model.errors import TerminalError
from core.model.ids import digest_of
from core.model.team import Role, Team, Tier, ToolSpec

FILE = "agents/pins.yaml"
HEAD = """\
# Written by `signoff agents pin`, `unpin` and `rollout`, checked by `signoff check`; `signoff agents history` lists.
"""
_OWN = frozenset({"delegate", "run_command", "find_tools", "use_skill"})
"""Tools whose schema is the role's own: its targets, its commands, its skills."""


class RolloutRow(msgspec.Struct, frozen=True, kw_only=True):
    """A share of new requests gets this version."""

    role: Name
    version: str
    percent: Annotated[int, Meta(ge=1, le=99)]


class Pins(msgspec.Struct, frozen=True, kw_only=True):
    """The file."""

    version: Literal[1]
    pins: dict[str, str] = {}
    rollout: RolloutRow | None = None


def encode(team: Team) -> bytes:
    """The bytes under which a team is stored: the same team, the same bytes."""
    return msgspec.json.encode(team, order="sorted")


def named(team: Team) -> Team:
    """The team under the hash of its content."""
    bare = msgspec.structs.replace(team, version="")
    return msgspec.structs.replace(team, version=digest_of(encode(bare).decode()))


def read_pins(workspace: Path, found: Findings) -> Document[Pins] | None:
    """The file, if there is one."""
    if not (workspace / FILE).exists() and not (workspace / FILE).is_symlink():
        return None
    document = read_file(workspace / FILE, FILE, Pins)
    found.errors.extend(document.errors)
    return document


def edition_of(team: Team, workspace: Path, found: Findings) -> Edition | None:
    """What is in force when the files say `team`; None where the pins cannot be kept to, which is then noted."""
    document = read_pins(workspace, found)
    if document is None:
        return Edition(team=team)
    if document.value is None or document.errors:
        return None
    pins, reader, errors_n = document.value, _Reader(team, workspace, document, found), len(found.errors)
    pinned = {role: reader.role(role, version, "pins", role) for role, version in pins.pins.items()}
    row = pins.rollout
    tried = reader.role(row.role, row.version, "rollout") if row is not None else None
    if len(found.errors) > errors_n:
        return None
    steady = _with(team, {role: made for role, made in pinned.items() if made is not None})
    if row is None or tried is None:
        return Edition(team=steady)
    candidate = _with(steady, {tried.id: tried})
    if candidate.version == steady.version:
        found.notice("the version that is rolled out is in force already", file=FILE, line=document.line("rollout"))
        return Edition(team=steady)
    return Edition(team=steady, candidate=candidate, percent=row.percent)


def _with(team: Team, roles: dict[str, Role]) -> Team:
    return named(msgspec.structs.replace(team, roles={**team.roles, **roles})) if roles else team


class _Reader:
    def __init__(self, team: Team, workspace: Path, document: Document[Pins], found: Findings) -> None:
        self._team = team
        self._versions = Versions(workspace)
        self._document = document
        self._found = found

    def _fail(self, what: str, expected: str, *path: str | int) -> None:
        self._found.fail(what, expected, file=FILE, line=self._document.line(*path))

    def role(self, name: str, version: str, *path: str | int) -> Role | None:
        """The role as it was then, in the team of today."""
        today = self._team.roles.get(name)
        if today is None:
            self._fail(f"unknown role {name}", f"one of: {', '.join(self._team.roles)}", *path)
            return None
        try:
            then = self._versions.find(name, version).role
        except TerminalError as error:
            self._fail(error.what, error.remedy, *path)
            return None
        if gone := [one for one in then.commands if one not in self._team.commands]:
            self._fail(f"{name} {version} needs the command {gone[0]}", "it in team.yaml, or another version", *path)
        known = {spec.name for spec in today.specs} | {*self._team.tools} | _OWN
        if gone := [spec.name for spec in then.specs if spec.name not in known]:
            self._fail(f"{name} {version} needs the tool {gone[0]}", "another version: that tool is no more", *path)
        return msgspec.structs.replace(
            then,
            folder=today.folder,
            reports_to=today.reports_to,
            leads=today.leads,
            judged_by=today.judged_by,
            skill_texts=today.skill_texts,
            escalates_to=today.escalates_to,
            complexity=then.complexity if then.complexity in self._team.models else today.complexity,
            specs=tuple(_today(spec, today, self._team) for spec in then.specs),
        )


def _today(then: ToolSpec, today: Role, team: Team) -> ToolSpec:
    """The tool as the code that runs it is now; never milder than it was."""
    now = next((spec for spec in today.specs if spec.name == then.name), team.tools.get(then.name))
    if now is None or (then.name in _OWN and now.parameters != then.parameters):
        now = msgspec.structs.replace(then, tier=_stricter(then.tier, now.tier) if now else then.tier)
    return msgspec.structs.replace(now, tier=_stricter(now.tier, then.tier))


def _stricter(one: Tier, other: Tier) -> Tier:
    tiers = list(Tier)
    return max(one, other, key=tiers.index)


# --- Written ----------------------------------------------------------------------------------------------------------


def pins_of(workspace: Path) -> Pins:
    """The pins as they are. Raises ConfigError for a file that is none."""
    found = Findings()
    document = read_pins(workspace, found)
    if found.errors:
        raise found.errors[0]
    return document.value if document and document.value else Pins(version=1)


def pinned(pins: Pins, role: str, version: str) -> Pins:
    """With this role pinned; "" lets it go."""
    kept = {name: one for name, one in pins.pins.items() if name != role}
    return msgspec.structs.replace(pins, pins={**kept, role: version} if version else kept)


def text_of(pins: Pins) -> str:
    """The file, as people read it; "" where there is nothing to keep to."""
    if not pins.pins and pins.rollout is None:
        return ""
    lines = [HEAD.rstrip(), "version: 1"]
    if pins.pins:
        lines += ["pins:", *(f'  {role}: "{version}"' for role, version in sorted(pins.pins.items()))]
    if pins.rollout:
        row = pins.rollout
        lines.append(f'rollout: {{role: {row.role}, version: "{row.version}", percent: {row.percent}}}')
    return "\n".join(lines) + "\n"
