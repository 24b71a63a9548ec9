"""Requests to the Bot API, through python-telegram-bot, and its errors as ours. Imported when a connection is made.

Raw answers are handed on as they are: the library's own classes refuse updates that have a field missing, and with
them all others of the same batch.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Final
from urllib.parse import quote

import httpx
from telegram import Bot, InputFile
from telegram.error import InvalidToken, NetworkError, TelegramError
from telegram.request import HTTPXRequest

from bots.telegram import words
from bots.telegram.errors import ConflictError, MovedError, RefusedError
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    RateLimitedError,
    RetryableError,
    SignoffError,
    TerminalError,
)

CONNECTIONS_MAX: Final = 48
CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 15.0
UPLOAD_SECONDS: Final = 25.0  # below what the engine gives a post
CLOSE_SECONDS: Final = 2.0
UNTOLD_WAIT_MS: Final = 1_000
UNSENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
MALFORMED: Final = (KeyError, TypeError, AttributeError, ValueError)  # what the library makes of JSON of another shape


class _RefusalError(Exception):
    """What the Bot API says when it says no, before the library makes less of it."""

    def __init__(self, answer: dict[str, Any]) -> None:
        code, what, more = (answer.get(name) for name in ("error_code", "description", "parameters"))
        super().__init__(what)
        self.code = code if isinstance(code, int) else 0
        self.what = what[:200] if isinstance(what, str) else ""
        self.more: dict[str, Any] = more if isinstance(more, dict) else {}


class _Request(HTTPXRequest):
    @staticmethod
    def parse_json_payload(payload: bytes) -> dict[str, Any]:
        answer = HTTPXRequest.parse_json_payload(payload)
        if isinstance(answer, dict) and answer.get("ok") is False:
            raise _RefusalError(answer)
        return answer


class _Bot(Bot):
    """A bot whose raw requests can be made."""

    async def raw(self, method: str, asked: dict[str, Any], seconds: float) -> Any:
        return await self._post(method, asked, read_timeout=seconds)


class Api:
    """One set of connections. `close` waits shortly for what is under way."""

    def __init__(self, token: str, base: str) -> None:
        for name in ("httpx", "httpcore", "telegram"):  # they log addresses, which hold the token, and messages
            logging.getLogger(name).setLevel(logging.CRITICAL)
        base = base.rstrip("/")
        self._files = f"{base}/file/bot{token}"
        self._polls = _Request(1, connect_timeout=CONNECT_SECONDS, pool_timeout=CONNECT_SECONDS)
        self._calls = _Request(
            CONNECTIONS_MAX,
            connect_timeout=CONNECT_SECONDS,
            pool_timeout=CONNECT_SECONDS,
            write_timeout=ANSWER_SECONDS,
            media_write_timeout=UPLOAD_SECONDS,
        )
        self._bot = _Bot(token, f"{base}/bot", f"{base}/file/bot", self._calls, self._polls)
        self._closed = False
        self._busy_n = 0
        self._idle = asyncio.Event()
        self._idle.set()

    async def call(self, method: str, asked: dict[str, Any] | None = None, *, seconds: float = ANSWER_SECONDS) -> Any:
        """Its result. Raises RetryableError when Telegram certainly did not get it, AmbiguousError when nobody can
        know, RateLimitedError, MovedError, ConflictError, AuthenticationError, RefusedError, TerminalError.
        """
        if self._closed:
            raise RetryableError(words.UNSENT)
        self._busy_n += 1
        self._idle.clear()
        try:
            return await self._bot.raw(method, dict(asked or {}), seconds)
        except _RefusalError as error:
            raise _refused(error) from error
        except TelegramError as error:
            raise _translated(error) from error
        except MALFORMED as error:
            raise AmbiguousError(words.UNKNOWN) from error
        finally:
            self._busy_n -= 1
            if not self._busy_n:
                self._idle.set()

    async def upload(self, asked: dict[str, Any], name: str, content: bytes) -> Any:
        """Send a file, at most 50 MB. Raises as `call`."""
        document = await asyncio.to_thread(InputFile, content, name)
        return await self.call("sendDocument", {**asked, "document": document}, seconds=UPLOAD_SECONDS)

    async def download(self, path: str) -> bytes:
        """What getFile found. Raises RetryableError, TerminalError."""
        try:
            return await self._calls.retrieve(f"{self._files}/{quote(path)}", read_timeout=UPLOAD_SECONDS)
        except (_RefusalError, InvalidToken) as error:  # 404: the path's hour is over
            raise TerminalError(words.FILE_GONE) from error
        except TelegramError as error:
            raise RetryableError(words.UNSENT) from error

    async def close(self) -> None:
        """Leave no socket open."""
        self._closed = True
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._idle.wait()
        except TimeoutError:
            pass
        finally:
            await self._polls.shutdown()
            await self._calls.shutdown()


def _refused(error: _RefusalError) -> SignoffError:
    match error.code:
        case 429:
            seconds = error.more.get("retry_after")
            wait_ms = seconds * 1000 if isinstance(seconds, int) and seconds > 0 else UNTOLD_WAIT_MS
            return RateLimitedError(words.SLOWER, retry_after_ms=wait_ms, scope="conversation")
        case 400 if isinstance(chat := error.more.get("migrate_to_chat_id"), int):
            return MovedError(str(chat))
        case 400:
            return RefusedError(words.cannot_write(error.what))
        case 401 | 404:
            return AuthenticationError(words.REFUSED, words.REFUSED_REMEDY)
        case 403:
            return TerminalError(words.cannot_write(error.what))
        case 409:
            return ConflictError(error.what)
        case 413:
            return TerminalError(words.UPLOAD_TOO_LARGE)
        case _:
            return AmbiguousError(words.out_of_order(error.what))


def _translated(error: TelegramError) -> SignoffError:
    """What came without an answer of the Bot API's: a connection's trouble, or a proxy's page."""
    match error:
        case _ if isinstance(error.__cause__, UNSENT):
            return RetryableError(words.UNSENT)
        case InvalidToken():
            return AuthenticationError(words.REFUSED, words.REFUSED_REMEDY)
        case NetworkError() if isinstance(error.__cause__, TelegramError):
            return AmbiguousError(words.out_of_order(error.message.partition(". Parsing")[0]))
        case _:
            return AmbiguousError(words.UNKNOWN)
