"""Promises that only the engine at work can keep or break: each test stands between two of its steps and interferes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import msgspec
import pytest

from core import ports
from core.adapters.memory import MemoryStore
from core.adapters.models.scripted import Script, both, say, use
from core.model import unit as u
from core.model.errors import AmbiguousError, StoreFullError
from core.model.events import ControlPressed, MessageReceived, Sender
from core.model.ids import CallId, EffectId, InquiryId
from core.model.inquiries import DeliveryState, Evidence, GrantState, InquiryState, Kind, Verb
from core.model.signals import StopOrder
from core.model.team import StageRule, TierRule
from core.model.views import DecidedCard, Post
from core.model.work import Call, CallState, Decided, Heard, Phase, Replied, Returned, ToolResult, Verdict
from core.rules import inquiry as rules
from core.rules import notes
from core.rules.plan import Plan, fold
from core.rules.step import Env, step
from core.rules.votes import count
from core.runtime import inquiries
from core.runtime.deciding import decide
from core.runtime.engine import Engine
from core.runtime.intake import StoreIntake
from tests import rules_kit, small
from tests.simulation import company
from tests.simulation.company import ANA, BEN, CAL
from tests.simulation.places import SimClock
from tests.simulation.scenarios import DEPLOY, DONE, POOR, approve, chain, wrap_up
from tests.simulation.world import CHANNEL, World

THREE = (ANA, BEN, CAL)
SCRIPT = chain(DEPLOY, DONE)


def world_of(*people: Any, script: dict[str, Script] = SCRIPT, **how: Any) -> World:
    return World(1, script=script, team=company.company(*people), **how)


def engine_of(world: World) -> Engine:
    return world.engines[world.lives[-1]]


async def heard(world: World) -> None:
    """What came in is accepted and dealt with; nothing is performed or sent."""
    engine = engine_of(world)
    while world.screen.pending:
        await engine.intake.accept(world.screen.pending.pop(0))
    for _ in range(4):
        await engine.dispatcher.sweep()


async def about_to_run(world: World) -> u.LeasedEffect:
    """Approved and leased: the next thing to happen would be the deployment."""
    world.say("deploy the landing page")
    await world.settle()
    others = [person.id for person in world.team.people if person.id != "ana"]
    for person in others or ["ana", "ana"]:
        world.press("approve", by=person)
        await heard(world)
    (leased,) = await engine_of(world).worker.claim()
    assert next(iter(world.store._tables.grants.values())).state is GrantState.LIVE
    return leased


async def perform(world: World, leased: u.LeasedEffect) -> None:
    await engine_of(world).worker._performer.run(leased)


# --- P1: an accepted message is never lost ----------------------------------------------------------------------------


def message(key: str = "sim:1") -> MessageReceived:
    return MessageReceived(key=key, at_ms=0, conversation=CHANNEL, sender=Sender(account="sim:ana"), text="hello")


class FullStore(MemoryStore):
    async def commit(self, unit: u.Unit) -> u.Answer:
        raise StoreFullError("the disk is full")


async def test_nothing_is_acknowledged_before_it_is_committed():
    store = MemoryStore(SimClock())
    assert await StoreIntake(store).accept(message())
    events, _, _ = await store.due(9)
    assert [stored.event.key for stored in events] == ["sim:1"]
    with pytest.raises(StoreFullError):
        await StoreIntake(FullStore(SimClock())).accept(message())


async def test_an_event_and_what_it_started_are_one_transaction():
    world = world_of()
    await world.restart()
    world.say("deploy the landing page")
    await heard(world)
    events, _, _ = await world.store.due(9)
    assert (events, len(world.tasks())) == ((), 1)
    assert world.task_of("ceo").heard_n == 0, "it was also told to the task it had started"


async def test_a_word_meanwhile_is_heard_once():
    world = world_of()
    world.say("deploy the landing page")
    await world.settle()
    world.say("and tell me when")
    await heard(world)
    events, _, _ = await world.store.due(9)
    assert (events, world.task_of("ceo").heard_n) == ((), 1)


async def test_a_signal_is_closed_by_what_it_did():
    world = world_of()
    world.say("deploy the landing page")
    await world.settle()
    world.command("cancel", world.task_of("ceo").id)
    await heard(world)
    orders = [row for row in world.store._tables.signals.values() if isinstance(row.signal.errand, StopOrder)]
    assert orders
    assert {row.state for row in orders} == {"done"}


# --- P2: what is done is not done again -------------------------------------------------------------------------------


async def test_a_holder_that_lost_its_lease_records_nothing():
    world = world_of()
    await world.restart()
    world.say("deploy the landing page")
    await heard(world)
    (late,) = await engine_of(world).worker.claim()
    await world.store.new_boot()
    (thief,) = await world.store.claim_effects(u.ClaimEffects(n=1, holder="thief", lease_ms=60_000, caps={}))
    await perform(world, late)
    row = world.store._tables.effects[thief.effect.id]
    assert (row.state, row.fence, row.holder) == (u.EffectState.STARTED, 2, "thief")
    assert world.task_of("ceo").thinking == thief.effect.id


async def test_an_outcome_nobody_can_know_is_asked_about_and_not_tried_again():
    world = world_of()
    world.say("deploy the landing page")
    await world.settle()
    world.crash_on("after run_command")
    await approve(world)
    assert world.executions("deploy") == 1
    assert [one.kind for one in world.open_inquiries()] == [Kind.RECONCILE]


async def test_a_message_that_may_have_arrived_is_not_sent_again():
    world = world_of(script={"ceo": [say("done")]})
    await world.restart()
    sent: Counter[str] = Counter()

    class Unsure(ports.Platform):
        name = "sim"

        async def send(self, post: Post, edits: str, part: int = 0) -> str:
            if post.slot.startswith("uncertain:"):
                return "said"
            sent[post.id] += 1
            raise AmbiguousError("cut off after the write")

    engine_of(world).context.platforms["sim"] = Unsure()  # type: ignore[index]
    world.say("hello")
    await world.settle()
    states = {row.state for row in world.store._tables.posts.values()}
    assert set(sent.values()) == {1}
    assert u.PostState.UNCERTAIN in states
    assert u.PostState.QUEUED not in states


async def test_after_a_crash_a_message_is_looked_up_before_it_is_sent_again():
    world = world_of(script={"ceo": [say("done")]}, nonce=False)
    await world.restart()
    world.crash_on("after send")
    world.say("hello")
    await world.settle()
    shown = Counter(edits[0].id for edits in world.screen.messages.values())
    assert len(world.crashes) == 1
    assert set(shown.values()) == {1}


async def test_whoever_was_slower_decides_again():
    world = world_of()
    world.say("deploy the landing page")
    await world.settle()
    context, before = engine_of(world).context, world.task_of("ceo")
    for text in ("first", "second"):
        await decide(context, before, lambda _, text=text: Heard(at_ms=0, text=text, speaker="Ana"))
    assert world.task_of("ceo").heard_n == before.heard_n + 2


# --- P3: only under exactly one live grant, to the byte ---------------------------------------------------------------


async def test_a_grant_is_used_by_whoever_holds_the_lease():
    world = world_of()
    late = await about_to_run(world)
    await world.store.new_boot()
    await world.store.claim_effects(u.ClaimEffects(n=1, holder="thief", lease_ms=60_000, caps={}))
    await perform(world, late)
    assert [grant.state for grant in world.store._tables.grants.values()] == [GrantState.LIVE]
    assert world.executions("deploy") == 0


async def test_a_grant_taken_back_at_the_last_moment_runs_nothing():
    world = world_of(*THREE)
    leased = await about_to_run(world)
    (inquiry,) = world.store._tables.inquiries
    world.command("withdraw", inquiry, by="ben")
    await heard(world)
    assert [grant.state for grant in world.store._tables.grants.values()] == [GrantState.REVOKED]
    await perform(world, leased)
    assert world.executions("deploy") == 0


async def test_a_task_cancelled_at_the_last_moment_runs_nothing():
    world = world_of()
    leased = await about_to_run(world)
    world.command("cancel", world.task_of("ceo").id)
    await heard(world)
    assert world.task_of("devops").phase is Phase.CANCELLING
    engine_of(world).worker._performer._stops.clear()  # another process heard the order: only the store tells this one
    await perform(world, leased)
    assert world.executions("deploy") == 0


async def test_case_26_a_program_changed_at_the_last_moment_does_not_run():
    world = world_of()
    leased = await about_to_run(world)

    class Changed:
        def fingerprint(self, tool: str, arguments: dict[str, Any]) -> str:
            return "another program"

    engine_of(world).context.resolver = Changed()
    await perform(world, leased)
    assert world.executions("deploy") == 0


async def test_case_31_a_grant_is_for_its_own_arguments():
    world = world_of()
    leased = await about_to_run(world)
    other = msgspec.structs.replace(leased.effect, arguments={"command": "deploy", "args": {"site": "shop"}})
    await perform(world, msgspec.structs.replace(leased, effect=other))
    assert world.executions("deploy") == 0


async def test_a_grant_that_ran_out_at_the_last_moment_runs_nothing():
    world = world_of()
    leased = await about_to_run(world)
    (grant,) = world.store._tables.grants.values()
    world.clock.at_ms = grant.execute_by_ms + 1
    await perform(world, leased)
    assert world.executions("deploy") == 0


async def test_case_17_who_asked_at_the_top_decides_nothing_below():
    world = world_of(*THREE)
    world.say("deploy the landing page", by="ana")
    await world.settle()
    (inquiry,) = world.open_inquiries()
    assert inquiry.initiators == ("ana",)
    world.press("approve", by="ana")
    await world.settle()
    assert not world.store._tables.votes
    assert world.inquiry(inquiry.id).state is InquiryState.OPEN


async def test_case_32_what_was_denied_is_not_asked_again():
    world = world_of(*THREE, script=chain(DEPLOY, DEPLOY, DONE))
    world.say("deploy the landing page")
    await world.settle()
    world.press("deny", by="ben", reason="not today")
    await world.settle()
    assert [one.state for one in world.store._tables.inquiries.values()] == [InquiryState.DENIED]
    assert world.executions("deploy") == 0


async def test_case_5_two_who_decide_from_the_same_state_do_not_both():
    world = world_of(*THREE)
    world.say("deploy the landing page")
    await world.settle()
    (inquiry,) = world.open_inquiries()
    context, team = engine_of(world).context, world.team
    row = await context.store.read.inquiry(inquiry.id)
    answers = []
    for person, verb in (("ben", Verb.APPROVE), ("cal", Verb.DENY)):
        now_ms = world.clock.now_ms()
        pressed = rules.Press(
            verb=verb,
            principal=person,
            account=f"sim:{person}",
            evidence=Evidence.VERIFIED,
            callback=person,
            revision=inquiry.revision,
            at_ms=now_ms,
        )
        standing = rules.Standing(principal=person, may_approve=True, checked_at_ms=now_ms)
        decision = rules.press(row, pressed, standing, team, now_ms, task_alive=True, fingerprint_now="")
        plan = context.plan(context.env(team))
        inquiries.write(plan, row, decision, (person, f"sim:{person}"))
        answers.append(await context.commit(plan))
    assert [type(answer) for answer in answers] == [u.Applied, u.Refused]


async def test_case_10_a_button_of_another_platform_is_none():
    world = world_of(*THREE)
    world.say("deploy the landing page")
    await world.settle()
    (card,) = world.cards()
    elsewhere = msgspec.structs.replace(CHANNEL, platform="other")
    forged = ControlPressed(
        key="other:1",
        at_ms=world.clock.now_ms(),
        conversation=elsewhere,
        sender=Sender(account="sim:ben"),
        control=card.view.buttons[0].control,
    )
    await engine_of(world).intake.accept(forged)
    await heard(world)
    assert not world.store._tables.votes


async def test_transition_19_a_card_shows_who_decided():
    world = world_of(*THREE)
    world.say("deploy the landing page")
    await world.settle()
    world.press("deny", by="ben", reason="not today")
    await world.settle()
    assert not world.cards()
    assert [post.view.headline for post in world.posts if isinstance(post.view, DecidedCard)]
    assert {one.state for one in world.store._tables.deliveries.values()} == {DeliveryState.FINALISED}


def test_case_2_one_person_with_two_accounts_is_one_vote():
    team = rules_kit.team()
    asked = rules_kit.approval(team)
    wants_two = msgspec.structs.replace(asked, stages=(msgspec.structs.replace(asked.stages[0], approve_n=2),))
    once = rules_kit.vote("bob", inquiry=asked)
    again = msgspec.structs.replace(once, account="slack:9", callback="another")
    assert count(wants_two, (once,), team).by == ("bob",)
    assert count(wants_two, (once, again), team).stage == 0


def test_case_12_a_button_of_an_earlier_revision_counts_no_more():
    team = rules_kit.team()
    desk = rules_kit.Desk(team, rules_kit.approval(team, revision=2))
    decision = desk.press("bob", revision=1)
    assert (decision.note, decision.vote, decision.changed) == (notes.STALE, None, False)


def test_case_15_an_approver_of_other_things_is_none_of_this():
    team = rules_kit.team(infrastructure=TierRule(stages=(StageRule(people=("bob",)),)))
    desk = rules_kit.Desk(team, rules_kit.approval(team))
    decision = desk.press("carol")
    assert (decision.note, decision.vote, decision.changed) == (notes.NOT_ELIGIBLE, None, False)


async def test_case_22_a_gate_holds_for_the_child():
    world = world_of(*THREE, script=chain(use("ring", times=1), DONE, what="Deploy the bell"))
    world.say("see to it")
    await world.settle()
    assert [one.action.tool for one in world.open_inquiries()] == ["ring"]
    assert world.executions("ring") == 0


def test_case_14_an_answer_goes_to_the_call_that_asked():
    asked = Call(
        id=CallId("c-1"),
        use="u",
        name="mail",
        arguments={"to": "bob"},
        state=CallState.PERSON,
        inquiry=InquiryId("i-1"),
    )
    verdict = Verdict(inquiry=InquiryId("i-2"), state="approved", by=("You",), reason="", grant=None)
    folded = step(
        small.task(calls=(asked,)),
        Decided(at_ms=small.NOW_MS, call=CallId("c-1"), verdict=verdict),
        Env(now_ms=small.NOW_MS, team=small.team()),
    )
    assert (folded.effects, folded.task.calls) == ((), (asked,))


# --- P4: budgets and places -------------------------------------------------------------------------------------------


async def test_a_day_that_is_spent_stops_its_role_and_nothing_stays_held():
    world = World(1, script={"cto": [say("made")]}, team=company.company(**POOR))
    for n in range(40):
        world.say(f"make page {n}", role="cto")
    await world.settle()
    (spent,) = world.store._tables.budgets.values()
    assert {task.phase for task in world.tasks()} == {Phase.DONE, Phase.FAILED}
    assert (spent.reserved_tokens, spent.reserved_microusd) == (0, 0)
    assert 0 < spent.tokens <= 12_000


def test_a_place_that_came_free_is_taken_once():
    team = small.team()
    env = Env(now_ms=small.NOW_MS, team=team, fingerprints=small.FINGERPRINTS)
    thinking = small.task(thinking=EffectId("t-000000000001:0:e0"), step=1)
    reply = both(use("note", text="a"), use("note", text="b"), use("look", at="c"))
    plan = Plan(env=env, secret="s", holder="here", free_role="ops")
    fold(plan, thinking, Replied(at_ms=small.NOW_MS, effect=thinking.thinking, reply=reply))
    added = [change for change in plan.changes if isinstance(change, u.AddEffect)]
    assert [bool(one.holder) for one in added] == [True, False, False]


def test_children_of_one_turn_share_a_day():
    thinking = small.task("cto", thinking=EffectId("t-000000000001:0:e0"), step=1)
    work = [use("delegate", to="dev", kind="build", objective=what) for what in ("Write it", "Paint that")]
    plan = Plan(env=Env(now_ms=small.NOW_MS, team=small.team()), secret="s")
    fold(plan, thinking, Replied(at_ms=small.NOW_MS, effect=thinking.thinking, reply=both(*work)))
    one, two = (guard.tokens for guard in plan.guards if isinstance(guard, u.Room))
    assert two == 2 * one


def test_text_from_outside_marks_the_task():
    running = Call(
        id=CallId("c-1"), use="u", name="look", arguments={}, state=CallState.RUNNING, effect=EffectId("t-1:0:e1")
    )
    folded = step(
        small.task(calls=(running,)),
        Returned(at_ms=small.NOW_MS, call=running.id, result=ToolResult(text="buy now", untrusted=True)),
        Env(now_ms=small.NOW_MS, team=small.team()),
    )
    assert folded.task.untrusted


# --- P7: it can be read afterwards ------------------------------------------------------------------------------------


async def test_the_chain_has_everything_in_the_order_it_happened():
    world = world_of(*THREE)
    world.say("deploy the landing page")
    await world.settle()
    await approve(world)
    await wrap_up(world)
    tables = world.store._tables
    committed = [row.row.id for row in sorted(tables.audit.values(), key=lambda row: row.seq)]
    assert [sealed.row.id for _, sealed in sorted(tables.chain.items())] == committed
    (grant,) = tables.grants.values()
    assert grant.state is GrantState.CONSUMED
    started = [sealed.row for sealed in tables.chain.values() if sealed.row.what == "attempt.started"]
    assert [row.detail["digest"] for row in started] == [grant.digest]
    cast = [sealed.row.principal for _, sealed in sorted(tables.chain.items()) if sealed.row.what == "vote.cast"]
    assert cast == ["ben", "cal"]
