"""The Telegram adapter against our own Bot API: what is received, sent, refused, and what is never lost or doubled."""

import asyncio
import contextlib
import socket

import aiohttp
import msgspec
import pytest

from bots.telegram import cards, checks, forms, wire, words
from bots.telegram.client import Telegram, configured
from core.adapters.system import SystemClock, SystemIds
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    RateLimitedError,
    RetryableError,
    SignoffError,
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
)
from core.model.ids import PostId
from core.model.inquiries import Verb
from core.model.views import Answer, Branch, Button, InquiryCard, Line, Post, Question, StatusLine
from core.ports import Intake, Sending, Shelf
from core.rules.controls import control
from tests.fakes.service import Fault, Place
from tests.fakes.telegram import Telegram as FakeTelegram

NONCE = "0123456789abcdef"
DENY, EDIT, APPROVE = control(NONCE, Verb.DENY), control(NONCE, Verb.EDIT), control(NONCE, Verb.APPROVE)
CARD = InquiryCard(
    inquiry="i-7f3a00112233",
    revision=1,
    title="DevOps asks to run deploy",
    line="Runs ./deploy.sh landing on this machine",
    fields=(),
    more_n=0,
    whole=(),
    why="",
    tier="infrastructure",
    decide_by_ms=None,
    decide_within_ms=None,
    needs="1 of 2",
    buttons=(
        Button(control=APPROVE, label="Approve"),
        Button(control=DENY, label="Deny"),
        Button(control=EDIT, label="Edit"),
    ),
    edit=(Question(name="site", label="Site", value="landing"), Question(name="branch", label="Branch", value="main")),
)


class Desk(Intake):
    """Takes everything, once."""

    def __init__(self, *, card=CARD):
        self.events = {}
        self.notes = {}
        self.of_interest = False
        self.full_n = 0
        self._card = card
        self.came = asyncio.Event()

    async def accept(self, event):
        if self.full_n:
            self.full_n -= 1
            raise StoreFullError("the disk is full")
        new = event.key not in self.events
        self.events.setdefault(event.key, event)
        self.came.set()
        return new

    async def concerns(self, event):
        return self.of_interest

    async def knows(self, account):
        return account in {"telegram:1001", "telegram:1002"}

    async def card(self, some_control):
        return self._card

    async def recall(self, name):
        return self.notes.get(name, "")

    async def note(self, name, value):
        self.notes[name] = value

    async def next(self, n=1):
        async with asyncio.timeout(5):
            while len(self.events) < n:
                self.came.clear()
                await self.came.wait()
        return list(self.events.values())[n - 1]


class Files(Shelf):
    def read(self, artifact):
        return {"report.md": ("../report.md", b"# Report")}.get(artifact)


@pytest.fixture
async def fake():
    service = FakeTelegram()
    await service.start()
    yield service
    await service.stop()


def adapter(fake, **more):
    settings = fake.environ() | {"SIGNOFF_TELEGRAM_POLL_SECONDS": "1"} | more
    return Telegram(settings, clock=SystemClock(), ids=SystemIds(), zone="UTC", shelf=Files())


@contextlib.asynccontextmanager
async def receiving(bot, desk, fake):
    running = asyncio.create_task(bot.run(desk))
    waiting = asyncio.create_task(fake.connected())
    await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
    try:
        yield running
    finally:
        for task in (running, waiting):
            task.cancel()
        results = await asyncio.gather(running, waiting, return_exceptions=True)
        broken = [one for one in results if isinstance(one, Exception) and not isinstance(one, SignoffError)]
        assert not broken


@pytest.fixture
async def desk():
    return Desk()


@pytest.fixture
async def bot(fake, desk):
    some = adapter(fake)
    async with receiving(some, desk, fake):
        yield some


def where(place):
    return Conversation(platform="telegram", account="700000001", channel=place.channel, thread=place.thread)


def post(view, place, **changes):
    plain = {"id": PostId("p-1"), "conversation": where(place), "view": view, "slot": "s", "at_ms": 1}
    return Post(**(plain | changes))


def status(done="", steps=1):
    branch = Branch(roles=("CEO",), doing="thinking")
    return StatusLine(
        task="t-81c2", branches=(branch,), steps=steps, tokens=1, cost_microusd=1, started_at_ms=0, at_ms=1, done=done
    )


# --- Receiving --------------------------------------------------------------------------------------------------------


async def test_what_people_say_becomes_events(fake, desk, bot):
    home = fake.home
    await fake.say(fake.owner, "hello", fake.direct(fake.owner))
    said = await desk.next(1)
    assert isinstance(said, MessageReceived)
    assert (said.text, said.addressed, said.sender.account) == ("hello", True, "telegram:1001")
    assert said.conversation == Conversation(platform="telegram", account="700000001", channel="1001")
    await fake.say(fake.second, "not for you", home)
    first = await fake.say(fake.second, "the build is red", home)
    await fake.say(fake.owner, "what now?", home, mention=True, reply_to=first)
    asked = await desk.next(2)
    assert (asked.text, asked.addressed, asked.conversation.thread) == ("what now?", True, "")
    assert [(quote.speaker, quote.text) for quote in asked.earlier] == [("Ana", "the build is red")]
    await fake.order(fake.owner, "approve", "i-7f3a yes please", fake.topic)
    order = await desk.next(3)
    assert isinstance(order, CommandReceived)
    assert (order.name, order.arguments, order.conversation.thread) == ("approve", ("i-7f3a", "yes please"), "7")
    desk.of_interest = True
    overheard = await fake.say(fake.second, "by the way", home)
    assert (await desk.next(4)).addressed is False
    await fake.edit(fake.second, overheard, "by the way, no")
    edited = await desk.next(5)
    assert isinstance(edited, MessageEdited)
    assert (edited.original, edited.text) == ((await desk.next(4)).key, "by the way, no")
    await fake.add_bot(home)
    assert isinstance(await desk.next(6), BotAdded)


async def test_odd_updates_are_passed_over_and_bots_not_heard(fake, desk, bot):
    await fake.odd()
    await fake.say(fake.other_bot, "hello", fake.home, mention=True)
    await fake.remove_bot(fake.topic)
    await fake.say(fake.owner, "still there?", fake.direct(fake.owner))
    assert (await desk.next()).text == "still there?"
    await _until(lambda: fake.unacknowledged() == 0)


async def test_a_full_store_leaves_the_update_at_telegram(fake, desk):
    desk.full_n = 1
    bot = adapter(fake)
    async with receiving(bot, desk, fake) as running:
        await fake.say(fake.owner, "hello", fake.direct(fake.owner))
        with pytest.raises(StoreFullError):
            await running
    assert (desk.events, fake.unacknowledged()) == ({}, 1)
    async with receiving(bot, desk, fake):
        assert (await desk.next()).text == "hello"
        await fake.redeliver(3)
        await fake.say(fake.owner, "again", fake.direct(fake.owner))
        assert (await desk.next(2)).text == "again"
    assert len(desk.events) == 2


async def test_the_menu_is_told_once(fake, desk):
    for _ in range(2):
        async with receiving(adapter(fake), desk, fake):
            pass
    assert len(fake.journal.lines("request", "setMyCommands")) == 1
    assert "ask" in {command["command"] for command in fake.api.commands}


async def test_a_menu_that_is_not_taken_stops_nothing(fake, desk):
    fake.faults.plan(Fault(method="setMyCommands", how="status", status=500))
    async with receiving(adapter(fake), desk, fake):
        await fake.say(fake.owner, "hello", fake.direct(fake.owner))
        assert (await desk.next()).text == "hello"
    assert not desk.notes


@pytest.mark.parametrize("how", ["garbage", "cut"])
async def test_a_greeting_that_makes_no_sense_is_tried_again(fake, desk, how):
    fake.faults.plan(Fault(method="getMe", how=how))
    bot = adapter(fake)
    with pytest.raises(RetryableError):
        await bot.run(desk)
    assert bot.health().trouble


@pytest.mark.parametrize(
    ("how", "says"),
    [("silent", words.DEAF), ("conflict", words.SECOND_POLLER), ("invalid", "out of order"), ("close", words.DEAF)],
)
async def test_a_broken_connection_asks_to_be_rebuilt(fake, desk, how, says):
    bot = adapter(fake)
    async with receiving(bot, desk, fake) as running:
        await fake.disconnect(how)
        with pytest.raises(RetryableError, match=says):
            await running
    assert says in bot.health().trouble or how in {"invalid", "close", "silent"}
    await fake.reconnectable()
    await fake.say(fake.owner, "meanwhile", fake.direct(fake.owner))
    async with receiving(bot, desk, fake):
        assert (await desk.next()).text == "meanwhile"
        assert bot.health().trouble == ""
        assert bot.health().heard_at_ms > 0


async def test_a_refused_token_is_one_clear_line(fake, desk):
    bot = adapter(fake, TELEGRAM_BOT_TOKEN="1:revoked")
    with pytest.raises(AuthenticationError, match=r"TELEGRAM_BOT_TOKEN in \.env"):
        await bot.run(desk)
    with pytest.raises(RetryableError):
        await bot.send(post(Line(text="x"), fake.home), "")


async def test_a_webhook_of_somebody_elses_is_named_and_left_alone(fake, desk):
    fake.api.webhook = {"url": "https://elsewhere.example/x", "secret": ""}
    with pytest.raises(RetryableError, match=r"elsewhere\.example"):
        await adapter(fake).run(desk)
    assert fake.api.webhook["url"] == "https://elsewhere.example/x"
    assert not fake.journal.lines("request", "deleteWebhook")


async def test_webhook_mode_commits_before_it_says_200(fake, desk):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}/hook"
    more = {
        "SIGNOFF_TELEGRAM_WEBHOOK_URL": url,
        "SIGNOFF_TELEGRAM_WEBHOOK_LISTEN": f"127.0.0.1:{port}",
        "SIGNOFF_TELEGRAM_WEBHOOK_SECRET": "s3cret",
    }
    desk.full_n = 1
    async with receiving(adapter(fake, **more), desk, fake):
        await fake.say(fake.owner, "hello", fake.direct(fake.owner))
        assert (await desk.next()).text == "hello"
        await _until(lambda: fake.unacknowledged() == 0)
        assert len(fake.journal.lines("delivered", "message")) == 2  # once more after 503
        async with aiohttp.ClientSession() as session:
            async with session.post(url, json={}) as answer:
                assert answer.status == 401
            async with session.post(url, data=b"{", headers={"X-Telegram-Bot-Api-Secret-Token": "s3cret"}) as answer:
                assert answer.status == 200
    del more["SIGNOFF_TELEGRAM_WEBHOOK_SECRET"]
    with pytest.raises(TerminalError, match="SECRET"):
        await adapter(fake, **more).run(desk)


class Hurried(SystemClock):
    """Minutes pass in no time."""

    async def sleep(self, seconds):
        await asyncio.sleep(0.01)


async def test_a_webhook_that_is_taken_over_is_noticed(fake, desk):
    settings = fake.environ() | {
        "SIGNOFF_TELEGRAM_WEBHOOK_URL": "http://127.0.0.1:1/hook",
        "SIGNOFF_TELEGRAM_WEBHOOK_LISTEN": "127.0.0.1:0",
        "SIGNOFF_TELEGRAM_WEBHOOK_SECRET": "s3cret",
    }
    bot = Telegram(settings, clock=Hurried(), ids=SystemIds(), zone="UTC", shelf=Files())
    running = asyncio.create_task(bot.run(desk))
    await _until(lambda: len(fake.journal.lines("request", "getWebhookInfo")) > 1)
    fake.api.webhook["url"] = "https://elsewhere.example/x"
    with pytest.raises(RetryableError, match=r"elsewhere\.example"):
        await running
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        settings["SIGNOFF_TELEGRAM_WEBHOOK_LISTEN"] = f"127.0.0.1:{taken.getsockname()[1]}"
        bot = Telegram(settings, clock=Hurried(), ids=SystemIds(), zone="UTC", shelf=Files())
        with pytest.raises(RetryableError, match="LISTEN"):
            await bot.run(desk)


# --- Buttons and forms ------------------------------------------------------------------------------------------------


async def test_a_press_is_an_event_and_the_wheel_stops(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    pressed = await fake.press(fake.owner, shown, "Approve")
    assert pressed.acknowledged
    event = await desk.next()
    assert isinstance(event, ControlPressed)
    assert (event.control, event.sender.account) == (APPROVE, "telegram:1001")


async def test_what_is_said_to_one_person_stands_over_their_press(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    pressing = asyncio.create_task(fake.press(fake.second, shown, "Approve"))
    event = await desk.next()
    line = Line(text="too late: approved by You", private=True, to="telegram:1002", event=event.key)
    await bot.send(post(line, fake.home), "")
    assert (await pressing).note == "too late: approved by You"
    long = Line(text="all of it " * 100, private=True, to="telegram:1002", event=event.key)
    await bot.send(post(long, fake.home), "")
    assert "all of it" in fake.screen(fake.direct(fake.second))[-1].text
    await bot.send(post(Line(text="psst", private=True, to="telegram:1003"), fake.home), "")
    assert not [one for one in fake.screen() if one.text == "psst"]  # never in public instead


async def test_a_form_is_a_question_and_its_reply(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    opened = await fake.press(fake.owner, shown, "Deny")
    assert (opened.acknowledged, opened.inputs) == (True, ("Reason",))
    assert not desk.events
    await fake.submit(fake.owner, opened.form, ("not today",))
    event = await desk.next()
    assert isinstance(event, FormSubmitted)
    assert (event.control, event.fields) == (DENY, {"reason": "not today"})


async def test_an_approval_that_needs_a_reason_asks_for_it(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    desk._card = msgspec.structs.replace(CARD, approve_reason=True)
    fake.forms = {*fake.forms, "Approve"}
    opened = await fake.press(fake.owner, shown, "Approve")
    assert opened.inputs == ("Reason to approve",)
    assert "with the reason." in fake.screen()[-1].text
    assert not desk.events
    await fake.submit(fake.owner, opened.form, ("-",))
    event = await desk.next()
    assert isinstance(event, FormSubmitted)
    assert (event.control, event.fields) == (APPROVE, {"reason": "-"})


async def test_an_inquiry_is_shown_in_a_private_chat_and_decided_there(fake, desk, bot):
    await fake.say(fake.second, "hello", fake.direct(fake.second))
    await desk.next()
    alone = bot.direct("telegram:1002")
    assert alone == where(fake.direct(fake.second))
    receipt = await bot.send(some_post(CARD, alone), "")
    assert fake.screen(fake.direct(fake.second))[-1].buttons
    assert (await fake.press(fake.second, receipt, "Approve")).acknowledged
    event = await desk.next(2)
    assert (event.conversation, event.sender.account) == (alone, "telegram:1002")
    assert bot.is_private(event.conversation)
    assert not bot.is_private(where(fake.home))
    with pytest.raises(TerminalError):
        await bot.send(some_post(CARD, bot.direct("telegram:1003"), "p-2"), "")
    assert bot.direct("telegram:-100") is bot.direct("telegram:you") is bot.direct("slack:1") is None


def some_post(view, conversation, number="p-1"):
    return Post(id=PostId(number), conversation=conversation, view=view, slot=number, at_ms=SystemClock().now_ms())


async def test_several_inputs_are_one_reply_or_one_after_the_other_over_restarts(fake, desk):
    async with receiving(adapter(fake), desk, fake):
        shown = await adapter(fake).send(post(CARD, fake.home), "")
        opened = await fake.press(fake.owner, shown, "Edit")
    assert "site: landing\nbranch: main" in fake.screen()[-1].text
    async with receiving(adapter(fake), desk, fake):
        await fake.submit(fake.owner, opened.form, ("Site: blog\nbranch: dev",))
        assert (await desk.next()).fields == {"site": "blog", "branch": "dev"}
        opened = await fake.press(fake.owner, shown, "Edit")
        await fake.submit(fake.owner, opened.form, ("shop", "next"))
        assert (await desk.next(2)).fields == {"site": "shop", "branch": "next"}


async def test_a_form_that_cannot_be_put_is_a_press(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    fake.faults.plan(Fault(method="sendMessage", how="status", status=429, retry_after=1))
    fake.tap(fake.owner, shown, "Deny")
    assert isinstance(await desk.next(), ControlPressed)


async def test_a_form_whose_card_is_gone_submits_what_there_is(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    opened = await fake.press(fake.owner, shown, "Edit")
    desk._card = None
    await fake.submit(fake.stranger, opened.form, ("blog",))
    event = await desk.next()
    assert (event.control, event.fields) == (EDIT, {"site": "blog"})


async def test_a_press_that_cannot_be_kept_is_not_acknowledged(fake, desk):
    shown = await adapter(fake).send(post(CARD, fake.home), "")
    desk.full_n = 1
    async with receiving(adapter(fake), desk, fake) as running:
        query = fake.tap(fake.owner, shown, "Approve")
        with pytest.raises(StoreFullError):
            await running
    assert query not in fake.api.answers
    async with receiving(adapter(fake), desk, fake):
        assert isinstance(await desk.next(), ControlPressed)


async def test_strangers_and_lost_cards_get_no_form(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    assert fake.tap(fake.stranger, shown, "Deny")
    assert isinstance(await desk.next(), ControlPressed)
    desk._card = None
    assert fake.tap(fake.owner, shown, "Deny")
    assert isinstance(await desk.next(2), ControlPressed)


async def test_an_expired_press_is_heard(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    fake.expire()
    fake.tap(fake.owner, shown, "Approve")
    event = await desk.next()
    line = Line(text="done", private=True, to="telegram:1001", event=event.key)
    await bot.send(post(line, fake.home), "")
    assert fake.screen(fake.direct(fake.owner))[-1].text == "done"


# --- Sending ----------------------------------------------------------------------------------------------------------


async def test_edits_change_the_message_and_a_lost_one_is_sent_anew(fake, bot):
    first = await bot.send(post(status(), fake.topic), "")
    assert await bot.send(post(status(steps=2), fake.topic), first) == first
    assert await bot.send(post(status(steps=2), fake.topic), first) == first  # changes nothing
    (shown,) = fake.screen(fake.topic)
    assert (shown.edits_n, shown.place.thread) == (1, "7")
    await fake.delete(first)
    second = await bot.send(post(status(done="done"), fake.topic), first)
    assert second != first
    assert "done in" in fake.screen(fake.topic)[-1].text
    assert fake.journal.lines("request", "sendChatAction")
    assert bot.sending is Sending.BLIND
    assert await bot.find_sent(post(status(), fake.topic), first) is None
    with pytest.raises(AmbiguousError):
        await bot.find_sent(post(status(), fake.topic), "")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(method="sendMessage", how="status", status=429, retry_after=2), RateLimitedError),
        (Fault(method="sendMessage", how="status", status=500), AmbiguousError),
        (Fault(method="sendMessage", how="cut", applied=True), AmbiguousError),
        (Fault(method="sendMessage", how="garbage", applied=True), AmbiguousError),
        (Fault(method="sendMessage", how="status", status=403), TerminalError),
        (Fault(method="sendMessage", how="status", status=400), TerminalError),
    ],
)
async def test_errors_say_what_is_known(fake, bot, fault, error):
    fake.faults.plan(fault)
    with pytest.raises(error):
        await bot.send(post(Line(text="x"), fake.home), "")


async def test_limits_of_two_chats_at_once_are_the_bots(fake, bot):
    scopes = []
    for place in (fake.home, fake.direct(fake.owner)):
        fake.faults.plan(Fault(method="sendMessage", how="status", status=429, retry_after=3))
        with pytest.raises(RateLimitedError) as limited:
            await bot.send(post(Line(text="x"), place), "")
        scopes.append((limited.value.scope, limited.value.retry_after_ms))
    assert scopes == [("conversation", 3_000), ("account", 3_000)]


async def test_places_that_are_closed_and_services_that_are_gone(fake, bot):
    await fake.remove_bot(fake.home)
    with pytest.raises(TerminalError, match="kicked"):
        await bot.send(post(Line(text="x"), fake.home), "")
    first = await bot.send(post(status(), fake.topic), "")
    fake.faults.plan(Fault(method="editMessageText", how="status", status=500))
    with pytest.raises(RetryableError):
        await bot.send(post(status(done="done"), fake.topic), first)
    gone = adapter(fake, SIGNOFF_TELEGRAM_API_URL="http://127.0.0.1:9")
    with pytest.raises(RetryableError):
        await gone.send(post(Line(text="x"), fake.home), "")


async def test_groups_that_moved_are_followed(fake, bot, monkeypatch):
    old = Place(channel="-77")
    refused = fake.api._reachable

    def moved(asked):
        if str(asked.get("chat_id")) == "-77":
            from tests.fakes.telegram_text import ApiError

            raise ApiError(400, "Bad Request: group chat was upgraded", migrate_to_chat_id=int(fake.home.channel))
        return refused(asked)

    monkeypatch.setattr(fake.api, "_reachable", moved)
    first = await bot.send(post(Line(text="x"), old), "")
    assert first.startswith(fake.home.channel)
    await bot.send(post(Line(text="y"), old), "")
    await bot.send(post(Line(text="z"), old), "-77:5")
    assert [one.text for one in fake.screen(fake.home)] == ["x", "y", "z"]


async def test_long_answers_and_files(fake, bot):
    answer = Answer(task="t-81c2", speaker="CEO", text="word " * 6_000, artifacts=("report.md", "missing.md"))
    some = post(answer, fake.direct(fake.owner))
    assert bot.parts(some) == 4
    for part in range(4):
        assert await bot.send(some, "", part)
    texts = [(one.text[-20:], one.files) for one in fake.screen()]
    assert [[name for name, _ in files] for _, files in texts] == [[], ["t-81c2.md"], ["report.md"]]
    assert texts[0][0] == words.WHOLE_IN_FILE[-20:]
    assert texts[2][1][0][1] == b"# Report"


async def test_files_come_by_reference(fake, desk, bot):
    direct = fake.direct(fake.owner)
    await fake.say(fake.owner, "see", direct, files=(("../../x.txt", "text/plain", b"content"),))
    event = await desk.next()
    assert (event.text, event.files[0].media, event.files[0].bytes_n) == ("see", "text/plain", 7)
    assert await bot.fetch(event.files[0]) == b"content"
    await fake.say(fake.owner, "", direct, files=(("photo.jpg", "image/jpeg", b"picture"),))
    assert await bot.fetch((await desk.next(2)).files[0]) == b"picture"
    with pytest.raises(TerminalError, match="20 MB"):
        await bot.fetch(Attachment(name="x", bytes_n=21_000_000, ref="{}"))
    with pytest.raises(TerminalError, match="no longer"):
        await bot.fetch(Attachment(name="x", ref='{"file_id": "gone"}'))


async def test_roles_are_asked_for_now(fake, bot):
    assert await bot.roles("telegram:1001", where(fake.home)) == {"admin"}
    assert await bot.roles("telegram:1002", where(fake.home)) == frozenset()
    assert await bot.roles("telegram:99", where(fake.home)) == frozenset()
    assert await bot.roles("telegram:1001", where(fake.direct(fake.owner))) == frozenset()
    fake.faults.plan(Fault(method="getChatMember", how="status", status=500))
    with pytest.raises(RetryableError):
        await bot.roles("telegram:1001", where(fake.home))


async def test_nobody_is_flooded(fake, bot):
    sent = [await bot.send(post(Line(text=str(n)), fake.home), "") for n in range(5)]
    with pytest.raises(RateLimitedError) as limited:
        await bot.send(post(Line(text="6"), fake.home), "")
    assert limited.value.scope == "conversation"
    assert len(sent) == 5
    assert len(fake.journal.lines("request", "sendMessage")) == 5


async def test_a_status_line_that_may_wait_is_left_as_it_is(fake, bot):
    first = await bot.send(post(status(), fake.home), "")
    for n in range(8):
        assert await bot.send(post(status(steps=n + 2), fake.home), first) == first
    (shown,) = fake.screen(fake.home)
    assert shown.edits_n == 4


async def test_sending_goes_on_while_the_connection_is_built_anew(fake, desk):
    bot = adapter(fake)
    async with receiving(bot, desk, fake):
        old = bot._api
        assert await bot.send(post(Line(text="x"), fake.home), "")
    with pytest.raises(RetryableError):
        await old.call("getMe")
    assert await bot.send(post(Line(text="y"), fake.home), "")
    assert [one.text for one in fake.screen()] == ["x", "y"]


async def test_a_private_line_waits_for_its_turn_with_the_press(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    await fake.say(fake.second, "hello", fake.direct(fake.second))
    pressing = asyncio.create_task(fake.press(fake.second, shown, "Approve"))
    event = await desk.next(2)
    fake.faults.plan(Fault(method="sendMessage", how="status", status=429, retry_after=2))
    line = Line(text="all of it " * 100, private=True, to="telegram:1002", event=event.key)
    with pytest.raises(RateLimitedError):
        await bot.send(post(line, fake.home), "")
    assert (await pressing).acknowledged


async def test_who_cannot_be_written_to_is_told_how(fake, desk, bot):
    shown = await bot.send(post(CARD, fake.home), "")
    pressing = asyncio.create_task(fake.press(fake.stranger, shown, "Approve"))
    event = await desk.next()
    line = Line(text="all of it " * 100, private=True, to="telegram:1003", event=event.key)
    assert await bot.send(post(line, fake.home), "")
    assert (await pressing).note == words.OPEN_A_CHAT


# --- The self-check ---------------------------------------------------------------------------------------------------


async def test_the_self_check_says_what_a_person_has_to_know(fake):
    assert not configured({})
    assert await checks.examine({}) == ((False, words.NOT_SET),)
    good = await checks.examine(fake.environ())
    assert good == ((True, words.is_bot("signoff_test_bot")), (True, words.PRIVACY_OFF), (True, words.NO_WEBHOOK))
    fake.api.privacy = True
    fake.api.webhook = {"url": "https://elsewhere.example/x", "secret": ""}
    fake.api.update("message", {})
    told = await checks.examine(fake.environ())
    assert [ok for ok, _ in told] == [True, True, False, True]
    assert told[1] == (True, words.PRIVACY_ON)
    ((ok, line),) = await checks.examine(fake.environ() | {"TELEGRAM_BOT_TOKEN": "1:x"})
    assert (ok, "TELEGRAM_BOT_TOKEN" in line) == (False, True)


async def _until(there, seconds=5):
    async with asyncio.timeout(seconds):
        while not there():  # noqa: ASYNC110  # the fake's state has no event
            await asyncio.sleep(0.01)


def test_what_the_form_link_says_is_what_was_asked():
    form = forms.opened(CARD, EDIT)
    text = forms.question(form, CARD, "signoff_test_bot", ("1001", "You"))
    assert cards.units(cards.shown(text.html)) < cards.TEXT_MAX
    assert wire.message(text)["parse_mode"] == "HTML"
