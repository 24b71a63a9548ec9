"""What is approved is changed before it starts; a handoff waits for a person; a brief goes to one."""

from __future__ import annotations

import msgspec
import pytest

from core.adapters.models.scripted import both, say, use
from core.model.effects import RunTool
from core.model.events import Conversation
from core.model.inquiries import GrantState, InquiryState, Kind
from core.model.team import Permissions, Tier, TierRule, Triggers
from core.model.work import CallState, Decided, Phase, Reopened
from core.rules import feedback, notes, replies, words
from core.rules.policy import REVIEW
from core.rules.step import Env, step
from tests.engine_kit import BOB, CAROL, MAIN, YOU, Table, changed_role, company
from tests.integration.test_engine_delegation import done, hand

SHIP = use("run_command", command="ship", args={"site": "landing"})
SHIPPING = {"ops": [SHIP, say("done")]}
INBOX = Conversation(platform="desk", account="a", channel="inbox")
DOCS = '{"args.site":"docs"}'


def one_approver(*people, **more):
    made = company(*people, **more)
    tiers = {**made.policy.tiers, Tier.INFRASTRUCTURE.value: made.policy.tiers[Tier.EXTERNAL.value]}
    return msgspec.structs.replace(made, policy=msgspec.structs.replace(made.policy, tiers=tiers))


async def shipping() -> Table:
    table = Table(SHIPPING, team=one_approver(YOU, BOB, CAROL))
    await table.say("ship it", role="ops")
    return table


def sites(table: Table) -> list[str]:
    return [arguments["args"]["site"] for arguments, _ in table.tools["run_command"].ran]


# --- Transition 11 from approved --------------------------------------------------------------------------------------


async def test_an_approved_action_is_changed_before_it_starts_and_exactly_the_changed_one_runs() -> None:
    table = await shipping()
    asked = await table.inquiry()
    await table.order("/stop ops", "bob")
    assert await table.order("/approve", "bob") == notes.APPROVED
    (queued,) = await table.store.read.effects((await table.task()).id)
    assert isinstance(queued.effect, RunTool)
    assert await table.order(f"/edit {asked.id} {DOCS}", "carol") == notes.EDITED
    (call,) = (await table.task()).calls
    assert (call.state, call.effect, call.inquiry) == (CallState.PERSON, None, asked.id)
    assert await table.store.read.effects((await table.task()).id) == ()
    assert (await table.store.read.grant(queued.effect.grant)).state is GrantState.REVOKED
    await table.order("/resume ops", "bob")
    assert sites(table) == []
    assert (await table.task()).waiting_on == (asked.id,)
    assert [card.revision for card in table.cards] == [2]
    assert await table.order(f"/approve {asked.id}", "bob") == notes.APPROVED
    assert sites(table) == ["docs"]
    assert table.answer == "done"
    assert "it ran with" in table.results()[0]
    entries = [type(entry) for entry in await table.journal()]
    assert entries.count(Decided) == 2
    assert entries.count(Reopened) == 1


async def test_its_task_has_not_heard_of_the_approval_yet() -> None:
    from core.model.events import CommandReceived

    table = await shipping()
    asked = await table.inquiry()
    await table.happens(CommandReceived, "bob", name="approve", arguments=(asked.id,))
    key = await table.happens(CommandReceived, "carol", name="edit", arguments=(asked.id, DOCS))
    await table.settle()
    assert table.answered(key) == notes.EDITED
    assert sites(table) == []
    assert [type(entry) for entry in await table.journal()].count(Decided) == 0
    await table.order("/approve", "bob")
    assert sites(table) == ["docs"]


@pytest.mark.parametrize("claimed", [True, False])
async def test_what_has_started_is_changed_no_more(claimed) -> None:
    table = await shipping()
    asked = await table.inquiry()
    await table.order("/stop ops", "bob")
    await table.order("/approve", "bob")
    task = await table.task()
    (queued,) = await table.store.read.effects(task.id)
    live = await table.store.read.grant(queued.effect.grant)
    if claimed:  # between the claim and the use of the grant
        await table.store.read.task(task.id)
        await table.context.store.commit(table_unit_started(queued.effect.id))
        assert live.state is GrantState.LIVE
    else:
        table.store.inner._tables.attempts[queued.effect.id] = attempt_of(queued.effect)
    assert await table.order(f"/edit {asked.id} {DOCS}", "carol") == notes.TOO_LATE_TO_EDIT
    assert (await table.store.read.inquiry(asked.id)).inquiry.state is InquiryState.APPROVED


def table_unit_started(effect: str):
    from core.model.unit import EndEffect, Unit

    return Unit(changes=(EndEffect(id=effect),))


def attempt_of(effect: RunTool):
    from core.model.inquiries import Attempt, AttemptState

    return Attempt(id=effect.id, grant=effect.grant, state=AttemptState.STARTED)


async def test_somebody_claims_it_while_it_is_being_changed() -> None:
    table = await shipping()
    asked = await table.inquiry()
    await table.order("/stop ops", "bob")
    await table.order("/approve", "bob")
    (queued,) = await table.store.read.effects((await table.task()).id)

    async def snatch(unit) -> bool:
        if any(type(change).__name__ == "EndEffect" for change in unit.changes):
            await table.store.inner.commit(table_unit_started(queued.effect.id))
            return True
        return False

    table.store.meanwhile = snatch
    assert await table.order(f"/edit {asked.id} {DOCS}", "carol") == notes.TOO_LATE_TO_EDIT


async def test_a_call_that_waits_for_something_else_is_not_reopened() -> None:
    table = await shipping()
    task, team = await table.task(), table.teams.team
    env = Env(now_ms=task.updated_at_ms, team=team)
    other = Reopened(at_ms=env.now_ms, call=task.calls[0].id, inquiry="i-other")
    assert step(task, other, env).task.calls == task.calls


# --- Handoffs that a person looks at first ----------------------------------------------------------------------------


def reviewed(*people, role: str = "ops", review: TierRule | None = REVIEW):
    made = company(*(people or (YOU, BOB)))
    made = changed_role(made, role, permissions=Permissions(can_deploy=True, requires_review=True))
    return msgspec.structs.replace(made, policy=msgspec.structs.replace(made.policy, review=review))


REPORT = done("all shipped", changed=["landing"], risks=["old cache"], artifacts=["a.md"])


async def test_an_approved_handoff_goes_on_unchanged() -> None:
    table = Table({"cto": [hand("ops", "ship"), say("it is out")], "ops": [REPORT]}, team=reviewed())
    await table.say("ship", role="cto")
    asked = await table.inquiry()
    assert (asked.kind, asked.label.value) == (Kind.REVIEW, "full")
    assert [stage.eligible for stage in asked.stages] == [("bob",)]
    (card,) = table.cards
    shown = {field.name: field.shown for field in card.whole}
    assert shown["summary"] == "all shipped"
    assert "landing" in shown["changed"]
    assert "old cache" in shown["risks"]
    assert "a.md" in shown["artifacts"]
    assert (await table.task()).waiting_on == (asked.id,)
    assert await table.order("/approve", "you") == notes.NOT_YOUR_OWN
    assert await table.press("approve", "bob") == notes.APPROVED
    assert table.answer == "it is out"
    assert (await table.store.read.inquiry(asked.id)).grant is None
    assert table.results("cto") == ["ops:\nall shipped\nChanged: landing\nRisk: old cache\nArtifact: a.md"]


async def test_a_denied_handoff_ends_the_task_as_rejected_with_the_reason() -> None:
    table = Table({"cto": [hand("ops", "ship"), say("they said no")], "ops": [REPORT]}, team=reviewed())
    await table.say("ship", role="cto")
    await table.order("/deny the cache must go", "bob")
    task = await table.task("ops")
    assert task.phase is Phase.REJECTED
    assert "the cache must go" in table.results("cto")[0]
    assert "Bob said no" in table.results("cto")[0]
    assert table.answer == "they said no"


async def test_a_root_is_rejected_too_and_the_person_reads_why() -> None:
    table = Table({"ops": [REPORT]}, team=reviewed())
    await table.say("ship", role="ops")
    await table.order("/deny not like this", "bob")
    assert (await table.task()).phase is Phase.REJECTED
    assert "not like this" in table.answer


async def test_ask_back_is_read_and_the_next_handoff_is_looked_at_anew() -> None:
    table = Table({"ops": [REPORT, done("all shipped, cache cleared")]}, team=reviewed())
    await table.say("ship", role="ops")
    first = await table.inquiry()
    assert await table.press("ask_back", "bob", text="and the cache?") == replies.ASKED_BACK
    assert "and the cache?" in table.results()[0]
    second = await table.inquiry()
    assert second.id != first.id
    await table.press("approve", "bob")
    assert table.answer.startswith("all shipped, cache cleared")


async def test_prose_is_a_handoff_too_and_an_objection_to_it_is_read() -> None:
    table = Table({"ops": [say("shipped, I think"), say("shipped, I looked")]}, team=reviewed())
    await table.say("ship", role="ops")
    assert table.answers == []
    await table.press("ask_back", "bob", text="are you sure?")
    assert "are you sure?" in table.model.requests[-1].messages[-1].text
    await table.press("approve", "bob")
    assert table.answer == "shipped, I looked"


async def test_words_that_came_in_meanwhile_are_read_and_the_same_handoff_needs_nobody_again() -> None:
    table = Table({"ops": [REPORT, REPORT]}, team=reviewed())
    await table.say("ship", role="ops")
    await table.say("and tell Carol")
    await table.press("approve", "bob")
    assert feedback.HANDOFF_AFTER_HEARING.what in table.results()[0]
    assert table.answer.startswith("all shipped")
    assert len(await table.inquiries(active_only=False)) == 1


async def test_a_stop_takes_the_question_back() -> None:
    table = Table({"ops": [REPORT]}, team=reviewed())
    await table.say("ship", role="ops")
    await table.order(f"/cancel {(await table.task()).id}")
    assert (await table.newest()).state is InquiryState.CANCELLED
    assert (await table.task()).phase is Phase.CANCELLED


@pytest.mark.parametrize("reply", [REPORT, say("shipped")])
async def test_nobody_may_look_at_it(reply) -> None:
    rule = msgspec.structs.replace(REVIEW, stages=(msgspec.structs.replace(REVIEW.stages[0], people=("nobody",)),))
    table = Table({"ops": [reply]}, team=reviewed(review=rule))
    await table.say("ship", role="ops")
    assert (await table.task()).phase is Phase.FAILED
    assert "nobody may decide this" in table.answer


@pytest.mark.parametrize("reply", [REPORT, say("all shipped")])
async def test_a_definition_older_than_the_rule_hands_off_as_it_did(reply) -> None:
    table = Table({"ops": [reply]}, team=reviewed(review=None))
    await table.say("ship", role="ops")
    assert table.answer.startswith("all shipped")


async def test_a_review_that_became_stricter_is_asked_anew() -> None:
    table = Table({"ops": [REPORT]}, team=reviewed(YOU, BOB, CAROL))
    await table.say("ship", role="ops")
    table.teams.team = reviewed(YOU, BOB, CAROL, review=msgspec.structs.replace(REVIEW, verified=True))
    assert await table.press("approve", "bob") == notes.STRICTER
    assert (await table.inquiry()).revision == 2
    without = {name: role for name, role in table.teams.team.roles.items() if name != "ops"}
    table.teams.team = msgspec.structs.replace(table.teams.team, roles=without)
    assert await table.press("approve", "bob") == notes.APPROVED


# --- A child has its parent's gates (case_22); a brief that people must see -------------------------------------------


async def test_case_22_a_child_of_a_gated_task_is_gated_and_so_is_its_child() -> None:
    note = use("note", text="x")
    script = {
        "cto": [hand("dev", "build", "build", requires_approval=True), say("ok")],
        "dev": [hand("ops", "place it"), done("built")],
        "ops": [note, done("placed")],
    }
    table = Table(script, team=company(YOU, BOB))
    await table.say("go", role="cto")
    assert [(t.role, t.gated) for t in await table.tasks()] == [("cto", False), ("dev", True), ("ops", True)]
    assert table.tools["note"].ran == []
    await table.press("approve", "bob")
    assert len(table.tools["note"].ran) == 1
    free = Table({**script, "cto": [hand("dev", "build", "build"), say("ok")]}, team=company(YOU, BOB))
    await free.say("go", role="cto")
    assert len(free.tools["note"].ran) == 1


async def test_the_same_work_twice_in_one_turn_is_one_round() -> None:
    script = {"cto": [both(hand("ops", "look"), hand("ops", "look")), say("ok")], "ops": [done("a"), done("b")]}
    table = Table(script, team=company(YOU, BOB))
    await table.say("go", role="cto")
    assert len((await table.task("cto")).rounds) == 1
    assert len(await table.tasks()) == 3


def triggered(*, on: bool = True, inbox: Conversation | None = INBOX):
    made = changed_role(company(YOU, BOB), "ops", triggers=Triggers(words=("lawsuit",), deletion=True))
    policy = msgspec.structs.replace(made.policy, brief_triggers=on, inbox=inbox)
    return msgspec.structs.replace(made, policy=policy)


TWO = both(hand("ops", "answer the lawsuit"), hand("ops", "delete my account"))


async def test_a_brief_that_fires_its_readers_trigger_goes_to_a_person_and_no_child_is_made() -> None:
    table = Table({"cto": [TWO, say("people did it")], "ops": [done("never")]}, team=triggered())
    await table.say("deal with it", role="cto")
    why = words.trigger_word("lawsuit")
    assert table.lines == [replies.handed_over("OPS", why)]
    (told,) = [post.view.text for post in table.desk.sent]
    assert "You: deal with it" in told
    assert f"{replies.TO_BE_HANDED_ON}: answer the lawsuit" in told
    assert [task.role for task in await table.tasks()] == ["cto"]
    await table.say("hello?")
    assert len(table.model.requests) == 1
    await table.order("/handback", "bob")
    assert table.answer == "people did it"
    assert all("a person takes it over" in result for result in table.results("cto"))
    facts = [row.row.what for row in await table.store.read.chain()]
    assert "conversation.handed-over" in facts


async def test_without_an_inbox_it_is_said_where_it_was_asked() -> None:
    table = Table({"cto": [TWO, say("x")]}, team=triggered(inbox=MAIN))
    await table.say("deal with it", role="cto")
    assert len(table.lines) == 1


async def test_a_definition_older_than_the_rule_hands_it_over() -> None:
    table = Table({"cto": [hand("ops", "answer the lawsuit"), say("ok")], "ops": [done("x")]}, team=triggered(on=False))
    await table.say("deal with it", role="cto")
    assert table.answer == "ok"
