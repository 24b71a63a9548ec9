"""Skills: `agents/skills/NAME/SKILL.md`, knowledge and perhaps tools that only roles with the skill get.

Law: a skill is only read here. Its description stands in the prompt; its body is read when it is needed, and belongs to
the version of who has it all the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from agents.folders import Findings
from agents.manifest import Document, Manifest, RoleRow, read
from agents.tools import walk
from agents.tools.library import KNOWLEDGE, READ_KNOWLEDGE, SKILL, SKILLS, TEXT_BYTES_MAX, TOOLS, USE_SKILL, text_digest
from agents.written import Written
from core.model.team import Json

BODY_BYTES_MAX = 65_536
DESCRIPTION_MAX = 1_024


class SkillFront(msgspec.Struct, frozen=True, kw_only=True):
    """Front matter of a SKILL.md. What is not ours is read and means nothing here."""

    name: str
    description: str
    license: str = ""
    compatibility: str = ""
    version: Json = None
    allowed_tools: Json = msgspec.field(default=None, name="allowed-tools")
    metadata: Json = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """`tools` are the names of its tools, `digest` its SKILL.md's."""

    name: str
    description: str
    digest: str = ""
    tools: tuple[str, ...] = ()


def read_skills(
    workspace: Path, document: Document[Manifest], written: Written, found: Findings
) -> Mapping[str, Skill]:
    """Every skill some role has."""
    skills: dict[str, Skill] = {}
    tried: set[str] = set()
    for n, row in enumerate(document.value.roles if document.value else ()):
        for m, name in enumerate(row.skills):
            if name not in tried:
                tried.add(name)
                line = document.line("roles", n, "skills", m)
                skill = _skill(workspace, name, document.file, line, written, found)
                if skill is not None:
                    skills[name] = skill
    return skills


def _skill(workspace: Path, name: str, manifest: str, line: int, written: Written, found: Findings) -> Skill | None:
    file = "/".join((*SKILLS, name, SKILL))
    try:
        raw, size = walk.read(workspace, (*SKILLS, name, SKILL), BODY_BYTES_MAX)
    except FileNotFoundError:
        found.fail(f"no skill {name}", f"a file {file}", file=manifest, line=line)
        return None
    except OSError as error:
        found.fail(f"cannot be read ({error.strerror or error})", "a plain file, no link", file=file)
        return None
    if size > BODY_BYTES_MAX:
        found.fail(f"has {size} bytes", f"at most {BODY_BYTES_MAX}; further files beside it", file=file)
        return None
    try:
        text = raw.decode("utf-8").replace("\r\n", "\n")
    except UnicodeDecodeError:
        found.fail("is not UTF-8", "text in UTF-8", file=file)
        return None
    front = _front(text, file, found)
    if front is None:
        return None
    if front.name != name:
        found.notice(f"name is {front.name}, and {name} the folder's, which is what counts", file=file, line=2)
    if front.allowed_tools is not None:
        found.notice("allowed-tools allows nothing here: a role's tools are in team.yaml", file=file)
    return Skill(
        name=name,
        description=" ".join(front.description.split())[:DESCRIPTION_MAX],
        digest=text_digest(raw),
        tools=_tools(workspace, name, written),
    )


def _tools(workspace: Path, name: str, written: Written) -> tuple[str, ...]:
    try:
        there = any(file.path == TOOLS for file in walk.files(workspace, *SKILLS, name))
    except OSError:
        there = False  # said already
    return written.file("/".join((*SKILLS, name, TOOLS))) if there else ()


def _front(text: str, file: str, found: Findings) -> SkillFront | None:
    lines = text.splitlines()
    end = lines.index("---", 1) if lines[:1] == ["---"] and "---" in lines[1:] else 0
    if not end:
        found.fail("no front matter", "--- on the first line, then name and description, then ---", file=file, line=1)
        return None
    document = read("\n".join(lines[1:end]), file, SkillFront, lines_before=1)
    found.errors.extend(document.errors)
    if not any(line.strip() for line in lines[end + 1 :]):
        found.fail("says nothing", "text below the front matter", file=file, line=end + 1)
    return document.value


def lines_of(row: RoleRow, skills: Mapping[str, Skill]) -> str:
    """What a role's prompt says of its skills."""
    mine = [skills[name] for name in row.skills if name in skills]
    if not mine:
        return ""
    lines = "\n".join(f"- {skill.name}: {skill.description}" for skill in mine)
    return f"# Your skills\nRead one with `{USE_SKILL}` before work it is for.\n{lines}"


def tools_of_skills(row: RoleRow, skills: Mapping[str, Skill]) -> tuple[str, ...]:
    """What a role may call because of its skills."""
    names = (tool for name in row.skills if name in skills for tool in skills[name].tools)
    return tuple(dict.fromkeys(name for name in names if name not in row.tools.deny))


def check_library(
    workspace: Path, document: Document[Manifest], skills: Mapping[str, Skill], leads: Iterable[str], found: Findings
) -> None:
    """Skills and knowledge fit the roles that have them."""
    whose = {tool: skill.name for skill in skills.values() for tool in skill.tools}
    for n, row in enumerate(document.value.roles if document.value else ()):

        def fail(what: str, expected: str, *path: str | int, n: int = n) -> None:
            found.fail(what, expected, file=document.file, line=document.line("roles", n, *path))

        allowed = set(row.tools.allow) - set(row.tools.deny)
        if row.skills and USE_SKILL not in allowed:
            fail(f"{row.id} has skills and no {USE_SKILL}", f"{USE_SKILL} among its tools", "skills")
        if USE_SKILL in allowed and not row.skills:
            fail(f"{row.id} has {USE_SKILL} and no skills", "skills: [...]", "tools", "allow")
        for m, name in enumerate(row.tools.allow):
            if whose.get(name, "") and whose[name] not in row.skills:
                fail(f"{name} is a tool of the skill {whose[name]}", "that skill among its", "tools", "allow", m)
        if row.id in leads and tools_of_skills(row, skills):
            fail(f"{row.id} leads, and its skills bring tools to work with", "skills without tools", "skills")
        _check_knowledge(workspace, row, read_by_role=READ_KNOWLEDGE in allowed, found=found)


def _check_knowledge(workspace: Path, row: RoleRow, *, read_by_role: bool, found: Findings) -> None:
    """What of a knowledge folder will not be read; of a role that cannot read any, nothing is said."""
    folder = ("agents", row.folder or row.id, KNOWLEDGE)
    try:
        files = list(walk.files(workspace, *folder)) if read_by_role else []
    except OSError as error:
        found.notice(f"is not read ({error.strerror})", file="/".join(folder))
        return
    for file in files:
        name = "/".join((*folder, file.path))
        if file.link:
            found.notice("is a link: it is not read", file=name)
        elif file.bytes_n > TEXT_BYTES_MAX:
            found.notice(f"has {file.bytes_n} bytes: over {TEXT_BYTES_MAX} it is not read", file=name)
