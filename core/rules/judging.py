"""A role that checks another's handoff against its brief's success criteria, before anybody builds on it (TEAM.md,
Contracts).

Law: nobody judges their own work, and a judge decides about the handoff to the byte. It sends work back at most twice;
what goes on unjudged says so.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

import msgspec

from core.model.effects import Delegate
from core.model.ids import child_of
from core.model.team import Team
from core.model.work import Brief, Call, Failure, Handoff, PushBack, Task
from core.rules.reviewing import digest_of
from core.rules.transcript import handoff_text

KIND = "judgement"
SENT_BACK_MAX = 2
"""As often as anything else is repaired."""
_ORDER = (
    "Does this handoff meet every one of the criteria? Look yourself where you can. Begin the summary of your own"
    " hand_off with ACCEPTED or REJECTED, then say why, criterion by criterion."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """`accepted` None: there is none, and `why` says so."""

    accepted: bool | None
    why: str


def to_judge(team: Team, task: Task, call: Call, handoff: Handoff) -> Delegate | None:
    """The work of judging this handoff; None where it goes on without."""
    judge = team.roles[task.role].judged_by
    if judge not in team.roles or judge == task.role or not task.brief.success_criteria:
        return None
    if task.judged_n >= SENT_BACK_MAX or task.judged == digest_of(task, handoff):
        return None
    brief = Brief(
        objective=_ORDER,
        kind=KIND,
        success_criteria=task.brief.success_criteria,
        context=f"What was asked: {task.brief.objective}\n\nThe handoff of {task.role}:\n{handoff_text(handoff)}",
        limits="Change nothing.",
    )
    return Delegate(
        call=call.id,
        child=child_of(call.id),
        role=judge,
        brief=brief,
        hops=task.hops,
        rounds=task.rounds,
        gated=task.gated,
    )


def judgement_of(result: Handoff | Failure | PushBack) -> Judgement:
    """What the judge's own result says."""
    match result:
        case Handoff(summary=summary):
            word = summary.strip().partition(" ")[0].strip(".:,;*_#\n").upper()
            found = {"ACCEPTED": True, "REJECTED": False}.get(word.partition("\n")[0].strip(".:,;"))
            return Judgement(accepted=found, why=summary.strip())
        case Failure(what=what, why=why):
            return Judgement(accepted=None, why=f"{what}: {why}")
        case PushBack(question=question):
            return Judgement(accepted=None, why=f"its judge asked: {question}")
        case _:  # pragma: no cover
            assert_never(result)


def unjudged(handoff: Handoff, why: str) -> Handoff:
    """The handoff, labelled."""
    note = f"not judged ({why})"
    return msgspec.structs.replace(handoff, degraded="; ".join(filter(None, (handoff.degraded, note))))


def given_up(task: Task, handoff: Handoff) -> Handoff:
    """The handoff after the last time it was sent back, labelled; any other as it is."""
    if task.judged_n < SENT_BACK_MAX or task.judged == digest_of(task, handoff):
        return handoff
    return unjudged(handoff, f"sent back {task.judged_n} times before")


def sent_back(judge: str, why: str) -> Failure:
    """What a rejected handoff's author is told."""
    return Failure(
        what=f"{judge} did not accept the handoff",
        why=why,
        recovery="Mend what is named, then hand off again. If it cannot be mended, hand off with it as a risk.",
    )
