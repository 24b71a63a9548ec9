"""Discord's REST interface through discord.py, which keeps the rate limits; what comes back stays plain JSON.

Law of this file: every failure says whether the request may have taken effect. Whoever creates something learns of
doubt as AmbiguousError; whoever reads or changes may simply ask again.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
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
SECONDS_MAX: Final = 20.0
WAIT_SECONDS_MAX: Final = 30.0  # the least that the library allows
DOWNLOAD_SECONDS_MAX: Final = 60.0


class RefusedError(TerminalError):
    """Discord said no. `code` is its own number for the reason."""

    def __init__(self, what: str, remedy: str = "", *, status: int, code: int) -> None:
        super().__init__(what, remedy)
        self.status = status
        self.code = code


class Rest:
    """One signed-in session. Opened and closed by whoever made it."""

    def __init__(self, client: discord.Client) -> None:
        self.client = client

    @classmethod
    async def open(cls, token: str, api_url: str) -> Rest:
        """Sign in. Raises AuthenticationError, RetryableError."""
        Route.BASE = api_url or API_URL
        intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
        client = discord.Client(
            intents=intents,
            max_messages=None,
            chunk_guilds_at_startup=False,
            member_cache_flags=discord.MemberCacheFlags.none(),
            max_ratelimit_timeout=WAIT_SECONDS_MAX,
        )
        await client.__aenter__()  # not as a block: the session outlives this function
        rest = cls(client)
        try:
            await rest._bounded(client.http.static_login(token), creates=False, seconds=SECONDS_MAX)
        except BaseException:
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
        seconds: float = SECONDS_MAX,
        **parameters: str,
    ) -> Any:
        """The reply's JSON, "" for none. `creates`: to do it twice would show twice. Raises SignoffErrors."""
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
        request = self.client.http.request(Route(method, path, **parameters), **more)
        return await self._bounded(request, creates=creates, seconds=seconds)

    async def _bounded(self, request: Any, *, creates: bool, seconds: float) -> Any:
        try:
            async with asyncio.timeout(seconds):
                return await request
        except discord.LoginFailure as error:
            raise AuthenticationError(words.SIGN_IN_REFUSED, words.SIGN_IN_REMEDY) from error
        except discord.RateLimited as error:
            wait_ms = int(error.retry_after * 1000) + 1
            raise RateLimitedError(words.SLOW_DOWN, retry_after_ms=wait_ms, scope="conversation") from error
        except discord.HTTPException as error:
            raise _refusal(error, creates=creates) from error
        except aiohttp.ClientConnectorError as error:
            raise RetryableError(words.UNREACHABLE) from error
        except TimeoutError as error:
            # The library keeps this shut while it sleeps out a global limit, also when the sleeper is cancelled.
            self.client.http._global_over.set()  # noqa: SLF001
            raise _doubt(creates=creates) from error
        except (
            aiohttp.ClientError,
            OSError,
            ValueError,
            TypeError,
            KeyError,
        ) as error:  # the last: replies of any kind
            raise _doubt(creates=creates) from error
        except RuntimeError as error:
            if self.client.is_closed():  # rebuilt meanwhile: nothing was sent
                raise RetryableError(words.LOST) from error
            raise


def _doubt(*, creates: bool) -> SignoffError:
    return AmbiguousError(words.UNKNOWN_OUTCOME) if creates else RetryableError(words.UNREACHABLE)


def _refusal(error: discord.HTTPException, *, creates: bool) -> SignoffError:
    match error.status:
        case 401:
            return AuthenticationError(words.SIGN_IN_REFUSED, words.SIGN_IN_REMEDY)
        case 429:
            headers = error.response.headers
            everywhere = "X-RateLimit-Global" in headers or headers.get("X-RateLimit-Scope") == "global"
            wait_ms = _ms(headers.get("Retry-After", ""))
            scope = "account" if everywhere else "conversation"
            return RateLimitedError(words.SLOW_DOWN, retry_after_ms=wait_ms, scope=scope)
        case 403:
            return RefusedError(words.FORBIDDEN, words.FORBIDDEN_REMEDY, status=403, code=error.code)
        case 404:
            return RefusedError(words.PLACE_GONE, words.PLACE_REMEDY, status=404, code=error.code)
        case status if status >= 500:
            what = f"{words.OUT_OF_ORDER} ({status})"
            return AmbiguousError(what) if creates else RetryableError(what)
        case status:
            why = " ".join(error.text.split())[:200]
            return RefusedError(f"{words.REFUSED} ({status}, {error.code}): {why}", status=status, code=error.code)


def _ms(seconds: str) -> int:
    try:
        return max(int(float(seconds) * 1000), 1)
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
