"""edit_file: replace exact texts of a file by others, all of them or none.

Law: each old text is there exactly once at its turn, or nothing happens: what the agent has not seen is not changed. A
shared file is changed only by who names the version it read. Tried again after a crash, an edit is not made twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from agents.tools.control import shape
from agents.tools.file_tools import PATH, FileTool, told
from agents.tools.files import WRITE_BYTES_MAX, Change, RefusedError, guarded, version_of
from core.model.team import EffectClass, Tier, ToolSpec
from core.model.work import ToolResult
from core.ports import Workplace

NAME: Final = "edit_file"
EDITS_MAX: Final = 50
DIFF_CHARS_MAX: Final = 4_000
_LINE_CHARS_MAX: Final = 200

SPEC: Final = ToolSpec(
    name=NAME,
    about="Change a text file: each `old`, in it exactly once, becomes `new`. All edits are made, or none.",
    parameters=shape(
        {
            "path": PATH,
            "edits": {
                "type": "array",
                "minItems": 1,
                "maxItems": EDITS_MAX,
                "items": shape(
                    {
                        "old": {"type": "string", "minLength": 1, "maxLength": WRITE_BYTES_MAX},
                        "new": {"type": "string", "maxLength": WRITE_BYTES_MAX},
                    },
                    ("old", "new"),
                ),
            },
            "if_version": {"type": "string", "description": "the version you read; needed for a shared file"},
        },
        ("path", "edits"),
    ),
    tier=Tier.INTERNAL,
    effect=EffectClass.IDEMPOTENT,
    verb="write",
    resource="file:{path}",
    says="Edits the file {path}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """One replacement."""

    old: str
    new: str


class EditFile(FileTool):
    """Implements ports.Tool."""

    NAME = NAME

    @property
    def spec(self) -> ToolSpec:
        return SPEC

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        path, version = str(arguments["path"]), str(arguments.get("if_version") or "")
        edits = [Edit(old=str(edit["old"]), new=str(edit["new"])) for edit in arguments["edits"]]
        return await guarded(told(lambda: self._edit(path, edits, version, place)))

    def _edit(self, path: str, edits: list[Edit], if_version: str, place: Workplace) -> tuple[str, bool]:
        """What came of it, and whether the file is from outside. Raises RefusedError, OSError."""
        marks = self._files.marks
        begun = marks.edit_begun(place.attempt) if place.again else None
        hunks: list[str] = []

        def make(before: bytes | None) -> bytes:
            if before is None:
                raise RefusedError(f"{path} does not exist", "there is no such file", "write_file makes a new one")
            if begun is not None and version_of(before) == begun[1]:
                return before  # the earlier try came to its end
            if begun is not None and version_of(before) != begun[0]:
                raise RefusedError(
                    f"{path} may have been edited",
                    "an earlier try was interrupted, and the file has changed since",
                    "read it, and see whether the edit is still wanted",
                )
            after = _edited(path, _text(path, before), edits, hunks).encode("utf-8", "replace")
            if after != before and len(after) <= WRITE_BYTES_MAX:
                marks.edit_begins(place.attempt, version_of(before), version_of(after))
            return after

        change = self._files.change(
            place.role,
            path,
            make,
            if_version=if_version,
            attempt=place.attempt,
            outside=place.untrusted,
            inherits=True,
        )
        return _said(path, change, hunks), change.outside


def _said(path: str, change: Change, hunks: list[str]) -> str:
    facts = f"{len(change.after)} bytes, version {version_of(change.after)}"
    if change.before == change.after:
        return f"{path} has these edits: {facts}"
    diff = "\n".join(hunks)
    if len(diff) > DIFF_CHARS_MAX:
        diff = diff[:DIFF_CHARS_MAX].rpartition("\n")[0] + "\n… (the rest of the diff is left out)"
    return f"{path} edited: {facts}\n{diff}"


def _text(path: str, data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RefusedError(
            f"{path} was not edited", "it is no text in UTF-8", "write_file replaces it whole"
        ) from error


def _edited(path: str, text: str, edits: list[Edit], hunks: list[str]) -> str:
    """The text with all edits, one after another. Raises RefusedError."""
    for n, edit in enumerate(edits, start=1):
        which = f"edit {n} of {len(edits)}: " if len(edits) > 1 else ""
        at = text.find(edit.old)
        if at < 0:
            raise RefusedError(
                f"{path} was not edited",
                f"{which}its old text is not there: {_short(edit.old)}",
                "read the file; the old text must be in it to the letter, blanks and line ends too",
            )
        if text.find(edit.old, at + 1) >= 0:
            raise RefusedError(
                f"{path} was not edited",
                f"{which}its old text is there more than once: {_short(edit.old)}",
                "take in more of the lines around it, so that it is there once",
            )
        hunks.append(_hunk(text, at, edit))
        text = text[:at] + edit.new + text[at + len(edit.old) :]
    return text


def _hunk(text: str, at: int, edit: Edit) -> str:
    """The lines it changes, as a unified diff has them."""
    first = text.rfind("\n", 0, at) + 1
    end = at + len(edit.old)
    last = text.find("\n", end)
    last = len(text) if last < 0 else last
    old = text[first:last].split("\n")
    new = (text[first:at] + edit.new + text[end:last]).split("\n")
    number = text.count("\n", 0, first) + 1
    while old and new and old[0] == new[0]:
        old, new, number = old[1:], new[1:], number + 1
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    lines = [f"-{_cut(line)}" for line in old] + [f"+{_cut(line)}" for line in new]
    return "\n".join([f"@@ -{number},{len(old)} +{number},{len(new)} @@", *lines])


def _cut(line: str) -> str:
    line = line.rstrip("\r")
    return line if len(line) <= _LINE_CHARS_MAX else f"{line[:_LINE_CHARS_MAX]}…"


def _short(text: str) -> str:
    return repr(text if len(text) <= 80 else f"{text[:80]}…")
