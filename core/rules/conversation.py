"""What a conversation remembers of itself: a summary, and from when on its lines are still read word for word."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from core.model.work import Begun, Task
from core.rules.transcript import KEPT_N

SAID_MAX = 60
"""Earlier lines a task is given at most; from compaction.FOLD_OVER_N on, all but the last become a summary."""


class Summary(msgspec.Struct, frozen=True, kw_only=True, tag="Summary/1"):
    """Of everything said before `until_ms`."""

    until_ms: int
    text: str
    untrusted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A fact about the workspace, as it is stored."""

    name: str
    value: str


def name_of(conversation: str) -> str:
    """The fact that keeps the summary of this conversation."""
    return f"summary:{conversation}"


def summary_of(task: Task, begun: Begun | None, text: str) -> Kept | None:
    """What later tasks there are told instead of the lines it stands for; None where no line got older."""
    said = begun.said if begun is not None else ()
    until_ms = said[-KEPT_N].at_ms if len(said) > KEPT_N else 0
    if not until_ms:
        return None
    summary = Summary(until_ms=until_ms, text=text, untrusted=task.untrusted)
    return Kept(name=name_of(task.conversation.key), value=msgspec.json.encode(summary).decode())


def read(kept: str | None, since_ms: int) -> Summary | None:
    """The stored one, unless the talk began anew after it. What cannot be read is none."""
    if not kept:
        return None
    try:
        summary = msgspec.json.decode(kept, type=Summary)
    except msgspec.MsgspecError:
        return None
    return summary if summary.until_ms > since_ms else None
