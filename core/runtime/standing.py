"""What a person may do at this moment: by the team's definition, and never more than a platform says right now.

Asked before a decision, never within one; the answer is data with its time. Nobody who cannot be asked about may
decide (fail closed): their vote is kept, and looked at again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from core.model.errors import SignoffError
from core.model.events import Conversation
from core.model.inquiries import Inquiry, Label, Vote
from core.model.team import Team
from core.model.unit import InquiryRow
from core.rules.decisions import QUESTIONS, STANDING_MS_MAX, Standing
from core.runtime.context import Context, log
from core.runtime.directs import where_asked

ROLES_SECONDS_MAX = 2.0
AGAIN_MS = 60_000
DECIDES = ("owner", "approver")
OWNS = ("owner",)


async def standing_of(
    context: Context,
    team: Team,
    principal: str,
    account: str,
    conversation: Conversation,
    ours: tuple[str, ...] = DECIDES,
) -> Standing:
    """One person's, as the holder of that account, in that conversation. "" is nobody, who may nothing. `ours`: as
    whom, where a platform's own roles say it.
    """
    person, now_ms = team.person(principal), context.clock.now_ms()
    may, mapped = person is not None and person.may_approve, team.platform_roles.get(conversation.platform)
    if not may or mapped is None:
        return Standing(principal=principal, may_approve=may, checked_at_ms=now_ms)
    held = await _held(context, account, conversation)
    if held is None:
        return Standing(principal=principal, may_approve=None, checked_at_ms=now_ms)
    at_ms, roles = held
    decides = any(roles & set(mapped.get(one, ())) for one in ours)
    return Standing(principal=principal, may_approve=decides, checked_at_ms=at_ms)


async def standings_of(context: Context, team: Team, row: InquiryRow, presser: str = "") -> tuple[Standing, ...]:
    """Those of everybody whose vote may count in this decision, but for the presser's: only where a platform has a say
    in it, or had, for the definition is looked at whenever votes are counted.
    """
    ours = OWNS if row.inquiry.label is Label.OVERRIDE else DECIDES
    votes = [vote for vote in row.votes if vote.principal != presser and _has_a_say(team, row.inquiry, vote)]
    async with asyncio.TaskGroup() as group:
        asked = [
            group.create_task(
                standing_of(
                    context,
                    team,
                    v.principal,
                    v.account,
                    where_asked(context, row.inquiry, cast_in(row.inquiry, v)),
                    ours,
                )
            )
            for v in votes
        ]
    return tuple(one.result() for one in asked)


def _has_a_say(team: Team, inquiry: Inquiry, vote: Vote) -> bool:
    if inquiry.kind in QUESTIONS:
        return False
    return not vote.checked or cast_in(inquiry, vote).platform in team.platform_roles


def cast_in(inquiry: Inquiry, vote: Vote) -> Conversation:
    """Where a vote was cast. (Votes of earlier releases do not say; those were cast where it was asked.)"""
    return vote.conversation or inquiry.conversation


def look_again_ms(votes: Sequence[Vote], standings: Sequence[Standing], now_ms: int, *, changed: bool) -> int | None:
    """When standings are to be looked at again: at once for a kept vote that could count by now, in a while for a voter
    whom nobody could tell anything about; None if nothing waits for it. One time for all who wait in the same minute.
    """
    found = {one.principal: one.may_approve for one in standings}
    kept = any(found.get(vote.principal) is True and not vote.checked for vote in votes)
    if kept and changed:
        return now_ms
    unknown = any(vote.principal in found and found[vote.principal] is None for vote in votes)
    return (now_ms // AGAIN_MS + 1) * AGAIN_MS if unknown else None


async def _held(context: Context, account: str, conversation: Conversation) -> tuple[int, frozenset[str]] | None:
    """The roles an account holds there and when that was asked, a minute ago at most; None if nobody can tell."""
    kept, key, now_ms = context.roles_held, (account, conversation.key), context.clock.now_ms()
    if key in kept and abs(now_ms - kept[key][0]) < STANDING_MS_MAX:
        return kept[key]
    for old in [name for name, (at_ms, _) in kept.items() if abs(now_ms - at_ms) >= STANDING_MS_MAX]:
        del kept[old]
    platform = context.platforms.get(conversation.platform)
    if platform is None:
        return None
    try:
        async with asyncio.timeout(ROLES_SECONDS_MAX):
            roles = await platform.roles(account, conversation)
    except (SignoffError, TimeoutError) as error:
        log.warning("roles.unknown", account=account, platform=platform.name, why=str(error) or "timeout")
        return None
    kept[key] = now_ms, roles
    return kept[key]
