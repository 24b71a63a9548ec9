"""Whether Slack would work as it is set up: for `signoff setup` and `doctor`. Asks, and changes nothing."""

from __future__ import annotations

import asyncio
import importlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from bots.slack import words
from core.model.errors import SignoffError

Finding = tuple[bool, str]


def manifest() -> str:
    """The app as Slack takes it: to be pasted."""
    return resources.files("bots.slack").joinpath("manifest.json").read_text("utf-8")


def scopes() -> frozenset[str]:
    """What the app is to be granted."""
    described: dict[str, Any] = json.loads(manifest())
    return frozenset(described["oauth_config"]["scopes"]["bot"])


async def examine(settings: Mapping[str, str]) -> tuple[Finding, ...]:
    """The bot token, its scopes, and how Slack would reach us. Never raises for what is wrong outside: it says so."""
    if not settings.get("SLACK_BOT_TOKEN"):
        return ((False, words.NO_TOKEN),)
    module = await asyncio.to_thread(importlib.import_module, "bots.slack.web")
    web = module.Web(settings)
    found: list[Finding] = []
    try:
        answer = await web.call("auth.test")
        found.append((True, words.signed_in(str(answer.get("user")), str(answer.get("team")))))
    except SignoffError as error:
        return ((False, str(error)),)
    if web.scopes is not None:
        missing = sorted(scopes() - web.scopes)
        found.append((False, words.scopes_missing(", ".join(missing))) if missing else (True, words.SCOPES_GOOD))
    if settings.get("SLACK_APP_TOKEN"):
        try:
            await web.connections_url()
            found.append((True, words.SOCKET_GOOD))
        except SignoffError as error:
            found.append((False, str(error)))
    elif settings.get("SLACK_SIGNING_SECRET"):
        found.append((True, words.HTTP_GOOD))
    else:
        found.append((False, f"{words.NO_SECRET}: {words.SET_SECRET}"))
    return tuple(found)
