"""HTTP to MCP servers, with bounds.

Law: a body that is no stream of events has at most 1 MB, unpacked: nothing that is packed is asked for or read. Events
are bounded by the SDK. No redirect leaves the server's origin (the SDK's rule), so no header does either.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import httpx2

from agents.tools.mcp.speech import EndedError
from core.rules.text import one_line

BODY_BYTES_MAX: Final = 1024 * 1024
SECONDS_MAX: Final = 30.0
READ_SECONDS_MAX: Final = 300.0
_UNAUTHORIZED: Final = 401


class TooLargeError(httpx2.StreamError):
    """The SDK turns these into an error of the one request."""


@dataclass(slots=True)
class Guard:
    """`refused`: the server has asked who we are."""

    refused: bool = False

    async def look(self, response: httpx2.Response) -> None:
        """At every response, before its body is read."""
        if response.status_code == _UNAUTHORIZED:
            self.refused = True
        elif response.is_success:
            self.refused = False
        if response.headers.get("content-encoding", "identity").lower() not in {"", "identity"}:
            raise EndedError("it packs what it was asked to send unpacked")
        if not response.headers.get("content-type", "").lower().startswith("text/event-stream"):
            response.stream = _Bounded(response.stream)


class _Bounded(httpx2.AsyncByteStream):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    async def __aiter__(self) -> AsyncIterator[bytes]:
        left = BODY_BYTES_MAX
        async for chunk in self._stream:
            left -= len(chunk)
            if left < 0:
                raise TooLargeError(f"it sent more than {BODY_BYTES_MAX // 1024} KB")
            yield chunk

    async def aclose(self) -> None:
        await self._stream.aclose()


def client(guard: Guard, *, headers: Mapping[str, str], auth: Any = None) -> httpx2.AsyncClient:
    """A client that belongs to one server."""
    return httpx2.AsyncClient(
        headers={**headers, "accept-encoding": "identity"},
        timeout=httpx2.Timeout(SECONDS_MAX, read=READ_SECONDS_MAX),
        auth=auth,
        event_hooks={"response": [guard.look]},
    )


def factory(guard: Guard, headers: dict[str, str] | None = None, timeout: Any = None, auth: Any = None) -> Any:
    """The same, as the SDK's SSE client makes its own."""
    del timeout  # ours is as good
    return client(guard, headers=headers or {}, auth=auth)


def why_of(error: BaseException) -> EndedError:
    """In one line."""
    match error:
        case httpx2.ConnectError():
            return EndedError("it cannot be reached")
        case httpx2.TimeoutException():
            return EndedError("it does not answer")
        case httpx2.HTTPStatusError():
            return EndedError(f"it answers with HTTP {error.response.status_code}")
        case ssl.SSLError():
            return EndedError("its certificate is not trusted")
        case _:
            return EndedError(type(error).__name__, one_line(str(error), 200))
