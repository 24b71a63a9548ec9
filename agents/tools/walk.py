"""Reading what people wrote for their team, in folders no agent can write to.

Law: a path is walked one name at a time from an open directory, and no name may be a link: whatever is swapped
meanwhile, nothing outside the folder is ever opened. No file is read further than its bound.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

DEPTH_MAX = 6
FILES_MAX = 500
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A plain file: its path below the folder that was walked, and its size. `link`: it is one, and is not read."""

    path: str
    bytes_n: int
    link: bool = False


class NotPlainError(OSError):
    """There is something, and it is no plain file."""


@contextlib.contextmanager
def directory(root: Path, *names: str, make: bool = False) -> Iterator[int]:
    """The open directory at the end of a path below `root`, which itself may be a link. Raises OSError."""
    fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name in names:
            if name in {"", ".", ".."} or "/" in name:
                raise NotPlainError(f"{name!r} is no name")
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, dir_fd=fd)
            below = os.open(name, _DIRECTORY, dir_fd=fd)
            os.close(fd)
            fd = below
        yield fd
    finally:
        os.close(fd)


def read(root: Path, names: tuple[str, ...], most: int, offset: int = 0) -> tuple[bytes, int]:
    """At most `most` bytes of a plain file from `offset` on, and its size. Raises OSError."""
    with directory(root, *names[:-1]) as fd:
        file = os.open(names[-1], _READ, dir_fd=fd)
    with open(file, "rb") as stream:  # noqa: PTH123 - it is a descriptor
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode):
            raise NotPlainError(f"{names[-1]} is no plain file")
        stream.seek(offset)
        return stream.read(most), facts.st_size


def files(root: Path, *names: str) -> Iterator[Found]:
    """Every file below a folder, by name, hidden ones left out; nothing where there is no folder. Raises OSError."""
    try:
        with directory(root, *names) as fd:
            for n, found in enumerate(_files(fd, "", 0)):
                if n == FILES_MAX:
                    return
                yield found
    except FileNotFoundError:
        return


def _files(fd: int, prefix: str, depth: int) -> Iterator[Found]:
    for name in sorted(os.listdir(fd)):
        if name.startswith(".") or name == "__pycache__" or not name.isprintable():
            continue
        try:
            facts = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if stat.S_ISDIR(facts.st_mode) and depth < DEPTH_MAX:
                below = os.open(name, _DIRECTORY, dir_fd=fd)
                try:
                    yield from _files(below, f"{prefix}{name}/", depth + 1)
                finally:
                    os.close(below)
            elif stat.S_ISLNK(facts.st_mode) or stat.S_ISREG(facts.st_mode):
                link = stat.S_ISLNK(facts.st_mode)
                yield Found(path=f"{prefix}{name}", bytes_n=0 if link else facts.st_size, link=link)
        except OSError:
            continue  # gone or swapped since it was listed
