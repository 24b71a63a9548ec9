"""`signoff run`: hold the lock, open the house, run the engine with the terminal as its platform, and leave well."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from dataclasses import dataclass, field

from bots.app import House, Workspace
from bots.commands.place import opened, os_user, person_of, refuse_inside_a_run, run_async, workspace_of
from bots.console.client import Console, is_interactive, wants_colour
from core.adapters.sqlite.lock import EngineLock
from core.adapters.system import SystemClock
from core.model.errors import EngineRunningError
from core.model.events import Sender
from core.model.team import Person
from core.model.views import Post
from core.ports import Intake, Platform
from core.runtime import inquiries
from core.runtime.engine import Engine

OFFLINE = "No API key is set: the offline model answers. Set ANTHROPIC_API_KEY in .env."
LOCK_PATIENCE_MS = 1_000
"""A command that decides something while no engine runs holds the lock for a moment."""
LOOK_SECONDS = 0.05
LEAVE_SECONDS = 1.8
"""SIGTERM means out in two seconds. What was committed is safe at any moment, so the rest may be cut off."""
INTERRUPTED = 130


def run(parsed: argparse.Namespace) -> int:
    """Until the person leaves, the input has ended and nothing moves, or a signal. Raises EngineRunningError."""
    refuse_inside_a_run()
    return run_async(_run(parsed))


async def _run(parsed: argparse.Namespace) -> int:
    workspace = workspace_of(parsed)
    workspace.make()
    lock = await _locked(workspace)
    try:
        async with opened(parsed, debug=parsed.debug) as house:
            person = person_of(parsed, house.teams.current())
            if house.offline:
                print(OFFLINE, flush=True)
            return await _serve(house, person)
    finally:
        lock.release()


async def _locked(workspace: Workspace) -> EngineLock:
    clock, lock = SystemClock(), EngineLock(workspace.state)
    give_up_ms = clock.monotonic_ms() + LOCK_PATIENCE_MS
    while True:
        try:
            return lock.acquire()
        except EngineRunningError:
            if clock.monotonic_ms() > give_up_ms:
                raise
        await clock.sleep(LOOK_SECONDS)


@dataclass(slots=True)
class _Leaving:
    """Whether it is time to go, and with which exit code; None: the input has ended."""

    now: asyncio.Event = field(default_factory=asyncio.Event)
    code: int | None = None

    def by_signal(self, code: int) -> None:
        if self.code is None:
            self.code = code
            cut_off = threading.Timer(LEAVE_SECONDS, os._exit, (code,))
            cut_off.daemon = True
            cut_off.start()
        self.now.set()


class _Watched(Platform):
    """The terminal, and a word when its input has ended."""

    def __init__(self, console: Console, leaving: _Leaving) -> None:
        self._console = console
        self._leaving = leaving

    @property
    def name(self) -> str:
        return self._console.name

    async def run(self, intake: Intake) -> None:
        await self._console.run(intake)
        self._leaving.now.set()

    async def send(self, post: Post, edits: str) -> str:
        return await self._console.send(post, edits)

    async def find_sent(self, post: Post) -> str | None:
        return await self._console.find_sent(post)


async def _serve(house: House, person: Person) -> int:
    leaving = _Leaving()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, leaving.by_signal, 0)
    loop.add_signal_handler(signal.SIGINT, leaving.by_signal, INTERRUPTED)
    interactive = is_interactive(sys.stdin, sys.stdout)
    console = _Watched(_console(house, person, interactive=interactive), leaving)
    engine = await house.engine({console.name: console})
    if interactive:
        await inquiries.show_open(engine.context, console.name, engine.context.holder)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(engine.run(), name="engine")
        await leaving.now.wait()
        if not interactive:
            await _finish(engine, house, leaving)
        running.cancel()
    await engine.sealer.seal()
    return leaving.code or 0


def _console(house: House, person: Person, *, interactive: bool) -> Console:
    return Console(
        team=house.teams.current().name,
        sender=Sender(account=f"console:{os_user()}", name=person.name, asserted=person.id),
        clock=house.clock,
        ids=house.ids,
        zone=house.teams.current().zone,
        interactive=interactive,
        colour=wants_colour(house.environ, sys.stdout),
        history=house.workspace.state / "history" if interactive else None,
    )


async def _finish(engine: Engine, house: House, leaving: _Leaving) -> None:
    """The input has ended: until every task is finished or waits on a person or a timer. A signal ends the wait."""
    while leaving.code is None:
        if await engine.idle() and await engine.dispatcher.sweep() and await engine.idle():
            await engine.status.draw(at_once=True)
            if await engine.idle():
                return
        await house.clock.sleep(LOOK_SECONDS)
