"""A world in which the engine lives, dies and starts again, all of it from one seed.

The store, the screen and what tools did outlive a crash; everything else is a `Life` and does not. `settle` drives
whatever is there to do, in a seeded order, until all of it waits for people; a crash on the way is followed by a
restart, as an operator would.
"""

from __future__ import annotations

import asyncio
import json
import random
import traceback
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog

from core.adapters.memory import MemoryStore
from core.adapters.models.scripted import Script, ScriptedModel
from core.model import unit as u
from core.model.errors import StoreFullError
from core.model.events import (
    CommandReceived,
    ControlPressed,
    Conversation,
    Event,
    FormSubmitted,
    MessageReceived,
    Sender,
)
from core.model.inquiries import Inquiry
from core.model.team import Team
from core.model.views import Answer, InquiryCard, Line, Post, Trouble
from core.model.work import Task
from core.ports import Tool
from core.rules import words
from core.runtime.context import Context
from core.runtime.engine import Engine
from tests.simulation import company
from tests.simulation.places import (
    Hazards,
    Life,
    Outside,
    Screen,
    SimBus,
    SimClock,
    SimIds,
    SimModel,
    SimPlatform,
    SimResolver,
    SimStore,
    SimTeams,
    SimTool,
)

CHANNEL = Conversation(platform="sim", account="acme", channel="general")
HORIZON_MS = 600_000
"""Waits up to this are the engine's own (retries, leases of posts): settling passes them. Longer ones are people's."""
ROUNDS_MAX = 20_000
LABELS = {verb.value: label for verb, label in words.BUTTONS.items()}
LOUD_ON_PURPOSE = frozenset({"tool.raised"})


class BrokenPromiseError(AssertionError):
    """The run showed what must never be."""


class World:
    """One seeded run. See the module's docstring; scenarios read best as examples."""

    def __init__(
        self,
        seed: int,
        *,
        script: Mapping[str, Script],
        team: Team | None = None,
        crash_at: frozenset[int] = frozenset(),
        steal_at: frozenset[int] = frozenset(),
        interleave: bool = False,
        faults: float = 0.0,
        nonce: bool = True,
        remembers: bool = False,
    ) -> None:
        self.seed = seed
        self.team = team or company.company()
        self.chance = random.Random(seed)
        self.clock = SimClock()
        self.store = MemoryStore(self.clock)
        self.screen = Screen(nonce=nonce)
        self.outside = Outside(remembers=remembers)
        self.hazards = Hazards(
            chance=random.Random(seed + 1),
            crash_at=crash_at,
            steal_at=steal_at,
            interleave=interleave,
            faults=faults,
        )
        self.model = ScriptedModel(script)
        self.firsts: dict[str, Task] = {}
        self.unknowable: list[str] = []
        self.lives: list[Life] = []
        self.engines: dict[Life, Engine] = {}
        self.pressed: list[tuple[str, str, str]] = []  # person, verb, inquiry: what people really did
        self.crashes: list[str] = []
        self.thefts_n = 0
        self.errors: list[str] = []
        self.events_n = 0
        self._work = 0
        self._quiet: dict[tuple[Life, str], int] = {}

    # --- What people do ---------------------------------------------------------------------------------------------

    def say(self, text: str, by: str = "ana", **more: Any) -> str:
        """Somebody writes. Returns the event's key."""
        return self._happens(MessageReceived, by, text=text, **more)

    def command(self, name: str, *arguments: str, by: str = "ana") -> str:
        return self._happens(CommandReceived, by, name=name, arguments=arguments)

    def press(self, verb: str, by: str = "ana", **fields: str) -> None:
        """Press the button of that verb on the oldest card that has one. Where no card arrived, say it as a command.
        People take a second to make up their minds.
        """
        self.clock.at_ms += 1_000
        for post in self.cards():
            inquiry = self.inquiry(post.view.inquiry)
            button = next((b for b in post.view.buttons if b.label == LABELS[verb]), None)
            if button is None or post.view.revision != inquiry.revision or inquiry.state.final:
                continue  # the card as it is now never arrived: the inbox has it
            self.pressed.append((by, verb, inquiry.id))
            if fields:
                self._happens(FormSubmitted, by, control=button.control, fields=fields)
            else:
                self._happens(ControlPressed, by, control=button.control)
            return
        for inquiry in self.open_inquiries():
            if any(v.value == verb for v in inquiry.verbs):
                self.pressed.append((by, verb, inquiry.id))
                self.command(verb.replace("_", ""), inquiry.id, *fields.values(), by=by)
                return
        raise LookupError(f"nothing on screen to {verb}")

    def _happens(self, kind: Callable[..., Event], by: str, **fields: Any) -> str:
        self.events_n += 1
        self._work += 1
        key = f"sim:{self.events_n}"
        sender = Sender(account=f"sim:{by}", name=by.title())
        self.screen.pending.append(
            kind(key=key, at_ms=self.clock.now_ms(), conversation=CHANNEL, sender=sender, **fields)
        )
        return key

    # --- What people see, and what is so ----------------------------------------------------------------------------

    @property
    def calm(self) -> bool:
        """Nothing has befallen the process but what the scenario itself ordered."""
        hazards = self.hazards
        return not (hazards.crash_at or hazards.steal_at or hazards.faults)

    @property
    def posts(self) -> list[Post]:
        """The messages on screen as they are now, oldest first."""
        return [edits[-1] for edits in self.screen.messages.values()]

    @property
    def answers(self) -> list[str]:
        """What was answered to requests."""
        views = (post.view for post in self.posts if post.slot.startswith("answer:"))
        return [view.text if isinstance(view, Answer) else view.means or view.what for view in views if _says(view)]

    @property
    def lines(self) -> list[str]:
        return [post.view.text for post in self.posts if isinstance(post.view, Line)]

    def cards(self) -> list[Post]:
        """Cards that can still be pressed. Older messages of one may be left over, where its send was uncertain."""
        newest = {post.slot: post for post in self.posts}
        return [post for post in newest.values() if isinstance(post.view, InquiryCard)]

    def tasks(self) -> list[Task]:
        return [row.task for row in self.store._tables.tasks.values()]

    def task_of(self, role: str) -> Task:
        return next(task for task in self.tasks() if task.role == role)

    def inquiry(self, inquiry_id: str) -> Inquiry:
        return self.store._tables.inquiries[inquiry_id]

    def open_inquiries(self) -> list[Inquiry]:
        return [one for one in self.store._tables.inquiries.values() if not one.state.final]

    def executions(self, what: str) -> int:
        """How often a tool, or a command, really ran."""
        return sum(what in {one.tool, one.command} for one in self.outside.done)

    # --- What befalls the process -----------------------------------------------------------------------------------

    def crash(self) -> None:
        """Now, between two things."""
        for life in self.lives:
            life.alive, life.died_at = False, "on order"

    def crash_on(self, *points: str) -> None:
        """The next time each point is passed."""
        self.hazards.crash_on.extend(points)

    def turn_clock(self, *, hours: float) -> None:
        self.clock.at_ms += int(hours * 3_600_000)
        self._work += 1

    def disk_full(self, *, commits: int) -> None:
        self.hazards.full_n = commits

    def let_go(self, tool: str) -> None:
        """A held tool does its work after all."""
        self.outside.hold.discard(tool)
        for gate in self.outside.gates.values():
            gate.set()
        self._work += 1

    async def restart(self) -> None:
        """A new process takes over the store: the leases of the one before are void."""
        await self._bury()
        await self._begin()

    async def _begin(self) -> None:
        await self.store.new_boot()
        life = Life(self.hazards)
        store = SimStore(self.store, life, self.firsts, self.unknowable)
        tools: dict[str, Tool] = {spec.name: SimTool(spec, self.outside, life) for spec in company.WORK_TOOLS}
        context = Context(
            store=store,
            clock=self.clock,
            ids=SimIds(self.chance),
            bus=SimBus(),
            teams=SimTeams(self.team),
            resolver=SimResolver(),
            models={"scripted": SimModel(self.model, life)},
            tools=lambda _team: tools,
            platforms={"sim": SimPlatform(self.screen, life)},
            secret="sim",
            holder=f"life-{len(self.crashes)}-{self.thefts_n}",
        )
        self.lives.append(life)
        self.engines[life] = Engine(context)
        self._start(life, "boot", partial(self._boot, life))

    async def _boot(self, life: Life) -> bool:
        engine = self.engines[life]
        while True:
            try:
                await engine.keep_definition()
                break
            except StoreFullError:  # a process that cannot start is started again
                await self.clock.sleep(1)
        await engine.status.recover()
        return True

    async def _bury(self) -> None:
        for life in [life for life in self.lives if not life.alive]:
            self.crashes.append(life.died_at)
            for task in life.tasks:
                task.cancel()
            await asyncio.wait(life.tasks) if life.tasks else None
            for task in life.tasks:
                task.cancelled() or task.exception()
            self.lives.remove(life)
            del self.engines[life]

    async def _rob(self) -> None:
        """A second engine starts while the first still runs, as after a pause too long: every lease changes hands."""
        self.thefts_n += 1
        await self._begin()

    # --- Driving ----------------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """Go on until everything waits for people, or for a time far off."""
        for _ in range(ROUNDS_MAX):
            await asyncio.sleep(0)
            if any(not life.alive for life in self.lives) or not self.lives:
                await self.restart()
                continue
            for life in [life for life in self.lives if life.robbed]:
                life.robbed = False
                await self._rob()
            self._reap()
            self._raise_errors()
            if not self._start_something() and not self._busy() and not self._turn_to_next():
                return
        raise BrokenPromiseError(f"seed {self.seed}: it never settles; crashes {self.crashes}")

    def _busy(self) -> bool:
        return any(len(life.tasks) > life.held for life in self.lives)

    def _reap(self) -> None:
        for life in self.lives:
            for task in [task for task in life.tasks if task.done()]:
                life.tasks.discard(task)
                if not life.alive:
                    continue
                if error := task.exception():
                    self.errors.append("".join(traceback.format_exception(error)))
                elif task.result():
                    self._work += 1

    def _raise_errors(self) -> None:
        if self.errors:
            raise BrokenPromiseError(f"seed {self.seed}: the engine broke\n" + "\n".join(self.errors))

    def _start(self, life: Life, name: str, action: Callable[[], Awaitable[bool]]) -> None:
        life.tasks.add(asyncio.ensure_future(self._named(life, name, action)))

    async def _named(self, life: Life, name: str, action: Callable[[], Awaitable[bool]]) -> bool:
        work = self._work
        did = await action()
        if not did:
            self._quiet[life, name] = work
        return did

    def _start_something(self) -> bool:
        """One action that may have something to do, of one life, unless another of its kind is under way."""
        choices = [
            (life, name)
            for life in self.lives  # one that was robbed goes on beside the other
            for name in self._actions(life)
            if self._quiet.get((life, name)) != self._work and not any(t.get_name() == name for t in life.tasks)
        ]
        if not choices:
            return False
        if not self.hazards.interleave and self._busy():
            return True
        life, name = self.chance.choice(choices)
        task = asyncio.ensure_future(self._named(life, name, self._actions(life)[name]))
        task.set_name(name)
        life.tasks.add(task)
        return True

    def _actions(self, life: Life) -> dict[str, Callable[[], Awaitable[bool]]]:
        actions = {
            "receive": self._receive,
            "sweep": self._sweep,
            "work": self._do,
            "send": self._send,
            "draw": self._draw,
            "seal": self._seal,
        }
        return {name: partial(action, life) for name, action in actions.items()}

    async def _receive(self, life: Life) -> bool:
        if not self.screen.pending:
            return False
        n = self.hazards.chance.randrange(len(self.screen.pending)) if self.hazards.trouble() else 0
        event = self.screen.pending[n]
        await life.point("before accept")
        try:
            await self.engines[life].intake.accept(event)
        except StoreFullError:
            return True  # nothing is acknowledged: it comes again
        await life.point("before ack")
        if event in self.screen.pending:
            self.screen.pending.remove(event)
        self.screen.acked.append(event)
        if self.hazards.trouble():
            self.screen.pending.append(event)  # the platform did not hear our thanks
        return True

    async def _sweep(self, life: Life) -> bool:
        return await self.engines[life].dispatcher.sweep() == 0

    async def _do(self, life: Life) -> bool:
        worker = self.engines[life].worker
        leased = await worker.claim()
        for item in leased:
            worker._busy += 1
            self._start(life, "effect", partial(_true, worker._perform, item))
        return bool(leased)

    async def _send(self, life: Life) -> bool:
        outbox = self.engines[life].outbox
        leased = await outbox.claim()
        for item in leased:
            outbox._busy += 1
            self._start(life, "post", partial(_true, outbox._send, item))
        return bool(leased)

    async def _draw(self, life: Life) -> bool:
        status = self.engines[life].status
        moved = bool(status._moved)
        await status.draw(at_once=True)
        return moved

    async def _seal(self, life: Life) -> bool:
        return await self.engines[life].sealer.seal() > 0

    def _turn_to_next(self) -> bool:
        """Turn the clock to the next thing that the engine itself waits for, if that is soon."""
        tables, now_ms = self.store._tables, self.clock.now_ms()
        due = [row.signal.due_at_ms for row in tables.signals.values() if row.state == "new"]
        due += [row.not_before_ms for row in tables.effects.values() if row.state is u.EffectState.QUEUED]
        due += [row.not_before_ms for row in tables.posts.values() if row.state is u.PostState.QUEUED]
        due += [row.lease_until_ms for row in tables.posts.values() if row.state is u.PostState.SENDING]
        soon = [at_ms for at_ms in due if now_ms < at_ms <= now_ms + HORIZON_MS]
        if not soon:
            return False
        self.clock.at_ms = min(soon)
        self._work += 1
        return True


async def _true(action: Callable[[Any], Awaitable[None]], item: object) -> bool:
    await action(item)
    return True


def _says(view: object) -> bool:
    return isinstance(view, Answer | Trouble)


async def play(world: World, scenario: Callable[[World], Awaitable[None]]) -> World:
    """Run a scenario to its end, with an ear on the log: what the engine calls a breakdown fails the run."""

    def listen(_logger: object, level: str, event: dict[str, Any]) -> dict[str, Any]:
        if level in {"error", "exception", "critical"} and event.get("event") not in LOUD_ON_PURPOSE:
            world.errors.append(json.dumps(event, default=str) + "\n" + traceback.format_exc())
        raise structlog.DropEvent

    before = structlog.get_config()["processors"]
    structlog.configure(processors=[listen])
    try:
        await scenario(world)
        await world.settle()
    finally:
        structlog.configure(processors=before)
        crashes = list(world.crashes)
        world.crash()
        await world._bury()
        world.crashes = crashes
    return world
