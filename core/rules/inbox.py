"""What of that which waits somebody wants to see, and what of it they have seen.

Law of this file: whoever decides several things with one word decides only what they were shown. Seen is a revision:
what changed since is unseen again. There are three ways to have seen it: its card stands where the person speaks, they
looked at the whole of it, or it stood in the last inbox they were shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from core.model.events import Conversation
from core.model.inquiries import DeliveryState, Inquiry
from core.model.team import Tier
from core.model.unit import InquiryRow

TIERS = frozenset(tier.value for tier in Tier)
_ON_SCREEN = frozenset({DeliveryState.POSTED, DeliveryState.FINALISED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which part of the inbox. All of it, unless something is said."""

    mine: bool = False
    overdue: bool = False
    tier: str = ""


def wanted_of(words: str) -> Wanted | None:
    """`mine`, `overdue` and a tier, in any order; None for words that are none of these."""
    mine = overdue = False
    tier = ""
    for word in words.lower().split():
        if word == "mine":
            mine = True
        elif word == "overdue":
            overdue = True
        elif word in TIERS and not tier:
            tier = word
        else:
            return None
    return Wanted(mine=mine, overdue=overdue, tier=tier)


def viewed_name(inquiry: str, person: str) -> str:
    """The fact that says which revision of it somebody has looked at whole."""
    return f"seen:{inquiry}:{person}"


def listed_name(person: str) -> str:
    """The fact that holds the last inbox somebody was shown: revisions by inquiry."""
    return f"inbox:{person}"


def listing_of(shown: tuple[Inquiry, ...]) -> dict[str, int]:
    """What an inbox lets somebody have seen."""
    return {inquiry.id: inquiry.revision for inquiry in shown}


def same_channel(shown: Conversation, spoken: Conversation) -> bool:
    """Threads of one channel are one place: who is in one can read them all."""
    return (shown.platform, shown.account, shown.channel) == (spoken.platform, spoken.account, spoken.channel)


def revision_seen(row: InquiryRow, where: Conversation, viewed: int, listed: Mapping[str, int]) -> int:
    """The newest revision that whoever speaks `where` has seen; 0 for none."""
    on_screen = (d.revision for d in row.deliveries if d.state in _ON_SCREEN and same_channel(d.conversation, where))
    return max(viewed, listed.get(row.inquiry.id, 0), *on_screen, 0)
