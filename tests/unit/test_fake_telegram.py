"""The fake Telegram earns its trust: python-telegram-bot, which knows the real one, works with it, errors and all."""

import asyncio

import pytest
import telegram
from aiohttp import web
from telegram.error import BadRequest, Conflict, Forbidden, InvalidToken, NetworkError, RetryAfter, TelegramError

from tests.fakes.service import Fault, Place
from tests.fakes.telegram import FORUM, HOME, Telegram

ROW = [[telegram.InlineKeyboardButton("Approve", callback_data="x" * 64)]]


@pytest.fixture
async def fake():
    service = Telegram()
    await service.start()
    yield service
    await service.stop()


def made(fake):
    root = fake.environ()["SIGNOFF_TELEGRAM_API_URL"]
    return telegram.Bot(fake.api.token, base_url=f"{root}/bot", base_file_url=f"{root}/file/bot")


@pytest.fixture
async def bot(fake, monkeypatch):
    monkeypatch.setenv("PTB_TIMEDELTA", "1")
    async with made(fake) as one:
        yield one


async def test_updates_are_kept_until_their_successor_is_asked_for(fake, bot):
    await fake.say(fake.owner, "one", fake.direct(fake.owner))
    await fake.say(fake.owner, "two", fake.home, mention=True)
    first = await bot.get_updates()
    again = await bot.get_updates()
    assert [u.message.text for u in first] == [u.message.text for u in again] == ["one", "@signoff_test_bot two"]
    assert first[0].message.chat.type == "private"
    assert first[1].message.parse_entities(["mention"]).popitem()[1] == "@signoff_test_bot"
    rest = await bot.get_updates(offset=first[0].update_id + 1)
    assert [u.update_id for u in rest] == [first[1].update_id]
    assert fake.unacknowledged() == 1
    assert await bot.get_updates(offset=rest[0].update_id + 1) == ()
    assert len(fake.journal.lines("acknowledged")) == 2


async def test_a_poll_waits_for_what_happens(fake, bot):
    waiting = asyncio.ensure_future(bot.get_updates(timeout=5))
    await fake.connected()
    await fake.order(fake.owner, "tasks", "all", fake.home)
    (update,) = await waiting
    assert update.message.text == "/tasks@signoff_test_bot all"
    assert update.message.entities[0].type == "bot_command"


async def test_a_second_poller_ends_the_first(fake, bot):
    first = asyncio.ensure_future(bot.get_updates(timeout=5))
    await fake.connected()
    async with made(fake) as other:
        await other.get_updates(timeout=0)
    with pytest.raises(Conflict):
        await first


async def test_a_message_is_read_with_its_markup_rendered_away(fake, bot):
    sent = await bot.send_message(HOME, " <b>Hi</b> &lt;you&gt; <a href='https://a.example/'>x</a> ", parse_mode="HTML")
    assert sent.text == "Hi <you> x"
    assert [e.type for e in sent.entities] == ["bold", "text_link"]
    assert sent.parse_entities()[sent.entities[1]] == "x"
    (shown,) = fake.screen(fake.home)
    assert shown.text == "Hi <you> x"


@pytest.mark.parametrize("text", ["<b>x", "<b><i>x</b></i>", "</b>", "<h1>x</h1>", "a < b", "<img src=x>", "<b x"])
async def test_wrong_markup_is_refused(bot, text):
    with pytest.raises(BadRequest, match="an't parse entities"):
        await bot.send_message(HOME, text, parse_mode="HTML")


async def test_lengths_are_counted_in_utf_16_after_the_markup(bot):
    await bot.send_message(HOME, "<b>" + "😀" * 2048 + "</b>", parse_mode="HTML")
    with pytest.raises(BadRequest, match="too long"):
        await bot.send_message(HOME, "😀" * 2048 + "x")
    with pytest.raises(BadRequest, match="empty"):
        await bot.send_message(HOME, " \n ")


async def test_edits(fake, bot):
    sent = await bot.send_message(HOME, "a", reply_markup=telegram.InlineKeyboardMarkup(ROW))
    with pytest.raises(BadRequest, match="not modified"):
        await bot.edit_message_text("a", HOME, sent.message_id, reply_markup=telegram.InlineKeyboardMarkup(ROW))
    await bot.edit_message_text("a", HOME, sent.message_id)
    (shown,) = fake.screen()
    assert shown.buttons == ()
    assert shown.edits_n == 1
    await fake.delete(shown.id)
    with pytest.raises(BadRequest, match="to edit not found"):
        await bot.edit_message_text("b", HOME, sent.message_id)
    with pytest.raises(BadRequest, match="to be replied not found"):
        await bot.send_message(HOME, "b", reply_parameters=telegram.ReplyParameters(sent.message_id))


async def test_a_button_that_is_too_long_is_refused(bot):
    rows = [[telegram.InlineKeyboardButton("x", callback_data="ü" * 33)]]
    with pytest.raises(BadRequest, match="utton_data_invalid"):
        await bot.send_message(HOME, "x", reply_markup=telegram.InlineKeyboardMarkup(rows))


async def test_a_press_is_answered_or_too_late(fake, bot):
    await bot.send_message(HOME, "a", reply_markup=telegram.InlineKeyboardMarkup(ROW))
    (shown,) = fake.screen()
    pressing = asyncio.ensure_future(fake.press(fake.second, shown.id, "Approve"))
    (update,) = await bot.get_updates(timeout=5)
    assert update.callback_query.data == "x" * 64
    assert update.callback_query.from_user.id == 1002
    await update.callback_query.answer("thanks")
    pressed = await pressing
    assert pressed.acknowledged
    assert pressed.note == "thanks"
    fake.expire()
    with pytest.raises(BadRequest, match="too old"):
        await update.callback_query.answer("thanks")


async def test_a_form_is_a_reply_to_a_question(fake, bot):
    rows = [[telegram.InlineKeyboardButton("Deny", callback_data="d")]]
    await bot.send_message(FORUM, "a", message_thread_id=7, reply_markup=telegram.InlineKeyboardMarkup(rows))
    (shown,) = fake.screen(fake.topic)
    pressing = asyncio.ensure_future(fake.press(fake.owner, shown.id, "Deny"))
    (update,) = await bot.get_updates(timeout=5)
    await update.callback_query.answer()
    asked = telegram.ForceReply(selective=True, input_field_placeholder="why not?")
    await bot.send_message(FORUM, "Why not?", message_thread_id=7, reply_markup=asked)
    pressed = await pressing
    assert pressed.inputs == ("why not?",)
    await fake.submit(fake.owner, pressed.form, ("too early",))
    (update,) = await bot.get_updates(offset=update.update_id + 1, timeout=5)
    assert update.message.text == "too early"
    assert update.message.is_topic_message
    assert update.message.message_thread_id == 7
    assert update.message.reply_to_message.text == "Why not?"


async def test_files_go_both_ways(fake, bot):
    await fake.say(fake.owner, "look", fake.home, files=(("../a.pdf", "application/pdf", b"%PDF"),))
    (update,) = await bot.get_updates()
    assert update.message.caption == "look"
    assert update.message.document.file_name == "../a.pdf"
    file = await update.message.document.get_file()
    assert bytes(await file.download_as_bytearray()) == b"%PDF"
    await bot.send_document(HOME, b"# whole", filename="answer.md", caption="<b>x</b>", parse_mode="HTML")
    (shown,) = fake.screen()
    assert shown.files == (("answer.md", b"# whole"),)
    with pytest.raises(BadRequest, match="caption is too long"):
        await bot.send_document(HOME, b"x", caption="x" * 1025)
    await fake.say(fake.owner, "", fake.home, files=(("big", "application/zip", b"0" * 20_000_001),))
    big = (await bot.get_updates(offset=update.update_id + 1))[0]
    with pytest.raises(BadRequest, match="too big"):
        await big.message.document.get_file()


async def test_who_is_who_and_who_is_out(fake, bot):
    assert (await bot.get_me()).username == "signoff_test_bot"
    assert (await bot.get_chat_member(HOME, 1001)).status == "administrator"
    assert (await bot.get_chat_member(HOME, 1002)).status == "member"
    assert (await bot.get_chat(FORUM)).is_forum
    assert (await bot.get_webhook_info()).pending_update_count == 0
    assert await bot.set_my_commands([("ask", "Ask the team")])
    assert await bot.send_chat_action(HOME, "typing")
    await fake.remove_bot(fake.home)
    (update,) = await bot.get_updates()
    assert update.my_chat_member.new_chat_member.status == "kicked"
    with pytest.raises(Forbidden):
        await bot.send_message(HOME, "x")
    with pytest.raises(Forbidden):
        await bot.send_message(1003, "we have never met")
    with pytest.raises(BadRequest, match="hat not found"):
        await bot.send_message(5, "x")
    with pytest.raises(BadRequest, match="thread not found"):
        await bot.send_message(FORUM, "x", message_thread_id=8)


async def test_a_wrong_token_is_refused(fake):
    root = fake.environ()["SIGNOFF_TELEGRAM_API_URL"]
    with pytest.raises(InvalidToken):
        async with telegram.Bot("1:wrong", base_url=f"{root}/bot"):
            pass


async def test_faults(fake, bot):
    fake.faults.plan(Fault(method="sendMessage", how="status", status=429, retry_after=0.3))
    with pytest.raises(RetryAfter):
        await bot.send_message(HOME, "a")
    with pytest.raises(RetryAfter):
        await bot.send_message(HOME, "a")
    assert len(fake.journal.lines("fault", "impatient")) == 1
    await bot.send_message(1001, "another chat is not meant")
    fake.faults.plan(Fault(method="sendMessage", how="cut", applied=True))
    with pytest.raises(NetworkError):
        await bot.send_message(1001, "who knows")
    fake.faults.plan(Fault(method="sendMessage", how="garbage"))
    with pytest.raises(TelegramError, match="Invalid server response"):
        await bot.send_message(1001, "what")
    assert [shown.text for shown in fake.screen()] == ["another chat is not meant", "who knows"]


async def test_a_second_delivery_and_another_order(fake, bot):
    await fake.say(fake.owner, "one", fake.home)
    (first,) = await bot.get_updates()
    await bot.get_updates(offset=first.update_id + 1)
    await fake.redeliver(2)
    again = await bot.get_updates(offset=first.update_id + 1)
    assert [u.update_id for u in again] == [first.update_id] * 2
    await fake.swapped(lambda: fake.say(fake.owner, "two", fake.home), lambda: fake.say(fake.owner, "three", fake.home))
    assert [u.message.text for u in await bot.get_updates()] == ["three", "two"]


async def test_odd_things_are_delivered(fake, bot):
    await fake.odd()
    assert fake.unacknowledged() == 5


async def test_a_private_group_hides_what_is_not_meant_for_the_bot(fake, bot):
    fake.api.privacy = True
    await fake.say(fake.owner, "among us", fake.home)
    await fake.say(fake.owner, "for you", fake.home, mention=True)
    await fake.say(fake.other_bot, "beep", fake.direct(fake.owner))
    assert [u.message.text for u in await bot.get_updates()] == ["@signoff_test_bot for you"]


async def test_a_webhook_is_called_until_it_takes_the_update(fake, bot):
    called = []

    async def take(request):
        called.append((await request.json(), request.headers["X-Telegram-Bot-Api-Secret-Token"]))
        return web.Response(status=200 if len(called) > 1 else 500)

    app = web.Application()
    app.router.add_post("/hook", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    await bot.set_webhook(f"http://127.0.0.1:{runner.addresses[0][1]}/hook", secret_token="s3cret")
    with pytest.raises(Conflict):
        await bot.get_updates()
    await fake.say(fake.owner, "pushed", Place(channel="1001", private=True))
    for _ in range(500):
        await asyncio.sleep(0.01 if fake.unacknowledged() else 0)
    assert [(body["message"]["text"], secret) for body, secret in called] == [("pushed", "s3cret")] * 2
    await runner.cleanup()


@pytest.mark.parametrize("how", ["close", "invalid", "conflict"])
async def test_a_broken_poll_and_a_new_one(fake, bot, how):
    await fake.disconnect(how)
    await fake.say(fake.owner, "meanwhile", fake.home)
    with pytest.raises((NetworkError, Conflict)):
        await bot.get_updates(timeout=1)
    await fake.reconnectable()
    assert [u.message.text for u in await bot.get_updates()] == ["meanwhile"]
