"""An ordinary "yes" counts only in reply to the inquiry's own message, and only if the policy says so (case_42)."""

from __future__ import annotations

import re
from typing import Final

from core.model.events import Conversation, MessageReceived
from core.model.inquiries import Inquiry, Kind
from core.model.team import Team
from core.rules.plan import showings
from core.runtime.context import Context
from core.runtime.directs import is_here

_YES: Final = re.compile(r"\s*yes\s*[.!]?\s*", re.IGNORECASE)


async def agreed_to(context: Context, team: Team, event: MessageReceived) -> tuple[Inquiry, int] | None:
    """The approval that a message says yes to, and the revision that was on the screen it answers; None for every
    other message.
    """
    if not team.policy.yes_counts or event.reply_to is None or not _YES.fullmatch(event.text):
        return None
    for inquiry in await context.store.read.inquiries():
        here = any(_is_here(context, one.conversation, event) for one in showings(inquiry))
        if inquiry.kind is not Kind.APPROVAL or not here:
            continue
        row = await context.store.read.inquiry(inquiry.id)
        revisions = [
            d.revision
            for d in (row.deliveries if row else ())
            if is_receipt_of(d.receipt, event.reply_to)
            and _is_here(context, d.conversation, event)
            and d.conversation not in inquiry.left
        ]
        if revisions:
            return inquiry, max(revisions)
    return None


def _is_here(context: Context, shown: Conversation, event: MessageReceived) -> bool:
    return is_here(context, shown, event.conversation, event.sender.account)


def is_receipt_of(receipt: str, message: str) -> bool:
    """Whether a receipt names this message; what comes before its id is the platform's own way to find it."""
    return bool(message) and (receipt == message or receipt.endswith((f":{message}", f"/{message}")))
