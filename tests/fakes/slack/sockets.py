"""How Slack brings things to an app: Socket Mode, or signed requests to a URL.

Law of this file: an event that nobody acknowledged comes again, up to three times, with its `retry_attempt` and
`retry_reason`; slash commands and interactive payloads come once. What is on several sockets is shared among them. An
event that was on a socket when it broke waits for the next one; what finds no socket at all is tried again after
`gaps` and then is lost to everything but history.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import time
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

import aiohttp
from aiohttp import WSMsgType, web

from tests.fakes.service import Faults, Journal

SOCKETS_MAX: Final = 10
RETRIES_MAX: Final = 3


@dataclass(slots=True, kw_only=True, eq=False)
class Parcel:
    """Something on its way. `answer`: what it was acknowledged with, None if it never was."""

    kind: str  # events_api, slash_commands, interactive
    payload: dict[str, Any]
    answer: asyncio.Future[dict[str, Any] | None]
    attempt: int = 0
    reason: str = ""
    sent: bool = False
    link: Link | None = None
    timer: asyncio.TimerHandle | None = None

    @property
    def about(self) -> dict[str, Any]:
        """For the journal."""
        event = self.payload.get("event", {})
        known = {"event_id": self.payload.get("event_id"), "event": event.get("type"), "ts": event.get("ts")}
        more = {"trigger_id": self.payload.get("trigger_id"), "type": self.payload.get("type")}
        return {"attempt": self.attempt, **(known if self.kind == "events_api" else more)}


@dataclass(slots=True, kw_only=True, eq=False)
class Link:
    """One socket; without `ws`, the socket of another instance, which answers nothing."""

    ws: web.WebSocketResponse | None = None
    queue: asyncio.Queue[dict[str, Any] | None] = field(default_factory=asyncio.Queue)
    silent: bool = False  # neither speaks nor hears: half open
    deaf: bool = False  # answers pings, and nothing is put on it
    envelopes: dict[str, Parcel] = field(default_factory=dict)


class Deliveries:
    """Everything Slack has to bring to one app."""

    def __init__(self, journal: Journal, faults: Faults, app: str, names: Any) -> None:
        self.journal = journal
        self.faults = faults
        self.app = app
        self._names = names  # a callable that makes unique ids
        self.ack_seconds = 3.0
        self.gaps = (0.0, 0.5, 1.0)  # Slack's: at once, a minute, five minutes
        self.ping_seconds = 5.0
        self.http_url = ""
        self.signing_secret = ""
        self.links: list[Link] = []
        self.silent = False  # what connects now hears nothing
        self.greeted = asyncio.Event()
        self._turn = 0
        self._waiting: list[Parcel] = []
        self._posts: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None

    # --- Out --------------------------------------------------------------------------------------------------------

    def send(self, kind: str, payload: dict[str, Any], *, attempt: int = 0, reason: str = "") -> Parcel:
        """Put it on its way at once."""
        answer = asyncio.get_running_loop().create_future()
        parcel = Parcel(kind=kind, payload=payload, answer=answer, attempt=attempt, reason=reason)
        self._send(parcel)
        return parcel

    def _send(self, parcel: Parcel) -> None:
        if parcel.answer.done():
            return
        if self.http_url:
            self._later(self.ack_seconds, parcel, "http_timeout")
            task = asyncio.get_running_loop().create_task(self._post(parcel))
            self._posts.add(task)
            task.add_done_callback(self._posts.discard)
            return
        able = [link for link in self.links if not link.deaf and (link.ws is None or not link.ws.closed)]
        if not able and parcel.sent:
            self._waiting.append(parcel)
            return
        if not able:
            self._failed(parcel, "connection_failed")
            return
        self._turn += 1
        link = able[self._turn % len(able)]
        envelope = self._names("envelope-")
        accepts = parcel.kind != "events_api"
        wrapped = {"envelope_id": envelope, "type": parcel.kind, "accepts_response_payload": accepts}
        wrapped["payload"] = parcel.payload
        if parcel.kind == "events_api":
            wrapped |= {"retry_attempt": parcel.attempt, "retry_reason": parcel.reason}
        parcel.sent, parcel.link = True, link
        link.envelopes[envelope] = parcel
        link.queue.put_nowait(wrapped)
        to = "the bot" if link.ws else "another instance"
        self.journal.note("delivered", parcel.kind, envelope_id=envelope, to=to, **parcel.about)
        self._later(self.ack_seconds, parcel, "timeout")

    def _later(self, seconds: float, parcel: Parcel, reason: str) -> None:
        """Unless it is acknowledged by then, it has failed."""
        parcel.timer = asyncio.get_running_loop().call_later(seconds, self._failed, parcel, reason)

    def _failed(self, parcel: Parcel, reason: str) -> None:
        if parcel.timer is not None:
            parcel.timer.cancel()
        if parcel.answer.done():
            return
        if parcel.kind != "events_api" or parcel.attempt >= RETRIES_MAX:
            self.journal.note("lost", parcel.kind, reason=reason, **parcel.about)
            parcel.answer.set_result(None)
            return
        parcel.attempt += 1
        parcel.reason = reason
        gap = self.gaps[min(parcel.attempt, len(self.gaps)) - 1]
        parcel.timer = asyncio.get_running_loop().call_later(gap, self._send, parcel)

    def _acknowledged(self, parcel: Parcel, answer: dict[str, Any], **about: Any) -> None:
        self.journal.note("acknowledged", parcel.kind, **about, **parcel.about)
        if parcel.timer is not None:
            parcel.timer.cancel()
        if not parcel.answer.done():
            parcel.answer.set_result(answer)

    # --- Sockets ----------------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """One socket, from its hello to its end."""
        ws = web.WebSocketResponse(autoping=False, max_msg_size=0, timeout=0.5)
        await ws.prepare(request)
        link = Link(ws=ws, silent=self.silent)
        if len(self.links) >= SOCKETS_MAX:
            await ws.send_json({"type": "disconnect", "reason": "too_many_websockets"})
            await ws.close()
            return ws
        self.links.append(link)
        link.queue.put_nowait(self._hello())
        writer = asyncio.get_running_loop().create_task(self._write(link))
        if not link.silent:
            self.greeted.set()
            waiting, self._waiting = self._waiting, []
            for parcel in waiting:
                self._send(parcel)
        try:
            async for message in ws:
                if message.type == WSMsgType.PING and not link.silent:
                    with contextlib.suppress(ConnectionError):
                        await ws.pong(message.data)
                elif message.type == WSMsgType.TEXT and not link.silent:
                    await self._read(link, message.data)
        finally:
            writer.cancel()
            self.ended(link)
        return ws

    def _hello(self) -> dict[str, Any]:
        info = {"host": "applink-fake", "build_number": 1, "approximate_connection_time": 18_060}
        about = {"connection_info": {"app_id": self.app}, "debug_info": info}
        return {"type": "hello", "num_connections": len(self.links), **about}

    async def _write(self, link: Link) -> None:
        assert link.ws is not None
        while True:
            try:
                item = await asyncio.wait_for(link.queue.get(), self.ping_seconds)
                if item is None:
                    await link.ws.close()
                    return
                if not link.silent:
                    await link.ws.send_str(json.dumps(item))
            except TimeoutError:
                if not link.silent:
                    await link.ws.ping(b"Ping from applink-fake")
            except ConnectionError:
                return  # the reader ends for the same reason, and takes the link away

    async def _read(self, link: Link, text: str) -> None:
        said = json.loads(text)
        parcel = link.envelopes.get(said.get("envelope_id"))
        if parcel is None:
            self.journal.note("acknowledged", "nothing", said=said)
            return
        fault = self.faults.take(f"ack.{parcel.kind}")
        if fault is None or fault.applied or fault.how in {"wait", "none"}:
            if fault is not None and not fault.applied and fault.hook is not None:
                await fault.hook()
            link.envelopes.pop(said["envelope_id"])
            self._acknowledged(parcel, said.get("payload") or {}, envelope_id=said["envelope_id"])
        if fault is not None:
            self.journal.note("fault", f"ack.{parcel.kind}", how=fault.how)
            if fault.applied and fault.hook is not None:
                await fault.hook()
            if fault.how == "cut" and link.ws is not None:
                await link.ws.close()

    def ended(self, link: Link) -> None:
        """A socket is no more; what nobody acknowledged on it comes again."""
        if link not in self.links:
            return
        self.links.remove(link)
        self._look()
        for parcel in dict.fromkeys(link.envelopes.values()):
            if parcel.link is link:
                self._failed(parcel, "connection_failed")

    def say(self, message: dict[str, Any] | None, *, close: bool = False) -> None:
        """To every socket: a disconnect message, usually. None: nothing is said."""
        for link in list(self.links):
            if link.ws is not None:
                if message is not None:
                    link.queue.put_nowait(message)
                if close:
                    link.queue.put_nowait(None)
                    link.deaf = True  # nothing more is put on what is being closed

    def hush(self) -> None:
        """Everything that is open falls silent, for good."""
        for link in self.links:
            link.silent = True
        self._look()

    def _look(self) -> None:
        if not any(link.ws is not None and not link.silent for link in self.links):
            self.greeted.clear()

    async def live(self) -> None:
        """Until something receives."""
        await asyncio.sleep(0.02)  # what was killed a moment ago may not have been noticed yet
        while self.http_url and not await self._answers():  # noqa: ASYNC110  # another process cannot set an Event
            await asyncio.sleep(0.02)
        if not self.http_url:
            await self.greeted.wait()

    async def stop(self) -> None:
        """Close and forget everything that is under way."""
        for link in list(self.links):
            self.ended(link)
            if link.ws is not None:
                await link.ws.close()
        for task in list(self._posts):
            task.cancel()
        if self._session is not None:
            await self._session.close()
            self._session = None

    # --- HTTP mode --------------------------------------------------------------------------------------------------

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession()
        return self._session

    async def _answers(self) -> bool:
        try:
            async with self._http().get(self.http_url):
                return True
        except aiohttp.ClientError:
            return False

    def signed(self, body: str, at: int | None = None) -> dict[str, str]:
        """The headers that prove a body is Slack's."""
        stamp = str(int(time.time()) if at is None else at)
        digest = hmac.new(self.signing_secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}"}

    async def _post(self, parcel: Parcel) -> None:
        match parcel.kind:
            case "events_api":
                body, media = json.dumps(parcel.payload), "application/json"
            case "slash_commands":
                body, media = urlencode(parcel.payload), "application/x-www-form-urlencoded"
            case _:
                body, media = urlencode({"payload": json.dumps(parcel.payload)}), "application/x-www-form-urlencoded"
        headers, attempt = {"Content-Type": media, **self.signed(body)}, parcel.attempt
        if parcel.attempt:
            headers |= {"X-Slack-Retry-Num": str(parcel.attempt), "X-Slack-Retry-Reason": parcel.reason}
        self.journal.note("delivered", parcel.kind, to="the bot", **parcel.about)
        try:
            async with self._http().post(self.http_url, data=body.encode(), headers=headers) as response:
                text = await response.text()
                if response.status != 200:
                    if parcel.attempt == attempt:  # else it has already come again
                        self._failed(parcel, "http_error")
                else:
                    answer = json.loads(text) if text.startswith("{") else {"text": text} if text else {}
                    self._acknowledged(parcel, answer)
        except aiohttp.ClientError:
            if parcel.attempt == attempt:
                self._failed(parcel, "connection_failed")
