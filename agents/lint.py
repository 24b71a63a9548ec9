"""What the files of a sound team say that nobody meant: repeated, dead and contradicting instructions.

Law: everything here only warns, is told the same way every time, and needs no model: it compares words. A rule in three
roles belongs in `_shared`; an instruction about a tool or a role that is out of reach is one the model will stumble
over; two sentences that differ in nothing but always and never cannot both be kept.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.findings import Findings
from agents.folders import text_of
from core.model.team import Team

KNOWLEDGE_BYTES_MAX = 1_000_000
ROLES_MIN = 3
RULE_CHARS_MIN = 24
"""Shorter lines are alike by chance: `None.`, `Ask a person.`."""
_FILES = ("SOUL.md", "CONSTITUTION.md", "AGENTS.md", "TOOLS.md")
_ADVISED = ("AGENTS.md", "TOOLS.md")
_SPEAKS_OF_TOOLS = ("SOUL.md", "TOOLS.md", "AGENTS.md")
_SENTENCE = re.compile(r"[^.!?;\n]+")
_WORD = re.compile(r"[a-z0-9_`]+")
_NAMED = re.compile(r"`([a-z][a-z0-9_-]*)`|\b([a-z]+(?:_[a-z]+)+)\b")
_TO = re.compile(r"\b(?:delegate|hand|give|pass)\b[^.\n]{0,40}?\bto (?:the )?`?([a-z][a-z0-9_-]*)", re.IGNORECASE)
_SIDES = (("always", "never"), ("must", "must not"), ("may", "may not"), ("do", "do not"), ("can", "cannot"))
"""Words that turn a sentence into its opposite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    role: str
    file: str
    number: int
    text: str

    @property
    def plain(self) -> str:
        """How it compares: words alone, in small letters."""
        return " ".join(_WORD.findall(self.text.lower()))


def lint(workspace: Path, team: Team, found: Findings) -> None:
    """Note all of it."""
    lines = {role: [*_lines(workspace, role, team.roles[role].folder)] for role in team.roles}
    shared = [*_shared(workspace)]
    _repeated(lines, found)
    known = set(team.tools) | {spec.name for one in team.roles.values() for spec in one.specs}
    for role, own in lines.items():
        _dead(team, role, own, known, found)
        _contradicting([*shared, *own], role, found)
    _missing(workspace, team, found)
    _knowledge(workspace, team, found)


def _missing(workspace: Path, team: Team, found: Findings) -> None:
    for role in team.roles.values():
        folder = f"agents/{role.folder}"
        for name in _ADVISED:
            if not (workspace / folder / name).is_file():
                found.notice("is missing", file=f"{folder}/{name}")


def _lines(workspace: Path, role: str, folder: str) -> Iterator[_Line]:
    for name in _FILES:
        yield from _of(workspace, f"agents/{folder}/{name}", role)


def _shared(workspace: Path) -> Iterator[_Line]:
    for path in sorted((workspace / "agents" / "_shared").glob("*.md")):
        yield from _of(workspace, f"agents/_shared/{path.name}", "")


def _of(workspace: Path, file: str, role: str) -> Iterator[_Line]:
    text = text_of(workspace / file, file, Findings()) or ""
    fenced = False
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        fenced = fenced != line.startswith("```")
        if line and not fenced and not line.startswith(("#", "---", "<!--")):
            yield _Line(role=role, file=file, number=number, text=line.lstrip("-* "))


def _repeated(lines: dict[str, list[_Line]], found: Findings) -> None:
    there: defaultdict[str, dict[str, _Line]] = defaultdict(dict)
    for own in lines.values():
        for line in own:
            if len(line.plain) >= RULE_CHARS_MIN and not _is_front(line):
                there[line.plain].setdefault(line.role, line)
    for by_role in there.values():
        if len(by_role) >= ROLES_MIN:
            first, *others = by_role.values()
            named = ", ".join(line.role for line in others[:5]) + (" ..." if len(others) > 5 else "")
            found.notice(f"{named} say this, too: say it once, in _shared", file=first.file, line=first.number)


def _is_front(line: _Line) -> bool:
    return line.file.endswith("SOUL.md") and line.number < 10 and bool(re.match(r"[a-z]+: ", line.text))


def _dead(team: Team, role: str, lines: list[_Line], known: set[str], found: Findings) -> None:
    """Instructions that cannot be followed: a tool it does not have, a role it cannot give work to."""
    mine = {*team.roles[role].tools, *(spec.name for spec in team.roles[role].specs)}
    targets = {row.target for row in team.targets(role)}
    for line in lines:
        if not line.file.endswith(_SPEAKS_OF_TOOLS) or _is_front(line):
            continue
        names = dict.fromkeys(ticked or bare for ticked, bare in _NAMED.findall(line.text))
        for name in names:
            if name in known and name not in mine:
                found.notice(f"{role} does not have the tool {name}", file=line.file, line=line.number)
        for name in dict.fromkeys(match.lower() for match in _TO.findall(line.text)):
            if name in team.roles and name != role and name not in targets and not _negated(line.text):
                found.notice(f"the matrix lets {role} give {name} nothing", file=line.file, line=line.number)


def _negated(text: str) -> bool:
    return bool(re.search(r"\b(?:never|not|nothing|nobody|no)\b", text, re.IGNORECASE))


def _contradicting(lines: list[_Line], role: str, found: Findings) -> None:
    """Within what one role reads: the same sentence, once each way."""
    said: dict[tuple[int, str], tuple[bool, _Line]] = {}
    told: set[str] = set()
    for line in lines:
        for sentence in _SENTENCE.findall(line.text):
            plain = " ".join(_WORD.findall(sentence.lower()))
            for side, bare, positive in _polarity(plain):
                before = said.setdefault((side, bare), (positive, line))
                if before[0] is not positive and bare not in told and line.role in {"", role}:
                    told.add(bare)
                    what = f"{role} reads the opposite at {before[1].file}:{before[1].number}"
                    found.notice(what, file=line.file, line=line.number)


def _polarity(plain: str) -> Iterator[tuple[int, str, bool]]:
    """Which opposites a sentence takes a side in, what is left of it, and which side."""
    words = f" {plain} "
    for n, (yes, no) in enumerate(_SIDES):
        for word, positive in ((no, False), (yes, True)):
            if f" {word} " in words:
                bare = " ".join(words.replace(f" {word} ", " ", 1).split())
                if len(bare.split()) > 1:
                    yield n, bare, positive
                break


def _knowledge(workspace: Path, team: Team, found: Findings) -> None:
    for role in team.roles.values():
        folder = workspace / "agents" / role.folder / "knowledge"
        for path in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if path.is_file() and path.stat().st_size > KNOWLEDGE_BYTES_MAX:
                size = f"{path.stat().st_size:,} bytes of knowledge in one file: split it, only parts are ever read"
                found.notice(size, file=str(path.relative_to(workspace)))
