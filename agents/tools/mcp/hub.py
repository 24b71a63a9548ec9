"""The MCP servers of a workspace, held open while an engine runs, each by a task of its own.

Law: a server's trouble is its own: it is started again with backoff, and meanwhile its tools answer at once with a
Failure. A tool runs only while its server offers it exactly as it was pinned. A server without a pin is pinned as it
is when it is first met, which is said in one line; after that only a person changes a pin, with `signoff mcp trust`.
The SDK is imported in a thread, and only when there is a server to speak to.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias

import structlog

from agents.servers import JOINT, Server, started
from agents.tools.mcp.pins import Pin, Pins, digests, offered, summary
from agents.tools.mcp.speech import Answer, EndedError, Live, LoginNeededError, Refusal
from core.model.errors import ConfigError, SignoffError
from core.model.team import ToolSpec
from core.ports import Clock

log = structlog.get_logger()

AGAIN_SECONDS: Final = 1.0
AGAIN_SECONDS_MAX: Final = 60.0
WELL_SECONDS: Final = 60.0
"""A server that ran so long was well: its next trouble is a new one."""
LOOK_SECONDS: Final = 1.0
"""So often it is looked whether a person has pinned, or logged in."""
LIST_AGAIN_SECONDS: Final = 300.0
SECRET_CHARS_MIN: Final = 6
EXTRA: Final = f"it needs the mcp library: {sys.executable} -m pip install 'signoff[mcp]'"

Connect: TypeAlias = Callable[[Server], AbstractAsyncContextManager[Live]]


def is_installed() -> bool:
    """Whether the SDK is there. It is not imported."""
    return importlib.util.find_spec("mcp") is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where the workspace keeps what belongs to its servers, and the settings they are started with."""

    folder: Path
    environ: Mapping[str, str]

    @property
    def pins(self) -> Pins:
        """What people have taken from each."""
        return Pins(self.folder)

    def tokens(self, server: str) -> Path:
        """Where a login to it is kept."""
        return self.folder / f"{server}.tokens"


@asynccontextmanager
async def connected(server: Server, places: Places, clock: Clock) -> AsyncIterator[Live]:
    """A connection on the SDK. Raises ConfigError, EndedError."""
    start = started(server, places.environ)
    if not is_installed():
        raise EndedError(EXTRA)
    session = await asyncio.to_thread(importlib.import_module, "agents.tools.mcp.session")
    hide = partial(_hidden, [places.environ.get(name, "") for name in server.settings])
    tokens = places.tokens(server.name)

    def heard(line: str) -> None:
        log.info("mcp.stderr", server=server.name, line=hide(line))

    try:
        async with session.connect(server, start, places.environ, tokens, heard, clock.now_ms) as live:
            yield live
    except EndedError as error:
        raise type(error)(hide(error.why), hide(error.said)) from error


async def log_in(server: Server, places: Places, clock: Clock, show: Callable[[str], None]) -> bool:
    """A person's login to it, with the browser at the address that is shown. False: it asks for none. Raises
    ConfigError, EndedError.
    """
    start = started(server, places.environ)
    if not is_installed():
        raise EndedError(EXTRA)
    login = await asyncio.to_thread(importlib.import_module, "agents.tools.mcp.login")
    done: bool = await login.log_in(server, start, places.tokens(server.name), clock.now_ms, show)
    return done


def _hidden(secrets: Iterable[str], line: str) -> str:
    """A server may well print what it was given."""
    for secret in secrets:
        line = line.replace(secret, "(hidden)") if len(secret) >= SECRET_CHARS_MIN else line
    return line


@dataclass(slots=True)
class _Line:
    """What is known of one server."""

    server: Server
    live: Live | None = None
    pin: Pin | None = None
    stamp: tuple[tuple[int, int], int] = ((0, 0), 0)
    offers: Mapping[str, str] = field(default_factory=dict)  # digests, by tool
    trouble: EndedError | None = field(default_factory=partial(EndedError, "it has not been started yet"))
    told: set[str] = field(default_factory=set)
    gone: bool = False  # it is to end: a library may swallow the cancellation that says so


class Hub:
    """One for the life of a process. `run` is a source of the engine; `tell` gets lines for who started the program.
    `servers` is asked at the start, and again when `version` has changed: what is in force, not what a file says.
    """

    def __init__(
        self,
        servers: Callable[[], Mapping[str, Server]],
        places: Places,
        clock: Clock,
        *,
        version: Callable[[], str] = str,
        connect: Connect | None = None,
        seconds: tuple[float, float] = (AGAIN_SECONDS, AGAIN_SECONDS_MAX),
    ) -> None:
        self._servers = servers
        self._version = version
        self._lines: dict[str, _Line] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._places = places
        self._pins = places.pins
        self._clock = clock
        self._connect: Connect = connect or (lambda server: connected(server, places, clock))
        self._again, self._again_max = seconds
        self.tell: Callable[[str], None] = lambda line: log.info("mcp.said", line=line)

    async def run(self, _intake: object = None) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                try:
                    await self._follow(group)
                finally:
                    for line in self._lines.values():
                        line.gone = True
        finally:
            self._lines.clear()
            self._tasks.clear()

    async def _follow(self, group: asyncio.TaskGroup) -> None:
        seen = self._version()
        await self._open(group)
        while True:
            await self._clock.sleep(LOOK_SECONDS)
            await asyncio.to_thread(self._look)
            if (version := self._version()) != seen:
                await self._open(group)
                seen = version

    async def _open(self, group: asyncio.TaskGroup) -> None:
        """Start what is new, end what is gone or is reached in another way now."""
        try:
            wanted = await asyncio.to_thread(self._servers)
        except ConfigError as error:  # half a file: what runs goes on
            log.warning("mcp.not-read", why=str(error))
            return
        for name in [name for name, line in self._lines.items() if line.server != wanted.get(name)]:
            self._lines.pop(name).gone = True
            self._tasks.pop(name).cancel()
        for name, server in wanted.items():
            if name not in self._lines:
                line = self._lines[name] = _Line(server)
                line.pin, line.stamp = self._pins.read(name), self._stamp(line)
                self._tasks[name] = group.create_task(self._keep(line), name=f"mcp {name}")

    def trouble(self, server: str) -> str:
        """Why its tools are not there; "" while they are."""
        line = self._lines.get(server)
        if line is None:
            return "it is not configured"
        return str(line.trouble) if line.trouble else ""

    async def call(self, seen: ToolSpec, arguments: dict[str, Any], seconds: float) -> Answer | Refusal:
        """Call the tool that an agent has seen so. Raises CallError, TimeoutError."""
        server, tool = seen.name.partition(JOINT)[0], seen.verb
        line = self._lines.get(server)
        if line is None:
            return Refusal(why="no server of this name is configured", recovery="hand off; a person has to look")
        if line.live is None:
            return _away(line.trouble or EndedError("it has ended"))
        pinned = next((one for one in line.pin.tools if one.name == tool), None) if line.pin else None
        accept = f"go on without it; a person has to look at it, with `signoff mcp trust {server}`"
        if pinned is None or pinned.refused:
            return Refusal(why=f"{tool} is not among the tools that were pinned", recovery=accept)
        if line.offers.get(tool) != pinned.digest:
            changed = "has changed since it was pinned" if tool in line.offers else "is not offered any more"
            return Refusal(why=f"{tool} {changed}", recovery=accept)
        if (seen.about, seen.parameters) != (pinned.fenced(server), pinned.parameters):
            why = f"{tool} is not any more what this task was shown"
            return Refusal(why=why, recovery="hand off; whoever begins anew has it as it is now")
        return await line.live.call(tool, arguments, seconds)

    # --- Keeping one open -------------------------------------------------------------------------------------------

    async def _keep(self, line: _Line) -> None:
        tries_n = 0
        while not line.gone:
            begun_ms, why = self._clock.monotonic_ms(), EndedError("it has ended")
            try:
                async with self._connect(line.server) as live:
                    await self._serve(line, live)
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if line.gone or task is None:
                    raise
                while task.uncancel():  # nobody has cancelled it: a cancel scope of a library has leaked
                    pass
                why = EndedError("the connection broke")
            except LoginNeededError as error:
                why = EndedError(f"{error}: `signoff mcp login {line.server.name}`")
            except EndedError as error:
                why = error
            except (SignoffError, OSError) as error:
                why = EndedError(str(error))
            except Exception as error:  # a server's trouble is its own, whatever it is: it is said, and it starts again
                log.warning("mcp.broke", server=line.server.name, exc_info=error)
                why = EndedError(f"{type(error).__name__}, see the log")
            finally:
                line.live = None
            well = self._clock.monotonic_ms() - begun_ms >= WELL_SECONDS * 1000
            tries_n = 1 if well else tries_n + 1
            await self._rest(line, why, min(self._again_max, self._again * (1 << min(tries_n - 1, 10))))

    async def _rest(self, line: _Line, why: EndedError, seconds: float) -> None:
        """Wait, or until a person has pinned or logged in."""
        line.trouble = why
        self._say(line, f"{line.server.name}: {why}")
        stamp, left = line.stamp, seconds
        while left > 0 and line.stamp == stamp and not line.gone:
            await self._clock.sleep(min(left, LOOK_SECONDS))
            left -= LOOK_SECONDS

    async def _serve(self, line: _Line, live: Live) -> None:
        """Until it ends."""
        line.told.clear()
        while True:
            await self._take(line, await live.tools())
            line.live, line.trouble = live, None
            await live.news(LIST_AGAIN_SECONDS)
            await self._clock.sleep(LOOK_SECONDS)  # one that changes its mind all the time is asked once a second

    async def _take(self, line: _Line, listed: list[Mapping[str, Any]]) -> None:
        name = line.server.name
        line.offers = digests(listed)
        if line.pin is None:
            now = await asyncio.to_thread(offered, name, listed)
            await asyncio.to_thread(self._pins.write, now)
            line.pin, line.stamp = now, self._stamp(line)
            allowed_n = sum(not tool.refused and line.server.allows(tool.name) for tool in now.tools)
            self.tell(f"{summary(now, allowed_n)}; pinned as they are now (`signoff mcp show {name}`)")
        elif changed := [tool.name for tool in line.pin.tools if line.offers.get(tool.name) != tool.digest]:
            they = f"{', '.join(changed[:5])}{' ...' if len(changed) > 5 else ''}"
            self._say(line, f"{name}: not as pinned, and not available: {they}; `signoff mcp trust {name}` shows it")

    def _say(self, line: _Line, text: str) -> None:
        """Once for each new reason."""
        log.warning("mcp.trouble", server=line.server.name, why=text)
        if text not in line.told:
            self.tell(text)
        line.told.add(text)

    # --- What people do meanwhile -----------------------------------------------------------------------------------

    def _stamp(self, line: _Line) -> tuple[tuple[int, int], int]:
        try:
            tokens = self._places.tokens(line.server.name).stat().st_mtime_ns
        except OSError:
            tokens = 0
        return self._pins.stamp(line.server.name), tokens

    def _look(self) -> None:
        for line in tuple(self._lines.values()):
            stamp = self._stamp(line)
            if stamp != line.stamp:
                line.pin = self._pins.read(line.server.name) or line.pin
                line.stamp = stamp


def _away(trouble: EndedError) -> Refusal:
    by_a_person = any(word in trouble.why for word in ("`signoff", "pip install", ".env"))
    recovery = (
        "go on without it, or hand off; a person has to do that"
        if by_a_person
        else "it is started again by itself: go on without it, or try again in a minute"
    )
    return Refusal(why=trouble.why, recovery=recovery, said=trouble.said)
