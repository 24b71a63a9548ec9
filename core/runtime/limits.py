"""How often a tool may start, and how many of its runs go on at once (ToolSpec), over all tasks of this process.

A run that must wait goes back to the queue, untouched: a limit costs time, never a permission or an outcome.
"""

from __future__ import annotations

from collections import defaultdict, deque

from core.model.team import ToolSpec
from core.ports import Clock

MINUTE_MS = 60_000
BUSY_WAIT_MS = 500


class NotYetError(Exception):
    """It may not start now; nothing of it has happened."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"{wait_ms} ms")
        self.wait_ms = wait_ms


class Limits:
    """Counts starts and runs by tool."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._started: defaultdict[str, deque[int]] = defaultdict(deque)
        self._running: defaultdict[str, int] = defaultdict(int)

    def begin(self, spec: ToolSpec) -> None:
        """Count a run in; `end` must follow. Raises NotYetError, and then nothing is counted."""
        now_ms, started = self._clock.monotonic_ms(), self._started[spec.name]
        while started and now_ms - started[0] >= MINUTE_MS:
            started.popleft()
        if spec.concurrency_max and self._running[spec.name] >= spec.concurrency_max:
            raise NotYetError(BUSY_WAIT_MS)
        if spec.per_minute_max and len(started) >= spec.per_minute_max:
            raise NotYetError(MINUTE_MS - (now_ms - started[-spec.per_minute_max]))
        if spec.per_minute_max:
            started.append(now_ms)
        self._running[spec.name] += 1

    def end(self, spec: ToolSpec) -> None:
        """Count it out."""
        self._running[spec.name] -= 1
