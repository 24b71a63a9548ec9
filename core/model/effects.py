"""Effects: the intents a step produces. Plans turn them into rows; workers perform the two that leave the process."""

from __future__ import annotations

import msgspec

from core.model.ids import CallId, EffectId, GrantId, InquiryId, TaskId
from core.model.inquiries import Inquiry
from core.model.team import EffectClass, Json
from core.model.work import Brief, Failure, Handoff, Phase, Round


class CallModel(msgspec.Struct, frozen=True, kw_only=True, tag="CallModel/1"):
    """Ask the role's model for its next turn; with `compact`, for a summary of the turns so far. Performed by a
    worker.
    """

    id: EffectId
    compact: bool = False
    tight: bool = False


class RunTool(msgspec.Struct, frozen=True, kw_only=True, tag="RunTool/1"):
    """Run a tool. With `grant`, only by consuming exactly that grant with this digest. Performed by a worker."""

    id: EffectId
    call: CallId
    tool: str
    arguments: dict[str, Json]
    effect: EffectClass
    seconds_max: int
    digest: str
    grant: GrantId | None = None


class Delegate(msgspec.Struct, frozen=True, kw_only=True, tag="Delegate/1"):
    """Make a child task."""

    call: CallId
    child: TaskId
    role: str
    brief: Brief
    hops: int
    rounds: tuple[Round, ...]
    gated: bool


class AnswerChild(msgspec.Struct, frozen=True, kw_only=True, tag="AnswerChild/1"):
    """Answer a child that pushed back."""

    call: CallId
    child: TaskId
    text: str


class AskHuman(msgspec.Struct, frozen=True, kw_only=True, tag="AskHuman/1"):
    """Open an inquiry; it commits with the step."""

    call: CallId
    inquiry: Inquiry


class CancelChild(msgspec.Struct, frozen=True, kw_only=True, tag="CancelChild/1"):
    """Tell a child task to stop."""

    child: TaskId
    reason: str


class CancelInquiry(msgspec.Struct, frozen=True, kw_only=True, tag="CancelInquiry/1"):
    """Withdraw an inquiry of this task, and revoke its grant if that is still live."""

    inquiry: InquiryId
    reason: str


class AbortEffect(msgspec.Struct, frozen=True, kw_only=True, tag="AbortEffect/1"):
    """Drop a queued effect, or interrupt a started one."""

    effect: EffectId


class SetDeadline(msgspec.Struct, frozen=True, kw_only=True, tag="SetDeadline/1"):
    """Wake the task with TimedOut at this time; None drops the timer."""

    due_at_ms: int | None


class Tell(msgspec.Struct, frozen=True, kw_only=True, tag="Tell/1"):
    """Say a line in the task's conversation, as its role. `n` makes its id; `whole`: it is an answer, in full."""

    text: str
    n: int
    whole: bool = False


class GiveOver(msgspec.Struct, frozen=True, kw_only=True, tag="GiveOver/1"):
    """A person takes the conversation over: what was to be handed to `role` fired one of its triggers."""

    role: str
    why: str
    brief: Brief


class Finish(msgspec.Struct, frozen=True, kw_only=True, tag="Finish/1"):
    """The task has ended: `result` goes to the parent's call, or to the conversation."""

    phase: Phase
    result: Handoff | Failure


class ReturnQuestion(msgspec.Struct, frozen=True, kw_only=True, tag="ReturnQuestion/1"):
    """Push back: the parent's call gets the question; this task waits."""

    question: str


Effect = (
    CallModel
    | RunTool
    | Delegate
    | AnswerChild
    | AskHuman
    | CancelChild
    | CancelInquiry
    | AbortEffect
    | SetDeadline
    | Tell
    | GiveOver
    | Finish
    | ReturnQuestion
)

Performed = CallModel | RunTool  # the effects that leave the process: a worker leases them
