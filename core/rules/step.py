"""The agent step: a pure function. Same journal, same definitions, same decision (P8).

`step(task, entry, env)` folds one entry into the task's state and says what must happen next. It never asks anybody:
what it must know of the outside comes in `env`. An entry that no longer matters (its task is over, its call has ended)
changes nothing, so that late and repeated deliveries are harmless.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from core.model.ids import call_of, effect_of, inquiry_of
from core.model.inquiries import InquiryState
from core.model.work import (
    AbortEffect,
    AskHuman,
    Begun,
    Call,
    CallModel,
    CallState,
    CancelChild,
    CancelInquiry,
    ChildEnded,
    Decided,
    Entry,
    Failure,
    Finish,
    Handoff,
    Heard,
    Held,
    Lost,
    ModelFailed,
    Phase,
    PushBack,
    Redefined,
    Reopened,
    Repair,
    Replied,
    Returned,
    ReturnQuestion,
    Settled,
    Stop,
    Stopped,
    Task,
    Tell,
    TimedOut,
    ToolResult,
    Verdict,
)
from core.rules import budget, feedback, inquiry, reviewing
from core.rules.actions import act_of
from core.rules.calls import Opened, open_calls
from core.rules.canonical import action_digest
from core.rules.turn import Env, Step, Turn

__all__ = ["Env", "Step", "step"]

REPAIRS_MAX = 2
"""TEAM.md, Contracts: invalid output is repaired at most twice."""


def step(task: Task, entry: Entry, env: Env) -> Step:
    """Fold one entry. Total: every entry in every phase has an answer."""
    turn = Turn(task, env)
    if task.phase.final:
        pass
    elif task.phase is Phase.CANCELLING:
        _while_cancelling(turn, entry)
    else:
        _while_working(turn, entry)
    return turn.done()


def _while_working(turn: Turn, entry: Entry) -> None:
    match entry:
        case Begun():
            _think(turn)
        case Heard():
            _hear(turn, entry)
        case Replied():
            _replied(turn, entry)
        case ModelFailed():
            if turn.task.thinking == entry.effect:
                turn.set(thinking=None)
                _end(turn, Phase.FAILED, entry.failure)
        case Returned():
            _returned(turn, entry)
        case Lost():
            _ask_what_happened(turn, entry)
            _think_if_all_ended(turn)
        case ChildEnded():
            _child_ended(turn, entry)
        case Decided():
            _decided(turn, entry)
        case Reopened():
            _reopened(turn, entry)
        case TimedOut():
            _timed_out(turn)
        case Held():
            turn.set(active_since_ms=None)  # `done` starts the clock again, and sets its timer anew
        case Stopped():
            why = f"stopped by {entry.by}" + (f": {entry.reason}" if entry.reason else "")
            _end(turn, Phase.CANCELLED, Failure(what=feedback.WAS_CANCELLED, why=why, recovery=feedback.ASK_AGAIN))
        case Redefined():
            turn.set(definition=entry.definition)
        case Repair() | Settled():
            pass  # a repair is only ever derived; nothing settles while work goes on
        case _:  # pragma: no cover
            assert_never(entry)


def _while_cancelling(turn: Turn, entry: Entry) -> None:
    """Only outcomes still matter: the task ends when everything that was started has one."""
    task = turn.task
    match entry:
        case Replied():
            if task.thinking == entry.effect:
                turn.set(thinking=None, usage=task.usage.plus(entry.reply.usage))
        case ModelFailed():
            if task.thinking == entry.effect:
                turn.set(thinking=None)
        case Settled():
            if task.thinking == entry.effect:
                turn.set(thinking=None)
            for call in task.calls:
                if call.effect == entry.effect and call.state is CallState.RUNNING:
                    turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
        case Returned() | ChildEnded():
            if call_ended := turn.call(entry.call):
                turn.put(msgspec.structs.replace(call_ended, state=CallState.ENDED))
        case Lost():
            _ask_what_happened(turn, entry)
        case Decided():
            _decided_while_cancelling(turn, entry)
        case Begun() | Heard() | Reopened() | TimedOut() | Held() | Stopped() | Redefined() | Repair():
            pass
        case _:  # pragma: no cover
            assert_never(entry)
    _finish_if_settled(turn)


# --- Thinking -------------------------------------------------------------------------------------------------------


def _think(turn: Turn) -> None:
    """Start the next turn, if the budgets allow one."""
    day = budget.day_of(turn.env.team.zone, turn.env.now_ms)
    if budget.scope_of(turn.task.role, day) in turn.env.exhausted:
        stop: Failure | None = Failure(
            what=feedback.BUDGET_STOPPED.format(role=turn.task.role),
            why=feedback.DAY_BUDGET_SPENT,
            recovery=feedback.RAISE_BUDGET,
        )
    else:
        stop = budget.task_stop(turn.task, turn.role)
    if stop is not None:
        _end(turn, Phase.FAILED, stop)
        return
    effect_id = effect_of(turn.task.id, turn.n, turn.performed)
    turn.performed += 1
    turn.set(calls=(), heard_n=0, thinking=effect_id)
    turn.effects.append(CallModel(id=effect_id))


def _think_if_all_ended(turn: Turn) -> None:
    task = turn.task
    if task.thinking is None and not task.question and all(c.state is CallState.ENDED for c in task.calls):
        _think(turn)


def _hear(turn: Turn, entry: Heard) -> None:
    task = turn.task
    if task.question and entry.by_role:
        turn.set(question="", parent_call=entry.call or task.parent_call)
        _think(turn)
    else:
        turn.set(heard_n=task.heard_n + 1, words_n=task.words_n + (not entry.by_role))


def _replied(turn: Turn, entry: Replied) -> None:
    task, reply = turn.task, entry.reply
    if task.thinking != entry.effect:
        return
    turn.set(thinking=None, turns=task.turns + 1, usage=task.usage.plus(reply.usage))
    _warn_of_budget(turn, before=task)
    if reply.stop is Stop.REFUSED:
        why = reply.text or feedback.NO_REASON_GIVEN
        _end(turn, Phase.FAILED, Failure(what=feedback.MODEL_REFUSED, why=why, recovery=feedback.SAY_IT_DIFFERENTLY))
    elif reply.uses:
        _open_turn(turn, entry)
    elif not reply.text.strip():
        _repair(
            turn,
            feedback.REPLY_WAS_EMPTY,
            Failure(what=feedback.MODEL_SAID_NOTHING, why=feedback.NOTHING_CAME, recovery=feedback.ASK_AGAIN),
        )
    elif task.parent is not None and task.repairs < REPAIRS_MAX:
        _repair(turn, feedback.FINISH_BY_HANDOFF, None)
    else:
        _end_with_prose(turn, reply.text, cut=reply.stop is Stop.CUT)


def _warn_of_budget(turn: Turn, *, before: Task) -> None:
    """At 80 % people hear of it, once."""
    warning = budget.task_warning(turn.task, turn.role)
    if warning is not None and budget.task_warning(before, turn.role) is None:
        turn.effects.append(Tell(text=warning, n=0))


def _end_with_prose(turn: Turn, text: str, *, cut: bool) -> None:
    """The one who answers people may just say it. A child that will not keep the form is taken at its word, labelled.

    A message that came in while the model was answering is read before the task ends. What was said until then is
    shown all the same, unless somebody must look at it first.
    """
    if turn.task.heard_n:
        if turn.task.parent is None and not turn.role.permissions.requires_review:
            turn.effects.append(Tell(text=text.strip(), n=1, whole=True))
        _think(turn)
        return
    notes = []
    if turn.task.parent is not None:
        notes.append(feedback.PROSE_NOT_HANDOFF)
    if cut:
        notes.append(feedback.ANSWER_WAS_CUT)
    handoff = Handoff(summary=text.strip(), degraded="; ".join(notes))
    call = reviewing.in_prose(call_of(turn.task.id, turn.n, 0), handoff)
    match reviewing.review(turn.task, call, turn.env.team, handoff, "", turn.env.now_ms):
        case None:
            _end(turn, Phase.DONE, handoff)
        case Failure() as failure:
            _end(turn, Phase.FAILED, failure)
        case asked:
            waiting = msgspec.structs.replace(call, state=CallState.PERSON, inquiry=asked.id)
            turn.set(calls=(waiting,))
            turn.effects.append(AskHuman(call=call.id, inquiry=asked))


def _repair(turn: Turn, errors: str, failure: Failure | None) -> None:
    """Tell the model what was wrong, at most twice; then the task fails with `failure`."""
    if turn.task.repairs >= REPAIRS_MAX and failure is not None:
        _end(turn, Phase.FAILED, failure)
        return
    turn.entries.append(Repair(at_ms=turn.env.now_ms, errors=errors))
    turn.set(repairs=turn.task.repairs + 1)
    _think(turn)


def _open_turn(turn: Turn, entry: Replied) -> None:
    """Take up every call of the reply: run it, ask a person, delegate, or give it its result at once."""
    opened: Opened = open_calls(turn.task, entry.reply, turn.env.team, turn.env, turn.n)
    turn.set(calls=opened.calls, rounds=opened.rounds, asking=opened.asking)
    turn.effects.extend(opened.effects)
    for call, result in opened.settled:
        turn.settle(call, result)
    for call, act, grant in opened.acts:
        turn.run(call, act, grant)
    match opened.ending:
        case None:
            _think_if_all_ended(turn)
        case PushBack(question=question):
            turn.set(question=question, hops=turn.task.hops + 1)
            turn.effects.append(ReturnQuestion(question=question))
        case Handoff() as handoff:
            _end(turn, Phase.DONE, handoff)
        case Failure() as failure:
            _end(turn, Phase.FAILED, failure)
        case _:  # pragma: no cover
            assert_never(opened.ending)


# --- Results of the open turn ---------------------------------------------------------------------------------------


def _returned(turn: Turn, entry: Returned) -> None:
    call = turn.call(entry.call)
    if call is None or call.state is not CallState.RUNNING:
        return
    turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
    if entry.result.untrusted:
        turn.set(untrusted=True)
    _think_if_all_ended(turn)


def _ask_what_happened(turn: Turn, entry: Lost) -> None:
    """Transition 18: nobody can know what became of a started action, so a person is asked."""
    call = turn.call(entry.call)
    if call is None or call.state is not CallState.RUNNING or call.effect != entry.effect:
        return
    act = act_of(turn.env.team, turn.task.role, call.name, call.arguments, turn.env.fingerprints)
    if isinstance(act, Failure):  # its tool is gone from the definition: nothing can be run again, so say so
        turn.settle(call, ToolResult(failure=feedback.OUTCOME_UNKNOWN))
        return
    generation = call.generation + 1
    asked = inquiry.reconcile(
        call=call.id,
        generation=generation,
        task=turn.task,
        original=None,
        act_says=act.action.says,
        action=act.action,
        digest=action_digest(act.action),
        team=turn.env.team,
        now_ms=turn.env.now_ms,
    )
    turn.effects.append(AskHuman(call=call.id, inquiry=asked))
    turn.put(
        msgspec.structs.replace(
            call, state=CallState.PERSON, generation=generation, inquiry=inquiry_of(call.id, generation)
        )
    )


def _child_ended(turn: Turn, entry: ChildEnded) -> None:
    call = turn.call(entry.call)
    if call is None or call.state is not CallState.CHILD:
        return
    turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
    if entry.untrusted:
        turn.set(untrusted=True)
    if isinstance(entry.result, PushBack):
        turn.set(asking=(*turn.task.asking, entry.child))
    _think_if_all_ended(turn)


def _decided(turn: Turn, entry: Decided) -> None:
    call, verdict = turn.call(entry.call), entry.verdict
    if call is None or call.state is not CallState.PERSON or call.inquiry != verdict.inquiry:
        return
    if reviewing.hands_off(call):
        _handoff_decided(turn, call, verdict)
    elif verdict.state == InquiryState.APPROVED:
        arguments = call.arguments if verdict.action_arguments is None else verdict.action_arguments
        call = msgspec.structs.replace(call, arguments=arguments)
        act = act_of(turn.env.team, turn.task.role, call.name, arguments, turn.env.fingerprints)
        if isinstance(act, Failure):
            turn.settle(call, ToolResult(failure=act))
        else:
            turn.run(call, act, verdict.grant)
    else:
        turn.settle(call, inquiry.result_of(verdict))
    _think_if_all_ended(turn)


def _handoff_decided(turn: Turn, call: Call, verdict: Verdict) -> None:
    """An approved handoff goes on as it is, but never past words that were said meanwhile."""
    handoff = reviewing.handoff_of(call.arguments)
    approved = verdict.state == InquiryState.APPROVED
    if approved and not turn.task.heard_n:
        turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
        _end(turn, Phase.DONE, handoff)
    elif verdict.state == InquiryState.DENIED:
        turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
        _end(turn, Phase.REJECTED, reviewing.rejected(verdict))
    elif approved:
        turn.set(reviewed=reviewing.digest_of(turn.task, handoff))
        _not_handed_off(turn, call, feedback.HANDOFF_AFTER_HEARING)
    else:
        _not_handed_off(turn, call, reviewing.not_yet(verdict))


def _not_handed_off(turn: Turn, call: Call, why: Failure) -> None:
    """What was only written has no call that could return a result."""
    if call.use:
        turn.settle(call, ToolResult(failure=why))
        return
    turn.entries.append(Repair(at_ms=turn.env.now_ms, errors=f"{why.what}: {why.why}. {why.recovery}"))
    turn.put(msgspec.structs.replace(call, state=CallState.ENDED))


def _reopened(turn: Turn, entry: Reopened) -> None:
    """What was queued under the grant that is gone is withdrawn in the same transaction, by whoever commits this."""
    call = turn.call(entry.call)
    if call is not None and call.state is CallState.RUNNING and call.inquiry == entry.inquiry:
        turn.put(msgspec.structs.replace(call, state=CallState.PERSON, effect=None))


def _decided_while_cancelling(turn: Turn, entry: Decided) -> None:
    """The answer to "did it happen?" is all a cancelled task still waits for; nothing is run any more."""
    call = turn.call(entry.call)
    if call is not None and call.state is CallState.PERSON and call.inquiry == entry.verdict.inquiry:
        turn.settle(call, inquiry.result_of(entry.verdict))


# --- Ending ---------------------------------------------------------------------------------------------------------


def _timed_out(turn: Turn) -> None:
    """The timer may be stale: only the time the task really worked counts."""
    task, seconds_max = turn.task, turn.role.task_seconds_max
    if task.active_since_ms is None or task.active_ms + turn.env.now_ms - task.active_since_ms < seconds_max * 1000:
        return
    why = feedback.WALL_CLOCK.format(seconds=seconds_max)
    _end(turn, Phase.FAILED, Failure(what=feedback.OUT_OF_TIME, why=why, recovery=feedback.SMALLER_OR_LONGER))


def _end(turn: Turn, phase: Phase, result: Handoff | Failure) -> None:
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
    _finish_if_settled(turn)


def _finish_if_settled(turn: Turn) -> None:
    task = turn.task
    if task.thinking is not None or any(c.state is not CallState.ENDED for c in task.calls):
        return
    if task.ending is not None and task.result is not None:
        turn.set(phase=task.ending)
        turn.effects.append(Finish(phase=task.ending, result=task.result))
