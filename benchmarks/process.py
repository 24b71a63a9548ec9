"""The real program in a process of its own: started, spoken to by lines, looked at from outside."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psutil

SIGNOFF: Final = Path(sys.executable).with_name("signoff")
SECONDS_MAX: Final = 60.0
READY: Final = "You, owner"
"""What the engine answers to /whoami in the shipped team: it reads, routes, commits and sends."""


def environment(**more: str) -> dict[str, str]:
    """This one's, without anything that names a model or a key."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC", "OPENAI", "SIGNOFF"))
    }
    return {**kept, **more}


def made(folder: Path) -> Path:
    """A workspace with the shipped twelve."""
    command = [SIGNOFF, "init", folder / "ws", "--team", "twelve"]
    subprocess.run(  # noqa: S603  our own words
        command, check=True, capture_output=True, timeout=SECONDS_MAX, env=environment()
    )
    return folder / "ws"


class Running:
    """`signoff run` with its input held open."""

    def __init__(self, workspace: Path, **env: str) -> None:
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._begun = time.perf_counter()
        self._child = subprocess.Popen(  # noqa: S603  our own words
            [SIGNOFF, "run", "--workspace", workspace],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=environment(PYTHONUNBUFFERED="1", **env),
            text=True,
            bufsize=1,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.seen: list[str] = []
        self._process = psutil.Process(self._child.pid)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._child.terminate()
        try:
            self._child.wait(5)
        except subprocess.TimeoutExpired:
            self._child.kill()
            self._child.wait()

    def _read(self) -> None:
        for line in self._child.stdout or ():
            self._lines.put(line)
        self._lines.put(None)

    def say(self, line: str) -> None:
        """One line of input."""
        if self._child.stdin is not None:
            self._child.stdin.write(line + "\n")
            self._child.stdin.flush()

    def until(self, text: str) -> None:
        """Read on until a line holds this text. Raises RuntimeError with what came instead."""
        end = time.monotonic() + SECONDS_MAX
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                line = None
            if line is None:
                raise RuntimeError(f"{text!r} did not come, but: {''.join(self.seen)[-500:]}")
            self.seen.append(line)
            if text in line:
                return

    def ready(self) -> float:
        """Milliseconds from the start of the process to its first answer, given in code."""
        self.say("/whoami")
        self.until(READY)
        return (time.perf_counter() - self._begun) * 1000

    def _insist(self) -> None:
        if (code := self._child.poll()) is not None:
            raise RuntimeError(f"it ended with {code}: {''.join(self.seen)[-500:]}")

    def memory_mb(self) -> tuple[float, float]:
        """Resident, and where the system tells it, proportional."""
        self._insist()
        whole = self._process.memory_full_info()
        return whole.rss / 1e6, getattr(whole, "pss", whole.rss) / 1e6

    def cpu_percent(self, seconds: float) -> float:
        """Of one core, over so long."""
        before = self._process.cpu_times()
        begun = time.perf_counter()
        time.sleep(seconds)
        self._insist()
        after = self._process.cpu_times()
        used = after.user + after.system - before.user - before.system
        return 100 * used / (time.perf_counter() - begun)
