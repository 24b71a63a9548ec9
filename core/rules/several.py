"""Several decisions with one word: all of them, or none (INQUIRIES.md, case_34 and case_35).

Each is judged by itself, as if it were the only one, at the revision that was seen. One that may not be made stops all.
Where only one's own second press is missing, this word is the first press of those, and nothing is approved by it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from core.model.inquiries import Inquiry
from core.model.unit import InquiryRow
from core.rules import notes
from core.rules.decisions import Decision, Standing

COUNTS = frozenset({notes.COUNTED, notes.REVIEW_NEXT, notes.APPROVED, notes.OTHERS_UNSURE})
"""What a vote that was taken is answered with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What one decision came to by itself."""

    row: InquiryRow
    decision: Decision
    standings: tuple[Standing, ...] = ()

    @property
    def inquiry(self) -> Inquiry:
        """As it was."""
        return self.row.inquiry


@dataclass(frozen=True, slots=True, kw_only=True)
class Together:
    """What to write: nothing, if one was refused. `refused` says which and why, by inquiry."""

    write: tuple[Judged, ...] = ()
    refused: tuple[tuple[Inquiry, str], ...] = ()


def unseen(inquiry: Inquiry, revision: int) -> str:
    """Why it may not be decided with others by who saw this revision of it; "" if it may."""
    if revision == 0:
        return notes.UNSEEN
    return "" if revision == inquiry.revision else notes.STALE


def together(judged: Sequence[Judged]) -> Together:
    """All or nothing."""
    refused = tuple((one.inquiry, _why_not(one.decision)) for one in judged if _why_not(one.decision))
    if refused:
        return Together(refused=refused)
    first_presses = tuple(one for one in judged if one.decision.note == notes.CONFIRM)
    return Together(write=first_presses or tuple(judged))


def _why_not(decision: Decision) -> str:
    if decision.changed and decision.note in COUNTS | {notes.CONFIRM}:
        return ""
    return notes.NOT_CHECKED if decision.note == notes.KEPT else decision.note
