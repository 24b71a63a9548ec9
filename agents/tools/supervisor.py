"""Run one command at most once, outlive the engine that asked for it, and record how it ended.

Law: the command runs only under the exclusive lock of its spool directory, only after `started` is on the disk, and
only if no `started`, `void` or exit record was there before. So a directory runs its command at most once, whoever
starts this program and however often, and after a crash the first of these that holds is true:

    exit.json      it ended like this
    lock is held   it is alive
    started        the outcome is unknown
    none of them   it did certainly not run

This is a program of its own, standard library only, run as `python -I -S -X utf8 supervisor.py DIRECTORY`. It imports
`confines` beside it and nothing else of ours, and `pathlib` neither, so that it starts in a few milliseconds. It is no
sandbox: the command runs as the same user. On Linux no descendant outlives it (child subreaper). Elsewhere one that
leaves the process group does.
"""
# ruff: noqa: PTH100, PTH105, PTH108, PTH110, PTH118, PTH119, PTH120, PTH123

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import select
import signal
import sys
import time

if __package__:
    from agents.tools import confines
else:  # as a program: our own folder last, so that nothing in it stands for a library
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import confines  # type: ignore[import-not-found, no-redef]

TYPE_CHECKING = False  # known to type checkers; the import would cost a tenth of the start
if TYPE_CHECKING:
    from typing import Any, NoReturn

    Record = dict[str, Any]

LOCK = "lock"
REQUEST = "request.json"
STARTED = "started"
VOID = "void"
CANCEL = "cancel"
EXIT = "exit.json"
OUTPUT = "output"

MARKER = "SIGNOFF_ATTEMPT"
FLAGS = ("-I", "-S", "-X", "utf8")
LOCK_FD = 3  # where the engine leaves the lock it already holds: it is never free between start and supervision

_LINUX: bool = sys.platform == "linux"
_GRACE_SECONDS = 2.0
_POLL_SECONDS = 0.05
_CLEAR_SECONDS_MAX = 5.0
_DRAIN_SECONDS_MAX = 1.0
_RECORD_SECONDS_MAX = 60.0
_CHUNK_BYTES = 1 << 16
_DESCRIPTORS_MAX = 4096

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h

# --- shared with the engine's side -----------------------------------------------------------------------------------


def sync(fd: int) -> None:
    """Force a file to the medium: on macOS fsync stops at the drive's cache (fsync(2) there, F_FULLFSYNC)."""
    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        with contextlib.suppress(OSError):  # not every file system offers it
            fcntl.fcntl(fd, full)
            return
    os.fsync(fd)


def sync_directory(path: str) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        sync(fd)
    finally:
        os.close(fd)


def write_durably(directory: str, name: str, data: bytes) -> None:
    """Put a file in place in one step: after a crash there is all of it or none of it."""
    temporary = os.path.join(directory, f".{name}.{os.getpid()}")
    try:
        _write_and_close(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), data)
        os.replace(temporary, os.path.join(directory, name))
    except OSError:
        remove(temporary)
        raise
    sync_directory(directory)


def remove(path: str) -> None:
    """Remove a file that need not be there."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def digest(path: str) -> str:
    """Return `sha256:<hex>` of the file's bytes, links followed; of a script, not of its interpreter."""
    with open(path, "rb") as file:
        return "sha256:" + hashlib.file_digest(file, "sha256").hexdigest()


def process_start(pid: int) -> str:
    """Return when a process started, in the system's own words, or "" when there is none. Tells a reused pid apart."""
    if _LINUX:
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                return file.read().rpartition(b")")[2].split()[19].decode()  # field 22, proc(5)
        except (OSError, IndexError):
            return ""
    with os.popen(f"/bin/ps -o lstart= -p {pid:d}") as listing:  # noqa: S605 - a number cannot be shell
        return listing.read().strip()


def _write_and_close(fd: int, data: bytes) -> None:
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        sync(fd)
    finally:
        os.close(fd)


# --- what is kept of the output --------------------------------------------------------------------------------------


class Output:
    """The first and the last half of everything written; the rest is counted. It never raises, blocks or grows.

    The first half is readable while the command runs. A full disk loses output, never the command's outcome.
    """

    def __init__(self, path: str, bytes_max: int) -> None:
        self.bytes_total = 0
        self._head_bytes = 0
        self._head_bytes_max = (bytes_max + 1) // 2
        self._tail_bytes_max = bytes_max - self._head_bytes_max
        self._tail = bytearray()
        self._lost = False
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def add(self, chunk: bytes) -> None:
        """Take the next bytes."""
        self.bytes_total += len(chunk)
        head = chunk[: self._head_bytes_max - self._head_bytes]
        self._head_bytes += len(head)
        self._write(head)
        self._tail += chunk[len(head) :]
        if len(self._tail) > 2 * self._tail_bytes_max + _CHUNK_BYTES:  # rarely, so that each byte moves about once
            self._trim()

    def close(self) -> bool:
        """Write the last half, make the file durable, and say whether anything is missing from it."""
        self._trim()
        left_out_bytes = self.bytes_total - self._head_bytes - len(self._tail)
        if left_out_bytes:
            self._write(f"\n[... {left_out_bytes} bytes left out ...]\n".encode())
        self._write(self._tail)
        try:
            sync(self._fd)
        except OSError:
            self._lost = True
        os.close(self._fd)
        return self._lost or left_out_bytes > 0

    def _trim(self) -> None:
        del self._tail[: max(0, len(self._tail) - self._tail_bytes_max)]

    def _write(self, data: bytes | bytearray) -> None:
        try:
            view = memoryview(data)
            while view and not self._lost:
                view = view[os.write(self._fd, view) :]
        except OSError:
            self._lost = True


# --- the command and what it leaves behind ---------------------------------------------------------------------------


class Command:
    """A child that is forked and held: it becomes the command when released, and ends unrun when we die before that."""

    def __init__(self, request: Record, directory: str) -> None:
        given = confines.stdin_of(request.get("stdin", ""), directory)
        self.output_fd, output = os.pipe()
        self.trouble_fd, trouble = os.pipe()
        gate, self._gate = os.pipe()
        self._status: int | None = None
        supervisor = os.getpid()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._gate)
            _become(request, os.path.basename(directory), supervisor, (gate, given, output, trouble))
        for fd in (gate, given, output, trouble):
            os.close(fd)
        for fd in (self.output_fd, self.trouble_fd):
            os.set_blocking(fd, False)
        with contextlib.suppress(OSError):  # the child does it too: whoever comes first
            os.setpgid(self.pid, self.pid)

    def release(self) -> None:
        """Let it run."""
        with contextlib.suppress(BrokenPipeError):  # it was killed while held
            os.write(self._gate, b"1")
        os.close(self._gate)

    def ended(self) -> int | None:
        """Reap what can be reaped and return the command's wait status, once there is one."""
        self._reap()
        return self._status

    def signal(self, number: int) -> None:
        """Signal the process group."""
        try:
            os.killpg(self.pid, number)
        except (ProcessLookupError, PermissionError):
            return  # nobody there; macOS says EPERM for a group of zombies

    def kill(self) -> None:
        """Kill the group and, where we are the reaper of orphans, every other descendant."""
        self.signal(signal.SIGKILL)
        for pid in confines.descendants():
            try:
                os.kill(pid, signal.SIGKILL)
            except OSError:
                continue  # gone, or a set-user-id program that is not ours to kill

    def clear(self) -> None:
        """Kill until no child is left, or for five seconds."""
        give_up = time.monotonic() + _CLEAR_SECONDS_MAX
        self.signal(signal.SIGKILL)
        while self._reap() and time.monotonic() < give_up:
            self.kill()
            time.sleep(0.002)

    def _reap(self) -> bool:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.pid:
                self._status = status


def _become(request: Record, attempt: str, supervisor: int, fds: tuple[int, int, int, int]) -> NoReturn:
    """In the child: wait for the release, become the command, or tell why not. Nothing here may return."""
    gate, given, output, trouble = fds
    try:
        os.setpgid(0, 0)
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != supervisor or os.read(gate, 1) != b"1":
            os._exit(127)
        os.dup2(given, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.chdir(request["cwd"])
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGPIPE, signal.SIGHUP, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        confines.limit_self(request["limits"])
        os.execve(request["argv"][0], request["argv"], {**request["env"], MARKER: attempt})  # noqa: S606 - no shell: that is the point
    except BaseException as error:  # noqa: BLE001 - told to the parent, which records it
        os.write(trouble, f"{type(error).__name__}: {error}".encode(errors="replace")[:2000])
    os._exit(127)


def _prctl(option: int, value: int) -> bool:
    """Best effort, Linux only: False where the call cannot be made."""
    if not _LINUX:
        return False
    try:
        import ctypes  # noqa: PLC0415 - only where it is needed

        return bool(ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0) == 0)
    except (ImportError, OSError, AttributeError):
        return False


# --- the supervisor --------------------------------------------------------------------------------------------------


class Stop:
    """Whether somebody wants the command to end: a `cancel` file, or SIGTERM or SIGINT to the supervisor."""

    def __init__(self, directory: str) -> None:
        self._path = os.path.join(directory, CANCEL)
        self._signalled = False
        self.wake_fd, wake = os.pipe()
        for fd in (self.wake_fd, wake):
            os.set_blocking(fd, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._noticed)

    def asked(self) -> bool:
        """Answer for now; a yes stays a yes."""
        self._signalled = self._signalled or os.path.exists(self._path)
        return self._signalled

    def _noticed(self, number: int, _frame: object) -> None:
        self._signalled = self._signalled or number != signal.SIGCHLD


def main(directory: str) -> int:
    """Run the request in the directory unless it ran, runs, or is void. The exit code is for a person looking."""
    os.chdir("/")
    if not _hold_lock(directory):
        return os.EX_TEMPFAIL
    if any(os.path.exists(os.path.join(directory, name)) for name in (STARTED, VOID, EXIT)):
        return os.EX_OK
    path = os.path.join(directory, REQUEST)
    try:
        with open(path, "rb") as file:
            request: Record = json.load(file)
    except FileNotFoundError:
        return os.EX_NOINPUT
    remove(path)  # it holds credentials; the next sync of the directory makes this durable
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    _record(directory, _supervise(directory, request, Stop(directory)))
    return os.EX_OK


def _hold_lock(directory: str) -> bool:
    """Take the lock for as long as we live, or adopt the one the engine left us; close whatever else was left open."""
    try:
        fd = os.open(os.path.join(directory, LOCK), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError:
        return False
    try:
        inherited = os.path.samestat(os.fstat(LOCK_FD), os.fstat(fd))
    except OSError:
        inherited = False
    if inherited and fd != LOCK_FD:
        os.close(fd)
        fd = LOCK_FD
    os.closerange(LOCK_FD, fd)
    os.closerange(fd + 1, _DESCRIPTORS_MAX)
    os.set_inheritable(fd, False)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _supervise(directory: str, request: Record, stop: Stop) -> Record:
    """Start the command, see it to its end, and return the exit record."""
    refusal = _refusal(request)
    if refusal or stop.asked():
        return _ended("refused" if refusal else "cancelled", message=refusal)
    began = time.monotonic()
    try:
        output = Output(os.path.join(directory, OUTPUT), request["output_bytes_max"])
        command = Command(request, directory)
    except OSError as error:
        return _ended("failed_to_start", message=str(error))
    try:
        _write_started(directory, command.pid)
    except OSError as error:
        command.clear()  # it was never released
        if isinstance(error, FileExistsError):
            raise  # another one's start, whose outcome is not ours to record
        return _ended("failed_to_start", message=str(error))
    try:
        command.release()
        watch = confines.Watch(request.get("watch", {}))
        reason, status, message = _attend(command, request["seconds_max"], output, stop, watch)
    finally:
        command.clear()
    _drain(command.output_fd, output)
    seconds = round(time.monotonic() - began, 6)
    truncated = output.close()
    if message and reason != "limit":
        return _ended("failed_to_start", message=message, seconds=seconds)
    ending = os.waitstatus_to_exitcode(status)
    return _ended(
        reason,
        code=ending if ending >= 0 else None,
        signal=-ending if ending < 0 else None,
        message=message,
        seconds=seconds,
        bytes_total=output.bytes_total,
        truncated=truncated,
    )


def _refusal(request: Record) -> str:
    """Return why the command may not start. The file can still change between here and exec: nothing closes that."""
    try:
        return "" if digest(request["argv"][0]) == request["executable_digest"] else "executable changed"
    except OSError as error:
        return f"executable unreadable: {error.strerror}"


def _write_started(directory: str, command: int) -> None:
    """Record durably that the command may have run from here on; raise FileExistsError if that was so before."""
    fd = os.open(os.path.join(directory, STARTED), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    pids = {"supervisor": os.getpid(), "command": command}
    record = {"v": 1, **{name: {"pid": pid, "start": process_start(pid)} for name, pid in pids.items()}}
    _write_and_close(fd, json.dumps(record).encode())
    sync_directory(directory)


def _attend(
    command: Command, seconds_max: float, output: Output, stop: Stop, watch: confines.Watch
) -> tuple[str, int, str]:
    """Collect output until the command ends, by itself or by us; return the reason, its status, and which limit it hit
    or why exec failed.
    """
    reason, over, trouble = "exited", "", b""
    deadline = time.monotonic() + seconds_max
    fds = [stop.wake_fd, command.trouble_fd, command.output_fd]
    while (status := command.ended()) is None:
        late = time.monotonic() >= deadline
        if reason != "exited":
            if late:
                command.kill()
                deadline = time.monotonic() + _POLL_SECONDS
        elif stop.asked() or late:
            reason = "cancelled" if stop.asked() else "timeout"
            command.signal(signal.SIGTERM)
            command.signal(signal.SIGCONT)  # one that is stopped could not hear it
            deadline = time.monotonic() + _GRACE_SECONDS
        elif over := watch.over(command.signal):
            reason = "limit"
            command.kill()
            deadline = time.monotonic() + _POLL_SECONDS
        pause = min(_POLL_SECONDS, max(0.002, deadline - time.monotonic()))
        for fd in select.select(fds, [], [], pause)[0]:
            chunk = _read(fd)
            if not chunk:
                fds.remove(fd)
            elif fd == command.output_fd:
                output.add(chunk)
            elif fd == command.trouble_fd:
                trouble += chunk
    trouble += _read(command.trouble_fd)
    return reason, status, over or trouble.decode(errors="replace")


def _read(fd: int) -> bytes:
    """Read what is there; nothing means the end (or, outside select, nothing yet)."""
    with contextlib.suppress(BlockingIOError):
        return os.read(fd, _CHUNK_BYTES)
    return b""


def _drain(fd: int, output: Output) -> None:
    """Take what the pipe still holds. Bounded, for where an escaped writer may go on writing."""
    give_up = time.monotonic() + _DRAIN_SECONDS_MAX
    while time.monotonic() < give_up and (chunk := _read(fd)):
        output.add(chunk)


def _ended(reason: str, **known: Any) -> Record:
    nothing = {"code": None, "signal": None, "message": "", "seconds": 0.0, "bytes_total": 0, "truncated": False}
    return {"v": 1, "reason": reason, **nothing, **known}


def _record(directory: str, record: Record) -> None:
    """Write the exit record. On a full disk the output is given up for it; after a minute the outcome is unknown."""
    give_up = time.monotonic() + _RECORD_SECONDS_MAX
    while True:
        try:
            write_durably(directory, EXIT, json.dumps(record).encode())
            return
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT) or time.monotonic() >= give_up:
                raise
        record["truncated"] = True
        remove(os.path.join(directory, OUTPUT))
        time.sleep(1)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
