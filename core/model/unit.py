"""A unit of work is data: guards that must hold and changes that then happen, all of them or none.

Pure code builds units; a store commits them. Every change and every guard has one named statement per database, and a
case in the conformance suite, which fails when one is missing.
"""

from __future__ import annotations

from enum import StrEnum

import msgspec

from core.model.effects import Performed
from core.model.events import Event
from core.model.ids import EffectId, GrantId, PostId, SignalId, TaskId
from core.model.inquiries import Attempt, AttemptState, Delivery, DeliveryState, Grant, GrantState, Inquiry, Vote
from core.model.memory import ForgetMemories, PutMemory, SupersedeMemory
from core.model.signals import Signal
from core.model.team import AccountLink, Json
from core.model.views import Post
from core.model.work import Entry, Task

# --- Rows as a store gives them back --------------------------------------------------------------------------------


class EffectState(StrEnum):
    """Life of an effect's row."""

    QUEUED = "queued"
    STARTED = "started"
    ENDED = "ended"


class PostState(StrEnum):
    """Life of an outgoing message. `uncertain`: nobody can know whether it arrived; `dead`: it never will."""

    QUEUED = "queued"
    SENDING = "sending"
    SENT = "sent"
    SUPERSEDED = "superseded"
    UNCERTAIN = "uncertain"
    DEAD = "dead"


class Audit(msgspec.Struct, frozen=True, kw_only=True, tag="Audit/1"):
    """One thing that happened, for the hash chain. `detail` is canonical JSON of what matters; never a secret."""

    id: str  # derived; the same id is the same row
    at_ms: int
    what: str  # inquiry.opened, vote.cast, grant.minted, attempt.started, task.finished, budget.stopped, ...
    subject: str
    principal: str = ""
    account: str = ""
    detail: dict[str, Json] = {}


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """An audit row with its place in the chain: hash = SHA-256(previous hash, canonical row)."""

    seq: int
    hash: str
    previous: str
    row: Audit


# --- Guards ---------------------------------------------------------------------------------------------------------


class Table(StrEnum):
    """What a guard can look at."""

    EVENT = "event"
    SIGNAL = "signal"
    TASK = "task"
    EFFECT = "effect"
    INQUIRY = "inquiry"
    GRANT = "grant"
    ATTEMPT = "attempt"
    POST = "post"
    MEMORY = "memory"


class Version(msgspec.Struct, frozen=True, kw_only=True, tag="Version"):
    """The task or inquiry is still at this version. 0: it does not exist yet."""

    table: Table  # TASK or INQUIRY
    id: str
    version: int


class Fence(msgspec.Struct, frozen=True, kw_only=True, tag="Fence"):
    """The effect or post is started (sending) under this fence, so the holder is the one who claimed it last."""

    table: Table  # EFFECT or POST
    id: str
    fence: int


class State(msgspec.Struct, frozen=True, kw_only=True, tag="State"):
    """The row's state is one of these. Events and signals are `new` or `done`, entries of the memory `live` or
    `superseded`; a missing row has state "" .
    """

    table: Table
    id: str
    states: tuple[str, ...]


class Room(msgspec.Struct, frozen=True, kw_only=True, tag="Room"):
    """used + reserved + wanted stays within the limit, for tokens and for money. A scope nobody has used is empty."""

    scope: str
    tokens: int
    microusd: int
    tokens_max: int
    microusd_max: int


class InsertOnce(msgspec.Struct, frozen=True, kw_only=True, tag="InsertOnce"):
    """Remember a key with the digest of its body. Known with another digest: refused. Known with the same: the whole
    unit is skipped, and Applied says so.
    """

    key: str
    digest: str


Guard = Version | Fence | State | Room | InsertOnce

# --- Changes --------------------------------------------------------------------------------------------------------


class AddEvent(msgspec.Struct, frozen=True, kw_only=True, tag="AddEvent"):
    """Accept an event, as new. The store numbers events."""

    event: Event


class CloseEvent(msgspec.Struct, frozen=True, kw_only=True, tag="CloseEvent"):
    """The event is dealt with."""

    key: str
    task: TaskId | None = None  # the task it started or spoke to


class PutTask(msgspec.Struct, frozen=True, kw_only=True, tag="PutTask"):
    """Insert or replace the task's row; `task.version` is the new one. Use with a Version guard."""

    task: Task


class AddEntry(msgspec.Struct, frozen=True, kw_only=True, tag="AddEntry"):
    """Append to the journal. (task, n) is unique."""

    task: TaskId
    n: int
    entry: Entry


class AddEffect(msgspec.Struct, frozen=True, kw_only=True, tag="AddEffect"):
    """Queue an effect, or insert it as started by `holder` under fence 1 with a lease of `lease_ms` from now."""

    task: TaskId
    role: str
    effect: Performed
    not_before_ms: int = 0
    holder: str = ""  # "" queues it
    lease_ms: int = 0


class EndEffect(msgspec.Struct, frozen=True, kw_only=True, tag="EndEffect"):
    """The effect has its outcome (in the journal), or was dropped. Use with Fence or State."""

    id: EffectId


class RequeueEffect(msgspec.Struct, frozen=True, kw_only=True, tag="RequeueEffect"):
    """Back to the queue: a retry after a wait, or a holder that leaves. `unstarted`: nothing of it has happened, so
    this start does not count. Use with Fence.
    """

    id: EffectId
    not_before_ms: int
    unstarted: bool = False


class PutInquiry(msgspec.Struct, frozen=True, kw_only=True, tag="PutInquiry"):
    """Insert or replace; `inquiry.version` is the new one. Use with a Version guard."""

    inquiry: Inquiry


class PutVote(msgspec.Struct, frozen=True, kw_only=True, tag="PutVote"):
    """Cast, or replace, the active vote of (inquiry, revision, stage, principal). A known callback changes nothing."""

    vote: Vote


class PutGrant(msgspec.Struct, frozen=True, kw_only=True, tag="PutGrant"):
    """Mint a grant. The same id again changes nothing."""

    grant: Grant


class MoveGrant(msgspec.Struct, frozen=True, kw_only=True, tag="MoveGrant"):
    """Consume, expire or revoke. Use with State(GRANT, live)."""

    id: GrantId
    state: GrantState


class UseGrant(msgspec.Struct, frozen=True, kw_only=True, tag="UseGrant"):
    """A grant with bounds is used for the `used_n`-th time; the last one consumes it. Refused unless it lives, and this
    is its next use.
    """

    id: GrantId
    used_n: int


class PutAttempt(msgspec.Struct, frozen=True, kw_only=True, tag="PutAttempt"):
    """One try at a granted action. (id) is unique: a second reservation of the same try is refused."""

    attempt: Attempt


class MoveAttempt(msgspec.Struct, frozen=True, kw_only=True, tag="MoveAttempt"):
    """The attempt goes on."""

    id: str
    state: AttemptState


class PutDelivery(msgspec.Struct, frozen=True, kw_only=True, tag="PutDelivery"):
    """Plan a showing; insert or replace."""

    delivery: Delivery


class MoveDelivery(msgspec.Struct, frozen=True, kw_only=True, tag="MoveDelivery"):
    """The showing was sent, finalised, failed ..."""

    id: str
    state: DeliveryState
    receipt: str = ""


class AddPost(msgspec.Struct, frozen=True, kw_only=True, tag="AddPost"):
    """Put a message in the outbox; queued posts of its slot are superseded. The same id again changes nothing."""

    post: Post


class MovePost(msgspec.Struct, frozen=True, kw_only=True, tag="MovePost"):
    """A claimed post was sent, must wait until `not_before_ms` (state queued), is uncertain or dead. Use with Fence.
    `part`: the next of its messages to send; `doubt`: the last try may have arrived, so look before the next.
    """

    id: PostId
    state: PostState
    receipt: str = ""
    not_before_ms: int = 0
    error: str = ""
    part: int = 0
    doubt: bool = False


class AddSignal(msgspec.Struct, frozen=True, kw_only=True, tag="AddSignal"):
    """Send a signal, or set a timer. The same id again replaces its due time while it is new."""

    signal: Signal


class CloseSignal(msgspec.Struct, frozen=True, kw_only=True, tag="CloseSignal"):
    """The signal is dealt with, or the timer dropped."""

    id: SignalId


class Reserve(msgspec.Struct, frozen=True, kw_only=True, tag="Reserve"):
    """Hold tokens and money of a scope for a call. Use with Room. (id) is unique."""

    scope: str
    id: str  # the effect's id
    tokens: int
    microusd: int


class Settle(msgspec.Struct, frozen=True, kw_only=True, tag="Settle"):
    """Release what `id` holds, in whatever scopes, and book what was used instead. Unknown or settled: no change."""

    id: str
    tokens: int
    microusd: int


class AddAudit(msgspec.Struct, frozen=True, kw_only=True, tag="AddAudit"):
    """An audit row, not yet linked. The same id again changes nothing."""

    row: Audit


class Seal(msgspec.Struct, frozen=True, kw_only=True, tag="Seal"):
    """Link an audit row at the end of the chain; refused (State) unless `seq` is the next one."""

    id: str
    seq: int
    previous: str
    hash: str


class PutBlob(msgspec.Struct, frozen=True, kw_only=True, tag="PutBlob"):
    """Keep bytes under their hash: large outputs, definitions."""

    hash: str
    body: bytes


class Pause(msgspec.Struct, frozen=True, kw_only=True, tag="Pause"):
    """Stop or resume a scope: `task:ID` (the whole tree below it), `role:ID`, or `all`. Paused effects stay queued."""

    scope: str
    paused: bool
    by: str = ""


class LinkAccount(msgspec.Struct, frozen=True, kw_only=True, tag="LinkAccount"):
    """An account is somebody's from now on; it replaces an earlier link of the account."""

    link: AccountLink


class UnlinkAccount(msgspec.Struct, frozen=True, kw_only=True, tag="UnlinkAccount"):
    """An account is nobody's."""

    account: str


class SetMeta(msgspec.Struct, frozen=True, kw_only=True, tag="SetMeta"):
    """A fact about the workspace: last definition, last digest, cursors."""

    name: str
    value: str


_Works = AddEvent | CloseEvent | PutTask | AddEntry | AddEffect | EndEffect | RequeueEffect | PutInquiry | PutVote
_Asks = PutGrant | MoveGrant | UseGrant | PutAttempt | MoveAttempt | PutDelivery | MoveDelivery | AddPost | MovePost
_Tells = AddSignal | CloseSignal | Reserve | Settle | AddAudit | Seal | PutBlob | Pause | LinkAccount | UnlinkAccount
_Keeps = SetMeta | PutMemory | SupersedeMemory | ForgetMemories
Change = _Works | _Asks | _Tells | _Keeps


class Unit(msgspec.Struct, frozen=True, kw_only=True):
    """Guards, then changes: one transaction."""

    guards: tuple[Guard, ...] = ()
    changes: tuple[Change, ...] = ()


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The unit is committed, durably. `known`: an InsertOnce had seen its key and digest before; nothing changed."""

    known: bool = False


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Nothing was written: this guard (or a uniqueness a change relies on) failed. Read again, decide again."""

    guard: Guard | None
    why: str = ""


Answer = Applied | Refused

# --- Claims ---------------------------------------------------------------------------------------------------------


class ClaimEffects(msgspec.Struct, frozen=True, kw_only=True):
    """Lease queued effects whose time has come, oldest first, and started ones whose lease ran out or whose holder's
    engine is gone. Never more started effects per role than `caps[role]` (absent: 1), nor more of a role in this claim
    than `batches[role]` (absent: any); nothing paused.
    """

    n: int
    holder: str
    lease_ms: int
    caps: dict[str, int]
    batches: dict[str, int] = {}


class ClaimPosts(msgspec.Struct, frozen=True, kw_only=True):
    """Lease the head of each conversation on these platforms: lowest rank, then oldest; only where nothing is being
    sent and nothing waits for its time. A lapsed sending one comes back with `again` true.
    """

    n: int
    holder: str
    lease_ms: int
    platforms: tuple[str, ...]


class LeasedEffect(msgspec.Struct, frozen=True, kw_only=True):
    """An effect to perform. `again`: an earlier holder had started it and its outcome is not recorded."""

    effect: Performed
    task: Task
    fence: int
    again: bool
    attempt_n: int  # how often it has been started, this time included
    holder: str = ""


class LeasedPost(msgspec.Struct, frozen=True, kw_only=True):
    """A post to send. `edits` is the receipt of the message its slot already has on screen, "" if none. `again`: an
    earlier try may have arrived. `part`: which of its messages is due; `receipt`: the first one's, once it is sent.
    """

    post: Post
    fence: int
    again: bool
    attempt_n: int
    edits: str = ""
    part: int = 0
    receipt: str = ""


class StoredEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An accepted event and its number."""

    seq: int
    event: Event


# --- Queries --------------------------------------------------------------------------------------------------------


class EffectRow(msgspec.Struct, frozen=True, kw_only=True):
    """An effect as people and recovery see it."""

    effect: Performed
    task: TaskId
    role: str
    state: EffectState
    fence: int
    not_before_ms: int
    attempt_n: int


class TaskRow(msgspec.Struct, frozen=True, kw_only=True):
    """A task and what its effects are doing: `state` is ready, leased, waiting, paused, cancelling or finished."""

    task: Task
    state: str


class PostRow(msgspec.Struct, frozen=True, kw_only=True):
    """A post and what became of it."""

    post: Post
    state: PostState
    receipt: str
    error: str


class InquiryRow(msgspec.Struct, frozen=True, kw_only=True):
    """An inquiry with everything a decision needs."""

    inquiry: Inquiry
    votes: tuple[Vote, ...]  # active ones of this revision
    deliveries: tuple[Delivery, ...]
    grant: Grant | None  # the newest


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """A budget scope: used, and held for calls under way."""

    tokens: int = 0
    microusd: int = 0
    reserved_tokens: int = 0
    reserved_microusd: int = 0


class Counts(msgspec.Struct, frozen=True, kw_only=True):
    """What is left to do, for `run` without a terminal and for doctor."""

    events_new: int
    signals_due: int
    effects_open: int  # queued or started, paused ones left out
    posts_open: int
    tasks_open: int
    inquiries_active: int
