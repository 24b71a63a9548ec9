"""The workspace's `files/` as platforms see it: what agents publish goes out, what people send comes in.

Law: every path is resolved first and then walked one name at a time from an open directory, with links refused. So
nothing outside `files/` is ever opened, whatever a name says and whoever swaps a folder meanwhile. What people call
their files is never a path of ours.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from agents.tools import walk
from agents.tools.files import TEMPORARY, replace
from core.model.errors import TerminalError
from core.ports import Shelf

BYTES_MAX: Final = 50 * 1024 * 1024
INBOX: Final = ("shared", "inbox")
NAME_CHARS_MAX: Final = 80
NAME_BYTES_MAX: Final = 200  # what agents' file tools take; a file system takes 255
SUFFIX_CHARS_MAX: Final = 12
NAMELESS: Final = "file"
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class WorkspaceShelf(Shelf):
    """Implements ports.Shelf over one folder. Its calls block: use a thread."""

    def __init__(self, files: Path) -> None:
        self._files = files.absolute()

    def read(self, artifact: str) -> tuple[str, bytes] | None:
        """`shared/report.md`, with or without `files/` before it. None for all that is no readable file of ours."""
        try:
            parts = self._below(artifact)
            if not parts or any(part.startswith(TEMPORARY) for part in parts):
                return None
            with self._directory(parts[:-1]) as folder:
                body = _content(folder, parts[-1])
        except (OSError, ValueError, RuntimeError):  # no such place, no possible name, links that go round
            return None
        return (safe_name(artifact), body) if body is not None else None

    def keep(self, name: str, key: str, body: bytes) -> str:
        """`shared/inbox/<hash of key>/<safe name>`, whole or not at all. What is there under this key stays as it is.
        Raises TerminalError for more than 50 MB, OSError.
        """
        if len(body) > BYTES_MAX:
            raise TerminalError(f"{safe_name(name)} is over {BYTES_MAX // (1024 * 1024)} MB", "send a smaller file")
        kept = safe_name(name)
        parts = (*INBOX, hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:16])
        with self._directory(parts, make=True) as folder:
            if _content(folder, kept, bytes_max=0) is None:
                replace(folder, kept, body, parts[-1])
        return "/".join((*parts, kept))

    def _below(self, artifact: str) -> tuple[str, ...]:
        """The names below files/ of what it resolves to; empty for anything outside."""
        named = PurePosixPath(artifact)
        if named.is_absolute():
            return ()
        parts = named.parts[1:] if named.parts[:1] == (self._files.name,) else named.parts
        root = self._files.resolve()
        path = root.joinpath(*parts).resolve()
        return path.relative_to(root).parts if path.is_relative_to(root) else ()

    @contextmanager
    def _directory(self, parts: tuple[str, ...], *, make: bool = False) -> Iterator[int]:
        if make:
            self._files.mkdir(parents=True, exist_ok=True)
        with walk.directory(self._files.resolve(), *parts, make=make) as folder:
            yield folder


def _content(folder: int, name: str, *, bytes_max: int = BYTES_MAX) -> bytes | None:
    """None where there is no regular file, or one that is too large. With `bytes_max` 0, b"" for any regular file."""
    try:
        number = os.open(name, _READ, dir_fd=folder)
    except FileNotFoundError:
        return None
    with open(number, "rb") as stream:  # noqa: PTH123 - it is a descriptor
        facts = os.fstat(number)
        if not stat.S_ISREG(facts.st_mode):
            return None
        if bytes_max == 0:
            return b""
        body = stream.read(bytes_max + 1) if facts.st_size <= bytes_max else None
    return body if body is not None and len(body) <= bytes_max else None


def safe_name(name: str) -> str:
    """What we call a file that somebody named: one printable name of at most 80 characters, its ending kept. No path,
    no control or direction characters, no leading dot (hidden) or dash (an option of some program), never empty.
    """
    base = unicodedata.normalize("NFC", name.encode("utf-8", "replace").decode("utf-8")).replace("\\", "/")
    base = base.rstrip("/").rpartition("/")[2]
    base = " ".join("".join(c if c.isprintable() else " " if c.isspace() else "" for c in base).split())
    base = re.sub(r"\.{2,}", ".", base).lstrip(".- ").rstrip(". ")
    stem, dot, suffix = base.rpartition(".")
    if not stem or len(suffix) > SUFFIX_CHARS_MAX:
        stem, dot, suffix = base, "", ""
    ending = dot + suffix
    room = NAME_BYTES_MAX - len(ending.encode())
    stem = stem[: NAME_CHARS_MAX - len(ending)].encode()[:room].decode("utf-8", "ignore").rstrip(". ")
    return stem + ending or NAMELESS
