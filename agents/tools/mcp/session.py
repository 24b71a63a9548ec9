"""A connection to one MCP server, on the official SDK.

Law: nothing a server sends unasked goes further than the sieve below. Its requests (sampling, elicitation, roots) are
refused one by one, its notifications are dropped but for the one that rings a bell, and what is no message ends it. The
SDK never sees an output schema: it would run a server's regular expressions here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from importlib import metadata
from pathlib import Path
from typing import Any, Final

import anyio
from mcp import Client, MCPError
from mcp import types as sdk
from mcp.client.auth import OAuthFlowError
from mcp.client.sse import sse_client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage
from pydantic import TypeAdapter, ValidationError

from agents.servers import Server, Start
from agents.tools.mcp import http, pipe
from agents.tools.mcp.answers import answer_of, bounded
from agents.tools.mcp.pins import TOOLS_MAX
from agents.tools.mcp.speech import Answer, CallError, EndedError, LoginNeededError
from core.rules.text import one_line

CONNECT_SECONDS: Final = 30.0
LIST_SECONDS: Final = 30.0
REPLY_SECONDS: Final = 5.0
PAGES_MAX: Final = 20
_LISTED: Final = ("name", "description", "inputSchema", "annotations")
_UNSURE: Final = frozenset(
    {sdk.INTERNAL_ERROR, sdk.INVALID_REQUEST, sdk.PARSE_ERROR, sdk.CONNECTION_CLOSED, sdk.REQUEST_TIMEOUT}
)
"""Errors that the HTTP client makes up, too, when it cannot read an answer: the call may have been carried out."""
_SCOPE: Final = "cancel scope"
"""anyio's word in each of its own cancellations: one can leak when a connection breaks while it is being closed."""
_SESSION_GONE: Final = "Session terminated"
_RESULT: Final[TypeAdapter[Any]] = TypeAdapter(sdk.CallToolResult | sdk.InputRequiredResult)


@dataclass(slots=True)
class _News:
    """What the sieve has seen. `odd` are listed tools that are not even of the form of one."""

    changed: asyncio.Event = field(default_factory=asyncio.Event)
    ended: bool = False
    why: str = ""
    said: str = ""
    odd: list[Mapping[str, Any]] = field(default_factory=list)


@contextlib.asynccontextmanager
async def connect(
    server: Server,
    start: Start,
    environ: Mapping[str, str],
    tokens: Path,
    heard: Callable[[str], None],
    now_ms: Callable[[], int],
    *,
    auth: Any = None,
    seconds: float = CONNECT_SECONDS,
) -> AsyncIterator[Connection]:
    """Open it, and close it in the end. `auth` instead of what `tokens` hold. Raises EndedError, also out of the block
    when the server ends meanwhile.
    """
    news = _News()
    guard = http.Guard()
    child: pipe.Child | None = None
    transport: AbstractAsyncContextManager[tuple[Any, Any]]
    if start.url:
        transport = _over_http(server, start, auth or await _auth(start, tokens, now_ms), guard)
    else:
        environment = pipe.clean_environment(environ, start.env)
        child = pipe.Child(command=start.command, env=environment, folder=server.folder, heard=heard)
        transport = pipe.child(child)
    info = sdk.Implementation(name="signoff", version=metadata.version("signoff"))
    client = Client(_sifted(transport, news), cache=None, client_info=info)  # type: ignore[arg-type,unused-ignore]
    try:
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(seconds):
                await stack.enter_async_context(client)
            yield Connection(client, news, child, over_http=bool(start.url))
    except asyncio.CancelledError as error:
        if _SCOPE not in str(error):
            raise
        raise _ended(child, news) from error  # the connection's own scope, not ours
    except Exception as error:  # whatever the SDK or the server makes of it becomes one line
        inner = _innermost(error)
        if isinstance(inner, LoginNeededError):
            raise inner from error
        if isinstance(inner, OAuthFlowError):
            raise LoginNeededError(f"its login does not work ({one_line(str(inner), 200)})") from error
        if guard.refused:
            raise LoginNeededError("it asks for a login") from error
        raise _ended(child, news, error) from error


async def _auth(start: Start, tokens: Path, now_ms: Callable[[], int]) -> Any:
    """What has been logged in to, unless a header says who we are."""
    named = any(name.lower() == "authorization" for name in start.headers)
    if named or not await asyncio.to_thread(tokens.is_file):
        return None
    from agents.tools.mcp import login  # noqa: PLC0415 - where nobody has logged in, nobody needs it

    return login.provider(start.url, login.TokenFile(tokens, now_ms))


@contextlib.asynccontextmanager
async def _over_http(server: Server, start: Start, auth: Any, guard: http.Guard) -> AsyncIterator[tuple[Any, Any]]:
    if server.sse:
        factory = partial(http.factory, guard)
        async with sse_client(start.url, headers=dict(start.headers), httpx_client_factory=factory, auth=auth) as both:
            yield both
        return
    async with (
        http.client(guard, headers=start.headers, auth=auth) as client,
        streamable_http_client(start.url, http_client=client) as both,
    ):
        yield both


# --- The sieve ------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _sifted(
    transport: AbstractAsyncContextManager[tuple[Any, Any]], news: _News
) -> AsyncIterator[tuple[Any, Any]]:
    async with transport as (reading, writing):
        to_us, sifted = anyio.create_memory_object_stream[Any](0)
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(_sift, reading, to_us, writing, news)
                try:
                    yield sifted, writing
                finally:
                    group.cancel_scope.cancel()
        finally:
            to_us.close()
            sifted.close()


async def _sift(reading: Any, to_us: Any, writing: Any, news: _News) -> None:
    try:
        async with to_us:
            async for item in reading:
                if isinstance(item, Exception):
                    news.why = f"it sent what is no MCP message ({type(item).__name__})"
                    return
                match item.message:
                    case sdk.JSONRPCResponse():
                        await to_us.send(SessionMessage(_plain(item.message, news)))
                    case sdk.JSONRPCError():
                        await to_us.send(item)
                    case sdk.JSONRPCRequest():
                        await _refuse(item.message, writing)
                    case sdk.JSONRPCNotification(method="notifications/tools/list_changed"):
                        news.changed.set()
                    case _:
                        continue
    except (anyio.BrokenResourceError, anyio.ClosedResourceError):
        return
    except TimeoutError:
        news.why = "it asks, and does not listen to answers"
    finally:
        news.ended = True
        news.changed.set()


async def _refuse(request: Any, writing: Any) -> None:
    """A ping is answered. Nothing else is done for a server. Raises TimeoutError if it does not take the answer."""
    reply: Any
    if request.method == "ping":
        reply = sdk.JSONRPCResponse(jsonrpc="2.0", id=request.id, result={})
    else:
        error = sdk.ErrorData(code=sdk.METHOD_NOT_FOUND, message="refused: servers are answered no requests here")
        reply = sdk.JSONRPCError(jsonrpc="2.0", id=request.id, error=error)
    with anyio.fail_after(REPLY_SECONDS):
        await writing.send(SessionMessage(reply))


def _plain(response: Any, news: _News) -> Any:
    """Of listed tools only what is pinned; those that are no tools are kept apart, so that the rest can be read."""
    listed = response.result.get("tools")
    if not isinstance(listed, list):
        return response
    plain = []
    for tool in listed[: TOOLS_MAX + 1]:
        whole = isinstance(tool, dict) and isinstance(tool.get("name"), str)
        if whole and isinstance(tool.get("description", ""), str) and _is_object(tool.get("inputSchema")):
            kept = {key: tool[key] for key in _LISTED if key in tool}
            if not isinstance(kept.get("annotations", {}), dict):
                del kept["annotations"]
            plain.append(kept)
        elif len(news.odd) < TOOLS_MAX:
            news.odd.append({key: tool.get(key) for key in _LISTED} if isinstance(tool, dict) else {"name": "?"})
    return sdk.JSONRPCResponse(jsonrpc="2.0", id=response.id, result={**response.result, "tools": plain})


def _is_object(schema: object) -> bool:
    return isinstance(schema, dict) and schema.get("type") == "object"


# --- The connection -------------------------------------------------------------------------------------------------


class Connection:
    """Implements speech.Live."""

    def __init__(self, client: Client, news: _News, child: pipe.Child | None, *, over_http: bool) -> None:
        self._session = client.session
        self._news = news
        self._child = child
        self._over_http = over_http

    async def tools(self) -> list[Mapping[str, Any]]:
        """What it lists now, raw. Raises EndedError."""
        self._news.odd.clear()
        listed: list[Mapping[str, Any]] = []
        cursor: str | None = None
        try:
            async with asyncio.timeout(LIST_SECONDS):
                for _ in range(PAGES_MAX):
                    page = await self._session.list_tools(params=sdk.PaginatedRequestParams(cursor=cursor))
                    listed += [tool.model_dump(by_alias=True, mode="json", exclude_none=True) for tool in page.tools]
                    cursor = page.next_cursor
                    if not cursor or len(listed) > TOOLS_MAX:
                        break
        except (MCPError, ValidationError, TimeoutError) as error:
            raise self._end("it does not say which tools it has", str(why_of(error))) from error
        return [*listed, *self._news.odd]

    async def call(self, tool: str, arguments: dict[str, Any], seconds: float) -> Answer:
        """Raises CallError, TimeoutError."""
        params = sdk.CallToolRequestParams(name=tool, arguments=arguments)
        try:
            async with asyncio.timeout(seconds):
                result = await self._session.send_request(sdk.CallToolRequest(params=params), _RESULT)
        except MCPError as error:
            raise self._no_result(error) from error
        except (ValidationError, ValueError) as error:
            raise CallError("the server's answer is not of the form it must have", ran=True) from error
        if not isinstance(result, sdk.CallToolResult):
            raise CallError("the server asks for something first, and servers are answered no requests", ran=False)
        return answer_of(result)

    def _no_result(self, error: MCPError) -> CallError:
        said = bounded(error.message, 500)
        if error.code == sdk.CONNECTION_CLOSED or self._news.ended:
            ended = _ended(self._child, self._news)
            return CallError(ended.why, ended.said, ran=True)
        if self._over_http and error.code == sdk.INVALID_REQUEST and error.message == _SESSION_GONE:
            self._end("it has forgotten this session")
            return CallError("the server has forgotten this session", ran=False)
        return CallError("the server refused the call", said, ran=self._over_http and error.code in _UNSURE)

    async def news(self, seconds: float) -> None:
        """Until it says that its tools have changed, or for so long. Raises EndedError once it has ended."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.changed.wait()
        self._news.changed.clear()
        if self._news.ended:
            raise _ended(self._child, self._news)

    def _end(self, why: str, said: str = "") -> EndedError:
        if not self._news.why:
            self._news.why, self._news.said = why, one_line(said, 300)
        self._news.ended = True
        self._news.changed.set()
        return EndedError(why, one_line(said, 300))


def _ended(child: pipe.Child | None, news: _News, error: BaseException | None = None) -> EndedError:
    """Why it is over: what is known best comes first."""
    if child is not None and child.why:
        return EndedError(child.why, child.said)
    if news.why:
        return EndedError(news.why, news.said)
    return why_of(error) if error is not None else EndedError("the connection is closed")


def why_of(error: BaseException) -> EndedError:
    """The innermost reason."""
    error = _innermost(error)
    match error:
        case EndedError():
            return error
        case MCPError():
            return EndedError("it answers with an error", one_line(error.message, 300))
        case TimeoutError():
            return EndedError("it does not answer")
        case ValidationError():
            return EndedError("its answer is not of the form it must have")
        case _:
            return http.why_of(error)


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
