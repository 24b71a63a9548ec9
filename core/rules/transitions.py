"""The table of INQUIRIES.md, Transitions: every way an inquiry can go, and nothing else can happen to one.

A row's `moves` are the pairs (from, to) of the inquiry's own state; `None` is "not there yet". Rows 16 to 19 are about
its grant, its attempt and its deliveries: there the pair says what becomes of the inquiry meanwhile. `overdue` is a
flag and not a state, so row 14 stays where it is and row 15 is rows 5 to 13 again, or the end.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec

from core.model.errors import TerminalError
from core.model.inquiries import Inquiry, InquiryState

_S = InquiryState
_ACTIVE = (_S.OPEN, _S.COLLECTING, _S.IN_REVIEW)
_WAITING = (_S.CREATED, _S.UNDELIVERABLE, *_ACTIVE)
_FINAL = tuple(state for state in InquiryState if state.final)

Move = tuple[InquiryState | None, InquiryState]


class IllegalTransitionError(TerminalError):
    """The table does not have this move. It is a bug of the caller, never a person's fault: they get a note."""

    def __init__(self, number: int, state: InquiryState | None, to: InquiryState) -> None:
        super().__init__(f"transition {number} does not go from {state.value if state else 'nothing'} to {to.value}")
        self.number = number
        self.state = state


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One row of the table."""

    number: int
    name: str
    moves: frozenset[Move]
    rule: str

    @property
    def sources(self) -> frozenset[InquiryState | None]:
        """The states it can start from."""
        return frozenset(source for source, _ in self.moves)

    @property
    def targets(self) -> frozenset[InquiryState]:
        """The states it can lead to."""
        return frozenset(target for _, target in self.moves)


def _to(target: InquiryState, *sources: InquiryState | None) -> frozenset[Move]:
    return frozenset((source, target) for source in sources)


def _stays(*states: InquiryState) -> frozenset[Move]:
    return frozenset((state, state) for state in states)


def _row(number: int, name: str, moves: frozenset[Move], rule: str) -> Transition:
    return Transition(number=number, name=name, moves=moves, rule=rule)


_VOTE = frozenset({(_S.OPEN, _S.COLLECTING), (_S.COLLECTING, _S.OPEN)}) | _stays(*_ACTIVE)
_REOPENED_STAGE = _to(_S.OPEN, _S.IN_REVIEW) | _to(_S.COLLECTING, _S.IN_REVIEW)

TRANSITIONS: tuple[Transition, ...] = (
    _row(1, "create", _to(_S.CREATED, None), "inquiry, task checkpoint and timers commit together"),
    _row(
        2,
        "open",
        _to(_S.OPEN, _S.CREATED, _S.UNDELIVERABLE),
        "a delivery is posted, or its outcome is unknown, or a valid click arrives",
    ),
    _row(3, "lose", _to(_S.UNDELIVERABLE, _S.CREATED), "retry, the fallback conversation, the operator; never silence"),
    _row(4, "remind", _stays(*_ACTIVE), "reminder, comment, snooze, extension, another audience"),
    _row(
        5,
        "collect",
        _VOTE | _REOPENED_STAGE,
        "a vote below the quorum; taken back by its voter or by the voter's removal, which may reopen an earlier stage",
    ),
    _row(
        6,
        "review",
        _to(_S.IN_REVIEW, *_ACTIVE),
        "a stage is met and another is due; its reviewers are other people",
    ),
    _row(
        7,
        "approve",
        _to(_S.APPROVED, *_ACTIVE) | _to(_S.OPEN, *_ACTIVE),
        "all stages met and everything checked again; a stricter gate today means revision + 1 instead",
    ),
    _row(8, "deny", _to(_S.DENIED, *_ACTIVE), "the deny threshold is reached; the intent is blocked in this root task"),
    _row(9, "answer", _to(_S.ANSWERED, *_ACTIVE), "the answer passes the schema; an invalid one stays"),
    _row(10, "dismiss", _to(_S.DISMISSED, *_ACTIVE), "ignored, which is not a denial"),
    _row(
        11,
        "edit",
        _to(_S.OPEN, *_ACTIVE, _S.APPROVED),
        "revision + 1: votes void, live grant revoked, old buttons stale; the editor is not thereby an approver",
    ),
    _row(12, "supersede", _to(_S.SUPERSEDED, *_ACTIVE), "the agent replaces its request"),
    _row(
        13,
        "cancel",
        _to(_S.CANCELLED, *_WAITING, _S.APPROVED),
        "before the grant is consumed: a person, the task's end, the kill switch, the agent, or an action that changed",
    ),
    _row(
        14,
        "overdue",
        _stays(*_WAITING),
        "the deadline passed, seen by somebody or not: flagged, in the inbox, answerable; never approved",
    ),
    _row(15, "expire", _to(_S.EXPIRED, *_ACTIVE), "overdue, and a late answer no longer counts: its task is over"),
    _row(
        16,
        "consume",
        _stays(_S.APPROVED) | _to(_S.EXPIRED, _S.APPROVED),
        "the live grant is consumed by creating the attempt; after execute_by it and the inquiry expire",
    ),
    _row(17, "revoke", _to(_S.CANCELLED, _S.APPROVED), "an approver takes the live grant back"),
    _row(18, "reconcile", _stays(_S.APPROVED), "neither an exit nor a live process: another inquiry asks a person"),
    _row(19, "finalise", _stays(*_FINAL), "every posted message shows who decided what and when; buttons go"),
)


def move(inquiry: Inquiry, number: int, to: InquiryState, **changes: Any) -> Inquiry:
    """The inquiry in its new state, with other fields changed. Raises IllegalTransitionError."""
    if (inquiry.state, to) not in TRANSITIONS[number - 1].moves:
        raise IllegalTransitionError(number, inquiry.state, to)
    return msgspec.structs.replace(inquiry, state=to, **changes)
