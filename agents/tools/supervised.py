"""One run of a program for one attempt, however often a tool is asked for it.

Law: whether it ran is the spool's word alone. What was started and left no record is somebody's to decide, unless its
class says that a second run does no harm.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, assert_never

from agents.tools import confines, spool
from agents.tools.files import RefusedError
from core.model.team import EffectClass, Reach
from core.model.work import Failure, ToolResult
from core.ports import UnknownOutcomeError, Workplace

FILE_BYTES_MAX = 1 << 30
PROCESSES_MAX = 256
LOOK_FIRST = "look at what it did before you act again"
_OUT_OF_MEMORY = re.compile(
    r"MemoryError|Cannot allocate memory|[Oo]ut of memory|std::bad_alloc|memory exhausted|OutOfMemory"
)
_LAST_CHARS = 2_000
"""Whoever ran out of memory said so last."""
_SHELL = 128
"""A shell says of a child that signal n ended that its code was this and n."""


def limits_of(reach: Reach) -> spool.Limits:
    """What holds for each program that a role runs."""
    return spool.Limits(
        cpu_seconds_max=reach.cpu_seconds_max,
        memory_bytes_max=reach.memory_mb_max << 20,
        file_bytes_max=FILE_BYTES_MAX,
        processes_max=PROCESSES_MAX,
    )


def limit_hit(ended: spool.Exit, output: str, reach: Reach) -> str:
    """Which of its limits ended a run, in words; "" where none is known to have."""
    hit: Literal["memory", "processes", "cpu", "file", ""] = ""
    if ended.reason == "limit":
        hit = "processes" if ended.message == confines.PROCESSES else "memory"
    elif ended.reason == "exited" and ended.code != 0:
        if _ended_by(ended, signal.SIGXCPU):
            hit = "cpu"
        elif _ended_by(ended, signal.SIGXFSZ):
            hit = "file"
        elif _OUT_OF_MEMORY.search(output[-_LAST_CHARS:]):
            hit = "memory"
    match hit:
        case "memory":
            return f"it may use {reach.memory_mb_max} MB of memory (reach.memory_mb)"
        case "cpu":
            return f"it may use {reach.cpu_seconds_max} s of processor time (reach.cpu_seconds)"
        case "processes":
            return f"it may have {PROCESSES_MAX} processes at a time"
        case "file":
            return f"no file it writes may be over {FILE_BYTES_MAX >> 20} MB"
        case "":
            return ""
        case _:
            assert_never(hit)


def _ended_by(ended: spool.Exit, number: signal.Signals) -> bool:
    return ended.signal == number or ended.code == _SHELL + number


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What a tool wants run, and how it tells what came of it. `build` blocks; it raises RefusedError."""

    name: str
    build: Callable[[], spool.Command]
    told: Callable[[spool.Exit, str], ToolResult]
    effect: EffectClass


class Supervised:
    """Runs jobs under one spool."""

    def __init__(self, runs: spool.Spool) -> None:
        self._spool = runs

    async def run(self, job: Job, place: Workplace) -> ToolResult:
        """Start it, or find out what an earlier try came to. Raises UnknownOutcomeError, OSError."""
        attempt = place.attempt
        if place.again:
            look = await asyncio.to_thread(self._spool.look, attempt)
            lost = isinstance(look, spool.Unknown) and _may_rerun(job)
            if not lost and not isinstance(look, spool.NotStarted):
                return await self._outcome(job, attempt)
            attempt = _second(attempt)  # the first is over: it will certainly never run from here on
        try:
            command = await asyncio.to_thread(job.build)
        except RefusedError as refused:
            return await self._unless_ran(job, attempt, place, refused)
        try:
            await self._spool.start(attempt, command)
        except OSError as error:
            return failed(f"{job.name} did not start", str(error), "it did not run: try once more, or hand off")
        return await self._outcome(job, attempt)

    async def cancel(self, attempt: str) -> None:
        """SIGTERM, then SIGKILL; what has not started will not."""
        await self._spool.cancel(attempt)
        await self._spool.cancel(_second(attempt))

    async def _unless_ran(self, job: Job, attempt: str, place: Workplace, refused: RefusedError) -> ToolResult:
        """A second try may have run before the engine stopped, and the program may be gone since."""
        if place.again:
            look = await asyncio.to_thread(self._spool.look, attempt)
            if not isinstance(look, spool.NotStarted):
                return await self._outcome(job, attempt)
        return ToolResult(failure=refused.failure)

    async def _outcome(self, job: Job, attempt: str) -> ToolResult:
        name = job.name
        try:
            ended = await self._spool.wait(attempt)
        except spool.AttemptLostError as lost:
            match lost.look:
                case spool.Unknown():
                    raise UnknownOutcomeError(f"{name} was started and left no record of its end") from lost
                case spool.NotStarted():
                    return failed(f"{name} did not start", "its supervisor ended first", "it did not run: try again")
                case _:
                    assert_never(lost.look)
        output = await asyncio.to_thread(self._spool.output, attempt)
        return job.told(ended, output)


def _may_rerun(job: Job) -> bool:
    """Its class says that a second run does no harm (ENGINE.md, pitfall 2); the key in SIGNOFF_KEY stays."""
    return job.effect in {EffectClass.READ, EffectClass.IDEMPOTENT}


def _second(attempt: str) -> str:
    return f"{attempt}.again"


def failed(what: str, why: str, recovery: str) -> ToolResult:
    """A Failure as a result."""
    return ToolResult(failure=Failure(what=what, why=why, recovery=recovery))
