"""What the company goes through: each scenario is a few presses and words, with whatever befalls the process between.

A scenario must hold whether or not the process dies on the way, so it says what people do, and leaves to `checks` what
must be true. What holds only in an undisturbed run is asked `if world.calm`.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from core.adapters.models.scripted import Script, Step, both, fail, last_of, say, turn_of, use
from core.model.errors import AuthenticationError, OverloadedError
from core.model.inquiries import Kind
from core.model.team import Budget, Person
from core.model.work import Phase, Reply, Stop
from core.ports import ModelRequest
from tests.simulation import company
from tests.simulation.company import ANA, BEN, CAL, EVE
from tests.simulation.contracts import GROWING, JUDGED
from tests.simulation.world import World

ROOMY = {"devops": msgspec.structs.replace(company.BUDGET, task_calls_max=40)}
WRAP_UPS_MAX = 12
DEPLOY = use("run_command", command="deploy", args={"site": "landing"})
DONE = use("hand_off", summary="The landing page is deployed.", changed=["site"], risks=["none known"])


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """A script for the models, and what people do."""

    name: str
    run: Callable[[World], Awaitable[None]]
    script: Mapping[str, Script]
    people: tuple[Person, ...] = (ANA,)
    team: Mapping[str, Any] = field(default_factory=dict)
    world: Mapping[str, Any] = field(default_factory=dict)
    alone: bool = False  # an order to stop something under way reaches only the engine's own process

    def new_world(self, seed: int, **how: Any) -> World:
        team = company.company(*self.people, **self.team)
        return World(seed, script=self.script, team=team, **{**self.world, **how})


def give(to: str, objective: str, kind: str = "build") -> Reply:
    return use("delegate", to=to, kind=kind, objective=objective)


def chain(*devops: Step, what: str = "Deploy the landing page") -> dict[str, Script]:
    """CEO > CTO > DevOps, where DevOps does this."""
    return {
        "ceo": [give("cto", what), say("The landing page is settled.")],
        "cto": [give("devops", what, "operate"), use("hand_off", summary="DevOps is done.")],
        "devops": list(devops),
    }


async def approve(world: World, verb: str = "approve", kind: Kind = Kind.APPROVAL) -> None:
    """Whoever must agree does: alone by two presses, or those who did not ask, until it is enough."""
    people = [p.id for p in world.team.people if p.may_approve and p.id != "ana"]
    for person in people or ["ana", "ana"]:
        if any(one.kind is kind for one in world.open_inquiries()):
            world.press(verb, by=person)
            await world.settle()


async def wrap_up(world: World, *, happened: str = "happened") -> None:
    """People deal with everything that is left: what crashes made unknown, and what is asked again because of them."""
    for _ in range(WRAP_UPS_MAX):
        await world.settle()
        left = world.open_inquiries()
        if not left:
            return
        match left[0].kind:
            case Kind.RECONCILE if happened == "rerun":
                await approve(world, "rerun", Kind.RECONCILE)
            case Kind.RECONCILE:
                world.press(happened, by=decider(world))
            case Kind.APPROVAL:
                await approve(world)
            case _:
                world.press("answer", answer="as you like")
    raise AssertionError(f"seed {world.seed}: people are asked for ever: {world.open_inquiries()}")


def decider(world: World) -> str:
    return next((p.id for p in world.team.people if p.may_approve and p.id != "ana"), "ana")


# --- 1, 2: the chain ------------------------------------------------------------------------------------------------


async def deploy(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    await approve(world)
    await wrap_up(world)
    if world.calm:
        assert world.executions("deploy") == 1
        assert world.answers == ["The landing page is settled."]


# --- 3: fan-out -----------------------------------------------------------------------------------------------------

FAN_OUT: dict[str, Script] = {
    "ceo": [give("cto", "Make the page"), say("The page is made.")],
    "cto": [
        both(give("developer", "Write the page"), give("qa", "Write the tests")),
        use("hand_off", summary="Both are done.", changed=["page", "tests"]),
    ],
    "developer": [use("note", text="page"), use("hand_off", summary="written")],
    "qa": [both(use("note", text="tests"), use("look", page="index")), use("hand_off", summary="tested")],
}


async def fan_out(world: World) -> None:
    world.say("make the page")
    await wrap_up(world)
    assert world.answers in (["The page is made."], [])
    assert world.executions("note") >= 2
    cto = world.task_of("cto")
    assert cto.result is not None
    assert cto.turns == 2


async def judged(world: World) -> None:
    world.say("write the page")
    await wrap_up(world)
    assert world.answers in (["The page is written."], [])
    assert world.task_of("developer").judged_n == 1


async def growing(world: World) -> None:
    world.say("note it all")
    await wrap_up(world)
    assert world.answers in (["It is noted."], [])
    assert world.task_of("devops").context_tokens < 7_000


# --- 4, 5: a denial, an edit ----------------------------------------------------------------------------------------


async def denial(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    world.press("deny", by=decider(world), reason="not on a Friday")
    await wrap_up(world)
    assert world.executions("deploy") == 0, "what was denied ran"
    assert len(world.store._tables.inquiries) == 1, "what was denied was asked again"


async def edit(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    world.press("edit", by=decider(world), edit='{"args.site": "brochure"}')
    await world.settle()
    await approve(world)
    await wrap_up(world)
    assert all(one.arguments["args"] == {"site": "brochure"} for one in world.outside.done)
    if world.calm:
        assert world.executions("deploy") == 1


# --- 6: a push-back -------------------------------------------------------------------------------------------------


def _answer_back(request: ModelRequest) -> Step:
    asking = re.search(r"asks first \(task (t-[0-9a-f]+)\)", last_of(request))
    if turn_of(request) == 0:
        return give("developer", "Paint the page")
    if asking:
        return use("delegate", task=asking[1], answer="blue")
    return use("hand_off", summary="painted")


PUSH_BACK: dict[str, Script] = {
    "ceo": [give("cto", "Paint the page"), say("It is painted.")],
    "cto": _answer_back,
    "developer": [use("hand_off", needs="Which colour?"), use("note", text="blue"), use("hand_off", summary="blue")],
}


async def push_back(world: World) -> None:
    world.say("paint the page")
    await wrap_up(world)
    assert {task.phase for task in world.tasks()} == {Phase.DONE}
    assert world.executions("note") >= 1


# --- 7: overdue, then answered late ---------------------------------------------------------------------------------


async def overdue(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    world.turn_clock(hours=49)
    await world.settle()
    assert [one.overdue for one in world.open_inquiries()] == [True]
    assert world.executions("deploy") == 0
    await approve(world)
    await wrap_up(world)
    if world.calm:
        assert world.executions("deploy") == 1


# --- 8: an unknown outcome ------------------------------------------------------------------------------------------


def unknown(answer: str) -> Callable[[World], Awaitable[None]]:
    async def run(world: World) -> None:
        world.say("deploy the landing page")
        await world.settle()
        world.crash_on("after run_command")
        await approve(world)
        asked = [one for one in world.store._tables.inquiries.values() if one.kind is Kind.RECONCILE]
        assert asked or not world.calm, "nobody was asked what became of it"
        await wrap_up(world, happened=answer)
        if world.calm:
            assert world.executions("deploy") == (2 if answer == "rerun" else 1)

    return run


# --- 9: a full disk -------------------------------------------------------------------------------------------------


async def full_disk(world: World) -> None:
    world.say("deploy the landing page")
    world.disk_full(commits=3)
    await world.settle()
    world.disk_full(commits=7)
    await approve(world)
    await wrap_up(world)
    if world.calm:
        assert world.executions("deploy") == 1
        assert not [one for one in world.store._tables.inquiries.values() if one.kind is Kind.RECONCILE]


async def full_disk_after_run(world: World) -> None:
    """The disk fills up while the command runs: its outcome is known, and must not be lost."""
    world.outside.hold.add("run_command")
    world.say("deploy the landing page")
    await world.settle()
    await approve(world)
    world.disk_full(commits=5)
    world.let_go("run_command")
    await wrap_up(world)
    if world.calm:
        assert world.executions("deploy") == 1
        assert not [one for one in world.store._tables.inquiries.values() if one.kind is Kind.RECONCILE]


# --- 10: a message meanwhile ----------------------------------------------------------------------------------------


async def meanwhile(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    world.say("and tell me when it is done")
    await world.settle()
    await approve(world)
    await wrap_up(world)
    assert len(world.tasks()) == 3, "a word to a running task started another"
    told = [m.text for request in world.model.requests if request.role == "ceo" for m in request.messages]
    assert any("and tell me when it is done" in text for text in told)


# --- 11: cancelling -------------------------------------------------------------------------------------------------


async def cancel_waiting(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    world.command("cancel", world.task_of("ceo").id)
    await wrap_up(world)
    assert world.executions("deploy") == 0
    assert {task.phase for task in world.tasks()} <= {Phase.CANCELLED}


async def cancel_running(world: World) -> None:
    world.outside.hold.add("run_command")
    world.say("deploy the landing page")
    await world.settle()
    await approve(world)
    world.command("cancel", world.task_of("ceo").id)
    await wrap_up(world)
    assert world.executions("deploy") == 0
    assert {task.phase for task in world.tasks()} <= {Phase.CANCELLED}


async def cancel_against_approve(world: World) -> None:
    """The last approval and the order to stop cross each other; the tool would not end of itself."""
    world.outside.hold.add("run_command")
    world.say("deploy the landing page")
    await world.settle()
    world.press("approve")
    await world.settle()
    world.press("approve")
    world.command("cancel", world.task_of("devops").id)
    await wrap_up(world)
    assert world.executions("deploy") == 0
    assert world.task_of("devops").phase is Phase.CANCELLED
    assert world.task_of("ceo").phase is Phase.DONE


async def cancel_thinking(world: World) -> None:
    world.say("make the page")
    world.say("make another page")
    world.command("cancel", "t-")
    await wrap_up(world)


# --- 12: budgets ----------------------------------------------------------------------------------------------------

POOR = {"budgets": {"cto": Budget(call_input_tokens_max=8_000, call_output_tokens_max=1_000, day_tokens_max=12_000)}}
FEW_CALLS = {"budgets": {"developer": Budget(task_calls_max=2)}}


def _tireless(request: ModelRequest) -> Step:
    return use("note", text=f"line {turn_of(request)}")


async def day_budget(world: World) -> None:
    """The second task of the day does not fit, nor does any call that would not fit with those under way."""
    for n in range(40):
        world.say(f"make page {n}", role="cto")
    await wrap_up(world)
    assert Phase.FAILED in {task.phase for task in world.tasks()}


async def call_budget(world: World) -> None:
    world.say("make the page")
    await wrap_up(world)
    assert world.task_of("developer").phase is Phase.FAILED
    assert world.task_of("developer").turns == 2


# --- 13: hops and loops ---------------------------------------------------------------------------------------------


def _passes_on(to: str) -> Callable[[ModelRequest], Step]:
    def script(request: ModelRequest) -> Step:
        return give(to, f"Do it, {to}") if turn_of(request) == 0 else use("hand_off", summary="passed on")

    return script


async def hops(world: World) -> None:
    world.say("do it")
    await wrap_up(world)
    assert max(task.hops for task in world.tasks()) == world.team.hops_max
    assert len(world.tasks()) == world.team.hops_max + 1


LOOP: dict[str, Script] = {
    "ceo": [give("cto", "Review the page"), say("It did not work.")],
    "cto": lambda _request: give("qa", "Review the page", "review"),
    "qa": [use("hand_off", summary="reviewed")],
}


async def loop(world: World) -> None:
    world.say("review the page")
    await wrap_up(world)
    assert world.task_of("cto").phase is Phase.FAILED


# --- 14: many calls in one turn -------------------------------------------------------------------------------------

PARALLEL = chain(
    both(use("look", page="a"), DEPLOY, use("look", page="b"), use("ask_human", question="Which day?")), DONE
)


async def parallel(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    assert world.executions("look") >= 2, "two calls waited for a third"
    world.press("answer", answer="today")
    await world.settle()
    await approve(world)
    await wrap_up(world)
    if world.calm:
        assert world.executions("deploy") == 1


# --- A tool that cannot be repeated, and asks nobody ----------------------------------------------------------------


async def ring(world: World) -> None:
    world.say("see to the bell")
    await wrap_up(world)
    if world.calm:
        assert world.executions("ring") == 1


# --- 15: models and tools that misbehave ----------------------------------------------------------------------------


def one_role(*steps: Step) -> dict[str, Script]:
    return {"ceo": list(steps)}


async def ask(world: World) -> None:
    world.say("hello")
    await wrap_up(world)
    assert world.task_of("ceo").phase.final


async def broken_tool(world: World) -> None:
    world.outside.raises.add("look")
    world.outside.raises.add("ring")
    world.say("see to the bell")
    await wrap_up(world, happened="give_up")
    assert world.executions("ring") == 0


MANY = both(*(use("delegate", to="cto", kind="build", objective=f"Make page {n}") for n in range(20)))
HAND = use("hand_off", summary="made")
BAD_MODELS: dict[str, Mapping[str, Script]] = {
    "401": one_role(fail(AuthenticationError("the key is wrong (401)", "set ANTHROPIC_API_KEY"))),
    "overloaded": one_role(fail(OverloadedError("overloaded (529)"))),
    "empty": one_role(say(""), say(" "), say("")),
    "refusal": one_role(Reply(text="I will not.", stop=Stop.REFUSED)),
    "cut": one_role(Reply(text="The first half of", stop=Stop.CUT)),
    "unknown tool": one_role(use("fly", height=3), say("I cannot fly.")),
    "bad arguments": one_role(use("ask_human", question=3, colour="red"), say("I cannot ask.")),
    "no arguments": one_role(use("delegate"), say("To nobody.")),
    "twenty calls": {"ceo": [MANY, say("made")], "cto": [HAND]},
    "child in prose": {"ceo": [give("cto", "Say it"), say("said")], "cto": [say("a"), say("b"), say("c")]},
}

THREE = (ANA, BEN, CAL)
RING = chain(both(use("ring", times=1), use("look", page="bell")), DONE, what="See to the bell")

SHORT: tuple[Scenario, ...] = (
    Scenario(name="deploy, single operator", run=deploy, script=chain(DEPLOY, DONE)),
    Scenario(name="deploy, two of three", run=deploy, script=chain(DEPLOY, DONE), people=THREE),
    Scenario(name="deploy, a tool that remembers", run=deploy, script=chain(DEPLOY, DONE), world={"remembers": True}),
    Scenario(
        name="deploy, a platform that cannot tell", run=deploy, script=chain(DEPLOY, DONE), world={"nonce": False}
    ),
    Scenario(name="fan-out", run=fan_out, script=FAN_OUT),
    Scenario(name="judged", run=judged, script=JUDGED, team={"judged_by": {"developer": "qa"}}),
    Scenario(name="growing", run=growing, script=GROWING, team={"budgets": ROOMY}),
    Scenario(name="denial", run=denial, script=chain(DEPLOY, DEPLOY, DONE), people=THREE),
    Scenario(name="edit", run=edit, script=chain(DEPLOY, DONE), people=(*THREE, EVE)),
    Scenario(name="edit, single operator", run=edit, script=chain(DEPLOY, DONE)),
    Scenario(name="push-back", run=push_back, script=PUSH_BACK),
    Scenario(name="overdue", run=overdue, script=chain(DEPLOY, DONE), people=THREE),
    Scenario(name="unknown, happened", run=unknown("happened"), script=chain(DEPLOY, DONE), people=THREE),
    Scenario(name="unknown, run it", run=unknown("rerun"), script=chain(DEPLOY, DONE), people=THREE),
    Scenario(name="unknown, run it, single operator", run=unknown("rerun"), script=chain(DEPLOY, DONE)),
    Scenario(name="unknown, give up", run=unknown("give_up"), script=chain(DEPLOY, DONE)),
    Scenario(name="full disk", run=full_disk, script=chain(DEPLOY, DONE)),
    Scenario(name="full disk after the run", run=full_disk_after_run, script=chain(DEPLOY, DONE)),
    Scenario(
        name="a message meanwhile",
        run=meanwhile,
        script={
            **chain(DEPLOY, DONE),
            "ceo": [give("cto", "Deploy the landing page"), say("Settled."), say("Settled, and told.")],
        },
    ),
    Scenario(name="cancel while waiting", run=cancel_waiting, script=chain(DEPLOY, DONE)),
    Scenario(
        name="cancel while running",
        run=cancel_running,
        script=chain(DEPLOY, DONE),
        world={"remembers": True},
        alone=True,
    ),
    Scenario(
        name="cancel against approve",
        run=cancel_against_approve,
        script=chain(DEPLOY, DONE),
        world={"remembers": True},
        alone=True,
    ),
    Scenario(name="cancel while thinking", run=cancel_thinking, script=FAN_OUT),
    Scenario(
        name="call budget",
        run=call_budget,
        team=FEW_CALLS,
        script={
            "ceo": [give("cto", "Make the page"), say("It is not made.")],
            "cto": [give("developer", "Make the page"), use("hand_off", summary="not made")],
            "developer": _tireless,
        },
    ),
    Scenario(
        name="hops",
        run=hops,
        script={
            "ceo": _passes_on("cto"),
            "cto": _passes_on("developer"),
            "developer": _passes_on("qa"),
            "qa": _passes_on("developer"),
        },
    ),
    Scenario(name="loop", run=loop, script=LOOP),
    Scenario(name="many calls in one turn", run=parallel, script=PARALLEL, people=THREE),
    Scenario(name="a bell nobody is asked about", run=ring, script=RING),
    Scenario(name="a broken tool", run=broken_tool, script=RING),
    *(Scenario(name=f"model: {name}", run=ask, script=script) for name, script in BAD_MODELS.items()),
)
LONG: tuple[Scenario, ...] = (Scenario(name="day budget", run=day_budget, team=POOR, script={"cto": [say("made")]}),)
EVERY = (*SHORT, *LONG)
