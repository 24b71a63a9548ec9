"""The policy's part of team.yaml, as data: rows of the grammar in manifest, under the same law."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from core.model.team import Json

Name = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
MOST = 10**12  # more than anybody means, and fits where it is stored
Positive = Annotated[int, Meta(ge=1, le=MOST)]
Count = Annotated[int, Meta(ge=0, le=MOST)]
Amount = Annotated[float, Meta(ge=0, le=MOST)]


class SetRow(msgspec.Struct, frozen=True, kw_only=True):
    approve: Positive = 1
    people: tuple[str, ...] = ()
    roles: tuple[Literal["owner", "approver"], ...] = ()


class StageRow(msgspec.Struct, frozen=True, kw_only=True):
    """One set, or several in `sets`."""

    approve: Positive = 1
    deny: Positive = 1
    people: tuple[str, ...] = ()
    roles: tuple[Literal["owner", "approver"], ...] = ()
    sets: tuple[SetRow, ...] = ()


class EveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """Reminders at even distances."""

    every_hours: Annotated[float, Meta(gt=0, le=MOST)]
    most: Positive


class BoundRow(msgspec.Struct, frozen=True, kw_only=True):
    """How wide one approval may be made."""

    count_max: Positive
    hours_max: Annotated[float, Meta(gt=0, le=MOST)]


class AllowRow(msgspec.Struct, frozen=True, kw_only=True):
    """What needs nobody until a day is over."""

    tool: str
    verb: str
    until: str
    role: str = ""
    resource: str = ""
    arguments: dict[str, Json] = {}


class TierRow(msgspec.Struct, frozen=True, kw_only=True):
    """A tier's rule; what is left out stays as in the default policy."""

    stages: tuple[StageRow, ...] | None = None
    decide_hours: Annotated[float, Meta(gt=0, le=MOST)] | None = None
    execute_hours: Annotated[float, Meta(gt=0, le=MOST)] | None = None
    at_deadline: Literal["queue", "deny", "escalate"] | None = None
    verified: bool | None = None
    allow_self: bool | None = None
    reason_required: bool | Literal["deny", "approve", "both"] | None = None
    deliver: tuple[str, ...] | None = None
    remind_hours: tuple[Annotated[float, Meta(gt=0, le=MOST)], ...] | EveryRow | None = None
    escalation: str | None = None
    override: bool | None = None
    bounded: BoundRow | None = None
    may_allow: bool | None = None


class InboxRow(msgspec.Struct, frozen=True, kw_only=True):
    channel: str


class StepRow(msgspec.Struct, frozen=True, kw_only=True):
    after_minutes: Annotated[float, Meta(ge=0, le=MOST)]
    to: tuple[str, ...] = ()
    deliver: tuple[str, ...] = ()
    replace: bool = False


class EscalationRow(msgspec.Struct, frozen=True, kw_only=True):
    steps: Annotated[tuple[StepRow, ...], Meta(min_length=1)]
    repeat: Count = 0


class ReviewRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who looks at the handoffs that need a person."""

    approve: Positive = 1
    people: tuple[str, ...] = ()
    roles: tuple[Literal["owner", "approver"], ...] = ()
    decide_hours: Annotated[float, Meta(gt=0, le=MOST)] = 24.0
    allow_self: bool = False
    reason_required: bool = False


class ChangesRow(msgspec.Struct, frozen=True, kw_only=True):
    """Who approves a change of the team's files before it is in force. Nobody knows who edited them."""

    approve: Positive = 1
    people: tuple[str, ...] = ()
    roles: tuple[Literal["owner", "approver"], ...] = ("owner",)
    decide_hours: Annotated[float, Meta(gt=0, le=MOST)] = 168.0


class PolicyRow(msgspec.Struct, frozen=True, kw_only=True):
    words_add: tuple[str, ...] = ()
    tiers: dict[str, TierRow] = {}
    deliver: tuple[str, ...] = ("origin",)
    inbox: InboxRow | None = None
    escalations: dict[str, EscalationRow] = {}
    yes_counts: bool = False
    allow: tuple[AllowRow, ...] = ()
    review: ReviewRow = ReviewRow()
    changes: ChangesRow | None = None
