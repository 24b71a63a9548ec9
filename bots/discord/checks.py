"""What `signoff setup` and `doctor` can find out about a bot's token. Without discord.py, so that it is quick."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import aiohttp

from bots import words as common
from bots.discord import wire, words
from bots.discord.client import API_URL, TOKEN
from bots.discord.forms import invite_url
from core.rules.text import one_line

DEFAULT_URL: Final = "https://discord.com/api/v10"
SECONDS_MAX: Final = 10.0
READS_MESSAGES: Final = 1 << 18 | 1 << 19  # of a bot in many servers, of one in few
NAMES_MAX: Final = 5

Finding = tuple[bool, str]


async def examine(settings: Mapping[str, str]) -> tuple[Finding, ...]:
    """What is well, and what a person has to do. Never raises for what Discord or the network do."""
    token = settings.get(TOKEN, "").strip()
    if not token:
        return ((False, f"{words.SIGN_IN_MISSING}: {words.SIGN_IN_REMEDY}"),)
    base = (settings.get(API_URL, "") or DEFAULT_URL).rstrip("/")
    headers = {"Authorization": f"Bot {token}"}
    timeout = aiohttp.ClientTimeout(total=SECONDS_MAX)
    try:
        async with aiohttp.ClientSession(headers=headers, timeout=timeout) as session:
            status, me = await _get(session, f"{base}/users/@me")
            if status == 401:
                return ((False, f"{words.SIGN_IN_REFUSED}: {words.SIGN_IN_REMEDY}"),)
            if status != 200 or not isinstance(me, dict):
                return ((False, words.unexpected(status)),)
            _, application = await _get(session, f"{base}/applications/@me")
            _, guilds = await _get(session, f"{base}/users/@me/guilds")
    except (aiohttp.ClientError, OSError, ValueError) as error:
        return ((False, f"{words.UNREACHABLE}: {one_line(str(error) or type(error).__name__, 200)}"),)
    return findings(me, application if isinstance(application, dict) else {}, wire.list_of({"all": guilds}, "all"))


def findings(me: wire.Data, application: wire.Data, guilds: list[wire.Data]) -> tuple[Finding, ...]:
    """What the three replies mean. Pure."""
    application_id = wire.id_of(application, "id") or wire.id_of(me, "id")
    reads = max(wire.number_of(application, "flags"), 0) & READS_MESSAGES
    names = tuple(one_line(wire.text_of(guild, "name"), 60) for guild in guilds)
    shown = names[:NAMES_MAX] + ((common.and_more(len(names) - NAMES_MAX),) if len(names) > NAMES_MAX else ())
    return (
        (True, words.signed_in(one_line(wire.text_of(me, "username"), 60))),
        (bool(reads), words.INTENT_ON if reads else words.INTENT_OFF),
        (True, words.PUBLIC if application.get("bot_public") else words.PRIVATE),
        (True, words.in_servers(shown, len(names)))
        if names
        else (False, words.in_no_server(invite_url(application_id))),
    )


async def _get(session: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    async with session.get(url) as response:
        return response.status, await response.json(content_type=None) if response.status == 200 else None
