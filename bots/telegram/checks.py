"""What `signoff setup` and `signoff doctor` can say about Telegram."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bots.telegram import wire, words
from bots.telegram.client import configured, connect
from core.model.errors import SignoffError

Finding = tuple[bool, str]


async def examine(settings: Mapping[str, str]) -> tuple[Finding, ...]:
    """Is the token good, what does the bot see in groups, and does anything hold its messages back? Never raises."""
    if not configured(settings):
        return ((False, words.NOT_SET),)
    api = await connect(settings)
    try:
        me = await api.call("getMe")
        hook = await api.call("getWebhookInfo")
    except SignoffError as error:
        return ((False, str(error)),)
    finally:
        await api.close()
    return findings(me, hook, settings.get("SIGNOFF_TELEGRAM_WEBHOOK_URL", ""))


def findings(me: Any, hook: Any, wanted_url: str) -> tuple[Finding, ...]:
    """From getMe and getWebhookInfo."""
    known = wire.who_am_i(me)
    if known is None or not isinstance(hook, dict):
        return ((False, words.out_of_order("getMe")),)
    found: list[Finding] = [(True, words.is_bot(known.username))]
    # Privacy is a way to run it, so it is told, and is no fault.
    found.append((True, words.PRIVACY_OFF if me.get("can_read_all_group_messages") is True else words.PRIVACY_ON))
    url = str(hook.get("url") or "")
    if url and url != wanted_url:
        found.append((False, f"{words.other_webhook(url)}: {words.OTHER_WEBHOOK_REMEDY}"))
    else:
        found.append((True, words.other_webhook(url) if url else words.NO_WEBHOOK))
    waiting = hook.get("pending_update_count")
    if isinstance(waiting, int) and waiting:
        found.append((True, words.pending(waiting)))
    if hook.get("last_error_message"):
        found.append((not url, words.webhook_error(str(hook["last_error_message"])[:200])))
    return tuple(found)
