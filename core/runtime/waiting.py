"""Carry out what falls due while an inquiry waits (core/rules/waiting): each is a signal, and one transaction."""

from __future__ import annotations

from core.model.ids import short
from core.model.signals import Escalate, Remind
from core.model.team import Absence, Team
from core.model.unit import Change, Guard, InquiryRow
from core.rules import plan as plans
from core.rules import views, waiting, words
from core.rules.inquiry import Decision, Standing
from core.rules.plan import Plan
from core.runtime.away import absences_of, stand_ins
from core.runtime.context import Context
from core.runtime.inquiries import Facts, apply


async def remind(context: Context, errand: Remind, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Say that it still waits, once whatever was missed, to those who are awake."""
    away: tuple[Absence, ...] = ()
    found: waiting.Reminder | None = None

    async def ask(row: InquiryRow, _team: Team) -> tuple[Standing, ...]:
        nonlocal away
        away = await absences_of(context, row.inquiry)
        return ()

    def decide(facts: Facts) -> Decision:
        nonlocal found
        if facts.row.inquiry.revision != errand.revision:
            return Decision(inquiry=facts.row.inquiry)
        found = waiting.remind(facts.row, facts.team, away, context.clock.now_ms())
        return found.decision

    def then(plan: Plan, row: InquiryRow, decision: Decision) -> None:
        if found is None:
            return
        inquiry = decision.inquiry
        if found.people:
            text = words.still_waiting(views.names_of(plan.team, found.people, found.stands_for), _named(plan, row))
            directs = plan.env.directs
            others = {place for who, place in directs.items() if who not in found.people}
            plans.tell(plan, inquiry, row.deliveries, text, "remind", inquiry.reminded_n, spared=others)
        plans.remind_at(plan, inquiry, found.due_ms)

    await apply(context, errand.inquiry, decide, ask=ask, guards=guards, changes=changes, then=then)


async def escalate(context: Context, errand: Escalate, guards: tuple[Guard, ...], changes: tuple[Change, ...]) -> None:
    """Ask others; of all steps that were missed, only the newest is said."""
    found: waiting.Escalated | None = None
    away = await stand_ins(context)

    def decide(facts: Facts) -> Decision:
        nonlocal found
        if facts.row.inquiry.revision != errand.revision:
            return Decision(inquiry=facts.row.inquiry)
        found = waiting.escalate(facts.row, facts.team, context.clock.now_ms(), facts.directs, away)
        return found.decision

    def then(plan: Plan, row: InquiryRow, decision: Decision) -> None:
        if found is None:
            return
        inquiry = decision.inquiry
        if decision.changed:
            people = views.names_of(plan.team, found.called) if found.called else ""
            text = words.escalated(people, _named(plan, row), instead=found.replaced)
            plans.tell(plan, inquiry, row.deliveries, text, "escalate", inquiry.escalated_n)
        plans.escalate_at(plan, inquiry, found.due_ms)

    await apply(context, errand.inquiry, decide, guards=guards, changes=changes, then=then)


def _named(plan: Plan, row: InquiryRow) -> str:
    return f"{views.title_of_inquiry(row.inquiry, plan.team)} ({short(row.inquiry.id)})"
