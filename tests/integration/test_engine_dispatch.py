"""Events and timers: each is dealt with once, in order, and one that cannot be holds up nobody."""

from __future__ import annotations

import pytest

from core.adapters.models.scripted import say, use
from core.model.errors import StoreFullError, TerminalError
from core.model.events import (
    CardMoved,
    MessageReceived,
    ReactionAdded,
    ScheduleFired,
    Sender,
    WebhookReceived,
)
from core.model.ids import GrantId, InquiryId, SignalId, TaskId, task_of_event
from core.model.inquiries import InquiryState
from core.model.signals import DecideBy, ExecuteBy, Signal, StopOrder, WordFromAsker
from core.model.unit import AddSignal, Unit
from core.model.work import Heard, Phase
from core.rules import notes, replies
from core.runtime.dispatch import SWEEP_SECONDS
from core.runtime.intake import StoreIntake
from tests.engine_kit import BOB, MAIN, SIDE, YOU, Table, company

SHIP = use("run_command", command="ship", args={"site": "landing"})
PAIR = company(YOU, BOB)


async def shipping(team=PAIR) -> Table:
    table = Table({"ops": [SHIP, use("hand_off", summary="shipped")]}, team=team)
    await table.say("publish it", role="ops")
    return table


# --- Events ----------------------------------------------------------------------------------------------------------


async def test_an_event_that_comes_twice_is_one_whatever_it_says_the_second_time() -> None:
    table = Table({"ops": [say("done")]})
    sender = Sender(account="chat:you")
    event = MessageReceived(key="m:1", at_ms=1, conversation=MAIN, sender=sender, text="go", role="ops")
    other = MessageReceived(key="m:1", at_ms=2, conversation=MAIN, sender=sender, text="stop", role="ops")
    assert await table.engine.intake.accept(event)
    assert not await table.engine.intake.accept(event)
    assert not await table.engine.intake.accept(other)
    await table.settle()
    assert not await table.engine.intake.accept(event)
    await table.settle()
    (task,) = await table.tasks()
    assert task.id == task_of_event("m:1")
    assert task.brief.objective == "go"


async def test_an_event_that_breaks_the_engine_is_closed_with_one_line_and_the_others_go_on(monkeypatch) -> None:
    table = Table({"ops": [say("done")]}, expect=("event.failed",))
    open_root = type(table.store.read).open_root

    async def broken(self, conversation):
        if conversation == MAIN:
            raise RuntimeError("a bug of ours")
        return await open_root(self, conversation)

    with monkeypatch.context() as patched:
        patched.setattr(type(table.store.read), "open_root", broken)
        await table.happens(MessageReceived, text="poison", role="ops")
        await table.say("fine", role="ops", at=SIDE)
    assert table.lines == [replies.could_not("RuntimeError")]
    assert [task.brief.objective for task in await table.tasks()] == ["fine"]
    await table.say("after that", role="ops")
    assert [view.text for view in table.answers] == ["done", "done"]


async def test_an_error_of_ours_is_told_in_its_own_words(monkeypatch) -> None:
    table = Table({"ops": [say("done")]}, expect=("event.failed",))

    async def refused(_self, _conversation):
        raise TerminalError("the record is torn", "restore a backup")

    with monkeypatch.context() as patched:
        patched.setattr(type(table.store.read), "open_root", refused)
        await table.say("go", role="ops")
    assert table.lines == [replies.could_not("the record is torn")]


async def test_a_full_disk_loses_no_message_and_keeps_their_order() -> None:
    table = Table({"ceo": [use("ask_human", question="Which?"), say("done")]})
    await table.settle()
    table.store.full_n = 2
    for _ in range(2):
        with pytest.raises(StoreFullError):
            await table.happens(MessageReceived, text="not accepted")
    await table.happens(MessageReceived, text="first")
    await table.happens(MessageReceived, text="second")
    table.store.full_if = lambda unit: any(type(c).__name__ == "CloseEvent" for c in unit.changes)
    table.store.full_n = 3
    await table.settle()
    (task,) = await table.tasks()
    assert task.brief.objective == "first"
    assert [e.text for e in await table.journal("ceo") if isinstance(e, Heard)] == ["second"]
    assert table.store.full_n == 0


async def test_a_word_to_a_running_task_is_heard_at_once_and_read_at_the_next_step() -> None:
    table = Table({"ops": [use("note", text="a"), say("done"), say("done, and green")]})
    table.tools["note"].hold()
    await table.say("go", role="ops")
    await table.say("make it green")
    assert table.lines == ["Heard. I read this at the next step."]
    table.tools["note"].let_go.set()
    await table.settle()
    assert table.model.requests[1].messages[-1].text == "You adds: make it green"
    assert len(await table.tasks()) == 1


async def test_a_word_to_a_task_that_ends_just_then_starts_anew() -> None:
    table = await shipping()
    task = await table.task()

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "AddEntry" for c in unit.changes):
            return False
        from msgspec.structs import replace

        from core.model.unit import PutTask

        over = replace(task, phase=Phase.DONE, version=task.version + 1)
        await table.store.inner.commit(Unit(changes=(PutTask(task=over),)))
        return True

    table.store.meanwhile = meanwhile
    await table.say("and one more thing")
    assert [one.brief.objective for one in await table.tasks()] == ["publish it", "and one more thing"]


async def test_a_word_that_always_loses_the_race_waits_for_the_next_sweep() -> None:
    table = await shipping()
    lost: list[int] = []

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "AddEntry" for c in unit.changes):
            return False
        from msgspec.structs import replace

        from core.model.unit import PutTask

        now = await table.store.read.task((await table.task()).id)
        await table.store.inner.commit(Unit(changes=(PutTask(task=replace(now, version=now.version + 1)),)))
        lost.append(1)
        return len(lost) == 7

    table.store.meanwhile = meanwhile
    await table.say("a word")
    assert len(lost) == 7
    assert [e.text for e in await table.journal() if isinstance(e, Heard)] == ["a word"]


async def test_what_was_said_before_is_told_to_the_next_task() -> None:
    table = Table({"ops": [say("It is blue.")]})
    await table.say("which colour is it?", role="ops")
    await table.say("and now?", role="ops")
    first = table.model.requests[1].messages[0].text
    assert "<earlier>" in first
    assert "It is blue." in first
    assert first.endswith("and now?")


@pytest.mark.parametrize("text", ["", " \n\t ", "\u2003"])
async def test_a_message_of_nothing_is_dealt_with_in_silence(text: str) -> None:
    table = Table()
    await table.say(text)
    assert table.chat.sent == []
    assert await table.engine.idle()


async def test_a_message_of_two_hundred_kilobytes_is_work_and_one_over_the_limit_is_refused_in_words() -> None:
    table = Table({"ops": [say("done")]})
    await table.say("x" * 200 * 1024, role="ops")
    (task,) = await table.tasks()
    assert len(task.brief.objective) == 200 * 1024
    assert len(task.title) <= 80
    assert "a call may read" in table.answer
    await table.say("é" * 132_000, role="ops")
    assert table.lines == [replies.MESSAGE_TOO_LONG]


async def test_control_characters_reach_the_model_and_no_screen() -> None:
    table = Table({"ops": [use("ask_human", question="Really \x1b[2J?"), say("ok \x1b]0;pwned\x07 done")]})
    await table.say("\x00\x1b[31mred\u202e \x07now", role="ops")
    assert "\x1b[31mred" in table.model.requests[0].messages[0].text
    await table.order("/answer yes")
    await table.order("/tasks")
    for post in table.chat.sent:
        shown = repr(post.view)
        assert not any(bad in shown for bad in ("\\x1b", "\\x07", "\\x00", "\\u202e")), shown


async def test_a_reaction_is_nothing_to_do() -> None:
    table = Table()
    await table.happens(ReactionAdded, message="m1", reaction="+1")
    await table.settle()
    assert table.chat.sent == []
    assert await table.engine.idle()


@pytest.mark.parametrize(
    ("kind", "fields", "text"),
    [
        (ScheduleFired, {"schedule": "s", "scheduled_at_ms": 1, "text": "look around", "role": "ops"}, "look around"),
        (WebhookReceived, {"hook": "h", "body": '{"a": 1}', "role": "ops"}, '{"a": 1}'),
        (CardMoved, {"card": "c", "column_from": "a", "column_to": "b", "text": "do c", "role": "ops"}, "do c"),
    ],
)
async def test_schedules_hooks_and_cards_start_work_nobody_in_person_asked_for(kind, fields, text) -> None:
    table = Table({"ops": [SHIP, say("done")]})
    await table.happens(kind, sender=Sender(account="schedule"), **fields)
    await table.settle()
    task = await table.task()
    assert task.brief.objective == text
    assert task.initiators == ()
    assert await table.press("approve") == notes.APPROVED
    assert table.answer == "done"


async def test_a_schedule_for_a_role_that_is_gone_says_so() -> None:
    table = Table()
    await table.happens(ScheduleFired, schedule="s", scheduled_at_ms=1, text="look", role="gone")
    await table.settle()
    assert table.lines == [replies.no_such_role("gone", ("ceo", "cto", "ops", "dev"))]


# --- Timers ----------------------------------------------------------------------------------------------------------


async def test_a_deadline_flags_an_inquiry_and_a_late_answer_still_counts() -> None:
    table = await shipping()
    table.turn_clock(hours=49)
    await table.settle()
    asked = await table.inquiry()
    assert asked.overdue
    assert asked.state is InquiryState.OPEN
    assert table.cards[-1].overdue
    assert not table.tools["run_command"].ran
    table.turn_clock(hours=500)
    await table.settle()
    assert not table.tools["run_command"].ran
    assert await table.press("approve", "bob") == notes.APPROVED
    assert table.answer == "shipped"


async def test_a_deadline_may_deny_and_never_approves() -> None:
    from msgspec.structs import replace

    rule = replace(PAIR.policy.tiers["infrastructure"], at_deadline="deny")
    policy = replace(PAIR.policy, tiers={**PAIR.policy.tiers, "infrastructure": rule})
    table = await shipping(replace(PAIR, policy=policy))
    table.turn_clock(hours=49)
    await table.settle()
    assert (await table.newest()).state is InquiryState.DENIED
    assert "nobody decided in time" in table.results()[0]


async def test_the_deadline_of_an_earlier_revision_is_nothing() -> None:
    table = await shipping(company(YOU))
    old = (await table.inquiry()).decide_by_ms
    table.turn_clock(hours=1)
    await table.press("edit", edit='{"args.site":"docs"}')
    assert (await table.inquiry()).decide_by_ms == old + 3_600_000
    table.turn_clock(hours=47.5)
    await table.settle()
    assert not (await table.inquiry()).overdue
    table.turn_clock(hours=0.5)
    await table.settle()
    assert (await table.inquiry()).overdue


@pytest.mark.parametrize(
    "errand",
    [
        StopOrder(by="x"),
        DecideBy(inquiry=InquiryId("i-nothing"), revision=1),
        ExecuteBy(grant=GrantId("g-nothing")),
        WordFromAsker(call="t-x:1:0", text="a", speaker="CTO"),
    ],
)
async def test_a_signal_about_nothing_is_closed(errand) -> None:
    table = Table()
    signal = Signal(id=SignalId("s"), task=TaskId("t-nothing"), due_at_ms=table.clock.now_ms(), errand=errand)
    await table.store.commit(Unit(changes=(AddSignal(signal=signal),)))
    await table.settle()
    assert await table.engine.idle()
    assert [entry["event"] for entry in table.log] == ["signal.gone"]


async def test_a_signal_that_breaks_the_engine_holds_up_no_other() -> None:
    table = Table({"ops": [SHIP, say("done")]}, team=PAIR, expect=("signal.failed",))
    await table.say("go", role="ops")
    for n in range(2):
        errand = DecideBy(inquiry=(await table.inquiry()).id, revision=1)
        due = table.clock.now_ms()
        signal = Signal(id=SignalId(f"s{n}"), task=TaskId(f"t-{n}"), due_at_ms=due, errand=errand)
        await table.store.commit(Unit(changes=(AddSignal(signal=signal),)))
    table.programs.broken = RuntimeError("a bug of ours")
    await table.settle()
    table.programs.broken = None
    assert await table.engine.idle()
    assert await table.press("approve", "bob") == notes.APPROVED


async def test_a_signal_waits_while_the_disk_is_full() -> None:
    table = await shipping()
    table.store.full_if = lambda unit: {"CloseSignal", "AddEntry"} <= {type(c).__name__ for c in unit.changes}
    table.store.full_n = 2
    assert await table.press("deny", "bob", reason="no") == notes.DENIED
    assert "no" in table.results()[0]
    assert table.answer == "shipped"
    assert table.store.full_n == 0


async def test_a_signal_taken_up_by_two_counts_once() -> None:
    table = await shipping()

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "CloseSignal" for c in unit.changes):
            return False
        await table.store.inner.commit(unit)
        return True

    table.store.meanwhile = meanwhile
    await table.press("deny", "bob", reason="no")
    assert table.answer == "shipped"
    assert len(table.results()) == 1


async def test_the_dispatcher_sleeps_until_the_next_timer_and_never_long() -> None:
    table = Table()
    await table.settle()
    assert await table.engine.dispatcher.sweep() == SWEEP_SECONDS
    for after_ms, seconds in ((500, 0.5), (60_000, SWEEP_SECONDS)):
        signal = Signal(
            id=SignalId("s"), task=TaskId("t-0"), due_at_ms=table.clock.now_ms() + after_ms, errand=StopOrder(by="x")
        )
        await table.store.commit(Unit(changes=(AddSignal(signal=signal),)))
        assert await table.engine.dispatcher.sweep() == seconds


async def test_a_lost_race_is_decided_again_from_the_new_state() -> None:
    """A result and a word come at once: both are in the journal, and the word is read."""
    table = Table({"ops": [use("note", text="a"), say("done")]})
    table.tools["note"].hold()
    await table.say("go", role="ops")

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "EndEffect" for c in unit.changes):
            return False
        await table.happens(MessageReceived, text="a word")
        await table.engine.dispatcher.sweep()
        return True

    table.store.meanwhile = meanwhile
    table.tools["note"].let_go.set()
    await table.settle()
    assert "You adds: a word" in table.model.requests[1].messages[-1].text
    assert table.results() == ["held, and let go"]
    assert table.answer == "done"


async def test_lines_of_one_conversation_go_in_order_and_others_side_by_side() -> None:
    table = Table({"ops": [use("ask_human", question="?"), say("x")], "ceo": [use("ask_human", question="?")]})
    for n in range(4):
        await table.happens(MessageReceived, text=f"main {n}", role="ops" if n == 0 else None)
        await table.happens(MessageReceived, text=f"side {n}", role="ceo" if n == 0 else None, at=SIDE)
    await table.settle()
    for role, where in (("ops", "main"), ("ceo", "side")):
        heard = [e.text for e in await table.journal(role) if isinstance(e, Heard)]
        assert heard == [f"{where} {n}" for n in (1, 2, 3)]


async def test_the_command_line_accepts_events_while_no_engine_runs() -> None:
    table = Table({"ops": [say("done")]})
    sender = Sender(account="console:you", asserted="you")
    event = MessageReceived(key="cli:1", at_ms=1, conversation=MAIN, sender=sender, text="go", role="ops")
    assert await StoreIntake(table.store).accept(event)
    await table.settle()
    assert table.answer == "done"
