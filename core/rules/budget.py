"""Budgets: per call, per task, per role and day (TEAM.md, Budgets). Warn at 80 %, stop at 100 %.

The most a call may cost is held before it is made and settled with what it did cost. Money is rounded up, to our
disadvantage, in integers: a budget that drifts is none.
"""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

from core.model.team import ModelSpec, Role
from core.model.unit import Room
from core.model.work import Failure, Task, Usage

WARN_AT_PERCENT = 80
UNLIMITED = 2**53 - 1
"""The limit of a role whose budget only warns: the widest integer that JSON carries."""

_MTOK = 1_000_000


def day_of(zone: str, now_ms: int) -> str:
    """The date in the team's zone. An unknown zone raises ZoneInfoNotFoundError: loading a team refuses it."""
    return datetime.fromtimestamp(now_ms // 1000, ZoneInfo(zone)).date().isoformat()


def scope_of(role: str, day: str) -> str:
    """The budget scope of a role's day."""
    return f"role:{role}:{day}"


def worst_case(role: Role, model: ModelSpec) -> tuple[int, int]:
    """Tokens and microusd that one call may cost at most. What a model thinks comes on top of what it may answer."""
    read = role.budget.call_input_tokens_max
    written = min(role.budget.call_output_tokens_max + model.thinking_tokens, model.output_tokens_max)
    dearest = max(
        model.input_microusd_per_mtok, model.cache_read_microusd_per_mtok, model.cache_write_microusd_per_mtok
    )
    return read + written, _rounded_up(read * dearest + written * model.output_microusd_per_mtok)


def cost(usage: Usage, model: ModelSpec) -> int:
    """What the vendor will bill, in microusd."""
    return _rounded_up(
        usage.input_tokens * model.input_microusd_per_mtok
        + usage.output_tokens * model.output_microusd_per_mtok
        + usage.cache_read_tokens * model.cache_read_microusd_per_mtok
        + usage.cache_write_tokens * model.cache_write_microusd_per_mtok
    )


def room(role: Role, scope: str, tokens: int, microusd: int) -> Room:
    """The guard that keeps a call within the role's day."""
    hard = role.budget.hard_stop
    return Room(
        scope=scope,
        tokens=tokens,
        microusd=microusd,
        tokens_max=role.budget.day_tokens_max if hard else UNLIMITED,
        microusd_max=role.budget.day_microusd_max if hard else UNLIMITED,
    )


def task_stop(task: Task, role: Role) -> Failure | None:
    """Why the task may make no further model call. Final for the agent: it cannot ask for more."""
    spent = _spent(task, role, 100)
    if spent is None or not role.budget.hard_stop:
        return None
    return Failure(
        what="the budget of this task is spent",
        why=f"{role.id} has used {spent}",
        recovery="A person may start it again, with a smaller request or a larger budget",
    )


def task_warning(task: Task, role: Role) -> str | None:
    """One line from 80 % on."""
    spent = _spent(task, role, WARN_AT_PERCENT)
    return f"{role.id} has used {spent} in this task" if spent else None


def _spent(task: Task, role: Role, percent: int) -> str | None:
    budget = role.budget
    if task.usage.tokens * 100 >= budget.task_tokens_max * percent:
        return f"{task.usage.tokens} of {budget.task_tokens_max} tokens"
    calls_max = budget.task_calls_max + task.words_n
    if task.turns * 100 >= calls_max * percent:
        return f"{task.turns} of {calls_max} calls"
    return None


def _rounded_up(microusd_times_mtok: int) -> int:
    return -(-microusd_times_mtok // _MTOK)
