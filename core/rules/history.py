"""What was decided, told again: who, what, when, why. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from core.model.ids import short
from core.model.inquiries import Inquiry, InquiryState, Vote
from core.model.team import Team
from core.rules import words
from core.rules.text import human_when, one_line
from core.rules.values import masked, secret_texts
from core.rules.views import decided_card, names_of

WHAT_MAX: Final = 200
WHY_MAX: Final = 160


def told(inquiry: Inquiry, votes: Iterable[Vote], team: Team, now_ms: int) -> str:
    """One decision, in two lines or three: when and what, how it ended, and what its voters gave as reasons."""
    card = decided_card(inquiry, team, now_ms)
    ended_ms = inquiry.resolution.at_ms if inquiry.resolution else inquiry.updated_at_ms
    head = (human_when(ended_ms, now_ms, team.zone), card.title, short(inquiry.id))
    said = inquiry.action.says if inquiry.action else inquiry.question
    what = one_line(masked(said, secret_texts(inquiry.action)), WHAT_MAX)
    end = inquiry.resolution.reason if inquiry.resolution else ""
    end = end if inquiry.state is not InquiryState.APPROVED else ""  # an approval's headline does not say why
    reasons = tuple(
        f"{names_of(team, (vote.principal,))}: {one_line(vote.reason, WHY_MAX)}"
        for vote in votes
        if vote.reason.strip() and vote.reason != end
    )
    lines = (words.SEPARATOR.join(head), what, card.headline, *reasons)
    return "\n  ".join(line.replace("\n", " ") for line in lines if line)
