"""What stands around the engine in a simulated run: time, chance, a store that can be cut off, a platform, tools.

Every one of them calls `Life.point` where a process could die: before and after whatever it does. A life that has ended
does nothing any more, whatever of it is still scheduled.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from core import ports
from core.adapters.memory import MemoryStore
from core.adapters.memory_reads import MemoryReads
from core.adapters.models.scripted import ScriptedModel
from core.model import unit as u
from core.model.effects import RunTool
from core.model.errors import AmbiguousError, RateLimitedError, RetryableError, StoreFullError
from core.model.events import Conversation, Event
from core.model.ids import digest_of
from core.model.team import EffectClass, Team, ToolSpec
from core.model.views import Post
from core.model.work import Failure, Reply, Task, ToolResult
from core.ports import Intake, ModelRequest, Sending, Workplace

START_MS = 1_800_000_000_000


class Crashed(BaseException):
    """The process is gone. No `except Exception` of the engine may notice."""


class SimClock:
    """Time stands still until the world turns it."""

    def __init__(self) -> None:
        self.at_ms = START_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class SimIds:
    def __init__(self, chance: random.Random) -> None:
        self._chance = chance

    def token(self) -> str:
        return f"{self._chance.getrandbits(64):016x}"

    def jitter(self) -> float:
        return self._chance.random()


class SimBus:
    """Loses every notice: the sweeps must find everything."""

    def notify(self, topic: str) -> None:
        pass

    async def wait(self, topic: str, seconds: float) -> None:
        await asyncio.sleep(0)


@dataclass(slots=True, kw_only=True)
class Hazards:
    """Where this run dies, and how its coroutines interleave. `count` numbers the boundaries passed so far."""

    chance: random.Random
    crash_at: frozenset[int] = frozenset()
    crash_on: list[str] = field(default_factory=list)  # the next time a point of this name is passed
    steal_at: frozenset[int] = frozenset()
    interleave: bool = False
    count: int = 0
    seen: Counter[str] = field(default_factory=Counter)
    full_n: int = 0  # so many commits still find the disk full
    faults: float = 0.0  # how often a send meets trouble

    def trouble(self) -> bool:
        return self.faults > 0 and self.chance.random() < self.faults


class Life:
    """One run of the process, from its start to its end."""

    def __init__(self, hazards: Hazards) -> None:
        self.hazards = hazards
        self.alive = True
        self.died_at = ""
        self.robbed = False
        self.tasks: set[asyncio.Task[bool]] = set()
        self.held = 0

    async def point(self, what: str) -> None:
        """A boundary: the process may die here, or somebody else may get a turn."""
        hazards = self.hazards
        if not self.alive:
            raise Crashed
        hazards.count += 1
        hazards.seen[what] += 1
        if hazards.count in hazards.steal_at:
            self.robbed = True
        if hazards.count in hazards.crash_at or what in hazards.crash_on:
            if what in hazards.crash_on:
                hazards.crash_on.remove(what)
            self.alive, self.died_at = False, what
            raise Crashed
        if hazards.interleave:
            for _ in range(hazards.chance.choice((0, 0, 1, 2, 5))):
                await asyncio.sleep(0)
            if not self.alive:
                raise Crashed


class SimStore:
    """One life's hands on the store that outlives it."""

    def __init__(self, inner: MemoryStore, life: Life, firsts: dict[str, Task], unknowable: list[str]) -> None:
        self._inner = inner
        self._life = life
        self._firsts = firsts  # every task as its first step left it
        self._unknowable = unknowable  # what was taken over after it had begun, and cannot be repeated

    @property
    def read(self) -> MemoryReads:
        return self._inner.read

    async def commit(self, unit: u.Unit) -> u.Answer:
        await self._life.point("before commit")
        hazards = self._life.hazards
        if hazards.full_n:
            hazards.full_n -= 1
            raise StoreFullError("the disk is full")
        answer = await self._inner.commit(unit)
        if answer == u.Applied():
            for change in unit.changes:
                if isinstance(change, u.PutTask) and change.task.version == 1:
                    self._firsts[change.task.id] = change.task
        await self._life.point("after commit")
        return answer

    async def claim_effects(self, claim: u.ClaimEffects) -> tuple[u.LeasedEffect, ...]:
        leased = await self._inner.claim_effects(claim)
        self._unknowable.extend(item.effect.id for item in leased if self._begun(item))
        if leased:
            await self._life.point("after claim")
        return leased

    def _begun(self, leased: u.LeasedEffect) -> bool:
        effect = leased.effect
        once = isinstance(effect, RunTool) and effect.effect is EffectClass.ONCE
        return leased.again and once and (effect.grant is None or effect.id in self._inner._tables.attempts)

    async def claim_posts(self, claim: u.ClaimPosts) -> tuple[u.LeasedPost, ...]:
        leased = await self._inner.claim_posts(claim)
        if leased:
            await self._life.point("after claim")
        return leased

    async def due(self, n: int) -> Any:
        return await self._inner.due(n)


class SimModel:
    """The script, with a boundary on either side."""

    def __init__(self, inner: ScriptedModel, life: Life) -> None:
        self._inner = inner
        self._life = life

    async def reply(self, request: ModelRequest) -> Reply:
        await self._life.point("before model")
        reply = await self._inner.reply(request)
        await self._life.point("after model")
        return reply


@dataclass(slots=True, kw_only=True)
class Screen:
    """The platform itself: it outlives every crash of ours. What people see, and what it has not been thanked for.

    `nonce`: it drops a second send of one post and can say whether the first arrived. Without, it can do neither.
    """

    nonce: bool = True
    messages: dict[str, list[Post]] = field(default_factory=dict)  # by receipt, with every edit
    receipts: dict[str, str] = field(default_factory=dict)  # by post
    pending: list[Event] = field(default_factory=list)
    acked: list[Event] = field(default_factory=list)

    def take(self, post: Post, edits: str) -> str:
        if self.nonce and post.id in self.receipts:
            return self.receipts[post.id]
        receipt = edits or f"m{len(self.messages) + 1}"
        self.messages.setdefault(receipt, []).append(post)
        self.receipts[post.id] = receipt
        return receipt


ALONE = "alone"
"""The account of a private chat; its channel is whose it is."""


class SimPlatform(ports.Platform):
    """One life's connection to the screen."""

    name = "sim"
    sending = Sending.BLIND

    def __init__(self, screen: Screen, life: Life) -> None:
        self._screen = screen
        self.sending = Sending.KEYED if screen.nonce else Sending.BLIND
        self._life = life

    async def run(self, intake: Intake) -> None:
        raise NotImplementedError  # the world hands events over one by one

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        await self._life.point("before send")
        hazards = self._life.hazards
        if hazards.trouble():
            match hazards.chance.randrange(4):
                case 0:
                    raise RateLimitedError("slow down", retry_after_ms=2_000, scope="conversation")
                case 1:
                    raise RateLimitedError("slow down", retry_after_ms=3_000, scope="account")
                case 2:
                    raise RetryableError("the platform is out of order")
                case _:
                    if hazards.chance.random() < 0.5:
                        self._screen.take(post, edits)
                    raise AmbiguousError("cut off after the write")
        receipt = self._screen.take(post, edits)
        await self._life.point("after send")
        return receipt

    def direct(self, account: str) -> Conversation | None:
        return Conversation(platform=self.name, account=ALONE, channel=account)

    def is_private(self, conversation: Conversation) -> bool:
        return conversation.account == ALONE

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        if edits:
            return None
        if not self._screen.nonce:
            raise AmbiguousError("this platform cannot tell")
        return self._screen.receipts.get(post.id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """An effect that really happened, as the outside world counts it."""

    tool: str
    command: str
    role: str
    task: str
    attempt: str
    arguments: dict[str, Any]


@dataclass(slots=True, kw_only=True)
class Outside:
    """What tools really did: kept apart from every record of ours, so that it can contradict them."""

    done: list[Execution] = field(default_factory=list)
    times: Counter[str] = field(default_factory=Counter)  # by attempt
    remembers: bool = False
    hold: set[str] = field(default_factory=set)  # tools that do not come back until they are cancelled or let go
    gates: dict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    raises: set[str] = field(default_factory=set)
    cancelled: set[str] = field(default_factory=set)  # attempts that will not start any more


class SimTool:
    def __init__(self, spec: ToolSpec, outside: Outside, life: Life) -> None:
        self._spec = spec
        self._outside = outside
        self._life = life

    @property
    def spec(self) -> ToolSpec:
        return self._spec

    @property
    def remembers(self) -> bool:
        return self._outside.remembers

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        outside, name = self._outside, self._spec.name
        await self._life.point(f"before {name}")
        if name in outside.raises:
            raise RuntimeError("the tool is broken")
        if not (outside.remembers and outside.times[place.attempt]):  # what remembers runs an attempt once, for whoever
            held = place.attempt not in outside.cancelled and name in outside.hold
            if place.attempt in outside.cancelled or (held and not await self._wait(place.attempt)):
                return ToolResult(failure=Failure(what=f"{name} was stopped", why="cancelled", recovery="none needed"))
            outside.times[place.attempt] += 1
            command = str(arguments.get("command", ""))
            outside.done.append(
                Execution(
                    tool=name,
                    command=command,
                    role=place.role,
                    task=place.task,
                    attempt=place.attempt,
                    arguments=arguments,
                )
            )
        await self._life.point(f"after {name}")
        return ToolResult(text=f"{name} ok")

    async def _wait(self, attempt: str) -> bool:
        """Until it is let go (True) or cancelled (False)."""
        self._life.held += 1
        try:
            await self._outside.gates[attempt].wait()
        finally:
            self._life.held -= 1
        return self._spec.name not in self._outside.hold

    async def cancel(self, attempt: str) -> None:
        self._outside.cancelled.add(attempt)
        self._outside.gates[attempt].set()


class SimResolver:
    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> str:
        return digest_of("program", arguments.get("command")) if tool == "run_command" else ""


class SimTeams:
    def __init__(self, team: Team) -> None:
        self._team = team

    def current(self) -> Team:
        return self._team

    def of(self, root: str) -> Team:
        return self._team

    def parse(self, blob: bytes) -> Team:
        import msgspec

        return msgspec.json.decode(blob, type=Team)
