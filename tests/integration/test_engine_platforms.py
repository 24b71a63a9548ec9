"""What the engine owes chat platforms: parts, doubt, accounts, files, places, and evidence of their health."""

from __future__ import annotations

import asyncio
import re

import msgspec
import pytest

from core.adapters.models.scripted import fail, say, use
from core.model.errors import AmbiguousError, AuthenticationError, RetryableError, TerminalError
from core.model.events import (
    Attachment,
    BotAdded,
    CommandReceived,
    ControlPressed,
    Conversation,
    MessageEdited,
    MessageReceived,
    Quote,
    Sender,
)
from core.model.ids import short
from core.model.inquiries import Verb
from core.model.unit import PostState
from core.model.views import InquiryCard, Line
from core.ports import Health, Sending
from core.rules import replies, words
from core.runtime import linking
from core.runtime.engine import HEALTH_SECONDS, LOOP_RESTART_SECONDS_MAX, REFUSED_SECONDS
from tests.engine_kit import MAIN, YOU, Table, company
from tests.integration.test_engine_outbox import post
from tests.small import NOW_MS

THREAD = Conversation(platform="chat", account="a", channel="c", thread="17")
NEWCOMER = Sender(account="chat:4242", name="Somebody")


class ShelfInMemory:
    def __init__(self) -> None:
        self.kept: dict[str, tuple[str, bytes]] = {}

    def read(self, artifact: str) -> tuple[str, bytes] | None:
        return None

    def keep(self, name: str, key: str, body: bytes) -> str:
        self.kept[key] = (name, body)
        return f"shared/inbox/{name}"


# --- Parts and doubt ------------------------------------------------------------------------------------------------


async def test_a_long_message_goes_out_in_parts_and_a_restart_goes_on_where_it_was() -> None:
    table = Table()
    table.chat.parts_n = 3
    await post(table, "long")
    await post(table, "next")
    sent: list[tuple[str, int]] = []
    through = table.chat.send

    async def send(one, edits, part=0):
        sent.append((one.view.text, part))
        if sent == [("long", 0), ("long", 1)]:
            raise RetryableError("out of order")
        return await through(one, edits, part)

    table.chat.send = send  # type: ignore[method-assign]
    await table.settle()
    await table.crash()
    table.turn_clock(seconds=10)
    await table.settle()
    assert sent == [("long", 0), ("long", 1), ("long", 1), ("long", 2), *(("next", n) for n in range(3))]
    row = next(row for row in await table.store.read.posts() if row.post.view.text == "long")
    assert (row.state, row.receipt) == (PostState.SENT, "m1")


@pytest.mark.parametrize("found", [True, False])
async def test_a_platform_that_can_tell_is_asked_before_a_message_is_sent_again(found: bool) -> None:
    table = Table()
    table.chat.sending = Sending.RECONCILABLE
    table.chat.troubles = [AmbiguousError("cut off after the write")]
    await post(table, "first")
    await table.settle()
    if found:
        (row,) = await table.store.read.posts()
        table.chat.found[row.post.id] = "there"
    table.turn_clock(seconds=2)
    await table.settle()
    (row,) = await table.store.read.posts()
    assert row.state is PostState.SENT
    assert row.receipt == ("there" if found else "m1")
    assert len(table.chat.sent) == (0 if found else 1)


async def test_an_edit_that_was_cut_off_is_made_again_also_where_nobody_can_tell() -> None:
    table = Table()
    await post(table, "one", slot="s")
    await table.settle()
    table.chat.troubles = [AmbiguousError("cut off")]
    await post(table, "two", slot="s")
    await table.settle()
    table.turn_clock(seconds=2)
    await table.settle()
    assert [m[-1].view.text for m in table.chat.messages.values()] == ["two"]


@pytest.mark.parametrize("what", ["answer", "card"])
async def test_people_are_told_that_something_may_not_have_arrived(what: str) -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    table = Table({"ops": [say("done")] if what == "answer" else [ship, say("done")]})
    through = table.chat.send

    async def send(one, edits, part=0):
        if one.slot.startswith(what):
            raise AmbiguousError("cut off")
        return await through(one, edits, part)

    table.chat.send = send  # type: ignore[method-assign]
    await table.say("go", role="ops")
    (line,) = [line for line in table.lines if line.startswith("Delivery uncertain")]
    assert re.search(r"/task t-\w+" if what == "answer" else r"/view i-\w+", line)


async def test_the_word_about_doubt_is_said_until_it_is_heard_and_leads_to_what_was_missed() -> None:
    table = Table({"ops": [say("forty-two")]})
    through, failures = table.chat.send, 3

    async def send(one, edits, part=0):
        nonlocal failures
        if one.slot.startswith("answer") or (one.slot.startswith("uncertain:") and failures > 0):
            failures -= one.slot.startswith("uncertain:")
            raise AmbiguousError("503")
        return await through(one, edits, part)

    table.chat.send = send  # type: ignore[method-assign]
    await table.say("what is six by seven?", role="ops")
    for _ in range(4):
        table.turn_clock(seconds=60)
        await table.settle()
    task = await table.task()
    assert table.lines == [replies.answer_uncertain(short(task.id))]
    assert "forty-two" in await table.order(f"/task {task.id}")


async def test_trouble_that_may_not_have_arrived_is_told_of_and_a_line_is_not() -> None:
    table = Table({"ops": [fail(TerminalError("no")), say("x")]})
    through = table.chat.send

    async def send(one, edits, part=0):
        if not one.slot.startswith("status") and not (
            isinstance(one.view, Line) and one.view.text == replies.TROUBLE_UNCERTAIN
        ):
            raise AmbiguousError("cut off")
        return await through(one, edits, part)

    table.chat.send = send  # type: ignore[method-assign]
    await post(table, "a line")
    await table.say("go", role="ops")
    assert table.lines == [replies.TROUBLE_UNCERTAIN]


async def test_a_press_proves_that_its_card_arrived_and_the_decision_is_shown_on_it() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    table = Table({"ops": [ship, say("done")]})
    through, cards = table.chat.send, []

    async def send(one, edits, part=0):
        if isinstance(one.view, InquiryCard) and not edits:
            cards.append(one.view)
            raise AmbiguousError("cut off after it was shown")
        return await through(one, edits, part)

    table.chat.send = send  # type: ignore[method-assign]
    await table.say("publish it", role="ops")
    approve = next(b.control for b in cards[0].buttons if b.label == words.BUTTONS[Verb.APPROVE])
    for _ in range(2):  # the one who asked is alone: two presses
        await table.happens(ControlPressed, control=approve, message="m-on-screen")
        await table.settle()
        table.turn_clock(seconds=1)
    assert [post.view.headline[:8] for post in table.chat.messages["m-on-screen"] if hasattr(post.view, "headline")]
    (delivery,) = (await table.store.read.inquiry((await table.newest()).id)).deliveries
    assert delivery.receipt == "m-on-screen"


async def test_a_receipt_that_a_crash_swallowed_comes_after_the_start() -> None:
    table = Table({"ops": [say("done")]})
    table.context.on_change.clear()  # nothing is drawn in this life
    await table.say("go", role="ops")
    assert table.statuses == []
    await table.crash()
    await table.engine.status.recover()
    await table.engine.status.draw()
    await table.settle()
    assert [line.done for line in table.statuses] == ["done"]
    await table.crash()
    await table.engine.status.recover()
    assert table.engine.status._moved == set()


async def test_words_to_a_busy_team_are_thanked_for_once_a_minute() -> None:
    table = Table({"ops": [use("note", text="a"), say("done"), say("done")]})
    table.tools["note"].hold()
    await table.say("go", role="ops")
    for n in range(5):
        await table.say(f"and {n}")
    assert len(table.lines) == 1
    table.turn_clock(seconds=61)
    await table.say("and more")
    assert len(table.lines) == 2


# --- Accounts -------------------------------------------------------------------------------------------------------


async def test_a_code_makes_a_stranger_somebody_once() -> None:
    table = Table({"ceo": [say("hello")]})
    code = await linking.issue(table.store, table.context.ids, "you", "test", table.clock.now_ms())
    assert re.fullmatch(r"[A-Z2-7]{4}-[A-Z2-7]{4}", code)
    said = await table.happens(CommandReceived, name="pair", arguments=(code.lower(),), sender=NEWCOMER)
    await table.settle()
    assert table.answered(said) == replies.linked("You")
    await table.happens(MessageReceived, text="hi", sender=NEWCOMER)
    await table.settle()
    assert table.answer == "hello"
    again = await table.happens(
        CommandReceived, name="pair", arguments=(code,), sender=Sender(account="chat:666", name="Eve")
    )
    await table.settle()
    assert table.answered(again) == replies.CODE_UNKNOWN
    assert [link.account for link in await table.store.read.accounts()] == ["chat:4242"]


async def test_two_accounts_with_one_code_at_the_same_moment_are_one_account(monkeypatch) -> None:
    table = Table()
    code = await linking.issue(table.store, table.context.ids, "you", "test", table.clock.now_ms())
    team, at_ms = table.teams.team, table.clock.now_ms()
    first = MessageReceived(key="1", at_ms=1, conversation=MAIN, sender=NEWCOMER, text="")
    found = await linking.redeem(table.store.read, team, first, code, at_ms)
    await table.order(f"/pair {code}", "eve")
    assert found is not None
    from core.model.unit import Applied, Unit

    _person, guards, changes = found
    assert not isinstance(await table.store.commit(Unit(guards=guards, changes=changes)), Applied)


@pytest.mark.parametrize("trouble", ["late", "nonsense", "gone"])
async def test_a_code_that_is_not_good_makes_nobody(trouble: str) -> None:
    table = Table()
    person = "nobody" if trouble == "gone" else "you"
    code = await linking.issue(table.store, table.context.ids, person, "test", table.clock.now_ms())
    table.turn_clock(seconds=linking.CODE_MS / 1000 if trouble == "late" else 0)
    assert await table.order(f"/pair {'BBBB-BBBB' if trouble == 'nonsense' else code}", "eve") == replies.CODE_UNKNOWN
    assert await table.store.read.accounts() == ()


async def test_codes_that_ran_out_are_taken_away_when_there_is_a_new_one() -> None:
    table = Table()

    async def issued(token: str) -> str:
        table.context.ids.token = lambda: token
        return await linking.issue(table.store, table.context.ids, "you", "test", table.clock.now_ms())

    await issued("1" * 16)
    table.turn_clock(seconds=linking.CODE_MS / 2000)
    second = await issued("2" * 16)
    assert len(await table.store.read.facts(linking.CODES)) == 2
    table.turn_clock(seconds=linking.CODE_MS / 2000)
    await issued("3" * 16)
    assert len(await table.store.read.facts(linking.CODES)) == 2
    assert await table.order(f"/pair {second}", "eve") != replies.CODE_UNKNOWN
    assert len(await table.store.read.facts(linking.CODES)) == 1


async def test_somebody_known_asks_for_a_code_and_is_told_alone() -> None:
    table = Table()
    line = await table.order("/link")
    assert "/link " in line
    told = table.posts[-1].view
    assert isinstance(told, Line)
    assert (told.private, told.to) == (True, "chat:you")
    assert told.event


async def test_a_link_to_somebody_who_left_the_team_is_nobodys() -> None:
    table = Table()
    code = await linking.issue(table.store, table.context.ids, "you", "test", table.clock.now_ms())
    await table.order(f"/pair {code}", "eve")
    desk = table.engine.intake
    assert await desk.knows("chat:eve")
    assert await desk.knows("chat:you")
    table.teams.team = msgspec.structs.replace(table.teams.team, people=())
    assert not await desk.knows("chat:eve")
    assert not await desk.knows("chat:you")


async def test_an_owner_who_can_be_reached_needs_no_pairing() -> None:
    table = Table(team=company(msgspec.structs.replace(YOU, role="owner", accounts=("chat:1",))))
    ids, now_ms = table.context.ids, table.clock.now_ms()
    assert await linking.pair_code(table.store, ids, table.teams.team, "chat", now_ms) is None
    code = await linking.pair_code(table.store, ids, table.teams.team, "desk", now_ms)
    assert code is not None
    await table.order(f"/pair {code}", "eve", at=msgspec.structs.replace(MAIN, platform="desk"))
    assert await linking.pair_code(table.store, ids, table.teams.team, "desk", now_ms) is None
    nobody = msgspec.structs.replace(table.teams.team, people=())
    assert await linking.pair_code(table.store, ids, nobody, "desk", now_ms) is None


# --- Places ---------------------------------------------------------------------------------------------------------


async def test_what_concerns_the_team() -> None:
    table = Table({"ceo": [say("done")]})
    table.teams.team = msgspec.structs.replace(table.teams.team, channels={"chat:bound": "ops"})

    async def concerns(text: str, at: Conversation) -> bool:
        event = MessageReceived(key="x", at_ms=1, conversation=at, sender=NEWCOMER, text=text, addressed=False)
        return await table.engine.intake.concerns(event)

    assert not await concerns("hello", THREAD)
    assert await concerns("@ops hello", THREAD)
    assert await concerns("hello", msgspec.structs.replace(MAIN, channel="bound"))
    await table.say("go", at=THREAD)
    assert await concerns("thanks", THREAD)
    await table.say("go")
    assert not await concerns("chatter", MAIN)
    assert await table.engine.intake.threads("chat", "a") == (MAIN, THREAD) or MAIN.account != "a"


async def test_a_new_place_is_greeted_in_four_lines() -> None:
    table = Table()
    await table.happens(BotAdded)
    await table.settle()
    (line,) = table.lines
    assert line.count("\n") == 3
    assert "CEO" in line or "ceo" in line.lower()


async def test_an_edited_request_is_told_of_while_it_goes_on_and_not_after() -> None:
    table = Table({"ops": [use("note", text="a"), say("done")]})
    table.tools["note"].hold()
    key = await table.say("go", role="ops")
    await table.happens(MessageEdited, original=key, text="go there")
    await table.settle()
    assert table.lines == [replies.edited((await table.task()).id)]
    table.tools["note"].let_go.set()
    await table.settle()
    await table.happens(MessageEdited, original=key, text="go away")
    await table.happens(MessageEdited, original="unknown", text="go away")
    await table.settle()
    assert len(table.lines) == 1


async def test_what_was_said_before_in_a_thread_is_read_first() -> None:
    table = Table({"ops": [say("done")]})
    earlier = (Quote(speaker="Eve", text="the button is green"), Quote(speaker="bot", text="beep", by_agent=True))
    await table.happens(MessageReceived, text="change it", role="ops", earlier=earlier)
    await table.settle()
    first = table.model.requests[0].messages[0].text
    assert "Eve: the button is green" in first
    assert first.index("green") < first.index("change it")


async def test_a_new_conversation_leaves_the_old_one_out() -> None:
    table = Table({"ops": [use("ask_human", question="?"), say("one")], "ceo": [say("two"), say("three")]})
    await table.say("the first thing", role="ops")
    table.turn_clock(seconds=1)
    assert await table.order("/new") == replies.NEW_TALK
    table.turn_clock(seconds=1)
    await table.say("the second thing")
    assert table.answer == "two"
    assert "first thing" not in table.model.requests[-1].messages[0].text
    await table.say("the third thing")
    assert "second thing" in table.model.requests[-1].messages[0].text


async def test_a_muted_conversation_gets_its_answer_and_no_status_lines() -> None:
    table = Table({"ops": [use("note", text="a"), say("done"), say("done")]})
    assert await table.order("/mute soon") == replies.MUTED_NOT
    assert await table.order("/mute 200") == replies.MUTED_NOT
    assert await table.order("/mute 2") == replies.muted(2)
    table.tools["note"].hold()
    await table.say("go", role="ops")
    await table.engine.status.draw(at_once=True)
    await table.settle()
    assert table.statuses == []
    table.tools["note"].let_go.set()
    await table.settle()
    assert table.answer == "done"
    assert await table.order("/mute off") == replies.UNMUTED
    assert await table.order("/mute") == replies.muted(8)


async def test_models_and_budgets_can_be_looked_up() -> None:
    table = Table({"ops": [say("done")]})
    await table.say("go", role="ops")
    models, budgets = await table.order("/model"), await table.order("/budget")
    priced = msgspec.structs.replace(table.teams.team.models["work"], input_microusd_per_mtok=3_000_000)
    table.teams.team = msgspec.structs.replace(table.teams.team, models={"work": priced})
    assert "$3.00 in, $0.00 out a million tokens" in await table.order("/model")
    assert len(models.splitlines()) == len(budgets.splitlines()) == len(table.teams.team.roles)
    assert "scripted/" in models
    assert "tokens" in budgets


# --- Files ----------------------------------------------------------------------------------------------------------


def paper(ref: str, name: str = "report.pdf") -> Attachment:
    return Attachment(name=name, media="application/pdf", bytes_n=3, ref=ref)


async def test_files_are_fetched_before_the_request_begins_and_their_names_are_in_it() -> None:
    table = Table({"ops": [say("read")]})
    shelf = table.context.shelf = ShelfInMemory()
    table.chat.files = {"r1": b"abc"}
    fetching = asyncio.ensure_future(table.engine.dispatcher.files.run())
    key = await table.happens(MessageReceived, text="read this", role="ops", files=(paper("r1"),))
    for _ in range(200):
        await asyncio.sleep(0)
        await table.settle()
    assert shelf.kept == {f"{key}:0": ("report.pdf", b"abc")}
    brief = (await table.task()).brief.objective
    assert brief.startswith("read this\n\n[file: report.pdf is at shared/inbox/report.pdf (application/pdf, 3")
    fetching.cancel()


@pytest.mark.parametrize("trouble", [TerminalError("too large"), RetryableError("out of order")])
async def test_a_file_that_cannot_be_had_is_named_all_the_same(trouble) -> None:
    table = Table({"ops": [say("read")]})
    table.context.shelf = ShelfInMemory()

    async def fetch(_file):
        raise trouble

    table.chat.fetch = fetch  # type: ignore[method-assign]
    fetching = asyncio.ensure_future(table.engine.dispatcher.files.run())
    await table.happens(MessageReceived, text="read this", role="ops", files=(paper("r1"),))
    for _ in range(200):
        await asyncio.sleep(0)
        await table.settle()
    assert f"[file: report.pdf was sent, but could not be fetched: {trouble}]" in (await table.task()).brief.objective
    fetching.cancel()


async def test_files_of_a_stranger_are_not_fetched() -> None:
    table = Table()
    await table.happens(MessageReceived, text="read this", sender=NEWCOMER, files=(paper("r1"),))
    await table.settle()
    assert table.lines == [replies.STRANGER]


async def test_a_workspace_without_a_shelf_says_so() -> None:
    table = Table({"ops": [say("read")]})
    fetching = asyncio.ensure_future(table.engine.dispatcher.files.run())
    await table.happens(MessageReceived, text="read this", role="ops", files=(paper("r1"),))
    for _ in range(50):
        await asyncio.sleep(0)
        await table.settle()
    assert "keeps no files" in (await table.task()).brief.objective
    fetching.cancel()


# --- Cards, notes, health -------------------------------------------------------------------------------------------


async def test_a_form_is_drawn_from_the_card_as_it_is_now() -> None:
    ship = use("run_command", command="ship", args={"site": "landing"})
    table = Table({"ops": [ship, say("done")]})
    await table.say("publish it", role="ops")
    control = table.button("approve")
    card = await table.engine.intake.card(control)
    assert card is not None
    assert card.inquiry == (await table.inquiry()).id
    assert {b.control for b in card.buttons} >= {control}
    assert await table.engine.intake.card("0123456789abcdef.a") is None
    assert await table.engine.intake.card("nonsense") is None
    await table.press("deny", reason="no")
    assert await table.engine.intake.card(control) is None


async def test_a_platforms_notes_survive() -> None:
    table = Table()
    assert await table.engine.intake.recall("chat.heard") == ""
    await table.engine.intake.note("chat.heard", "17")
    assert await table.engine.intake.recall("chat.heard") == "17"


async def test_a_platform_that_breaks_is_rebuilt_later_and_later_and_said_once() -> None:
    table = Table(expect=("loop.broke",))
    told: list[tuple[str, str]] = []
    table.engine.on_trouble = lambda name, line: told.append((name, line))
    tries = 0

    async def breaks(_intake) -> None:
        nonlocal tries
        tries += 1
        if tries > 9:
            await asyncio.Event().wait()
        raise AuthenticationError("refused") if tries == 9 else RetryableError("deaf")

    table.chat.run = breaks  # type: ignore[method-assign]
    keeping = asyncio.ensure_future(table.engine._keep("platform chat", lambda: table.chat.run(table.engine.intake)))
    for _ in range(200):
        await asyncio.sleep(0)
    keeping.cancel()
    assert table.clock.slept[:9] == [
        1,
        2,
        4,
        8,
        16,
        32,
        LOOP_RESTART_SECONDS_MAX,
        LOOP_RESTART_SECONDS_MAX,
        REFUSED_SECONDS,
    ]
    assert told == [("chat", "deaf"), ("chat", "refused")]


async def test_evidence_of_traffic_is_kept_for_doctor_and_a_quiet_night_writes_nothing() -> None:
    table = Table()
    table.chat.state = Health(connected_at_ms=NOW_MS, heard_at_ms=NOW_MS + 1)
    recording = asyncio.ensure_future(table.engine._record_health())
    for _ in range(50):
        await asyncio.sleep(0)
    kept = msgspec.json.decode(await table.store.read.meta("health:chat"), type=Health)
    assert kept.connected_at_ms == NOW_MS
    assert await table.store.read.meta("health:desk") is None
    assert HEALTH_SECONDS in table.clock.slept
    table.chat.state = Health(connected_at_ms=NOW_MS, trouble="deaf for 2 m")
    for _ in range(50):
        await asyncio.sleep(0)
    assert msgspec.json.decode(await table.store.read.meta("health:chat"), type=Health).trouble == "deaf for 2 m"
    recording.cancel()
