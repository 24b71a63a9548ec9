"""The gateway: sessions that number what they are told, and connections that come and go.

A session remembers its dispatches, so that RESUME replays what a cut connection missed. A session that its client
closed (1000, 1001), or that was invalidated, is gone. What happens while there is no session at all is only history.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import WSCloseCode, WSMsgType, web

from tests.fakes.discord.world import World
from tests.fakes.service import Fault, Faults, Journal

DISPATCH, HEARTBEAT, IDENTIFY, RESUME, RECONNECT, INVALID, HELLO, ACK = 0, 1, 2, 6, 7, 9, 10, 11
GUILDS, GUILD_MEMBERS, GUILD_PRESENCES, MESSAGE_CONTENT = 1 << 0, 1 << 1, 1 << 8, 1 << 15
GUILD_MESSAGES, DIRECT_MESSAGES = 1 << 9, 1 << 12
PRIVILEGED: Final = GUILD_MEMBERS | GUILD_PRESENCES | MESSAGE_CONTENT
REPLAYED_MAX: Final = 10_000


@dataclass(slots=True, kw_only=True)
class Session:
    """What one IDENTIFY began."""

    id: str
    intents: int
    seq: int = 0
    said: list[tuple[int, str, dict[str, Any]]] = field(default_factory=list)
    connection: Connection | None = None


class Connection:
    """One socket. Frames are written in order by one task, so that whoever dispatches never waits for a slow reader."""

    def __init__(self, socket: web.WebSocketResponse, transport: asyncio.Transport | None, *, compress: bool) -> None:
        self.socket = socket
        self.transport = transport
        self.session: Session | None = None
        self.frozen = False
        self._queue: asyncio.Queue[tuple[str, Callable[[], object]]] = asyncio.Queue()
        self._deflate = zlib.compressobj() if compress else None

    def put(self, frame: dict[str, Any], written: Callable[[], object] = lambda: None) -> None:
        self._queue.put_nowait((json.dumps(frame), written))

    async def write(self) -> None:
        """Until cancelled, or the other side is gone."""
        while not self.socket.closed:
            text, written = await self._queue.get()
            if self.frozen:
                continue
            try:
                if self._deflate is None:
                    await self.socket.send_str(text)
                else:
                    packed = self._deflate.compress(text.encode()) + self._deflate.flush(zlib.Z_SYNC_FLUSH)
                    await self.socket.send_bytes(packed)
            except ConnectionError:
                return  # the session keeps what was said
            written()


class Gateway:
    """All sessions of the one bot."""

    def __init__(self, world: World, journal: Journal, faults: Faults, *, token: str) -> None:
        self.world = world
        self.journal = journal
        self.faults = faults
        self.token = token
        self.allowed = MESSAGE_CONTENT  # the privileged intents that are switched on for the application
        self.heartbeat_ms = 2_000  # Discord's is 41,250: whoever is supervised by it would be slow to test
        self.is_open = True  # accepts connections
        self.url = ""
        self.held: list[tuple[str, dict[str, Any]]] | None = None
        self.sessions: dict[str, Session] = {}
        self.connections: set[Connection] = set()
        self.changed = asyncio.Condition()

    # --- Telling ----------------------------------------------------------------------------------------------------

    def dispatch(self, kind: str, data: dict[str, Any]) -> None:
        """Tell every session that may hear of it; later, while `held` is a list."""
        if self.held is not None:
            self.held.append((kind, json.loads(json.dumps(data))))
            return
        for session in self.sessions.values():
            seen = visible(kind, data, session.intents, self.world.bot.id)
            if seen is not None:
                self._tell(session, kind, seen)

    def _tell(self, session: Session, kind: str, data: dict[str, Any]) -> None:
        session.seq += 1
        line = (session.seq, kind, json.loads(json.dumps(data)))
        session.said.append(line)
        del session.said[:-REPLAYED_MAX]
        if session.connection is not None:
            self._send(session, line, replayed=False)

    def _send(self, session: Session, line: tuple[int, str, dict[str, Any]], *, replayed: bool) -> None:
        seq, kind, data = line
        if session.connection is not None:
            session.connection.put(
                {"op": DISPATCH, "s": seq, "t": kind, "d": data},
                lambda: self.journal.note(
                    "delivered", kind, id=str(data.get("id", "")), session=session.id, seq=seq, replayed=replayed
                ),
            )

    # --- Breaking ---------------------------------------------------------------------------------------------------

    def live(self) -> list[Connection]:
        """Connections that receive."""
        speaking = [some.connection for some in self.sessions.values() if some.connection is not None]
        return [some for some in speaking if not some.frozen and not some.socket.closed]

    def freeze(self) -> None:
        """Neither read nor write these connections again, not even to close them: half-open sockets."""
        for connection in self.connections:
            connection.frozen = True
            if connection.transport is not None:
                connection.transport.pause_reading()

    def invalidate(self, *, resumable: bool = False) -> None:
        """INVALID_SESSION. Not resumable: the sessions are gone."""
        for connection in self.live():
            connection.put({"op": INVALID, "d": resumable})
        if not resumable:
            self.sessions.clear()

    def reconnect(self) -> None:
        """RECONNECT: please come again and resume."""
        for connection in self.live():
            connection.put({"op": RECONNECT, "d": None})

    async def close(self, code: int, *, forget: bool = False) -> None:
        """Close every connection that still speaks."""
        closing = [some for some in self.connections if not some.frozen]
        if forget:
            self.sessions.clear()
        for connection in closing:
            await connection.socket.close(code=code, message=b"closed by the fake", drain=False)

    def cut(self) -> None:
        """Every connection is gone without a word; sessions stay."""
        for connection in self.connections:
            if connection.transport is not None:
                connection.transport.abort()

    # --- Listening --------------------------------------------------------------------------------------------------

    async def serve(self, request: web.Request) -> web.StreamResponse:
        fault = self.faults.take("gateway.connect")
        self.journal.note("request", "gateway.connect", query=dict(request.query), met=fault is not None)
        if not self.is_open or (fault is not None and fault.how == "status"):
            return web.Response(status=503)
        if fault is not None:
            await self._suffer(fault, request)
        socket = web.WebSocketResponse(max_msg_size=0, timeout=0.5)
        await socket.prepare(request)
        connection = Connection(socket, request.transport, compress=request.query.get("compress") == "zlib-stream")
        self.connections.add(connection)
        writer = asyncio.create_task(connection.write())
        connection.put(
            {"op": HELLO, "s": None, "t": None, "d": {"heartbeat_interval": self.heartbeat_ms, "_trace": []}}
        )
        try:
            async for message in socket:
                if connection.frozen:
                    continue
                if message.type is not WSMsgType.TEXT:
                    await socket.close(code=4002)
                    break
                code = await self._heard(connection, json.loads(message.data), request)
                if code:
                    await socket.close(code=code, drain=False)
                    break
        finally:
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer
            self.connections.discard(connection)
            await self._left(connection)
        return socket

    async def _suffer(self, fault: Fault, request: web.Request) -> None:
        if fault.seconds:
            await asyncio.sleep(fault.seconds)
        if fault.hook is not None:
            await fault.hook()
        if fault.how == "cut" and request.transport is not None:
            request.transport.abort()

    async def _left(self, connection: Connection) -> None:
        session = connection.session
        if session is not None and session.connection is connection:
            session.connection = None
            if connection.socket.close_code in {WSCloseCode.OK, WSCloseCode.GOING_AWAY} and not connection.frozen:
                self.sessions.pop(session.id, None)
        async with self.changed:
            self.changed.notify_all()

    async def _heard(self, connection: Connection, frame: dict[str, Any], request: web.Request) -> int:
        """One frame of the bot's. The close code it deserves, 0 for none."""
        data: Any = frame.get("d")
        match frame.get("op"):
            case 1:
                self.journal.note("heartbeat", "gateway.heartbeat", seq=data)
                connection.put({"op": ACK})
            case 2 | 6 as op:
                name = "gateway.identify" if op == IDENTIFY else "gateway.resume"
                self.journal.note("request", name, **{key: value for key, value in data.items() if key != "token"})
                fault = self.faults.take(name)
                if fault is not None:
                    await self._suffer(fault, request)
                    if fault.how == "status":
                        return fault.status
                code = self._identify(connection, data) if op == IDENTIFY else self._resume(connection, data)
                async with self.changed:
                    self.changed.notify_all()
                return code
            case 3 | 4 | 8:
                return 0 if connection.session is not None else 4003
            case _:
                return 4001
        return 0

    def _identify(self, connection: Connection, data: dict[str, Any]) -> int:
        if connection.session is not None:
            return 4005
        if data.get("token") != self.token:
            return 4004
        intents = data.get("intents")
        if not isinstance(intents, int):
            return 4013
        if intents & PRIVILEGED & ~self.allowed:
            return 4014
        for orphan in [some for some in self.sessions.values() if some.connection is None]:
            del self.sessions[orphan.id]  # nobody can know its id any more
        session = Session(id=secrets.token_hex(16), intents=intents, connection=connection)
        self.sessions[session.id] = session
        connection.session = session
        joined = [guild.id for guild in self.world.guilds.values() if guild.joined]
        ready = {
            "v": 10,
            "user": self.world.user(self.world.bot.id)
            | {"verified": True, "mfa_enabled": True, "email": None, "flags": 0},
            "guilds": [{"id": guild, "unavailable": True} for guild in joined],
            "session_id": session.id,
            "session_type": "normal",
            "resume_gateway_url": self.url,
            "application": {"id": self.world.bot.id, "flags": application_flags(self.allowed)},
            "private_channels": [],
            "relationships": [],
            "presences": [],
            "user_settings": {},
            "_trace": [],
        }
        self._tell(session, "READY", ready)
        if intents & GUILDS:
            for guild in joined:
                self._tell(session, "GUILD_CREATE", self.world.guild_create(guild))
        return 0

    def _resume(self, connection: Connection, data: dict[str, Any]) -> int:
        if data.get("token") != self.token:
            return 4004
        session = self.sessions.get(str(data.get("session_id")))
        seq = data.get("seq")
        if session is None or not isinstance(seq, int):
            connection.put({"op": INVALID, "d": False})
            return 0
        if seq > session.seq:
            return 4007
        session.connection, connection.session = connection, session
        for line in [some for some in session.said if some[0] > seq]:
            self._send(session, line, replayed=True)
        self._tell(session, "RESUMED", {"_trace": []})
        return 0


def application_flags(allowed: int) -> int:
    """GATEWAY_*_LIMITED: what is switched on for an application in fewer than 100 guilds."""
    bits = {GUILD_PRESENCES: 1 << 13, GUILD_MEMBERS: 1 << 15, MESSAGE_CONTENT: 1 << 19}
    return sum(bit for intent, bit in bits.items() if allowed & intent)


def blind(message: dict[str, Any], bot: str) -> dict[str, Any]:
    """A message as an application sees it that may not read contents: whole only in private, its own, or if named."""
    named = any(user["id"] == bot for user in message.get("mentions") or ())
    if named or message["author"]["id"] == bot:
        return message
    return message | {"content": "", "embeds": [], "attachments": [], "components": []}


def visible(kind: str, data: dict[str, Any], intents: int, bot: str) -> dict[str, Any] | None:
    """What a session with these intents may see of an event; None for nothing."""
    if kind.startswith("MESSAGE_"):
        private = "guild_id" not in data
        if not intents & (DIRECT_MESSAGES if private else GUILD_MESSAGES):
            return None
        blinded = not intents & MESSAGE_CONTENT and not private and "author" in data
        return blind(data, bot) if blinded else data
    if kind.startswith(("GUILD_", "CHANNEL_", "THREAD_")):
        return data if intents & GUILDS else None
    return data
