"""How a task ends: what is under way is stopped first, and the end comes when all of it has settled."""

from __future__ import annotations

from typing import assert_never

import msgspec

from core.model.effects import AbortEffect, CancelChild, CancelInquiry, Finish
from core.model.work import CallState, Failure, Handoff, Phase
from core.rules import feedback
from core.rules.turn import Turn


def out_of_time(turn: Turn) -> None:
    """The timer may be stale: only the time the task really worked counts."""
    task, seconds_max = turn.task, turn.role.task_seconds_max
    if task.brief.deadline_ms is not None and turn.env.now_ms >= task.brief.deadline_ms:
        end(turn, Phase.FAILED, feedback.TOO_LATE)
        return
    if task.active_since_ms is None or task.active_ms + turn.env.now_ms - task.active_since_ms < seconds_max * 1000:
        return
    why = feedback.WALL_CLOCK.format(seconds=seconds_max)
    end(turn, Phase.FAILED, Failure(what=feedback.OUT_OF_TIME, why=why, recovery=feedback.SMALLER_OR_LONGER))


def end(turn: Turn, phase: Phase, result: Handoff | Failure) -> None:
    """End the task: at once if nothing is under way, else when all of it has settled."""
    task = turn.task
    for call in task.calls:
        match call.state:
            case CallState.RUNNING:
                if call.effect is not None:
                    turn.effects.append(AbortEffect(effect=call.effect))
            case CallState.PERSON:
                if call.inquiry is not None:
                    turn.effects.append(CancelInquiry(inquiry=call.inquiry, reason=feedback.NO_LONGER_NEEDED))
                turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
            case CallState.CHILD:
                if call.child is not None:
                    turn.effects.append(CancelChild(child=call.child, reason=feedback.NO_LONGER_NEEDED))
            case CallState.ENDED:
                pass
            case _:  # pragma: no cover
                assert_never(call.state)
    if task.thinking is not None:
        turn.effects.append(AbortEffect(effect=task.thinking))
    for child in task.asking:
        turn.effects.append(CancelChild(child=child, reason=feedback.NO_LONGER_NEEDED))
    turn.set(phase=Phase.CANCELLING, ending=phase, result=result, question="", asking=())
    finish_if_settled(turn)


def finish_if_settled(turn: Turn) -> None:
    """The task has ended when nothing of it is under way."""
    task = turn.task
    if task.thinking is not None or any(c.state is not CallState.ENDED for c in task.calls):
        return
    if task.ending is not None and task.result is not None:
        turn.set(phase=task.ending)
        turn.effects.append(Finish(phase=task.ending, result=task.result))
