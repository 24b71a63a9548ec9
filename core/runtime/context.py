"""What every loop of the engine needs, made once by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

import structlog

from core.model.errors import RetryableError, StoreFullError, TerminalError
from core.model.ids import EffectId, TaskId
from core.model.team import Team
from core.model.unit import AddEffect, Answer, Pause, PutTask, Refused, Room, Unit
from core.ports import Bus, Clock, Drafts, Ids, Laws, ModelProvider, Platform, Resolver, Shelf, Store, TeamSource, Tool
from core.rules.plan import Plan
from core.rules.step import Env

log = structlog.get_logger()

T = TypeVar("T")

FULL_DISK_SECONDS = 1.0


@dataclass(slots=True, kw_only=True)
class Context:
    """Ports, and the few facts that are the process's own: who it is, what it was told to abort."""

    store: Store
    clock: Clock
    ids: Ids
    bus: Bus
    teams: TeamSource
    resolver: Resolver
    models: Mapping[str, ModelProvider]  # by provider name
    tools: Callable[[Team], Mapping[str, Tool]]
    platforms: Mapping[str, Platform]
    secret: str
    holder: str
    shelf: Shelf | None = None
    laws: Laws | None = None
    drafts: Drafts | None = None
    on_abort: list[Callable[[EffectId], None]] = field(default_factory=list)
    on_change: list[Callable[[TaskId, bool], None]] = field(default_factory=list)  # of a request; whether it ended
    definitions: dict[str, Team] = field(default_factory=dict)
    roles_held: dict[tuple[str, str], tuple[int, frozenset[str]]] = field(default_factory=dict)  # when asked, and what
    stopped: set[str] = field(default_factory=set)  # paused scopes: read at the start, kept by every commit since

    async def team(self, definition: str | None = None) -> Team:
        """The current definition, or the stored one with this hash. Raises KeyError for one nobody stored."""
        if definition is None:
            return self.teams.current()
        if definition not in self.definitions:
            current = self.teams.current()
            if current.version == definition:
                self.definitions[definition] = current
            else:
                blob = await self.store.read.blob(definition)
                if blob is None:
                    raise KeyError(definition)
                self.definitions[definition] = self.teams.parse(blob)
        return self.definitions[definition]

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> str:
        """What an action would run, "" if its program cannot be read (then it is not run) or it has none."""
        try:
            return self.resolver.fingerprint(tool, arguments)
        except TerminalError:
            return ""

    def env(self, team: Team, *, commands: tuple[str, ...] = (), **more: Any) -> Env:
        """What a step must know of the outside, as of now."""
        found = {name: self.fingerprint("run_command", {"command": name}) for name in commands}
        fingerprints = {name: fingerprint for name, fingerprint in found.items() if fingerprint}
        return Env(now_ms=self.clock.now_ms(), team=team, fingerprints=fingerprints, **more)

    def plan(self, env: Env, *, free_role: str = "") -> Plan:
        """A transaction in the making."""
        return Plan(env=env, secret=self.secret, holder=self.holder if free_role else "", free_role=free_role)

    async def commit(self, plan: Plan) -> Answer:
        """Commit it, then tell everybody who may have something to do now."""
        answer = await self.store.commit(Unit(guards=tuple(plan.guards), changes=tuple(plan.changes)))
        if not isinstance(answer, Refused):
            self._note_stops(plan)
            for effect in plan.aborted:
                for abort in self.on_abort:
                    abort(effect)
            put = (change.task for change in plan.changes if isinstance(change, PutTask))
            ended = {task.id for task in put if task.phase.final}
            for root in plan.roots:
                for changed in self.on_change:
                    changed(root, root in ended)
            for topic in topics_of(plan):
                self.bus.notify(topic)
        return answer

    def _note_stops(self, plan: Plan) -> None:
        for change in plan.changes:
            if isinstance(change, Pause):
                (self.stopped.add if change.paused else self.stopped.discard)(change.scope)


async def insist(context: Context, commit: Callable[[], Awaitable[T]]) -> T:
    """Commit what has happened outside already, however long the disk stays full: a known outcome must not be lost."""
    while True:
        try:
            return await commit()
        except StoreFullError:
            log.warning("commit.waits", why="the disk is full")
            await context.clock.sleep(FULL_DISK_SECONDS)


async def patiently(context: Context, claim: Callable[[], Awaitable[tuple[T, ...]]]) -> tuple[T, ...]:
    """Claim; a store that cannot write right now gives nothing, after a while. What runs already must not feel it."""
    try:
        return await claim()
    except RetryableError as error:
        log.warning("claim.waits", why=error.what)
        await context.clock.sleep(FULL_DISK_SECONDS)
        return ()


def topics_of(plan: Plan) -> set[str]:
    """Which loops a committed plan gives work to."""
    topics = set()
    for change in plan.changes:
        match type(change).__name__:
            case "AddEffect":
                if not (isinstance(change, AddEffect) and change.holder):
                    topics.add("effects")
            case "RequeueEffect" | "EndEffect" | "Pause":
                topics.add("effects")
            case "AddSignal" | "AddEvent":
                topics.add("events")
            case "AddPost" | "MovePost":
                topics.add("posts")
            case "AddAudit":
                topics.add("audit")
            case _:
                pass
    return topics


def exhausted_scope(answer: Answer) -> str | None:
    """The budget scope that had no room, if that is why a unit was refused."""
    if isinstance(answer, Refused) and isinstance(answer.guard, Room):
        return answer.guard.scope
    return None
