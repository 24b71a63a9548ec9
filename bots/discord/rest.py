"""Discord's REST interface through discord.py, which keeps the rate limits it was told of; what comes back stays plain
JSON.

Laws of this file. Every failure says whether the request may have taken effect: whoever creates something learns of
doubt as AmbiguousError, whoever reads or changes may simply ask again. A limit that was met is never slept out inside
the library, where nobody sees it: either the caller waits, or is told at once whose limit it is.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Final

import aiohttp
import discord
from discord.http import Route

from bots.discord import words
from bots.discord.cards import Upload
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    RateLimitedError,
    RetryableError,
    SignoffError,
    TerminalError,
)

API_URL: Final = Route.BASE
SECONDS_MAX: Final = 20.0  # with what goes before it, less than the engine waits for a message to be sent
WAIT_SECONDS_MAX: Final = 30.0  # the least that the library allows
UNLIMITED: Final = ("/interactions/", "/webhooks/")  # answers to people stand outside the limit of the whole account
DOWNLOAD_SECONDS_MAX: Final = 60.0


class RefusedError(TerminalError):
    """Discord said no. `code` is its own number for the reason."""

    def __init__(self, what: str, remedy: str = "", *, status: int, code: int) -> None:
        super().__init__(what, remedy)
        self.status = status
        self.code = code


@dataclass(slots=True, kw_only=True)
class _Request:
    """What is known of a request under way. `waits`: the library may ask again after a 5xx."""

    creates: bool = False
    waits: bool = True
    is_sent: bool = False
    reply: bytes | None = None  # of one that succeeded


class Rest:
    """One signed-in session. Opened and closed by whoever made it."""

    def __init__(self, client: discord.Client) -> None:
        self.client = client
        self._closed_until = 0.0  # for everything, by the loop's clock

    @classmethod
    async def open(cls, token: str, api_url: str) -> Rest:
        """Sign in. Raises AuthenticationError, RetryableError."""
        Route.BASE = api_url or API_URL
        discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False  # nobody here speaks
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
        client = discord.Client(
            intents=intents,
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_ratelimit_timeout=WAIT_SECONDS_MAX,
            http_trace=_watch(),
        )
        await client.__aenter__()  # not as a block: the session outlives this function
        rest = cls(client)
        try:
            await rest._bounded(client.http.static_login(token), _Request(), SECONDS_MAX)
        except BaseException:  # also when cancelled: nobody else knows of the open session
            await rest.close()
            raise
        return rest

    async def close(self) -> None:
        """Requests under way fail."""
        await self.client.__aexit__(None, None, None)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        query: dict[str, str] | None = None,
        upload: Upload | None = None,
        creates: bool = False,
        waits: bool = True,
        seconds: float = SECONDS_MAX,
        **parameters: str,
    ) -> Any:
        """The reply's JSON, "" for none. `creates`: to do it twice would show twice. `waits`: a limit or an outage that
        is over within `seconds` is waited out; else it is told at once. Raises SignoffErrors.
        """
        more: dict[str, Any] = {"params": query} if query else {}
        if upload is not None:
            listed = {**body, "attachments": [{"id": 0, "filename": upload.name}]}
            more["form"] = [
                {"name": "payload_json", "value": json.dumps(listed)},
                {
                    "name": "files[0]",
                    "value": upload.content,
                    "filename": upload.name,
                    "content_type": "application/octet-stream",
                },
            ]
        elif body is not None:
            more["json"] = body
        loop = asyncio.get_running_loop()
        give_up = loop.time() + seconds
        while True:
            request = _Request(creates=creates, waits=waits)
            try:
                self._refuse_while_closed(path)
                asking = self.client.http.request(Route(method, path, **parameters), trace_request_ctx=request, **more)
                return await self._bounded(asking, request, give_up - loop.time())
            except RateLimitedError as limited:
                wait = (limited.retry_after_ms or 0) / 1000
                if limited.scope == "account":
                    self._closed_until = max(self._closed_until, loop.time() + wait)
                if not waits or loop.time() + wait >= give_up:
                    raise
                await asyncio.sleep(wait)

    def _refuse_while_closed(self, path: str) -> None:
        """Requests while a limit of the whole account lasts are held against the bot."""
        left = self._closed_until - asyncio.get_running_loop().time()
        if left > 0 and not path.startswith(UNLIMITED):
            raise RateLimitedError(words.SLOW_DOWN, retry_after_ms=int(left * 1000) + 1, scope="account")

    async def _bounded(self, asking: Any, request: _Request, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await asking
        except discord.LoginFailure as error:
            raise AuthenticationError(words.SIGN_IN_REFUSED, words.SIGN_IN_REMEDY) from error
        except discord.RateLimited as error:  # the library knew before it asked: of one route of one place
            wait_ms = int(error.retry_after * 1000) + 1
            raise RateLimitedError(words.SLOW_DOWN, retry_after_ms=wait_ms, scope="conversation") from error
        except discord.HTTPException as error:
            raise _refusal(error, creates=request.creates) from error
        except aiohttp.ClientConnectorError as error:
            raise RetryableError(words.UNREACHABLE) from error
        except TimeoutError as error:
            if request.reply is not None:  # it had come, and the library waits for the next to be allowed
                return _json(request.reply)
            raise _doubt(request) from error
        except (
            aiohttp.ClientError,
            OSError,
            ValueError,
            TypeError,
            KeyError,
        ) as error:  # the last: replies of any kind
            raise _doubt(request) from error
        except RuntimeError as error:
            if self.client.is_closed():  # rebuilt meanwhile: nothing was sent
                raise RetryableError(words.LOST) from error
            raise


def _watch() -> aiohttp.TraceConfig:
    """Sees every request of ours leave, and every answer before the library does."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_leaves)
    trace.on_request_end.append(_answered)
    return trace


async def _leaves(_: object, context: SimpleNamespace, __: object) -> None:
    request = context.trace_request_ctx
    if isinstance(request, _Request):
        request.is_sent = True


async def _answered(_: object, context: SimpleNamespace, answer: aiohttp.TraceRequestEndParams) -> None:
    request, response = context.trace_request_ctx, answer.response
    if not isinstance(request, _Request):
        return
    body = await response.read()  # also so that the connection is free again, whatever is raised
    if response.status == 429:
        raise _limit(response.headers, body)
    if response.status >= 500 and not request.waits:
        raise _outage(response.status, creates=request.creates)
    if response.status < 300:
        request.reply = body


def _limit(headers: Mapping[str, str], body: bytes) -> RateLimitedError:
    """Whose it is, and how long. What is no JSON comes from before Discord, and means everything."""
    said = _json(body)
    whole = not isinstance(said, dict) or said.get("global") is True
    whole = whole or "X-RateLimit-Global" in headers or headers.get("X-RateLimit-Scope") == "global"
    told = said.get("retry_after") if isinstance(said, dict) else None
    wait_ms = _ms(str(told) if told is not None else headers.get("Retry-After", ""))
    return RateLimitedError(words.SLOW_DOWN, retry_after_ms=wait_ms, scope="account" if whole else "conversation")


def _outage(status: int, *, creates: bool) -> SignoffError:
    what = f"{words.OUT_OF_ORDER} ({status})"
    return AmbiguousError(what) if creates else RetryableError(what)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else ""
    except ValueError:
        return ""


def _doubt(request: _Request) -> SignoffError:
    in_doubt = request.creates and request.is_sent
    return AmbiguousError(words.UNKNOWN_OUTCOME) if in_doubt else RetryableError(words.UNREACHABLE)


def _refusal(error: discord.HTTPException, *, creates: bool) -> SignoffError:
    match error.status:
        case 401:
            return AuthenticationError(words.SIGN_IN_REFUSED, words.SIGN_IN_REMEDY)
        case 429:
            return _limit(error.response.headers, b"")  # while signing in
        case 403:
            return RefusedError(words.FORBIDDEN, words.FORBIDDEN_REMEDY, status=403, code=error.code)
        case 404:
            return RefusedError(words.PLACE_GONE, words.PLACE_REMEDY, status=404, code=error.code)
        case status if status >= 500:
            return _outage(status, creates=creates)
        case status:
            why = " ".join(error.text.split())[:200]
            return RefusedError(f"{words.REFUSED} ({status}, {error.code}): {why}", status=status, code=error.code)


def _ms(seconds: str) -> int:
    try:
        return max(int(float(seconds) * 1000) + 1, 1)
    except (ValueError, OverflowError):
        return 1_000


async def download(url: str, bytes_max: int) -> bytes:
    """A file of Discord's. Raises RetryableError, RefusedError when it is gone, TerminalError when it is too large."""
    try:
        timeout = aiohttp.ClientTimeout(total=DOWNLOAD_SECONDS_MAX)
        async with aiohttp.ClientSession(timeout=timeout) as session, session.get(url) as response:
            if response.status >= 400:
                if response.status in {429, 500, 502, 503, 504}:
                    raise RetryableError(f"{words.OUT_OF_ORDER} ({response.status})")
                raise RefusedError(words.FILE_GONE, status=response.status, code=0)
            return await _read(response.content.iter_chunked, bytes_max)
    except aiohttp.InvalidURL as error:
        raise RefusedError(words.FILE_GONE, status=404, code=0) from error
    except (aiohttp.ClientError, OSError) as error:
        raise RetryableError(words.UNREACHABLE) from error


async def _read(chunks: Callable[[int], Any], bytes_max: int) -> bytes:
    content = bytearray()
    async for chunk in chunks(65_536):
        content += chunk
        if len(content) > bytes_max:
            raise TerminalError(words.FILE_TOO_LARGE)
    return bytes(content)
