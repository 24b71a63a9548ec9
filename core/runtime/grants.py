"""Grants as they are used: looked at before every use, and void as soon as they are not what was given, or whoever gave
them could not give them any more.
"""

from __future__ import annotations

from core.model.ids import InquiryId
from core.model.inquiries import Grant, GrantState
from core.model.unit import InquiryRow, MoveGrant, State, Table
from core.rules import bounds, replies
from core.rules.revising import still_decides
from core.runtime import inquiries, verdicts
from core.runtime.context import Context


async def standing(context: Context, inquiry: InquiryId) -> Grant | None:
    """The bounded grant of an approved inquiry, if it still stands. One that today's policy, another program or a
    voter who has left has made void is revoked here, for good.
    """
    row = await context.store.read.inquiry(inquiry)
    grant = row.grant if row is not None else None
    if row is None or grant is None or grant.bounds is None or grant.state is not GrantState.LIVE:
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
    """Whether everybody who gave it still decides such things today. One that somebody gave who no longer does is
    revoked here, for good.
    """
    row = await context.store.read.inquiry(grant.inquiry)
    if row is None:
        return False
    if still_decides(row.inquiry, grant.by, await context.team()):
        return True
    await revoke(context, row, grant, replies.VOTER_LEFT)
    return False


async def revoke(context: Context, row: InquiryRow, grant: Grant, why: str) -> None:
    """It ends here, unless somebody was faster, and the card says why."""
    plan = context.plan(context.env(await context.team()))
    plan.guards.append(State(table=Table.GRANT, id=grant.id, states=(GrantState.LIVE.value,)))
    plan.changes.append(MoveGrant(id=grant.id, state=GrantState.REVOKED))
    plan.audit(row.inquiry.id, grant.id, "grant.revoked", grant=grant.id, why=why, used_n=grant.used_n)
    inquiries.decided(plan, row.inquiry, ": ".join(filter(None, (why, verdicts.used(grant)))))
    await context.commit(plan)
