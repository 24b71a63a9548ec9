"""Grants as they are used: looked at before every use, and void as soon as they are not what was given, or whoever gave
them could not give them any more.

Law of this file: where a platform has a say in who decides, it is asked again just before the start, a minute ago at
most. While it cannot be asked nothing starts, and nothing is lost: the start waits as long as the grant lives.
"""

from __future__ import annotations

from core.model.ids import InquiryId
from core.model.inquiries import Grant, GrantState
from core.model.team import Team
from core.model.unit import InquiryRow, MoveGrant, State, Table
from core.rules import bounds, replies
from core.rules.revising import still_decides
from core.runtime import inquiries, verdicts
from core.runtime.context import Context, log
from core.runtime.standing import standings_of

UNSURE_WAIT_MS = 5_000
UNSURE_WAIT_MS_MAX = 60_000


class UnsureError(Exception):
    """Nobody can tell now whether those who gave a grant may still decide such things: ask again in `wait_ms`."""

    def __init__(self, wait_ms: int) -> None:
        super().__init__(f"to be asked again in {wait_ms} ms")
        self.wait_ms = wait_ms


def wait_ms(since_ms: int) -> int:
    """As long again as it is since it was approved, so that waits grow; 5 s at least, a minute at most."""
    return max(UNSURE_WAIT_MS, min(since_ms, UNSURE_WAIT_MS_MAX))


async def standing(context: Context, inquiry: InquiryId) -> Grant | None:
    """The bounded grant of an approved inquiry, if it still stands, as far as the team's own definition says. One that
    today's policy, another program or a voter who has left has made void is revoked here, for good.
    """
    row = await context.store.read.inquiry(inquiry)
    return await _standing(context, row) if row is not None else None


async def usable(context: Context, inquiry: InquiryId) -> Grant | None:
    """The same just before a use, when platforms are asked, too. Raises UnsureError."""
    row = await context.store.read.inquiry(inquiry)
    grant = await _standing(context, row) if row is not None else None
    return grant if row is not None and grant is not None and await _still_given(context, row, grant) else None


async def _standing(context: Context, row: InquiryRow) -> Grant | None:
    grant = row.grant
    if grant is None or grant.bounds is None or grant.state is not GrantState.LIVE:
        return None
    team = await context.team()
    if not still_decides(row.inquiry, grant.by, team):
        await revoke(context, row, grant, replies.VOTER_LEFT)
        return None
    if not bounds.holds(row, team, inquiries.fingerprint_now(context, row.inquiry)):
        await revoke(context, row, grant, replies.VOID)
        return None
    return grant


async def by_those_who_may(context: Context, grant: Grant) -> bool:
    """Whether everybody who gave it still decides such things today, by the team's definition and wherever a platform
    has a say. One that somebody gave who no longer does is revoked here, for good. Raises UnsureError.
    """
    if grant.state is not GrantState.LIVE:
        return True  # it is over: whoever takes it is refused, and nobody needs to be asked
    row = await context.store.read.inquiry(grant.inquiry)
    return row is not None and await _still_given(context, row, grant)


async def _still_given(context: Context, row: InquiryRow, grant: Grant) -> bool:
    team = await context.team()
    may = still_decides(row.inquiry, grant.by, team) and await _still_let(context, team, row, grant)
    if may is None:
        log.warning("grant.unsure", inquiry=row.inquiry.id, by=grant.by)
        await _say(context, row, replies.UNSURE_YET)
        approved_at_ms = row.inquiry.resolution.at_ms if row.inquiry.resolution else 0
        raise UnsureError(wait_ms(context.clock.now_ms() - approved_at_ms))
    if not may:
        await revoke(context, row, grant, replies.VOTER_LEFT)
    return may


async def _still_let(context: Context, team: Team, row: InquiryRow, grant: Grant) -> bool | None:
    """What the platforms say of those who gave it, each where they did; None if one of them cannot be asked now."""
    found = [one.may_approve for one in await standings_of(context, team, row) if one.principal in grant.by]
    return False if False in found else None if None in found else True


async def _say(context: Context, row: InquiryRow, outcome: str) -> None:
    """On the card, once however often it is tried."""
    plan = context.plan(context.env(await context.team()))
    inquiries.decided(plan, row.inquiry, outcome)
    await context.commit(plan)


async def revoke(context: Context, row: InquiryRow, grant: Grant, why: str) -> None:
    """It ends here, unless somebody was faster, and the card says why."""
    plan = context.plan(context.env(await context.team()))
    plan.guards.append(State(table=Table.GRANT, id=grant.id, states=(GrantState.LIVE.value,)))
    plan.changes.append(MoveGrant(id=grant.id, state=GrantState.REVOKED))
    plan.audit(row.inquiry.id, grant.id, "grant.revoked", grant=grant.id, why=why, used_n=grant.used_n)
    inquiries.decided(plan, row.inquiry, ": ".join(filter(None, (why, verdicts.used(grant)))))
    await context.commit(plan)
