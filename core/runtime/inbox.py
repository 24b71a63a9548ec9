"""The inbox: what waits for people, oldest first. A bounded number of reads, however much is open."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from core.model.inquiries import Inquiry, Vote
from core.model.team import Team
from core.model.unit import SetMeta
from core.model.views import Inbox
from core.ports import Reads
from core.rules import inbox as rules
from core.rules import replies, views
from core.rules.audience import with_delegate
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


async def page(
    read: Reads,
    team: Team,
    wanted: rules.Wanted,
    person: str,
    limit: int = SHOWN_MAX,
    stand_ins: Mapping[str, str] = MappingProxyType({}),
) -> Page:
    """A bounded number of reads, whatever is open. `stand_ins`: delegates by the absent, as `needs_of` has them."""
    mine = person if wanted.mine else ""
    found, total_n = await read.waiting(person=mine, overdue=wanted.overdue, tier=wanted.tier, limit=limit)
    if mine:
        more = await _instead_of_others(read, team, wanted, person, limit, stand_ins)
        more = {known: one for known, one in more.items() if known not in {inquiry.id for inquiry in found}}
        merged = sorted((*found, *more.values()), key=lambda one: (one.created_at_ms, one.id))
        found, total_n = tuple(merged[:limit]), total_n + len(more)
    votes = await _votes_of(read, found)
    needs = tuple(needs_of(inquiry, tuple(votes[inquiry.id]), team, stand_ins) for inquiry in found)
    whole = wanted == rules.Wanted() or wanted == rules.Wanted(mine=True)
    facts = await read.facts(PREFIX) if whole else ()
    handed = tuple(
        (name.removeprefix(PREFIX).rstrip("/"), msgspec.json.decode(value, type=Handed)) for name, value in facts
    )
    oldest = tuple(sorted(handed, key=lambda one: one[1].at_ms)[:HANDED_MAX])
    return Page(inquiries=found, needs=needs, total_n=total_n, handed=oldest, handed_n=len(handed))


async def _votes_of(read: Reads, found: tuple[Inquiry, ...]) -> dict[str, list[Vote]]:
    votes: dict[str, list[Vote]] = defaultdict(list)
    for vote in await read.votes(tuple(inquiry.id for inquiry in found)):
        votes[vote.inquiry].append(vote)
    return votes


async def _instead_of_others(
    read: Reads, team: Team, wanted: rules.Wanted, person: str, limit: int, stand_ins: Mapping[str, str]
) -> dict[str, Inquiry]:
    """What somebody away has not decided, and this person may in their place and has not. Of each of the absent the
    oldest are looked at, as many as are shown.
    """
    found: dict[str, Inquiry] = {}
    for absent in (one for one, delegate in stand_ins.items() if delegate == person):
        theirs, _ = await read.waiting(person=absent, overdue=wanted.overdue, tier=wanted.tier, limit=limit)
        found |= {one.id: one for one in theirs if with_delegate(one, team, (absent,), person) is not one}
    votes = await _votes_of(read, tuple(found.values()))
    return {known: one for known, one in found.items() if all(v.principal != person for v in votes[known])}


def listed(person: str, shown: tuple[Inquiry, ...]) -> SetMeta:
    """They have been shown this inbox; it takes the place of the one before."""
    value = msgspec.json.encode(rules.listing_of(shown)).decode()
    return SetMeta(name=rules.listed_name(person), value=value)


def viewed(inquiry: Inquiry, person: str) -> SetMeta:
    """They have looked at the whole of it, as it is now."""
    return SetMeta(name=rules.viewed_name(inquiry.id, person), value=str(inquiry.revision))
