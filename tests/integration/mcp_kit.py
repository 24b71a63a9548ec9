"""A hub on real servers, in a workspace of nothing, with a clock that does not make tests wait."""

import asyncio
import contextlib
import os
import sys
from pathlib import Path

from agents.servers import Server, ServerRow
from agents.tools.mcp.hub import Hub, Places
from agents.tools.mcp.pins import called
from agents.tools.mcp.tool import McpTool
from core.adapters.system import SystemClock
from core.model.team import EffectClass, ToolSpec
from core.ports import Workplace

FAKES = Path(__file__).parents[1] / "fakes"


class Hurried(SystemClock):
    """Sleeps are remembered, and short."""

    def __init__(self):
        self.slept = []

    async def sleep(self, seconds):
        self.slept.append(seconds)
        await asyncio.sleep(min(seconds, 0.02))


def hostile(way, *more, name="bad", folder=None, **row):
    command = (sys.executable, str(FAKES / "mcp_hostile.py"), way, *map(str, more))
    return Server(name=name, file="team.yaml", command=command, folder=folder or FAKES, row=ServerRow(**row))


def helpful(transport="stdio", *, env=None, **row):
    command = (sys.executable, str(FAKES / "mcp_server.py"), transport)
    return Server(name="docs", file="team.yaml", command=command, folder=FAKES, env=env or {}, row=ServerRow(**row))


@contextlib.asynccontextmanager
async def listening(transport="http"):
    """The helpful server on a port of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(FAKES / "mcp_server.py"), transport, stdout=asyncio.subprocess.PIPE
    )
    try:
        port = int(await process.stdout.readline())
        path = "sse" if transport == "sse" else "mcp"
        yield process, f"http://127.0.0.1:{port}/{path}"
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Bench:
    """A hub that runs, what it told, and its tools."""

    def __init__(self, root, *servers, environ=None, connect=None):
        self.told = []
        self.clock = Hurried()
        self.servers = {server.name: server for server in servers}
        plain = {name: os.environ[name] for name in ("PATH", "HOME")}
        self.places = Places(folder=root / ".signoff" / "mcp", environ=plain | (environ or {}))
        self.hub = Hub(
            lambda: self.servers, self.places, self.clock, version=lambda: str(self.servers), connect=connect
        )
        self.hub.tell = self.told.append

    async def __aenter__(self):
        self._running = asyncio.ensure_future(self.hub.run())
        return self

    async def __aexit__(self, *_):
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    async def until(self, happened):
        async with asyncio.timeout(15):
            while not happened():
                if self._running.done():
                    self._running.result()
                await asyncio.sleep(0.01)

    async def up(self, server):
        await self.until(lambda: not self.hub.trouble(server))

    def pin(self, server):
        return self.places.pins.read(server)

    def tool(self, server, name, *, effect=EffectClass.READ):
        whole = next(whole for whole, tool in called(server, self.pin(server)).items() if tool.name == name)
        tool = next(tool for tool in self.pin(server).tools if tool.name == name)
        spec = ToolSpec(
            name=whole, about=tool.fenced(server), parameters=tool.parameters, verb=name, effect=effect, untrusted=True
        )
        return McpTool(spec, self.hub)

    async def call(self, server, name, *, effect=EffectClass.READ, seconds=10, attempt="t:0:e0", **arguments):
        place = Workplace(role="ops", task="t", attempt=attempt, seconds_max=seconds)
        return await self.tool(server, name, effect=effect).run(arguments, place)
