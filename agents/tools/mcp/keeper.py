"""Run one MCP server and see to it that it ends with the engine, however that ends.

Law: the server has a process group of its own. When the other end of standard input is closed, which the system does
even for an engine that was killed, the server has a moment to leave by itself; then its group is killed. When the
server ends, so does what it left behind in its group.

This is a program of its own, standard library only, run as `python -I -S keeper.py SECONDS COMMAND ...`. It never reads
standard input: that is the server's.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import threading
import time

NOT_STARTED = 127


def main() -> int:
    """Exit code: the server's, 128 and its signal, or NOT_STARTED."""
    seconds, command = float(sys.argv[1]), sys.argv[2:]
    started: list[subprocess.Popen[bytes]] = []
    ended = threading.Event()

    def end(*_: object) -> None:
        ended.set()
        for server in started:
            _kill(server.pid)

    signal.signal(signal.SIGTERM, end)
    try:
        started.append(subprocess.Popen(command, process_group=0))  # noqa: S603 - as configured, with our three pipes
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_STARTED
    server = started[0]
    if ended.is_set():  # the signal came while the server was being started
        _kill(server.pid)
    threading.Thread(target=_watch, args=(seconds, server.pid), daemon=True).start()
    code = server.wait()
    _kill(server.pid)
    return code if code >= 0 else 128 - code


def _watch(seconds: float, group: int) -> None:
    poll = select.poll()
    poll.register(0, 0)  # no event is asked for: POLLHUP and POLLERR always come
    poll.poll()
    time.sleep(seconds)
    _kill(group)


def _kill(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main())
