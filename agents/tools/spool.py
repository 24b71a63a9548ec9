"""The engine's side of a supervised command: start it once, find out later what became of it.

Law: whether an attempt is alive is decided by its lock and by nothing else. The kernel frees a lock when its last
holder dies; a pid can be somebody else's by the time it is looked at. The engine takes the lock before it starts the
supervisor and hands it over open, so there is no moment at which a running attempt looks as if nobody held it.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias

from agents.tools import supervisor
from agents.tools.supervisor import CANCEL, EXIT, FLAGS, LOCK, LOCK_FD, MARKER, OUTPUT, REQUEST, STARTED, VOID
from core.model.errors import SignoffError

_ATTEMPT_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9:._-]{0,199}")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_SWEPT = ".swept-"
_POLL_SECONDS_MIN = 0.02
_POLL_SECONDS_MAX = 0.25
_KILL_ROUNDS_MAX = 5
_WALKS_MAX = 8
_LINUX: bool = sys.platform == "linux"

# Controls but for newline and tab, and what reorders, hides or splits a line: all shown as escapes.
_INVISIBLE = (
    *(code for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in "\n\t"),
    *(0x00AD, 0x061C, *range(0x200B, 0x2010), *range(0x2028, 0x202F), *range(0x2060, 0x2070), 0xFEFF),
)
_VISIBLE = {code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" for code in _INVISIBLE}

Poll: TypeAlias = Callable[[float], Awaitable[object]]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Resource limits of the command and each of its children; None leaves the engine's own. No core is ever dumped."""

    cpu_seconds_max: int | None = None
    memory_bytes_max: int | None = None
    file_bytes_max: int | None = None
    files_open_max: int | None = None
    processes_max: int | None = None  # of all together, as is the memory: on Linux only

    def by_name(self) -> dict[str, int]:
        """Return the limits that are set, by the names of setrlimit(2)."""
        limits = {
            "RLIMIT_CPU": self.cpu_seconds_max,
            "RLIMIT_AS": self.memory_bytes_max,
            "RLIMIT_FSIZE": self.file_bytes_max,
            "RLIMIT_NOFILE": self.files_open_max,
        }
        return {"RLIMIT_CORE": 0} | {name: most for name, most in limits.items() if most is not None}

    def together(self) -> dict[str, int | None]:
        """Return what is watched over all processes of the command."""
        return {"processes_max": self.processes_max, "memory_bytes_max": self.memory_bytes_max}


@dataclass(frozen=True, kw_only=True)
class Command:
    """What to run: no shell, `stdin` to read, this environment and no other (but for SIGNOFF_ATTEMPT).

    `argv[0]` is the absolute path of the executable, and `executable_digest` its digest when the run was allowed.
    """

    argv: tuple[str, ...]
    cwd: str
    env: Mapping[str, str] = field(repr=False)
    executable_digest: str
    seconds_max: float
    output_bytes_max: int
    limits: Limits = Limits()
    stdin: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Refuse what could not run as meant, with ValueError."""
        texts = (*self.argv, self.cwd, *self.env, *self.env.values())
        if not self.argv or not os.path.isabs(self.argv[0]) or not os.path.isabs(self.cwd):  # noqa: PTH117 - they are text
            raise ValueError("argv[0] and cwd are absolute paths")
        if any("\0" in text for text in texts) or any(not name or "=" in name for name in self.env):
            raise ValueError("no NUL in a command, no = in the name of a variable")
        if not _DIGEST.fullmatch(self.executable_digest):
            raise ValueError("executable_digest is sha256:<64 hex digits>")
        if not 0 < self.seconds_max < float("inf") or self.output_bytes_max < 1:
            raise ValueError("seconds_max and output_bytes_max are positive and finite")


Reason = Literal["exited", "timeout", "cancelled", "limit", "refused", "failed_to_start"]


@dataclass(frozen=True, kw_only=True)
class Exit:
    """How an attempt ended. `refused` and `failed_to_start`: it did not run, and `message` says why.

    `limit`: all its processes together took too much, and `message` says of what (confines.MEMORY, PROCESSES).
    `cancelled` with neither code nor signal: it was cancelled before it ran. Otherwise exactly one of the two is set.
    `reason` says what the supervisor did: a command may answer a `timeout` by exiting with code 0.
    """

    reason: Reason
    code: int | None
    signal: int | None
    message: str
    seconds: float
    bytes_total: int
    truncated: bool


@dataclass(frozen=True)
class NotStarted:
    """The command did certainly not run, and never will under this attempt id."""


@dataclass(frozen=True)
class Alive:
    """Somebody holds the lock: it is about to run, runs, or is being recorded."""


@dataclass(frozen=True)
class Exited:
    """It has a recorded outcome."""

    exit: Exit


@dataclass(frozen=True)
class Unknown:
    """It was started, its supervisor died without a record, and nothing of it that can be found is left alive."""


Look: TypeAlias = NotStarted | Alive | Exited | Unknown


class AttemptLostError(SignoffError):
    """There is no exit to wait for. `look` says whether the command did not run, or nobody can know."""

    def __init__(self, attempt_id: str, look: NotStarted | Unknown) -> None:
        super().__init__(
            f"attempt {attempt_id} " + ("never started" if isinstance(look, NotStarted) else "has no recorded outcome")
        )
        self.look = look


def executable_digest(path: str | Path) -> str:
    """Return `sha256:<hex>` of an executable, links followed; of a script, not of its interpreter. Raises OSError."""
    return supervisor.digest(os.fspath(path))


class Spool:
    """One directory per attempt, readable by its owner only. Many may look at one spool, in any process."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._supervisors: set[int] = set()

    async def start(self, attempt_id: str, command: Command) -> None:
        """Have the command run unless this attempt ever ran, runs, or is void. Returns once it no longer needs us.

        Raises OSError if it certainly will not run. If cancelled, nothing is known: look.
        """
        await asyncio.to_thread(self._start, attempt_id, command)

    async def wait(self, attempt_id: str, poll: Poll = asyncio.sleep) -> Exit:
        """Return how the attempt ended, looking again after each `poll(seconds)`. Raises AttemptLostError."""
        pause = _POLL_SECONDS_MIN
        while True:
            look = await asyncio.to_thread(self.look, attempt_id)
            match look:
                case Exited(exit=ended):
                    return ended
                case NotStarted() | Unknown():
                    raise AttemptLostError(attempt_id, look)
                case Alive():
                    await poll(pause)
                    pause = min(pause * 1.25, _POLL_SECONDS_MAX)

    def look(self, attempt_id: str) -> Look:
        """Say what became of an attempt. What was not started is made void first; what an Unknown left is killed first.

        It blocks for a few milliseconds, and longer where files are slow: use a thread.
        """
        self._reap()
        directory = self._directory(attempt_id)
        if (ended := _read_exit(directory)) is not None:
            return Exited(ended)
        self._make(directory)
        with _lock(directory, shared=(directory / STARTED).exists()) as free:
            if (ended := _read_exit(directory)) is not None:  # written while we went for the lock
                return Exited(ended)
            if not free:
                return Alive()
            if (directory / STARTED).exists():
                _kill_leftovers(attempt_id, directory)
                return Unknown()
            supervisor.remove(str(directory / REQUEST))
            if not (directory / VOID).exists():
                supervisor.write_durably(str(directory), VOID, b"")
            return NotStarted()

    async def cancel(self, attempt_id: str) -> None:
        """Have the command end: SIGTERM, two seconds, SIGKILL. One not yet started will end without having run."""
        await asyncio.to_thread(self._cancel, attempt_id)

    def output(self, attempt_id: str) -> str:
        """Return what is kept of stdout and stderr, safe to show; of a running command the first half at most."""
        try:
            data = (self._directory(attempt_id) / OUTPUT).read_bytes()
        except FileNotFoundError:
            return ""
        return data.decode("utf-8", errors="replace").replace("\r\n", "\n").translate(_VISIBLE)

    async def sweep(self, older_than: datetime) -> int:
        """Remove attempts that ended or became void before a moment with a zone; return how many. Unknown ones stay."""
        return await asyncio.to_thread(self._sweep, older_than.timestamp())

    def _directory(self, attempt_id: str) -> Path:
        if not _ATTEMPT_ID.fullmatch(attempt_id):
            raise ValueError(f"not an attempt id: {attempt_id!r}")
        return self._root / attempt_id

    def _make(self, directory: Path) -> None:
        self._root.mkdir(mode=0o700, parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            directory.mkdir(mode=0o700)
            supervisor.sync_directory(str(self._root))

    def _start(self, attempt_id: str, command: Command) -> None:
        self._reap()
        directory = self._directory(attempt_id)
        self._make(directory)
        lock = _open_lock(directory)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if any((directory / name).exists() for name in (STARTED, VOID, EXIT)):
                return
            limits = {"limits": command.limits.by_name(), "watch": command.limits.together()}
            request = asdict(command) | {"env": dict(command.env)} | limits
            supervisor.write_durably(str(directory), REQUEST, json.dumps(request).encode())
            try:
                self._supervisors.add(_spawn(directory, lock))
            except OSError:
                supervisor.remove(str(directory / REQUEST))
                raise
        except BlockingIOError:
            return  # alive, or just being looked at and made void
        finally:
            os.close(lock)  # not LOCK_UN: that would free it for the supervisor too, which shares it (flock(2))

    def _cancel(self, attempt_id: str) -> None:
        directory = self._directory(attempt_id)
        self._make(directory)
        supervisor.write_durably(str(directory), CANCEL, b"")

    def _reap(self) -> None:
        """Let go of our supervisors that ended: without this each stays a zombie until the engine ends."""
        for pid in list(self._supervisors):
            try:
                ended = os.waitpid(pid, os.WNOHANG)[0] != 0
            except ChildProcessError:
                ended = True
            if ended:
                self._supervisors.discard(pid)

    def _sweep(self, before: float) -> int:
        swept = 0
        for directory in list(self._root.iterdir()) if self._root.is_dir() else []:
            if _ATTEMPT_ID.fullmatch(directory.name) and _ended_before(directory, before):
                with _lock(directory, shared=False) as free:
                    if not free:
                        continue
                    # In one step: half an attempt would look like one of unknown outcome.
                    gone = directory.rename(self._root / f"{_SWEPT}{directory.name}")
                shutil.rmtree(gone)
                swept += 1
            elif directory.name.startswith(_SWEPT):
                shutil.rmtree(directory)  # a sweep was killed here
        return swept


def _spawn(directory: Path, lock: int) -> int:
    """Start the supervisor; it shares nothing with us but the lock."""
    script = str(Path(supervisor.__file__).resolve())
    kept = {name: os.environ[name] for name in ("LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH") if name in os.environ}
    high = fcntl.fcntl(lock, fcntl.F_DUPFD_CLOEXEC, 10)  # dup2 onto itself would leave it close-on-exec
    try:
        return os.posix_spawn(
            sys.executable,
            (sys.executable, *FLAGS, script, str(directory)),
            kept,
            file_actions=(
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_OPEN, 2, os.devnull, os.O_WRONLY, 0),
                (os.POSIX_SPAWN_DUP2, high, LOCK_FD),
            ),
            setsid=True,  # at birth: what ends the engine's session or group must not reach it even now
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD),
        )
    finally:
        os.close(high)


def _open_lock(directory: Path) -> int:
    return os.open(directory / LOCK, os.O_RDWR | os.O_CREAT, 0o600)


@contextlib.contextmanager
def _lock(directory: Path, *, shared: bool) -> Iterator[bool]:
    """Hold the lock if it is free, and say whether it was. Shared: two who look do not take each other for life."""
    fd = _open_lock(directory)
    try:
        try:
            fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        try:
            yield True
        finally:
            fcntl.flock(fd, fcntl.LOCK_UN)  # a fork of another thread may hold a copy until it execs
    finally:
        os.close(fd)


def _read_exit(directory: Path) -> Exit | None:
    """Return the exit record; None when there is none, or none of ours: then its outcome is not known."""
    try:
        record: dict[str, Any] = json.loads((directory / EXIT).read_bytes())
        if record.pop("v") != 1:
            return None
        return Exit(**record)
    except (FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _ended_before(directory: Path, moment: float) -> bool:
    for name in (EXIT, VOID):
        with contextlib.suppress(FileNotFoundError):
            return (directory / name).stat().st_mtime < moment
    return False


# --- who descends from whom ------------------------------------------------------------------------------------------


def inside_a_run() -> bool:
    """Whether this process descends from a tool's run: then it may not decide anything.

    True if the environment carries the marker, or an ancestor is a supervisor. On Linux a supervisor adopts its
    orphans, so forking twice does not lead out of it; elsewhere forking twice *and* dropping the marker does, as does a
    process namespace of one's own on Linux: that is why a tier may require verified votes.

    True too where our own ancestry cannot be read at all. An ancestor that stays hidden while the rest stands still
    belongs to another user (`hidepid`, an sshd run by root) and ends the walk: a supervisor runs as its engine's user,
    and refusing here would lock out every person on such a machine. One that vanishes under us is walked again.
    """
    if MARKER in os.environ:
        return True
    before: tuple[int, ...] = ()
    for _ in range(_WALKS_MAX):
        chain, ending = _walk(os.getpid())
        if ending != "cut":
            return ending == "supervisor"
        if chain == before:
            return len(chain) == 1
        before = chain
    return True


def _walk(pid: int) -> tuple[tuple[int, ...], Literal["supervisor", "top", "cut"]]:
    """Go up from a process; return the pids met and what ended the walk."""
    chain: list[int] = []
    while pid > 0 and pid not in chain:
        chain.append(pid)
        try:
            pid, line = _parent_and_line(pid)
        except (OSError, ValueError, IndexError, subprocess.SubprocessError):
            return tuple(chain), "cut"
        if f" {' '.join(FLAGS)} /" in line and "/agents/tools/supervisor.py /" in line:
            return tuple(chain), "supervisor"
    return tuple(chain), "top"


def _parent_and_line(pid: int) -> tuple[int, str]:
    """Return a process's parent and command line, its words joined by spaces."""
    if _LINUX:
        stat = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
        return int(stat[1]), b" ".join(words).decode(errors="replace")
    listing = ("/bin/ps", "-ww", "-o", "ppid=,command=", "-p", str(pid))
    shown = subprocess.run(listing, capture_output=True, check=True, timeout=5).stdout  # noqa: S603 - fixed words
    parent, _, line = shown.decode(errors="replace").strip().partition(" ")
    return int(parent), line


def _kill_leftovers(attempt_id: str, directory: Path) -> None:
    """Kill what a dead supervisor left: the command's group while its leader lives, and on Linux all with its marker.

    On Linux the command itself died with its supervisor. One who has a supervisor above it is another attempt's (of an
    engine outside this one, where ids may be the same) and is left to that.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        command = json.loads((directory / STARTED).read_bytes())["command"]
        if command["start"] and supervisor.process_start(command["pid"]) == command["start"]:
            os.killpg(command["pid"], signal.SIGKILL)
    for _ in range(_KILL_ROUNDS_MAX):  # one may fork while we look
        marked = [pid for pid in _marked(attempt_id) if pid != os.getpid() and _walk(pid)[1] != "supervisor"]
        for pid in marked:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        if not marked:
            return


def _marked(attempt_id: str) -> list[int]:
    """Return the processes that carry the attempt's marker; none where there is no /proc."""
    marker = f"{MARKER}={attempt_id}".encode()
    found = []
    for entry in Path("/proc").iterdir() if _LINUX else ():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (entry / "environ").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found
