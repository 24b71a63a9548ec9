"""Slack's adapter against a Slack of our own, on real sockets."""

import asyncio
import contextlib
import json
import socket
import time

import aiohttp
import msgspec
import pytest

from bots.slack import wire, words
from bots.slack.checks import examine, scopes
from bots.slack.client import Slack, configured
from bots.slack.web import Web
from core.adapters.system import SystemClock
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    RateLimitedError,
    RetryableError,
    StoreFullError,
    TerminalError,
)
from core.model.events import (
    Attachment,
    BotAdded,
    CommandReceived,
    ControlPressed,
    Conversation,
    FormSubmitted,
    MessageEdited,
    MessageReceived,
    Quote,
)
from core.model.inquiries import Verb
from core.model.views import Answer, Button, DecidedCard, InquiryCard, Line, Post, StatusLine
from core.rules.controls import control
from tests.fakes.desk import Desk
from tests.fakes.service import Fault, Place
from tests.fakes.slack import SlackService
from tests.fakes.slack.web import SCOPES

NONCE = "0123456789abcdef"
TEAM = "T0FAKE"


class Files:
    def read(self, artifact):
        return {"report.md": ("../report.md", b"# all of it"), "empty.txt": ("empty.txt", b"")}.get(artifact)


class FastClock(SystemClock):
    """Time goes a thousand times as fast for who sleeps by it, and jumps by as much."""

    def __init__(self):
        self.ahead_ms = 0

    def monotonic_ms(self):
        return super().monotonic_ms() + self.ahead_ms

    def now_ms(self):
        return super().now_ms() + self.ahead_ms

    async def sleep(self, seconds):
        self.ahead_ms += int(seconds * 1000)
        await asyncio.sleep(seconds / 1000)


@pytest.fixture
async def slack():
    some = SlackService()
    some.deliveries.gaps = (0.0, 0.05, 0.05)
    await some.start()
    yield some
    await some.stop()


@pytest.fixture
def desk(slack):
    some = Desk()
    some.known = {f"slack:{slack.owner.id}", f"slack:{slack.second.id}"}
    return some


def adapter(slack, clock=None, **changes):
    return Slack({**slack.environ(), **changes}, clock=clock or SystemClock(), ids=None, zone="UTC", shelf=Files())


@contextlib.asynccontextmanager
async def connected(slack, desk, bot=None):
    bot = bot or adapter(slack)
    running = asyncio.create_task(bot.run(desk))
    try:
        live = asyncio.create_task(slack.connected())
        done, _ = await asyncio.wait({live, running}, timeout=8, return_when=asyncio.FIRST_COMPLETED)
        assert live in done, running.exception() if running.done() else "not connected"
        yield bot
    finally:
        live.cancel()
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError, RetryableError):
            await running


@pytest.fixture
async def bot(slack, desk):
    async with connected(slack, desk) as some:
        yield some


def place(channel="C0HOME", thread="", team=TEAM):
    return Conversation(platform="slack", account=team, channel=channel, thread=thread)


def post(view, where=None, n=1):
    return Post(id=f"p-{n:012x}", conversation=where or place(), view=view, slot="s", at_ms=SystemClock().now_ms())


def card(*buttons):
    return InquiryCard(
        inquiry="i-7f3a00112233", revision=1, title="DevOps asks to run deploy", line="Runs it", fields=(), more_n=0,
        whole=(), why="", tier="infrastructure", decide_by_ms=None, decide_within_ms=None, needs="1 of 2",
        buttons=buttons, speaker="DevOps",
    )  # fmt: skip


APPROVE = Button(control=control(NONCE, Verb.APPROVE), label="Approve", style="good")
DENY = Button(control=control(NONCE, Verb.DENY), label="Deny", style="bad")


async def ended(bot, desk):
    """What `run` raises."""
    async with asyncio.timeout(10):
        return await asyncio.gather(bot.run(desk), return_exceptions=True)


async def acknowledged(slack, n=1, kind="events_api"):
    async with asyncio.timeout(8):
        while len(slack.journal.lines("acknowledged", kind)) < n:  # noqa: ASYNC110  # the journal tells nobody
            await asyncio.sleep(0.01)


# --- Hearing --------------------------------------------------------------------------------------------------------


async def test_a_mention_is_heard_once_and_answered_in_its_thread(slack, desk, bot):
    said = await slack.say(slack.owner, "@cto how big is our debt?", slack.home, mention=True)
    event = await desk.until(MessageReceived)
    await acknowledged(slack, 2)
    ts = said.partition(":")[2]
    assert (event.key, event.text, event.addressed) == (f"slack:{TEAM}:C0HOME:{ts}", "@cto how big is our debt?", True)
    assert event.conversation == place(thread=ts)
    receipt = await bot.send(post(Line(text="about so big", speaker="CTO"), event.conversation), "")
    (shown,) = slack.screen(Place(channel="C0HOME", thread=ts))
    assert (shown.id, shown.author, shown.text) == (receipt, "CTO", "about so big")
    assert len(desk.events) == 1


async def test_what_is_not_for_the_team_is_acknowledged_and_not_kept(slack, desk, bot):
    await slack.say(slack.owner, "lunch?", slack.home)
    await slack.say(slack.other_bot, "built", slack.home)
    slack.tell({"type": "reaction_added", "user": slack.owner.id})
    await slack.say(slack.owner, "@cto hello", slack.home)
    assert (await desk.until(MessageReceived)).text == "@cto hello"
    await acknowledged(slack, 4)
    assert len(desk.events) == 1


async def test_the_same_event_four_times_is_one(slack, desk, bot):
    await slack.say(slack.owner, "hi", slack.direct(slack.owner))
    await slack.redeliver(3)
    await acknowledged(slack, 4)
    (event,) = desk.of(MessageReceived)
    assert event.conversation == place(slack.direct(slack.owner).channel)


async def test_what_could_not_be_committed_is_not_acknowledged_and_comes_again(slack, desk, bot):
    slack.deliveries.ack_seconds = 0.2
    desk.fails = [StoreFullError("the disk is full")]
    await slack.say(slack.owner, "hi", slack.direct(slack.owner))
    await desk.until(MessageReceived)
    await acknowledged(slack)
    assert len(slack.journal.lines("delivered", "events_api")) == 2


async def test_a_fault_of_our_own_is_not_acknowledged_and_stops_nothing(slack, desk, bot):
    slack.deliveries.ack_seconds = 0.2
    desk.fails = [KeyError("a fault of ours")]
    await slack.say(slack.owner, "hi", slack.direct(slack.owner))
    await desk.until(MessageReceived)


async def test_a_huge_message_and_a_hostile_name_are_taken(slack, desk, bot):
    someone = slack.rename(slack.owner, "\u202eevil <!channel>")
    await slack.say(someone, "x" * 20_000_000, slack.direct(someone))
    assert len((await desk.until(MessageReceived)).text) == 300_000
    await slack.order(someone, "ask", "this", slack.home)
    (anchor,) = slack.screen(slack.home)
    assert anchor.text == "<U+202E>evil <!channel> asks: this"


async def test_order_is_kept_within_a_conversation(slack, desk, bot):
    where = slack.direct(slack.owner)
    for n in range(30):
        await slack.say(slack.owner, str(n), where)
    await desk.until(MessageReceived, 30)
    assert [event.text for event in desk.of(MessageReceived)] == [str(n) for n in range(30)]


async def test_an_edit_names_the_message(slack, desk, bot):
    said = await slack.say(slack.owner, "helo", slack.direct(slack.owner))
    await desk.until(MessageReceived)
    await slack.edit(slack.owner, said, "hello")
    edit = await desk.until(MessageEdited)
    assert (edit.text, edit.original) == ("hello", desk.of(MessageReceived)[0].key)
    await slack.unfurl(said)
    await acknowledged(slack, 3)
    assert len(desk.of(MessageEdited)) == 1


async def test_called_into_a_thread_it_reads_what_was_said(slack, desk, bot):
    root = await slack.say(slack.second, "the site is slow", slack.home)
    await slack.say(slack.owner, "since monday", slack.home, reply_to=root)
    await slack.say(slack.owner, "why?", slack.home, mention=True, reply_to=root)
    event = await desk.until(MessageReceived)
    assert event.earlier == (
        Quote(speaker=slack.second.name, text="the site is slow"),
        Quote(speaker=slack.owner.name, text="since monday"),
    )
    assert event.conversation.thread == root.partition(":")[2]


async def test_a_thread_that_cannot_be_read_is_no_obstacle(slack, desk, bot):
    root = await slack.say(slack.second, "the site is slow", slack.home)
    # More than once: reading back what was missed before it connected may ask for the thread, too.
    slack.faults.plan(Fault(method="conversations.replies", times=9, how="status", status=500))
    await slack.say(slack.owner, "why?", slack.home, mention=True, reply_to=root)
    assert (await desk.until(MessageReceived)).earlier == ()


async def test_files_come_in_and_go_out(slack, desk, bot):
    await slack.say(slack.owner, "see", slack.direct(slack.owner), files=(("../x.pdf", "application/pdf", b"%PDF"),))
    (file,) = (await desk.until(MessageReceived)).files
    assert (file.name, file.media, file.bytes_n) == ("../x.pdf", "application/pdf", 4)
    assert await bot.fetch(file) == b"%PDF"
    answer = post(
        Answer(task="t-81c200112233", speaker="CEO", text="Done.", artifacts=("report.md", "site:x", "empty.txt"))
    )
    assert bot.parts(answer) == 4
    receipts = [await bot.send(answer, "", part) for part in range(4)]
    assert receipts[2] == "nothing"
    files = [file for shown in slack.screen(slack.home) for file in shown.files]
    assert files == [("report.md", b"# all of it"), ("empty.txt", b"\n")]
    assert await bot.find_sent(answer, "", 1) == receipts[1]
    assert await bot.find_sent(answer, "", 2) == "nothing"
    assert await bot.send(answer, receipts[1], 1) == receipts[1]


async def test_another_upload_of_the_same_name_and_size_is_not_taken_for_this_one(slack, bot):
    one, other = (
        post(Answer(task="t-81c200112233", speaker="CEO", text=text, artifacts=("report.md", "report.md")), n=n)
        for n, text in ((1, "Done."), (2, "Done again."))
    )
    receipt = await bot.send(one, "", 1)
    assert [await bot.find_sent(each, "", part) for each, part in ((one, 1), (one, 2), (other, 1))] == [
        receipt, None, None,
    ]  # fmt: skip
    assert await adapter(slack).find_sent(one, "", 1) == receipt  # after a crash, and before it is connected


async def test_a_long_answer_is_cut_once_and_a_few_are_kept(slack):
    bot = adapter(slack)
    long = [post(Answer(task="t-81c200112233", speaker="CEO", text="word\n\n" * n), n=n) for n in range(500, 510)]
    kept = [bot._voice.pieces(each) for each in long]
    assert bot._voice.pieces(long[-1]) is kept[-1]
    assert bot._voice.pieces(long[0]) is not kept[0]
    assert bot._voice.pieces(msgspec.structs.replace(long[-1], view=long[0].view)) == kept[0]


async def test_what_is_too_far_back_to_be_looked_for_may_have_been_sent(slack, bot, monkeypatch):
    monkeypatch.setattr("bots.slack.web.PAGES_MAX", 1)
    slack.api.page_max = 3
    asked = post(Line(text="x"))
    await bot.send(asked, "")
    for n in range(4):
        await slack.say(slack.owner, f"noise {n}", slack.home)
    with pytest.raises(AmbiguousError):
        await bot.find_sent(asked, "")


async def test_the_token_goes_to_slack_only(slack, bot):
    for url in (
        "https://evil.example/f",
        "https://slack.com.evil.example/f",
        "https://x:y@files.slack.com/f",
        "http://[",
        "",
    ):
        with pytest.raises(TerminalError):
            await bot.fetch(Attachment(name="f", ref=json.dumps({"id": "F1", "url": url}) if url else "junk"))


async def test_a_file_that_is_gone_or_forbidden_or_large(slack, desk, bot, monkeypatch):
    await slack.say(slack.owner, "see", slack.direct(slack.owner), files=(("x.txt", "text/plain", b"x" * 100),))
    (file,) = (await desk.until(MessageReceived)).files
    number = json.loads(file.ref)["id"]
    without_url = msgspec.structs.replace(file, ref=json.dumps({"id": number, "url": ""}))
    assert await bot.fetch(without_url) == b"x" * 100
    monkeypatch.setattr("bots.slack.web.FILE_BYTES_MAX", 99)
    with pytest.raises(TerminalError, match="too large"):
        await bot.fetch(file)
    with pytest.raises(TerminalError, match="gone"):
        await bot.fetch(msgspec.structs.replace(file, ref=file.ref.replace(number, "F404")))
    for status, kind in ((429, RateLimitedError), (503, RetryableError)):
        slack.faults.plan(Fault(method="download", how="status", status=status))
        with pytest.raises(kind):
            await bot.fetch(file)
    slack.faults.plan(Fault(method="download", how="cut", times=2))  # aiohttp asks twice for what may be asked twice
    with pytest.raises(RetryableError):
        await bot.fetch(file)
    slack.server.bot_token = "other"
    with pytest.raises(TerminalError, match="files:read"):
        await bot.fetch(file)


async def test_it_is_greeted_when_it_is_added(slack, desk, bot):
    await slack.add_bot(slack.owner, Place(channel="C0NEW"))
    event = await desk.until(BotAdded)
    assert (event.conversation, event.sender.account) == (place("C0NEW"), f"slack:{slack.owner.id}")


# --- Commands, buttons, forms ---------------------------------------------------------------------------------------


async def test_a_command(slack, desk, bot):
    answer = await slack.order(slack.owner, "approve", "i-7f3a because it is time", slack.home)
    assert answer.acknowledged
    event = await desk.until(CommandReceived)
    assert (event.name, event.arguments) == ("approve", ("i-7f3a", "because it is time"))
    line = Line(text="Only Ana can.", private=True, to=f"slack:{slack.owner.id}", event=event.key)
    await bot.send(post(line, event.conversation), "")
    (shown,) = slack.screen()
    assert (shown.text, shown.only_for) == ("Only Ana can.", slack.owner.id)


async def test_ask_has_a_message_to_be_answered_below(slack, desk, bot):
    assert (await slack.order(slack.owner, "ask", "deploy <!channel>", slack.home)).acknowledged
    event = await desk.until(MessageReceived)
    (anchor,) = slack.screen(slack.home)
    assert anchor.text == f"{slack.owner.name} asks: deploy <!channel>"
    assert event.conversation.thread == anchor.id.partition(":")[2]
    assert (event.text, event.addressed) == ("deploy <!channel>", True)
    assert not any(line.detail["pinged"] for line in slack.journal.lines("applied", "chat.postMessage"))


async def test_ask_without_a_place_for_an_answer(slack, desk, bot):
    slack.faults.plan(Fault(method="chat.postMessage", how="status", status=500))
    await slack.order(slack.owner, "ask", "one", slack.home)
    assert (await desk.until(MessageReceived)).conversation.thread == ""
    slack.space.channels["C0HOME"].members.discard("U0SIGNOFF")
    answer = await slack.order(slack.owner, "ask", "two", slack.home)
    assert (answer.acknowledged, answer.note) == (True, words.NO_ACKNOWLEDGEMENT_PLACE)
    await slack.order(slack.stranger, "ask", "three", slack.direct(slack.stranger))
    assert (await desk.until(MessageReceived, 3)).conversation.channel == slack.direct(slack.stranger).channel
    assert slack.screen(slack.direct(slack.stranger)) == ()


async def test_a_button_is_pressed_and_the_card_is_decided_in_place(slack, desk, bot):
    receipt = await bot.send(post(card(APPROVE, DENY)), "")
    assert slack.screen()[0].buttons == ("Approve", "Deny")
    assert (await slack.press(slack.second, receipt, "Approve")).acknowledged
    event = await desk.until(ControlPressed)
    assert (event.control, event.sender.account) == (APPROVE.control, f"slack:{slack.second.id}")
    decided = DecidedCard(inquiry="i-7f3a00112233", title="t", headline="Approved by Ana at 14:02", state="approved")
    assert await bot.send(post(decided, n=2), receipt) == receipt
    (shown,) = slack.screen()
    assert (shown.buttons, shown.text.splitlines()[0]) == ((), "✓ Approved by Ana at 14:02")


async def test_a_form_is_opened_and_comes_back(slack, desk, bot):
    desk.cards[DENY.control] = card(APPROVE, DENY)
    receipt = await bot.send(post(card(APPROVE, DENY)), "")
    opened = await slack.press(slack.owner, receipt, "Deny")
    assert opened.inputs == ("Why not?",)
    assert (await slack.submit(slack.owner, opened.form, ("not today",))).acknowledged
    event = await desk.until(FormSubmitted)
    assert (event.control, event.fields, event.conversation) == (DENY.control, {"reason": "not today"}, place())
    assert desk.of(ControlPressed) == []


async def test_an_approval_that_needs_a_reason_asks_for_it(slack, desk, bot):
    desk.cards[APPROVE.control] = msgspec.structs.replace(card(APPROVE, DENY), approve_reason=True)
    receipt = await bot.send(post(card(APPROVE, DENY)), "")
    opened = await slack.press(slack.owner, receipt, "Approve")
    assert opened.inputs == ("Why?",)
    assert (await slack.submit(slack.owner, opened.form, ("it is tested",))).acknowledged
    event = await desk.until(FormSubmitted)
    assert (event.control, event.fields) == (APPROVE.control, {"reason": "it is tested"})
    assert desk.of(ControlPressed) == []
    desk.cards[APPROVE.control] = card(APPROVE, DENY)
    assert not (await slack.press(slack.owner, receipt, "Approve")).form
    assert (await desk.until(ControlPressed)).control == APPROVE.control


async def test_no_form_for_a_stranger_or_for_what_is_over(slack, desk, bot):
    receipt = await bot.send(post(card(DENY)), "")
    assert (await slack.press(slack.owner, receipt, "Deny")).form == ""
    desk.cards[DENY.control] = card(DENY)
    assert (await slack.press(slack.stranger, receipt, "Deny")).form == ""
    await desk.until(ControlPressed, 2)


async def test_a_form_that_slack_does_not_open_is_asked_for_again(slack, desk, bot):
    desk.cards[DENY.control] = card(DENY)
    receipt = await bot.send(post(card(DENY)), "")
    slack.faults.plan(Fault(method="views.open", how="status", status=500))
    assert (await slack.press(slack.owner, receipt, "Deny")).acknowledged
    assert (slack.screen()[-1].text, slack.screen()[-1].only_for) == (words.PRESS_AGAIN, slack.owner.id)
    slack.faults.plan(Fault(method="views.open", how="status", status=500))
    slack.faults.plan(Fault(method="chat.postEphemeral", how="status", status=500))
    assert (await slack.press(slack.owner, receipt, "Deny")).acknowledged
    assert desk.events == {}


# --- Saying ---------------------------------------------------------------------------------------------------------


async def test_a_status_line_is_edited_in_place(slack, desk, bot):
    status = StatusLine(
        task="t-81c200112233", branches=(), steps=0, tokens=0, cost_microusd=0, started_at_ms=0, at_ms=0, done="done"
    )
    receipt = await bot.send(post(status), "")
    assert await bot.send(post(status), receipt) == receipt
    await slack.delete(receipt)
    assert await bot.send(post(status), receipt) != receipt
    assert len(slack.screen()) == 1
    assert await bot.find_sent(post(status), receipt) is None


async def test_without_its_own_name_a_role_is_named_in_the_text(slack, bot):
    slack.api.scopes = slack.api.scopes.replace("chat:write.customize,", "")
    for n in (1, 2):
        await bot.send(post(Line(text="hello", speaker="CTO"), n=n), "")
    assert [(shown.author, shown.text) for shown in slack.screen()] == [("signoff", "CTO\nhello")] * 2
    assert len(slack.journal.lines("refused", "chat.postMessage")) == 1


@pytest.mark.parametrize(
    ("fault", "kind", "found"),
    [
        (Fault(method="chat.postMessage", how="status", status=500), AmbiguousError, False),
        (Fault(method="chat.postMessage", how="status", status=502, applied=True), AmbiguousError, True),
        (Fault(method="chat.postMessage", how="cut", applied=True), AmbiguousError, True),
        (Fault(method="chat.postMessage", how="garbage", applied=True), AmbiguousError, True),
        (Fault(method="chat.postMessage", how="cut"), AmbiguousError, False),
    ],
)
@pytest.mark.parametrize("thread", [False, True])
async def test_history_knows_what_was_sent(slack, bot, fault, kind, found, thread):
    root = await slack.say(slack.owner, "root", slack.home)
    where = place(thread=root.partition(":")[2] if thread else "")
    slack.faults.plan(msgspec.structs.replace(fault) if isinstance(fault, msgspec.Struct) else Fault(**{
        name: getattr(fault, name) for name in ("method", "how", "status", "applied")
    }))  # fmt: skip
    with pytest.raises(kind):
        await bot.send(post(Line(text="once"), where), "")
    receipt = await bot.find_sent(post(Line(text="once"), where), "")
    assert (receipt is not None) is found
    if found:
        assert receipt == slack.screen()[-1].id


async def test_history_that_cannot_be_read(slack, bot):
    slack.faults.plan(Fault(method="conversations.history", how="status", status=500))
    with pytest.raises(RetryableError):
        await bot.find_sent(post(Line(text="x")), "")
    assert await bot.find_sent(post(Line(text="x"), place("C0NOWHERE")), "") is None
    slack.api.scopes = "chat:write"
    with pytest.raises(AmbiguousError):
        await bot.find_sent(post(Line(text="x")), "")
    slack.server.bot_token = "other"
    with pytest.raises(RetryableError):
        await bot.find_sent(post(Line(text="x")), "")


async def test_an_edit_that_slack_does_not_take_may_be_tried_again(slack, bot):
    receipt = await bot.send(post(Line(text="x")), "")
    slack.faults.plan(Fault(method="chat.update", how="status", status=500))
    with pytest.raises(RetryableError):
        await bot.send(post(Line(text="y")), receipt)
    slack.api.scopes = "chat:read"
    with pytest.raises(TerminalError, match="chat:write"):
        await bot.send(post(Line(text="y")), receipt)


async def test_a_channel_that_heard_too_much_hears_one_message_a_second(slack):
    clock = FastClock()
    bot = adapter(slack, clock)
    slack.faults.plan(Fault(method="chat.postMessage", how="status", status=429, retry_after=1))
    with pytest.raises(RateLimitedError) as limited:
        await bot.send(post(Line(text="1")), "")
    assert (limited.value.retry_after_ms, limited.value.scope) == (1_000, "conversation")
    with pytest.raises(RateLimitedError):
        await bot.send(post(Line(text="1")), "")
    await bot.send(post(Line(text="elsewhere"), place("G0SECRET")), "")
    slack.server._limits.clear()
    clock.ahead_ms += 2_000
    await bot.send(post(Line(text="1")), "")
    with pytest.raises(RateLimitedError):
        await bot.send(post(Line(text="2")), "")
    clock.ahead_ms += 400_000
    await bot.send(post(Line(text="2")), "")
    await bot.send(post(Line(text="3")), "")


async def test_two_channels_that_heard_too_much_are_taken_for_all(slack, bot):
    slack.faults.plan(Fault(method="chat.postMessage", how="status", status=429, retry_after=30, times=2))
    scopes = []
    for channel in ("C0HOME", "G0SECRET"):
        with pytest.raises(RateLimitedError) as limited:
            await bot.send(post(Line(text="x"), place(channel)), "")
        scopes.append(limited.value.scope)
    assert scopes == ["conversation", "account"]


async def test_places_that_are_gone(slack, bot):
    await slack.remove_bot(slack.home)
    with pytest.raises(TerminalError, match="add the bot to the channel again"):
        await bot.send(post(Line(text="x")), "")
    with pytest.raises(TerminalError):
        await bot.send(post(Line(text="x"), place("G0SECRET", "1700000000.000100")), "")
    with pytest.raises(TerminalError, match="workspace"):
        await bot.send(post(Line(text="x"), place(team="T0OTHER")), "")


async def test_a_private_line_finds_its_reader(slack, desk, bot):
    line = Line(text="psst", private=True, to=f"slack:{slack.owner.id}", event="slack:x")
    await bot.send(post(line), "")
    assert [shown.only_for for shown in slack.screen(slack.home)] == [slack.owner.id]
    await bot.send(post(line, slack_direct(slack)), "")
    slack.faults.plan(Fault(method="chat.postEphemeral", how="status", status=500))
    await bot.send(post(line), "")
    await bot.send(post(msgspec.structs.replace(line, event="")), "")
    assert [shown.text for shown in slack.screen(slack.direct(slack.owner))] == ["psst"] * 3
    slack.deactivate(slack.owner)
    before = len(slack.screen())
    assert await bot.send(post(msgspec.structs.replace(line, event="")), "") == "private"
    assert len(slack.screen()) == before
    assert await bot.find_sent(post(line), "") is None


async def test_an_inquiry_is_shown_in_a_private_chat_and_decided_there(slack, desk, bot):
    alone, here = bot.direct(f"slack:{slack.second.id}"), slack.direct(slack.second)
    receipt = await bot.send(post(card(APPROVE, DENY), alone), "")
    assert receipt.startswith(f"{here.channel}:")
    assert [shown.buttons for shown in slack.screen(here)] == [("Approve", "Deny")]
    assert (await slack.press(slack.second, receipt, "Approve")).acknowledged
    event = await desk.until(ControlPressed)
    assert (event.conversation, event.sender.account) == (place(here.channel), f"slack:{slack.second.id}")
    assert bot.is_private(event.conversation)
    assert bot.is_private(alone)
    assert not bot.is_private(place())
    decided = DecidedCard(inquiry="i-7f3a00112233", title="DevOps asks to run deploy", headline="Approved by Ana")
    assert await bot.send(post(decided, alone, n=2), receipt) == receipt
    assert [shown.buttons for shown in slack.screen(here)] == [()]
    assert len(slack.journal.lines("request", "conversations.open")) == 1
    assert not slack.screen(slack.home)


async def test_what_was_sent_to_a_private_chat_is_found_there(slack, desk, bot, monkeypatch):
    monkeypatch.setattr("bots.slack.sending.WAYS_MAX", 1)
    alone, other = bot.direct(f"slack:{slack.second.id}"), bot.direct(f"slack:{slack.owner.id}")
    some = post(card(APPROVE), alone)
    receipt = await bot.send(some, "")
    assert await adapter(slack).find_sent(some, "") == receipt
    assert await bot.find_sent(post(card(APPROVE), alone, n=9), "") is None
    await bot.send(post(Line(text="x"), other, n=3), "")
    assert await bot.find_sent(some, "") == receipt  # whose chat was forgotten is looked up again


async def test_whoever_cannot_be_written_to_is_not_shown_it(slack, desk, bot):
    assert bot.direct("discord:1") is None
    assert bot.direct("slack:") is None
    slack.deactivate(slack.second)
    with pytest.raises(TerminalError):
        await bot.send(post(card(APPROVE), bot.direct(f"slack:{slack.second.id}")), "")
    slack.faults.plan(Fault(method="conversations.open", how="status", status=500))
    with pytest.raises(RetryableError):
        await bot.send(post(card(APPROVE), bot.direct(f"slack:{slack.owner.id}")), "")


async def test_ways_to_answer_are_forgotten_in_time(slack, desk, bot, monkeypatch):
    monkeypatch.setattr("bots.slack.sending.WAYS_MAX", 1)
    for name in ("inbox", "tasks"):
        await slack.order(slack.owner, name, "", slack.home)
    for event in desk.of(CommandReceived):
        line = Line(text=event.name, private=True, to=f"slack:{slack.owner.id}", event=event.key)
        await bot.send(post(line, event.conversation), "")
    assert len(slack.journal.lines("applied", "response_url")) == 1
    assert len(slack.screen()) == 2


def slack_direct(slack):
    return place(slack.direct(slack.owner).channel)


async def test_the_answer_to_a_press_goes_by_its_url_and_then_otherwise(slack, desk, bot):
    receipt = await bot.send(post(card(APPROVE)), "")
    await slack.press(slack.owner, receipt, "Approve")
    event = await desk.until(ControlPressed)
    line = Line(text="too late", private=True, to=f"slack:{slack.owner.id}", event=event.key)
    for fault in (None, "status", "cut"):
        if fault:
            slack.faults.plan(Fault(method="response_url", how=fault))
        await bot.send(post(line, event.conversation), "")
    assert [shown.only_for for shown in slack.screen()].count(slack.owner.id) == 3
    assert len(slack.journal.lines("applied", "response_url")) == 1


async def test_roles_are_asked_for_live(slack, bot):
    assert await bot.roles(f"slack:{slack.owner.id}", place()) == {"admin"}
    assert await bot.roles(f"slack:{slack.second.id}", place()) == {"group:S0INFRA"}
    assert await bot.roles("slack:U0NOWHERE", place()) == frozenset()
    slack.set_roles(slack.second, ())
    assert await bot.roles(f"slack:{slack.second.id}", place()) == frozenset()
    slack.deactivate(slack.owner)
    assert await bot.roles(f"slack:{slack.owner.id}", place()) == frozenset()
    slack.faults.plan(Fault(method="users.info", how="status", status=500))
    with pytest.raises(RetryableError):
        await bot.roles(f"slack:{slack.second.id}", place())
    slack.api.scopes = "users:read"
    assert await bot.roles(f"slack:{slack.second.id}", place()) == frozenset()
    slack.server.bot_token = "other"
    with pytest.raises(RetryableError):
        await bot.roles(f"slack:{slack.second.id}", place())


async def test_it_speaks_between_connections(slack):
    bot = adapter(slack)
    receipt = await bot.send(post(Line(text="x")), "")
    assert slack.screen()[0].id == receipt
    await slack.server.stop()
    with pytest.raises(RetryableError, match="cannot be reached"):
        await bot.send(post(Line(text="x")), "")
    assert bot.health().connected_at_ms == 0 < bot.health().sent_at_ms


# --- Connections ----------------------------------------------------------------------------------------------------


async def test_what_was_said_meanwhile_is_read_back(slack, desk):
    async with connected(slack, desk):
        first = await slack.say(slack.owner, "hello", slack.home, mention=True)
        await desk.until(MessageReceived)
    thread = first.partition(":")[2]
    desk.taken_part.add(place(thread=thread))
    slack.api.page_max = 7
    for n in range(20):
        await slack.say(slack.owner, f"missed {n}", slack.direct(slack.owner))
        await slack.say(slack.owner, f"in thread {n}", slack.home, reply_to=first)
        await slack.say(slack.owner, f"noise {n}", slack.home)
    slack.deliveries._waiting.clear()
    async with connected(slack, desk):
        live = await slack.say(slack.owner, "live", slack.direct(slack.owner))
        await desk.until(MessageReceived, 42)
    texts = [event.text for event in desk.of(MessageReceived)]
    assert [text for text in texts if text.startswith("missed")] == [f"missed {n}" for n in range(20)]
    assert [text for text in texts if text.startswith("in thread")] == [f"in thread {n}" for n in range(20)]
    assert len(texts) == 42
    assert texts.index("live") > texts.index("missed 19")
    assert live


async def test_an_edit_made_meanwhile_is_read_back(slack, desk):
    async with connected(slack, desk):
        said = await slack.say(slack.owner, "helo", slack.direct(slack.owner))
        await desk.until(MessageReceived)
    await slack.edit(slack.owner, said, "hello")
    async with connected(slack, desk):
        assert (await desk.until(MessageEdited)).text == "hello"


async def unheard(slack, *acts):
    """People act, and none of it ever comes by a socket."""
    slack.deliveries.gaps = (0.0,)
    done = [await act for act in acts]
    for _ in range(10):
        await asyncio.sleep(0)
    slack.deliveries._waiting.clear()
    return done


def marks(slack, desk):
    """What was said up to a mark that was noted, and is not kept: nothing should ever be in it."""
    gaps, note = [], desk.note

    async def noted(name, value):
        for channel in slack.space.channels.values() if name == "slack.heard" else ():
            said = [ts for ts in channel.order if not wire.later(ts, value)]
            gaps.extend(key for ts in said if (key := f"slack:{TEAM}:{channel.id}:{ts}") not in desk.events)
        await note(name, value)

    desk.note = noted
    return gaps


async def test_messages_of_one_millisecond_keep_their_order(slack, desk, monkeypatch):
    second = int(time.time()) - 5
    desk.notes["slack.heard"] = f"{second}.000000"
    stamps = iter(f"{second}.{n:06d}" for n in range(123_090, 123_110))
    monkeypatch.setattr(slack.space, "ts", lambda: next(stamps))
    await unheard(slack, *(slack.say(slack.owner, str(n), slack.direct(slack.owner)) for n in range(20)))
    async with connected(slack, desk):
        await desk.until(MessageReceived, 20)
    assert [event.text for event in desk.of(MessageReceived)] == [str(n) for n in range(20)]


async def test_an_edit_made_before_a_message_was_first_read_is_no_edit(slack, desk):
    async with connected(slack, desk):
        pass
    (said,) = await unheard(slack, slack.say(slack.owner, "helo", slack.direct(slack.owner)))
    await unheard(slack, slack.edit(slack.owner, said, "hell"), slack.edit(slack.owner, said, "hello"))
    async with connected(slack, desk):
        assert (await desk.until(MessageReceived)).text == "hello"
        await slack.redeliver()  # late, as Slack may
        await acknowledged(slack)
    async with connected(slack, desk):
        await slack.say(slack.owner, "and?", slack.direct(slack.owner))
        await desk.until(MessageReceived, 2)
        await slack.edit(slack.owner, said, "hello there")
        await desk.until(MessageEdited)
    assert [event.text for event in desk.of(MessageEdited)] == ["hello there"]


async def test_what_is_remembered_of_edits_is_bounded_and_may_be_junk(slack, desk, monkeypatch):
    monkeypatch.setattr("bots.slack.lookback.EDITS_MAX", 2)
    desk.notes |= {"slack.edits": "junk", "slack.heard": "1600000000.000000"}
    said = await unheard(slack, *(slack.say(slack.owner, "x", slack.direct(slack.owner)) for _ in range(4)))
    await unheard(slack, *(slack.edit(slack.owner, each, f"edited {each}") for each in said))
    async with connected(slack, desk):
        await desk.until(MessageReceived, 4)
        await asyncio.sleep(0)
    assert len(json.loads(desk.notes["slack.edits"])) == 2


async def test_the_mark_moves_to_what_was_read_and_the_next_time_goes_on_there(slack, desk, monkeypatch):
    monkeypatch.setattr("bots.slack.client.SILENCE_MS", 10**9)  # this clock is too fast for pings
    monkeypatch.setattr("bots.slack.lookback.HELD_MAX", 10, raising=False)
    monkeypatch.setattr("bots.slack.web.PAGES_MAX", 1)
    slack.api.page_max = 4
    async with connected(slack, desk):
        pass
    (root,) = await unheard(slack, slack.say(slack.owner, "root", slack.home, mention=True))
    desk.taken_part.add(place(thread=root.partition(":")[2]))
    talk = slack.direct(slack.owner)
    await unheard(slack, *(slack.say(slack.owner, f"direct {n}", talk) for n in range(35)))
    below = (slack.say(slack.owner, f"below {n}", slack.home, reply_to=root) for n in range(9))
    last = (await unheard(slack, *below))[-1].partition(":")[2]
    gaps = marks(slack, desk)
    async with connected(slack, desk, adapter(slack, FastClock())):
        async with asyncio.timeout(10):
            while wire.later(last, desk.notes["slack.heard"]):  # noqa: ASYNC110  # notes tell nobody
                await asyncio.sleep(0.01)
    texts = [event.text for event in desk.of(MessageReceived)]
    assert gaps == []
    assert [text for text in texts if text.startswith("direct")] == [f"direct {n}" for n in range(35)]
    assert [text for text in texts if text.startswith("below")] == [f"below {n}" for n in range(9)]


async def below_what_is_old(slack, desk, monkeypatch):
    """A question in a thread that began pages before the mark, and went on after it."""
    second = int(time.time())
    stamps = iter(f"{second + n}.000000" for n in range(-16, 5))
    monkeypatch.setattr(slack.space, "ts", lambda: next(stamps))
    slack.api.page_max = 5
    (root,) = await unheard(slack, slack.say(slack.second, "the site is slow", slack.home))
    await unheard(slack, *(slack.say(slack.second, f"noise {n}", slack.home) for n in range(12)))
    desk.notes["slack.heard"] = f"{second - 4 + 30}.000000"  # the overlap is taken off
    await unheard(slack, slack.say(slack.owner, "why?", slack.home, mention=True, reply_to=root))
    return root.partition(":")[2]


async def test_threads_that_nobody_knows_are_looked_for_before_the_mark(slack, desk, monkeypatch):
    root = await below_what_is_old(slack, desk, monkeypatch)
    async with connected(slack, desk):
        event = await desk.until(MessageReceived)
    assert (event.text, event.conversation.thread) == ("why?", root)


@pytest.mark.parametrize(("name", "value"), [("BACK_PAGES", 1), ("BACK_MS", 0)])
async def test_how_far_before_the_mark_is_bounded(slack, desk, monkeypatch, name, value):
    monkeypatch.setattr(f"bots.slack.lookback.{name}", value)
    await below_what_is_old(slack, desk, monkeypatch)
    async with connected(slack, desk):
        await slack.say(slack.owner, "live", slack.direct(slack.owner))  # what is missed goes first
        assert (await desk.until(MessageReceived)).text == "live"


async def test_reading_back_bears_with_slack(slack, desk):
    slack.faults.plan(Fault(method="users.conversations", how="status", status=500))
    desk.notes["slack.heard"] = "1600000000.000000"
    await slack.say(slack.owner, "missed", slack.direct(slack.owner))
    async with connected(slack, desk):
        await desk.until(MessageReceived)


async def test_reading_back_waits_when_slack_asks_for_it_and_leaves_out_what_is_gone(slack, desk):
    async with connected(slack, desk):
        pass
    gone = place(thread="1600000000.000100")
    desk.taken_part.add(gone)
    await slack.say(slack.owner, "missed", slack.direct(slack.owner))
    slack.faults.plan(Fault(method="conversations.history", how="status", status=429, retry_after=0.01))
    async with connected(slack, desk):
        await desk.until(MessageReceived)


async def test_the_mark_moves_to_what_is_committed_and_no_further(slack, desk, monkeypatch):
    monkeypatch.setattr("bots.slack.client.SILENCE_MS", 10**9)  # this clock is too fast for pings
    clock = FastClock()
    async with connected(slack, desk, adapter(slack, clock)):
        before = desk.notes["slack.heard"]
        said = await slack.say(slack.owner, "hello", slack.direct(slack.owner))
        await desk.until(MessageReceived)
        async with asyncio.timeout(8):
            while desk.notes["slack.heard"] == before:  # noqa: ASYNC110  # notes tell nobody
                await asyncio.sleep(0.01)
    assert desk.notes["slack.heard"] == said.partition(":")[2]


async def test_a_deaf_connection_is_noticed_by_what_history_has(slack, desk, monkeypatch):
    monkeypatch.setattr("bots.slack.client.SILENCE_MS", 10**9)  # this clock is too fast for pings
    clock = FastClock()
    bot = adapter(slack, clock)
    running = asyncio.create_task(ended(bot, desk))
    await slack.connected()
    slack.deafen()
    while not running.done():  # what is said before it has looked back for the first time is no sign of deafness
        await slack.say(slack.owner, "anybody?", slack.direct(slack.owner))
        await asyncio.wait({running}, timeout=0.5)
    (error,) = await running
    assert isinstance(error, RetryableError)
    assert desk.of(MessageReceived)[0].text == "anybody?"
    assert bot.health().trouble == str(error) == words.DEAF


async def test_a_connection_that_slack_wants_renewed_is_renewed_at_once(slack, desk, monkeypatch):
    monkeypatch.setattr("bots.slack.client.SHORT_MS", 0)
    async with connected(slack, desk):
        for warning in (False, True):
            slack.refresh(warning=warning)
            await asyncio.sleep(0.2)
            await slack.connected()
        await slack.say(slack.owner, "still there?", slack.direct(slack.owner))
        await desk.until(MessageReceived)
    assert len(slack.journal.lines("request", "socket")) == 3


@pytest.mark.parametrize("how", ["close", "invalid"])
async def test_a_lost_connection_is_built_anew_by_whoever_calls(slack, desk, how):
    bot = adapter(slack)
    async with connected(slack, desk, bot):
        await slack.disconnect(how)
        await asyncio.sleep(0.1)
    assert isinstance((await ended(bot, desk))[0], RetryableError)
    await slack.reconnectable()
    async with connected(slack, desk, bot):
        await slack.say(slack.owner, "again", slack.direct(slack.owner))
        await desk.until(MessageReceived)
        assert bot.health().trouble == ""


async def test_a_half_open_connection_is_given_up(slack, desk, monkeypatch):
    monkeypatch.setattr("bots.slack.listening.HEARTBEAT_SECONDS", 0.2)
    bot = adapter(slack)
    running = asyncio.create_task(ended(bot, desk))
    await slack.connected()
    await slack.disconnect("silent")
    assert isinstance((await running)[0], RetryableError)
    monkeypatch.setattr("bots.slack.listening.HELLO_SECONDS", 0.1)
    assert isinstance((await ended(bot, desk))[0], RetryableError)


async def test_pings_are_evidence_of_life(slack, desk, monkeypatch):
    monkeypatch.setattr("bots.slack.listening.HEARTBEAT_SECONDS", 0.1)
    async with connected(slack, desk) as bot:
        before_ms = bot.health().heard_at_ms
        await asyncio.sleep(0.5)
        assert bot.health().heard_at_ms - before_ms > 200


async def test_a_silent_connection_is_given_up(slack, desk):
    clock = FastClock()
    bot = adapter(slack, clock)
    assert isinstance((await ended(bot, desk))[0], RetryableError)


async def test_tokens_that_are_refused_say_which(slack, desk):
    (error,) = await ended(adapter(slack, SLACK_BOT_TOKEN="xoxb-wrong"), desk)
    assert isinstance(error, AuthenticationError)
    assert "SLACK_BOT_TOKEN" in str(error)
    (error,) = await ended(adapter(slack, SLACK_APP_TOKEN="xapp-wrong"), desk)
    assert isinstance(error, AuthenticationError)
    assert "SLACK_APP_TOKEN" in str(error)


async def test_socket_mode_that_is_switched_off(slack, desk):
    bot = adapter(slack)
    running = asyncio.create_task(ended(bot, desk))
    await slack.connected()
    slack.switch_off()
    (error,) = await running
    assert isinstance(error, AuthenticationError)
    assert "Socket Mode" in str(error)


async def test_another_workspaces_events_are_acknowledged_and_dropped(slack, desk, bot):
    event = {"type": "message", "channel": "D1", "user": "U1", "ts": "1.000001", "text": "x"}
    slack.deliveries.send("events_api", {"type": "event_callback", "team_id": "T0OTHER", "event": event})
    slack.deliveries.send("events_api", {"type": "event_callback", "team": 7, "event": {}, "authorizations": 3})
    slack.deliveries.send("interactive", {"type": "block_actions", "user": 7, "team": "T0", "channel": []})
    await acknowledged(slack, 2)
    await acknowledged(slack, 1, "interactive")
    assert desk.events == {}


# --- HTTP -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def url():
    with socket.socket() as some:
        some.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{some.getsockname()[1]}/slack/events"


async def test_http_mode_checks_signatures(url):
    slack = SlackService(http=url)
    await slack.start()
    desk = Desk()
    desk.known = {f"slack:{slack.owner.id}"}
    try:
        async with connected(slack, desk) as bot, aiohttp.ClientSession() as session:
            await slack.say(slack.owner, "hi", slack.direct(slack.owner))
            assert (await desk.until(MessageReceived)).text == "hi"
            assert (await slack.order(slack.owner, "ask", "this", slack.home)).acknowledged
            desk.cards[DENY.control] = card(DENY)
            opened = await slack.press(slack.owner, await bot.send(post(card(DENY)), ""), "Deny")
            assert (await slack.submit(slack.owner, opened.form, ("no",))).acknowledged
            await desk.until(FormSubmitted)
            challenge = json.dumps({"type": "url_verification", "challenge": "c", "token": "t"})
            async with session.post(url, data=challenge, headers=slack.deliveries.signed(challenge)) as answer:
                assert "c" in await answer.text()
            async with session.post(url, data="{}", headers={"X-Slack-Signature": "v0=0"}) as answer:
                assert answer.status == 401
            async with session.post(url, data="{", headers=slack.deliveries.signed("{")) as answer:
                assert answer.status in {200, 400}
            desk.fails = [StoreFullError("full")]
            assert not (await slack.order(slack.owner, "inbox", "", slack.home)).acknowledged
    finally:
        await slack.stop()


@pytest.mark.parametrize("changes", [{"SLACK_SIGNING_SECRET": ""}, {"SIGNOFF_SLACK_LISTEN": "nowhere"}])
async def test_http_mode_is_refused_without_a_secret_or_an_address(url, changes):
    slack = SlackService(http=url)
    await slack.start()
    try:
        (error,) = await ended(adapter(slack, **changes), Desk())
        assert isinstance(error, AuthenticationError)
    finally:
        await slack.stop()


async def test_an_address_that_is_taken(url):
    slack = SlackService(http=url)
    await slack.start()
    try:
        (error,) = await ended(adapter(slack, SIGNOFF_SLACK_LISTEN=f"127.0.0.1:{slack.server.port}"), Desk())
        assert isinstance(error, RetryableError)
    finally:
        await slack.stop()


# --- Checks ---------------------------------------------------------------------------------------------------------


async def test_the_checks_say_what_is_missing(slack):
    settings = slack.environ()
    assert scopes() <= set(SCOPES.split(","))
    assert configured(settings)
    assert all(good for good, _ in await examine(settings))
    slack.api.scopes = "chat:write"
    findings = await examine(settings | {"SLACK_APP_TOKEN": "xapp-wrong"})
    assert [good for good, _ in findings] == [True, False, False]
    assert "users:read" in findings[1][1]
    assert [good for good, _ in await examine(settings | {"SLACK_BOT_TOKEN": "wrong"})] == [False]
    assert await examine({}) == ((False, words.NO_TOKEN),)
    without = {name: value for name, value in settings.items() if name != "SLACK_APP_TOKEN"}
    assert [good for good, _ in await examine(without)][-1] is False
    assert [good for good, _ in await examine({**without, "SLACK_SIGNING_SECRET": "s"})][-1] is True


async def test_half_a_reconnection_is_noted_and_what_is_live_does_not_wait_for_ever(slack, desk):
    async with connected(slack, desk):
        pass
    slack.faults.plan(Fault(method="users.conversations", how="status", status=429, retry_after=30, times=9))
    async with connected(slack, desk):
        for n in range(5):
            await slack.say(slack.owner, str(n), slack.direct(slack.owner))
        await desk.until(MessageReceived, 5, seconds=2.5)


async def test_odd_answers_of_slacks_are_no_crash(slack):
    web = Web(slack.environ())
    slack.faults.plan(Fault(method="apps.connections.open", how="garbage"))
    with pytest.raises(RetryableError):
        await web.connections_url()
    with pytest.raises(TerminalError):
        await web.call("no.such.method")
