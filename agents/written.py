"""Find the tools that people wrote: `tools/*.py` of the workspace, and `tools.py` of a skill.

Law: files are only read here. What team.yaml does not say of a tool is the strictest that lets it work at all: it is
external, may run once, and what it returns was written outside.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from agents.folders import Findings
from agents.manifest import Document, Manifest, ToolRow
from agents.tools import programs, walk
from agents.tools.signatures import BYTES_MAX, Signature, signatures
from agents.tools.written import program_of
from core.model.team import EffectClass, Tier, ToolSpec

FOLDER = "tools"
SECONDS_MAX = 30


class Written:
    """Every tool people wrote, as it is found. `known` are the names that are taken."""

    def __init__(
        self, workspace: Path, document: Document[Manifest], known: Mapping[str, ToolSpec], found: Findings
    ) -> None:
        self._workspace = workspace
        self._document = document
        self._rows = document.value.tools if document.value else {}
        self._known = known
        self._found = found
        self.specs: dict[str, ToolSpec] = {}

    def folder(self) -> None:
        """Read tools/*.py; files whose names begin with _ are nobody's."""
        try:
            files = list(walk.files(self._workspace, FOLDER))
        except OSError as error:
            self._found.fail(f"cannot be read ({error.strerror})", "a plain folder, no link", file=FOLDER)
            return
        for file in files:
            if file.path.endswith(".py") and "/" not in file.path and not file.path.startswith("_"):
                self.file(f"{FOLDER}/{file.path}")

    def file(self, path: str) -> tuple[str, ...]:
        """Read one file; the names of its tools."""
        try:
            source, _size = walk.read(self._workspace, tuple(path.split("/")), BYTES_MAX + 1)
        except OSError as error:
            self._found.fail(f"cannot be read ({error.strerror or error})", "a plain file, no link", file=path)
            return ()
        made, wrong = signatures(source)
        for mistake in wrong:
            self._found.fail(mistake.what, mistake.expected, file=path, line=mistake.line)
        if not made and not wrong:
            self._found.notice("holds no tool: no function with a name that begins with a letter", file=path)
        return tuple(one.name for one in made if self._add(one, path, program_of(path, source)))

    def _add(self, one: Signature, path: str, program: str) -> bool:
        other = self.specs.get(one.name) or self._known.get(one.name)
        if other is not None:
            whose = other.program.partition("@")[0] or "Signoff"
            self._found.fail(f"{one.name} is a tool of {whose}", "another name", file=path, line=one.line)
            return False
        row = self._rows.get(one.name, ToolRow())
        tier = Tier(row.tier) if row.tier else Tier.EXTERNAL
        outside = tier not in {Tier.READ, Tier.INTERNAL}
        spec = ToolSpec(
            name=one.name,
            about=one.about,
            parameters=one.parameters,
            tier=tier,
            effect=EffectClass(row.effect) if row.effect else EffectClass.ONCE,
            resource=row.resource or f"tool:{one.name}",
            says=row.says or f"Runs {one.name} of {path}",
            seconds_max=row.seconds_max or SECONDS_MAX,
            untrusted=outside if row.untrusted is None else row.untrusted,
            program=program,
        )
        self._templates(one, row)
        self.specs[one.name] = spec
        return True

    def _templates(self, one: Signature, row: ToolRow) -> None:
        for key, text in (("resource", row.resource), ("says", row.says)):
            for name in programs.PLACE.findall(text or ""):
                if name not in one.parameters["properties"]:
                    line = self._document.line("tools", one.name, key)
                    has = ", ".join(one.parameters["properties"]) or "it has none"
                    what = f"{{{name}}} names no argument of {one.name}"
                    self._found.fail(what, f"one of: {has}", file=self._document.file, line=line)


def check_rows(document: Document[Manifest], specs: Mapping[str, ToolSpec], found: Findings) -> None:
    """What tools of ours do is theirs to say."""
    for name, row in document.value.tools.items() if document.value else ():
        spec = specs.get(name)
        if spec is None or spec.program:
            continue
        for key in ("effect", "resource", "says", "untrusted"):
            if msgspec.structs.asdict(row)[key] is not None:
                line = document.line("tools", name, key)
                found.fail(f"{key} of {name}", "only for tools of your own", file=document.file, line=line)
