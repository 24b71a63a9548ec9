"""The engine lock: an OS lock on `engine.lock` beside the database. It guards running the engine, not writing intake.

The kernel drops it with the process, however that ends; the pid in the file only serves the message.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from pathlib import Path
from typing import Final, Self

from core.model.errors import EngineRunningError, StoreRefusedError

NETWORK: Final = frozenset(
    {
        *("nfs", "nfs4", "cifs", "smb", "smb2", "smb3", "smbfs", "afpfs", "webdav", "davfs", "afs", "ncpfs"),
        *("fuse.sshfs", "fuse.rclone", "fuse.s3fs", "fuse.davfs2", "fuse.glusterfs", "glusterfs", "macfuse"),
    }
)


class EngineLock:
    """Held from `acquire` to `release`, or to the end of the process."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "engine.lock"
        self._fd: int | None = None

    def acquire(self) -> Self:
        """Raises EngineRunningError, or StoreRefusedError where an OS lock cannot be trusted or made."""
        refuse_network(self.path.parent)
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreRefusedError(
                f"{self.path} cannot be written ({error.strerror})", "make the folder writable, or name another one"
            ) from error
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            pid = os.pread(fd, 32, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(fd)
            raise EngineRunningError(
                f"signoff is already running here (pid {pid})", "stop that one first, or use another workspace"
            ) from error
        os.ftruncate(fd, 0)
        os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._fd = fd
        return self

    def release(self) -> None:
        """Releasing twice is no fault."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def __enter__(self) -> Self:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


def refuse_network(folder: Path) -> None:
    """Raises StoreRefusedError: WAL needs shared memory, and locks over a network are promises nobody keeps."""
    kind = filesystem(folder, _mounts())
    if kind in NETWORK:
        raise StoreRefusedError(
            f"{folder} is on a network filesystem ({kind})", "put the workspace on a disk of this machine"
        )


def filesystem(folder: Path, mounts: list[tuple[str, str]]) -> str:
    """The type of the filesystem that holds the folder, "" if nobody knows."""
    here = folder.resolve()
    held = [(len(point), n, kind) for n, (point, kind) in enumerate(mounts) if here.is_relative_to(point)]
    return max(held)[2] if held else ""


def _mounts() -> list[tuple[str, str]]:
    """(mount point, type), as the system tells; empty where it does not."""
    if sys.platform == "darwin":
        return _mounts_darwin()
    try:
        lines = Path("/proc/mounts").read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
    return [(_unescape(words[1]), words[2]) for words in map(str.split, lines) if len(words) > 2]


def _unescape(point: str) -> str:
    """/proc/mounts writes blanks in names as octal."""
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        point = point.replace(code, char)
    return point


def _mounts_darwin() -> list[tuple[str, str]]:
    try:
        shown = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return parse_mount(shown)


def parse_mount(shown: str) -> list[tuple[str, str]]:
    """Lines such as `server:/x on /Volumes/x (nfs, nodev)`."""
    mounts = []
    for line in shown.splitlines():
        _, on, rest = line.partition(" on ")
        point, bracket, options = rest.rpartition(" (")
        if on and bracket:
            mounts.append((point, options.rstrip(")").split(",")[0].strip()))
    return mounts
