"""Models that fail, answer badly or cost too much: each costs one task, with a reason, and nothing else."""

from __future__ import annotations

import asyncio

import pytest

from core.adapters.models.scripted import both, fail, say, use
from core.model.errors import (
    AuthenticationError,
    ContextOverflowError,
    OverloadedError,
    TerminalError,
)
from core.model.team import ModelSpec
from core.model.unit import Spent
from core.model.views import Trouble
from core.model.work import Phase, Reply, Stop, ToolUse
from core.rules import feedback
from core.rules.plan import MODEL_SECONDS_MAX
from core.runtime.perform import ATTEMPTS_MAX, BROKEN_WAIT_MS
from tests.engine_kit import BOB, YOU, Table, budgeted, company

PAIR = company(YOU, BOB)
SHIP = use("run_command", command="ship", args={"site": "landing"})
TOLD = say("told")


async def run(*steps, team=None, **more) -> Table:
    table = Table({"ops": [*steps, TOLD]}, team=team, **more)
    await table.say("do it", role="ops")
    return table


# --- Models ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (AuthenticationError("the key is wrong (401)", "set ANTHROPIC_API_KEY"), "set ANTHROPIC_API_KEY"),
        (OverloadedError("the model is overloaded (529)"), "the model is overloaded (529)"),
        (ContextOverflowError("the request is larger than the window"), "larger than the window"),
        (TerminalError("the model sent half an answer", "ask again"), "half an answer"),
    ],
)
async def test_a_model_that_does_not_answer_fails_its_task_in_words(error, why: str) -> None:
    table = Table({"ops": [fail(error)]})
    await table.say("do it", role="ops")
    assert (await table.task()).phase is Phase.FAILED
    assert isinstance(table.answers[-1], Trouble)
    assert why in table.answer
    assert "Traceback" not in table.answer
    assert await table.spent("ops") == Spent()


async def test_without_a_model_the_task_says_what_to_set() -> None:
    table = Table({}, models={})
    await table.say("do it", role="ops")
    assert "no model of scripted is configured" in table.answer
    assert "set its key, or another preset" in table.answer


async def test_a_model_that_never_answers_is_given_up() -> None:
    never = asyncio.Event()

    async def hang(_request) -> None:
        await never.wait()

    table = await run(around=hang)
    assert (await table.task()).thinking
    table.pass_timeouts(MODEL_SECONDS_MAX + 1)
    await table.settle()
    assert "did not answer in 900 s" in table.answer
    assert (await table.spent("ops")).reserved_tokens == 0


async def test_a_provider_that_breaks_its_word_is_asked_again_and_then_fails_its_task_not_the_engine() -> None:
    class Broken:
        async def reply(self, request):
            raise KeyError("choices")

    table = Table({}, model=Broken(), expect=("effect.broke",))
    await table.say("do it", role="ops")
    assert not (await table.task()).phase.final
    await table.settle_later(seconds=BROKEN_WAIT_MS * ATTEMPTS_MAX / 1000, times=ATTEMPTS_MAX)
    assert (await table.task()).phase is Phase.FAILED
    assert feedback.ENGINE_BROKE in table.answer
    assert await table.engine.idle()
    assert await table.spent("ops") == Spent()


async def test_an_empty_answer_is_asked_for_again_and_a_third_one_fails() -> None:
    table = Table({"ops": [say(""), say(" "), say("here it is")]})
    await table.say("do it", role="ops")
    assert table.answer == "here it is"
    assert table.model.requests[1].messages[-1].text.endswith(feedback.REPLY_WAS_EMPTY)
    table = Table({"ops": [say(""), say(""), say("")]})
    await table.say("do it", role="ops")
    assert feedback.MODEL_SAID_NOTHING in table.answer


async def test_a_refusal_and_a_cut_answer_are_said_to_be_what_they_are() -> None:
    table = Table({"ops": [Reply(text="I will not.", stop=Stop.REFUSED)]})
    await table.say("do it", role="ops")
    assert feedback.MODEL_REFUSED in table.answer
    table = Table({"ops": [Reply(text="The page is", stop=Stop.CUT)]})
    await table.say("do it", role="ops")
    assert table.answers[-1].degraded == feedback.ANSWER_WAS_CUT


@pytest.mark.parametrize(
    ("call", "why"),
    [
        (use("rm_rf", path="/"), "not among those team.yaml allows"),
        (use("note"), "text"),
        (use("note", text=7), "text"),
        (use("run_command", command="ship", args={"n": 2**60}), "2^53"),
        (use("note", text="a", colour="red"), "colour"),
        (Reply(uses=(ToolUse(id="u", name="note", arguments=None),)), "not a JSON object"),
        (Reply(uses=(ToolUse(id="u", name="note", arguments=[1]),)), "not a JSON object"),
        (use("run_command", command="rm", args={}), "command must be one of ['ship']"),
        (use("run_command", command="ship", args={"site": "moon"}), "site must be one of"),
    ],
)
async def test_a_call_that_cannot_be_comes_back_and_the_agent_goes_on(call, why: str) -> None:
    table = await run(call)
    (result,) = table.results()
    assert result.startswith("FAILED")
    assert why in result
    assert not any(tool.ran for tool in table.tools.values())
    assert table.answer == "told"


async def test_a_request_over_the_call_budget_says_how_large_it_was() -> None:
    table = Table({"ops": [TOLD]})
    await table.say("x" * 200_000, role="ops")
    assert "a call may read 32000" in table.answer
    assert "raise budget.call.input" in table.answer
    assert not table.model.calls


# --- Budgets and time ------------------------------------------------------------------------------------------------

PRICED = {
    name: ModelSpec(
        provider="scripted", model="m", input_microusd_per_mtok=3_000_000, output_microusd_per_mtok=15_000_000
    )
    for name in ("triage", "work", "deep")
}


async def test_what_a_call_cost_is_booked_and_nothing_stays_held() -> None:
    table = await run(team=company(models=PRICED))
    spent = await table.spent("ops")
    assert spent == Spent(tokens=110, microusd=450)
    assert (await table.task()).usage.cost_microusd == 450


async def test_while_a_model_thinks_the_most_it_may_cost_is_held() -> None:
    never = asyncio.Event()

    async def hang(_request) -> None:
        await never.wait()

    table = await run(around=hang, team=company(models=PRICED))
    spent = await table.spent("ops")
    assert (spent.tokens, spent.reserved_tokens, spent.reserved_microusd) == (0, 36_000, 156_000)


@pytest.mark.parametrize("limits", [{"day_tokens_max": 36_050}, {"day_microusd_max": 156_100}], ids=["tokens", "money"])
async def test_a_spent_day_stops_the_next_call_and_says_whose_budget_it_was(limits) -> None:
    table = await run(use("look", at="a"), team=budgeted(company(models=PRICED), "ops", **limits))
    task = await table.task()
    assert task.phase is Phase.FAILED
    assert task.turns == 1
    assert "the budget of ops stopped the task" in table.answer
    assert "team.yaml" in table.answer
    spent = await table.spent("ops")
    assert spent.reserved_tokens == spent.reserved_microusd == 0
    await table.say("and this", role="ops")
    assert (await table.task()).turns == 0
    assert (await table.task()).phase is Phase.FAILED
    said = await table.order(f"/retry {(await table.task()).id}")
    assert said.startswith("Starting")
    assert (await table.task()).phase is Phase.FAILED
    table.turn_clock(hours=24)
    await table.say("tomorrow, then", role="ops")
    assert (await table.task()).turns == 1


async def test_a_budget_that_only_warns_stops_nothing() -> None:
    team = budgeted(company(models=PRICED), "ops", day_tokens_max=1, task_tokens_max=1, hard_stop=False)
    table = await run(use("look", at="a"), team=team)
    assert table.answer == "told"


@pytest.mark.parametrize(
    ("limits", "why"), [({"task_calls_max": 2}, "2 of 2 calls"), ({"task_tokens_max": 200}, "220 of 200 tokens")]
)
async def test_a_spent_task_stops(limits, why: str) -> None:
    table = await run(use("look", at="a"), use("look", at="b"), team=budgeted(company(), "ops", **limits))
    assert "the budget of this task is spent" in table.answer
    assert why in table.answer


async def test_two_calls_held_in_one_step_are_held_together() -> None:
    """A turn that hands two pieces to one role may not reserve the role's day twice over."""
    team = budgeted(company(), "ops", day_tokens_max=50_000)
    two = both(*(use("delegate", to="ops", kind="deployment", objective=f"look at site {n}") for n in "ab"))
    never = asyncio.Event()

    async def hang(request) -> None:
        if request.role == "ops":
            await never.wait()

    table = Table({"cto": [two, say("told")], "ops": [use("hand_off", summary="seen")]}, team=team, around=hang)
    await table.say("look at both", role="cto")
    assert (await table.spent("ops")).reserved_tokens <= 50_000


async def test_only_time_that_was_worked_counts_toward_the_wall_clock() -> None:
    never, stuck = asyncio.Event(), []

    async def hang(_request) -> None:
        if stuck:
            await never.wait()

    table = await run(use("ask_human", question="When?"), around=hang)
    table.turn_clock(hours=80)
    await table.settle()
    assert (await table.task()).phase is Phase.WORKING
    stuck.append(True)
    await table.order("/answer now")
    table.turn_clock(seconds=899)
    await table.settle()
    assert (await table.task()).phase is Phase.WORKING
    table.turn_clock(seconds=1)
    await table.settle()
    assert (await table.task()).phase is Phase.FAILED
    assert "it worked for 900 s, which is its limit" in table.answer
