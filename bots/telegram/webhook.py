"""Receiving by webhook: an endpoint of our own, because the library's answers 200 before anything is kept.

Law of this file: 200 is said after the event was committed, and only to who knows the secret.
"""

from __future__ import annotations

import asyncio
import hmac
import importlib
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bots.telegram import wire, words
from bots.telegram.errors import ConflictError
from core.model.errors import AmbiguousError, RetryableError, SignoffError, TerminalError
from core.ports import Clock

if TYPE_CHECKING:
    from bots.telegram.api import Api

HEADER: Final = "X-Telegram-Bot-Api-Secret-Token"
BODY_BYTES_MAX: Final = 2_000_000
CHECK_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Hook:
    """Where Telegram calls, where we listen, and how we know that it is Telegram."""

    url: str
    host: str
    port: int
    secret: str


def hook(settings: Mapping[str, str]) -> Hook | None:
    """What the settings say; None: by polling. Raises TerminalError for half of them."""
    url = settings.get("SIGNOFF_TELEGRAM_WEBHOOK_URL", "")
    listen = settings.get("SIGNOFF_TELEGRAM_WEBHOOK_LISTEN", "")
    secret = settings.get("SIGNOFF_TELEGRAM_WEBHOOK_SECRET", "")
    if not url:
        return None
    host, colon, port = listen.rpartition(":")
    if not (colon and port.isdecimal() and secret):
        raise TerminalError(words.WEBHOOK_NEEDS)
    return Hook(url=url, host=host.strip("[]") or "0.0.0.0", port=int(port), secret=secret)  # noqa: S104  # asked for


async def receive(some: Hook, api: Api, take: Callable[[Any], Awaitable[None]], clock: Clock) -> None:
    """For ever; `take` commits one update. Raises RetryableError: Telegram cannot be asked, or delivers elsewhere."""
    web = await asyncio.to_thread(importlib.import_module, "aiohttp.web")
    one_at_a_time = asyncio.Lock()  # order is kept per conversation, and Telegram calls in parallel

    async def called(request: Any) -> Any:
        given = request.headers.get(HEADER, "")
        if not hmac.compare_digest(given.encode(), some.secret.encode()):
            return web.Response(status=401)
        try:
            update = json.loads(await request.read())
        except ValueError:
            return web.Response()  # it will not get better
        try:
            async with one_at_a_time:
                await take(update)
        except SignoffError:
            return web.Response(status=503)  # Telegram calls again
        return web.Response()

    app = web.Application(client_max_size=BODY_BYTES_MAX)
    app.router.add_post(urlsplit(some.url).path or "/", called)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    try:
        try:
            await web.TCPSite(runner, some.host, some.port).start()
        except OSError as error:
            raise RetryableError(words.WEBHOOK_LISTEN) from error
        asked = {"url": some.url, "secret_token": some.secret, "allowed_updates": list(wire.KINDS)}
        await _asked(api, "setWebhook", asked)
        while True:
            await clock.sleep(CHECK_SECONDS)
            now = await _asked(api, "getWebhookInfo", {})
            url = now.get("url") if isinstance(now, dict) else None
            if url != some.url:
                raise ConflictError(words.other_webhook(str(url)), words.SECOND_POLLER_REMEDY)
    finally:
        await runner.cleanup()


async def _asked(api: Api, method: str, asked: dict[str, Any]) -> Any:
    try:
        return await api.call(method, asked)
    except AmbiguousError as error:
        raise RetryableError(words.DEAF) from error
