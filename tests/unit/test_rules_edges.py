"""States and replies that no good run shows: the rules answer them all the same."""

from __future__ import annotations

import msgspec
import pytest

from core.model.effects import AskHuman, Finish, ReturnQuestion, SetDeadline
from core.model.ids import CallId, EffectId, TaskId
from core.model.inquiries import Inquiry
from core.model.unit import AddPost, AddSignal, PutInquiry, Reserve, Room
from core.model.work import (
    Begun,
    Brief,
    Call,
    CallState,
    Handoff,
    Phase,
    Replied,
    Reply,
    Settled,
    Stopped,
    ToolUse,
)
from core.rules import plan as plans
from core.rules import replies
from core.rules.plan import Plan, begin, fold, lease_of, title_of
from core.rules.step import Env, Step, step
from core.rules.transcript import turns_of
from tests import small
from tests.small import FINGERPRINTS, HAND_OFF, NOW_MS, task, team

TEAM = team()
ENV = Env(now_ms=NOW_MS, team=TEAM, fingerprints=FINGERPRINTS)
THINKING = EffectId("t-000000000001:0:e0")


def plan(env: Env = ENV) -> Plan:
    return Plan(env=env, secret="s")


def of(made: Plan, kind: type) -> list:
    return [change for change in made.changes if isinstance(change, kind)]


@pytest.mark.parametrize("state", [CallState.RUNNING, CallState.PERSON, CallState.CHILD])
def test_a_call_that_waits_for_nothing_known_is_wound_down_without_an_order(state: CallState) -> None:
    call = Call(id=CallId("t-000000000001:1:0"), use="u", name="note", arguments={}, state=state)
    made = step(task(calls=(call,)), Stopped(at_ms=NOW_MS, by="You"), ENV)
    orders = [type(effect) for effect in made.effects if not isinstance(effect, SetDeadline)]
    assert orders == ([Finish] if state is CallState.PERSON else [])
    assert made.task.phase is (Phase.CANCELLED if state is CallState.PERSON else Phase.CANCELLING)


def test_an_action_that_outlived_its_engine_has_no_duration() -> None:
    assert replies.ran(None, "") == "ran, while signoff was down for a moment"
    assert replies.ran(None, "it broke") == "failed: it broke"


def test_a_task_that_winds_down_without_a_result_waits_rather_than_makes_one_up() -> None:
    made = step(task(phase=Phase.CANCELLING), Settled(at_ms=NOW_MS, effect=THINKING), ENV)
    assert made.task.phase is Phase.CANCELLING
    assert made.effects == ()


def test_nothing_was_said_so_nothing_is_sent() -> None:
    assert turns_of(TaskId("t-000000000001"), (), THINKING) == ()


def test_a_root_has_nobody_to_push_back_to(monkeypatch) -> None:
    decided = Step(task=task(question="which?"), effects=(ReturnQuestion(question="which?"),))
    monkeypatch.setattr(plans, "step", lambda *_: decided)
    made = plan()
    fold(made, task(), Stopped(at_ms=NOW_MS, by="You"))
    assert of(made, AddSignal) == []
    assert of(made, AddPost) == []


def test_an_inquiry_without_a_deadline_sets_no_timer() -> None:
    reply = Reply(uses=(ToolUse(id="u", name="ask_human", arguments={"question": "Which?"}),))
    thinking = task(thinking=THINKING, step=1, active_since_ms=NOW_MS)
    (asked,) = [
        e
        for e in step(thinking, Replied(at_ms=NOW_MS, effect=THINKING, reply=reply), ENV).effects
        if isinstance(e, AskHuman)
    ]
    made = plan()
    plans.open_inquiry(made, msgspec.structs.replace(asked.inquiry, decide_by_ms=None))
    assert of(made, AddSignal) == []
    (put,) = of(made, PutInquiry)
    assert isinstance(put.inquiry, Inquiry)
    assert put.inquiry.version == 1


def test_lists_of_a_handoff_may_be_given_as_one_text() -> None:
    loose = msgspec.structs.replace(HAND_OFF, parameters={"type": "object"})
    ops = msgspec.structs.replace(TEAM.roles["ops"], specs=(loose,))
    env = Env(now_ms=NOW_MS, team=msgspec.structs.replace(TEAM, roles={**TEAM.roles, "ops": ops}))
    arguments = {"summary": "done", "changed": "one page", "risks": "  ", "next_needs": 7, "artifacts": ["a", 1]}
    reply = Reply(uses=(ToolUse(id="u", name="hand_off", arguments=arguments),))
    made = step(task(thinking=THINKING, step=1), Replied(at_ms=NOW_MS, effect=THINKING, reply=reply), env)
    (finish,) = [effect for effect in made.effects if isinstance(effect, Finish)]
    assert finish.result == Handoff(summary="done", changed=("one page",), artifacts=("a", "1"))


def test_what_one_plan_holds_of_a_day_is_asked_for_together() -> None:
    made = plan()
    for n in (1, 2):
        one = task(id=TaskId(f"t-00000000000{n}"), version=0)
        begin(made, one, Begun(at_ms=NOW_MS, brief=Brief(objective="x"), definition="team-1", asked_by="You"))
    held = [change.tokens for change in of(made, Reserve)]
    rooms = [guard.tokens for guard in made.guards if isinstance(guard, Room)]
    assert rooms == [held[0], sum(held)]


def test_a_lease_outlives_what_it_covers() -> None:
    from core.model.effects import CallModel, RunTool

    tool = RunTool(
        id=THINKING, call=CallId("c"), tool="note", arguments={}, effect=small.NOTE.effect, seconds_max=30, digest=""
    )
    assert lease_of(tool) > 30_000
    assert lease_of(CallModel(id=THINKING)) > plans.MODEL_SECONDS_MAX * 1000


@pytest.mark.parametrize(("text", "title"), [("\n one\ntwo", "one"), ("x" * 200, "x" * 79 + "…"), ("", "")])
def test_titles_are_one_short_line(text: str, title: str) -> None:
    assert title_of(text) == title
