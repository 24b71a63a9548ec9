"""read_file, write_file, list_files: a role's own files, files/<role>, and what it shares, files/shared.

Law: a path is walked one name at a time from an open directory, and no name may be a link. So whatever somebody swaps
meanwhile, nothing outside those two directories is ever opened. A shared file is overwritten only by who has seen it.
A file has one name: policies and approvals speak of it by that. What people have sent is data, never orders.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from agents.tools import pdf, pictures
from agents.tools.control import shape
from core.model.ids import digest_of
from core.model.team import EffectClass, Tier, ToolSpec
from core.model.work import Failure, Picture, ToolResult
from core.ports import Workplace

SHARED = "shared"
INBOX = f"{SHARED}/inbox/"
"""Where the shelf keeps what people send."""
READ_BYTES_MAX = 65_536
READ_BYTES_USUAL = 16_384
WRITE_BYTES_MAX = 262_144
FILE_BYTES_MAX = 16_777_216
ENTRIES_MAX = 200
DEPTH_MAX = 12
TEMPORARY = ".signoff-"
_WHERE = "notes.md is your own, shared/notes.md everybody's"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC

_PDFS_MAX = 2
"""Read at once: each may take a processor, and half a gigabyte."""

_PATH = {"type": "string", "description": _WHERE}

SPECS: dict[str, ToolSpec] = {
    spec.name: spec
    for spec in (
        ToolSpec(
            name="read_file",
            about="Read a text file, a PDF's text, or a picture (png, jpeg, gif, webp), which is then shown to you.",
            parameters=shape(
                {
                    "path": _PATH,
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
                    "path": _PATH,
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


class RefusedError(Exception):
    """What the agent is told instead."""

    def __init__(self, what: str, why: str, recovery: str) -> None:
        super().__init__(what)
        self.failure = Failure(what=what, why=why, recovery=recovery)


def version_of(data: bytes) -> str:
    """What `if_version` compares: sixteen hex digits of the content's SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


class Files:
    """The directories of all roles. Its calls block: use a thread. Writes of one process never interleave."""

    def __init__(self, workspace: Path) -> None:
        self._files = workspace.absolute() / "files"
        self._writing = threading.Lock()

    def content(self, role: str, path: str) -> bytes:
        """The whole file. Raises RefusedError, OSError."""
        above, parts = _parts(role, path)
        with self._directory(above, parts[:-1]) as fd:
            data = _content(fd, parts[-1], path)
            if data is None:
                raise RefusedError(f"{path} does not exist", "there is no such file", "list_files shows what there is")
        return data

    def write(self, role: str, path: str, content: str, if_version: str, attempt: str) -> str:
        """Replace the whole file in one step. The same content again changes nothing. Raises as `read` does."""
        data = content.encode("utf-8", errors="replace")
        if len(data) > WRITE_BYTES_MAX:
            raise RefusedError(f"{path} was not written", f"{len(data)} bytes, at most {WRITE_BYTES_MAX}", "split it")
        above, parts = _parts(role, path)
        with self._writing, self._directory(above, parts[:-1], make=True) as fd:
            before = _content(fd, parts[-1], path)
            if before == data:
                return f"{path} has this content, version {version_of(data)}"
            seen = version_of(before) if before is not None else ""
            if if_version != seen and (if_version or (above == SHARED and seen)):
                there = f"its version is {seen}" if seen else "it is gone"
                raise RefusedError(
                    f"conflict: {path} was not written",
                    f"somebody else may have changed it: {there}, you named {if_version or 'none'}",
                    "read it, join both contents, and write with that version as if_version",
                )
            replace(fd, parts[-1], data, attempt)
        return f"{path} written: {len(data)} bytes, version {version_of(data)}"

    def list(self, role: str, path: str) -> str:
        """One line for each file, a shared one with its version. Raises as `read` does."""
        if path.strip("/") in {"", "."}:
            lines = [*self._lines(role, (), ""), *self._lines(SHARED, (), f"{SHARED}/")]
        else:
            path = path.rstrip("/")
            above, parts = _parts(role, path) if path != SHARED else (SHARED, ())
            lines = list(self._lines(above, parts, f"{path}/"))
        more = [f"… and {len(lines) - ENTRIES_MAX} more"] if len(lines) > ENTRIES_MAX else []
        return "\n".join(lines[:ENTRIES_MAX] + more) or "no files"

    def workdir(self, role: str) -> Path:
        """A role's own directory, made if need be, and certainly no link. Raises RefusedError, OSError."""
        with self._directory(role, (), make=True):
            return self._files / role

    def _lines(self, above: str, parts: tuple[str, ...], prefix: str) -> Iterator[str]:
        try:
            with self._directory(above, parts) as fd:
                yield from _walk(fd, prefix, shared=above == SHARED)
        except FileNotFoundError:
            if parts:
                raise

    @contextlib.contextmanager
    def _directory(self, above: str, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """The open directory at the end of a path that is walked name by name."""
        if make:
            self._files.mkdir(exist_ok=True)
        fd = os.open(self._files, _DIRECTORY)
        try:
            for name in (above, *parts):
                if make:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(name, dir_fd=fd)
                below = os.open(name, _DIRECTORY, dir_fd=fd)
                os.close(fd)
                fd = below
            yield fd
        finally:
            os.close(fd)


def _parts(role: str, path: str) -> tuple[str, tuple[str, ...]]:
    """The directory of files/ a path starts in, and the names below it."""
    parts = tuple(path.split("/"))
    if parts[:2] == ("files", SHARED):
        raise RefusedError(
            f"{path!r} is no path of yours", "here, paths begin below files/", f"leave out files/: {_WHERE}"
        )
    above, parts = (SHARED, parts[1:]) if parts[0] == SHARED else (role, parts)
    bad = not parts or len(parts) > DEPTH_MAX or any(name in {"", ".", ".."} for name in parts)
    odd = any(not name.isprintable() or len(name.encode(errors="replace")) > 200 for name in parts)
    if bad or odd or any(name.startswith(TEMPORARY) for name in parts):
        raise RefusedError(f"{path!r} is no path of yours", "no leading /, no .., no odd characters", _WHERE)
    return above, parts


def _from_outside(path: str) -> bool:
    """Whether people have sent it. Some file systems take every way to write a name in large and small letters."""
    return path.casefold().startswith(INBOX)


def _content(fd: int, name: str, path: str) -> bytes | None:
    """A plain file's bytes; None where there is nothing. A link, a device or a folder is refused."""
    try:
        file = os.open(name, _READ, dir_fd=fd)
    except FileNotFoundError:
        return None
    with open(file, "rb") as stream:  # noqa: PTH123 - it is a descriptor
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            raise RefusedError(f"{path} is no file", "it is a folder or a device", "name a file in it")
        data = stream.read(FILE_BYTES_MAX + 1)
    if len(data) > FILE_BYTES_MAX:
        raise RefusedError(f"{path} is too large", f"more than {FILE_BYTES_MAX} bytes", "ask for a smaller file")
    return data


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


def replace(fd: int, name: str, data: bytes, attempt: str) -> None:
    """In an open folder, durably and in one step: whoever reads sees the old file or the new. `attempt` names what is
    half-written, so that another try of the same takes it away. Raises OSError.
    """
    temporary = TEMPORARY + digest_of(attempt, name)[:16]
    with contextlib.suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=fd)  # an earlier try of the same attempt was killed here
    try:
        with open(os.open(temporary, _NEW, 0o644, dir_fd=fd), "wb") as stream:  # noqa: PTH123 - as above
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, name, src_dir_fd=fd, dst_dir_fd=fd)
    except BaseException:  # whatever it was, half a file does not stay
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=fd)
        raise
    os.fsync(fd)


def _walk(fd: int, prefix: str, *, shared: bool, depth: int = 0) -> Iterator[str]:
    for name in sorted(os.listdir(fd)):
        if name.startswith(TEMPORARY):
            continue
        try:
            facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode) and depth < DEPTH_MAX:
                below = os.open(name, _DIRECTORY, dir_fd=fd)
                try:
                    yield from _walk(below, f"{prefix}{name}/", shared=shared, depth=depth + 1)
                finally:
                    os.close(below)
            elif stat.S_ISREG(facts.st_mode):
                data = _content(fd, name, name) if shared and facts.st_size <= WRITE_BYTES_MAX else None
                version = f" version {version_of(data)}" if data is not None else ""
                yield f"{prefix}{name!s} {facts.st_size} bytes{version}"
        except (OSError, RefusedError):
            continue  # gone or swapped since it was listed


async def _guarded(running: Awaitable[ToolResult]) -> ToolResult:
    """What is refused, and what the system refuses, is a Failure."""
    try:
        return await running
    except RefusedError as refused:
        return ToolResult(failure=refused.failure)
    except OSError as error:
        return ToolResult(failure=_trouble(error))


async def _told(call: Callable[[], str]) -> ToolResult:
    return ToolResult(text=await asyncio.to_thread(call))


def _trouble(error: OSError) -> Failure:
    match error.errno:
        case errno.ELOOP | errno.ENOTDIR:
            why, recovery = "a name in the path is a link, or no folder", "use plain folders and files; " + _WHERE
        case errno.ENOENT:
            why, recovery = "there is no such folder", "list_files shows what there is"
        case _:
            why, recovery = error.strerror or type(error).__name__, "hand off what you have and name this as a risk"
    return Failure(what="the file was not reached", why=why, recovery=recovery)


class _FileTool:
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


class ReadFile(_FileTool):
    """Implements ports.Tool."""

    NAME = "read_file"

    def __init__(self, files: Files) -> None:
        super().__init__(files)
        self._pdfs = asyncio.Semaphore(_PDFS_MAX)

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        path = str(arguments["path"])
        offset, limit = int(arguments.get("offset", 0)), int(arguments.get("limit", READ_BYTES_USUAL))
        result = await _guarded(self._read(place.role, path, max(0, offset), max(1, limit)))
        return msgspec.structs.replace(result, untrusted=result.failure is None and _from_outside(path))

    async def _read(self, role: str, path: str, offset: int, limit: int) -> ToolResult:
        data = await asyncio.to_thread(self._files.content, role, path)
        if pdf.is_pdf(data, path):
            async with self._pdfs:
                return await asyncio.to_thread(_pages, path, data, offset, limit)
        if media := pictures.media_of(data):
            return await asyncio.to_thread(_picture, path, data, media)
        return await asyncio.to_thread(_excerpt, path, data, offset, limit)


class WriteFile(_FileTool):
    """Implements ports.Tool."""

    NAME = "write_file"

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        path, content = str(arguments["path"]), str(arguments["content"])
        version = str(arguments.get("if_version") or "")
        return await _guarded(_told(lambda: self._files.write(place.role, path, content, version, place.attempt)))


class ListFiles(_FileTool):
    """Implements ports.Tool."""

    NAME = "list_files"

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        return await _guarded(_told(lambda: self._files.list(place.role, str(arguments.get("path") or ""))))
