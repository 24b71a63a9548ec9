"""The fake's network side: routes, bodies as slack_sdk sends them, tokens, planned faults, and limits that are held.

Law of this file: every request of the bot is in the journal before anything comes of it. A planned fault waits, lets
the request take effect or not, awaits its hook, and only then answers, lies, or hangs up.
"""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections.abc import Callable
from typing import Any, Final

from aiohttp import web
from aiohttp.multipart import BodyPartReader

from tests.fakes.service import Fault, Faults, Journal
from tests.fakes.slack.sockets import Deliveries
from tests.fakes.slack.web import POST_TEXT_MAX, Web
from tests.fakes.slack.workspace import SlackError, truth

NESTED: Final = ("blocks", "attachments", "metadata", "view", "files")
USES_MAX: Final = 5
TICKET_SECONDS: Final = 30.0
BODY_BYTES_MAX: Final = 256 * 1024 * 1024


class Server:
    """Listens on one port of 127.0.0.1, the same one after every restart."""

    def __init__(self, api: Web, deliveries: Deliveries, journal: Journal, faults: Faults) -> None:
        self.api = api
        self.deliveries = deliveries
        self.journal = journal
        self.faults = faults
        self.port = 0
        self.bot_token = ""
        self.app_token = ""
        self.refused = ""  # an error that apps.connections.open answers with, while it must not work
        self.urls: dict[str, dict[str, Any]] = {}  # response_url tokens: uses, where, what
        self._tickets: dict[str, float] = {}
        self._limits: dict[str, float] = {}  # "chat:<channel>", or "*": nothing is taken before this time
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=BODY_BYTES_MAX)
        app.router.add_route("*", "/api/{method}", self._api)
        app.router.add_get("/link/", self._socket)
        app.router.add_post("/upload/v1/{file}", self._upload)
        app.router.add_get("/files-pri/{file}/{name}", self._download)
        app.router.add_get("/signin", self._sign_in)
        app.router.add_post("/actions/{token}", self._respond)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.2, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.api.base = f"http://127.0.0.1:{self.port}"

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    # --- Requests and what goes wrong with them ----------------------------------------------------------------------

    async def _through(
        self, request: web.Request, method: str, args: dict[str, Any], act: Callable[[], web.StreamResponse]
    ) -> web.StreamResponse:
        self.journal.note("request", method, **args)
        where = str(args.get("channel") or args.get("channel_id") or "")
        fault = self.faults.take(method)
        if fault is None:
            return self._limited(method, where) or act()
        self.journal.note("fault", method, how=fault.how, applied=fault.applied, status=fault.status)
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        done = act() if fault.applied else None
        if fault.hook is not None:
            await fault.hook()
        match fault.how:
            case "status":
                return self._status(fault, method, where)
            case "cut":
                if request.transport is not None:
                    request.transport.abort()
                return web.Response()
            case "garbage":
                return web.Response(text='{"ok": tr', content_type="application/json")
            case _:
                return done or act()

    def _limited(self, method: str, where: str) -> web.Response | None:
        """Who was told to wait and did not is told again, and it shows."""
        until = max(self._limits.get("*", 0.0), self._limits.get(_family(method, where), 0.0))
        left = until - time.monotonic()
        if left <= 0:
            return None
        self.journal.note("fault", method, how="too soon", left=left, channel=where)
        return _too_many(left)

    def _status(self, fault: Fault, method: str, where: str) -> web.Response:
        if fault.retry_after:
            key = "*" if fault.everywhere else _family(method, where)
            self._limits[key] = time.monotonic() + fault.retry_after
        if fault.status == 429:
            return _too_many(fault.retry_after)
        return web.Response(
            status=fault.status, text="<html><body>Server Error</body></html>", content_type="text/html"
        )

    # --- The Web API ------------------------------------------------------------------------------------------------

    async def _api(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        args = await _arguments(request)
        token = str(args.pop("token", "")) or request.headers.get("Authorization", "").removeprefix("Bearer ")
        return await self._through(request, method, args, lambda: self._answer(method, args, token))

    def _answer(self, method: str, args: dict[str, Any], token: str) -> web.Response:
        headers = {"x-oauth-scopes": self.api.scopes, "x-slack-req-id": self.api.space.id("req")}
        try:
            body = {"ok": True, **self._authorised(method, args, token)}
        except SlackError as error:
            self.journal.note("refused", method, error=error.code, **error.more)
            body = {"ok": False, "error": error.code, **error.more}
        return web.json_response(body, headers=headers)

    def _authorised(self, method: str, args: dict[str, Any], token: str) -> dict[str, Any]:
        wanted = self.app_token if method == "apps.connections.open" else self.bot_token
        if not token:
            raise SlackError("not_authed")
        if token != wanted:
            known = token in {self.app_token, self.bot_token}
            raise SlackError("not_allowed_token_type" if known else "invalid_auth")
        if method == "apps.connections.open":
            return self._ticket()
        for name in NESTED:
            if isinstance(args.get(name), str):
                try:
                    args[name] = json.loads(args[name]) if args[name] else None
                except ValueError:
                    raise SlackError(f"invalid_{name}_format") from None
        return self.api.call(method, args)

    # --- Sockets ----------------------------------------------------------------------------------------------------

    def _ticket(self) -> dict[str, Any]:
        if self.refused:
            raise SlackError(self.refused)
        ticket = self.api.space.id("ticket-")
        self._tickets[ticket] = time.monotonic()
        return {"url": f"ws://127.0.0.1:{self.port}/link/?ticket={ticket}&app_id={self.api.app_id}"}

    def void_tickets(self) -> None:
        """URLs that were given and not yet used open nothing any more."""
        self._tickets.clear()

    async def _socket(self, request: web.Request) -> web.StreamResponse:
        made = self._tickets.pop(request.query.get("ticket", ""), None)
        self.journal.note("request", "socket", good=made is not None)
        if made is None or time.monotonic() - made > TICKET_SECONDS or self.refused:
            return web.Response(status=403)
        return await self.deliveries.serve(request)

    # --- Files ------------------------------------------------------------------------------------------------------

    async def _upload(self, request: web.Request) -> web.StreamResponse:
        content = await _content(request)
        file = self.api.space.files.get(request.match_info["file"])

        def keep() -> web.Response:
            if file is None or file.completed:
                return web.Response(status=404)
            if len(content) != file.length:
                return web.Response(status=400, text=f"expected {file.length} bytes")
            file.content = content
            self.journal.note("applied", "upload", file=file.id, name=file.name, bytes_n=len(content))
            return web.Response(text=f"OK - {len(content)}")

        return await self._through(request, "upload", {"file": request.match_info["file"]}, keep)

    async def _download(self, request: web.Request) -> web.StreamResponse:
        file = self.api.space.files.get(request.match_info["file"].partition("-")[2])
        allowed = request.headers.get("Authorization") == f"Bearer {self.bot_token}"

        def give() -> web.Response:
            if not allowed:  # who has no token is sent to where people sign in; who follows gets 200, and no file
                return web.Response(status=302, headers={"Location": "/signin"})
            if file is None:
                return web.Response(status=404)
            return web.Response(body=file.content, content_type=file.media or "application/octet-stream")

        return await self._through(request, "download", {"file": request.match_info["file"]}, give)

    async def _sign_in(self, request: web.Request) -> web.Response:
        return web.Response(text="<!DOCTYPE html><html>Sign in</html>", content_type="text/html")

    # --- response_url -----------------------------------------------------------------------------------------------

    def response_url(self, channel: str, user: str, message: str = "") -> str:
        token = self.api.space.id("response-")
        self.urls[token] = {"uses": 0, "channel": channel, "user": user, "message": message}
        return f"{self.api.base}/actions/{token}"

    async def _respond(self, request: web.Request) -> web.StreamResponse:
        token = request.match_info["token"]
        try:
            body = json.loads(await request.text())
        except ValueError:
            body = {}

        def answer() -> web.Response:
            known = self.urls.get(token)
            if known is None or known["uses"] >= USES_MAX:
                self.journal.note("refused", "response_url", error="used_url")
                return web.json_response({"ok": False, "error": "used_url"}, status=404)
            known["uses"] += 1
            try:
                self.respond(known, body)
            except SlackError as error:
                self.journal.note("refused", "response_url", error=error.code, **error.more)
                return web.json_response({"ok": False, "error": error.code}, status=400)
            return web.Response(text="ok")

        return await self._through(request, "response_url", {"token": token, **body}, answer)

    def respond(self, known: dict[str, Any], body: dict[str, Any]) -> None:
        """What an answer to an interaction comes to: a new message, an ephemeral one, an edit, a deletion."""
        api, channel = self.api, self.api.space.channels[known["channel"]]
        original = api.space.ephemerals.get(known["message"]) or channel.messages.get(
            known["message"].partition(":")[2]
        )
        if truth(body.get("delete_original")) and original is not None:
            if "only_for" in original:
                del api.space.ephemerals[known["message"]]
            else:
                api.remove(channel, original)
            self.journal.note("applied", "response_url", deleted=known["message"], channel=channel.id)
            return
        content = api.content(body, POST_TEXT_MAX)
        if truth(body.get("replace_original")) and original is not None:
            fields = content if "blocks" in content else content | {"blocks": None}
            if "only_for" in original:
                api.space.change(channel, original, fields)
                api.applied("response_url", channel, original, body)
            else:
                api.replace("response_url", channel, original, fields, body)
            return
        thread = {"thread_ts": str(body["thread_ts"])} if body.get("thread_ts") else {}
        message = {**content, **api.author({}), **thread}
        if body.get("response_type") == "in_channel":
            api.publish("response_url", channel, message, body)
        else:
            api.whisper("response_url", channel, message | {"only_for": known["user"]}, body)


def _family(method: str, where: str) -> str:
    """What a limit is on: to be silent in a channel is not to be blind to it."""
    return f"{method.partition('.')[0]}:{where}"


def _too_many(seconds: float) -> web.Response:
    headers = {"Retry-After": str(max(1, math.ceil(seconds)))}
    return web.json_response({"ok": False, "error": "ratelimited"}, status=429, headers=headers)


async def _arguments(request: web.Request) -> dict[str, Any]:
    """Query, form and JSON, as one."""
    args: dict[str, Any] = dict(request.query)
    if request.content_type == "application/json":
        try:
            body = json.loads(await request.text() or "{}")
        except ValueError:
            body = {}
        args |= body if isinstance(body, dict) else {}
    elif request.content_type in {"application/x-www-form-urlencoded", "multipart/form-data"}:
        args |= dict(await request.post())
    return args


async def _content(request: web.Request) -> bytes:
    """An upload's bytes, raw or as the one file of a form."""
    if not request.content_type.startswith("multipart/"):
        return await request.read()
    async for part in await request.multipart():
        if isinstance(part, BodyPartReader):
            return bytes(await part.read())
    return b""
