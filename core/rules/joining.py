"""Handoffs of one fan-out that cannot both be whole: two roles have changed one shared file (TEAM.md, Contracts).

Law: a conflict is told to whoever joins the handoffs, and what they hand on names it or is labelled. Only files in
`shared/` are one file for two roles; whether two sentences contradict each other, code does not judge.
"""

from __future__ import annotations

import re

import msgspec

from core.model.work import ChildEnded, Claim, Handoff, Task

_SHARED = re.compile(r"(?<![\w./-])(?:files/)?(shared/[\w./-]{0,100}\w)")
FILES_MAX = 20
"""Of one handoff: what names more is no list of what it changed."""


def claims_of(ended: ChildEnded) -> tuple[Claim, ...]:
    """The shared files that a child says it changed."""
    if not isinstance(ended.result, Handoff):
        return ()
    lines = (*ended.result.changed, *ended.result.artifacts)
    files = dict.fromkeys(file for line in lines for file in _SHARED.findall(line))
    return tuple(Claim(role=ended.role, file=file) for file in list(files)[:FILES_MAX])


def conflicts(before: tuple[Claim, ...], now: tuple[Claim, ...]) -> dict[str, str]:
    """By file, the other role of this turn that has it, too."""
    others = {claim.file: claim.role for claim in before}
    return {claim.file: others[claim.file] for claim in now if others.get(claim.file, claim.role) != claim.role}


def told(role: str, found: dict[str, str]) -> str:
    """What the one who joins them is told."""
    pairs = "; ".join(f"{other} and {role} both changed {file}" for file, other in found.items())
    return f"Conflict: {pairs}. Find out which holds, and name the conflict in what you hand on."


def labelled(task: Task, handoff: Handoff) -> Handoff:
    """The handoff; conflicts that it does not name are its label."""
    text = "\n".join((handoff.summary, *handoff.changed, *handoff.risks, *handoff.next_needs))
    silent = [file for file in task.disputed if file not in text]
    if not silent:
        return handoff
    note = f"two roles changed {', '.join(silent)}, and it does not say which holds"
    return msgspec.structs.replace(handoff, degraded="; ".join(filter(None, (handoff.degraded, note))))
