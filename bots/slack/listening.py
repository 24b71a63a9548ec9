"""How Slack brings things: Socket Mode, or signed requests over HTTP. Client side; loaded when it is needed.

Laws of this file. Bolt checks and reads what comes, and one middleware commits it: an answer means committed, and what
was not committed gets none, so Slack brings it again. A socket is read here and not by the SDK's own client, which
reconnects by itself, can stay deaf when it does (bolt-python #1529, python-slack-sdk #1701), never gives up on a
refused token, and leaves tasks behind.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import aiohttp
import structlog
from aiohttp import WSMsgType, web
from slack_bolt.adapter.aiohttp import to_aiohttp_response, to_bolt_request
from slack_bolt.app.async_app import AsyncApp
from slack_bolt.request.async_request import AsyncBoltRequest
from slack_bolt.response import BoltResponse

from bots.slack import words
from bots.slack.web import Web
from core.model.errors import AuthenticationError, RetryableError, SignoffError

HEARTBEAT_SECONDS: Final = 10.0  # a ping that is not answered within half of it ends the connection
HELLO_SECONDS: Final = 15
CLOSE_SECONDS: Final = 1.0  # for the other side to say goodbye as well
MESSAGE_BYTES_MAX: Final = 64 * 1024 * 1024
BODY_BYTES_MAX: Final = 32 * 1024 * 1024

log = structlog.get_logger()

Hear = Callable[[Any], Awaitable[str]]
"""Takes a payload and returns what to say to its sender, "" for nothing. Raising means: not committed."""


class Ears:
    """One for each connection. `noticed` is called for every frame or request, whatever is in it."""

    def __init__(self, api: Web, hear: Hear, noticed: Callable[[], None], *, signing_secret: str = "") -> None:
        self._hear = hear
        self._noticed = noticed
        self._proxy = api.client.proxy
        self._app = AsyncApp(
            name="signoff",
            logger=api.logger,
            client=api.client,
            signing_secret=signing_secret,
            before_authorize=self._commit,
        )

    async def _commit(self, body: dict[str, Any], next: Callable[[], Awaitable[BoltResponse]]) -> BoltResponse:  # noqa: A002  # Bolt's name
        """Bolt's first middleware after the signature. It answers instead of a listener, because Bolt would answer
        before a listener has ended.
        """
        if body.get("type") == "url_verification":
            return await next()
        try:
            text = await self._hear(body)
        except SignoffError as error:
            log.warning("slack.not-taken", why=str(error))
            return BoltResponse(status=503, body="")
        except Exception:  # Bolt would answer 500 and say it to a log that is silent
            log.exception("slack.broke")
            raise
        return BoltResponse(status=200, body={"response_type": "ephemeral", "text": text} if text else "")

    # --- Socket Mode ------------------------------------------------------------------------------------------------

    async def listen(self, session: aiohttp.ClientSession, url: str, connected: Callable[[], None]) -> None:
        """Until Slack asks for a new connection, which it does every few hours. What came is dealt with first. Raises
        RetryableError for a connection that was lost, AuthenticationError if Socket Mode is off.
        """
        try:
            async with session.ws_connect(
                url,
                autoping=False,
                heartbeat=HEARTBEAT_SECONDS,
                max_msg_size=MESSAGE_BYTES_MAX,
                timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                proxy=self._proxy,
            ) as socket:
                async with asyncio.timeout(HELLO_SECONDS):
                    first = await socket.receive()
                if first.type is not WSMsgType.TEXT or _decoded(first.data).get("type") != "hello":
                    raise RetryableError(words.NO_HELLO)
                connected()
                async with asyncio.TaskGroup() as group:
                    reason = await self._read(socket, group)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            raise RetryableError(f"{words.LOST} ({type(error).__name__})") from error
        if reason == "link_disabled":
            raise AuthenticationError(words.SOCKET_MODE_OFF, words.SWITCH_ON)
        if reason not in {"warning", "refresh_requested"}:
            raise RetryableError(f"{words.LOST} ({reason})")

    async def _read(self, socket: aiohttp.ClientWebSocketResponse, group: asyncio.TaskGroup) -> str:
        """Why the connection ends."""
        while True:
            frame = await socket.receive()
            self._noticed()
            match frame.type:
                case WSMsgType.PING:
                    with contextlib.suppress(ConnectionError):
                        await socket.pong(frame.data)
                case WSMsgType.TEXT:
                    message = _decoded(frame.data)
                    if message.get("type") == "disconnect":
                        return str(message.get("reason") or "disconnect")
                    if isinstance(message.get("envelope_id"), str):
                        group.create_task(self._envelope(socket, message))
                case WSMsgType.CLOSE | WSMsgType.CLOSING | WSMsgType.CLOSED | WSMsgType.ERROR:
                    return f"closed, {socket.close_code}"
                case _:
                    pass

    async def _envelope(self, socket: aiohttp.ClientWebSocketResponse, message: dict[str, Any]) -> None:
        answer = await self._dispatched(message.get("payload"))
        if answer is None:
            return
        envelope: dict[str, Any] = {"envelope_id": message["envelope_id"]}
        if answer and message.get("accepts_response_payload"):
            envelope["payload"] = json.loads(answer)
        with contextlib.suppress(ConnectionError):  # Slack brings it again, and it is known then
            await socket.send_json(envelope)

    async def _dispatched(self, payload: Any) -> str | None:
        """What to answer; None for what was not taken."""
        if not isinstance(payload, dict):
            return ""
        try:
            request = AsyncBoltRequest(mode="socket_mode", body=payload)
        except (AttributeError, KeyError, TypeError, ValueError):
            log.info("slack.malformed", kind=str(payload.get("type")))
            return ""
        response = await self._app.async_dispatch(request)
        return response.body if response.status == 200 else None

    # --- HTTP -------------------------------------------------------------------------------------------------------

    async def serve(self, host: str, port: int, connected: Callable[[], None]) -> None:
        """For ever. Raises RetryableError when the address cannot be had."""
        site = web.Application(client_max_size=BODY_BYTES_MAX)
        site.router.add_post("/slack/events", self._request)
        runner = web.AppRunner(site, access_log=None, shutdown_timeout=CLOSE_SECONDS)
        await runner.setup()
        try:
            await web.TCPSite(runner, host, port).start()
            connected()
            await asyncio.Event().wait()
        except OSError as error:
            raise RetryableError(f"{host}:{port}: {error.strerror}") from error
        finally:
            await runner.cleanup()

    async def _request(self, request: web.Request) -> web.Response:
        try:
            asked = await to_bolt_request(request)
        except (AttributeError, KeyError, TypeError, ValueError):
            return web.Response(status=400)
        answer = await self._app.async_dispatch(asked)
        if answer.status != 401:
            self._noticed()
        return await to_aiohttp_response(answer)


def _decoded(text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except ValueError:
        return {}
    return message if isinstance(message, dict) else {}
