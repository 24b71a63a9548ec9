"""Play a scenario: the real engine in this process, on a store in memory, with a clock that stands still, a platform
that only keeps what it is shown, and tools that do nothing.

Law: a scenario has no effect outside. Tools are mocked; those for files work in a folder that is thrown away; only what
the scenario itself names in `real_tools` is real. What a model asks for goes through every gate there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, assert_never

import msgspec
from structlog.testing import capture_logs

from agents.behaviour import Asked, CannedRow, Handing, Happened, Ran, Scenario, TurnRow, contains, seconds_of
from agents.tools import Equipment, control, registry
from agents.tools.commands import CommandResolver
from agents.tools.spool import Spool
from core import ports
from core.adapters.memory import MemoryStore
from core.adapters.system import LocalBus, SystemClock
from core.model.events import CommandReceived, Conversation, MessageReceived, Sender
from core.model.ids import short
from core.model.team import Team, ToolSpec
from core.model.views import Answer, DecidedCard, Inbox, InquiryCard, Line, Post, StatusLine, Trouble, View
from core.model.work import Failure, Phase, Reply, Task, ToolResult
from core.ports import Intake, ModelProvider, ModelRequest, Sending, Tool, Workplace
from core.rules.voting import SAME_PRESS_MS
from core.runtime.context import Context
from core.runtime.engine import Engine
from core.runtime.handover import handed

PLATFORM: Final = "trial"
WHERE: Final = Conversation(platform=PLATFORM, account="trial", channel="trial")
MONDAY_MS: Final = 1_767_603_600_000
"""2026-01-05, 09:00 UTC: when every scenario begins, so that its requests are the same bytes on every day."""
KNOWLEDGE_TOOLS: Final = frozenset({"read_knowledge", "use_skill"})
"""They only read what the workspace has beside the prompts, and change nothing."""
FILE_TOOLS: Final = frozenset({"read_file", "write_file", "edit_file", "list_files", "search_files"})
LOOK_SECONDS: Final = 0.005
LINE_MAX: Final = 300
PRESSES_MAX: Final = 2
"""A single operator approves by two presses, some time apart."""


class StandingClock:
    """Time passes when it is told to."""

    def __init__(self) -> None:
        self.at_ms = MONDAY_MS

    def now_ms(self) -> int:
        return self.at_ms

    def monotonic_ms(self) -> int:
        return self.at_ms

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)


class CountedIds:
    """Nobody outside could guess anything, for nobody outside is there."""

    def __init__(self) -> None:
        self._n = 0

    def token(self) -> str:
        self._n += 1
        return f"{self._n:016x}"

    def jitter(self) -> float:
        return 0.0


class FixedTeam(ports.TeamSource):
    """A definition that nobody edits meanwhile."""

    def __init__(self, team: Team) -> None:
        self._team = team

    def current(self) -> Team:
        return self._team

    def parse(self, blob: bytes) -> Team:
        return msgspec.json.decode(blob, type=Team)


class NoPrograms:
    """Fingerprints of commands that will not be run."""

    def fingerprint(self, tool: str, arguments: dict[str, Any]) -> str:
        named = f"{tool}:{arguments.get('command')}"
        return hashlib.sha256(named.encode()).hexdigest() if tool == "run_command" else ""


@dataclass(slots=True)
class Screen(ports.Platform):
    """What the person sees."""

    note: Callable[[str], None]
    shown: dict[str, Post] = field(default_factory=dict)
    name = PLATFORM
    sending = Sending.KEYED

    async def run(self, intake: Intake) -> None:
        await asyncio.Event().wait()

    async def send(self, post: Post, edits: str, part: int = 0) -> str:
        receipt = edits or f"m{len(self.shown) + 1}"
        self.shown[receipt] = post
        if line := _seen(post.view):
            self.note(line)
        return receipt

    async def find_sent(self, post: Post, edits: str, part: int = 0) -> str | None:
        return None


@dataclass(slots=True, kw_only=True)
class Watched:
    """A tool whose runs are kept: the real one, or none."""

    spec: ToolSpec
    ran: list[Ran]
    note: Callable[[str], None]
    canned: tuple[CannedRow, ...] = ()
    inner: Tool | None = None

    @property
    def remembers(self) -> bool:
        return self.inner is not None and self.inner.remembers

    async def run(self, arguments: dict[str, Any], place: Workplace) -> ToolResult:
        self.ran.append(Ran(role=place.role, tool=self.spec.name, arguments=arguments))
        result = await self.inner.run(arguments, place) if self.inner is not None else self._mocked(arguments)
        said = result.failure.what if result.failure is not None else result.text
        self.note(f"{self.spec.name} {_json(arguments)} gave: {said or 'done'}")
        return result

    def _mocked(self, arguments: dict[str, Any]) -> ToolResult:
        row = next((row for row in self.canned if contains(arguments, row.when)), None)
        if row is None:
            return ToolResult(untrusted=self.spec.untrusted)
        if row.fails:
            failure = Failure(what=f"{self.spec.name} failed", why=row.fails, recovery="none: the scenario says so")
            return ToolResult(failure=failure, untrusted=row.untrusted)
        return ToolResult(text=row.text, untrusted=row.untrusted or self.spec.untrusted)

    async def cancel(self, attempt: str) -> None:
        if self.inner is not None:
            await self.inner.cancel(attempt)


@dataclass(slots=True, kw_only=True)
class Overheard:
    """A model whose turns are kept."""

    inner: ModelProvider
    note: Callable[[str], None]

    async def close(self) -> None:
        """The other's connections."""
        await self.inner.close()

    async def reply(self, request: ModelRequest) -> Reply:
        reply = await self.inner.reply(request)
        for use in reply.uses:
            self.note(f"{request.role} calls {use.name} {_json(use.arguments)}")
        if reply.text:
            self.note(f"{request.role} says: {reply.text}")
        return reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a scenario is played: the workspace it is of, and a folder that is thrown away."""

    workspace: Path
    scratch: Path
    environ: Mapping[str, str] = field(default_factory=dict)


async def play(
    scenario: Scenario, team: Team, models: Mapping[str, ModelProvider], place: Place, *, seconds_max: float
) -> Happened:
    """All of it, turn by turn; after each, until nothing is left to do. What cannot be played is trouble, not an
    error: the rest is still worth reading.
    """
    return await _Play(scenario, _with_accounts(team), models, place).run(seconds_max)


class _Play:
    def __init__(self, scenario: Scenario, team: Team, models: Mapping[str, ModelProvider], place: Place) -> None:
        self._scenario, self._team = scenario, team
        self._clock, self._bus = StandingClock(), LocalBus()
        self._lines: list[str] = []
        self._trouble: list[str] = []
        self._ran: list[Ran] = []
        self._events = 0
        self._screen = Screen(self._note)
        self._store = MemoryStore(self._clock)
        tools = self._tools(place)
        runs_programs = "run_command" in scenario.real_tools
        resolver = CommandResolver(place.workspace, lambda: team) if runs_programs else NoPrograms()
        self._context = Context(
            store=self._store,
            clock=self._clock,
            ids=CountedIds(),
            bus=self._bus,
            teams=FixedTeam(team),
            resolver=resolver,
            models={name: Overheard(inner=model, note=self._note) for name, model in models.items()},
            tools=lambda _team: tools,
            platforms={PLATFORM: self._screen},
            secret=PLATFORM,
            holder=PLATFORM,
        )
        self._engine = Engine(self._context)

    def _note(self, line: str) -> None:
        flat = " ".join(line.split())
        self._lines.append(flat if len(flat) <= LINE_MAX else flat[: LINE_MAX - 1] + "…")

    def _tools(self, place: Place) -> dict[str, Tool]:
        scenario, team = self._scenario, self._team
        scratch = _registry(place.scratch, place, team)
        _lay_out(place.scratch, scenario.files)
        real = _registry(place.workspace, place, team)
        missing = [name for name in scenario.real_tools if name not in real]
        self._trouble += [f"{name} cannot be real in a scenario" for name in missing]
        specs = {spec.name: spec for role in team.roles.values() for spec in role.specs} | team.tools
        tools: dict[str, Tool] = {}
        for name in specs.keys() - control.specs().keys():
            canned = scenario.canned(name)
            inner: Tool | None = None
            if name in scenario.real_tools or (name in KNOWLEDGE_TOOLS and not canned):
                inner = real.get(name)
            elif name in FILE_TOOLS and not canned:
                inner = scratch.get(name)
            tools[name] = Watched(spec=specs[name], ran=self._ran, note=self._note, canned=canned, inner=inner)
        return tools

    # --- Turns ------------------------------------------------------------------------------------------------------

    async def run(self, seconds_max: float) -> Happened:
        with capture_logs() as entries:
            try:
                async with asyncio.timeout(seconds_max), self._running():
                    for turn in self._scenario.turns:
                        await self._turn(turn)
                        await self._settled()
            except TimeoutError:
                self._trouble.append(f"it did not come to rest within {seconds_max:g} s")
        broken = [entry for entry in entries if entry["log_level"] in {"error", "critical"}]
        self._trouble += [f"{entry['event']}: {entry.get('exc_info') or 'see the log'}" for entry in broken]
        return await self._happened()

    @contextlib.asynccontextmanager
    async def _running(self) -> AsyncIterator[None]:
        """The loops that bring work forward; what only watches, counts or draws is left out."""
        await self._engine.keep_definition()
        async with asyncio.TaskGroup() as group:
            loops = (self._engine.dispatcher.run, self._engine.worker.run, self._engine.outbox.run)
            running = [group.create_task(loop()) for loop in loops]
            try:
                yield
            finally:
                for one in running:
                    one.cancel()

    async def _settled(self) -> None:
        real = SystemClock()
        while not await self._engine.idle():
            await real.sleep(LOOK_SECONDS)

    async def _turn(self, turn: TurnRow) -> None:
        if turn.wait:
            self._note(f"{turn.wait} pass")
            self._clock.at_ms += (seconds_of(turn.wait) or 0) * 1000
            for topic in ("events", "effects", "posts"):
                self._bus.notify(topic)
        elif turn.press:
            await self._press(turn)
        else:
            self._note(f"{turn.by or 'somebody'} says: {turn.say}")
            fields = self._event(turn)
            await self._engine.intake.accept(MessageReceived(**fields, text=turn.say, role=turn.to))

    async def _press(self, turn: TurnRow) -> None:
        there = await self._store.read.inquiries()
        if not there:
            self._trouble.append(f"nothing is open to {turn.press}")
            return
        inquiry = there[-1]
        self._note(f"{turn.by or 'somebody'} presses {turn.press} {turn.text}")
        arguments = (short(inquiry.id), *turn.text.split())
        for _ in range(PRESSES_MAX if turn.press == "approve" else 1):
            await self._engine.intake.accept(CommandReceived(**self._event(turn), name=turn.press, arguments=arguments))
            await self._settled()
            row = await self._store.read.inquiry(inquiry.id)
            if row is None or not row.inquiry.state.active or not row.inquiry.pressed_once:
                return
            self._clock.at_ms += SAME_PRESS_MS

    def _event(self, turn: TurnRow) -> dict[str, Any]:
        self._events += 1
        owner = next((p for p in self._team.people if p.role == "owner"), self._team.people[0])
        person = self._team.person(turn.by) if turn.by else owner
        return {
            "key": f"{PLATFORM}:{self._events}",
            "at_ms": self._clock.now_ms(),
            "conversation": WHERE,
            "sender": Sender(account=_account(person.id if person else ""), name=person.name if person else ""),
        }

    # --- What came of it --------------------------------------------------------------------------------------------

    async def _happened(self) -> Happened:
        read = self._store.read
        tasks = [row.task for row in reversed(await read.tasks())]
        roots = [task for task in tasks if task.parent is None]
        parents = {task.parent for task in tasks}
        posts = [post.view for post in self._screen.shown.values()]
        usage = [task.usage for task in tasks]
        return Happened(
            ends=await self._end(roots),
            answers_n=sum(isinstance(view, Answer | Trouble) for view in posts),
            told=tuple(text for view in posts if (text := _told(view))),
            handings=tuple(
                Handing(source=task.asked_by, target=task.role, kind=task.brief.kind) for task in tasks if task.parent
            ),
            ran=tuple(self._ran),
            asked=tuple(_asked(inquiry) for inquiry in await read.inquiries(active_only=False)),
            workers=tuple(task.role for task in tasks if task.id not in parents),
            requests_n=len(roots),
            turns=sum(task.turns for task in tasks),
            tokens=sum(one.tokens for one in usage),
            cost_microusd=sum(one.cost_microusd for one in usage),
            trouble=tuple(self._trouble),
            transcript=tuple(self._lines),
        )

    async def _end(self, roots: list[Task]) -> str:
        if await handed(self._context, WHERE) is not None:
            return "handed_over"
        if not roots or not roots[-1].phase.final:
            return "waiting"
        return "done" if roots[-1].phase is Phase.DONE else "failed"


def _asked(inquiry: Any) -> Asked:
    return Asked(
        role=inquiry.role,
        kind=inquiry.kind,
        tier=inquiry.tier,
        state=inquiry.state,
        tool=inquiry.action.tool if inquiry.action else "",
        verb=inquiry.action.verb if inquiry.action else "",
        question=inquiry.question,
    )


def _with_accounts(team: Team) -> Team:
    """Everybody can be somebody here."""
    people = tuple(
        msgspec.structs.replace(person, accounts=(*person.accounts, _account(person.id))) for person in team.people
    )
    return msgspec.structs.replace(team, people=people)


def _account(person: str) -> str:
    return f"{PLATFORM}:{person}"


def _registry(root: Path, place: Place, team: Team) -> Mapping[str, Tool]:
    spool = place.scratch / "spool"
    spool.mkdir(parents=True, exist_ok=True)
    return registry(Equipment(workspace=root, spool=Spool(spool), environ=place.environ), team)


def _lay_out(scratch: Path, files: Mapping[str, str]) -> None:
    (scratch / "files" / "shared").mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        path = scratch / "files" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")


def _told(view: View) -> str:
    """What a person reads there as the team's words."""
    match view:
        case Answer():
            return "\n".join((view.text, *view.changed, *view.risks, *view.next_needs, *view.artifacts))
        case Trouble():
            return f"{view.what}\n{view.means}\n{view.next_step}\n{view.remedy}"
        case Line():
            return view.text
        case InquiryCard():
            return f"{view.title}\n{view.line}\n{view.why}"
        case DecidedCard():
            return f"{view.title}\n{view.headline}\n{view.outcome}"
        case StatusLine() | Inbox():
            return ""
        case _:  # pragma: no cover
            assert_never(view)


def _seen(view: View) -> str:
    kind = {Answer: "answer", Trouble: "trouble", Line: "line", InquiryCard: "card", DecidedCard: "decided"}
    text = _told(view)
    return f"shown ({kind[type(view)]}): {text}" if text else ""


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
