"""The step in the making: what it may know, the task as it becomes, and what has been decided so far. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from core.model.effects import Effect, RunTool, SetDeadline
from core.model.events import Conversation
from core.model.ids import CallId, GrantId, effect_of
from core.model.inquiries import Grant
from core.model.team import Role, Team
from core.model.work import Call, CallState, Entry, Returned, Task, ToolResult
from core.rules.actions import Act
from core.rules.canonical import action_digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Env:
    """What the step must know of the outside. `fingerprints`: SHA-256 of each command's program that could be read.
    `exhausted`: budget scopes that had no room. `denied`: intents people denied anywhere in this root task.
    `grants`: bounded ones that hold in it. `directs`: where each person can be shown something in private, by id.
    `stand_ins`: delegates by the absent who named them.
    `memories`: what each role remembers that may be given a task now.
    """

    now_ms: int
    team: Team
    fingerprints: Mapping[str, str] = field(default_factory=dict)
    exhausted: frozenset[str] = frozenset()
    denied: frozenset[str] = frozenset()
    grants: tuple[Grant, ...] = ()
    directs: Mapping[str, Conversation] = field(default_factory=dict)
    stand_ins: Mapping[str, str] = field(default_factory=dict)
    memories: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """The new state, the entries the step adds to the journal itself, and what must happen."""

    task: Task
    entries: tuple[Entry, ...] = ()
    effects: tuple[Effect, ...] = ()


class Turn:
    """The step in the making: a task that is replaced, not changed, and what has been decided so far."""

    def __init__(self, task: Task, env: Env) -> None:
        self.task = task
        self.env = env
        self.n = task.step  # the number of the entry being folded
        self.entries: list[Entry] = []
        self.effects: list[Effect] = []
        self.performed = 0

    @property
    def role(self) -> Role:
        return self.env.team.roles[self.task.role]

    def set(self, **changes: object) -> None:
        self.task = msgspec.structs.replace(self.task, **changes)

    def call(self, call_id: CallId) -> Call | None:
        return next((c for c in self.task.calls if c.id == call_id), None)

    def put(self, call: Call) -> None:
        self.set(calls=tuple(call if c.id == call.id else c for c in self.task.calls))

    def settle(self, call: Call, result: ToolResult) -> None:
        """The rules themselves give the call its result."""
        self.entries.append(Returned(at_ms=self.env.now_ms, call=call.id, result=result, derived=True))
        self.put(msgspec.structs.replace(call, state=CallState.ENDED))

    def run(self, call: Call, act: Act, grant: GrantId | None) -> None:
        """Let a worker perform the call's action."""
        effect_id = effect_of(self.task.id, self.n, self.performed)
        self.performed += 1
        self.effects.append(
            RunTool(
                id=effect_id,
                call=call.id,
                tool=act.action.tool,
                arguments=act.action.arguments,
                effect=act.effect,
                seconds_max=act.seconds_max,
                digest=action_digest(act.action),
                grant=grant,
            )
        )
        self.put(msgspec.structs.replace(call, state=CallState.RUNNING, effect=effect_id))

    def done(self) -> Step:
        """Number what was decided and keep the wall clock."""
        self._keep_time()
        self.set(step=self.n + 1 + len(self.entries), updated_at_ms=self.env.now_ms)
        return Step(task=self.task, entries=tuple(self.entries), effects=tuple(self.effects))

    def _keep_time(self) -> None:
        """Wall clock counts while something of the task runs, not while it waits for people or children; a brief's
        deadline comes all the same, and is acted on when the task next works.
        """
        task, now_ms = self.task, self.env.now_ms
        running = not task.phase.final and (task.thinking is not None or _any_running(task))
        if running and task.active_since_ms is None:
            left_ms = max(0, self.role.task_seconds_max * 1000 - task.active_ms)
            if task.brief.deadline_ms is not None:
                left_ms = min(left_ms, max(0, task.brief.deadline_ms - now_ms))
            self.set(active_since_ms=now_ms)
            self.effects.append(SetDeadline(due_at_ms=now_ms + left_ms))
        elif not running and task.active_since_ms is not None:
            self.set(active_since_ms=None, active_ms=task.active_ms + max(0, now_ms - task.active_since_ms))
            self.effects.append(SetDeadline(due_at_ms=None))


def _any_running(task: Task) -> bool:
    return any(c.state is CallState.RUNNING for c in task.calls)
