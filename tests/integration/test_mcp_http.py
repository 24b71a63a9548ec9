"""MCP servers over HTTP that do not mean well, each one way; and the keeper that ends those that are programs."""

import asyncio
import contextlib
import gzip
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest
from mcp import MCPError

from agents.servers import Server
from agents.tools.mcp import keeper
from agents.tools.mcp.session import why_of
from agents.tools.mcp.speech import EndedError
from core.model.team import EffectClass
from core.ports import UnknownOutcomeError
from tests.integration.mcp_kit import Bench

ONCE = EffectClass.ONCE
TOOL = {"name": "good", "description": "It does something.", "inputSchema": {"type": "object"}}
KEEPER = Path(keeper.__file__)


class Far:
    """A server of one way, in this very loop. `heard` are the headers of every request."""

    def __init__(self, way):
        self.way = way
        self.heard = []
        self.elsewhere = ""
        self.good = False

    @contextlib.asynccontextmanager
    async def open(self):
        server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        async with server:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/mcp"

    async def serve(self, reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().strip().split("\r\n")
                headers = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines)}
                self.heard.append(headers)
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                status, more, answer = self.answer(first.split()[0], json.loads(body) if body else {})
                more = {"content-type": "application/json", "content-length": str(len(answer)), **more}
                fields = "".join(f"{name}: {value}\r\n" for name, value in more.items())
                writer.write(f"HTTP/1.1 {status} X\r\n{fields}\r\n".encode() + answer)
                await writer.drain()
        writer.close()

    def answer(self, verb, request):
        def result(value):
            return json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": value}).encode()

        if verb != "POST":
            return 405, {}, b""
        match request.get("method"):
            case "initialize":
                shown = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}}
                whole = result({**shown, "serverInfo": {"name": "far", "version": "1"}})
                return 200, {"mcp-session-id": "s-1"}, whole
            case "tools/list":
                return 200, {}, result({"tools": [TOOL]})
            case "tools/call" if not self.good:
                return self.call(request, result)
            case "tools/call":
                return 200, {}, result({"content": [{"type": "text", "text": "did it"}]})
            case _ if "id" in request:
                error = {"jsonrpc": "2.0", "id": request["id"], "error": {"code": -32601, "message": "what?"}}
                return 200, {}, json.dumps(error).encode()
            case _:
                return 202, {}, b""

    def call(self, request, result):
        huge = {"content": [{"type": "text", "text": "x" * 2_000_000}]}
        match self.way:
            case "large":
                return 200, {}, result(huge)
            case "packed":
                return 200, {"content-encoding": "gzip"}, gzip.compress(result(huge))
            case "event":
                return 200, {"content-type": "text/event-stream"}, b"data: " + result(huge) + b"\n\n"
            case "broken":
                return 502, {}, b"<h1>Bad gateway</h1>"
            case "page":
                return 200, {"content-type": "text/html"}, b"<h1>Log in</h1>"
            case "forgets":
                return 404, {}, b""
            case "elsewhere":
                return 307, {"location": self.elsewhere}, b""
            case _:
                error = {"code": -32602, "message": "no such thing"}
                return 400, {}, json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}).encode()


@contextlib.asynccontextmanager
async def bench_of(tmp_path, far):
    async with far.open() as url:
        server = Server(name="far", file="f", url=url, headers={"Authorization": "Bearer ${KEY}"})
        async with Bench(tmp_path, server, environ={"KEY": "k-secret"}) as bench:
            await bench.up("far")
            yield bench


@pytest.mark.parametrize("way", ["large", "packed", "event", "broken", "page", "elsewhere"])
async def test_an_answer_that_cannot_be_read_may_have_been_carried_out(tmp_path, way):
    far, other = Far(way), Far("other")
    async with other.open() as far.elsewhere, bench_of(tmp_path, far) as bench:
        result = await bench.call("far", "good")
        assert result.failure is not None
        assert result.untrusted
        await bench.up("far")
        with pytest.raises(UnknownOutcomeError):
            await bench.call("far", "good", effect=ONCE)
        far.good = True
        await bench.up("far")
        async with asyncio.timeout(10):
            while (await bench.call("far", "good")).text != "did it":  # noqa: ASYNC110 - it is another process's state
                await asyncio.sleep(0.05)
    assert other.heard == []  # no header goes anywhere else
    assert {headers.get("authorization") for headers in far.heard} == {"Bearer k-secret"}
    assert {headers["accept-encoding"] for headers in far.heard} == {"identity"}


async def test_what_was_refused_did_not_run(tmp_path):
    async with bench_of(tmp_path, Far("refuses")) as bench:
        result = await bench.call("far", "good", effect=ONCE)
        assert result.failure.why == "the server refused the call"
        assert "no such thing" in result.text


async def test_a_session_that_is_forgotten_is_begun_anew(tmp_path):
    far = Far("forgets")
    async with bench_of(tmp_path, far) as bench:
        result = await bench.call("far", "good", effect=ONCE)
        assert result.failure.why == "the server has forgotten this session"
        await bench.until(lambda: "far: it has forgotten this session" in bench.told)
        far.good = True
        await bench.up("far")
        assert (await bench.call("far", "good", effect=ONCE)).text == "did it"


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (httpx2.ConnectError("x"), "it cannot be reached"),
        (httpx2.ReadTimeout("x"), "it does not answer"),
        (ssl.SSLError(1, "bad"), "its certificate is not trusted"),
        (
            httpx2.HTTPStatusError("x", request=httpx2.Request("GET", "http://h"), response=httpx2.Response(503)),
            "it answers with HTTP 503",
        ),
        (ValueError("a\nb"), "ValueError: a⏎b"),
        (TimeoutError(), "it does not answer"),
        (ExceptionGroup("x", [ExceptionGroup("y", [EndedError("it left", "bye")])]), "it left: bye"),
        (MCPError(code=1, message="no\u202e"), "it answers with an error: no<U+202E>"),
    ],
)
def test_every_reason_is_one_line(error, why):
    assert str(why_of(error)) == why


# --- The keeper -------------------------------------------------------------------------------------------------------


def keep(*command, **more):
    return subprocess.Popen([sys.executable, str(KEEPER), "0.2", *command], stdin=subprocess.PIPE, **more)


@pytest.mark.parametrize(
    ("command", "code"),
    [
        (("sh", "-c", "exit 7"), 7),
        (("sh", "-c", "kill -9 $$"), 137),
        (("no-such-program",), keeper.NOT_STARTED),
    ],
)
def test_the_keeper_ends_as_its_server_does(command, code):
    with keep(*command, stderr=subprocess.DEVNULL) as kept:
        assert kept.wait(10) == code


def test_what_a_server_leaves_behind_ends_with_it():
    with keep("sh", "-c", "sleep 600 & echo $!", stdout=subprocess.PIPE) as kept:
        left = int(kept.stdout.readline())
        assert kept.wait(10) == 0
        gone(left)


@pytest.mark.parametrize("how", ["hangup", "terminate"])
def test_a_server_that_stays_is_killed_with_its_group(how):
    script = "trap '' TERM; sleep 600 & echo $! $$; wait; wait"
    with keep("sh", "-c", script, stdout=subprocess.PIPE) as kept:
        left = [int(pid) for pid in kept.stdout.readline().split()]
        kept.stdin.close() if how == "hangup" else kept.send_signal(signal.SIGTERM)
        assert kept.wait(10) == 128 + signal.SIGKILL
        for pid in left:
            gone(pid)


def gone(pid):
    give_up = time.monotonic() + 5
    while time.monotonic() < give_up:
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (ProcessLookupError, FileNotFoundError):
            return
        if state == "Z":
            return
        time.sleep(0.02)
    raise AssertionError(pid)
