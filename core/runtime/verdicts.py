"""Whom a decided inquiry is reported to, and how much of what was granted is gone, in words."""

from __future__ import annotations

from core.model.inquiries import Grant, Inquiry, InquiryState, Kind
from core.model.signals import Amend, VerdictReport
from core.rules import replies
from core.rules.inquiry import Decision
from core.rules.plan import Plan


def report(plan: Plan, before: Inquiry, after: Inquiry, decision: Decision) -> None:
    """A call hears what became of it. For a change of the policy no call waits: once approved, it is made."""
    if before.kind is Kind.POLICY:
        if after.state is InquiryState.APPROVED:
            plan.signal(f"{before.id}:{after.version}:amend", before.task, Amend(inquiry=before.id))
    elif decision.verdict is not None:
        verdict = VerdictReport(call=before.call, verdict=decision.verdict)
        plan.signal(f"{before.id}:{after.version}:verdict", before.task, verdict)


def used(grant: Grant | None) -> str:
    """How much of a grant for several times is gone, in words."""
    return replies.used(grant.used_n, grant.bounds.count_max) if grant and grant.bounds else ""
