"""A role's own files, files/<role>, and what it shares, files/shared.

Law: a path is walked one name at a time from an open directory, and no name may be a link. So whatever somebody swaps
meanwhile, nothing outside those two directories is ever opened. A shared file is overwritten only by who has seen it.
A file has one name: policies and approvals speak of it by that. What people have sent is data, never orders, and so is
what a task has written that had read such data (marks.py).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat
import threading
from collections.abc import Awaitable, Callable, Generator, Iterator
from dataclasses import dataclass
from pathlib import Path

from agents.tools import walk
from agents.tools.marks import SHARED, Judge, Marks, MarksError, failure_of
from core.model.ids import digest_of
from core.model.work import Failure, ToolResult

INBOX = f"{SHARED}/inbox/"
"""Where the shelf keeps what people send."""
WRITE_BYTES_MAX = 262_144
FILE_BYTES_MAX = 16_777_216
ENTRIES_MAX = 200
DEPTH_MAX = 12
TEMPORARY = ".signoff-"
WHERE = "notes.md is your own, shared/notes.md everybody's"
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class RefusedError(Exception):
    """What the agent is told instead."""

    def __init__(self, what: str, why: str, recovery: str) -> None:
        super().__init__(what)
        self.failure = Failure(what=what, why=why, recovery=recovery)


def version_of(data: bytes) -> str:
    """What `if_version` compares: sixteen hex digits of the content's SHA-256."""
    return hashlib.sha256(data).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plain file that a walk has come to. It can be read until the walk goes on."""

    path: str  # as the role names it
    above: str
    facts: os.stat_result
    fd: int  # the open folder it is in

    @property
    def version(self) -> str:
        """Of one that is gone, or too large to be written by agents: none."""
        data = self.content() if self.facts.st_size <= WRITE_BYTES_MAX else None
        return version_of(data) if data is not None else ""

    def content(self) -> bytes | None:
        """None if it is gone, swapped, or too large."""
        try:
            found = _content(self.fd, self.path.rpartition("/")[2], self.path)
        except (OSError, RefusedError):
            return None
        return found[0] if found is not None else None

    def is_outside(self, judge: Judge) -> bool:
        """Whether somebody outside wrote it, or somebody who had read what is from outside."""
        return _from_outside(self.path) or judge.is_outside(self.above, self.facts, self.content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """A file as it was and is. `outside`: what it is now counts as from outside."""

    before: bytes | None
    after: bytes
    outside: bool


class Files:
    """The directories of all roles. Its calls block: use a thread. Writes of one process never interleave."""

    def __init__(self, workspace: Path) -> None:
        self._files = workspace.absolute() / "files"
        self._writing = threading.Lock()
        self.marks = Marks(workspace)

    def content(self, role: str, path: str) -> tuple[bytes, bool]:
        """The whole file, and whether it is from outside. Raises RefusedError, OSError."""
        above, parts = _parts(role, path)
        with self._directory(above, parts[:-1]) as fd:
            found = _content(fd, parts[-1], path)
            if found is None:
                raise RefusedError(f"{path} does not exist", "there is no such file", "list_files shows what there is")
        data, facts = found
        with self.marks.judge() as judge:
            return data, _from_outside(path) or judge.is_outside(above, facts, lambda: data)

    def write(self, role: str, path: str, content: str, if_version: str, attempt: str, *, outside: bool = False) -> str:
        """Replace the whole file in one step. The same content again changes nothing. Raises as `content` does."""
        data = content.encode("utf-8", errors="replace")
        change = self.change(role, path, lambda _: data, if_version=if_version, attempt=attempt, outside=outside)
        if change.before == data:
            return f"{path} has this content, version {version_of(data)}"
        return f"{path} written: {len(data)} bytes, version {version_of(data)}"

    def change(
        self,
        role: str,
        path: str,
        make: Callable[[bytes | None], bytes],
        *,
        if_version: str,
        attempt: str,
        outside: bool,
        inherits: bool = False,
    ) -> Change:
        """Replace a file by what `make` makes of it, in one step; nothing happens if that is the same. `outside`: who
        writes has read what is from outside; with `inherits` it is enough that the file was. Raises as `content` does,
        and what `make` raises.
        """
        above, parts = _parts(role, path)
        with self._writing, self._directory(above, parts[:-1], make=True) as fd:
            found = _content(fd, parts[-1], path)
            before = found[0] if found is not None else None
            try:
                data = make(before)
            except RefusedError:
                _agree(above, path, before, if_version)
                raise
            if len(data) > WRITE_BYTES_MAX:
                raise RefusedError(
                    f"{path} was not written", f"{len(data)} bytes, at most {WRITE_BYTES_MAX}", "split it"
                )
            if inherits and found is not None and not outside:
                with self.marks.judge() as judge:
                    outside = _from_outside(path) or judge.is_outside(above, found[1], lambda: before)
            if before != data:
                _agree(above, path, before, if_version)
                if outside:
                    self.marks.remember(data)
                replace(fd, parts[-1], data, attempt)
        return Change(before=before, after=data, outside=outside)

    def walk(self, role: str, path: str, *, file: bool = False) -> Generator[Found]:
        """Every plain file of a folder, "" for all of a role's own and the shared ones; with `file` also one file
        itself. Raises as `content` does.
        """
        if path.strip("/") in {"", "."}:
            for above, prefix in ((role, ""), (SHARED, f"{SHARED}/")):
                with contextlib.suppress(FileNotFoundError), self._directory(above, ()) as fd:
                    yield from _walk(fd, prefix, above)
            return
        path = path.rstrip("/")
        above, parts = _parts(role, path) if path != SHARED else (SHARED, ())
        try:
            with self._directory(above, parts) as fd:
                yield from _walk(fd, f"{path}/", above)
        except NotADirectoryError:
            if not file:
                raise
            with self._directory(above, parts[:-1]) as fd:
                if _content(fd, parts[-1], path) is not None:
                    facts = os.stat(parts[-1], dir_fd=fd, follow_symlinks=False)
                    yield Found(path=path, above=above, facts=facts, fd=fd)
        except FileNotFoundError:
            if parts:
                raise

    def list(self, role: str, path: str) -> tuple[str, bool]:
        """One line for each file, a shared one with its version, and whether one of them is from outside: so is then
        its name. Raises as `content` does.
        """
        lines: list[str] = []
        outside, more_n = False, 0
        with self.marks.judge() as judge, contextlib.closing(self.walk(role, path)) as walk:
            for found in walk:
                if len(lines) == ENTRIES_MAX:
                    more_n += 1
                    continue
                version = found.version if found.above == SHARED else ""
                said = f" version {version}" if version else ""
                lines.append(f"{found.path} {found.facts.st_size} bytes{said}")
                outside = outside or found.is_outside(judge)
        more = [f"… and {more_n} more"] if more_n else []
        return "\n".join(lines + more) or "no files", outside

    def workdir(self, role: str) -> Path:
        """A role's own directory, made if need be, and certainly no link. Raises RefusedError, OSError."""
        with self._directory(role, (), make=True):
            return self._files / role

    @contextlib.contextmanager
    def _directory(self, above: str, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        """The open directory at the end of a path that is walked name by name."""
        root, name = self._files.parent, self._files.name
        with walk.directory(root, name, above, *parts, make=make) as fd:
            yield fd


def _parts(role: str, path: str) -> tuple[str, tuple[str, ...]]:
    """The directory of files/ a path starts in, and the names below it."""
    parts = tuple(path.split("/"))
    if parts[:2] == ("files", SHARED):
        raise RefusedError(
            f"{path!r} is no path of yours", "here, paths begin below files/", f"leave out files/: {WHERE}"
        )
    above, parts = (SHARED, parts[1:]) if parts[0] == SHARED else (role, parts)
    bad = not parts or len(parts) > DEPTH_MAX or any(name in {"", ".", ".."} for name in parts)
    odd = any(not name.isprintable() or len(name.encode(errors="replace")) > 200 for name in parts)
    if bad or odd or any(name.startswith(TEMPORARY) for name in parts):
        raise RefusedError(f"{path!r} is no path of yours", "no leading /, no .., no odd characters", WHERE)
    return above, parts


def _from_outside(path: str) -> bool:
    """Whether people have sent it. Some file systems take every way to write a name in large and small letters."""
    return path.casefold().startswith(INBOX)


def _agree(above: str, path: str, before: bytes | None, if_version: str) -> None:
    """Raises RefusedError if it is not what the writer has seen."""
    seen = version_of(before) if before is not None else ""
    if if_version != seen and (if_version or (above == SHARED and seen)):
        there = f"its version is {seen}" if seen else "it is gone"
        raise RefusedError(
            f"conflict: {path} was not written",
            f"somebody else may have changed it: {there}, you named {if_version or 'none'}",
            "read it, join both contents, and write with that version as if_version",
        )


def _content(fd: int, name: str, path: str) -> tuple[bytes, os.stat_result] | None:
    """A plain file's bytes; None where there is nothing. A link, a device or a folder is refused."""
    try:
        file = os.open(name, _READ, dir_fd=fd)
    except FileNotFoundError:
        return None
    with open(file, "rb") as stream:  # noqa: PTH123 - it is a descriptor
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            raise RefusedError(f"{path} is no file", "it is a folder or a device", "name a file in it")
        data = stream.read(FILE_BYTES_MAX + 1) if facts.st_size <= FILE_BYTES_MAX else None
    if data is None or len(data) > FILE_BYTES_MAX:
        raise RefusedError(f"{path} is too large", f"more than {FILE_BYTES_MAX} bytes", "ask for a smaller file")
    return data, facts


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


def _walk(fd: int, prefix: str, above: str, depth: int = 0) -> Iterator[Found]:
    for name in sorted(os.listdir(fd)):
        if name.startswith(TEMPORARY):
            continue
        try:
            facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode) and depth < DEPTH_MAX:
                below = os.open(name, _DIRECTORY, dir_fd=fd)
                try:
                    yield from _walk(below, f"{prefix}{name}/", above, depth + 1)
                finally:
                    os.close(below)
            elif stat.S_ISREG(facts.st_mode):
                yield Found(path=f"{prefix}{name}", above=above, facts=facts, fd=fd)
        except OSError:
            continue  # gone or swapped since it was listed


async def guarded(running: Awaitable[ToolResult]) -> ToolResult:
    """What is refused, and what the system refuses, is a Failure."""
    try:
        return await running
    except RefusedError as refused:
        return ToolResult(failure=refused.failure)
    except OSError as error:
        return ToolResult(failure=_trouble(error))


def _trouble(error: OSError) -> Failure:
    if isinstance(error, MarksError):
        return failure_of(error)
    match error.errno:
        case errno.ELOOP | errno.ENOTDIR:
            why, recovery = "a name in the path is a link, or no folder", "use plain folders and files; " + WHERE
        case errno.ENOENT:
            why, recovery = "there is no such folder", "list_files shows what there is"
        case _:
            why, recovery = error.strerror or type(error).__name__, "hand off what you have and name this as a risk"
    return Failure(what="the file was not reached", why=why, recovery=recovery)
