"""The agent step: a pure function. Same journal, same definitions, same decision (P8).

`step(task, entry, env)` folds one entry into the task's state and says what must happen next. It never asks anybody:
what it must know of the outside comes in `env`. An entry that no longer matters (its task is over, its call has ended)
changes nothing, so that late and repeated deliveries are harmless.
"""

from __future__ import annotations

from typing import assert_never

import msgspec

from core.model.effects import (
    AskHuman,
    CallModel,
    CancelChild,
    ReturnQuestion,
    Tell,
)
from core.model.ids import call_of, effect_of, inquiry_of
from core.model.inquiries import InquiryState
from core.model.work import (
    Begun,
    Call,
    CallState,
    ChildEnded,
    Decided,
    Entry,
    Failure,
    Handoff,
    Heard,
    Held,
    Lost,
    ModelFailed,
    Overflowed,
    Phase,
    PushBack,
    Redefined,
    Reopened,
    Repair,
    Replied,
    Returned,
    Settled,
    Stop,
    Stopped,
    Summarised,
    Task,
    TimedOut,
    ToolResult,
    Verdict,
)
from core.rules import budget, compaction, ending, feedback, inquiry, joining, judging, reviewing
from core.rules.actions import act_of
from core.rules.calls import CONTRACTS, Opened, open_calls
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
            _think(turn, compact=compaction.is_long(entry.said))
        case Heard():
            _hear(turn, entry)
        case Replied():
            _replied(turn, entry)
        case ModelFailed():
            if turn.task.thinking == entry.effect:
                turn.set(thinking=None)
                ending.end(turn, Phase.FAILED, entry.failure)
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
            ending.out_of_time(turn)
        case Held():
            turn.set(active_since_ms=None)  # `done` starts the clock again, and sets its timer anew
        case Stopped():
            ending.end(turn, Phase.CANCELLED, feedback.stopped(entry.by, entry.reason))
        case Redefined():
            turn.set(definition=entry.definition, role_version=entry.role_version or turn.task.role_version)
        case Summarised():
            _summarised(turn, entry)
        case Overflowed():
            _overflowed(turn, entry)
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
        case Summarised():
            if task.thinking == entry.effect:
                turn.set(thinking=None, usage=task.usage.plus(entry.usage))
        case Overflowed():
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
    ending.finish_if_settled(turn)


# --- Thinking -------------------------------------------------------------------------------------------------------


def _think(turn: Turn, *, compact: bool = False) -> None:
    """Start the next turn, if the budgets allow one; before it, if need be, a summary of those that were."""
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
        ending.end(turn, Phase.FAILED, stop)
        return
    effect_id = effect_of(turn.task.id, turn.n, turn.performed)
    turn.performed += 1
    compact = compact or compaction.is_due(turn.task, turn.env.team)
    turn.set(calls=(), claims=(), heard_n=0, thinking=effect_id, compacting=compact)
    turn.effects.append(CallModel(id=effect_id, compact=compact, tight=compact and turn.task.tight))


def _summarised(turn: Turn, entry: Summarised) -> None:
    task = turn.task
    if task.thinking == entry.effect:
        turn.set(thinking=None, compacting=False, context_tokens=0, usage=task.usage.plus(entry.usage))
        _think(turn)


def _overflowed(turn: Turn, entry: Overflowed) -> None:
    """Once since the last reply it is made shorter, whatever it takes; then it is too long for good."""
    if turn.task.thinking != entry.effect:
        return
    turn.set(thinking=None)
    if turn.task.tight or turn.task.compacting:
        ending.end(turn, Phase.FAILED, entry.failure)
    else:
        turn.set(tight=True)
        _think(turn, compact=True)


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
    turn.set(
        thinking=None,
        turns=task.turns + 1,
        usage=task.usage.plus(reply.usage),
        context_tokens=reply.usage.tokens,
        recovered_n=task.recovered_n + reply.recovered,
        tight=False,
    )
    _warn_of_budget(turn, before=task)
    if reply.stop is Stop.REFUSED:
        ending.end(turn, Phase.FAILED, feedback.refused(reply.text))
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
    said = Handoff(summary=text.strip(), degraded="; ".join(notes))
    handoff = judging.given_up(turn.task, joining.labelled(turn.task, said))
    call = reviewing.in_prose(call_of(turn.task.id, turn.n, 0), handoff)
    turn.set(calls=(call,))
    if judge := judging.to_judge(turn.env.team, turn.task, call, handoff):
        turn.effects.append(judge)
        turn.put(msgspec.structs.replace(call, state=CallState.CHILD, child=judge.child))
    else:
        _hand_on(turn, call, handoff)


def _hand_on(turn: Turn, call: Call, handoff: Handoff) -> None:
    """The task ends with it, once a person has looked, where one must."""
    match reviewing.review(turn.task, call, turn.env.team, handoff, "", turn.env.now_ms):
        case None:
            turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
            ending.end(turn, Phase.DONE, handoff)
        case Failure() as failure:
            turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
            ending.end(turn, Phase.FAILED, failure)
        case asked:
            call = reviewing.labelled(call, handoff)
            turn.put(msgspec.structs.replace(call, state=CallState.PERSON, child=None, inquiry=asked.id))
            turn.effects.append(AskHuman(call=call.id, inquiry=asked))


def _repair(turn: Turn, errors: str, failure: Failure | None) -> None:
    """Tell the model what was wrong, at most twice; then the task fails with `failure`."""
    if turn.task.repairs >= REPAIRS_MAX and failure is not None:
        ending.end(turn, Phase.FAILED, failure)
        return
    turn.entries.append(Repair(at_ms=turn.env.now_ms, errors=errors))
    turn.set(repairs=turn.task.repairs + 1)
    _think(turn)


def _open_turn(turn: Turn, entry: Replied) -> None:
    """Take up every call of the reply: run it, ask a person, delegate, or give it its result at once."""
    opened: Opened = open_calls(turn.task, entry.reply, turn.env.team, turn.env, turn.n)
    turn.set(calls=opened.calls, rounds=opened.rounds, asking=opened.asking, found=opened.found)
    turn.effects.extend(opened.effects)
    for call, result in opened.settled:
        turn.settle(call, result)
    for call, act, grant in opened.acts:
        turn.run(call, act, grant)
    match opened.ending or _beyond_repair(turn, opened):
        case None:
            _think_if_all_ended(turn)
        case PushBack(question=question):
            turn.set(question=question, hops=turn.task.hops + 1)
            turn.effects.append(ReturnQuestion(question=question))
        case Handoff() as handoff:
            ending.end(turn, Phase.DONE, handoff)
        case Failure() as failure:
            ending.end(turn, Phase.FAILED, failure)
        case _:  # pragma: no cover
            assert_never(opened.ending)


def _beyond_repair(turn: Turn, opened: Opened) -> Failure | None:
    """Briefs and handoffs come back with their errors twice; the third time in a row the task ends with them."""
    if opened.amiss is None:
        if any(call.name in CONTRACTS for call in opened.calls):
            turn.set(amiss_n=0)
        return None
    turn.set(amiss_n=turn.task.amiss_n + 1, amiss_all_n=turn.task.amiss_all_n + 1)
    return feedback.beyond_repair(opened.amiss) if turn.task.amiss_n > REPAIRS_MAX else None


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
    if entry.untrusted:
        turn.set(untrusted=True)
    if reviewing.hands_off(call):
        _judged(turn, call, entry)
        return
    turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
    if isinstance(entry.result, PushBack):
        turn.set(asking=(*turn.task.asking, entry.child))
    _compare(turn, entry)
    _think_if_all_ended(turn)


def _compare(turn: Turn, entry: ChildEnded) -> None:
    """What two roles of this turn both changed is told to the one who joins it."""
    task, claims = turn.task, joining.claims_of(entry)
    if found := joining.conflicts(task.claims, claims):
        turn.entries.append(Repair(at_ms=turn.env.now_ms, errors=joining.told(entry.role, found)))
        turn.set(disputed=tuple(dict.fromkeys((*task.disputed, *found))))
    turn.set(claims=(*task.claims, *claims))


def _judged(turn: Turn, call: Call, entry: ChildEnded) -> None:
    """The handoff goes on, or back to its author; never past words that were said meanwhile."""
    handoff, judgement = reviewing.handoff_of(call.arguments), judging.judgement_of(entry.result)
    if isinstance(entry.result, PushBack):
        turn.effects.append(CancelChild(child=entry.child, reason=feedback.NO_LONGER_NEEDED))
    if judgement.accepted is False:
        turn.set(judged_n=turn.task.judged_n + 1)
        _not_handed_off(turn, call, judging.sent_back(entry.role, judgement.why))
    else:
        handoff = handoff if judgement.accepted else judging.unjudged(handoff, judgement.why)
        turn.set(judged=reviewing.digest_of(turn.task, handoff))
        if turn.task.heard_n:
            _not_handed_off(turn, call, feedback.HANDOFF_AFTER_HEARING)
        else:
            _hand_on(turn, call, handoff)
            return
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
        ending.end(turn, Phase.DONE, handoff)
    elif verdict.state == InquiryState.DENIED:
        turn.put(msgspec.structs.replace(call, state=CallState.ENDED))
        ending.end(turn, Phase.REJECTED, reviewing.rejected(verdict))
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
