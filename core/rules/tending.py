"""What people do to an inquiry besides deciding it: say something about it, quiet its reminders, give it more time; and
an owner's override, which decides it alone and says so.

Law of this file: nothing here but the override approves anything, and that only by a vote of its own with a label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import msgspec

from core.model.inquiries import Kind, Label, Verb
from core.model.team import Person
from core.rules import notes
from core.rules.decisions import Case, Decision
from core.rules.policy import rule_for
from core.rules.revising import conclude
from core.rules.text import human_when
from core.rules.votes import own_vote

HOUR_MS: Final = 3_600_000
SNOOZE_HOURS_MAX: Final = 168
EXTENDED_MS_MAX: Final = 7 * 24 * HOUR_MS
"""In all, however often it is extended."""

TALK: Final = frozenset({Verb.COMMENT, Verb.SNOOZE})
"""For everybody whom an inquiry concerns: it decides nothing."""
TENDING: Final = TALK | {Verb.EXTEND, Verb.OVERRIDE}
"""Offered by commands on everything that is open, and by no button."""


def concerned(case: Case, person: Person) -> bool:
    """Whoever asked for it, may decide it, or may decide at all."""
    eligible = any(person.id in stage.eligible for stage in case.inquiry.stages)
    return eligible or person.may_approve or person.id in case.inquiry.initiators


def no_override(case: Case, person: Person) -> str:
    """Why this person cannot override; "" if they can (case_25)."""
    inquiry = case.inquiry
    if inquiry.kind is not Kind.APPROVAL or not rule_for(case.team.policy, inquiry).override:
        return notes.NO_OVERRIDE
    if person.role != "owner" or case.standing.may_approve is False:
        return notes.OWNERS_ONLY
    if person.id in {*inquiry.initiators, *inquiry.editors}:
        return notes.NOT_YOUR_OWN
    return "" if case.entitled else notes.NOT_CHECKED


def override(case: Case) -> Decision:
    """An owner decides alone. Everything else is checked as for any approval."""
    inquiry, reason = case.inquiry, case.press.reason.strip()
    if not reason:
        return case.noted(notes.REASON_NEEDED)
    mine = own_vote(inquiry, case.row.votes, case.who, inquiry.stage)
    if mine is not None and mine.verb is Verb.DENY:
        return case.noted(notes.CONFLICT)
    alone = replace(case, inquiry=msgspec.structs.replace(inquiry, label=Label.OVERRIDE))
    decided = conclude(alone, alone.vote(Verb.OVERRIDE), (case.who,))
    if decided.grant is None:
        return decided
    detail = {"label": Label.OVERRIDE.value, "reason": reason, "instead_of": inquiry.label.value}
    return replace(decided, recorded="inquiry.overridden", detail=detail)


def comment(case: Case) -> Decision:
    """It stays open; the task hears it."""
    text = case.press.reason.strip()
    if not text:
        return case.noted(notes.TEXT_NEEDED)
    new = case.moved(4, case.inquiry.state)
    return Decision(
        inquiry=new, transition=4, note=notes.PASSED_ON, changed=True, remark=text, recorded="inquiry.commented"
    )


def snooze(case: Case) -> Decision:
    """No reminders for a while, for nobody. What is due meanwhile comes once, at its end."""
    hours = _hours(case.press.reason)
    if hours is None:
        return case.noted(notes.SNOOZE_HOW)
    until_ms = case.now_ms + hours * HOUR_MS
    new = case.moved(4, case.inquiry.state, snoozed_until_ms=until_ms)
    return Decision(
        inquiry=new,
        transition=4,
        note=notes.snoozed(human_when(until_ms, case.now_ms, case.team.zone)),
        changed=True,
        recorded="inquiry.snoozed",
        detail={"until_ms": until_ms},
    )


def extend(case: Case) -> Decision:
    """A later deadline. What is overdue is in time again. What is said behind the hours is why, and on record."""
    inquiry, hours = case.inquiry, _hours(case.press.reason)
    if hours is None or inquiry.decide_by_ms is None:
        return case.noted(notes.EXTEND_HOW)
    later_ms = max(inquiry.decide_by_ms, case.now_ms) + hours * HOUR_MS
    extended_ms = inquiry.extended_ms + later_ms - inquiry.decide_by_ms
    if extended_ms > EXTENDED_MS_MAX:
        return case.noted(notes.EXTENDED_ENOUGH)
    why = " ".join(case.press.reason.split()[1:])
    new = case.moved(4, inquiry.state, decide_by_ms=later_ms, extended_ms=extended_ms, overdue=False)
    return Decision(
        inquiry=new,
        transition=4,
        note=notes.extended(human_when(later_ms, case.now_ms, case.team.zone)),
        changed=True,
        recorded="inquiry.extended",
        detail={"decide_by_ms": later_ms, "extended_ms": extended_ms} | ({"reason": why} if why else {}),
    )


def _hours(text: str) -> int | None:
    """Whole hours, as the first word."""
    first = next(iter(text.split()), "").lower().removesuffix("h")
    if not first.isascii() or not first.isdigit() or len(first) > len(str(SNOOZE_HOURS_MAX)):
        return None
    hours = int(first)
    return hours if 0 < hours <= SNOOZE_HOURS_MAX else None
