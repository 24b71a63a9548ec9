"""How a role does, from what is stored: pure arithmetic over tasks and inquiries.

Law: a task counts in the week it ended in. Drift compares the last seven days with the weeks before them, and is silent
where either has too few tasks to mean anything.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from core.model.inquiries import Inquiry
from core.model.work import Phase, Task
from core.rules.text import human_money

WEEK_MS = 7 * 86_400_000
TASKS_MIN = 5
"""Of each side of a comparison."""
POINTS_MIN = 10
"""Completion that rose or fell by less, out of 100, is chance."""
COST_RATIO = 1.5
WRITTEN_A_TASK = 0.2
"""More calls that are only written than one in five tasks: a tool, or its description, does not suit the model."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbers:
    """Of one role. `done_percent` and `cost_microusd` are None where nothing ended."""

    role: str
    ended_n: int
    done_percent: float | None
    failed_per_100: float
    asked_n: int
    escalated_n: int
    repairs_n: int
    written_n: int  # calls that were only written, and read from the text
    cost_microusd: float | None  # the median of a task's own
    drift: tuple[str, ...] = ()


def numbers_of(role: str, tasks: Iterable[Task], inquiries: Iterable[Inquiry], since_ms: int, now_ms: int) -> Numbers:
    """Those of tasks that ended, and inquiries that were opened, since then."""
    ended = [t for t in tasks if t.role == role and t.phase.final and since_ms <= t.updated_at_ms <= now_ms]
    asked = [i for i in {i.id: i for i in inquiries}.values() if i.role == role and i.created_at_ms >= since_ms]
    return Numbers(
        role=role,
        ended_n=len(ended),
        done_percent=_done(ended),
        failed_per_100=100 * sum(_failed(t) for t in ended) / len(ended) if ended else 0.0,
        asked_n=len(asked),
        escalated_n=sum(i.escalated_n > 0 for i in asked),
        repairs_n=sum(_repairs(t) for t in ended),
        written_n=sum(t.recovered_n for t in ended),
        cost_microusd=_cost(ended),
        drift=_drift(ended, now_ms),
    )


def _repairs(task: Task) -> int:
    """Replies, briefs and handoffs that had to be made again, and handoffs that a judge sent back."""
    return task.repairs + task.amiss_all_n + task.judged_n


def _failed(task: Task) -> bool:
    return task.phase in {Phase.FAILED, Phase.REJECTED}


def _done(ended: list[Task]) -> float | None:
    """Out of those that were not cancelled: that is somebody's wish, not a failing."""
    meant = [task for task in ended if task.phase is not Phase.CANCELLED]
    return 100 * sum(task.phase is Phase.DONE for task in meant) / len(meant) if meant else None


def _cost(ended: list[Task]) -> float | None:
    return median(task.usage.cost_microusd for task in ended) if ended else None


def _drift(ended: list[Task], now_ms: int) -> tuple[str, ...]:
    late = [task for task in ended if task.updated_at_ms > now_ms - WEEK_MS]
    early = [task for task in ended if task.updated_at_ms <= now_ms - WEEK_MS]
    if len(late) < TASKS_MIN or len(early) < TASKS_MIN:
        return ()
    found = []
    was, now = _done(early), _done(late)
    if was is not None and now is not None and abs(now - was) >= POINTS_MIN:
        found.append(f"done {was:.0f} % -> {now:.0f} %")
    was, now = _cost(early), _cost(late)
    if was and now and not 1 / COST_RATIO < now / was < COST_RATIO:
        found.append(f"median cost {human_money(round(was))} -> {human_money(round(now))}")
    was_n, now_n = (sum(_repairs(task) for task in some) / len(some) for some in (early, late))
    if now_n > max(0.2, COST_RATIO * was_n):
        found.append(f"repairs a task {was_n:.1f} -> {now_n:.1f}")
    was_n, now_n = (sum(task.recovered_n for task in some) / len(some) for some in (early, late))
    if now_n > max(WRITTEN_A_TASK, COST_RATIO * was_n):
        found.append(f"written calls a task {was_n:.1f} -> {now_n:.1f}: look at its tools")
    return tuple(found)


def told(numbers: Numbers | None) -> tuple[str, ...]:
    """A row of the table; its head for None."""
    if numbers is None:
        return (
            "role",
            "ended",
            "done",
            "failed per 100",
            "asked",
            "escalated",
            "repairs",
            "written calls",
            "median cost",
            "this week",
        )
    n = numbers
    return (
        n.role,
        str(n.ended_n),
        "-" if n.done_percent is None else f"{n.done_percent:.0f} %",
        f"{n.failed_per_100:.0f}",
        str(n.asked_n),
        str(n.escalated_n),
        str(n.repairs_n),
        str(n.written_n),
        "-" if n.cost_microusd is None else human_money(round(n.cost_microusd)),
        "; ".join(n.drift) or "-",
    )
