"""use_skill and read_knowledge: what a team knows, read when it is needed.

Law: both are the team's own law side, in folders where no agent can write, walked without ever following a link. An
answer is bounded however large a file is, and a text over 1 MB is not read at all.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from agents.tools import walk
from agents.tools.control import shape
from agents.tools.files import RefusedError
from core.model.team import EffectClass, Team, Tier, ToolSpec
from core.model.work import Failure, ToolResult
from core.ports import Workplace

USE_SKILL = "use_skill"
READ_KNOWLEDGE = "read_knowledge"
SKILLS = ("agents", "skills")
SKILL = "SKILL.md"
TOOLS = "tools.py"
KNOWLEDGE = "knowledge"
TEXT_BYTES_MAX = 1_000_000
CHUNK_BYTES = 16_384
HEAD_BYTES = 4_096
HITS_MAX = 40
LINES_MAX = 100
_LINE_CHARS = 300
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)

_OFFSET = {"type": "integer", "minimum": 0, "default": 0, "description": "the first byte"}


def text_digest(raw: bytes) -> str:
    """What a SKILL.md is known by: a role's version rests on it."""
    return f"sha256:{hashlib.sha256(raw).hexdigest()}"


def skill_spec(skills: tuple[str, ...]) -> ToolSpec:
    """`use_skill` as a role with these skills sees it."""
    return ToolSpec(
        name=USE_SKILL,
        about="Read a skill of yours before work it is for; it names further files.",
        parameters=shape(
            {
                "name": {"enum": list(skills)} if skills else {"type": "string"},
                "file": {"type": "string", "default": "", "description": "one it names; empty: the skill itself"},
                "offset": _OFFSET,
            },
            ("name",),
        ),
        tier=Tier.READ,
        effect=EffectClass.READ,
        verb="read",
        resource="skill:{name}",
        output_bytes_max=2 * CHUNK_BYTES,
    )


KNOWLEDGE_SPEC = ToolSpec(
    name=READ_KNOWLEDGE,
    about="Read your reference texts: without `name` a list of them, with `query` the lines that hold all its words.",
    parameters=shape(
        {
            "name": {"type": "string", "default": "", "description": "a text of the list"},
            "query": {"type": "string", "default": "", "maxLength": 200},
            "offset": _OFFSET,
        }
    ),
    tier=Tier.READ,
    effect=EffectClass.READ,
    verb="read",
    resource="knowledge:{name}",
    output_bytes_max=2 * CHUNK_BYTES,
)


class _Folder:
    """A folder of texts. Its calls block. Raises RefusedError, OSError."""

    def __init__(self, root: Path, names: tuple[str, ...], what: str) -> None:
        self._root = root
        self._names = names
        self._what = what

    def files(self) -> Iterator[walk.Found]:
        """What can be read of it."""
        return (file for file in walk.files(self._root, *self._names) if not file.link)

    def heading(self, file: walk.Found) -> str:
        """The first heading, or the first line; looked for at the beginning only."""
        raw, _ = walk.read(self._root, (*self._names, *file.path.split("/")), HEAD_BYTES)
        lines = [line.strip() for line in raw.decode("utf-8", "replace").splitlines() if line.strip()]
        first = next((line for line in lines if line.startswith("#")), lines[0] if lines else "")
        return first.lstrip("# ")[:LINES_MAX]

    def text(self, name: str) -> str:
        """A whole text. Raises RefusedError, OSError."""
        parts = tuple(name.split("/"))
        if not name or any(part in {"", ".", ".."} or part.startswith(".") for part in parts):
            raise RefusedError(f"no {self._what} {name!r}", "it is not one of its files", "call it without a file")
        try:
            raw, size = walk.read(self._root, (*self._names, *parts), TEXT_BYTES_MAX)
        except OSError as error:
            why = "there is no such file" if isinstance(error, FileNotFoundError) else "it is no plain file"
            raise RefusedError(f"no {self._what} {name!r}", why, "choose one of the list") from error
        if size > TEXT_BYTES_MAX:
            why = f"it has {size} bytes, at most {TEXT_BYTES_MAX} are read"
            raise RefusedError(f"{name} was not read", why, "work without it; a person must split it")
        if b"\0" in raw:
            raise RefusedError(f"{name} was not read", "it is no text", "choose another one")
        return raw.decode("utf-8", "replace")


def _chunk(name: str, text: str, offset: int) -> str:
    raw = text.encode()
    chunk = raw[offset : offset + CHUNK_BYTES]
    end = offset + len(chunk)
    more = f"; go on with offset {end}" if end < len(raw) else ""
    return f"{name}: bytes {offset}-{end} of {len(raw)}{more}\n{chunk.decode('utf-8', 'replace')}"


class _Reader:
    """What both tools are alike in."""

    def __init__(self, workspace: Path, team: Team) -> None:
        self._workspace = workspace.absolute()
        self._team = team

    @property
    def remembers(self) -> bool:
        """Doing it again comes to the same."""
        return False

    async def cancel(self, attempt: str) -> None:
        """It is over in a moment by itself."""

    async def _told(self, call: Callable[[], str]) -> ToolResult:
        try:
            return ToolResult(text=await asyncio.to_thread(call))
        except RefusedError as refused:
            return ToolResult(failure=refused.failure)
        except OSError as error:
            why = error.strerror or type(error).__name__
            return ToolResult(failure=Failure(what="it was not read", why=why, recovery="work without it, and say so"))


class UseSkill(_Reader):
    """Implements ports.Tool."""

    @property
    def spec(self) -> ToolSpec:
        """As a role with any skill sees it."""
        return skill_spec(())

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """A skill's body, or a file of it."""
        name, file = str(arguments["name"]), str(arguments.get("file", ""))
        return await self._told(lambda: self._read(place.role, name, file, int(arguments.get("offset", 0))))

    def _read(self, role: str, name: str, file: str, offset: int) -> str:
        there = self._team.roles.get(role)
        mine = there.skills if there is not None else ()
        if name not in mine:
            raise RefusedError(f"no skill {name!r}", "it is not one of yours", f"yours: {', '.join(mine) or 'none'}")
        folder = _Folder(self._workspace, (*SKILLS, name), "file of this skill")
        if file and file not in {SKILL, TOOLS}:
            return _chunk(f"{name}/{file}", folder.text(file), offset)
        text = folder.text(SKILL)
        if there is not None and there.skill_texts.get(name, (now := text_digest(text.encode()))) != now:
            raise RefusedError(
                f"the skill {name} was not read",
                "it has changed since the definition you work by",
                "work without it, and say so: new requests get the new one once it is in force",
            )
        body = _FRONT.sub("", text.replace("\r\n", "\n"), count=1).strip()
        more = [found.path for found in folder.files() if found.path not in {SKILL, TOOLS}][:LINES_MAX]
        return _chunk(name, body, offset) + (f"\n\nFurther files: {', '.join(more)}" if more else "")


class ReadKnowledge(_Reader):
    """Implements ports.Tool."""

    @property
    def spec(self) -> ToolSpec:
        """The same for everybody."""
        return KNOWLEDGE_SPEC

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        """The list, a text, or lines of one or all."""
        name, query = str(arguments.get("name", "")), str(arguments.get("query", ""))
        return await self._told(lambda: self._read(place.role, name, query, int(arguments.get("offset", 0))))

    def _read(self, role: str, name: str, query: str, offset: int) -> str:
        there = self._team.roles.get(role)
        folder = _Folder(self._workspace, ("agents", there.folder if there else role, KNOWLEDGE), "text")
        if query.split():
            texts = [name] if name else [file.path for file in folder.files() if file.bytes_n <= TEXT_BYTES_MAX]
            return _hits(folder, texts, query, quiet=not name)
        if name:
            return _chunk(name, folder.text(name), offset)
        lines = [f"{file.path}: {folder.heading(file)} ({file.bytes_n} bytes)" for file in folder.files()]
        more = [f"… and {len(lines) - LINES_MAX} more: use a query"] if len(lines) > LINES_MAX else []
        return "\n".join(lines[:LINES_MAX] + more) or "you have no reference texts"


def _hits(folder: _Folder, texts: list[str], query: str, *, quiet: bool) -> str:
    """Lines that hold every word, in whatever case; if none does, texts that hold them all."""
    words = query.casefold().split()
    lines: list[str] = []
    whole: list[str] = []
    for name in texts:
        try:
            text = folder.text(name)
        except RefusedError:
            if quiet:
                continue  # a picture among the texts
            raise
        if all(word in text.casefold() for word in words):
            whole.append(name)
            for number, line in enumerate(text.splitlines(), 1):
                if all(word in line.casefold() for word in words):
                    lines.append(f"{name}:{number}: {line.strip()[:_LINE_CHARS]}")
    if lines:
        more = [f"… and {len(lines) - HITS_MAX} more lines"] if len(lines) > HITS_MAX else []
        return "\n".join(lines[:HITS_MAX] + more)
    return f"no line holds all of it; these texts do: {', '.join(whole[:HITS_MAX])}" if whole else "nothing found"
