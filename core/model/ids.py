"""Ids are derived, so that a replay writes the same rows and the store dedupes them.

`t-` task, `i-` inquiry, `g-` grant, `p-` post: a letter and twelve hex digits (48 bits) of a SHA-256. People are shown,
and may type, any unique prefix.
"""

from __future__ import annotations

import hashlib
from typing import NewType

TaskId = NewType("TaskId", str)
InquiryId = NewType("InquiryId", str)
CallId = NewType("CallId", str)
"""`{task}:{step}:{n}`: the n-th call of the reply that was the task's entry number `step`."""
EffectId = NewType("EffectId", str)
GrantId = NewType("GrantId", str)
PostId = NewType("PostId", str)
SignalId = NewType("SignalId", str)
RoleId = NewType("RoleId", str)
PersonId = NewType("PersonId", str)

_DIGITS = 12
SHORT_MAX = 40
_SHOWN = 4


def digest_of(*parts: object) -> str:
    """SHA-256, as hex, over the parts with their lengths, so that ("ab", "c") and ("a", "bc") differ."""
    h = hashlib.sha256()
    for part in parts:
        raw = str(part).encode("utf-8", "surrogatepass")
        h.update(b"%d:" % len(raw))
        h.update(raw)
    return h.hexdigest()


def task_of_event(event_key: str) -> TaskId:
    """The root task that an event starts."""
    return TaskId("t-" + digest_of("task", event_key)[:_DIGITS])


def call_of(task: TaskId, step: int, n: int) -> CallId:
    """The n-th tool call of the reply recorded as entry `step`."""
    return CallId(f"{task}:{step}:{n}")


def child_of(call: CallId, generation: int = 1) -> TaskId:
    """The task that a delegation makes."""
    return TaskId("t-" + digest_of("child", call, generation)[:_DIGITS])


def effect_of(task: TaskId, step: int, n: int) -> EffectId:
    """The n-th effect that entry `step` produced; also the idempotency key of what it runs."""
    return EffectId(f"{task}:{step}:e{n}")


def inquiry_of(call: CallId, generation: int) -> InquiryId:
    """The inquiry a call opens; asking anew after expiry is the next generation."""
    return InquiryId("i-" + digest_of("inquiry", call, generation)[:_DIGITS])


def grant_of(inquiry: InquiryId, revision: int, generation: int) -> GrantId:
    """The single-use permission that approving this revision mints; `generation` counts reconciled reruns."""
    return GrantId("g-" + digest_of("grant", inquiry, revision, generation)[:_DIGITS])


def post_of(*parts: object) -> PostId:
    """An outgoing message, derived from what caused it."""
    return PostId("p-" + digest_of("post", *parts)[:_DIGITS])


def short(some_id: str) -> str:
    """The form people read: `t-81c2`. What is no id of ours is bounded, too."""
    head, dash, tail = some_id.partition("-")
    return f"{head}{dash}{tail[:_SHOWN]}"[:SHORT_MAX]
