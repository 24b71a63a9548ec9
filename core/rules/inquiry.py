"""What becomes of an inquiry when people press, time passes, or its task moves on (INQUIRIES.md).

Every function takes the rows as they are and returns a Decision: data, which one transaction then writes. `approved`
comes from people's presses alone (`press`): no deadline, withdrawal or lookup leads there. Versions are left to whoever
writes the row. The table is in transitions, opening and counting in modules of their own; this is the whole of it.
"""

from __future__ import annotations

from typing import Any, assert_never

import msgspec

from core.model.ids import InquiryId
from core.model.inquiries import DeliveryState, GrantState, InquiryState, Resolution
from core.model.team import Json
from core.model.unit import InquiryRow
from core.model.work import Failure, ToolResult, Verdict
from core.rules import notes
from core.rules.actions import text_of
from core.rules.decisions import Decision, Press, Standing, grant_lives
from core.rules.opening import approval, opened, question, reconcile, shown
from core.rules.transitions import TRANSITIONS, IllegalTransitionError, Transition, move
from core.rules.votes import needs_of
from core.rules.voting import press

__all__ = [
    "TRANSITIONS",
    "Decision",
    "IllegalTransitionError",
    "Press",
    "Standing",
    "Transition",
    "approval",
    "deadline",
    "expire_grant",
    "gone",
    "move",
    "needs_of",
    "press",
    "question",
    "reconcile",
    "result_of",
    "shown",
    "supersede",
    "withdraw",
]

BY_DEADLINE = "deadline"
"""The rule's name in a resolution that no person made."""

_HOLDS = frozenset({DeliveryState.PLANNED, DeliveryState.SENDING, DeliveryState.POSTED, DeliveryState.UNKNOWN})


def deadline(row: InquiryRow, now_ms: int) -> Decision:
    """Transition 14: flag it, or deny it where the policy says so. Never approves. `escalate` is flagged too: whom it
    is shown to next is the caller's to choose. What could be shown to nobody yet is late like everything else: or it
    would wait for ever, in no inbox.
    """
    inquiry = row.inquiry
    due = inquiry.decide_by_ms is not None and inquiry.decide_by_ms <= now_ms
    if inquiry.state.final or inquiry.overdue or not due:
        return Decision(inquiry=inquiry)
    if inquiry.at_deadline == "deny":
        if not inquiry.state.active:
            row = msgspec.structs.replace(row, inquiry=opened(inquiry, now_ms))
        return _ended(row, 8, InquiryState.DENIED, BY_DEADLINE, "nobody decided in time", now_ms)
    late = move(inquiry, 14, inquiry.state, overdue=True, updated_at_ms=now_ms)
    return Decision(inquiry=late, transition=14, changed=True, finalise=True)


def withdraw(row: InquiryRow, reason: str, by: str, now_ms: int, *, told: str = "") -> Decision:
    """Transition 13, never a denial. A live grant is revoked; one that is consumed can no longer be. People read the
    reason, and the agent `told` where that is something else.
    """
    state = row.inquiry.state
    if state.final and not (state is InquiryState.APPROVED and _live(row)):
        return Decision(inquiry=row.inquiry, note=notes.TOO_LATE_TO_STOP)
    revoke = row.grant.id if row.grant is not None and _live(row) else None
    return _ended(row, 13, InquiryState.CANCELLED, by, reason, now_ms, told=told, revoke=revoke)


def supersede(row: InquiryRow, newer: InquiryId, by: str, now_ms: int) -> Decision:
    """Transition 12: the agent replaces its request."""
    if not row.inquiry.state.active:
        return Decision(inquiry=row.inquiry, note=notes.afterwards(row.inquiry.state, "somebody"))
    return _ended(row, 12, InquiryState.SUPERSEDED, by, f"replaced by {newer}", now_ms)


def expire_grant(row: InquiryRow, now_ms: int) -> Decision:
    """Transition 16, its other end: nobody used the grant in time. Asking anew is the next generation."""
    grant = row.grant
    unused = row.inquiry.state is InquiryState.APPROVED and grant is not None and _live(row)
    if grant is None or not unused or grant_lives(row, now_ms):
        return Decision(inquiry=row.inquiry)
    if grant.used_n:  # some of it was done: that stays approved, and only what is left has run out
        spent = move(row.inquiry, 16, InquiryState.APPROVED, updated_at_ms=now_ms)
        return Decision(inquiry=spent, transition=16, changed=True, finalise=True, expire=grant.id)
    why = "it was approved, but did not start while the permission was good"
    return _ended(row, 16, InquiryState.EXPIRED, BY_DEADLINE, why, now_ms, expire=grant.id)


def gone(row: InquiryRow, delivery: str, now_ms: int) -> Decision:
    """A message that showed the inquiry was deleted, or its channel is. Where it was the last one, an inquiry nobody
    has seen becomes undeliverable (3), and an active one asks to be shown again (4: `finalise`).
    """
    inquiry = row.inquiry
    others = [d for d in row.deliveries if d.id != delivery and d.revision == inquiry.revision and d.state in _HOLDS]
    if others or inquiry.state.final or inquiry.state is InquiryState.UNDELIVERABLE:
        return Decision(inquiry=inquiry)
    if inquiry.state is InquiryState.CREATED:
        lost = shown(inquiry, DeliveryState.GONE, now_ms)
        return Decision(inquiry=lost, transition=3, changed=True, finalise=True)
    again = move(inquiry, 4, inquiry.state, updated_at_ms=now_ms)
    return Decision(inquiry=again, transition=4, changed=True, finalise=True)


def result_of(verdict: Verdict) -> ToolResult:
    """What the agent's call comes to when its inquiry has ended without a grant. Denials say why, and that trying it
    another way is no way.
    """
    who = " and ".join(verdict.by) or "nobody"
    why = verdict.reason or "no reason was given"
    state = InquiryState(verdict.state)
    match state:
        case InquiryState.APPROVED:
            return ToolResult(text=f"{who} approved it")
        case InquiryState.ANSWERED:
            return _answered(verdict.answer, who)
        case InquiryState.DISMISSED:
            return ToolResult(text=f"{who} dismissed the question. Go on without an answer; it is not a no.")
        case InquiryState.DENIED:
            recovery = "Do not try it another way. Report that it was denied, with the reason."
            return ToolResult(failure=Failure(what=f"{who} said no", why=why, recovery=recovery))
        case InquiryState.SUPERSEDED:
            recovery = "Wait for the newer one."
            return ToolResult(failure=Failure(what="the request was replaced", why=why, recovery=recovery))
        case InquiryState.CANCELLED:
            recovery = "It is not a no. Report it; if it is still wanted, call it again."
            return ToolResult(failure=Failure(what="the request was withdrawn", why=why, recovery=recovery))
        case InquiryState.EXPIRED:
            recovery = "Call it again if it is still wanted: people are asked anew."
            return ToolResult(failure=Failure(what="the request ran out", why=why, recovery=recovery))
        case (
            InquiryState.CREATED
            | InquiryState.OPEN
            | InquiryState.COLLECTING
            | InquiryState.IN_REVIEW
            | InquiryState.UNDELIVERABLE
        ):
            recovery = "Wait for the answer."
            return ToolResult(failure=Failure(what="nothing is decided yet", why=why, recovery=recovery))
        case _:  # pragma: no cover
            assert_never(state)


def _answered(answer: Json, who: str) -> ToolResult:
    match answer:
        case {"outcome": "happened"}:
            return ToolResult(text=f"{who} looked: it did happen. Do not run it again.")
        case {"outcome": "gave_up"}:
            return ToolResult(
                failure=Failure(
                    what="the action was started, and its outcome stays unknown",
                    why=f"{who} gave it up",
                    recovery="Do not run it again. Name it as a risk in the handoff.",
                )
            )
        case _:
            return ToolResult(text=text_of(answer))


def _live(row: InquiryRow) -> bool:
    return row.grant is not None and row.grant.state is GrantState.LIVE


def _ended(
    row: InquiryRow, number: int, to: InquiryState, by: str, reason: str, now_ms: int, *, told: str = "", **ends: Any
) -> Decision:
    """Ended by a rule, an agent or a task. Nobody's vote."""
    resolution = Resolution(by=(by,), at_ms=now_ms, reason=reason)
    ended = move(row.inquiry, number, to, resolution=resolution, updated_at_ms=now_ms)
    verdict = Verdict(inquiry=ended.id, state=to.value, by=(by,), reason=told or reason, label=ended.label.value)
    return Decision(inquiry=ended, verdict=verdict, transition=number, changed=True, finalise=True, **ends)
