"""One GET from a public host: who is asked is decided here, and who was decided on is who is connected to.

Law: a name is resolved once for each request, every one of its addresses must be public, and the connection goes to one
of those very addresses; after a redirect all of this begins again, the role's reach too. No proxy, no cookie, no name
and no password of anybody's goes along. Whatever the other side does, it costs a bounded time and a bounded memory.
"""

from __future__ import annotations

import asyncio
import ipaddress
import math
import socket
import ssl
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import httpcore
import httpx

from agents.tools import addresses
from agents.tools.addresses import IPAddress, Url, UrlError
from agents.tools.files import RefusedError

READ_SECONDS_MAX: Final = 20.0
CONNECT_SECONDS_MAX: Final = 5.0
BYTES_MAX: Final = 2_000_000
REDIRECTS_MAX: Final = 5
GAP_SECONDS: Final = 0.5
WAIT_SECONDS_MAX: Final = 10.0
_PAUSE_SECONDS_MAX: Final = 3_600.0
_ADDRESSES_MAX: Final = 16
_GATES_MAX: Final = 512
_MOVED: Final = frozenset({301, 302, 303, 307, 308})
_ACCEPT: Final = "text/html,text/*;q=0.9,application/json;q=0.9,application/pdf;q=0.8,*/*;q=0.1"
_ANOTHER: Final = "use another source, or hand off what you have"

Resolve = Callable[[str], Awaitable[Sequence[str]]]
"""Every address of a name. Raises OSError."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Got:
    """What the last host answered. `body` is what it meant, no longer packed."""

    url: Url
    media: str  # "text/html"; "" if it did not say
    charset: str
    body: bytes
    hops: tuple[str, ...] = ()  # the hosts that sent us on, in order


async def resolve_by_system(host: str) -> Sequence[str]:
    """As the system does, but for the domains it would try below its own."""
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(f"{host}.", None, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class _Pinned(httpcore.AsyncNetworkBackend):
    """Connects to addresses that were vetted, whatever name it is given."""

    def __init__(self, vetted: Sequence[IPAddress]) -> None:
        self._vetted = vetted
        self._inner = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's own signature
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        """The first that answers. Raises httpcore.ConnectError, httpcore.ConnectTimeout."""
        each = (timeout or CONNECT_SECONDS_MAX) / len(self._vetted)
        trouble: Exception = httpcore.ConnectError("it has no address")
        for address in self._vetted:
            try:
                return await self._inner.connect_tcp(str(address), port, each, local_address, socket_options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                trouble = error
        raise trouble


@dataclass(slots=True)
class _Gate:
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    users_n: int = 0
    free_at: float = -math.inf


class Gates:
    """One request at a time to each host, and a pause between two. For one event loop."""

    def __init__(self, gap_seconds: float = GAP_SECONDS, wait_seconds_max: float = WAIT_SECONDS_MAX) -> None:
        self._gap = gap_seconds
        self._wait = wait_seconds_max
        self._gates: dict[str, _Gate] = {}

    @asynccontextmanager
    async def turn(self, host: str) -> AsyncIterator[None]:
        """Wait for it. Raises RefusedError if that would take too long."""
        loop = asyncio.get_running_loop()
        gate = self._gates.setdefault(host, _Gate())
        gate.users_n += 1
        began = loop.time()
        try:
            try:
                async with asyncio.timeout(self._wait):
                    await gate.lock.acquire()
            except TimeoutError:
                raise _busy(host, "other requests to it are under way", READ_SECONDS_MAX) from None
            try:
                pause = gate.free_at - loop.time()
                if pause > self._wait - (loop.time() - began):
                    raise _busy(host, "it is asked no more often than it may be", pause)
                await asyncio.sleep(max(0.0, pause))
                try:
                    yield
                finally:
                    gate.free_at = max(gate.free_at, loop.time() + self._gap)
            finally:
                gate.lock.release()
        finally:
            gate.users_n -= 1
            self._forget(loop.time())

    def rest(self, host: str, seconds: float) -> None:
        """It asked to be left alone for so long."""
        gate = self._gates.setdefault(host, _Gate())
        gate.free_at = asyncio.get_running_loop().time() + min(seconds, _PAUSE_SECONDS_MAX)

    def _forget(self, now: float) -> None:
        if len(self._gates) > _GATES_MAX:
            kept = {host: gate for host, gate in self._gates.items() if gate.users_n or gate.free_at > now}
            self._gates = kept


def _busy(host: str, why: str, seconds: float) -> RefusedError:
    return RefusedError(f"{host} was not asked", why, f"try again in {math.ceil(seconds)} s, or use another source")


class Web:
    """Public hosts. `resolve`, `vet` and `tls` are the system's but in tests; `vet` says why an address is not public.
    `agent` is who we say we are.
    """

    def __init__(
        self,
        *,
        agent: str = "Signoff",
        resolve: Resolve = resolve_by_system,
        vet: Callable[[IPAddress], str] = addresses.trouble_of,
        tls: Callable[[], ssl.SSLContext] = httpx.create_ssl_context,
        gates: Gates | None = None,
    ) -> None:
        self._agent = agent
        self._resolve = resolve
        self._vet = vet
        self._make_tls = tls
        self._tls: ssl.SSLContext | None = None
        self._gates = gates or Gates()

    async def get(self, url: Url, permit: Callable[[Url], None]) -> Got:
        """The page, after at most 5 redirects. `permit` raises for what may not be reached. Raises RefusedError."""
        hops: list[str] = []
        while True:
            permit(url)
            got = await self._asked(url)
            if isinstance(got, Got):
                return Got(url=url, media=got.media, charset=got.charset, body=got.body, hops=tuple(hops))
            hops.append(url.authority)
            if len(hops) > REDIRECTS_MAX:
                raise _refused(url, f"it redirects more than {REDIRECTS_MAX} times", _ANOTHER)
            url = _next(url, got)

    async def _asked(self, url: Url) -> Got | str:
        """An answer, or where it sends us."""
        async with self._gates.turn(url.authority):
            vetted = await self._vetted(url)
            if url.scheme == "https" and self._tls is None:
                self._tls = await asyncio.to_thread(self._make_tls)
            pool = httpcore.AsyncConnectionPool(
                ssl_context=self._tls if url.scheme == "https" else None,
                max_connections=1,
                max_keepalive_connections=0,
                network_backend=_Pinned(vetted),
            )
            try:
                async with (
                    pool,
                    pool.stream("GET", _wire(url), headers=self._headers(url), extensions=_LIMITS) as answer,
                ):
                    return await self._read(url, answer)
            except httpcore.TimeoutException as error:
                raise _refused(url, "it did not answer in time", "try again later, or " + _ANOTHER) from error
            except httpcore.NetworkError as error:
                why = str(error)[:200] or "the connection broke"
                raise _refused(url, why, "try again later, or " + _ANOTHER) from error
            except httpcore.ProtocolError as error:
                raise _refused(url, "it does not keep to HTTP, or its headers are too long", _ANOTHER) from error

    def _headers(self, url: Url) -> list[tuple[str, str]]:
        return [
            ("Host", url.authority),
            ("User-Agent", self._agent),
            ("Accept", _ACCEPT),
            ("Accept-Encoding", "gzip, deflate"),
            ("Connection", "close"),
        ]

    async def _vetted(self, url: Url) -> tuple[IPAddress, ...]:
        """All addresses of its host. Raises RefusedError if there is none, or one that is not public."""
        found = [url.literal] if url.literal is not None else await self._addresses(url)
        for address in found:
            if what := self._vet(address):
                why = f"{url.host} is at {address}, which is no public address ({what})"
                raise _refused(url, why, "only public hosts are fetched: " + _ANOTHER)
        return tuple(dict.fromkeys(found))[:_ADDRESSES_MAX]

    async def _addresses(self, url: Url) -> list[IPAddress]:
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                found = [ipaddress.ip_address(text) for text in await self._resolve(url.host)]
        except (OSError, ValueError, TimeoutError) as error:
            raise _refused(url, f"the name {url.host} was not resolved", "check the name, or " + _ANOTHER) from error
        if not found:
            raise _refused(url, f"the name {url.host} has no address", "check the name, or " + _ANOTHER)
        return found

    async def _read(self, url: Url, answer: httpcore.Response) -> Got | str:
        headers = {name.lower(): value for name, value in reversed(answer.headers)}
        if answer.status in _MOVED and b"location" in headers:
            return headers[b"location"].decode("utf-8", "replace")
        if not 200 <= answer.status < 300:
            raise self._unhappy(url, answer.status, headers.get(b"retry-after", b""))
        kind, _, more = headers.get(b"content-type", b"").decode("latin-1").partition(";")
        coding = headers.get(b"content-encoding", b"identity").decode("latin-1").strip().lower()
        if coding not in _UNPACKED:
            raise _refused(url, f"it is packed in a way that was not asked for ({coding[:40]!r})", _ANOTHER)
        length = headers.get(b"content-length", b"")
        if length.isdigit() and len(length) < 19 and int(length) > BYTES_MAX:
            raise _large(url)
        body = await _body(url, answer, coding)
        return Got(url=url, media=kind.strip().lower(), charset=_charset(more), body=body)

    def _unhappy(self, url: Url, status: int, retry_after: bytes) -> RefusedError:
        match status:
            case 401 | 403 | 407 | 451:
                why, recovery = f"HTTP {status}: it wants a login, or lets no programs in", _ANOTHER
            case 404 | 410:
                why, recovery = f"HTTP {status}: there is no such page", "check the address, or " + _ANOTHER
            case 429 | 503 if retry_after.isdigit() and len(retry_after) < 9:
                seconds = int(retry_after)
                self._gates.rest(url.authority, seconds)
                why, recovery = f"HTTP {status}: it is busy", f"try again in {seconds} s, or {_ANOTHER}"
            case _:
                why, recovery = f"HTTP {status}", "try again later, or " + _ANOTHER
        return _refused(url, why, recovery)


_LIMITS: Final = {
    "timeout": {
        "connect": CONNECT_SECONDS_MAX,
        "read": READ_SECONDS_MAX,
        "write": READ_SECONDS_MAX,
        "pool": READ_SECONDS_MAX,
    }
}
_UNPACKED: Final = frozenset({"", "identity", "gzip", "x-gzip", "deflate"})


def _wire(url: Url) -> httpcore.URL:
    return httpcore.URL(scheme=url.scheme, host=url.host, port=url.port, target=url.target)


def _next(url: Url, location: str) -> Url:
    try:
        moved = addresses.parse(location, url)
    except UrlError as error:
        raise _refused(url, f"it redirects to what is not fetched: {error}", _ANOTHER) from error
    if url.scheme == "https" and moved.scheme != "https":
        raise _refused(url, f"it redirects from https to http, to {moved.authority}", _ANOTHER)
    return moved


async def _body(url: Url, answer: httpcore.Response, coding: str) -> bytes:
    """All of it, unpacked. Raises RefusedError as soon as it is too large, either way."""
    unpack = None if coding in {"", "identity"} else zlib.decompressobj(zlib.MAX_WBITS | 32)
    parts: list[bytes] = []
    wire_n, body_n = 0, 0
    async for chunk in answer.aiter_stream():
        wire_n += len(chunk)
        if unpack is not None:
            try:
                chunk = unpack.decompress(chunk, BYTES_MAX + 1 - body_n)  # noqa: PLW2901 - what it meant
            except zlib.error as error:
                raise _refused(url, "what it sent cannot be unpacked", _ANOTHER) from error
        body_n += len(chunk)
        if max(wire_n, body_n) > BYTES_MAX:
            raise _large(url)
        parts.append(chunk)
    return b"".join(parts)


def _charset(parameters: str) -> str:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip("\"'").lower()
    return ""


def _large(url: Url) -> RefusedError:
    return _refused(url, f"it is larger than {BYTES_MAX} bytes", "ask for a smaller page, or " + _ANOTHER)


def _refused(url: Url, why: str, recovery: str) -> RefusedError:
    return RefusedError(f"{url.text[:300]} was not fetched", why, recovery)
