"""What confines a supervised command: limits of each of its processes, and a watch over all of them together.

Law: the kernel's limits hold each process (setrlimit(2)); a program of many processes is held by counting them and what
memory they have to themselves, a few times a second, which only Linux lets us do. Loaded by the supervisor, so standard
library only, and as little of it as possible. It is no sandbox.
"""
# ruff: noqa: PTH123, PTH208

from __future__ import annotations

import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False  # as in the supervisor
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MEMORY, PROCESSES = "memory", "processes"
_LINUX: bool = sys.platform == "linux"
_WATCH_SECONDS = 0.2
_CPU_GRACE_SECONDS = 2
"""From SIGXCPU, which can be told apart, to SIGKILL, which cannot."""


def limit_self(limits: dict[str, int]) -> None:
    """Set limits by the names of setrlimit(2), never above what holds already. Raises OSError, ValueError."""
    for name, most in limits.items():
        kind = getattr(resource, name)
        grace = _CPU_GRACE_SECONDS if name == "RLIMIT_CPU" else 0
        _soft, hard = resource.getrlimit(kind)
        wanted = most + grace
        bound = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(kind, (min(most, bound), bound))


def stdin_of(text: str, directory: str) -> int:
    """A descriptor to read this text from; no name leads to it. Raises OSError."""
    if not text:
        return os.open(os.devnull, os.O_RDONLY)
    path = os.path.join(directory, ".stdin")  # noqa: PTH118 - as in the supervisor
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.unlink(path)  # noqa: PTH108
    view = memoryview(text.encode("utf-8", "surrogatepass"))
    while view:
        view = view[os.write(fd, view) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


class Watch:
    """Whether a command's processes together take too much. `wanted` is the request's part for us; 0 means no bound."""

    def __init__(self, wanted: dict[str, Any]) -> None:
        self._processes_max = int(wanted.get("processes_max") or 0)
        self._memory_bytes_max = int(wanted.get("memory_bytes_max") or 0)
        self._next = 0.0
        self._around = _processes_around() if self._processes_max else 0

    def over(self, tell: Callable[[int], None]) -> str:
        """MEMORY or PROCESSES when they do, else "". `tell` signals them all.

        It looks rarely, however often it is asked; but where so many more processes are on this machine that they may
        be the command's, they are stopped while it counts: a fork bomb would leave us no processor to count with.
        """
        crowded = self._crowded()
        if crowded:
            tell(signal.SIGSTOP)
        over = self._look() if crowded or time.monotonic() >= self._next else ""
        if crowded and not over:
            tell(signal.SIGCONT)
        return over

    def _crowded(self) -> bool:
        if not self._processes_max:
            return False
        now = _processes_around()
        if now - self._around <= self._processes_max:
            self._around = min(self._around, now)
            return False
        self._around = now
        return True

    def _look(self) -> str:
        if not (self._processes_max or self._memory_bytes_max):
            return ""
        began = time.monotonic()
        pids = descendants()
        self._next = time.monotonic() + max(_WATCH_SECONDS, 10 * (time.monotonic() - began))
        if self._processes_max and len(pids) > self._processes_max:
            return PROCESSES
        if self._memory_bytes_max and self._too_much(pids):
            return MEMORY
        return ""

    def _too_much(self, pids: list[int]) -> bool:
        """Pages that processes share count once: asked for only where the cheap answer is too much."""
        return (
            sum(map(_resident_bytes, pids)) > self._memory_bytes_max
            and sum(map(_own_bytes, pids)) > self._memory_bytes_max
        )


def _processes_around() -> int:
    """All there are, by the number of links of /proc; 0 where there is none."""
    try:
        return os.stat("/proc").st_nlink if _LINUX else 0  # noqa: PTH116 - as in the supervisor
    except OSError:
        return 0


def _resident_bytes(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            return int(file.read().split()[1]) * resource.getpagesize()
    except (OSError, IndexError, ValueError):
        return 0


def _own_bytes(pid: int) -> int:
    """Its proportional set; what it has in memory, where the kernel does not tell."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1]) * 1024
    except (OSError, IndexError, ValueError):
        pass
    return _resident_bytes(pid)


def descendants() -> list[int]:
    """Return every living descendant of this process; nothing where there is no /proc."""
    if not _LINUX:
        return []
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat", "rb") as file:
                    parent = int(file.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(name))
    found: list[int] = []
    ahead = [os.getpid()]
    while ahead:
        below = children.get(ahead.pop(), [])
        found += below
        ahead += below
    return found
