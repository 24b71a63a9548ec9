"""The gateway through discord.py: its socket, heartbeats and resuming, but none of its models.

What the library would make of an event is replaced by one function of ours that gets the raw data. So nothing is
cached, and no member, channel or field that the library does not know can break the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial
from typing import Any, Final

import aiohttp
import discord
import yarl
from discord.gateway import DiscordWebSocket, ReconnectWebSocket, WebSocketClosure

from bots.discord import words
from bots.discord.rest import Rest
from core.model.errors import AuthenticationError, RetryableError, SignoffError, TerminalError

HELLO_SECONDS_MAX: Final = 20.0
CLOSE_SECONDS_MAX: Final = 2.0
QUIET_SECONDS_MAX: Final = 90.0
RESUME_SECONDS_MIN: Final = 5.0

Hear = Callable[[str, Any], None]


class _Parsers(dict[str, Callable[[Any], None]]):
    """A parser for every kind of event there is or will be."""

    def __init__(self, hear: Hear) -> None:
        super().__init__()
        self._hear = hear

    def __missing__(self, kind: str) -> Callable[[Any], None]:
        return partial(self._hear, kind)


async def listen(rest: Rest, gateway_url: str, hear: Hear, alive: Callable[[], None]) -> None:
    """Receive until the connection cannot be resumed. `hear` gets every event, `alive` is called for every frame.

    Raises RetryableError to be rebuilt, AuthenticationError when only a person can help.
    """
    rest.client._connection.parsers = _Parsers(hear)  # noqa: SLF001  # the one way around the library's models
    sockets: list[DiscordWebSocket] = []

    class Socket(DiscordWebSocket):
        """Known from its first moment, so that it is closed even if it never says hello."""

        def __init__(self, socket: aiohttp.ClientWebSocketResponse, *, loop: asyncio.AbstractEventLoop) -> None:
            super().__init__(socket, loop=loop)
            sockets.append(self)

    try:
        await _receive(Socket, rest, gateway_url, alive)
    except SignoffError:
        raise
    except discord.ConnectionClosed as closed:
        raise _farewell(closed.code) from closed
    except (ReconnectWebSocket, WebSocketClosure, OSError, aiohttp.ClientError) as error:
        raise RetryableError(words.LOST) from error
    except Exception as error:  # what is no JSON, or not Discord's: the library has no error of its own for it
        raise RetryableError(words.UNREADABLE) from error
    finally:
        for socket in sockets:
            await _close(socket)


async def _receive(kind: type[DiscordWebSocket], rest: Rest, gateway_url: str, alive: Callable[[], None]) -> None:
    gateway = yarl.URL(gateway_url) if gateway_url else None
    session: dict[str, Any] = {"initial": True}
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        async with asyncio.timeout(HELLO_SECONDS_MAX):
            socket = await kind.from_client(rest.client, **{"gateway": gateway, **session})
        alive()
        try:
            while True:
                await _frame(socket)
                alive()
        except ReconnectWebSocket as again:
            # Nothing is resumed that was cut at once: whoever rebuilds waits longer each time.
            if not again.resume or not socket.session_id or loop.time() - began < RESUME_SECONDS_MIN:
                raise
            session = {"session": socket.session_id, "sequence": socket.sequence, "resume": True}
            session["gateway"] = gateway or socket.gateway
            await _close(socket)


async def _frame(socket: DiscordWebSocket) -> None:
    """The next one. A heartbeat is answered at once, so that a third over one interval is silence."""
    keeper = socket._keep_alive  # noqa: SLF001  # where the library keeps the interval
    interval = keeper.interval if keeper is not None and keeper.interval else QUIET_SECONDS_MAX
    try:
        async with asyncio.timeout(min(interval * 1.3 + 2, QUIET_SECONDS_MAX)):
            await socket.poll_event()
    except TimeoutError as error:
        raise RetryableError(words.DEAF) from error


async def _close(socket: DiscordWebSocket) -> None:
    """A half-open one never answers."""
    with contextlib.suppress(TimeoutError, OSError, aiohttp.ClientError, RuntimeError):
        async with asyncio.timeout(CLOSE_SECONDS_MAX):
            await socket.close(1000)


def _farewell(code: int) -> SignoffError:
    match code:
        case 4004:
            return AuthenticationError(words.SIGN_IN_REFUSED, words.SIGN_IN_REMEDY)
        case 4013 | 4014:
            return AuthenticationError(words.INTENT_REFUSED, words.INTENT_REMEDY)
        case 4010 | 4011 | 4012:
            return TerminalError(f"{words.CLOSED} ({code})")
        case _:
            return RetryableError(f"{words.LOST} ({code})")
