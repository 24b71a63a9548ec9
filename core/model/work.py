"""Tasks and what they are made of: the contract between agents (Brief, Handoff, Failure), the journal (Entry). A task's
state is a fold over its journal. Stored structs carry their version in the tag.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from core.model.events import Conversation
from core.model.ids import CallId, EffectId, GrantId, InquiryId, SignalId, TaskId
from core.model.inquiries import Grant
from core.model.team import Json

# --- The contract between agents ------------------------------------------------------------------------------------


class Brief(msgspec.Struct, frozen=True, kw_only=True, tag="Brief/1"):
    """Down: what is wanted, how one can tell it is done, and no more context than it needs."""

    objective: str
    kind: str = "request"
    success_criteria: tuple[str, ...] = ()
    context: str = ""
    limits: str = ""
    deadline_ms: int | None = None
    requires_approval: bool = False
    fields: dict[str, str] = {}  # what its kind asks for besides (Team.kinds)


class Handoff(msgspec.Struct, frozen=True, kw_only=True, tag="Handoff/1"):
    """Up: the result. `degraded` says what was skipped or how the form was not kept; empty means whole."""

    summary: str
    changed: tuple[str, ...] = ()
    next_needs: tuple[str, ...] = ()
    risks: tuple[str, ...] = ()
    artifacts: tuple[str, ...] = ()
    degraded: str = ""


class Failure(msgspec.Struct, frozen=True, kw_only=True, tag="Failure/1"):
    """Up: what failed, why, the way to recover. Never a stack trace."""

    what: str
    why: str
    recovery: str


class PushBack(msgspec.Struct, frozen=True, kw_only=True, tag="PushBack/1"):
    """Up: "I need to know ..." instead of a result. The task waits for its asker's answer."""

    question: str


# --- Models ---------------------------------------------------------------------------------------------------------


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What a model call, or a whole task, has used."""

    input_tokens: int = 0
    output_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_microusd: int = 0

    @property
    def tokens(self) -> int:
        """Everything that was read or written."""
        return self.input_tokens + self.output_tokens + self.cache_read_tokens + self.cache_write_tokens

    def plus(self, other: Usage) -> Usage:
        """Both together."""
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cost_microusd=self.cost_microusd + other.cost_microusd,
        )


class ToolUse(msgspec.Struct, frozen=True, kw_only=True):
    """A call in a model's reply. `id` is the vendor's; `arguments` is raw and may be anything, None if unreadable."""

    id: str
    name: str
    arguments: Json = None


class Stop(StrEnum):
    """Why a model stopped."""

    END = "end"
    TOOLS = "tools"
    CUT = "cut"  # max_tokens
    REFUSED = "refused"


class VendorTurn(msgspec.Struct, frozen=True, kw_only=True):
    """A turn as its vendor wrote it, which some want back unchanged once the model has thought: opaque to us, and
    worth something to this model alone.
    """

    model: str
    blocks: tuple[Json, ...]


class Reply(msgspec.Struct, frozen=True, kw_only=True, tag="Reply/1"):
    """What a model said, whichever vendor made it."""

    text: str = ""
    uses: tuple[ToolUse, ...] = ()
    stop: Stop = Stop.END
    usage: Usage = Usage()
    model: str = ""
    recovered: bool = False  # its call was written as text, and read from there
    verbatim: VendorTurn | None = None


# --- The journal ----------------------------------------------------------------------------------------------------


class Picture(msgspec.Struct, frozen=True, kw_only=True):
    """An image. `hash`: its body's SHA-256, which names the blob; the journal holds no body."""

    media: str
    hash: str
    body: bytes = b""


class ToolResult(msgspec.Struct, frozen=True, kw_only=True, tag="ToolResult/1"):
    """What a call came to: text for the model, or a Failure. `blob` is the hash of output over 4 KB, kept apart."""

    text: str = ""
    failure: Failure | None = None
    blob: str | None = None
    untrusted: bool = False
    picture: Picture | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True, tag="Verdict/1"):
    """What people decided about an inquiry, as its task hears it."""

    inquiry: InquiryId
    state: str  # an InquiryState that is final, or approved
    by: tuple[str, ...] = ()  # names
    reason: str = ""
    answer: Json = None
    grant: GrantId | None = None
    action_arguments: dict[str, Json] | None = None  # the arguments as approved
    edited: bool = False  # people changed them
    label: str = ""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """An earlier line of the conversation, given as context. `speaker` is a person's or a role's name."""

    speaker: str
    text: str
    by_agent: bool = False
    at_ms: int = 0
    untrusted: bool = False  # by an agent that had read what came from outside


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the step was told of the outside when it took the entry up: with them, a replay decides the same (P8)."""

    fingerprints: dict[str, str] = {}
    exhausted: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    grants: tuple[Grant, ...] = ()  # bounded ones that still hold in this root task


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    at_ms: int
    facts: Facts | None = None


class Begun(_Entry, frozen=True, kw_only=True, tag="Begun/1"):
    """The task starts: its brief, the definition it is bound to, what was said before."""

    brief: Brief
    definition: str
    asked_by: str  # a person's or a role's name
    said: tuple[Said, ...] = ()
    summary: str = ""  # of what was said before that
    memory: tuple[str, ...] = ()  # what its role remembered then, a line each


class Heard(_Entry, frozen=True, kw_only=True, tag="Heard/1"):
    """A person, or the role that asked, says something meanwhile."""

    text: str
    speaker: str
    by_role: bool = False
    call: CallId | None = None  # by_role: the asker's call that hears the result from now on


class Replied(_Entry, frozen=True, kw_only=True, tag="Replied/1"):
    """The model answered effect `effect`."""

    effect: EffectId
    reply: Reply


class ModelFailed(_Entry, frozen=True, kw_only=True, tag="ModelFailed/1"):
    """The model did not answer, after all retries."""

    effect: EffectId
    failure: Failure


class Returned(_Entry, frozen=True, kw_only=True, tag="Returned/1"):
    """A call of the open turn has its result. `derived`: step itself produced it (invalid arguments, a denial)."""

    call: CallId
    result: ToolResult
    derived: bool = False


class Lost(_Entry, frozen=True, kw_only=True, tag="Lost/1"):
    """The call's action was started and nobody can know what became of it (transition 18)."""

    call: CallId
    effect: EffectId


class ChildEnded(_Entry, frozen=True, kw_only=True, tag="ChildEnded/1"):
    """A delegation came back."""

    call: CallId
    child: TaskId
    role: str
    result: Handoff | Failure | PushBack
    untrusted: bool = False  # it has read what came from outside, and so has who reads its result


class Decided(_Entry, frozen=True, kw_only=True, tag="Decided/1"):
    """People decided an inquiry of this task."""

    call: CallId
    verdict: Verdict


class Reopened(_Entry, frozen=True, kw_only=True, tag="Reopened/1"):
    """People changed what they had approved, before it started: its call waits for the same inquiry again."""

    call: CallId
    inquiry: InquiryId


class TimedOut(_Entry, frozen=True, kw_only=True, tag="TimedOut/1"):
    """The task's wall clock ran out while it was working."""


class Held(_Entry, frozen=True, kw_only=True, tag="Held/1"):
    """People had stopped it, and it could not start what it was about to: the time since does not count as work."""


class Stopped(_Entry, frozen=True, kw_only=True, tag="Stopped/1"):
    """Somebody cancels the task, or the task above it ended."""

    by: str
    reason: str = ""


class Redefined(_Entry, frozen=True, kw_only=True, tag="Redefined/1"):
    """The task goes on under another definition."""

    definition: str
    role_version: str = ""


class Repair(_Entry, frozen=True, kw_only=True, tag="Repair/1"):
    """What the rules tell the model: why its reply was not usable, or what of its results does not fit together. Always
    derived.
    """

    errors: str


class Summarised(_Entry, frozen=True, kw_only=True, tag="Summarised/1"):
    """All but the last messages of the transcript become this text; "" changes nothing. `tight`: of the messages that
    are kept, long results are cut, too.
    """

    effect: EffectId
    text: str
    usage: Usage = Usage()
    tight: bool = False


class Overflowed(_Entry, frozen=True, kw_only=True, tag="Overflowed/1"):
    """The request of this call would not fit, and was not made."""

    effect: EffectId
    failure: Failure


class Settled(_Entry, frozen=True, kw_only=True, tag="Settled/1"):
    """While cancelling: an effect that was under way has ended, one way or another."""

    effect: EffectId


_Heard = Begun | Heard | Replied | ModelFailed | Returned | Lost | ChildEnded | Decided | Reopened
Entry = _Heard | TimedOut | Held | Stopped | Redefined | Repair | Summarised | Overflowed | Settled

# --- The task -------------------------------------------------------------------------------------------------------


class Phase(StrEnum):
    """Where a task is in its life. The last four are final."""

    WORKING = "working"
    CANCELLING = "cancelling"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    REJECTED = "rejected"

    @property
    def final(self) -> bool:
        """Nothing can happen to it any more."""
        return self not in {Phase.WORKING, Phase.CANCELLING}


class CallState(StrEnum):
    """What an open call waits for."""

    RUNNING = "running"  # its effect is queued or started
    PERSON = "person"
    CHILD = "child"
    ENDED = "ended"


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One tool call of the open turn. `generation` counts the times its permission had to be asked for."""

    id: CallId
    use: str  # the vendor's id
    name: str
    arguments: dict[str, Json]
    state: CallState
    generation: int = 1
    effect: EffectId | None = None
    inquiry: InquiryId | None = None
    child: TaskId | None = None


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A shared file that a child of the open turn says it changed."""

    role: str
    file: str


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One handing of work from a role to another on the way to this task, for loop detection."""

    source: str
    target: str
    kind: str
    objective: str


class Task(msgspec.Struct, frozen=True, kw_only=True, tag="Task/1"):
    """A unit of work owned by one role. `version` is the row's, for compare-and-set; `step` numbers the next entry."""

    id: TaskId
    root: TaskId
    parent: TaskId | None = None
    parent_call: CallId | None = None
    role: str
    depth: int = 0
    hops: int = 0
    title: str
    brief: Brief
    conversation: Conversation
    asked_by: str  # a person's id, or a role's
    initiators: tuple[str, ...]  # people's ids that led here
    chain: tuple[str, ...] = ()  # roles that led here, the root's first
    rounds: tuple[Round, ...] = ()
    definition: str
    role_version: str = ""
    phase: Phase = Phase.WORKING
    version: int = 0
    step: int = 0
    turns: int = 0  # model calls made
    thinking: EffectId | None = None  # the model call under way
    calls: tuple[Call, ...] = ()  # the open turn
    heard_n: int = 0  # messages that wait for the open turn to end
    words_n: int = 0  # messages of people since it began: each is worth one model call more
    repairs: int = 0
    amiss_n: int = 0  # turns in a row with a brief or handoff out of form
    amiss_all_n: int = 0  # all of them
    claims: tuple[Claim, ...] = ()  # of the open turn's children
    disputed: tuple[str, ...] = ()  # shared files that two roles of one turn have changed
    recovered_n: int = 0  # calls that were read from text
    found: tuple[str, ...] = ()  # tools on demand that it knows of
    context_tokens: int = 0  # how long its transcript was at the last reply, by the vendor's count
    compacting: bool = False  # the model call under way makes a summary
    tight: bool = False  # a request has overflown since the last reply
    judged: str = ""  # the digest of the handoff its judge accepted
    judged_n: int = 0  # times its judge has sent it back
    untrusted: bool = False
    denied: tuple[str, ...] = ()  # intents (resource and verb) that people denied in this task
    gated: bool = False  # a brief on the way here said requires_approval, or had a word
    usage: Usage = Usage()
    active_ms: int = 0
    active_since_ms: int | None = None
    reviewed: str = ""  # the digest of the handoff that people have approved
    question: str = ""  # a push-back that waits for its asker
    asking: tuple[TaskId, ...] = ()  # children that pushed back and wait for this task's answer
    ending: Phase | None = None  # while cancelling: what it will be when everything under way has settled
    deadline: SignalId | None = None  # the timer of its wall clock
    result: Handoff | Failure | None = None
    created_at_ms: int
    updated_at_ms: int

    @property
    def waiting_on(self) -> tuple[str, ...]:
        """Names of what it waits for; empty while something of it runs or when it is final."""
        if self.phase.final or self.thinking or any(c.state is CallState.RUNNING for c in self.calls):
            return ()
        waits = [c.inquiry or c.child or c.id for c in self.calls if c.state in {CallState.PERSON, CallState.CHILD}]
        if self.question and self.parent:
            waits.append(self.parent)
        return tuple(str(w) for w in waits)
