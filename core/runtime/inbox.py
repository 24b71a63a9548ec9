"""The inbox: what waits for people, oldest first. A bounded number of reads, however much is open."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

import msgspec

from core.model.inquiries import Inquiry, Vote
from core.model.team import Team
from core.model.unit import SetMeta
from core.model.views import Inbox
from core.ports import Reads
from core.rules import inbox as rules
from core.rules import replies, views
from core.rules.inquiry import needs_of
from core.rules.plan import showings
from core.rules.text import human_duration, one_line
from core.runtime.handover import PREFIX, Handed

SHOWN_MAX = 10
"""What every platform can draw whole, with its buttons: nothing is listed that was not on the screen."""
HANDED_MAX = 5
WHY_MAX = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The oldest of what is wanted, what each still needs, how many there are in all, and where people took over."""

    inquiries: tuple[Inquiry, ...]
    needs: tuple[str, ...]
    total_n: int
    handed: tuple[tuple[str, Handed], ...] = ()
    handed_n: int = 0

    def view(self, team: Team, now_ms: int, secret: str = "") -> Inbox:
        """As it is drawn; with the workspace's secret, each can be looked at from there."""
        shown = {str(i.id): showings(i)[0].delivery for i in self.inquiries} if secret else {}
        nonces = {inquiry: views.control_nonce(secret, delivery) for inquiry, delivery in shown.items()}
        return views.inbox_view(tuple(zip(self.inquiries, self.needs, strict=True)), team, now_ms, nonces)

    def below(self, now_ms: int) -> str:
        """What stands under it; "" for nothing."""
        lines = []
        if self.total_n > len(self.inquiries):
            lines.append(replies.more_waits(self.total_n - len(self.inquiries)))
        if self.handed:
            places = tuple(
                (one_line(where, WHY_MAX), human_duration(max(0, now_ms - fact.at_ms)), one_line(fact.why, WHY_MAX))
                for where, fact in self.handed
            )
            lines.append(replies.waits_for_handback(places, self.handed_n - len(self.handed)))
        return "\n".join(lines)


async def page(read: Reads, team: Team, wanted: rules.Wanted, person: str, limit: int = SHOWN_MAX) -> Page:
    """A bounded number of reads, whatever is open."""
    mine = person if wanted.mine else ""
    found, total_n = await read.waiting(person=mine, overdue=wanted.overdue, tier=wanted.tier, limit=limit)
    votes: dict[str, list[Vote]] = defaultdict(list)
    for vote in await read.votes(tuple(inquiry.id for inquiry in found)):
        votes[vote.inquiry].append(vote)
    needs = tuple(needs_of(inquiry, tuple(votes[inquiry.id]), team) for inquiry in found)
    whole = wanted == rules.Wanted() or wanted == rules.Wanted(mine=True)
    facts = await read.facts(PREFIX) if whole else ()
    handed = tuple(
        (name.removeprefix(PREFIX).rstrip("/"), msgspec.json.decode(value, type=Handed)) for name, value in facts
    )
    oldest = tuple(sorted(handed, key=lambda one: one[1].at_ms)[:HANDED_MAX])
    return Page(inquiries=found, needs=needs, total_n=total_n, handed=oldest, handed_n=len(handed))


def listed(person: str, shown: tuple[Inquiry, ...]) -> SetMeta:
    """They have been shown this inbox; it takes the place of the one before."""
    value = msgspec.json.encode(rules.listing_of(shown)).decode()
    return SetMeta(name=rules.listed_name(person), value=value)


def viewed(inquiry: Inquiry, person: str) -> SetMeta:
    """They have looked at the whole of it, as it is now."""
    return SetMeta(name=rules.viewed_name(inquiry.id, person), value=str(inquiry.revision))
