"""Discord's adapter against a Discord of our own, on real sockets."""

import asyncio
import contextlib
import json
from datetime import UTC, datetime, timedelta

import pytest

from bots.discord import cards, wire
from bots.discord.checks import examine
from bots.discord.client import Discord, configured
from core.adapters.system import SystemClock
from core.model.errors import AmbiguousError, AuthenticationError, RateLimitedError, RetryableError, TerminalError
from core.model.events import (
    BotAdded,
    CommandReceived,
    ControlPressed,
    Conversation,
    FormSubmitted,
    MessageEdited,
    MessageReceived,
)
from core.model.inquiries import Verb
from core.model.views import Answer, Button, DecidedCard, InquiryCard, Line, Post, Question, StatusLine
from core.rules.controls import control
from tests.fakes.desk import Desk
from tests.fakes.discord import DiscordService
from tests.fakes.discord.service import GUILD, OPS, OTHER_GUILD
from tests.fakes.service import Fault, Place

NONCE = "0123456789abcdef"


class Files:
    def read(self, artifact):
        return ("../report.md", b"# all of it") if artifact == "report.md" else None


@pytest.fixture
async def service():
    some = DiscordService()
    await some.start()
    yield some
    await some.stop()


@pytest.fixture
def desk(service):
    some = Desk()
    some.known = {f"discord:{service.owner.id}", f"discord:{service.second.id}"}
    return some


def adapter(service, **changes):
    return Discord({**service.environ(), **changes}, clock=SystemClock(), ids=None, zone="UTC", shelf=Files())


@contextlib.asynccontextmanager
async def connected(service, desk, bot=None):
    bot = bot or adapter(service)
    before_ms = SystemClock().now_ms()
    running = asyncio.create_task(bot.run(desk))
    try:
        async with asyncio.timeout(8):
            while bot.health().connected_at_ms < before_ms:
                assert not running.done(), running.exception()
                await asyncio.sleep(0.01)
        yield bot
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


def post(view, place, *, number="p-1", at_ms=None, **changes):
    at_ms = SystemClock().now_ms() if at_ms is None else at_ms
    return Post(id=number, conversation=place, view=view, slot=number, at_ms=at_ms, **changes)


def home(service, thread=""):
    return Conversation(platform="discord", account=GUILD, channel=service.home.channel, thread=thread)


def card(verb=Verb.APPROVE, **changes):
    shown = InquiryCard(
        inquiry="i-7f3a00112233",
        revision=1,
        title="DevOps asks to run deploy",
        line="Runs ./deploy.sh",
        fields=(),
        more_n=0,
        whole=(),
        why="",
        tier="infrastructure",
        decide_by_ms=None,
        decide_within_ms=None,
        needs="",
        buttons=(Button(control=control(NONCE, verb), label="Press"),),
    )
    return InquiryCard(**{name: changes.get(name, getattr(shown, name)) for name in shown.__struct_fields__})


# --- Hearing --------------------------------------------------------------------------------------------------------


async def test_a_mention_is_answered_in_a_thread_of_its_own(service, desk):
    async with connected(service, desk) as bot:
        number = await service.say(service.owner, "how big is our test debt?", service.home, mention=True)
        event = await desk.until(MessageReceived)
        assert event.text == "how big is our test debt?"
        assert event.addressed
        assert event.conversation == home(service, number)
        receipt = await bot.send(post(Answer(task="t-81c2", speaker="CTO", text="Small."), event.conversation), "")
        assert receipt.startswith(f"{number}:")
        (shown,) = service.screen(Place(channel=service.home.channel, thread=number))
        assert "CTO (agent)" in shown.text
        assert "Small." in shown.text
        assert service.world.channels[number].name == "how big is our test debt?"


async def test_what_concerns_nobody_is_not_taken(service, desk):
    async with connected(service, desk):
        await service.say(service.owner, "lunch?", service.home)
        await service.say(service.other_bot, "@cto I am a bot", service.home)
        await service.odd()
        await service.say(service.owner, "@cto hello", service.home)
        event = await desk.until(MessageReceived)
        assert (event.text, event.addressed) == ("@cto hello", False)
        assert len(desk.of(MessageReceived)) == 1


async def test_private_chats_and_typed_commands(service, desk):
    async with connected(service, desk):
        direct = service.direct(service.stranger)
        await service.say(service.stranger, "/pair ABC  def", direct)
        event = await desk.until(CommandReceived)
        assert (event.name, event.arguments) == ("pair", ("ABC", "def"))
        assert event.conversation == Conversation(platform="discord", account="dm", channel=direct.channel)
        assert event.sender.account == f"discord:{service.stranger.id}"


async def test_joining_is_told_once_by_key(service, desk):
    async with connected(service, desk):
        await service.kick(OTHER_GUILD)
        await service.invite(OTHER_GUILD)
        await desk.until(BotAdded)
        await service.redeliver()
        await asyncio.sleep(0.1)
    async with connected(service, desk):
        await asyncio.sleep(0.1)
    assert [event.conversation.account for event in desk.of(BotAdded)] == [OTHER_GUILD]


async def test_only_a_server_that_is_news_is_greeted(service, desk):
    """Discord tells of every server at every connection. The bot has been in `home` for years."""
    service.world.guilds[OTHER_GUILD].joined_at = _ago(minutes=5)  # invited, then started for the first time
    async with connected(service, desk):
        await desk.until(BotAdded)
    desk.events.clear()
    first_ms = int(desk.notes["discord.first"])
    desk.notes["discord.first"] = str(first_ms - 7_200_000)
    service.world.guilds[OTHER_GUILD].joined_at = _ago(minutes=90)  # invited while it was down
    async with connected(service, desk):
        event = await desk.until(BotAdded)
    assert [event.conversation.account] == [some.conversation.account for some in desk.of(BotAdded)] == [OTHER_GUILD]


def _ago(*, minutes):
    return (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat()


async def test_called_into_a_thread_it_reads_what_was_said_before(service, desk):
    async with connected(service, desk):
        start = await service.say(service.owner, "the build is red", service.home)
        thread = Place(channel=service.home.channel, thread=start)
        await service.say(service.second, "since monday", thread)
        await service.say(service.owner, "please look", thread, mention=True)
        event = await desk.until(MessageReceived)
        assert [(quote.speaker, quote.text) for quote in event.earlier] == [
            ("Uma Owner", "the build is red"),
            ("Ana", "since monday"),
        ]
        assert event.conversation == home(service, start)


async def test_an_edit_is_one(service, desk):
    async with connected(service, desk):
        number = await service.say(service.owner, "ship https://acme.example/", service.home, mention=True)
        await desk.until(MessageReceived)
        await service.edit(service.owner, number, f"<@{service.bot.id}> do not ship")
        event = await desk.until(MessageEdited)
        assert (event.original, event.text) == (f"discord:message:{number}", "do not ship")
        assert len(desk.events) == 2 + len(desk.of(BotAdded))


async def test_a_file_is_fetched_by_reference(service, desk):
    async with connected(service, desk) as bot:
        file = ("../notes.txt", "text/plain", b"hello")
        await service.say(service.owner, "read it", service.home, mention=True, files=(file,))
        event = await desk.until(MessageReceived)
        assert await bot.fetch(event.files[0]) == b"hello"
        stale = json.dumps({**json.loads(event.files[0].ref), "url": f"{service.world.base}/nothing/here"})
        assert await bot.fetch(type(event.files[0])(name="x", ref=stale)) == b"hello"
        with pytest.raises(TerminalError):
            await bot.fetch(type(event.files[0])(name="x", bytes_n=10**9, ref="{}"))
        with pytest.raises(TerminalError):
            await bot.fetch(type(event.files[0])(name="x", ref="no json"))


# --- Being away -----------------------------------------------------------------------------------------------------


async def test_what_was_said_meanwhile_is_taken_in_order(service, desk):
    async with connected(service, desk) as bot:
        start = await service.say(service.owner, "first", service.home, mention=True)
        await desk.until(MessageReceived)
        await service.say(service.stranger, "hello", service.direct(service.stranger))
        await desk.until(MessageReceived, 2)
        await bot.send(post(Line(text="heard"), home(service, start)), "")
    thread = Place(channel=service.home.channel, thread=start)
    for n in range(120):
        await service.say(service.owner, f"{n}", thread, mention=True)
    await service.say(service.owner, "in the channel", service.home, mention=True)
    direct = service.direct(service.second)
    await service.say(service.second, "in private", direct)
    await service.say(service.stranger, "me, too", service.direct(service.stranger))
    desk.taken_part = {Conversation(platform="discord", account="dm", channel=direct.channel), home(service, start)}
    async with connected(service, desk):
        await service.say(service.owner, "live", thread, mention=True)
        await desk.until(MessageReceived, 126)
        texts = [event.text for event in desk.of(MessageReceived) if event.conversation == home(service, start)]
        assert texts == ["first", *(f"{n}" for n in range(120)), "live"]
        assert {"in the channel", "in private", "me, too"} <= {event.text for event in desk.of(MessageReceived)}


async def test_what_could_not_be_stored_is_read_again(service, desk):
    bot = adapter(service)
    async with connected(service, desk, bot):
        pass
    desk.fails = [RetryableError("the disk is full")]
    running = asyncio.create_task(bot.run(desk))
    await service.connected()
    await service.say(service.owner, "keep this", service.home, mention=True)
    with pytest.raises(RetryableError):
        await running
    async with connected(service, desk):
        assert (await desk.until(MessageReceived)).text == "keep this"


@pytest.mark.parametrize("how", ["close", "invalid", "conflict"])
async def test_a_broken_connection_asks_to_be_rebuilt(service, desk, how):
    bot = adapter(service)
    running = asyncio.create_task(bot.run(desk))
    await service.connected()
    await asyncio.sleep(0.1)
    await service.disconnect(how)
    await service.say(service.owner, "meanwhile", service.home, mention=True)
    with pytest.raises(RetryableError):
        await running
    assert bot.health().trouble
    await service.reconnectable()
    async with connected(service, desk, bot):
        assert (await desk.until(MessageReceived)).text == "meanwhile"
        assert bot.health().trouble == ""


async def test_a_deaf_connection_is_noticed_by_its_silence(service, desk):
    service.gateway.heartbeat_ms = 500
    bot = adapter(service)
    running = asyncio.create_task(bot.run(desk))
    await service.connected()
    await asyncio.sleep(0.1)
    await service.disconnect("silent")
    with pytest.raises(RetryableError, match="silent"):
        await running


async def test_a_short_cut_is_resumed(service, desk, monkeypatch):
    monkeypatch.setattr("bots.discord.gateway.RESUME_SECONDS_MIN", 0.0)
    async with connected(service, desk):
        await asyncio.sleep(0.1)
        service.gateway.reconnect()
        await service.say(service.owner, "hello", service.home, mention=True)
        await desk.until(MessageReceived)
        assert service.journal.lines("request", "gateway.resume")
        assert len(service.journal.lines("request", "gateway.identify")) == 1


@pytest.mark.parametrize("what", ["token", "intents", "missing"])
async def test_what_only_a_person_can_mend_is_said_in_one_line(service, desk, what):
    changes = {"DISCORD_BOT_TOKEN": {"token": "wrong", "missing": " "}[what]} if what != "intents" else {}
    if what == "intents":
        service.gateway.allowed = 0
    bot = adapter(service, **changes)
    with pytest.raises(AuthenticationError) as found:
        await bot.run(desk)
    assert "\n" not in str(found.value)
    assert {"token": ".env", "missing": "DISCORD_BOT_TOKEN", "intents": "Message Content Intent"}[what] in str(
        found.value
    )


# --- Pressing -------------------------------------------------------------------------------------------------------


async def shown(service, bot, some):
    receipt = await bot.send(post(some, home(service)), "")
    return receipt.rsplit(":", 1)[1]


async def test_a_press_is_committed_then_acknowledged(service, desk):
    async with connected(service, desk) as bot:
        pressed = await service.press(service.owner, await shown(service, bot, card()), "Press")
        assert pressed.acknowledged
        event = desk.of(ControlPressed)[0]
        assert (event.control, event.conversation) == (control(NONCE, Verb.APPROVE), home(service))
        line = Line(text="you are too late", private=True, to=event.sender.account, event=event.key)
        await bot.send(post(line, home(service), number="p-2"), "")
        assert [(s.text, s.only_for) for s in service.screen() if s.only_for] == [
            ("you are too late", service.owner.id)
        ]


async def test_a_press_that_is_told_again_is_still_answered_where_it_was_made(service, desk):
    async with connected(service, desk) as bot:
        await service.press(service.owner, await shown(service, bot, card()), "Press")
        await service.redeliver(2)
        await _until(lambda: len(service.journal.lines("request", "interactions.callback")) == 3)
        event = desk.of(ControlPressed)[0]
        line = Line(text="you are too late", private=True, to=event.sender.account, event=event.key)
        async with asyncio.timeout(1):
            await bot.send(post(line, home(service), number="p-2"), "")
        assert [s.text for s in service.screen() if s.only_for] == ["you are too late"]


async def _until(there):
    async with asyncio.timeout(5):
        while not there():  # noqa: ASYNC110 # nobody is told of it
            await asyncio.sleep(0.01)


async def test_a_press_that_cannot_be_stored_is_not_acknowledged(service, desk):
    async with connected(service, desk) as bot:
        from core.model.errors import StoreFullError

        message = await shown(service, bot, card())
        desk.fails = [StoreFullError("full")]
        service.rest.interactions.deadline_s = 0.5
        assert not (await service.press(service.owner, message, "Press")).acknowledged


async def test_a_form_opens_at_once_and_is_submitted(service, desk):
    some = card(Verb.ANSWER, form=(Question(name="market", label="Which?", options=("Spain", "Norway")),))
    desk.cards[control(NONCE, Verb.ANSWER)] = some
    async with connected(service, desk) as bot:
        pressed = await service.press(service.owner, await shown(service, bot, some), "Press")
        assert pressed.inputs == ("Which?",)
        assert (await service.submit(service.owner, pressed.form, ("Norway",))).acknowledged
        event = await desk.until(FormSubmitted)
        assert (event.control, event.fields) == (control(NONCE, Verb.ANSWER), {"market": "Norway"})
        assert not desk.of(ControlPressed)


async def test_an_approval_that_needs_a_reason_asks_for_it(service, desk):
    some = card(Verb.APPROVE, approve_reason=True)
    desk.cards[control(NONCE, Verb.APPROVE)] = some
    async with connected(service, desk) as bot:
        message = await shown(service, bot, some)
        pressed = await service.press(service.owner, message, "Press")
        assert pressed.inputs == ("Why?",)
        assert (await service.submit(service.owner, pressed.form, ("it is tested",))).acknowledged
        event = await desk.until(FormSubmitted)
        assert (event.control, event.fields) == (control(NONCE, Verb.APPROVE), {"reason": "it is tested"})
        assert not desk.of(ControlPressed)
        desk.cards[control(NONCE, Verb.APPROVE)] = card(Verb.APPROVE)
        assert not (await service.press(service.owner, message, "Press")).form
        assert (await desk.until(ControlPressed)).control == control(NONCE, Verb.APPROVE)


async def test_a_form_that_does_not_open_decides_nothing(service, desk):
    some = card(Verb.DENY)
    desk.cards[control(NONCE, Verb.DENY)] = some
    async with connected(service, desk) as bot:
        message = await shown(service, bot, some)
        service.expire()
        assert not (await service.press(service.owner, message, "Press")).acknowledged
        await asyncio.sleep(0.1)
        assert not desk.of(ControlPressed)


async def test_a_stranger_gets_no_form(service, desk):
    some = card(Verb.DENY)
    desk.cards[control(NONCE, Verb.DENY)] = some
    async with connected(service, desk) as bot:
        message = await shown(service, bot, some)
        assert not (await service.press(service.stranger, message, "Press")).form
        await desk.until(ControlPressed)
        desk.cards.clear()
        assert not (await service.press(service.owner, message, "Press")).form
        await desk.until(ControlPressed, 2)


async def test_slash_commands(service, desk):
    async with connected(service, desk) as bot:
        assert (await service.order(service.owner, "approve", "i-7f3a because  so", service.home)).acknowledged
        event = await desk.until(CommandReceived)
        assert (event.name, event.arguments, event.conversation) == (
            "approve",
            ("i-7f3a", "because  so"),
            home(service),
        )
        line = Line(text="done", private=True, to=event.sender.account, event=event.key)
        await bot.send(post(line, home(service)), "")
        assert [s.text for s in service.screen() if s.only_for] == ["done"]
    async with connected(service, desk):
        await asyncio.sleep(0.1)
    assert len(service.journal.lines("request", "commands.*")) == 1


async def test_slash_ask_leaves_a_message_that_has_the_thread(service, desk):
    async with connected(service, desk) as bot:
        assert (await service.order(service.owner, "ask", "deploy *the* landing page", service.home)).acknowledged
        event = await desk.until(MessageReceived)
        (anchor,) = service.screen(service.home)
        assert anchor.text == "Uma Owner asks: deploy *the* landing page"
        assert event.conversation == home(service, anchor.id)
        await bot.send(post(Line(text="heard"), event.conversation), "")
        await service.order(service.stranger, "ask", "let me in", service.home)
        event = await desk.until(MessageReceived, 2)
        assert event.conversation == home(service)
        await service.order(service.owner, "ask", "in private", service.direct(service.owner))
        assert (await desk.until(MessageReceived, 3)).conversation.account == "dm"


# --- Sending --------------------------------------------------------------------------------------------------------


async def test_a_post_is_edited_in_place(service, desk):
    async with connected(service, desk) as bot:
        receipt = await bot.send(post(card(), home(service)), "")
        decided = post(DecidedCard(inquiry="i-7f3a", title="T", headline="Approved by Bo"), home(service), number="p-2")
        assert await bot.send(decided, receipt) == receipt
        assert await bot.send(decided, receipt) == receipt
        (some,) = service.screen()
        assert (some.buttons, some.text.split("\n")[0]) == ((), "Approved by Bo")
        await service.delete(some.id)
        assert await bot.send(decided, receipt) != receipt


async def test_text_becomes_a_card_in_place_and_a_card_is_replaced_by_text(service, desk):
    async with connected(service, desk) as bot:
        receipt = await bot.send(post(Line(text="looking"), home(service)), "")
        as_card = await bot.send(post(card(), home(service), number="p-2"), receipt)
        assert as_card.rsplit(":", 1)[1] == receipt.rsplit(":", 1)[1]
        (some,) = service.screen()
        assert (some.buttons, "looking" in some.text) == (("Press",), False)
        said = post(Line(text="never mind"), home(service), number="p-3")
        as_text = await bot.send(said, as_card)
        assert [(s.text, s.buttons) for s in service.screen()] == [("never mind", ())]
        assert await bot.send(said, as_card) == as_text  # once more, after a doubt
        assert await bot.find_sent(said, as_card) is None
        bot._clock = later = SystemClock()
        later.now_ms = lambda: SystemClock().now_ms() + 200_000
        assert await bot.find_sent(said, as_card) == as_text
        assert await bot.find_sent(said, as_text) is None
    assert not service.journal.lines("refused")


async def test_what_a_card_was_replaced_by_stands_even_if_the_card_cannot_be_removed(service, desk):
    async with connected(service, desk) as bot:
        receipt = await bot.send(post(card(), home(service)), "")
        service.faults.plan(Fault(method="messages.delete", how="status", status=403))
        assert await bot.send(post(Line(text="never mind"), home(service), number="p-2"), receipt) != receipt
        assert [s.text for s in service.screen()][1:] == ["never mind"]


async def test_a_status_line_types(service, desk):
    status = StatusLine(task="t-1", branches=(), steps=1, tokens=1, cost_microusd=1, started_at_ms=0, at_ms=1)
    async with connected(service, desk) as bot:
        await bot.send(post(status, home(service)), "")
        await bot.send(post(status, home(service), number="p-2"), "")
        assert len(service.journal.lines("request", "*typing*")) == 1


async def test_the_same_post_again_is_the_same_message(service, desk):
    async with connected(service, desk) as bot:
        some = post(Line(text="heard"), home(service))
        assert await bot.send(some, "") == await bot.send(some, "")
        assert await bot.find_sent(some, "") is None
        assert len(service.screen()) == 1


async def test_an_old_post_is_looked_for_in_the_history(service, desk):
    async with connected(service, desk) as bot:
        bot._clock = later = SystemClock()
        some = post(Line(text="*heard*"), home(service))
        cards_post = post(card(), home(service), number="p-3")
        receipts = [await bot.send(some, ""), await bot.send(cards_post, "")]
        later.now_ms = lambda: SystemClock().now_ms() + 200_000
        assert [await bot.find_sent(some, ""), await bot.find_sent(cards_post, "")] == receipts
        assert await bot.find_sent(post(Line(text="other"), home(service), number="p-2"), "") is None
        assert await bot.find_sent(post(Line(text="x"), home(service, "123"), number="p-2"), "") is None
        assert await bot.find_sent(some, receipts[0]) is None


async def test_the_same_words_again_are_not_taken_for_what_is_looked_for(service, desk):
    async with connected(service, desk) as bot:
        bot._clock = clock = SystemClock()
        first, second = (post(Line(text="done"), home(service), number=number) for number in ("p-1", "p-2"))
        receipt = await bot.send(first, "")
        service.faults.plan(Fault(method="messages.create", how="cut"))
        with pytest.raises(AmbiguousError):
            await bot.send(second, "")
        clock.now_ms = lambda: SystemClock().now_ms() + 200_000
        assert await bot.find_sent(second, "") is None
        assert await bot.find_sent(first, "") == receipt
        assert await bot.send(second, "") != receipt
        clock.now_ms = lambda: SystemClock().now_ms() + 200_000
    reborn = adapter(service)
    reborn._clock = clock
    assert await reborn.find_sent(second, "") is None  # it may be the first one's: twice is better than never


async def test_after_a_new_start_what_names_its_request_is_found(service, desk):
    answer = Answer(task="t-81c2", speaker="CTO", text="done")
    async with connected(service, desk) as bot:
        asked = await service.say(service.owner, "x", service.home, mention=True)
        posts = [
            post(answer, home(service, asked)),
            post(card(), home(service, asked), number="p-2"),
            post(DecidedCard(inquiry="i-7f3a", title="T", headline="Approved by Bo"), home(service), number="p-3"),
        ]
        receipts = [await bot.send(some, "") for some in posts]
    reborn = adapter(service)
    reborn._clock = clock = SystemClock()
    clock.now_ms = lambda: SystemClock().now_ms() + 200_000
    assert [await reborn.find_sent(some, "") for some in posts] == receipts
    assert await reborn.find_sent(post(answer, home(service, "123")), "") is None


async def test_files_are_sent_as_parts(service, desk):
    view = Answer(task="t-81c2", speaker="CEO", text="word " * 4_000, artifacts=("report.md", "gone.md"))
    async with connected(service, desk) as bot:
        some = post(view, home(service))
        assert bot.parts(some) == 4
        for part in range(4):
            await bot.send(some, "", part)
        screen = service.screen()
        assert [file for s in screen for file, _ in s.files] == ["answer-t-81c2.md", "report.md"]
        assert screen[1].files[0][1].decode().startswith("word word")
        assert "could not be attached" in screen[3].text


async def test_private_lines_without_an_interaction_go_to_the_person(service, desk):
    async with connected(service, desk) as bot:
        line = Line(text="psst", private=True, to=f"discord:{service.second.id}", event="discord:message:1")
        await bot.send(post(line, home(service)), "")
        assert [s.text for s in service.screen(service.direct(service.second))] == ["psst"]
        await service.remove_bot(service.direct(service.stranger))
        nobody = Line(text="psst", private=True, to=f"discord:{service.stranger.id}", event="discord:message:1")
        await bot.send(post(nobody, home(service), number="p-2"), "")
        await bot.send(post(Line(text="psst", private=True, to="discord:"), home(service), number="p-3"), "")
        assert len(service.screen()) == 1


async def test_an_inquiry_is_shown_in_a_private_chat_and_decided_there(service, desk):
    async with connected(service, desk) as bot:
        alone = bot.direct(f"discord:{service.second.id}")
        here = service.direct(service.second)
        receipt = await bot.send(post(card(), alone), "")
        (one,) = service.screen(here)
        assert (one.buttons, receipt) == (("Press",), f"{here.channel}:{cards_of(receipt)}:{one.id}")
        assert (await service.press(service.second, one.id, "Press")).acknowledged
        event = await desk.until(ControlPressed)
        assert event.sender.account == f"discord:{service.second.id}"
        assert bot.is_private(event.conversation)
        assert bot.is_private(alone)
        assert not bot.is_private(home(service))
        assert await bot.send(post(Line(text="still waiting"), alone, number="p-2", reply_to=receipt), "")
        edited = DecidedCard(inquiry="i-7f3a00112233", title="DevOps asks to run deploy", headline="Approved by Ana")
        assert await bot.send(post(edited, alone, number="p-3"), receipt) == receipt
        assert [s.buttons for s in service.screen(here)] == [(), ()]
        assert len(service.journal.lines("request", "users.dm")) == 1
        assert not service.screen(service.home)


def cards_of(receipt):
    return receipt.split(":")[1]


async def test_what_was_sent_to_a_private_chat_is_found_there(service, desk):
    earlier_ms = SystemClock().now_ms() - 180_000
    async with connected(service, desk) as bot:
        alone = bot.direct(f"discord:{service.second.id}")
        some = post(card(), alone, at_ms=earlier_ms)
        receipt = await bot.send(some, "")
        assert await adapter(service).find_sent(some, "") == receipt
        assert await bot.find_sent(post(card(), alone, number="p-9", at_ms=earlier_ms), "") is None


async def test_whoever_cannot_be_written_to_is_not_shown_it(service, desk):
    async with connected(service, desk) as bot:
        assert bot.direct("discord:ana") is None
        assert bot.direct("slack:U1") is None
        service.faults.plan(Fault(method="users.dm", how="status", status=400, times=2))
        alone = bot.direct(f"discord:{service.second.id}")
        with pytest.raises(TerminalError):
            await bot.send(post(card(), alone), "")
        old = post(card(), alone, at_ms=SystemClock().now_ms() - 180_000)
        assert await bot.find_sent(old, "") is None


async def test_a_thread_that_is_gone_is_said_in_one_line(service, desk):
    async with connected(service, desk) as bot:
        number = await service.say(service.owner, "x", service.home, mention=True)
        await bot.send(post(Line(text="heard"), home(service, number)), "")
        await service.erase(Place(channel=service.home.channel, thread=number))
        for n in range(2):
            with pytest.raises(TerminalError):
                await bot.send(post(Line(text="answer"), home(service, number), number=f"p-{n + 2}"), "")
        await service.remove_bot(service.home)
        with pytest.raises(TerminalError):
            await bot.send(post(Line(text="answer"), home(service), number="p-9"), "")


async def test_a_message_that_was_taken_back_is_answered_in_the_channel(service, desk):
    async with connected(service, desk) as bot:
        number = await service.say(service.owner, "x", service.home, mention=True)
        event = await desk.until(MessageReceived)
        await service.delete(number)
        receipt = await bot.send(post(Line(text="heard"), event.conversation), "")
        assert receipt.startswith(f"{service.home.channel}:")
        await bot.send(post(Line(text="done"), event.conversation, number="p-2"), "")
        assert [s.text for s in service.screen(service.home)] == ["heard", "done"]
        assert len(service.journal.lines("request", "threads.create")) == 1


async def test_where_no_thread_can_be_made_the_answer_is_a_reply(service, desk):
    async with connected(service, desk) as bot:
        number = await service.say(service.owner, "x", service.home, mention=True)
        service.faults.plan(Fault(method="*threads*", how="status", status=403))
        receipt = await bot.send(post(Line(text="heard"), home(service, number)), "")
        assert receipt.startswith(f"{service.home.channel}:")
        await bot.send(post(Line(text="done"), home(service, number), number="p-2"), "")
        assert [s.native.get("message_reference", {}).get("message_id") for s in service.screen()] == [number] * 2


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault(method="messages.create", how="status", status=429, retry_after=40), RateLimitedError),
        (Fault(method="messages.create", how="status", status=503), AmbiguousError),
        (Fault(method="messages.create", how="cut", applied=True), AmbiguousError),
        (Fault(method="messages.create", how="garbage", applied=True), AmbiguousError),
        (Fault(method="messages.create", how="status", status=400), TerminalError),
    ],
)
async def test_errors_say_what_may_have_happened(service, desk, fault, error):
    async with connected(service, desk) as bot:
        service.faults.plan(fault)
        some = post(Line(text="heard"), home(service))
        with pytest.raises(error):
            await bot.send(some, "")
        if error is AmbiguousError:
            await bot.send(some, "")
            assert len(service.screen()) == 1


@pytest.mark.parametrize("seconds", [0.3, 25])
@pytest.mark.parametrize("everywhere", [False, True])
async def test_a_limit_says_at_once_whose_it_is(service, desk, seconds, everywhere):
    async with connected(service, desk) as bot:
        service.faults.plan(
            Fault(method="messages.create", how="status", status=429, retry_after=seconds, everywhere=everywhere)
        )
        some = post(Line(text="heard"), home(service))
        with pytest.raises(RateLimitedError) as found:
            async with asyncio.timeout(2):
                await bot.send(some, "")
        assert found.value.scope == ("account" if everywhere else "conversation")
        assert abs(found.value.retry_after_ms - seconds * 1_000) < 100
        if seconds < 1:
            await asyncio.sleep(found.value.retry_after_ms / 1_000)
            assert await bot.send(some, "")
        assert not [line for line in service.journal.lines("fault") if line.detail["how"] == "early"]


async def test_while_everything_is_limited_nothing_is_asked(service, desk):
    async with connected(service, desk) as bot:
        message = await shown(service, bot, card())
        service.faults.plan(Fault(method="messages.create", how="status", status=429, retry_after=0.6, everywhere=True))
        for n in range(3):
            with pytest.raises(RateLimitedError) as found:
                await bot.send(post(Line(text="heard"), home(service), number=f"p-{n + 2}"), "")
            assert found.value.scope == "account"
        assert (await service.press(service.owner, message, "Press")).acknowledged  # people are answered all the same
        assert await bot.roles(f"discord:{service.second.id}", home(service))  # who looks waits
        assert not [line for line in service.journal.lines("fault") if line.detail["how"] == "early"]


async def test_a_proxy_that_bans_us_bans_everything(service, desk, monkeypatch):
    from tests.fakes.discord import rest

    banned = rest.web.Response(status=429, text="<html>slow down</html>", headers={"Retry-After": "7"})
    monkeypatch.setattr(rest, "limited", lambda *_: banned)
    async with connected(service, desk) as bot:
        service.faults.plan(Fault(method="messages.create", how="status", status=429, retry_after=0.01))
        with pytest.raises(RateLimitedError) as found:
            await bot.send(post(Line(text="heard"), home(service)), "")
        assert (found.value.scope, found.value.retry_after_ms // 1_000) == ("account", 7)


async def test_an_outage_is_told_at_once(service, desk):
    """The engine waits better than a request that is held."""
    async with connected(service, desk) as bot:
        receipt = await bot.send(post(Line(text="heard"), home(service)), "")
        service.faults.plan(Fault(method="messages.*", how="status", status=500, times=2))
        async with asyncio.timeout(2):
            with pytest.raises(AmbiguousError):
                await bot.send(post(Line(text="done"), home(service), number="p-2"), "")
            with pytest.raises(RetryableError):
                await bot.send(post(Line(text="done"), home(service), number="p-2"), receipt)


async def test_what_never_left_is_in_no_doubt(service, desk):
    """The library holds a request back while it knows of a limit."""
    async with connected(service, desk) as bot:
        bot._rest.client.http._global_over.clear()
        with pytest.raises(RetryableError):
            await bot._rest.call("POST", "/channels/{c}/messages", creates=True, waits=False, seconds=0.2, c="1")
        bot._rest.client.http._global_over.set()


async def test_an_answer_that_came_is_not_lost_to_the_wait_for_the_next(service, desk):
    """The library sleeps before it hands out the answer that used up a limit."""
    async with connected(service, desk) as bot:
        service.rest.rate = (1, 5.0)
        async with asyncio.timeout(2):
            path, place = "/channels/{channel_id}/messages", service.home.channel
            sent = await bot._rest.call(
                "POST", path, body={"content": "x"}, creates=True, waits=False, seconds=0.5, channel_id=place
            )
        assert sent["content"] == "x"


async def test_a_private_line_that_is_limited_is_sent_later(service, desk):
    async with connected(service, desk) as bot:
        service.faults.plan(Fault(method="messages.create", how="status", status=429, retry_after=0.2))
        line = Line(text="psst", private=True, to=f"discord:{service.second.id}", event="discord:message:1")
        with pytest.raises(RateLimitedError):
            await bot.send(post(line, home(service)), "")
        await asyncio.sleep(0.25)
        await bot.send(post(line, home(service)), "")
        assert [s.text for s in service.screen()] == ["psst"]


async def test_sending_between_connections(service, desk):
    bot = adapter(service)
    assert await bot.send(post(Line(text="heard"), home(service)), "")
    await service.stop()
    with pytest.raises(RetryableError):
        await bot.send(post(Line(text="heard"), home(service), number="p-2"), "")
    with pytest.raises(RetryableError):
        await bot.run(desk)
    await service.start()
    wrong = adapter(service, DISCORD_BOT_TOKEN="wrong")
    with pytest.raises(RetryableError):
        await wrong.send(post(Line(text="heard"), home(service), number="p-3"), "")


async def test_roles_are_asked_for_now(service, desk):
    bot = adapter(service)
    assert await bot.roles(f"discord:{service.second.id}", home(service)) == {f"role:{OPS}"}
    assert "admin" in await bot.roles(f"discord:{service.owner.id}", home(service))
    assert await bot.roles("discord:1", home(service)) == frozenset()
    assert (
        await bot.roles(f"discord:{service.owner.id}", Conversation(platform="discord", account="dm", channel="1"))
        == set()
    )


async def test_the_checks(service):
    assert [ok for ok, _ in await examine(service.environ())] == [True, True, True, True]
    service.gateway.allowed = 0
    assert [ok for ok, _ in await examine(service.environ())] == [True, False, True, True]
    assert await examine({}) == ((False, (await examine({}))[0][1]),)
    assert not (await examine({**service.environ(), "DISCORD_BOT_TOKEN": "wrong"}))[0][0]
    assert not (await examine({**service.environ(), "SIGNOFF_DISCORD_API_URL": "http://127.0.0.1:1"}))[0][0]
    assert configured(service.environ())
    assert not configured({})


async def test_the_mark_moves_no_further_than_what_is_committed(service, desk, monkeypatch):
    monkeypatch.setattr("bots.discord.receiving.MARK_SECONDS", 0.05)
    service.gateway.heartbeat_ms = 50
    held = asyncio.Event()
    accept, desk.accept = desk.accept, lambda event: held.wait()
    async with connected(service, desk):
        await service.say(service.owner, "hello", service.home, mention=True)
        await asyncio.sleep(0.3)
        stands = desk.notes["discord.heard"]
        await asyncio.sleep(0.2)
        assert desk.notes["discord.heard"] == stands
        held.set()
        desk.accept = accept
        await asyncio.sleep(0.4)
        assert desk.notes["discord.heard"] > stands


async def test_a_long_absence_looks_into_threads_that_discord_no_longer_lists(service, desk):
    async with connected(service, desk):
        start = await service.say(service.owner, "first", service.home, mention=True)
        await desk.until(MessageReceived)
    thread = Place(channel=service.home.channel, thread=start)
    await service.say(service.owner, "are you there?", thread, mention=True)
    service.world.channels[start].archived = True
    desk.taken_part = {home(service, start)}
    desk.notes["discord.heard"] = wire.snowflake_at(SystemClock().now_ms() - 7_200_000)
    async with connected(service, desk):
        assert (await desk.until(MessageReceived, 2)).text == "are you there?"


async def test_an_archived_thread_is_opened_to_edit_in_it(service, desk):
    async with connected(service, desk) as bot:
        number = await service.say(service.owner, "x", service.home, mention=True)
        receipt = await bot.send(post(Line(text="heard"), home(service, number)), "")
        service.world.channels[number].archived = True
        assert await bot.send(post(Line(text="done"), home(service, number), number="p-2"), receipt) == receipt
        assert [s.text for s in service.screen()] == ["done"]


async def test_reading_what_was_missed_is_patient(service, desk, monkeypatch):
    monkeypatch.setattr("bots.discord.receiving.TRIES_MAX", 2)
    async with connected(service, desk):
        pass
    await service.say(service.owner, "hello", service.home, mention=True)
    service.faults.plan(Fault(method="messages.history", how="status", status=429, retry_after=0.1))
    async with connected(service, desk):
        assert (await desk.until(MessageReceived)).text == "hello"
    await service.say(service.owner, "again", service.home, mention=True)
    service.faults.plan(Fault(method="messages.history", how="status", status=503, times=9))
    bot = adapter(service)
    with pytest.raises(RetryableError):
        await bot.run(desk)


async def test_without_what_was_said_before_it_goes_on(service, desk, monkeypatch):
    monkeypatch.setattr("bots.discord.receiving.EARLIER_SECONDS", 0.1)
    async with connected(service, desk):
        start = await service.say(service.owner, "the build is red", service.home)
        thread = Place(channel=service.home.channel, thread=start)
        service.faults.plan(Fault(method="messages.history", how="wait", seconds=0.5))
        await service.say(service.owner, "please look", thread, mention=True)
        assert (await desk.until(MessageReceived)).earlier == ()
        desk.taken_part = {home(service, start)}
        await service.say(service.owner, "and now?", thread)
        event = await desk.until(MessageReceived, 2)
        assert (event.addressed, event.earlier) == (False, ())


async def test_an_anchor_that_cannot_be_posted_is_done_without(service, desk):
    async with connected(service, desk):
        service.faults.plan(Fault(method="messages.create", how="status", status=503))
        assert (await service.order(service.owner, "ask", "deploy", service.home)).acknowledged
        assert (await desk.until(MessageReceived)).conversation == home(service)


async def test_a_channel_that_appears_and_goes(service, desk):
    async with connected(service, desk):
        place = service.channel("ops")
        await service.say(service.owner, "hello", place, mention=True)
        assert (await desk.until(MessageReceived)).conversation.channel == place.channel
        await service.erase(place)
        await service.kick()
        await service.say(service.owner, "still there", service.away, mention=True)
        await desk.until(MessageReceived, 2)


async def test_what_a_stranger_to_us_says_is_not_taken_for_the_api(service, desk):
    """A proxy that answers in place of Discord."""
    bot = adapter(service)
    service.faults.plan(Fault(method="*", how="garbage", times=2))
    with pytest.raises(RetryableError):
        await bot.run(desk)
    service.faults.clear()
    service.faults.plan(Fault(method="gateway.connect", how="status", status=503))
    with pytest.raises(RetryableError):
        await bot.run(desk)


async def test_thinking_ends_when_the_answer_is_public(service, desk, monkeypatch):
    monkeypatch.setattr("bots.discord.receiving.PROMISE_SECONDS", 0.05)
    async with connected(service, desk) as bot:
        await service.order(service.owner, "tasks", "", service.home)
        event = await desk.until(CommandReceived)
        async with asyncio.timeout(5):
            while not service.journal.lines("applied", "webhooks.delete"):  # noqa: ASYNC110 # nobody is told of it
                await asyncio.sleep(0.02)
        line = Line(text="after all", private=True, to=event.sender.account, event=event.key)
        await bot.send(post(line, home(service)), "")
        assert [s.text for s in service.screen(service.direct(service.owner))] == ["after all"]


async def test_what_is_too_late_to_acknowledge_is_taken_all_the_same(service, desk):
    async with connected(service, desk) as bot:
        message = await shown(service, bot, card())
        service.expire()
        assert not (await service.press(service.owner, message, "Press")).acknowledged
        event = await desk.until(ControlPressed)
        handle = bot._memory.handles.find(event.key)
        handle.acknowledged.set()
        line = Line(text="too late", private=True, to=event.sender.account, event=event.key)
        await bot.send(post(line, home(service), number="p-2"), "")
        assert [s.text for s in service.screen(service.direct(service.owner))] == ["too late"]


async def test_a_thread_nobody_told_of_is_looked_up(service, desk):
    async with connected(service, desk):
        start = await service.say(service.owner, "lunch?", service.home)
        await service.say(service.owner, "yes", Place(channel=service.home.channel, thread=start))
        desk.events.clear()
    service.gateway.sessions.clear()
    bot = adapter(service)
    from bots.discord.receiving import Receiver

    async with connected(service, desk, bot):
        receiver = Receiver(rest=bot._rest, intake=desk, clock=SystemClock(), memory=bot._memory)
        message = {"channel_id": start, "guild_id": GUILD}
        assert (await receiver._spot(message)).parent == service.home.channel
        assert (await receiver._spot(message)).parent == service.home.channel
        assert await receiver._spot({"channel_id": "5", "guild_id": GUILD}) == wire.Spot(guild=GUILD)


def test_what_is_forgotten_first():
    from bots.discord.memory import Bounded

    some = Bounded(2)
    for key in ("a", "b", "a", "c"):
        some.keep(key, key)
    assert [some.find(key) for key in "abc"] == ["a", None, "c"]
    assert cards.file_name(wire.NAME) == "discord"
