"""The company that is measured: the shipped twelve with one more role that does nothing but steps, in the real House.

Everything but the model, the two tools and the platform is what ships: store, runtime, rules, prompts.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import msgspec

from agents import workspace
from agents.tools import control
from bots.app import House, Workspace, set_up_log
from core.adapters.models.scripted import ScriptedModel, Step
from core.model.editions import Edition
from core.model.events import ControlPressed, Conversation, MessageReceived, Sender
from core.model.team import Budget, EffectClass, Json, ModelSpec, Person, Team, Tier, ToolSpec
from core.model.unit import Answer as CommitAnswer
from core.model.unit import Applied, Unit
from core.model.views import Answer, InquiryCard, Post, Trouble
from core.model.work import ToolResult
from core.ports import Intake, ModelRequest, Platform, Tool, Workplace
from core.runtime.context import Context
from core.runtime.engine import Engine

OUT: Final = Path(__file__).parent / "out"
ROLE: Final = "bench"
PLATFORM: Final = "bench"
WIDE: Final = Budget(
    call_input_tokens_max=10**6,
    task_tokens_max=10**9,
    task_calls_max=10**6,
    day_tokens_max=10**12,
    day_microusd_max=10**12,
)
NOTE: Final = ToolSpec(
    name="note",
    about="Keep a line.",
    parameters=control.shape({"text": {"type": "string"}}, ("text",)),
    effect=EffectClass.IDEMPOTENT,
)
PUBLISH: Final = ToolSpec(
    name="publish",
    about="Show something to the world.",
    parameters=control.shape({"page": {"type": "string"}}, ("page",)),
    tier=Tier.EXTERNAL,
    effect=EffectClass.ONCE,
    resource="page:{page}",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much work a run does."""

    repeats: int = 3
    turns: int = 10  # of each task; a task ends at its last
    raw_batches: int = 8
    raw_units: int = 40
    approvals: int = 48
    messages: int = 40
    inquiries: int = 100_000
    memories: int = 100_000
    idle_seconds: float = 8.0
    peers: bool = True
    crowd_seconds: float = 60.0
    crowd_rate: float = 50.0

    @classmethod
    def quick(cls, *, peers: bool) -> Scale:
        """Under a minute, to see that every row comes; its figures are rough."""
        return cls(
            repeats=1,
            approvals=16,
            messages=10,
            inquiries=5_000,
            memories=10_000,
            idle_seconds=2.0,
            peers=peers,
            crowd_seconds=5,
        )


class FixedTeam:
    """A TeamSource that never changes."""

    def __init__(self, team: Team) -> None:
        self._team = team

    def current(self) -> Team:
        return self._team

    def of(self, root: str) -> Team:
        return self._team

    def reload(self) -> Team:
        return self._team

    def edition(self) -> Edition:
        return Edition(team=self._team)

    def stamp(self) -> str:
        return ""

    def read_at(self) -> str:
        return ""

    def keep(self, at_ms: int) -> None:
        """There are no files."""

    def parse(self, blob: bytes) -> Team:
        return msgspec.json.decode(blob, type=Team)


@dataclass(frozen=True, slots=True)
class Work:
    """A tool that is done at once."""

    spec: ToolSpec
    remembers: bool = False

    async def run(self, arguments: dict[str, Json], place: Workplace) -> ToolResult:
        return ToolResult(text=f"done: {arguments}")

    async def cancel(self, attempt: str) -> None:
        return


def bench_team(shipped: Team) -> Team:
    """The shipped team under a lead that may do anything often, with somebody else to approve it."""
    delegate = control.delegate(tuple(shipped.roles)[:3], ("testing",), ())
    specs = (delegate, control.ASK, control.FINISH, control.find_tools(()), NOTE, PUBLISH)
    role = msgspec.structs.replace(
        shipped.roles["developer"],
        id=ROLE,
        reports_to=None,
        specs=specs,
        tools=tuple(spec.name for spec in specs),
        commands=(),
        concurrency_max=64,
        budget=WIDE,
    )
    model = ModelSpec(provider="scripted", model="scripted")
    return msgspec.structs.replace(
        shipped,
        version="bench",
        lead=ROLE,
        roles={**shipped.roles, ROLE: role},
        tools={**shipped.tools, NOTE.name: NOTE, PUBLISH.name: PUBLISH},
        models=dict.fromkeys(shipped.models, model),
        people=(
            Person(id="ana", name="Ana", role="owner", accounts=("bench:ana",)),
            Person(id="ben", name="Ben", role="approver", accounts=("bench:ben",)),
        ),
    )


def place(name: str) -> Path:
    """A new folder beside the results, on the disk that is measured."""
    folder = OUT / ".work" / f"{name}-{uuid4().hex[:8]}"
    folder.mkdir(parents=True)
    return folder


def remove(folder: Path) -> None:
    """What was measured is not kept."""
    shutil.rmtree(folder, ignore_errors=True)


class Timeline:
    """A store that notes when each of its commits began and ended. `kept` holds the units, if asked to."""

    def __init__(self, store: Any, *, keep: bool = False) -> None:
        self._store = store
        self._keep = keep
        self.kept: list[Unit] = []
        self.commits: list[tuple[float, float, str]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def commit(self, unit: Unit) -> CommitAnswer:
        begun = time.perf_counter()
        answer: CommitAnswer = await self._store.commit(unit)
        if isinstance(answer, Applied):
            if self._keep:
                self.kept.append(unit)
            self.commits.append((begun, time.perf_counter(), "+".join(type(c).__name__ for c in unit.changes)))
        return answer

    async def claim_effects(self, claim: Any) -> Any:
        return await self._claim(self._store.claim_effects, claim)

    async def claim_posts(self, claim: Any) -> Any:
        return await self._claim(self._store.claim_posts, claim)

    async def _claim(self, verb: Callable[[Any], Any], claim: Any) -> Any:
        begun = time.perf_counter()
        leased = await verb(claim)
        if leased:  # a claim that finds nothing writes nothing
            self.commits.append((begun, time.perf_counter(), type(claim).__name__))
        return leased


def in_a_row(commits: list[tuple[float, float, str]], since: float, until: float) -> list[str]:
    """The longest chain of commits of which each began after the one before had ended, within the span: no fewer than
    those that really waited for each other.
    """
    chain: list[str] = []
    last = since
    for begun, ended, what in sorted(commits, key=lambda commit: commit[1]):
        if begun >= last and ended <= until:
            chain.append(what)
            last = ended
    return chain


class People(Platform):
    """A platform whose people answer at once: Ben approves whatever he is shown."""

    def __init__(self) -> None:
        self._intake: Intake | None = None
        self.ready = asyncio.Event()
        self.answered: dict[str, asyncio.Future[float]] = {}
        self._presses = 0

    @property
    def name(self) -> str:
        return PLATFORM

    async def run(self, intake: Intake) -> None:
        self._intake = intake
        self.ready.set()
        await asyncio.Event().wait()

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        waiting = self.answered.get(post.conversation.channel)
        match post.view:
            case InquiryCard(buttons=buttons) if buttons:
                self._presses += 1
                press = ControlPressed(
                    key=f"{post.id}:press:{self._presses}",
                    at_ms=post.at_ms,
                    conversation=post.conversation,
                    sender=Sender(account="bench:ben", name="Ben"),
                    control=buttons[0].control,
                )
                await self._engine().accept(press)
            case Answer() if waiting and not waiting.done():
                waiting.set_result(time.perf_counter())
            case Trouble(what=text) if waiting and not waiting.done():
                waiting.set_exception(RuntimeError(f"instead of an answer: {text}"))
            case _:
                pass
        return "shown"

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        return None

    def _engine(self) -> Intake:
        if self._intake is None:
            raise RuntimeError("the engine does not run yet")
        return self._intake

    async def ask(self, channel: str, text: str) -> tuple[float, float]:
        """Say it in a conversation of its own; when it was said, and when the answer was about to be shown."""
        answer: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        self.answered[channel] = answer
        begun = time.perf_counter()
        message = MessageReceived(
            key=f"say:{channel}",
            at_ms=time.time_ns() // 1_000_000,
            conversation=Conversation(platform=PLATFORM, account="a", channel=channel),
            sender=Sender(account="bench:ana", name="Ana"),
            text=text,
        )
        await self._engine().accept(message)
        async with asyncio.timeout(60):
            return begun, await answer


Script = Callable[[ModelRequest], Step]


@asynccontextmanager
async def opened(
    name: str, script: Script, *, people: People | None = None, keep: bool = False
) -> AsyncIterator[tuple[Engine, Context, Timeline]]:
    """An engine on a workspace of its own that is removed afterwards. It runs only what its user runs."""
    folder = place(name)
    workspace.init(folder, "twelve")
    house = await House.open(Workspace(folder), {})
    set_up_log(house.workspace)  # logging costs what it costs
    try:
        timeline = Timeline(house.store, keep=keep)
        house.store = timeline  # type: ignore[assignment]
        team = bench_team(house.teams.current())
        house.teams = FixedTeam(team)  # type: ignore[assignment]
        house.intake = type(house.intake)(timeline, house.bus)
        engine = await house.engine({people.name: people} if people else {})
        tools: Mapping[str, Tool] = {spec.name: Work(spec) for spec in (NOTE, PUBLISH)}
        engine.context.tools = lambda _team: tools
        engine.context.models = {"scripted": ScriptedModel(script)}
        yield engine, engine.context, timeline
    finally:
        await house.close()
        remove(folder)


@asynccontextmanager
async def running(engine: Engine, people: People) -> AsyncIterator[None]:
    """All its loops, while the block lasts."""
    run = asyncio.create_task(engine.run())
    ready = asyncio.create_task(people.ready.wait())
    await asyncio.wait((run, ready), return_when=asyncio.FIRST_COMPLETED)
    try:
        if run.done():
            await run
        yield
    finally:
        run.cancel()
        with suppress(asyncio.CancelledError):
            await run
