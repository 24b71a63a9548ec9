"""Inquiries: how an agent asks a person (INQUIRIES.md). Rows, never coroutines."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from core.model.events import Conversation
from core.model.ids import CallId, GrantId, InquiryId, TaskId
from core.model.team import EffectClass, Json, Tier


class Kind(StrEnum):
    """What is asked."""

    APPROVAL = "approval"
    CHOICE = "choice"
    QUESTION = "question"
    FORM = "form"
    REVIEW = "review"
    RECONCILE = "reconcile"
    POLICY = "policy"  # whether a change of team.yaml is made


class InquiryState(StrEnum):
    """INQUIRIES.md, Transitions. `overdue` is a flag, not a state."""

    CREATED = "created"
    OPEN = "open"
    COLLECTING = "collecting"
    IN_REVIEW = "in_review"
    UNDELIVERABLE = "undeliverable"
    APPROVED = "approved"
    DENIED = "denied"
    ANSWERED = "answered"
    DISMISSED = "dismissed"
    SUPERSEDED = "superseded"
    CANCELLED = "cancelled"
    EXPIRED = "expired"

    @property
    def active(self) -> bool:
        """People can decide it."""
        return self in {InquiryState.OPEN, InquiryState.COLLECTING, InquiryState.IN_REVIEW}

    @property
    def final(self) -> bool:
        """Nothing more is asked. (An approved one may still be edited or revoked while its grant is live.)"""
        return not self.active and self not in {InquiryState.CREATED, InquiryState.UNDELIVERABLE}


class Verb(StrEnum):
    """What a person can do to an inquiry."""

    APPROVE = "approve"
    DENY = "deny"
    EDIT = "edit"
    ASK_BACK = "ask_back"  # a comment that goes to the agent
    VIEW = "view"
    ANSWER = "answer"
    DISMISS = "dismiss"
    WITHDRAW = "withdraw"  # take back one's own vote, or a live grant
    HAPPENED = "happened"  # reconcile: it happened
    RERUN = "rerun"  # reconcile: run it
    GIVE_UP = "give_up"  # reconcile: give up
    COMMENT = "comment"  # told to the agent; it stays open
    SNOOZE = "snooze"  # no reminders for a while
    EXTEND = "extend"  # decide by a later time
    OVERRIDE = "override"  # an owner decides alone


class Label(StrEnum):
    """How much of the rule could be kept."""

    FULL = "full"
    REDUCED = "reduced quorum"
    SINGLE = "single operator"
    OVERRIDE = "owner override"


class Action(msgspec.Struct, frozen=True, kw_only=True, tag="Action/1"):
    """What would be done, to the byte. `fingerprint` is of the executable or tool version, "" where there is none."""

    tool: str
    arguments: dict[str, Json]  # defaults filled in
    resource: str
    verb: str
    effect: EffectClass
    server: str = ""
    fingerprint: str = ""
    says: str = ""  # advisory: the tool's own line; not part of the digest
    secrets: tuple[str, ...] = ()  # argument names that views redact; the digest binds their values


class Quorum(msgspec.Struct, frozen=True, kw_only=True):
    """One set of a stage: so many of these."""

    eligible: tuple[str, ...]
    approve_n: int


class Stage(msgspec.Struct, frozen=True, kw_only=True):
    """One round of deciding. `eligible` is frozen at creation and already without those who may not. With `sets`, each
    of them is filled by people who count for no other; `eligible` and `approve_n` are then those of all together.
    """

    eligible: tuple[str, ...]
    approve_n: int
    deny_n: int = 1
    disjoint: bool = True  # its voters are nobody who approved an earlier stage
    sets: tuple[Quorum, ...] = ()


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """How it ended."""

    by: tuple[str, ...]  # people's ids, or a rule's name
    at_ms: int
    reason: str = ""
    answer: Json = None
    stands_for: dict[str, tuple[str, ...]] = {}  # of those who decided: the absent whose delegate each was


class Bounds(msgspec.Struct, frozen=True, kw_only=True):
    """How often, for how long, and with which other values of which arguments (paths) what is shown may be done."""

    count_max: int
    within_ms: int
    free: dict[str, tuple[Json, ...]] = {}


class Inquiry(msgspec.Struct, frozen=True, kw_only=True, tag="Inquiry/1"):
    """One thing asked of people. `version` is the row's; `revision` counts what was asked, for buttons and votes."""

    id: InquiryId
    kind: Kind
    revision: int = 1
    version: int = 0
    state: InquiryState = InquiryState.CREATED
    overdue: bool = False
    task: TaskId
    root: TaskId
    call: CallId
    generation: int = 1
    role: str
    chain: tuple[str, ...] = ()
    initiators: tuple[str, ...] = ()
    label: Label = Label.FULL
    conversation: Conversation  # where it is asked: the root's
    places: tuple[Conversation, ...] = ()  # where else it is shown: by the policy, when overdue, when lost
    left: tuple[Conversation, ...] = ()  # those of `places` where it is decided no longer: an escalation replaced them
    question: str = ""  # a question's text, or the title of a choice
    why: str = ""  # the agent's own words, never part of the digest
    action: Action | None = None
    digest: str = ""
    intent: str = ""  # root task, resource and verb: survives rewording
    options: tuple[str, ...] = ()
    schema: dict[str, Json] | None = None  # of an answer, or of the tool's arguments
    verbs: tuple[Verb, ...] = ()
    editable: tuple[str, ...] = ()
    tier: Tier = Tier.INTERNAL
    gates: tuple[str, ...] = ()  # why it is asked, in words
    stages: tuple[Stage, ...] = ()
    stage: int = 0
    reason_required: bool = False  # of a denial
    approve_reason: bool = False
    verified: bool = False
    policy: str = ""
    asked_at_ms: int = 0  # this revision; reminders and escalations count from it
    decide_by_ms: int | None = None
    extended_ms: int = 0  # how much later `decide_by_ms` is than the policy says
    snoozed_until_ms: int = 0
    reminded_n: int = 0  # of the policy's reminders, how many are over
    escalated_n: int = 0  # of the policy's steps and their repeats, how many are taken
    execute_ms: int = 86_400_000
    at_deadline: str = "queue"
    edited: bool = False  # people changed what would be done
    editors: tuple[str, ...] = ()  # who did: they propose, and are not thereby approvers
    pressed_once: bool = False  # single operator: the first press was made on this revision
    supersedes: InquiryId | None = None
    bounds: Bounds | None = None  # approved for several times
    resolution: Resolution | None = None
    created_at_ms: int
    updated_at_ms: int


class Evidence(StrEnum):
    """Who vouches for a voter."""

    VERIFIED = "verified"
    ASSERTED = "asserted"


class Vote(msgspec.Struct, frozen=True, kw_only=True, tag="Vote/1"):
    """A person's answer. One active per inquiry, revision, stage and principal; `callback` is unique."""

    inquiry: InquiryId
    revision: int
    stage: int
    principal: str
    account: str
    evidence: Evidence
    verb: Verb
    callback: str
    at_ms: int
    reason: str = ""
    answer: Json = None
    active: bool = True
    checked: bool = True  # the voter's standing was known; until then an approval is kept, and does not count
    conversation: Conversation | None = None  # where it was cast: their standing there is looked at again
    bounds: Bounds | None = None  # of an approval: more than once, if all who approve say the same
    stands_for: tuple[str, ...] = ()  # the absent whose delegate the voter is; they count as themselves


class GrantState(StrEnum):
    """INQUIRIES.md: live -> consumed, expired, revoked."""

    LIVE = "live"
    CONSUMED = "consumed"
    EXPIRED = "expired"
    REVOKED = "revoked"


class Grant(msgspec.Struct, frozen=True, kw_only=True, tag="Grant/1"):
    """The permission an approved inquiry mints: for one action, to the byte, once. With `bounds`, for `action` as often
    as they say, by the same role in the same root task; then `used_n` counts.
    """

    id: GrantId
    inquiry: InquiryId
    task: TaskId
    digest: str
    execute_by_ms: int
    state: GrantState = GrantState.LIVE
    by: tuple[str, ...] = ()
    bounds: Bounds | None = None
    action: Action | None = None
    role: str = ""
    used_n: int = 0


class AttemptState(StrEnum):
    """INQUIRIES.md: reserved -> started -> succeeded, failed, unknown."""

    RESERVED = "reserved"
    STARTED = "started"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Attempt(msgspec.Struct, frozen=True, kw_only=True, tag="Attempt/1"):
    """One try at a granted action; `id` is the effect's id: the idempotency key."""

    id: str
    grant: GrantId
    state: AttemptState


class DeliveryState(StrEnum):
    """What became of showing an inquiry in one place."""

    PLANNED = "planned"
    SENDING = "sending"
    POSTED = "posted"
    FINALISED = "finalised"
    FAILED = "failed"
    UNKNOWN = "unknown"
    GONE = "gone"


class Delivery(msgspec.Struct, frozen=True, kw_only=True, tag="Delivery/1"):
    """One showing of one revision in one conversation. Controls are `{nonce}.{verb letter}`; only the hash is kept."""

    id: str
    inquiry: InquiryId
    revision: int
    conversation: Conversation
    nonce_hash: str
    state: DeliveryState = DeliveryState.PLANNED
    receipt: str = ""
