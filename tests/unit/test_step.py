"""The step, entry by entry. Whole conversations, crashes and races are the simulation's business."""

from __future__ import annotations

import dataclasses

import msgspec
import pytest
from msgspec import structs

from core.model.effects import (
    AbortEffect,
    AnswerChild,
    AskHuman,
    CallModel,
    CancelChild,
    CancelInquiry,
    Delegate,
    Finish,
    ReturnQuestion,
    RunTool,
    SetDeadline,
    Tell,
)
from core.model.ids import CallId, EffectId, InquiryId, SignalId, TaskId
from core.model.inquiries import InquiryState, Kind
from core.model.team import Permissions
from core.model.work import (
    Begun,
    Brief,
    Call,
    CallState,
    ChildEnded,
    Decided,
    Failure,
    Handoff,
    Heard,
    Held,
    Lost,
    ModelFailed,
    Phase,
    PushBack,
    Redefined,
    Repair,
    Replied,
    Reply,
    Returned,
    Settled,
    Stop,
    Stopped,
    Task,
    TimedOut,
    ToolResult,
    ToolUse,
    Usage,
    Verdict,
)
from core.rules import feedback
from core.rules.budget import day_of, scope_of
from core.rules.calls import CALLS_MAX
from core.rules.canonical import intent_of
from core.rules.step import Env, Step, step
from tests.small import FINGERPRINTS, NOW_MS, role, task, team

TEAM = team()
ENV = Env(now_ms=NOW_MS, team=TEAM, fingerprints=FINGERPRINTS)
THINKING = EffectId("t-000000000001:0:e0")
BEGUN = Begun(at_ms=NOW_MS, brief=Brief(objective="publish the page"), definition="team-1", asked_by="You")


def use(name: str, /, **arguments: object) -> ToolUse:
    return ToolUse(id=f"u-{name}", name=name, arguments=arguments)


def thinking(role_id: str = "ops", **changes: object) -> Task:
    return task(role_id, thinking=THINKING, step=1, active_since_ms=NOW_MS, deadline=SignalId("d"), **changes)


def reply(*uses: ToolUse, text: str = "", stop: Stop = Stop.END, usage: Usage | None = None) -> Replied:
    said = Reply(text=text, uses=uses, stop=stop, usage=usage or Usage())
    return Replied(at_ms=NOW_MS, effect=THINKING, reply=said)


def kinds(made: Step) -> list[type]:
    return [type(effect) for effect in made.effects]


def only(made: Step, kind: type) -> object:
    (found,) = [effect for effect in made.effects if isinstance(effect, kind)]
    return found


def finished(made: Step) -> Finish:
    return only(made, Finish)  # type: ignore[return-value]


def failure_of(made: Step) -> Failure:
    (entry,) = [e for e in made.entries if isinstance(e, Returned)]
    assert entry.derived
    assert entry.result.failure is not None
    return entry.result.failure


CHILD = {"parent": TaskId("t-parent"), "parent_call": CallId("t-parent:1:0")}


# --- Beginning, thinking, budgets ------------------------------------------------------------------------------------


def test_a_task_begins_by_thinking_and_its_clock_runs() -> None:
    made = step(task(), BEGUN, ENV)
    assert kinds(made) == [CallModel, SetDeadline]
    assert made.task.thinking == THINKING
    assert made.task.step == 1
    assert only(made, SetDeadline).due_at_ms == NOW_MS + 900_000


def test_an_exhausted_day_stops_the_task_before_it_thinks() -> None:
    scope = scope_of("ops", day_of("UTC", NOW_MS))
    made = step(task(), BEGUN, msgspec_env(exhausted=frozenset({scope})))
    assert kinds(made) == [Finish]
    assert finished(made).phase is Phase.FAILED
    others = msgspec_env(exhausted=frozenset({"role:dev:2026-01-01"}))
    assert kinds(step(task(), BEGUN, others)) == [CallModel, SetDeadline]


def msgspec_env(**changes: object) -> Env:
    base = {"now_ms": NOW_MS, "team": TEAM, "fingerprints": FINGERPRINTS}
    return Env(**{**base, **changes})


def test_a_spent_task_budget_is_final() -> None:
    made = step(thinking(turns=9), reply(use("look", at="x")), ENV)
    assert kinds(made) == [RunTool]
    call = made.task.calls[0]
    ended = step(made.task, Returned(at_ms=NOW_MS, call=call.id, result=ToolResult(text="seen")), ENV)
    assert finished(ended).phase is Phase.FAILED
    assert ended.task.phase is Phase.FAILED


# --- Replies ---------------------------------------------------------------------------------------------------------


def test_the_one_who_answers_people_may_just_say_it() -> None:
    made = step(thinking(), reply(text=" It is done. ", usage=Usage(input_tokens=5)), ENV)
    assert finished(made).result == Handoff(summary="It is done.")
    assert made.task.usage.input_tokens == 5
    assert kinds(made) == [Finish, SetDeadline]


def test_a_cut_answer_is_labelled() -> None:
    made = step(thinking(), reply(text="It is", stop=Stop.CUT), ENV)
    assert finished(made).result.degraded == feedback.ANSWER_WAS_CUT


def test_a_child_is_told_twice_to_hand_off_and_then_taken_at_its_word() -> None:
    state = thinking(**CHILD)
    for repairs in (1, 2):
        made = step(state, reply(text="done"), ENV)
        assert [type(e) for e in made.entries] == [Repair]
        assert made.task.repairs == repairs
        state = msgspec_task(made.task, thinking=THINKING)
    made = step(state, reply(text="done"), ENV)
    assert finished(made).result.degraded == feedback.PROSE_NOT_HANDOFF


def msgspec_task(state: Task, **changes: object) -> Task:
    return msgspec.structs.replace(state, **changes)


def test_empty_replies_are_repaired_twice_and_then_fail() -> None:
    made = step(thinking(repairs=1), reply(text=" "), ENV)
    assert kinds(made) == [CallModel]
    made = step(thinking(repairs=2), reply(), ENV)
    assert finished(made).result.what == feedback.MODEL_SAID_NOTHING


@pytest.mark.parametrize(("text", "why"), [("not this", "not this"), ("", feedback.NO_REASON_GIVEN)])
def test_a_refusal_ends_the_task(text: str, why: str) -> None:
    made = step(thinking(), reply(text=text, stop=Stop.REFUSED), ENV)
    assert finished(made).result == Failure(what=feedback.MODEL_REFUSED, why=why, recovery=feedback.SAY_IT_DIFFERENTLY)


def test_an_answer_waits_for_what_was_said_meanwhile() -> None:
    state = step(thinking(), Heard(at_ms=NOW_MS, text="wait", speaker="You"), ENV).task
    assert state.heard_n == 1
    made = step(state, reply(text="done"), ENV)
    assert kinds(made) == [Tell, CallModel]
    assert made.effects[0] == Tell(text="done", n=1, whole=True)
    assert (made.task.heard_n, made.task.words_n) == (0, 1)


def test_a_child_and_a_reviewed_role_say_nothing_before_they_are_done() -> None:
    for silent in (
        structs.replace(thinking(), parent=TaskId("t-0")),
        structs.replace(thinking(), role="reviewed"),
    ):
        role = structs.replace(ENV.team.roles["ops"], permissions=Permissions(requires_review=True))
        env = dataclasses.replace(ENV, team=structs.replace(ENV.team, roles={**ENV.team.roles, "reviewed": role}))
        state = structs.replace(silent, repairs=2)
        state = step(state, Heard(at_ms=NOW_MS, text="wait", speaker="You"), env).task
        assert kinds(step(state, reply(text="done"), env)) == [CallModel]


def test_replies_and_failures_of_other_calls_change_nothing() -> None:
    stale = EffectId("t-000000000001:9:e0")
    for entry in (
        Replied(at_ms=NOW_MS, effect=stale, reply=Reply(text="x")),
        ModelFailed(at_ms=NOW_MS, effect=stale, failure=Failure(what="w", why="y", recovery="r")),
        Returned(at_ms=NOW_MS, call=CallId("none"), result=ToolResult()),
        Lost(at_ms=NOW_MS, call=CallId("none"), effect=stale),
        ChildEnded(at_ms=NOW_MS, call=CallId("none"), child=TaskId("t-2"), role="x", result=Handoff(summary="s")),
        Decided(at_ms=NOW_MS, call=CallId("none"), verdict=Verdict(inquiry=InquiryId("i-1"), state="denied")),
        Repair(at_ms=NOW_MS, errors="x"),
        Settled(at_ms=NOW_MS, effect=stale),
    ):
        made = step(thinking(), entry, ENV)
        assert made.effects == ()
        assert made.task.thinking == THINKING


def test_a_model_that_fails_for_good_fails_the_task() -> None:
    failure = Failure(what="w", why="y", recovery="r")
    made = step(thinking(), ModelFailed(at_ms=NOW_MS, effect=THINKING, failure=failure), ENV)
    assert finished(made).result == failure


# --- Calls -----------------------------------------------------------------------------------------------------------


def test_an_ungated_tool_runs_at_once() -> None:
    made = step(thinking(), reply(use("note", text="x")), ENV)
    run = only(made, RunTool)
    assert (run.tool, run.arguments, run.grant) == ("note", {"text": "x"}, None)
    ended = step(made.task, Returned(at_ms=NOW_MS, call=run.call, result=ToolResult(untrusted=True)), ENV)
    assert kinds(ended) == [CallModel]
    assert ended.task.untrusted


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (ToolUse(id="u", name="frobnicate", arguments={}), "frobnicate"),
        (ToolUse(id="u", name="delegate", arguments={}), "delegate"),
        (ToolUse(id="u", name="note", arguments="text"), "not a JSON object"),
        (ToolUse(id="u", name="note", arguments={}), "text"),
        (ToolUse(id="u", name="look", arguments={"at": "x", "more": 1}), "more"),
        (ToolUse(id="u", name="run_command", arguments={"command": "ship", "args": {"site": "moon"}}), "site"),
        (ToolUse(id="u", name="run_command", arguments={"command": "ship", "args": {"n": float("nan")}}), "n"),
        (ToolUse(id="u", name="hand_off", arguments={}), "summary"),
    ],
)
def test_calls_that_cannot_be_come_back_as_failures_that_say_why(call: ToolUse, why: str) -> None:
    made = step(thinking(), reply(call), ENV)
    failure = failure_of(made)
    assert why in failure.what + failure.why
    assert failure.recovery
    assert kinds(made) == [CallModel]


def test_too_many_calls_are_bounded() -> None:
    made = step(thinking(), reply(*[use("look", at=str(n)) for n in range(CALLS_MAX + 2)]), ENV)
    assert kinds(made) == [RunTool] * CALLS_MAX
    assert len([e for e in made.entries if isinstance(e, Returned)]) == 2


def test_a_program_that_is_missing_and_a_role_that_may_not_deploy() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    assert "missing" in failure_of(step(thinking(), reply(ship), msgspec_env(fingerprints={}))).why
    assert "permission" in failure_of(step(thinking("dev"), reply(ship), ENV)).why


def test_a_gated_action_becomes_an_inquiry_and_its_approval_a_run_under_the_grant() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    made = step(thinking(), reply(ship, text="Marketing needs it."), ENV)
    asked = only(made, AskHuman).inquiry
    assert (asked.kind, asked.why, asked.action.arguments) == (Kind.APPROVAL, "Marketing needs it.", ship.arguments)
    assert made.task.waiting_on == (asked.id,)
    verdict = Verdict(inquiry=asked.id, state=InquiryState.APPROVED, by=("You",), grant="g-1")
    decided = step(made.task, Decided(at_ms=NOW_MS, call=asked.call, verdict=verdict), ENV)
    run = only(decided, RunTool)
    assert (run.grant, run.digest) == ("g-1", asked.digest)
    edited = msgspec.structs.replace(verdict, action_arguments={"command": "ship", "args": {"site": "docs"}})
    run = only(step(made.task, Decided(at_ms=NOW_MS, call=asked.call, verdict=edited), ENV), RunTool)
    assert run.arguments["args"] == {"site": "docs"}
    gone = step(made.task, Decided(at_ms=NOW_MS, call=asked.call, verdict=verdict), msgspec_env(fingerprints={}))
    assert "missing" in failure_of(gone).why


def test_a_denial_goes_to_the_agent_and_blocks_the_intent() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    made = step(thinking(), reply(ship), ENV)
    asked = only(made, AskHuman).inquiry
    verdict = Verdict(inquiry=asked.id, state=InquiryState.DENIED, by=("You",), reason="not on Friday")
    denied = step(made.task, Decided(at_ms=NOW_MS, call=asked.call, verdict=verdict), ENV)
    assert "not on Friday" in failure_of(denied).why
    assert kinds(denied)[0] is CallModel
    intent = intent_of("t-000000000001", "site:landing", "ship")
    blocked = step(thinking(), reply(ship), msgspec_env(denied=frozenset({intent})))
    assert "denied" in failure_of(blocked).why


def test_nobody_who_could_decide_is_a_refusal() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    made = step(thinking(initiators=()), reply(ship), msgspec_env(team=team(people_free())))
    assert failure_of(made).recovery


def people_free() -> object:
    from core.model.team import Person

    return Person(id="eve", name="Eve", role="member")


def test_several_calls_wait_for_the_slowest() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    made = step(thinking(), reply(use("look", at="x"), ship, use("note")), ENV)
    assert kinds(made)[:2] == [AskHuman, RunTool]
    run = only(made, RunTool)
    more = step(made.task, Returned(at_ms=NOW_MS, call=run.call, result=ToolResult()), ENV)
    assert kinds(more) == [SetDeadline]
    assert more.task.active_since_ms is None
    again = step(more.task, Returned(at_ms=NOW_MS, call=run.call, result=ToolResult()), ENV)
    assert again.effects == ()


# --- Questions, push-back, delegation --------------------------------------------------------------------------------


def test_questions_to_people() -> None:
    made = step(thinking(), reply(use("ask_human", question="Which?", options=["a", "b"], why="unsure")), ENV)
    assert only(made, AskHuman).inquiry.kind is Kind.CHOICE
    made = step(thinking(), reply(use("ask_human", question="Which?")), ENV)
    asked = only(made, AskHuman).inquiry
    verdict = Verdict(inquiry=asked.id, state=InquiryState.ANSWERED, by=("You",), answer="a")
    answered = step(made.task, Decided(at_ms=NOW_MS, call=asked.call, verdict=verdict), ENV)
    (entry,) = answered.entries
    assert "a" in entry.result.text
    assert "text" in failure_of(step(thinking(), reply(use("ask_human", question=" ")), ENV)).why


def test_handing_off() -> None:
    whole = use("hand_off", summary="s", changed=["c"], risks="r", next_needs=[], artifacts=["a"])
    assert finished(step(thinking(**CHILD), reply(use("hand_off", summary="s", changed=["c"])), ENV)).result == Handoff(
        summary="s", changed=("c",)
    )
    assert "risks" in failure_of(step(thinking(), reply(whole), ENV)).why
    assert failure_of(step(thinking(heard_n=1), reply(use("hand_off", summary="s")), ENV)) == (
        feedback.HANDOFF_AFTER_HEARING
    )
    both = step(thinking(), reply(use("look", at="x"), use("hand_off", summary="s")), ENV)
    assert failure_of(both) == feedback.HANDOFF_ALONE


def test_a_root_that_needs_to_know_asks_a_person() -> None:
    made = step(thinking(), reply(use("hand_off", needs="which site?")), ENV)
    assert only(made, AskHuman).inquiry.question == "which site?"


def test_a_child_pushes_back_is_answered_and_reports_to_the_answering_call() -> None:
    made = step(thinking(**CHILD), reply(use("hand_off", needs="which site?")), ENV)
    assert only(made, ReturnQuestion).question == "which site?"
    assert made.task.waiting_on == ("t-parent",)
    assert made.task.hops == 1
    deaf = step(made.task, Heard(at_ms=NOW_MS, text="hello", speaker="You"), ENV)
    assert deaf.effects == ()
    word = Heard(at_ms=NOW_MS, text="landing", speaker="CTO", by_role=True, call=CallId("t-parent:3:0"))
    answered = step(made.task, word, ENV)
    assert kinds(answered) == [CallModel, SetDeadline]
    assert answered.task.parent_call == "t-parent:3:0"
    far = step(thinking(hops=4, **CHILD), reply(use("hand_off", needs="which?")), ENV)
    assert failure_of(far).why


def delegate(**arguments: object) -> ToolUse:
    return use("delegate", **{"to": "ops", "kind": "deployment", "objective": "publish the page", **arguments})


def test_delegating_makes_a_child_and_its_result_ends_the_call() -> None:
    made = step(thinking("cto"), reply(delegate(success_criteria=["it is live"], requires_approval=True)), ENV)
    child = only(made, Delegate)
    assert (child.role, child.hops, child.gated) == ("ops", 1, True)
    assert made.task.waiting_on == (child.child,)
    report = ChildEnded(at_ms=NOW_MS, call=child.call, child=child.child, role="ops", result=Handoff(summary="live"))
    assert kinds(step(made.task, report, ENV)) == [CallModel, SetDeadline]


@pytest.mark.parametrize("changes", [{"to": "dev"}, {"to": "nobody"}, {"kind": "poetry"}])
def test_outside_the_matrix_nothing_is_handed_over(changes: dict[str, str]) -> None:
    made = step(thinking("cto"), reply(delegate(**changes)), ENV)
    assert "ops" in failure_of(made).recovery + failure_of(made).why


def test_a_child_that_asks_first_can_be_answered_by_the_prefix_of_its_id() -> None:
    made = step(thinking("cto"), reply(delegate()), ENV)
    child = only(made, Delegate)
    question = ChildEnded(
        at_ms=NOW_MS, call=child.call, child=child.child, role="ops", result=PushBack(question="which?")
    )
    asked = step(made.task, question, ENV)
    assert asked.task.asking == (child.child,)
    state = msgspec.structs.replace(asked.task, thinking=THINKING)
    wrong = step(state, reply(use("delegate", task="t-nobody", answer="x")), ENV)
    assert "waiting for an answer" in failure_of(wrong).why
    assert "waiting for an answer" in failure_of(step(state, reply(use("delegate", answer="x")), ENV)).why
    made = step(state, reply(use("delegate", task=child.child[:6], answer="landing")), ENV)
    assert only(made, AnswerChild).child == child.child
    assert made.task.asking == ()
    left = step(state, reply(text="never mind"), ENV)
    assert only(left, CancelChild).child == child.child


def test_the_same_work_three_times_between_two_roles_ends_at_the_supervisor() -> None:
    state = thinking("cto")
    for _ in range(10):
        made = step(state, reply(delegate()), ENV)
        if finish := [e for e in made.effects if isinstance(e, Finish)]:
            assert finish[0].phase is Phase.FAILED
            break
        state = msgspec.structs.replace(made.task, thinking=THINKING, calls=())
    else:
        pytest.fail("the loop was never noticed")


# --- Unknown outcomes, time, stopping --------------------------------------------------------------------------------


def running(**changes: object) -> Task:
    call = Call(
        id=CallId("c"),
        use="u",
        name="mail",
        arguments={"to": "x"},
        state=CallState.RUNNING,
        effect=EffectId("e"),
    )
    return task(calls=(call,), step=2, active_since_ms=NOW_MS - 1000, deadline=SignalId("d"), **changes)


LOST = Lost(at_ms=NOW_MS, call=CallId("c"), effect=EffectId("e"))


def test_an_unknown_outcome_is_put_before_a_person() -> None:
    made = step(running(), LOST, ENV)
    asked = only(made, AskHuman).inquiry
    assert (asked.kind, asked.generation) == (Kind.RECONCILE, 2)
    happened = Verdict(inquiry=asked.id, state=InquiryState.ANSWERED, answer={"outcome": "happened"}, by=("You",))
    (entry,) = step(made.task, Decided(at_ms=NOW_MS, call=CallId("c"), verdict=happened), ENV).entries
    assert entry.result.failure is None
    rerun = Verdict(inquiry=asked.id, state=InquiryState.APPROVED, grant="g-2", by=("You",))
    assert only(step(made.task, Decided(at_ms=NOW_MS, call=CallId("c"), verdict=rerun), ENV), RunTool).grant == "g-2"


def test_an_unknown_outcome_of_a_tool_that_is_gone_is_said_to_be_unknown() -> None:
    gone = team(roles={**TEAM.roles, "ops": role("ops", "cto")})
    made = step(running(), LOST, msgspec_env(team=gone))
    assert failure_of(made) == feedback.OUTCOME_UNKNOWN


def test_only_time_that_was_worked_counts() -> None:
    early = step(running(), TimedOut(at_ms=NOW_MS), ENV)
    assert early.effects == ()
    waiting = msgspec.structs.replace(running(), active_since_ms=None, calls=(), question="q")
    assert step(waiting, TimedOut(at_ms=NOW_MS), ENV).effects == ()
    late = step(running(active_ms=899_500), TimedOut(at_ms=NOW_MS), ENV)
    assert only(late, AbortEffect).effect == "e"
    assert late.task.phase is Phase.CANCELLING


def test_time_under_a_stop_is_not_work_and_the_timer_is_set_anew() -> None:
    made = step(running(active_ms=10_000), Held(at_ms=NOW_MS), ENV)
    assert (made.task.active_since_ms, made.task.active_ms) == (NOW_MS, 10_000)
    assert only(made, SetDeadline).due_at_ms == NOW_MS + 890_000
    assert step(task(question="q"), Held(at_ms=NOW_MS), ENV).effects == ()
    assert step(running(phase=Phase.CANCELLING), Held(at_ms=NOW_MS), ENV).effects == ()


def test_who_reads_the_result_of_a_task_that_read_the_outside_has_read_it_too() -> None:
    made = step(thinking("cto"), reply(delegate()), ENV)
    child = only(made, Delegate)
    report = ChildEnded(
        at_ms=NOW_MS, call=child.call, child=child.child, role="ops", result=Handoff(summary="s"), untrusted=True
    )
    assert step(made.task, report, ENV).task.untrusted


def calls_of_every_state() -> tuple[Call, ...]:
    base = {"use": "u", "name": "look", "arguments": {}}
    return (
        Call(id=CallId("r"), state=CallState.RUNNING, effect=EffectId("e"), **base),
        Call(id=CallId("p"), state=CallState.PERSON, inquiry=InquiryId("i-1"), **base),
        Call(id=CallId("c"), state=CallState.CHILD, child=TaskId("t-2"), **base),
        Call(id=CallId("d"), state=CallState.ENDED, **base),
    )


def test_stopping_winds_everything_down_and_ends_when_all_has_settled() -> None:
    state = task(calls=calls_of_every_state(), step=2, active_since_ms=NOW_MS)
    made = step(state, Stopped(at_ms=NOW_MS, by="You", reason="enough"), ENV)
    assert kinds(made) == [AbortEffect, CancelInquiry, CancelChild]
    assert made.task.phase is Phase.CANCELLING
    idle = [
        Heard(at_ms=NOW_MS, text="x", speaker="You"),
        Stopped(at_ms=NOW_MS, by="You"),
        TimedOut(at_ms=NOW_MS),
        Settled(at_ms=NOW_MS, effect=EffectId("other")),
        Returned(at_ms=NOW_MS, call=CallId("none"), result=ToolResult()),
        ModelFailed(at_ms=NOW_MS, effect=EffectId("x"), failure=feedback.GRANT_GONE),
        Replied(at_ms=NOW_MS, effect=EffectId("x"), reply=Reply(text="late")),
        Decided(at_ms=NOW_MS, call=CallId("p"), verdict=Verdict(inquiry=InquiryId("i-1"), state="cancelled")),
    ]
    now = made.task
    for entry in idle:
        after = step(now, entry, ENV)
        assert after.effects == ()
        now = after.task
    settled = step(now, Settled(at_ms=NOW_MS, effect=EffectId("e")), ENV)
    assert kinds(settled) == [SetDeadline]
    report = ChildEnded(at_ms=NOW_MS, call=CallId("c"), child=TaskId("t-2"), role="x", result=feedback.GRANT_GONE)
    ended = step(settled.task, report, ENV)
    assert finished(ended).phase is Phase.CANCELLED
    assert ended.task.result.why == "stopped by You: enough"
    for entry in (*idle, report, LOST, BEGUN):
        assert step(ended.task, entry, ENV).effects == ()


@pytest.mark.parametrize(
    "entry",
    [
        Replied(at_ms=NOW_MS, effect=THINKING, reply=Reply(text="late", usage=Usage(output_tokens=3))),
        ModelFailed(at_ms=NOW_MS, effect=THINKING, failure=feedback.GRANT_GONE),
        Settled(at_ms=NOW_MS, effect=THINKING),
    ],
)
def test_a_model_call_under_way_is_waited_for(entry: object) -> None:
    made = step(thinking(), Stopped(at_ms=NOW_MS, by="You"), ENV)
    assert kinds(made) == [AbortEffect]
    assert finished(step(made.task, entry, ENV)).phase is Phase.CANCELLED


def test_an_unknown_outcome_while_cancelling_is_asked_about_before_the_task_ends() -> None:
    made = step(running(), Stopped(at_ms=NOW_MS, by="You"), ENV)
    lost = step(made.task, LOST, ENV)
    asked = only(lost, AskHuman).inquiry
    assert lost.task.phase is Phase.CANCELLING
    verdict = Verdict(inquiry=asked.id, state=InquiryState.ANSWERED, answer={"outcome": "gave_up"}, by=("You",))
    ended = step(lost.task, Decided(at_ms=NOW_MS, call=CallId("c"), verdict=verdict), ENV)
    assert finished(ended).phase is Phase.CANCELLED


def test_a_new_definition_is_an_entry() -> None:
    made = step(thinking(), Redefined(at_ms=NOW_MS, definition="team-2"), ENV)
    assert made.task.definition == "team-2"
