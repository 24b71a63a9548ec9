"""What people order, in words and by buttons, and what they are told when it cannot be."""

from __future__ import annotations

import msgspec
import pytest

from core.adapters.models.scripted import both, say, use
from core.model.events import ControlPressed, MessageReceived
from core.model.ids import short
from core.model.inquiries import InquiryState
from core.model.team import Tier, TierRule
from core.model.work import Phase
from core.rules import notes, replies
from core.rules.policy import DEFAULT_TIERS
from core.rules.views import control
from tests.engine_kit import BOB, CAROL, DESK, MAIN, MIA, SIDE, VIC, YOU, Table, company

SHIP = use("run_command", command="ship", args={"site": "landing"})
SHIPPING = {"ops": [SHIP, use("hand_off", summary="shipped")]}
ASKING = {"ops": [use("ask_human", question="Which colour?"), use("hand_off", summary="painted")]}
MAILING = {"ops": [use("mail", to="all"), use("hand_off", summary="reported")]}
THREE = company(YOU, BOB, CAROL, MIA, VIC)


async def shipping(team=None) -> Table:
    table = Table(SHIPPING, team=team)
    await table.say("publish it", role="ops")
    return table


async def asking(team=None) -> Table:
    table = Table(ASKING, team=team)
    await table.say("paint it", role="ops")
    return table


# --- Approving -------------------------------------------------------------------------------------------------------


async def test_a_single_operator_presses_twice_and_one_press_delivered_twice_is_one() -> None:
    table = await shipping()
    button = table.button("approve")
    key = await table.happens(ControlPressed, control=button)
    await table.settle()
    assert table.answered(key) == notes.CONFIRM
    assert not await table.engine.intake.accept(
        ControlPressed(
            key=key, at_ms=table.clock.now_ms(), conversation=MAIN, sender=table_sender(table, key), control=button
        )
    )
    await table.settle()
    assert (await table.inquiry()).pressed_once
    table.turn_clock(seconds=1)
    assert await table.control(button) == notes.APPROVED
    assert len(table.tools["run_command"].ran) == 1
    assert table.decided[-1].outcome == "ran in 0.0 s"
    assert table.answer == "shipped"


def table_sender(table: Table, key: str):
    return table.store.inner._tables.events[key].event.sender


async def test_two_of_three_approve_and_none_of_them_asked() -> None:
    table = await shipping(THREE)
    assert table.cards[-1].needs.startswith("1 of 2: Bob or Carol, then 1 more; not You (asked)")
    assert await table.press("approve", "you") == notes.NOT_YOUR_OWN
    assert await table.press("approve", "mia") == notes.NOT_ELIGIBLE
    assert await table.press("approve", "vic") == notes.NOT_ELIGIBLE
    assert await table.press("approve", "bob") == notes.REVIEW_NEXT
    assert "1 of 1: Carol" in table.cards[-1].needs
    assert await table.press("approve", "bob") == notes.ANOTHER_REVIEWER
    assert not table.tools["run_command"].ran
    assert await table.order("/approve", "carol") == notes.APPROVED
    assert len(table.tools["run_command"].ran) == 1
    assert await table.order(f"/approve {(await table.newest()).id}", "bob") == "Already approved by Bob, Carol."


async def test_a_stranger_gets_one_polite_line_whatever_they_do() -> None:
    table = await shipping()
    await table.say("hello", "eve")
    assert table.lines[-1] == replies.STRANGER
    await table.order("/approve", "eve")
    await table.press("approve", "eve")
    await table.order("/link", "eve")
    assert table.lines.count(replies.STRANGER) == 1
    table.clock.at_ms += 86_400_000
    await table.say("hello again", "eve")
    assert table.lines.count(replies.STRANGER) == 2
    assert (await table.inquiry()).state is InquiryState.OPEN


async def test_a_viewer_reads_along_and_gives_no_work() -> None:
    table = await shipping(THREE)
    await table.say("do this too", "vic")
    assert table.lines[-1] == replies.MAY_NOT_ASK
    assert await table.order("/ask do it", "vic") == replies.MAY_NOT_ASK
    assert await table.order("/stop all", "vic") == replies.MAY_NOT_ASK
    assert await table.order("/whoami", "vic") == "Vic, viewer (chat:vic, verified)"
    assert "landing" in await table.order("/view", "vic")


# --- Naming an inquiry -----------------------------------------------------------------------------------------------


async def test_a_bare_order_means_the_only_one_and_asks_which_when_there_are_several() -> None:
    table = await shipping()
    await table.say("and again", role="ops", at=SIDE)
    ids = [one.id for one in await table.inquiries()]
    assert len(ids) == 2
    asked = await table.order("/approve")
    assert asked.startswith("Which one?")
    assert all(some_id[:6] in asked for some_id in ids)
    common = "i-"
    assert (
        await table.order(f"/approve {common}")
        == f"i- could be {', '.join(sorted(ids))}. Give more of the inquiry's id."
    )
    assert await table.order("/approve i-zzz") == "There is no inquiry i-zzz."
    assert await table.order(f"/deny {ids[0][:8]} not today") == notes.DENIED
    assert await table.order("/deny nor this") == notes.DENIED
    assert await table.order("/approve") == replies.NOTHING_OPEN
    assert [one.resolution.reason for one in await table.inquiries(active_only=False)] == ["not today", "nor this"]


async def test_an_id_that_vanishes_between_two_reads_is_not_an_inquiry(monkeypatch) -> None:
    table = await shipping()
    one = await table.inquiry()

    async def gone(_self, _inquiry):
        return None

    button = table.button("approve")
    monkeypatch.setattr(type(table.store.read), "inquiry", gone)
    assert await table.control(button) == replies.UNKNOWN_BUTTON
    assert await table.order(f"/approve {one.id}") == f"There is no inquiry {one.id}."
    assert (await table.store.read.counts()).events_new == 0


# --- The other verbs -------------------------------------------------------------------------------------------------


async def test_a_denial_goes_to_the_agent_with_its_reason() -> None:
    table = await shipping(THREE)
    assert await table.press("deny", "bob", reason="not on a Friday") == notes.DENIED
    assert "not on a Friday" in table.results()[0]
    assert not table.tools["run_command"].ran
    assert "Denied by Bob" in table.decided[-1].headline


async def test_a_denial_that_needs_a_reason_asks_for_one() -> None:
    strict = TierRule(stages=DEFAULT_TIERS["external"].stages, reason_required=True)
    policy = company().policy
    tiers = {**policy.tiers, Tier.EXTERNAL.value: strict}
    from msgspec.structs import replace

    table = Table(MAILING, team=company(YOU, BOB, policy=replace(policy, tiers=tiers)))
    await table.say("tell everybody", role="ops")
    assert await table.press("deny", "bob") == notes.REASON_NEEDED
    assert await table.order("/deny because I say so", "bob") == notes.DENIED


async def test_an_edit_is_a_new_revision_and_the_old_button_is_stale() -> None:
    table = await shipping(THREE)
    assert (await table.order("/edit {not json", "bob")).startswith("That edit is not a JSON object")
    assert (await table.order("/edit 5", "bob")).startswith("That edit is not a JSON object")
    assert (await table.press("edit", "bob", edit="[]")).startswith("That edit is not a JSON object")
    assert await table.order('/edit {"args.site":"nowhere"}', "bob") != notes.EDITED
    assert await table.order('/edit {"command":"rm"}', "bob") == f"{notes.INVALID_EDIT}: command cannot be changed."
    assert await table.order('/edit {"args.site":"docs"}', "bob") == notes.EDITOR_NEEDED
    assert (await table.inquiry()).revision == 1

    alone = await shipping()
    first = alone.button("approve")
    assert await alone.press("edit", edit='{"args.site":"docs"}') == notes.EDITED
    assert (await alone.inquiry()).revision == 2
    assert await alone.control(first) == notes.STALE
    assert await alone.press("approve") == notes.CONFIRM
    alone.turn_clock(seconds=1)
    assert await alone.press("approve") == notes.APPROVED
    assert alone.tools["run_command"].ran[0][0]["args"] == {"site": "docs"}


async def test_asking_back_takes_the_request_back_and_says_why() -> None:
    table = await shipping(THREE)
    assert await table.order("/askback", "bob") == "askback what? /askback ID TEXT"
    assert await table.press("ask_back", "bob", text=" ") == notes.TEXT_NEEDED
    assert await table.press("ask_back", "bob", text="is it tested?") == replies.ASKED_BACK
    (told,) = table.results()
    assert "Bob asks before deciding: is it tested?" in told
    assert "It is not a no" in told
    assert (await table.newest()).state is InquiryState.CANCELLED
    headline = table.decided[-1].headline  # for people, not for the agent
    assert headline.startswith("Withdrawn by Bob at ")
    assert headline.endswith(": a question comes first: is it tested?")


async def test_a_question_is_answered_by_whoever_may_give_work() -> None:
    table = await asking(THREE)
    assert await table.order("/answer", "mia") == "answer what? /answer ID TEXT"
    assert await table.order("/approve", "mia") == notes.NOT_OFFERED
    assert await table.order("/answer blue", "vic") == notes.NOT_ELIGIBLE
    assert await table.order("/answer light blue", "mia") == notes.ANSWERED
    assert table.results() == ["light blue"]
    assert table.answer == "painted"
    assert await table.order(f"/answer {(await table.newest()).id} red", "bob") == "Already answered by Mia."


async def test_a_question_may_be_dismissed() -> None:
    table = await asking()
    assert await table.order("/dismiss") == notes.DISMISSED
    assert "it is not a no" in table.results()[0]
    assert table.answer == "painted"


async def test_a_choice_is_answered_by_its_button_and_nothing_else_fits() -> None:
    script = {"ops": [use("ask_human", question="Which?", options=["red", "blue"]), say("done")]}
    table = Table(script)
    await table.say("paint it", role="ops")
    chosen = next(b.control for b in table.cards[-1].buttons if b.label == "blue")
    assert await table.control(chosen[:-1] + "9") == f"{notes.INVALID_ANSWER}: choose one of red, blue."
    assert await table.order("/answer green") == f"{notes.INVALID_ANSWER}: choose one of red, blue."
    assert await table.control(chosen) == notes.ANSWERED
    assert table.results() == ["blue"]


async def test_a_vote_is_taken_back_and_so_is_a_permission_nobody_has_used() -> None:
    table = await shipping(THREE)
    assert await table.order("/withdraw", "bob") == notes.NO_VOTE
    await table.press("approve", "bob")
    assert await table.order("/withdraw", "bob") == notes.TAKEN_BACK
    await table.order("/stop ops")
    await table.press("approve", "bob")
    await table.press("approve", "carol")
    asked = await table.newest()
    assert asked.state is InquiryState.APPROVED
    assert await table.order(f"/withdraw {asked.id}", "bob") == notes.REVOKED
    await table.order("/resume ops")
    assert not table.tools["run_command"].ran
    assert "permission was taken back" in table.results()[0]


@pytest.mark.parametrize(
    ("order", "ran_n", "told"),
    [
        ("/happened", 1, "it did happen"),
        ("/giveup", 1, "gave it up"),
        ("/rerun", 2, "poke ok"),
    ],
)
async def test_nobody_knows_what_became_of_it_so_a_person_says(order: str, ran_n: int, told: str) -> None:
    table = Table({"ops": [use("poke", at="it"), say("reported")]}, team=company(YOU, BOB), expect=("tool.raised",))
    table.tools["poke"].raises(RuntimeError("cut off"))
    await table.say("poke it", role="ops")
    asked = await table.inquiry()
    assert asked.kind.value == "reconcile"
    table.tools["poke"].does = None
    assert await table.order(order, "bob") in {notes.ANSWERED, notes.APPROVED}
    assert len(table.tools["poke"].ran) == ran_n
    assert told in table.results()[0]
    assert table.answer == "reported"


async def test_a_decision_after_the_task_is_over_changes_nothing() -> None:
    table = await shipping(THREE)
    button = table.button("approve")
    task = await table.task()
    assert await table.order(f"/cancel {task.id}") == f"Stopping {task.id[:6]}."
    assert await table.control(button, "bob") == "Too late: it was withdrawn."
    assert (await table.task()).phase is Phase.CANCELLED
    assert (await table.newest()).state is InquiryState.CANCELLED
    assert not table.tools["run_command"].ran


# --- Buttons that are not ours ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("forged", ["", "approve", "x" * 500, "0123456789abcdef.a", "0123456789abcdef.z", "\x00.a"])
async def test_a_forged_button_is_not_one_of_ours(forged: str) -> None:
    table = await shipping()
    assert await table.control(forged) == replies.UNKNOWN_BUTTON
    assert (await table.inquiry()).state is InquiryState.OPEN


async def test_case_11_a_button_is_only_good_in_the_channel_it_was_shown_in() -> None:
    table = await shipping()
    assert await table.press("approve", at=DESK) == replies.UNKNOWN_BUTTON
    assert await table.press("approve", at=SIDE) == replies.UNKNOWN_BUTTON
    thread = msgspec.structs.replace(MAIN, thread="another")
    assert await table.press("approve", at=thread) == notes.CONFIRM


async def test_a_verb_the_card_does_not_offer_is_refused() -> None:
    from core.model.inquiries import Verb

    table = await shipping()
    nonce = table.button("approve").partition(".")[0]
    assert await table.control(control(nonce, Verb.HAPPENED)) == notes.NOT_OFFERED


# --- Tasks -----------------------------------------------------------------------------------------------------------


async def test_cancelling_needs_an_id_a_right_and_a_task_that_runs() -> None:
    table = await shipping(company(YOU, BOB, MIA))
    task = await table.task()
    assert await table.order("/cancel") == "cancel what? /cancel ID"
    assert await table.order("/cancel t-zzz") == "There is no task t-zzz."
    assert await table.order("/cancel everything") == "There is no task everything."
    assert await table.order(f"/cancel {task.id}", "mia") == replies.NOT_YOURS
    assert await table.order(f"/cancel {task.id[:7]}", "bob") == f"Stopping {task.id[:6]}."
    assert (await table.task()).phase is Phase.CANCELLED
    assert "stopped by Bob" in table.answer
    assert await table.order(f"/cancel {task.id}") == f"{task.id[:6]} is over already."


async def test_a_member_may_cancel_what_they_asked_for() -> None:
    table = Table(SHIPPING, team=company(YOU, BOB, MIA))
    await table.say("publish it", "mia", role="ops")
    assert (await table.order(f"/cancel {(await table.task()).id}", "mia")).startswith("Stopping")


async def test_retrying_starts_the_whole_again_when_it_is_over() -> None:
    table = await asking(company(YOU, BOB))
    first = await table.task()
    assert await table.order(f"/retry {first.id}") == f"{first.id[:6]} is not over yet. Cancel it first."
    await table.order("/answer blue")
    said = await table.order(f"/retry {first.id}", "bob")
    again = await table.task()
    assert said == f"Starting {first.id[:6]} again as {again.id[:6]}."
    assert again.id != first.id
    assert again.brief == first.brief
    assert again.initiators == ("you", "bob")
    assert (await table.inquiry()).task == again.id


async def test_retrying_work_of_a_role_that_is_gone_goes_to_the_lead() -> None:
    from msgspec.structs import replace

    table = Table({**ASKING, "ceo": [say("I took it")]})
    await table.say("paint it", role="ops")
    await table.order("/answer blue")
    old = table.teams.team
    roles = {name: role for name, role in old.roles.items() if name != "ops"}
    table.teams.team = replace(old, version="team-2", roles=roles)
    await table.engine.keep_definition()
    await table.order(f"/retry {(await table.task()).id}")
    assert (await table.task("ceo")).phase is Phase.DONE


async def test_several_tasks_with_one_prefix_are_told_apart() -> None:
    table = await shipping()
    await table.say("and again", role="ops", at=SIDE)
    ids = sorted(task.id for task in await table.tasks())
    assert await table.order("/cancel t-") == f"t- could be {', '.join(ids)}. Give more of the task's id."


@pytest.mark.parametrize(
    ("scope", "name"), [("all", "Everything"), ("ops", "OPS"), ("{task}", "{short}")], ids=["all", "role", "task"]
)
async def test_stopping_holds_what_has_not_started_until_it_is_resumed(scope: str, name: str) -> None:
    table = await shipping(THREE)
    task = await table.task()
    scope, name = scope.format(task=task.id), name.format(short=task.id[:6])
    assert await table.order(f"/stop {scope}", "mia") == replies.NOT_YOURS
    assert await table.order(f"/stop {scope}", "bob") == f"{name} is stopped. Nothing of it starts until you resume it."
    await table.press("approve", "bob")
    await table.press("approve", "carol")
    assert not table.tools["run_command"].ran
    assert await table.engine.idle()
    assert await table.order(f"/resume {scope}", "bob") == f"{name} goes on."
    assert len(table.tools["run_command"].ran) == 1
    assert table.answer == "shipped"
    await table.settle()
    rows = [one.row for one in await table.store.read.chain() if one.row.what in {"work.stopped", "work.resumed"}]
    assert [(row.what, row.principal) for row in rows] == [("work.stopped", "bob"), ("work.resumed", "bob")]


async def test_stopping_needs_something_to_stop() -> None:
    table = await shipping()
    assert await table.order("/stop") == "stop what? /stop ID, a role, or all"
    assert await table.order("/stop nothing") == "There is no task nothing."


async def test_cancelling_a_stopped_task_ends_it() -> None:
    table = Table({"ops": [use("note", text="a"), say("done")]})
    table.tools["note"].hold()
    await table.say("go", role="ops")
    task = await table.task()
    await table.order(f"/stop {task.id}")
    table.tools["note"].let_go.set()
    await table.settle()
    assert not (await table.task()).phase.final
    await table.order(f"/cancel {task.id}")
    assert (await table.task()).phase is Phase.CANCELLED
    assert await table.engine.idle()


# --- Looking ---------------------------------------------------------------------------------------------------------


async def test_looking_things_up() -> None:
    table = Table({**SHIPPING, "ceo": [say("hm")]}, team=company(YOU))
    assert await table.order("/tasks") == replies.NOTHING_RUNS
    await table.say("publish the page\nwith care", role="ops")
    task = await table.task()
    short = task.id[:6]
    assert await table.order("/tasks") == f"{short}  ops  waiting  publish the page"
    assert await table.order(f"/task {short}") == f"{short}  ops  waiting  publish the page"
    assert await table.order("/task t-zzz") == "There is no task t-zzz."
    assert "cto: CTO" in (await table.order("/team")).splitlines()
    assert await table.order("/whoami") == "You, owner (chat:you, verified)"
    assert "/approve ID [REASON]" in await table.order("/help")
    assert await table.order("/dance") == "there is no command dance; /help lists them"
    await table.order("/inbox")
    (inbox,) = [post.view for post in table.posts if type(post.view).__name__ == "Inbox"]
    assert [item.title for item in inbox.items] == ["OPS asks to run ship"]
    assert inbox.items[0].needs == "two presses by You"
    assert "site" in await table.press("view")


async def test_work_may_be_asked_for_as_a_command_and_of_a_role_by_its_name() -> None:
    table = Table({"ceo": [say("seen to")], "ops": [say("done by ops")]})
    await table.order("/ask look around")
    assert table.answer == "seen to"
    await table.say("@ops, look around")
    assert table.answer == "done by ops"
    await table.say("look", role="nobody")
    assert table.lines[-1] == "There is no role nobody. Here are: ceo, cto, ops, dev."


async def test_an_order_another_process_has_dealt_with_is_not_carried_out_again() -> None:
    """The command line may write while the engine is up; both may take up one event."""
    table = await shipping(THREE)
    events = []

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "CloseEvent" for c in unit.changes):
            return False
        from core.model.unit import CloseEvent, Unit

        events.append(1)
        await table.store.inner.commit(Unit(changes=(CloseEvent(key=unit.guards[0].id),)))
        return True

    for order in ("/approve", "/cancel {task}", "/whoami", "/stop all"):
        table.store.meanwhile = meanwhile
        assert await table.order(order.format(task=(await table.task()).id), "bob") == ""
    assert len(events) == 4
    assert (await table.inquiry()).state is InquiryState.OPEN
    assert (await table.task()).phase is Phase.WORKING
    assert await table.store.read.paused() == ()


async def test_a_vote_that_meets_another_counts_all_the_same() -> None:
    table = await shipping(THREE)
    asked = await table.inquiry()

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "PutVote" for c in unit.changes):
            return False
        from msgspec.structs import replace

        from core.model.unit import PutInquiry, Unit

        await table.store.inner.commit(Unit(changes=(PutInquiry(inquiry=replace(asked, version=asked.version + 2)),)))
        return True

    table.store.meanwhile = meanwhile
    assert await table.press("approve", "bob") == notes.REVIEW_NEXT
    assert await table.press("approve", "carol") == notes.APPROVED


async def test_a_word_meanwhile_neither_approves_nor_cancels() -> None:
    table = await shipping()
    await table.happens(MessageReceived, text="yes")
    await table.settle()
    assert "I am waiting on i-" in table.lines[-1]
    assert (await table.inquiry()).state is InquiryState.OPEN


async def test_twenty_calls_of_one_turn_and_one_of_them_needs_a_person() -> None:
    calls = both(*(use("look", at=str(n)) for n in range(19)), use("mail", to="all"))
    table = Table({"ops": [calls, say("all seen")]}, team=company(YOU, BOB))
    await table.say("look everywhere", role="ops")
    assert len(table.tools["look"].ran) == 19
    assert not table.tools["mail"].ran
    assert await table.press("approve", "bob") == notes.APPROVED
    assert table.results() == ["look ok"] * 19 + ["mail ok"]
    assert table.answer == "all seen"


async def test_new_work_under_a_stop_is_heard_and_said_to_wait() -> None:
    table = await shipping()
    await table.order("/stop all")
    await table.say("and the docs", at=SIDE)
    assert "/resume" in table.lines[-1]
    assert await table.order("/resume all") == "Everything goes on."


async def test_whoever_looks_at_the_whole_reads_how_it_stands_and_what_decides_it() -> None:
    table = await shipping(THREE)
    name = short((await table.inquiry()).id)
    said = await table.order(f"/view {name}", "bob")
    for words in ("infrastructure · by ", "1 of 2: Bob or Carol", f"To decide: /approve {name}, /deny {name} REASON"):
        assert words in said
    table.turn_clock(hours=48)
    await table.settle()
    assert "overdue since " in await table.order(f"/view {name}", "bob")
    await table.order(f"/deny {name} not today", "bob")
    said = await table.order(f"/view {name}", "bob")
    assert "Denied by Bob at " in said
    assert "To decide" not in said
