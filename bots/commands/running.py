"""`signoff run`: hold the lock, open the house, run the engine on every platform there is, and leave well.

The terminal is a platform when a person is at it, or when there is no other. With a chat platform the program serves
until a signal, whatever becomes of its standard input: a service manager gives it none.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from bots import platforms
from bots.app import House, Workspace
from bots.commands.place import opened, os_user, person_of, refuse_inside_a_run, run_async, workspace_of
from bots.console.client import Console, is_interactive, wants_colour
from core.adapters.sqlite.lock import EngineLock
from core.adapters.system import SystemClock
from core.model.errors import EngineRunningError, SignoffError
from core.model.events import Conversation, Sender
from core.model.team import Person
from core.ports import Intake, Platform
from core.rules import replies
from core.runtime import handover, inquiries, linking
from core.runtime.engine import Engine

OFFLINE = "No API key is set: the offline model answers. Set ANTHROPIC_API_KEY in .env."
LOCK_PATIENCE_MS = 1_000
"""A command that decides something while no engine runs holds the lock for a moment."""
LOOK_SECONDS = 0.05
CONNECT_SECONDS = 0.2
WATCH_SECONDS = 1.0
"""Connections are looked at so often, before and after something has been said of each."""
CONFIG_WRONG = 5
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


class _Watched(Console):
    """The terminal, and a word when its input has ended."""

    leaving: _Leaving

    async def run(self, intake: Intake) -> None:
        await super().run(intake)
        self.leaving.now.set()


async def _serve(house: House, person: Person) -> int:
    chats, unusable = house.chats()
    for line in unusable:
        print(f"signoff: {line}", file=sys.stderr, flush=True)
    interactive = is_interactive(sys.stdin, sys.stdout)
    if unusable and not chats and not interactive:
        return CONFIG_WRONG
    leaving = _Leaving()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, leaving.by_signal, 0)
    loop.add_signal_handler(signal.SIGINT, leaving.by_signal, INTERRUPTED)
    where: dict[str, Platform] = dict(chats)
    if interactive or not chats:
        console = _console(house, person, interactive=interactive)
        console.leaving = leaving
        where[console.name] = console
    engine = await house.engine(where)
    if interactive:
        await inquiries.show_open(engine.context, console.name, engine.context.holder)
        here = Conversation(platform=console.name, account=house.teams.current().name, channel="main")
        taken_over = await handover.handed(engine.context, here)
        if taken_over is not None:
            print(replies.still_handed_over(taken_over.why), flush=True)
    announcer = _Announcer(house, chats)
    engine.on_trouble = announcer.trouble
    house.outside.tell = engine.reloading.on_news = announcer.say
    engine.reloading.on_screen = console.name if interactive else ""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(engine.run(), name="engine")
        announcing = group.create_task(announcer.run(), name="announcer")
        await leaving.now.wait()
        if not interactive and not chats:
            await _finish(engine, house, leaving)
        announcing.cancel()
        running.cancel()
    await engine.sealer.seal()
    return leaving.code or 0


class _Announcer:
    """Tells whoever started the program how its platforms are: once when they connect, and when that changes."""

    def __init__(self, house: House, chats: Mapping[str, Platform]) -> None:
        self._house = house
        self._chats = chats
        self._said: set[str] = set()  # those that were connected once
        self._ill: set[str] = set()

    def trouble(self, name: str, line: str) -> None:
        """The engine says it once for each new reason."""
        if name in self._chats:
            self._ill.add(name)
            title, why = platforms.named(name).title, platforms.redacted(line, self._house.environ)
            print(f"signoff: {why if why.startswith(title) else f'{title}: {why}'}", file=sys.stderr, flush=True)

    def say(self, line: str) -> None:
        """Of what is no platform."""
        print(f"signoff: {platforms.redacted(line, self._house.environ)}", file=sys.stderr, flush=True)

    async def run(self) -> None:
        """Until cancelled; with no chat platform there is nothing to tell of."""
        if self._chats:
            serving = ", ".join(platforms.named(name).title for name in self._chats)
            print(f"Serving {serving}; Ctrl-C or SIGTERM ends it.", flush=True)
        connected_at_ms = dict.fromkeys(self._chats, 0)
        while self._chats:
            for name, platform in self._chats.items():
                health = platform.health()
                if health.connected_at_ms > connected_at_ms[name] and not health.trouble:
                    connected_at_ms[name] = health.connected_at_ms
                    await self._connected(platforms.named(name))
            settled = self._said | self._ill >= set(self._chats)
            await self._house.clock.sleep(WATCH_SECONDS if settled else CONNECT_SECONDS)

    async def _connected(self, known: platforms.Known) -> None:
        """A connection that is renewed without trouble is no news."""
        if known.name not in self._said:
            print(f"{known.title}: connected.", flush=True)
            await self._pair(known)
        elif known.name in self._ill:
            print(f"{known.title}: connected again.", flush=True)
        self._said.add(known.name)
        self._ill.discard(known.name)

    async def _pair(self, known: platforms.Known) -> None:
        """A code, for as long as no owner can be reached there."""
        house = self._house
        try:
            code = await linking.pair_code(
                house.store, house.ids, house.teams.current(), known.name, house.clock.now_ms()
            )
        except SignoffError as error:  # the disk is full, most likely: no reason to stop serving
            print(f"signoff: {known.title}: no code to pair with ({error})", file=sys.stderr, flush=True)
            return
        if code is not None:
            print(f"To pair {known.title}: send {known.pair} {code} to the bot within an hour.", flush=True)


def _console(house: House, person: Person, *, interactive: bool) -> _Watched:
    return _Watched(
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
