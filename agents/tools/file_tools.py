"""read_file, write_file, list_files: what agents call, and how a file is shown to them.

Law: a result says which version of which file it shows, in few words, and whether it is from outside.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from typing import Any

import msgspec

from agents.tools import pdf, pictures
from agents.tools.control import shape
from agents.tools.files import WHERE, WRITE_BYTES_MAX, Files, RefusedError, guarded, version_of
from core.model.team import EffectClass, Tier, ToolSpec
from core.model.work import Picture, ToolResult
from core.ports import Workplace

READ_BYTES_MAX = 65_536
READ_BYTES_USUAL = 16_384
_PDFS_MAX = 2
"""Read at once: each may take a processor, and half a gigabyte."""

PATH = {"type": "string", "description": WHERE}

SPECS: dict[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        ToolSpec(
            name="read_file",
            about="Read a text file, a PDF's text, or a picture (png, jpeg, gif, webp), which is then shown to you.",
            parameters=shape(
                {
                    "path": PATH,
                    "offset": {
                        "type": "integer",
                        "minimum": 0,
                        "default": 0,
                        "description": "the first byte; of a PDF, the first page, counted from 1",
                    },
                    "limit": {
                        "type": "integer",
                        "minimum": 1,
                        "maximum": READ_BYTES_MAX,
                        "default": READ_BYTES_USUAL,
                        "description": "bytes of text",
                    },
                },
                ("path",),
            ),
            tier=Tier.READ,
            effect=EffectClass.READ,
            verb="read",
            resource="file:{path}",
            output_bytes_max=READ_BYTES_MAX + 1024,
        ),
        ToolSpec(
            name="write_file",
            about="Write a whole text file, making folders as needed.",
            parameters=shape(
                {
                    "path": PATH,
                    "content": {"type": "string", "maxLength": WRITE_BYTES_MAX},
                    "if_version": {
                        "type": "string",
                        "description": "the version you read; needed to overwrite a shared file",
                    },
                },
                ("path", "content"),
            ),
            tier=Tier.INTERNAL,
            effect=EffectClass.IDEMPOTENT,
            verb="write",
            resource="file:{path}",
            says="Writes the file {path}",
        ),
        ToolSpec(
            name="list_files",
            about="List your files and the shared ones, or those in one folder.",
            parameters=shape({"path": {"type": "string", "default": "", "description": "a folder; empty: all"}}),
            tier=Tier.READ,
            effect=EffectClass.READ,
            verb="list",
            resource="file:{path}",
        ),
    )
}


class FileTool:
    """What the file tools have in common."""

    NAME = ""

    def __init__(self, files: Files) -> None:
        self._files = files

    @property
    def spec(self) -> ToolSpec:
        return SPECS[self.NAME]

    @property
    def remembers(self) -> bool:
        """Doing it again comes to the same."""
        return False

    async def cancel(self, attempt: str) -> None:
        """It is over in a moment by itself."""


class ReadFile(FileTool):
    """Implements ports.Tool."""

    NAME = "read_file"

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._pdfs = asyncio.Semaphore(_PDFS_MAX)

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        path = str(arguments["path"])
        offset, limit = int(arguments.get("offset", 0)), int(arguments.get("limit", READ_BYTES_USUAL))
        return await guarded(self._read(place.role, path, max(0, offset), max(1, limit)))

    async def _read(self, role: str, path: str, offset: int, limit: int) -> ToolResult:
        data, outside = await asyncio.to_thread(self._files.content, role, path)
        result = await self._told(path, data, offset, limit)
        return msgspec.structs.replace(result, untrusted=outside)

    async def _told(self, path: str, data: bytes, offset: int, limit: int) -> ToolResult:
        if pdf.is_pdf(data, path):
            async with self._pdfs:
                return await asyncio.to_thread(_pages, path, data, offset, limit)
        if media := pictures.media_of(data):
            return await asyncio.to_thread(_picture, path, data, media)
        return await asyncio.to_thread(_excerpt, path, data, offset, limit)


class WriteFile(FileTool):
    """Implements ports.Tool."""

    NAME = "write_file"

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        path, content = str(arguments["path"]), str(arguments["content"])
        version = str(arguments.get("if_version") or "")

        def written() -> tuple[str, bool]:
            whose = place.untrusted
            return self._files.write(place.role, path, content, version, place.attempt, outside=whose), False

        return await guarded(told(written))


class ListFiles(FileTool):
    """Implements ports.Tool."""

    NAME = "list_files"

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        return await guarded(told(lambda: self._files.list(place.role, str(arguments.get("path") or ""))))


async def told(call: Callable[[], tuple[str, bool]]) -> ToolResult:
    """What a call on a thread says, and whether it is from outside."""
    text, outside = await asyncio.to_thread(call)
    return ToolResult(text=text, untrusted=outside)


def _excerpt(path: str, data: bytes, offset: int, limit: int) -> ToolResult:
    """At most `limit` bytes as text, below a line that says of what."""
    chunk = data[offset : offset + min(limit, READ_BYTES_MAX)]
    text = chunk.decode("utf-8", errors="replace")
    while len(text.encode()) > READ_BYTES_MAX:  # each byte that is no text became three
        chunk = chunk[: len(chunk) // 2]
        text = chunk.decode("utf-8", errors="replace")
    end = offset + len(chunk)
    more = f"; go on with offset {end}" if end < len(data) else ""
    return ToolResult(text=f"{path}: {_facts(data)}, bytes {offset}-{end}{more}\n{text}")


def _pages(path: str, data: bytes, first: int, limit: int) -> ToolResult:
    """A PDF's text from page `first` on. Raises RefusedError, OSError."""
    try:
        found = pdf.read(data, max(1, first), min(limit, READ_BYTES_MAX))
    except pdf.PdfError as error:
        raise RefusedError(f"the PDF {path} was not read", error.why, error.recovery) from error
    more = f"; go on with offset {found.last + 1}" if found.last < found.pages_n else ""
    said = f"pages {found.first}-{found.last} of {found.pages_n}"
    return ToolResult(text=f"{path}: a PDF, {_facts(data)}, {said}{more}\n{found.text}")


def _picture(path: str, data: bytes, media: str) -> ToolResult:
    """The picture, and what it is in words. Raises RefusedError."""
    sides = pictures.sides(data, media)
    if sides is None:
        raise RefusedError(f"the picture {path} was not read", f"it is no whole {media}", "ask for it again")
    width, height = sides
    if len(data) > pictures.BYTES_MAX or max(sides) > pictures.SIDE_MAX:
        raise RefusedError(
            f"the picture {path} was not read",
            f"it has {len(data)} bytes and {width} x {height} pixels; a model is shown at most"
            f" {pictures.BYTES_MAX} bytes and {pictures.SIDE_MAX} pixels a side",
            "ask for a smaller one",
        )
    said = f"{path}: a picture, {media}, {width} x {height} pixels, {_facts(data)}"
    shown = Picture(media=media, hash=hashlib.sha256(data).hexdigest(), body=data)
    return ToolResult(text=said, picture=shown)


def _facts(data: bytes) -> str:
    return f"{len(data)} bytes, version {version_of(data)}"
