"""A role's folder, read and checked: who it is, in the files that TEAM.md's table names.

Law: a folder is only read here. Its text reaches the model as it stands, less comments; only front matter and headings
mean anything to us.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from agents.findings import Findings, Notice
from agents.heartbeat import Heartbeat, read_heartbeat
from agents.manifest import BYTES_MAX, Front, read
from agents.overlays import ENV, OVERLAY, check_overlay, overlaid
from core.model.team import Triggers

__all__ = ["Findings", "Notice", "RoleText", "read_role", "read_shared"]

REQUIRED = ("Identity", "Core Responsibilities", "Decision Principles", "Boundaries")
ADVISED = ("Decision Authority", "Communication Style")
_SHARED_FIRST = ("SAFETY.md", "COMMS.md", "MEMORY.md")
_WORDS = re.compile(r"words:\s*(.+)", re.IGNORECASE)
_REPEATS = re.compile(r"same question (\d{1,2}) times", re.IGNORECASE)
_TRIGGER_GRAMMAR = "`words: a, b`, `same question 3 times` or `account deletion`"
_HEADING = re.compile(r"^##[ \t]+(.+?)[ \t#]*$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoleText:
    """What a folder says. Missing files are empty."""

    front: Front
    soul: str
    constitution: str = ""
    agents: str = ""
    tools: str = ""
    triggers: Triggers
    heartbeat: Heartbeat


def text_of(path: Path, file: str, found: Findings) -> str | None:
    """A file's text; None where there is none. A file that cannot be read as text is an error."""
    try:
        raw = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        found.fail(f"cannot be read ({error.strerror})", "a readable file", file=file)
        return ""
    if len(raw) > BYTES_MAX:
        found.fail(f"has {len(raw)} bytes", f"at most {BYTES_MAX}", file=file)
        return ""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        found.fail("is not UTF-8", "text in UTF-8", file=file, line=raw[: error.start].count(b"\n") + 1)
        return ""


def read_shared(agents: Path, found: Findings) -> tuple[str, ...]:
    """The rules every role gets, those that bind most first."""
    folder = agents / "_shared"
    names = sorted(path.name for path in folder.glob("*.md")) if folder.is_dir() else []
    if "SAFETY.md" not in names:
        found.fail(
            "is missing", "the rules that bind every role; `signoff init` makes one", file=_name("_shared/SAFETY.md")
        )
    ordered = [name for name in _SHARED_FIRST if name in names] + [n for n in names if n not in _SHARED_FIRST]
    return tuple(text_of(folder / name, _name(f"_shared/{name}"), found) or "" for name in ordered)


def read_role(agents: Path, folder: str, role: str, found: Findings, *, env: str = "") -> RoleText | None:
    """A role's folder, or None when it says too little to be anybody. `env`: whose overlay counts."""
    _stays_inside(agents, folder, found)
    file = _name(f"{folder}/SOUL.md")
    soul = text_of(agents / folder / "SOUL.md", file, found)
    if soul is None:
        found.fail("is missing", "front matter (id, name, role) and the sections " + ", ".join(REQUIRED), file=file)
        return None
    parts = {}
    for name in ("CONSTITUTION", "AGENTS", "TOOLS"):
        text = text_of(agents / folder / f"{name}.md", _name(f"{folder}/{name}.md"), found)
        if text is None and name == "CONSTITUTION":
            found.notice("is missing: this role has no hard rules of its own", file=_name(f"{folder}/{name}.md"))
        parts[name.lower()] = text or ""
    triggers = _triggers(parts["constitution"], _name(f"{folder}/CONSTITUTION.md"), found)
    beats = text_of(agents / folder / "HEARTBEAT.md", _name(f"{folder}/HEARTBEAT.md"), found) or ""
    heartbeat = read_heartbeat(beats, _name(f"{folder}/HEARTBEAT.md"), found)
    front, body, lines_before = _front(soul, file, found)
    _sections(body, lines_before, file, found)
    for path in sorted((agents / folder).glob("SOUL.*.md")):
        over = text_of(path, _name(f"{folder}/{path.name}"), found) or ""
        check_overlay(over, _name(f"{folder}/{path.name}"), REQUIRED, found)
        named = OVERLAY.fullmatch(path.name)
        if named is None or not ENV.fullmatch(named[1]):
            found.fail("names no environment", "SOUL.prod.md", file=_name(f"{folder}/{path.name}"))
        elif named[1] == env:
            body = overlaid(body, over)
    if front is None:
        return None
    if front.id != role:
        line = next((n for n, text in enumerate(soul.splitlines(), 1) if text.startswith("id:")), 1)
        found.notice(f"id is {front.id}, and {role} in team.yaml, which is what counts", file=file, line=line)
    return RoleText(front=front, soul=body, triggers=triggers, heartbeat=heartbeat, **parts)


def _stays_inside(agents: Path, folder: str, found: Findings) -> None:
    """Who somebody is stands in this workspace: a link out of it would be changed where nobody looks."""
    inside = agents.parent.resolve()
    for path in (agents / folder, *_entries(agents / folder), *_entries(agents / folder / "knowledge")):
        if path.is_symlink() and not path.resolve().is_relative_to(inside):
            file = _name(str(path.relative_to(agents)))
            found.fail("links out of the workspace", "a file of its own", file=file)


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _triggers(constitution: str, file: str, found: Findings) -> Triggers:
    """The bullets of `## Escalation Triggers`: what code does with them leaves no room for prose."""
    words: list[str] = []
    repeats, deletion, inside = 0, False, False
    for number, line in enumerate(constitution.splitlines(), 1):
        text = line.strip()
        if text.startswith("#"):
            inside = text.lstrip("#").strip().lower() == "escalation triggers"
        elif inside and text:
            said = text.lstrip("-* ").strip()
            if match := _WORDS.fullmatch(said):
                words += [word for part in match[1].split(",") if (word := part.strip())]
            elif (match := _REPEATS.fullmatch(said)) and int(match[1]) > 1:
                repeats = int(match[1])
            elif said.lower() == "account deletion":
                deletion = True
            else:
                found.fail(f"{said[:60]!r} triggers nothing", _TRIGGER_GRAMMAR, file=file, line=number)
    return Triggers(words=tuple(words), repeats=repeats, deletion=deletion)


def _front(soul: str, file: str, found: Findings) -> tuple[Front | None, str, int]:
    """Front matter, the text below it, and how many lines stand before that."""
    lines = soul.splitlines()
    end = lines.index("---", 1) if lines[:1] == ["---"] and "---" in lines[1:] else 0
    if not end:
        found.fail("no front matter", "--- on the first line, then id, name and role, then ---", file=file, line=1)
        return None, soul, 0
    document = read("\n".join(lines[1:end]), file, Front, lines_before=1)
    found.errors.extend(document.errors)
    return document.value, "\n".join(lines[end + 1 :]), end + 1


def _sections(body: str, lines_before: int, file: str, found: Findings) -> None:
    starts = [(match.group(1), match.start(), match.end()) for match in _HEADING.finditer(body)]
    ends = [*(start for _, start, _ in starts), len(body)][1:] if starts else []
    for (title, start, stop), end in zip(starts, ends, strict=True):
        if title in REQUIRED and not body[stop:end].strip():
            line = lines_before + body.count("\n", 0, start) + 1
            found.fail(f"section {title} is empty", "at least one sentence", file=file, line=line)
    titles = [title for title, _, _ in starts]
    for title in _missing(REQUIRED, titles):
        found.fail(f"section {title} is missing", f"a heading `## {title}`", file=file, line=lines_before + 1)
    for title in _missing(ADVISED, titles):
        found.notice(f"section {title} is missing", file=file, line=lines_before + 1)


def _missing(wanted: Iterable[str], titles: list[str]) -> list[str]:
    return [title for title in wanted if title not in titles]


def _name(path: str) -> str:
    return f"agents/{path}"
