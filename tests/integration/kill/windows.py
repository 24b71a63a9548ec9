"""Where a run dies: ports wrapped so that the process kills itself at a named moment. Nothing else is different.

Law: a fuse burns once a life, at the k-th time its window is passed, with SIGKILL: no handler, no `finally`, no flush.
What it writes first is for the table only.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.model import unit as u
from core.model.inquiries import GrantState, InquiryState

INSIDE = (
    "accepted-before-ack",
    "acked",
    "routed-before-performed",
    "model-in-flight",
    "reply-before-recorded",
    "inquiry-before-card",
    "card-sent-before-receipt",
    "grant-consumed-before-start",
    "command-running",
    "command-ended-before-recorded",
    "engine-and-supervisor",
)
"""Windows in which the process kills itself. In the last one it takes the supervisor along: nobody can know then."""
RANDOM = "random"
"""Killed from outside, at a moment of chance."""
WINDOWS = (*INSIDE, RANDOM)
MIXED = "mixed"
"""Any of them, a new one every life."""
OFTEN = {
    "accepted-before-ack": 4,
    "acked": 4,
    "routed-before-performed": 5,
    "model-in-flight": 5,
    "reply-before-recorded": 5,
}
"""Windows that are passed several times by every piece of work: die at one of the first so many."""


def append(path: Path, line: str) -> None:
    """Durably, in one write."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(fd, line.encode() + b"\n")
        os.fsync(fd)
    finally:
        os.close(fd)


def lines_of(path: Path) -> list[str]:
    return path.read_text("utf-8").splitlines() if path.exists() else []


@dataclass(slots=True)
class Fuse:
    """`k` counts down; `kills` is the file that says where it burnt."""

    window: str
    k: int
    kills: Path

    def passes(self, window: str) -> bool:
        """Whether this is the moment."""
        if not window or window != self.window:
            return False
        self.k -= 1
        return self.k == 0

    def burn(self, *others: int, **detail: str) -> None:
        append(self.kills, json.dumps({"window": self.window, **detail}))
        for pid in (*others, os.getpid()):
            os.kill(pid, signal.SIGKILL)

    def at(self, window: str) -> None:
        if self.passes(window):
            self.burn()


class Store:
    """The real one, which may be the last thing this process did."""

    def __init__(self, inner: Any, fuse: Fuse) -> None:
        self._inner = inner
        self._fuse = fuse

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def commit(self, unit: u.Unit) -> u.Answer:
        answer = await self._inner.commit(unit)
        if isinstance(answer, u.Applied) and not answer.known:
            for window in dict.fromkeys(_window_of(change) for change in unit.changes):
                self._fuse.at(window)
        return answer


def _window_of(change: u.Change) -> str:
    match change:
        case u.AddEffect():
            return "routed-before-performed"
        case u.PutInquiry(inquiry=inquiry) if inquiry.state is InquiryState.CREATED:
            return "inquiry-before-card"
        case u.MoveGrant(state=GrantState.CONSUMED):
            return "grant-consumed-before-start"
        case _:
            return ""


class Model:
    """The real one, with time passing while the request is out."""

    def __init__(self, inner: Any, fuse: Fuse, seconds: float) -> None:
        self._inner = inner
        self._fuse = fuse
        self._seconds = seconds

    async def reply(self, request: Any) -> Any:
        await asyncio.sleep(self._seconds / 2)
        self._fuse.at("model-in-flight")
        await asyncio.sleep(self._seconds / 2)
        reply = await self._inner.reply(request)
        self._fuse.at("reply-before-recorded")
        return reply


class Tool:
    """The real one, watched from a thread while a command of its runs."""

    def __init__(self, inner: Any, fuse: Fuse, spool: Path) -> None:
        self._inner = inner
        self._fuse = fuse
        self._spool = spool

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    async def run(self, arguments: dict[str, Any], place: Any) -> Any:
        if self._inner.spec.name != "run_command":
            return await self._inner.run(arguments, place)
        if not place.again and any(self._fuse.passes(w) for w in ("command-running", "engine-and-supervisor")):
            threading.Thread(target=self._strike, args=(place.attempt,), daemon=True).start()
        result = await self._inner.run(arguments, place)
        self._fuse.at("command-ended-before-recorded")
        return result

    def _strike(self, attempt: str) -> None:
        """As soon as it may have run, or a moment later: before, while and after it does what it does."""
        started = self._spool / attempt / "started"
        while not (started.exists() and started.stat().st_size):
            time.sleep(0.002)
        time.sleep(random.random() * 0.1)
        others = ()
        if self._fuse.window == "engine-and-supervisor":
            others = (json.loads(started.read_bytes())["supervisor"]["pid"],)
            if (started.parent / "exit.json").exists():
                return  # it is over: killing a pid that is free again would be somebody else's end
        self._fuse.burn(*others, attempt=attempt)
