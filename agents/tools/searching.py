"""search_files: words or a pattern in a role's own files and the shared ones.

Law: it looks at what read_file would read, in the same way, and at nothing else. Patterns are RE2's, whose time grows
with the text and never with the pattern's cleverness. However much there is, it ends in time and says what it left out.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from agents.tools.control import shape
from agents.tools.file_tools import FileTool, told
from agents.tools.files import FILE_BYTES_MAX, Files, RefusedError, guarded
from core.model.team import EffectClass, Tier, ToolSpec
from core.model.work import ToolResult
from core.ports import Workplace

NAME: Final = "search_files"
PATTERN_CHARS_MAX: Final = 1_000
HITS_MAX: Final = 100
HITS_PER_FILE_MAX: Final = 20
LINE_CHARS_MAX: Final = 240
TEXT_BYTES_MAX: Final = 16_000
BYTES_MAX: Final = 256 * 1024 * 1024
SECONDS_MAX: Final = 10.0
_SNIFFED_BYTES: Final = 8_192
_MEMORY_BYTES_MAX: Final = 8 * 1024 * 1024

SPEC: Final = ToolSpec(
    name=NAME,
    about="Search your files and the shared ones for words, or for a regular expression (RE2), line by line.",
    parameters=shape(
        {
            "pattern": {"type": "string", "minLength": 1, "maxLength": PATTERN_CHARS_MAX},
            "regex": {"type": "boolean", "default": False, "description": "else plain words, large and small the same"},
            "path": {"type": "string", "default": "", "description": "a folder or a file; empty: all"},
            "names": {"type": "string", "default": "", "description": "only files called so, as in *.md"},
        },
        ("pattern",),
    ),
    tier=Tier.READ,
    effect=EffectClass.READ,
    verb="search",
    resource="file:{path}",
    output_bytes_max=TEXT_BYTES_MAX + 4_096,
)

Matches = Callable[[str], Any]


@dataclass(slots=True)
class _Report:
    lines: list[str] = field(default_factory=list)
    hits_n: int = 0
    bytes_n: int = 0
    files_n: int = 0  # looked into
    hit_files_n: int = 0
    read_n: int = 0  # bytes of them
    large_n: int = 0
    binary_n: int = 0
    stopped: str = ""
    outside: bool = False

    def add(self, path: str, number: int, line: str, at: int) -> None:
        """A line, around where it matches if it is long."""
        first = max(0, at - LINE_CHARS_MAX // 3) if len(line) > LINE_CHARS_MAX else 0
        shown = line[first : first + LINE_CHARS_MAX]
        shown = ("…" if first else "") + shown + ("…" if first + LINE_CHARS_MAX < len(line) else "")
        said = f"{path}:{number}: {shown}"
        self.bytes_n += len(said.encode("utf-8", "replace")) + 1
        if self.hits_n >= HITS_MAX or self.bytes_n > TEXT_BYTES_MAX:
            self.stopped = "there are more: narrow it down by path, names or pattern"
        else:
            self.lines.append(said)
            self.hits_n += 1

    def text(self) -> str:
        left = [f"{self.large_n} too large to look into"] if self.large_n else []
        left += [f"{self.binary_n} no text"] if self.binary_n else []
        skipped = f" ({', '.join(left)})" if left else ""
        head = f"{self.hits_n} lines in {self.hit_files_n} of {self.files_n} files{skipped}"
        return "\n".join([head, *self.lines, *([f"… stopped: {self.stopped}"] if self.stopped else [])])


class SearchFiles(FileTool):
    """Implements ports.Tool."""

    NAME = NAME

    def __init__(self, files: Files, *, seconds_max: float = SECONDS_MAX) -> None:
        super().__init__(files)
        self._seconds_max = seconds_max

    @property
    def spec(self) -> ToolSpec:
        return SPEC

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        pattern, regex = str(arguments["pattern"]), bool(arguments.get("regex"))
        path, names = str(arguments.get("path") or ""), str(arguments.get("names") or "")
        seconds = min(self._seconds_max, place.seconds_max)

        def found() -> tuple[str, bool]:
            report = self._look(place.role, _compiled(pattern, regex=regex), path, names, seconds)
            return report.text(), report.outside

        return await guarded(told(found))

    def _look(self, role: str, matches: Matches, path: str, names: str, seconds: float) -> _Report:
        """Raises RefusedError, OSError."""
        report, stop_at = _Report(), time.monotonic() + seconds
        with self._files.marks.judge() as judge, contextlib.closing(self._files.walk(role, path, file=True)) as walk:
            for found in walk:
                name = found.path.rpartition("/")[2]
                if names and not (fnmatchcase(name, names) or fnmatchcase(found.path, names)):
                    continue
                if report.read_n + min(found.facts.st_size, FILE_BYTES_MAX) > BYTES_MAX:
                    report.stopped = f"more than {BYTES_MAX} bytes to look into: name a folder"
                elif time.monotonic() > stop_at:
                    report.stopped = f"it took more than {seconds:.0f} s: name a folder"
                if report.stopped:
                    break
                if found.facts.st_size > FILE_BYTES_MAX:
                    report.large_n += 1
                elif _look_into(report, found.path, found.content(), matches, stop_at):
                    report.outside = report.outside or found.is_outside(judge)
        return report


def _look_into(report: _Report, path: str, data: bytes | None, matches: Matches, stop_at: float) -> bool:
    """Whether anything of it is told."""
    if data is None:  # gone, or swapped
        return False
    report.read_n += len(data)
    if b"\0" in data[:_SNIFFED_BYTES]:
        report.binary_n += 1
        return False
    report.files_n += 1
    told_n = _hits(report, path, data.decode("utf-8", "replace"), matches, stop_at)
    report.hit_files_n += told_n > 0
    return told_n > 0


def _hits(report: _Report, path: str, text: str, matches: Matches, stop_at: float) -> int:
    """How many lines of it were told."""
    before = report.hits_n
    if matches(text) is None:  # most files, in one go
        return 0
    for number, line in enumerate(text.split("\n"), start=1):
        hit = matches(line)
        if hit is not None and report.hits_n - before >= HITS_PER_FILE_MAX:
            report.lines.append(f"{path}: … and more")
            break
        if hit is not None:
            report.add(path, number, line.rstrip("\r"), hit.start())
        if number % 1_000 == 0 and time.monotonic() > stop_at:
            report.stopped = "it took too long: name a folder"
        if report.stopped:
            break
    return report.hits_n - before


def _compiled(pattern: str, *, regex: bool) -> Matches:
    """Raises RefusedError for what is no pattern."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - whoever only reads the specs does not wait for it

    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MEMORY_BYTES_MAX
    options.literal = not regex
    options.case_sensitive = regex
    try:
        compiled = re2.compile(f"(?m:{pattern})" if regex else pattern, options)
    except re2.error as error:
        why = error.args[0] if error.args else "it is wrong"
        said = why.decode("utf-8", "replace") if isinstance(why, bytes) else str(why)
        recovery = "mend it (RE2 has no look-around and no back-references), or search for plain words"
        raise RefusedError(f"the pattern {pattern[:100]!r} was not looked for", said, recovery) from error
    search: Matches = compiled.search
    return search
