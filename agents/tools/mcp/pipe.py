"""An MCP server as a child process, spoken to in lines.

Law: the child has the environment it is given and nothing else, a process group of its own, and an end: with its
context, or when standard input closes (`keeper`). Nothing it writes grows here: a line has a bound, what is no message
ends it, and of standard error only the first lines are kept. The SDK's own stdio client does none of these.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import anyio
from mcp.shared.message import SessionMessage
from mcp.types import jsonrpc_message_adapter

from agents.tools.mcp.speech import EndedError
from core.rules.text import one_line

LINE_BYTES_MAX: Final = 1024 * 1024
STDERR_LINES_MAX: Final = 50
STDERR_CHARS_MAX: Final = 300
LEAVE_SECONDS: Final = 1.0
"""Between the end of its standard input and SIGKILL."""
KEEPER_SECONDS: Final = 0.5
_KEEPER: Final = Path(__file__).with_name("keeper.py")


@dataclass(slots=True, kw_only=True)
class Child:
    """How to start it. `heard` gets the first lines of its standard error."""

    command: tuple[str, ...]
    env: Mapping[str, str]
    folder: Path
    heard: Callable[[str], None]
    why: str = field(default="", init=False)  # why it ended, once it has
    said: str = field(default="", init=False)  # and in its own words
    last: str = field(default="", init=False)  # the last line of standard error that was kept
    silent: asyncio.Event = field(default_factory=asyncio.Event, init=False)  # its standard error has ended


def clean_environment(environ: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """What a program needs to be found and to find its caches, and what was named; no key of ours is among it."""
    plain = {name: environ[name] for name in ("PATH", "HOME", "TMPDIR") if environ.get(name)}
    return {"LANG": "C.UTF-8", **plain, **given}


@contextlib.asynccontextmanager
async def child(start: Child) -> AsyncIterator[tuple[Any, Any]]:
    """A transport as the SDK takes one: a stream to read messages from, one to write them to. The reading stream ends
    when the server does; `start.why` then says why. Raises EndedError if it cannot be started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_KEEPER), str(LEAVE_SECONDS), *start.command),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env=dict(start.env),
            cwd=start.folder,
            limit=LINE_BYTES_MAX,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise EndedError(f"it cannot be started: {error}") from error
    to_us, reading = anyio.create_memory_object_stream[Any](0)
    writing, to_it = anyio.create_memory_object_stream[Any](0)
    assert process.stdin and process.stdout and process.stderr  # noqa: S101, PT018 - asked for above

    async def read(stdout: asyncio.StreamReader) -> None:
        async with to_us:
            while not start.why:
                message = await _message(stdout, start, jsonrpc_message_adapter.validate_json)
                if message is None:
                    break
                try:
                    await to_us.send(SessionMessage(message))
                except (anyio.BrokenResourceError, anyio.ClosedResourceError):
                    break
            if not start.why:
                start.why, start.said = await _ending(process, start), start.last
        while await stdout.read(65_536):  # a full pipe would keep it from leaving
            pass

    async def write(stdin: asyncio.StreamWriter) -> None:
        async with to_it:
            async for item in to_it:
                stdin.write(item.message.model_dump_json(by_alias=True, exclude_unset=True).encode() + b"\n")
                try:
                    await stdin.drain()
                except (ConnectionError, OSError):
                    return  # it is gone; reading says why

    try:
        async with anyio.create_task_group() as group:
            group.start_soon(read, process.stdout)
            group.start_soon(write, process.stdin)
            group.start_soon(_listen, process.stderr, start)
            try:
                yield reading, writing
            finally:
                with anyio.CancelScope(shield=True):
                    await _end(process)
                group.cancel_scope.cancel()
    finally:
        for stream in (reading, writing, to_us, to_it):
            stream.close()


async def _message(stdout: asyncio.StreamReader, start: Child, parse: Callable[[bytes], Any]) -> Any:
    """The next message; None at the end, or when it is ended for what it wrote."""
    while True:
        try:
            line = await stdout.readline()
        except ValueError:  # asyncio's word for a line over the limit
            start.why = f"it sent a line of more than {LINE_BYTES_MAX // 1024} KB"
            return None
        if not line:
            return None
        if not line.strip():
            continue
        try:
            return parse(line)
        except (ValueError, RecursionError):
            shown = one_line(line.decode("utf-8", "replace").strip(), 80)
            start.why, start.said = "it wrote to standard output what is no MCP message", shown
            return None


async def _ending(process: asyncio.subprocess.Process, start: Child) -> str:
    """Its standard output is closed: most likely it has ended, and says how in a moment."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS):
            await process.wait()
            await start.silent.wait()  # its last words say why
    code = process.returncode
    return "it closed its standard output" if code is None else f"it ended with exit code {code}"


async def _listen(stderr: asyncio.StreamReader, start: Child) -> None:
    """Keep the first lines, read all of them."""
    kept_n, left = 0, b""
    while chunk := await stderr.read(65_536):
        *lines, left = (left + chunk).split(b"\n")
        left = left[: 4 * STDERR_CHARS_MAX]
        for line in lines:
            text = one_line(line.decode("utf-8", "replace").strip(), STDERR_CHARS_MAX)
            if text and kept_n < STDERR_LINES_MAX:
                kept_n += 1
                start.last = text
                start.heard(text)
    start.silent.set()


async def _end(process: asyncio.subprocess.Process) -> None:
    """Its standard input ends; the keeper does the rest, or is killed itself."""
    assert process.stdin is not None  # noqa: S101 - as above
    process.stdin.close()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LEAVE_SECONDS + KEEPER_SECONDS):
            await process.wait()
    if process.returncode is None:
        process.kill()
    transport = getattr(process, "_transport", None)  # a descendant that left the group may hold a pipe for ever
    if transport is not None:
        transport.close()
