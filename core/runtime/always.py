"""`/always`: one transaction approves once and opens the proposal; an owner's approval of that changes team.yaml."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from core.model.editions import Edition
from core.model.inquiries import Inquiry, InquiryState, Verb
from core.model.signals import Amend
from core.model.team import Person, Team
from core.model.unit import Change, Guard, InquiryRow
from core.model.work import Failure
from core.rules import always, changing, notes, replies
from core.rules.inquiry import Decision
from core.rules.plan import Plan, open_inquiry
from core.runtime import inquiries, reloading
from core.runtime.context import Context

Then = Callable[[Plan, InquiryRow, Decision], None]


async def proposing(context: Context, team: Team, person: Person | None, inquiry: Inquiry, until: str) -> Then | str:
    """What the press is to write besides, if it is an approval that counts; or why there can be no such proposal."""
    now_ms, laws = context.clock.now_ms(), context.laws
    rule = always.rule_from(inquiry, team, until, now_ms)
    if isinstance(rule, str):
        return rule
    if laws is None or person is None:
        return notes.NO_LAWS
    amendment = await asyncio.to_thread(laws.propose, rule)
    if isinstance(amendment, str):
        return amendment
    asked = always.proposal(inquiry, team, rule, amendment, person.id, now_ms)
    if isinstance(asked, Failure):
        return asked.why
    known = await context.store.read.inquiry(asked.id) is not None

    def then(plan: Plan, _row: InquiryRow, decision: Decision) -> None:
        approved = decision.changed and decision.vote is not None and decision.vote.verb is Verb.APPROVE
        if approved and not known:
            open_inquiry(plan, asked)

    return then


async def amend(context: Context, errand: Amend, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Make the change that an owner approved. Done again after a crash, it is done once. Raises LookupError."""
    row = await context.store.read.inquiry(errand.inquiry)
    if row is None or row.inquiry.state is not InquiryState.APPROVED:
        raise LookupError(errand.inquiry)
    if changing.is_change(row.inquiry):
        await reloading.approved(context, row, guards, changes)
        return
    if context.laws is None:
        raise LookupError(errand.inquiry)
    inquiry = row.inquiry
    why = await asyncio.to_thread(context.laws.amend, always.rule_in(inquiry), always.amendment_in(inquiry))
    team = await context.team()
    plan = context.plan(context.env(team))
    plan.guards.extend(guards)
    plan.changes.extend(changes)
    plan.changes.extend(reloading.kept(context.drafts.edition() if context.drafts else Edition(team=team)))
    what = "policy.not-changed" if why else "policy.changed"
    plan.audit(inquiry.id, inquiry.revision, what, digest=inquiry.digest, why=why, definition=team.version)
    inquiries.decided(plan, inquiry, why or replies.ALLOWED)
    await context.commit(plan)
