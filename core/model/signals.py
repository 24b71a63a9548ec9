"""What a task or an inquiry must hear, now or later. A timer is a signal due later."""

from __future__ import annotations

import msgspec

from core.model.ids import CallId, GrantId, InquiryId, SignalId, TaskId
from core.model.work import Failure, Handoff, PushBack, Verdict


class ChildReport(msgspec.Struct, frozen=True, kw_only=True, tag="ChildReport/1"):
    """To the parent: a delegation came back."""

    call: CallId
    child: TaskId
    role: str
    result: Handoff | Failure | PushBack
    untrusted: bool = False


class VerdictReport(msgspec.Struct, frozen=True, kw_only=True, tag="VerdictReport/1"):
    """To the task: an inquiry of its was decided."""

    call: CallId
    verdict: Verdict


class WordFromAsker(msgspec.Struct, frozen=True, kw_only=True, tag="WordFromAsker/1"):
    """To a child that pushed back: the answer. The child reports back to `call` from now on."""

    call: CallId
    text: str
    speaker: str


class StopOrder(msgspec.Struct, frozen=True, kw_only=True, tag="StopOrder/1"):
    """To the task: cancel."""

    by: str
    reason: str = ""


class Deadline(msgspec.Struct, frozen=True, kw_only=True, tag="Deadline/1"):
    """To the task: its wall clock ran out."""


class HoldEnded(msgspec.Struct, frozen=True, kw_only=True, tag="HoldEnded/1"):
    """To the task: people let it go on."""


class DecideBy(msgspec.Struct, frozen=True, kw_only=True, tag="DecideBy/1"):
    """To the inquiry: its deadline (transition 14)."""

    inquiry: InquiryId
    revision: int


class Recheck(msgspec.Struct, frozen=True, kw_only=True, tag="Recheck/1"):
    """To the inquiry: somebody's standing could not be looked up; it is time to look again."""

    inquiry: InquiryId
    revision: int


class Remind(msgspec.Struct, frozen=True, kw_only=True, tag="Remind/1"):
    """To the inquiry: it is time to say that it still waits (transition 4)."""

    inquiry: InquiryId
    revision: int


class Escalate(msgspec.Struct, frozen=True, kw_only=True, tag="Escalate/1"):
    """To the inquiry: it is time to ask other people (transition 4)."""

    inquiry: InquiryId
    revision: int


class Comment(msgspec.Struct, frozen=True, kw_only=True, tag="Comment/1"):
    """To the task: what somebody says about an inquiry of its, which stays open."""

    inquiry: InquiryId
    text: str
    speaker: str


class TakenOver(msgspec.Struct, frozen=True, kw_only=True, tag="TakenOver/1"):
    """To the people of the inbox: the task's conversation is theirs now; `asked` is what was to be handed on."""

    why: str
    asked: str


class Amend(msgspec.Struct, frozen=True, kw_only=True, tag="Amend/1"):
    """To what governs agents: an owner has approved this change of it."""

    inquiry: InquiryId


class ReminderDue(msgspec.Struct, frozen=True, kw_only=True, tag="ReminderDue/1"):
    """To a conversation and a role: what the role wanted to be told now. `name` is of the fact that holds it."""

    name: str


class ExecuteBy(msgspec.Struct, frozen=True, kw_only=True, tag="ExecuteBy/1"):
    """To the grant: it has run out unused."""

    grant: GrantId


class Withdraw(msgspec.Struct, frozen=True, kw_only=True, tag="Withdraw/1"):
    """To the inquiry: its task no longer needs it (transition 13)."""

    inquiry: InquiryId
    reason: str


Errand = (
    ChildReport
    | VerdictReport
    | WordFromAsker
    | StopOrder
    | Deadline
    | HoldEnded
    | DecideBy
    | Recheck
    | Remind
    | Escalate
    | Comment
    | TakenOver
    | Amend
    | ExecuteBy
    | ReminderDue
    | Withdraw
)


class Signal(msgspec.Struct, frozen=True, kw_only=True):
    """An errand addressed to a task at a time. A timer is a signal due later. The same id is the same signal."""

    id: SignalId
    task: TaskId
    due_at_ms: int
    errand: Errand
