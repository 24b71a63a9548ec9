"""The whole engine on a table: the store in memory, a clock that is turned by hand, and everything outside faked.

Nothing runs by itself. A test says, orders and presses as people would, turns the clock, and `settle` lets the engine
do whatever there is to do now. A breakdown of the engine's own code fails the test unless it was expected by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from structlog.testing import capture_logs

from core import ports
from core.adapters.memory import MemoryStore
from core.adapters.models.scripted import Rule, Script, ScriptedModel
from core.adapters.system import LocalBus
from core.model import unit as u
from core.model.effects import RunTool
from core.model.errors import RetryableError, StoreFullError, TerminalError
from core.model.events import (
    Attachment,
    CommandReceived,
    ControlPressed,
    Conversation,
    Event,
    FormSubmitted,
    MessageReceived,
    Sender,
)
from core.model.inquiries import Inquiry
from core.model.team import EffectClass, Person, Team, Tier, ToolSpec
from core.model.views import Answer, DecidedCard, InquiryCard, Line, Post, StatusLine, Trouble
from core.model.work import Entry, Failure, Task, ToolResult
from core.ports import Health, Intake, ModelProvider, Sending, Workplace
from core.rules import words
from core.runtime.context import Context
from core.runtime.engine import Engine
from tests import small

MAIN = Conversation(platform="chat", account="acme", channel="main")
SIDE = Conversation(platform="chat", account="acme", channel="side")
DESK = Conversation(platform="desk", account="acme", channel="main")
POKE = small.tool("poke", {"at": {"type": "string"}}, ("at",), tier=Tier.INTERNAL, effect=EffectClass.ONCE)
FETCH = small.tool("fetch", {"at": {"type": "string"}}, ("at",), tier=Tier.READ, effect=EffectClass.READ)
SPINS = 40
"""Turns of the event loop after which a coroutine that has not ended is held by something outside."""


def person(name: str, role: str = "approver") -> Person:
    return Person(id=name, name=name.title(), role=role, accounts=(f"chat:{name}", f"desk:{name}"))


YOU, BOB, CAROL = person("you", "owner"), person("bob"), person("carol")
MIA, VIC = person("mia", "member"), person("vic", "viewer")


def in_private(account: str) -> Conversation:
    """Where posts for one account alone go."""
    platform, _, user = account.partition(":")
    return Conversation(platform=platform, account="alone", channel=f"@{user}")


def dm(account: str) -> Conversation:
    """The same place as events name it: nobody can tell whose it is."""
    platform, _, user = account.partition(":")
    return Conversation(platform=platform, account="dm", channel=f"D-{user}")


def company(*people: Person, **changes: Any) -> Team:
    """The small team, with people who have accounts on both platforms; ops may poke and fetch too."""
    made = small.team(*(people or (YOU,)), **changes)
    ops = made.roles["ops"]
    return changed_role(made, "ops", specs=(*ops.specs, POKE, FETCH), tools=(*ops.tools, "poke", "fetch"))


def changed_role(team: Team, role_id: str, **changes: Any) -> Team:
    new = msgspec.structs.replace(team.roles[role_id], **changes)
    return msgspec.structs.replace(team, roles={**team.roles, role_id: new})


def budgeted(team: Team, role_id: str, **limits: Any) -> Team:
    """The team, with other limits for one role."""
    return changed_role(team, role_id, budget=msgspec.structs.replace(team.roles[role_id].budget, **limits))


class Clock:
    """Time stands still until a test turns it."""

    def __init__(self) -> None:
        self.at_ms = small.NOW_MS
        self.slept: list[float] = []

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        await asyncio.sleep(0)


class FixedIds:
    def token(self) -> str:
        return "0" * 16

    def jitter(self) -> float:
        return 0.0


class Store:
    """The store in memory. `full_n` commits find the disk full; `meanwhile` happens just before a commit that fits."""

    def __init__(self, clock: Clock) -> None:
        self.inner = MemoryStore(clock)
        self.read = self.inner.read
        self.full_n = 0
        self.full_if: Callable[[u.Unit], bool] = lambda _unit: True
        self.meanwhile: Callable[[u.Unit], Awaitable[bool]] | None = None

    async def commit(self, unit: u.Unit) -> u.Answer:
        if self.full_n and self.full_if(unit):
            self.full_n -= 1
            raise StoreFullError("the disk is full")
        if self.meanwhile is not None:
            hook, self.meanwhile = self.meanwhile, None
            if not await hook(unit):
                self.meanwhile = hook
        return await self.inner.commit(unit)

    async def claim_effects(self, claim: u.ClaimEffects) -> tuple[u.LeasedEffect, ...]:
        return await self.inner.claim_effects(claim)

    async def claim_posts(self, claim: u.ClaimPosts) -> tuple[u.LeasedPost, ...]:
        return await self.inner.claim_posts(claim)

    async def due(self, n: int) -> Any:
        return await self.inner.due(n)


class Platform(ports.Platform):
    """People's screens. `troubles` are raised by the next sends, one each; None lets one through."""

    name = ""
    sending = Sending.BLIND

    def __init__(self, name: str) -> None:
        self.name = name
        self.parts_n = 1
        self.held: dict[str, frozenset[str]] = {}  # roles by account
        self.alone: set[str] = set()  # accounts that can be written to in private
        self.files: dict[str, bytes] = {}  # by reference
        self.state = Health()
        self.messages: dict[str, list[Post]] = {}  # by receipt, with every edit
        self.sent: list[Post] = []
        self.troubles: list[BaseException | None] = []
        self.silent = asyncio.Event()
        self.hangs = False
        self.found: dict[str, str] = {}
        self.cannot_tell: BaseException | None = None

    async def run(self, intake: Intake) -> None:
        await self.silent.wait()

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        if self.troubles and (trouble := self.troubles.pop(0)):
            raise trouble
        if self.hangs:
            await self.silent.wait()
        self.sent.append(post)
        receipt = edits or f"m{len(self.messages) + 1}"
        self.messages.setdefault(receipt, []).append(post)
        return receipt

    def parts(self, post: Post) -> int:
        return self.parts_n

    async def roles(self, account: str, conversation: Conversation) -> frozenset[str]:
        if account not in self.held:
            raise RetryableError("cannot be asked now")
        return self.held[account]

    def direct(self, account: str) -> Conversation | None:
        return in_private(account) if account in self.alone else None

    def is_private(self, conversation: Conversation) -> bool:
        return conversation.account in {"alone", "dm"}

    async def fetch(self, file: Attachment) -> bytes:
        if self.troubles and (trouble := self.troubles.pop(0)):
            raise trouble
        return self.files[file.ref]

    def health(self) -> Health:
        return self.state

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        if self.cannot_tell is not None:
            raise self.cannot_tell
        return self.found.get(post.id)


@dataclass(slots=True)
class FakeTool:
    """A tool that records what it did. `does` may be set to anything; `hold` makes it wait until it is cancelled."""

    spec: ToolSpec
    remembers: bool = False
    ran: list[tuple[dict[str, Any], Workplace]] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)
    let_go: asyncio.Event = field(default_factory=asyncio.Event)
    deaf: bool = False  # a cancel does not reach what runs
    does: Callable[[dict[str, Any], Workplace], Awaitable[Any]] | None = None
    on_cancel: Callable[[str], Awaitable[None]] | None = None

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        self.ran.append((arguments, place))
        if self.does is not None:
            return await self.does(arguments, place)
        return ToolResult(text=f"{self.spec.name} ok")

    async def cancel(self, attempt: str) -> None:
        self.cancelled.append(attempt)
        if not self.deaf:
            self.let_go.set()
        if self.on_cancel is not None:
            await self.on_cancel(attempt)

    def hold(self) -> None:
        async def wait(arguments: dict[str, Any], place: Workplace) -> ToolResult:
            await self.let_go.wait()
            if place.attempt in self.cancelled:
                return ToolResult(failure=Failure(what="stopped", why="cancelled", recovery="none"))
            return ToolResult(text="held, and let go")

        self.does = wait

    def returns(self, result: Any) -> None:
        async def give(arguments: dict[str, Any], place: Workplace) -> Any:
            return result

        self.does = give

    def raises(self, error: BaseException) -> None:
        async def broken(arguments: dict[str, Any], place: Workplace) -> Any:
            raise error

        self.does = broken


class Programs:
    """Fingerprints of programs; None: the program cannot be read."""

    def __init__(self) -> None:
        self.prints: dict[str, str | None] = dict(small.FINGERPRINTS)
        self.broken: Exception | None = None

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> str:
        if self.broken is not None:
            raise self.broken
        if tool != "run_command":
            return ""
        found = self.prints.get(str(arguments.get("command")))
        if found is None:
            raise TerminalError("its program cannot be read")
        return found


class Teams:
    def __init__(self, team: Team) -> None:
        self.team = team

    def current(self) -> Team:
        return self.team

    def of(self, root: str) -> Team:
        return self.team

    def parse(self, blob: bytes) -> Team:
        return msgspec.json.decode(blob, type=Team)


class Table:
    """See the module's docstring."""

    def __init__(
        self,
        script: Mapping[str, Script] | None = None,
        *,
        team: Team | None = None,
        rules: tuple[Rule, ...] = (),
        model: ModelProvider | None = None,
        around: Callable[[Any], Awaitable[None]] | None = None,
        expect: tuple[str, ...] = (),
        models: Mapping[str, ModelProvider] | None = None,
    ) -> None:
        self.clock = Clock()
        self.store = Store(self.clock)
        self.teams = Teams(team or company())
        self.programs = Programs()
        self.chat, self.desk = Platform("chat"), Platform("desk")
        self.model = ScriptedModel(script or {}, rules=rules, around=around)
        specs = (small.NOTE, small.LOOK, small.MAIL, small.RUN, POKE, FETCH)
        self.tools = {spec.name: FakeTool(spec) for spec in specs}
        self.bus = LocalBus()
        self.context = Context(
            store=self.store,
            clock=self.clock,
            ids=FixedIds(),
            bus=self.bus,
            teams=self.teams,
            resolver=self.programs,
            models={"scripted": model or self.model} if models is None else models,
            tools=lambda _team: self.tools,
            platforms={"chat": self.chat, "desk": self.desk},
            secret="kit",
            holder="kit",
        )
        self.engine = Engine(self.context)
        self.running: set[asyncio.Task[None]] = set()
        self.log: list[Any] = []
        self.expect = expect
        self._n = 0
        self._kept = False
        self._skew_seconds = 0.0

    # --- What people do ---------------------------------------------------------------------------------------------

    async def happens(self, kind: Callable[..., Event], by: str = "you", at: Conversation = MAIN, **fields: Any) -> str:
        """An event comes in. Returns its key."""
        self._n += 1
        key = fields.pop("key", f"{at.platform}:{self._n}")
        sender = fields.pop("sender", Sender(account=f"{at.platform}:{by}", name=by.title()))
        await self.engine.intake.accept(
            kind(key=key, at_ms=self.clock.now_ms(), conversation=at, sender=sender, **fields)
        )
        return key

    async def say(self, text: str, by: str = "you", *, at: Conversation = MAIN, role: str | None = None) -> str:
        """Somebody writes, and everything that follows is done."""
        key = await self.happens(MessageReceived, by, at, text=text, role=role)
        await self.settle()
        return key

    async def order(self, line: str, by: str = "you", *, at: Conversation = MAIN) -> str:
        """A command, as `/approve i-12 yes`. Returns the last line it was answered with."""
        name, *arguments = line.removeprefix("/").split(" ")
        key = await self.happens(CommandReceived, by, at, name=name, arguments=tuple(arguments))
        await self.settle()
        return self.answered(key)

    async def press(self, verb: str, by: str = "you", *, at: Conversation = MAIN, **fields: str) -> str:
        """The button of that verb, on the newest card on screen. Returns the line that answered it."""
        return await self.control(self.button(verb), by, at=at, **fields)

    async def control(self, control: str, by: str = "you", *, at: Conversation = MAIN, **fields: str) -> str:
        if fields:
            key = await self.happens(FormSubmitted, by, at, control=control, fields=fields)
        else:
            key = await self.happens(ControlPressed, by, at, control=control)
        await self.settle()
        return self.answered(key)

    def button(self, verb: str) -> str:
        label = {one.value: text for one, text in words.BUTTONS.items()}.get(verb, verb)
        return next(b.control for card in reversed(self.cards) for b in card.buttons if b.label == label)

    # --- What people see --------------------------------------------------------------------------------------------

    @property
    def posts(self) -> list[Post]:
        """The messages on the chat's screen as they are now, oldest first."""
        return [edits[-1] for edits in self.chat.messages.values()]

    @property
    def cards(self) -> list[InquiryCard]:
        return [post.view for post in self.posts if isinstance(post.view, InquiryCard)]

    @property
    def decided(self) -> list[DecidedCard]:
        return [post.view for post in self.posts if isinstance(post.view, DecidedCard)]

    @property
    def lines(self) -> list[str]:
        return [post.view.text for post in self.posts if isinstance(post.view, Line)]

    @property
    def answers(self) -> list[Answer | Trouble]:
        views = (post.view for post in self.posts if post.slot.startswith("answer:"))
        return [view for view in views if isinstance(view, Answer | Trouble)]

    @property
    def answer(self) -> str:
        """The last answer to a request, whole."""
        last = self.answers[-1]
        return last.text if isinstance(last, Answer) else f"{last.what}\n{last.means}\n{last.remedy}"

    @property
    def statuses(self) -> list[StatusLine]:
        return [post.view for post in self.posts if isinstance(post.view, StatusLine)]

    def answered(self, key: str) -> str:
        """What the event was answered with, on whichever platform; "" for nothing."""
        posts = self.chat.sent + self.desk.sent
        found = [post.view for post in posts if post.id in {self._post_of(kind, key) for kind in ("answer", "note")}]
        return found[-1].text if found and isinstance(found[-1], Line) else ""

    @staticmethod
    def _post_of(kind: str, key: str) -> str:
        from core.model.ids import post_of

        return post_of(kind, key)

    # --- What is so -------------------------------------------------------------------------------------------------

    async def tasks(self) -> list[Task]:
        """Oldest first."""
        return [row.task for row in reversed(await self.store.read.tasks())]

    async def task(self, role: str = "ops") -> Task:
        """The newest of the role."""
        return [task for task in await self.tasks() if task.role == role][-1]

    async def inquiries(self, *, active_only: bool = True) -> tuple[Inquiry, ...]:
        return await self.store.read.inquiries(active_only=active_only)

    async def inquiry(self) -> Inquiry:
        """The only one that is open."""
        (one,) = await self.inquiries()
        return one

    async def newest(self) -> Inquiry:
        """The one opened last, whatever became of it."""
        return (await self.inquiries(active_only=False))[-1]

    async def journal(self, role: str = "ops") -> list[Entry]:
        return [entry for _, entry in await self.store.read.journal((await self.task(role)).id)]

    async def spent(self, role: str) -> u.Spent:
        from core.rules.budget import day_of, scope_of

        return await self.store.read.spent(scope_of(role, day_of("UTC", self.clock.now_ms())))

    def results(self, role: str = "ops") -> list[str]:
        """What the role's model was last told its calls came to."""
        request = [r for r in self.model.requests if r.role == role][-1]
        return [text for message in request.messages for _, text, _ in message.results]

    # --- Driving ----------------------------------------------------------------------------------------------------

    def turn_clock(self, *, hours: float = 0, seconds: float = 0) -> None:
        """Wall clock and monotonic clock of the engine."""
        self.clock.at_ms += int(hours * 3_600_000 + seconds * 1000)

    def pass_timeouts(self, seconds: float) -> None:
        """The event loop's own time: whatever waits at most so long has waited."""
        loop = asyncio.get_running_loop()
        self._skew_seconds += seconds
        skew, base = self._skew_seconds, type(loop).time
        loop.time = lambda: base(loop) + skew  # type: ignore[method-assign]

    async def settle(self) -> None:
        """Go on until nothing is left to do now; what a fake holds back stays under way."""
        with capture_logs() as entries:
            if not self._kept:
                await self.engine.keep_definition()
                self._kept = True
            while await self._round():
                pass
        self.log += entries
        broken = [e for e in entries if e["log_level"] == "error" and e["event"] not in self.expect]
        assert not broken, broken

    async def settle_later(self, *, seconds: float, times: int) -> None:
        """Settle, turn the clock, and again, so often."""
        for _ in range(times):
            self.turn_clock(seconds=seconds)
            await self.settle()

    async def _round(self) -> bool:
        engine = self.engine
        moved = await engine.dispatcher.sweep() == 0
        worker, outbox = engine.worker, engine.outbox
        for effect in await worker.claim():
            worker._busy += 1
            self.running.add(asyncio.ensure_future(worker._perform(effect)))
            moved = True
        for post in await outbox.claim():
            outbox._busy += 1
            self.running.add(asyncio.ensure_future(outbox._send(post)))
            moved = True
        for _ in range(SPINS if self.running else 0):
            await asyncio.sleep(0)
            if done := {task for task in self.running if task.done()}:
                self.running -= done
                moved = True
            if not self.running:
                break
        if not moved and engine.status._moved:
            await engine.status.draw(at_once=True)
            moved = True
        return moved or await engine.sealer.seal() > 0

    async def crash(self) -> None:
        """The process dies and another takes over the store."""
        for task in self.running:
            task.cancel()
        if self.running:
            await asyncio.wait(self.running)
        self.running.clear()
        await self.store.inner.new_boot()
        self.engine = Engine(self.context)

    async def close(self) -> None:
        await self.crash()


def run_tool_of(leased: u.LeasedEffect) -> RunTool:
    assert isinstance(leased.effect, RunTool)
    return leased.effect
