"""Work goes down, results come up: in parallel, asked back, failed, cancelled, and never further than allowed."""

from __future__ import annotations

import asyncio

from core.adapters.models.scripted import both, fail, say, use, when
from core.model.errors import TerminalError
from core.model.work import Failure, Phase
from core.rules import feedback
from tests.engine_kit import BOB, YOU, Table, company

PAIR = company(YOU, BOB)


def hand(to: str, objective: str, kind: str = "deployment", **more):
    return use("delegate", to=to, kind=kind, objective=objective, **more)


def done(summary: str, **more):
    return use("hand_off", summary=summary, **more)


FAN_OUT = {
    "cto": [both(hand("ops", "look at the site"), hand("dev", "look at the code", "build")), say("both are fine")],
    "ops": [done("the site is fine")],
    "dev": [done("the code is fine", risks=["old tests"])],
}


async def test_two_pieces_go_out_side_by_side_and_come_back_to_one_synthesis() -> None:
    meeting = asyncio.Barrier(2)

    async def meet(request) -> None:
        if request.role in {"ops", "dev"}:
            await meeting.wait()

    table = Table(FAN_OUT, around=meet)
    await table.say("look at everything", role="cto")
    assert table.answer == "both are fine"
    assert table.model.calls_of("cto") == 2
    site, code = table.results("cto")
    assert site == "ops:\nthe site is fine"
    assert "Risk: old tests" in code
    assert [(t.role, t.depth, t.phase) for t in await table.tasks()] == [
        ("cto", 0, Phase.DONE),
        ("ops", 1, Phase.DONE),
        ("dev", 1, Phase.DONE),
    ]
    assert len(table.answers) == 1
    assert table.statuses[-1].roles_n == 3


async def test_work_goes_down_the_whole_line_and_its_card_shows_where_it_was_asked() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    table = Table(
        {
            "ceo": [hand("cto", "publish the landing page"), say("It is published.")],
            "cto": [hand("ops", "publish the landing page"), done("published")],
            "ops": [ship, done("shipped", changed=["landing"])],
        },
        team=PAIR,
    )
    await table.say("publish the landing page")
    asked = await table.inquiry()
    assert asked.chain == ("ceo", "cto")
    assert table.cards[-1].title == "OPS asks to run ship"
    await table.press("approve", "bob")
    assert table.answer == "It is published."
    assert "Changed: landing" in table.results("cto")[0]
    tree = await table.order(f"/task {(await table.task('cto')).id}")
    assert [line.index("t-") for line in tree.partition("\n\n")[0].splitlines()] == [0, 2, 4]


async def test_a_child_asks_back_is_answered_and_goes_on() -> None:
    def cto(request):
        results = [text for message in request.messages for _, text, _ in message.results]
        if not results:
            return hand("ops", "publish a page")
        if len(results) == 1:
            asking = results[0].partition("task ")[2].partition(")")[0]
            return use("delegate", task=asking, answer="the docs")
        return say(f"result: {results[-1]}")

    table = Table({"cto": cto, "ops": [use("hand_off", needs="which page?"), done("the docs are out")]})
    await table.say("publish it", role="cto")
    assert "ops asks first" in table.results("cto")[0]
    assert table.model.requests[-2].messages[-1].text.endswith("CTO answers: the docs")
    assert table.answer == "result: ops:\nthe docs are out"
    assert len(await table.tasks()) == 2


async def test_a_question_that_is_never_answered_ends_with_its_asker() -> None:
    table = Table({"cto": [hand("ops", "publish"), say("never mind")], "ops": [use("hand_off", needs="which?")]})
    await table.say("publish it", role="cto")
    assert table.answer == "never mind"
    assert (await table.task("ops")).phase is Phase.CANCELLED
    assert await table.engine.idle()


async def test_a_child_that_fails_is_told_to_its_asker_as_a_failure() -> None:
    script = {"cto": [hand("ops", "publish"), say("it failed")], "ops": [fail(TerminalError("no model", "get one"))]}
    table = Table(script)
    await table.say("publish it", role="cto")
    (result,) = table.results("cto")
    assert result.startswith("ops:\nFAILED: the model did not answer")
    assert table.model.requests[-1].messages[-1].results[0][2]
    assert table.answer == "it failed"


async def test_a_child_whose_budget_is_spent_fails_and_its_asker_goes_on() -> None:
    from tests.engine_kit import budgeted

    table = Table(FAN_OUT, team=budgeted(company(), "ops", day_tokens_max=10))
    await table.say("look at everything", role="cto")
    site, code = table.results("cto")
    assert "the budget of ops stopped the task" in site
    assert "the code is fine" in code
    assert table.answer == "both are fine"


async def test_a_child_given_up_on_form_is_taken_at_its_word_and_labelled() -> None:
    script = {"cto": [hand("ops", "look"), say("ok")], "ops": [say("fine"), say("fine"), say("it is fine")]}
    table = Table(script)
    await table.say("look", role="cto")
    assert table.results("cto") == ["ops:\nit is fine\nDegraded: given as prose, not as a handoff"]


async def test_further_than_allowed_work_does_not_go() -> None:
    script = {
        "ceo": [hand("cto", "build it", "build"), say("ok")],
        "cto": [hand("dev", "build it", "build"), done("built, with less")],
        "dev": [done("never")],
    }
    table = Table(script, team=company(hops_max=1))
    await table.say("build it")
    (refused,) = table.results("cto")
    assert "passed on too often" in refused
    assert table.model.calls_of("dev") == 0
    assert table.answer == "ok"


async def test_outside_the_matrix_and_from_a_leaf_nothing_is_handed_on() -> None:
    table = Table({"ceo": [hand("ops", "publish"), say("told")], "ops": [hand("dev", "build", "build"), say("told")]})
    await table.say("publish it")
    assert "ceo may not hand deployment to ops" in table.results("ceo")[0]
    assert "cto (deployment, build)" in table.results("ceo")[0]
    await table.say("publish it", role="ops")
    assert "ops may not use delegate" in table.results("ops")[0]
    assert {task.role for task in await table.tasks()} == {"ceo", "ops"}


async def test_the_same_work_to_and_fro_ends_at_the_supervisor() -> None:
    rules = [when(hand("ops", "publish the landing page"), role="cto")]
    table = Table({"ops": [done("not yet")]}, rules=tuple(rules))
    await table.say("publish the landing page", role="cto")
    task = await table.task("cto")
    assert task.phase is Phase.FAILED
    assert isinstance(task.result, Failure)
    assert "hand the same work to and fro" in table.answer
    assert len(await table.tasks()) == 4


async def test_cancelling_the_root_cancels_everything_below_it() -> None:
    table = Table(
        {
            "cto": [both(hand("ops", "look"), hand("dev", "build", "build")), say("?")],
            "ops": [use("mail", to="all"), done("?")],
            "dev": [use("note", text="a"), done("?")],
        },
        team=PAIR,
    )
    table.tools["note"].hold()
    await table.say("do it all", role="cto")
    asked = await table.inquiry()
    await table.order(f"/cancel {(await table.task('cto')).id}")
    assert {task.phase for task in await table.tasks()} == {Phase.CANCELLED}
    assert len(table.tools["note"].cancelled) == 1
    assert (await table.store.read.inquiry(asked.id)).inquiry.state.value == "cancelled"
    assert not table.tools["mail"].ran
    assert "stopped by You" in table.answer
    assert len(table.answers) == 1
    assert await table.engine.idle()


async def test_cancelling_a_child_is_a_failure_to_its_asker() -> None:
    table = Table({"cto": [hand("ops", "look"), say("it was stopped")], "ops": [use("note", text="a"), done("?")]})
    table.tools["note"].hold()
    await table.say("do it", role="cto")
    await table.order(f"/cancel {(await table.task('ops')).id}")
    assert feedback.WAS_CANCELLED in table.results("cto")[0]
    assert table.answer == "it was stopped"


async def test_stopping_the_root_stops_what_is_below_it() -> None:
    table = Table({"cto": [hand("ops", "look"), say("seen")], "ops": [use("note", text="a"), done("fine")]})
    table.tools["note"].hold()
    await table.say("do it", role="cto")
    root = (await table.task("cto")).id
    await table.order(f"/stop {root}")
    table.tools["note"].let_go.set()
    await table.settle()
    assert table.model.calls_of("ops") == 1
    assert not table.answers
    await table.order(f"/resume {root}")
    assert table.answer == "seen"


async def test_a_brief_that_needs_approval_gates_what_its_child_changes() -> None:
    script = {
        "cto": [hand("ops", "note it down", requires_approval=True), say("noted")],
        "ops": [both(use("look", at="x"), use("note", text="a")), done("noted")],
    }
    table = Table(script, team=PAIR)
    await table.say("note it", role="cto")
    assert len(table.tools["look"].ran) == 1
    assert not table.tools["note"].ran
    assert "what was asked of ops needs approval" in (await table.inquiry()).gates
    await table.press("approve", "bob")
    assert table.answer == "noted"
