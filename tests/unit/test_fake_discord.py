"""The fake Discord earns its trust here: discord.py itself talks to it."""

from __future__ import annotations

import asyncio
import importlib
import io
from collections.abc import AsyncIterator, Awaitable, Callable
from types import ModuleType
from typing import Any

import aiohttp
import pytest
import yarl

from tests.fakes.discord import DiscordService
from tests.fakes.discord.reading import plain
from tests.fakes.discord.service import TOKEN
from tests.fakes.service import Fault, Place

discord: ModuleType = importlib.import_module("discord")
WITHIN_S = 5.0


@pytest.fixture
async def service() -> AsyncIterator[DiscordService]:
    some = DiscordService()
    await some.start()
    yield some
    await some.stop()


class Heard:
    """What a client was told, in order."""

    def __init__(self) -> None:
        self.events: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()

    async def next(self, kind: str) -> Any:
        async with asyncio.timeout(WITHIN_S):
            while True:
                found, what = await self.events.get()
                if found == kind:
                    return what


@pytest.fixture
async def client(service: DiscordService, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Any]:
    """A connected client; `client.heard` is what it was told."""
    environ = service.environ()
    monkeypatch.setattr(discord.http.Route, "BASE", environ["SIGNOFF_DISCORD_API_URL"])
    gateway = yarl.URL(environ["SIGNOFF_DISCORD_GATEWAY_URL"])
    monkeypatch.setattr(discord.gateway.DiscordWebSocket, "DEFAULT_GATEWAY", gateway)
    intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
    some = discord.Client(intents=intents, guild_ready_timeout=0.05)
    some.heard = Heard()
    some.before_identify_hook = _at_once
    for kind in ("ready", "resumed", "message", "raw_message_edit", "thread_create", "interaction", "guild_join"):
        some.event(_listener(kind, some.heard))
    running = asyncio.create_task(some.start(environ["DISCORD_BOT_TOKEN"]))
    await some.heard.next("ready")
    yield some
    await some.close()
    await asyncio.wait_for(running, WITHIN_S)


async def _at_once(*_: Any, **__: Any) -> None:
    """The library waits five seconds before it identifies a second time."""


def _listener(kind: str, heard: Heard) -> Callable[..., Awaitable[None]]:
    async def listen(*about: Any) -> None:
        heard.events.put_nowait((kind, about[0] if about else None))

    listen.__name__ = f"on_{kind}"
    return listen


async def test_it_connects_compressed_and_hears_people_and_itself(service: DiscordService, client: Any) -> None:
    await service.connected()
    assert [guild.name for guild in client.guilds] == ["Home", "Away"]
    assert service.journal.lines("request", "gateway.connect")[0].detail["query"]["compress"] == "zlib-stream"
    said = await service.say(service.owner, "how big is it?", service.home, mention=True)
    message = await client.heard.next("message")
    assert (str(message.id), message.guild.name, message.author.global_name) == (said, "Home", "Uma Owner")
    assert message.content == f"<@{service.bot.id}> how big is it?"
    assert client.user in message.mentions
    await message.reply("**Big**, `very`", mention_author=False)
    own = await client.heard.next("message")
    assert own.author == client.user
    assert own.reference.message_id == message.id
    assert service.screen(service.home)[0].text == "Big, very"
    assert service.journal.lines("applied", "messages.create")[0].detail["pinged"] is False


async def test_a_nonce_is_one_message_and_is_lost_in_history(service: DiscordService, client: Any) -> None:
    channel = client.get_channel(int(service.home.channel))
    first = await channel.send("once", nonce="post-1.0")
    again = await channel.send("once", nonce="post-1.0")
    assert (first.id, first.nonce, again.nonce) == (again.id, "post-1.0", "post-1.0")
    assert len(service.screen(service.home)) == 1
    assert len(service.journal.lines("applied", "messages.create")) == 1
    assert len(service.journal.lines("request", "messages.create")) == 2
    assert (await channel.fetch_message(first.id)).nonce is None
    other = await channel.send("once", nonce="post-1.1")
    assert other.id != first.id


async def test_history_pages_in_both_directions(service: DiscordService, client: Any) -> None:
    ids = [int(await service.say(service.owner, f"line {n}", service.home)) for n in range(250)]
    channel = client.get_channel(int(service.home.channel))
    after = [message.id async for message in channel.history(after=discord.Object(ids[9]), limit=None)]
    assert after == ids[10:]
    newest = [message.id async for message in channel.history(limit=120)]
    assert newest == ids[:-121:-1]
    pages = [line.detail for line in service.journal.lines("request", "messages.history")]
    assert len(pages) >= 5  # 240 messages are three pages, 120 are two
    with pytest.raises(discord.HTTPException) as refused:
        await client.http.logs_from(channel.id, 101)
    assert refused.value.code == 50035


async def test_a_cut_connection_resumes_and_hears_what_it_missed_once(service: DiscordService, client: Any) -> None:
    session = client.ws.session_id
    await service.say(service.owner, "before", service.home)
    assert (await client.heard.next("message")).content == "before"
    service.gateway.is_open = True
    service.gateway.cut()
    await service.say(service.owner, "meanwhile", service.home)
    await client.heard.next("resumed")
    assert client.ws.session_id == session
    assert client.heard.events.empty()  # it came before RESUMED, and was passed over
    replayed = [line for line in service.journal.lines("delivered", "MESSAGE_CREATE") if line.detail["replayed"]]
    assert len(replayed) == 1
    service.gateway.reconnect()
    await client.heard.next("resumed")


async def test_an_invalid_session_begins_anew_and_the_gap_is_only_history(service: DiscordService, client: Any) -> None:
    session = client.ws.session_id
    service.gateway.invalidate()
    missed = await service.say(service.owner, "in the gap", service.home)
    await client.heard.next("ready")
    assert client.ws.session_id != session
    assert not service.journal.lines("delivered", "MESSAGE_CREATE")
    channel = client.get_channel(int(service.home.channel))
    assert [str(message.id) async for message in channel.history()] == [missed]


async def test_a_frozen_connection_says_nothing_and_a_new_one_works(service: DiscordService, client: Any) -> None:
    await service.disconnect("silent")
    await service.say(service.owner, "into the void", service.home)
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(service.gateway.url)
        await service.reconnectable()
        async with session.ws_connect(service.gateway.url + "?v=10&encoding=json") as socket:
            assert (await socket.receive_json())["op"] == 10
            await socket.send_json({"op": 2, "d": {"token": TOKEN, "intents": 1, "properties": {}}})
            assert (await socket.receive_json())["t"] == "READY"
    assert not service.journal.lines("delivered", "MESSAGE_CREATE")
    service.gateway.cut()
    await client.heard.next("resumed")


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ({"op": 2, "d": {"token": "wrong", "intents": 1}}, 4004),
        ({"op": 2, "d": {"token": TOKEN, "intents": 1 << 1}}, 4014),
        ({"op": 2, "d": {"token": TOKEN}}, 4013),
        ({"op": 6, "d": {"token": "wrong", "session_id": "", "seq": 1}}, 4004),
        ({"op": 3, "d": {}}, 4003),
        ({"op": 99, "d": {}}, 4001),
    ],
)
async def test_close_codes(service: DiscordService, frame: dict[str, Any], code: int) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(service.gateway.url) as socket:
        assert (await socket.receive_json())["op"] == 10
        await socket.send_json({"op": 1, "d": None})
        assert (await socket.receive_json())["op"] == 11
        await socket.send_json(frame)
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == code


async def test_a_wrong_token_is_refused_by_rest_too(service: DiscordService, client: Any) -> None:
    url = service.environ()["SIGNOFF_DISCORD_API_URL"] + "/users/@me"
    wrong = {"Authorization": "Bot wrong"}
    async with aiohttp.ClientSession(headers=wrong) as session, session.get(url) as reply:
        assert reply.status == 401
        assert reply.headers["Content-Type"] == "application/json"


async def test_a_thread_from_a_message(service: DiscordService, client: Any) -> None:
    said = await service.say(service.owner, "let us talk", service.home, mention=True)
    message = await client.heard.next("message")
    thread = await message.create_thread(name="let us talk")
    assert str(thread.id) == said
    with pytest.raises(discord.HTTPException) as refused:
        await message.create_thread(name="again")
    assert refused.value.code == 160004
    await thread.send("here")
    place = Place(channel=service.home.channel, thread=said)
    assert [shown.text for shown in service.screen(place)] == ["here"]
    assert service.screen(service.home)[0].place == place
    await service.say(service.second, "in the thread", place)
    heard = await client.heard.next("message")
    while heard.author.bot or heard.type is not discord.MessageType.default:
        heard = await client.heard.next("message")
    assert (heard.channel.id, heard.content) == (thread.id, "in the thread")
    assert [active.id for active in await client.guilds[0].active_threads()] == [thread.id]
    await service.erase(place)
    with pytest.raises(discord.NotFound) as gone:
        await thread.send("anybody?")
    assert gone.value.code == 10003


async def test_private_chats_edits_and_files(service: DiscordService, client: Any) -> None:
    direct = service.direct(service.owner)
    said = await service.say(
        service.owner, "see https://example.org", direct, files=(("../a b.txt", "text/plain", b"hello"),)
    )
    message = await client.heard.next("message")
    assert message.guild is None
    assert message.attachments[0].filename == "../a b.txt"
    assert await message.attachments[0].read() == b"hello"
    unfolded = await client.heard.next("raw_message_edit")
    assert unfolded.data["edited_timestamp"] is None
    await service.edit(service.owner, said, "see that")
    edited = await client.heard.next("raw_message_edit")
    assert (edited.data["content"], edited.data["edited_timestamp"] is None) == ("see that", False)
    user = await client.fetch_user(int(service.owner.id))
    sent = await user.send("for you", file=discord.File(io.BytesIO(b"# it"), "it.md"))
    shown = service.screen(direct)[0]
    assert (shown.files, shown.place.private) == ((("it.md", b"# it"),), True)
    await sent.edit(content="for you, again")
    assert (service.screen(direct)[0].text, service.screen(direct)[0].edits_n) == ("for you, again", 1)
    await service.delete(str(sent.id))
    with pytest.raises(discord.NotFound) as gone:
        await sent.edit(content="still there?")
    assert gone.value.code == 10008


def _card(control: str) -> Any:
    view = discord.ui.LayoutView(timeout=None)
    row = discord.ui.ActionRow(
        discord.ui.Button(label="Approve", custom_id=f"{control}.a", style=discord.ButtonStyle.success),
        discord.ui.Button(label="Deny", custom_id=f"{control}.d"),
    )
    view.add_item(
        discord.ui.Container(discord.ui.TextDisplay("## Deploy <t:0:f>\n-# by *Mon*"), row, accent_colour=255)
    )
    return view


async def test_a_press_is_answered_with_a_modal_and_the_form_with_a_note(service: DiscordService, client: Any) -> None:
    channel = client.get_channel(int(service.home.channel))
    sent = await channel.send(view=_card("c1"))
    shown = service.screen(service.home)[0]
    assert (shown.text, shown.buttons) == ("Deploy 1970-01-01 00:00\nby Mon", ("Approve", "Deny"))
    pressing = asyncio.create_task(service.press(service.second, str(sent.id), "Deny"))
    press = await client.heard.next("interaction")
    assert (press.data["custom_id"], press.message.id, str(press.user.id)) == ("c1.d", sent.id, service.second.id)
    assert [role.name for role in press.user.roles] == ["@everyone", "Ops"]
    modal = discord.ui.Modal(title="Why?", custom_id="c1.d")
    modal.add_item(discord.ui.Label(text="Reason", component=discord.ui.TextInput(custom_id="reason", max_length=9)))
    await press.response.send_modal(modal)
    pressed = await pressing
    assert (pressed.acknowledged, pressed.inputs) == (True, ("Reason",))
    with pytest.raises(AssertionError, match="too long"):
        await service.submit(service.second, pressed.form, ("much too long",))
    submitting = asyncio.create_task(service.submit(service.second, pressed.form, ("not today",)))
    form = await client.heard.next("interaction")
    assert form.data["custom_id"] == "c1.d"
    assert form.data["components"][0]["component"]["value"] == "not today"
    await form.response.send_message("Noted.", ephemeral=True)
    assert (await submitting).note == "Noted."
    assert [(some.text, some.only_for) for some in service.screen()[1:]] == [("Noted.", service.second.id)]
    await form.followup.send("And thanks.", ephemeral=True)
    assert service.screen()[2].only_for == service.second.id
    with pytest.raises(discord.HTTPException) as twice:
        await client.http.request(
            discord.http.Route("POST", f"/interactions/{form.id}/{form.token}/callback"), json={"type": 6}
        )
    assert twice.value.code == 40060


async def test_a_press_after_the_deadline_is_unknown(service: DiscordService, client: Any) -> None:
    channel = client.get_channel(int(service.home.channel))
    sent = await channel.send(view=_card("c1"))
    service.rest.interactions.deadline_s = 0.05
    pressed = await service.press(service.owner, str(sent.id), "Approve")
    assert not pressed.acknowledged
    press = await client.heard.next("interaction")
    with pytest.raises(discord.NotFound) as late:
        await press.response.defer()
    assert late.value.code == 10062


async def test_a_file_in_a_component_and_a_typed_payload(service: DiscordService, client: Any) -> None:
    channel = client.get_channel(int(service.home.channel))
    view = discord.ui.LayoutView(timeout=None)
    view.add_item(discord.ui.File("attachment://a.md"))
    sent = await channel.send(view=view, file=discord.File(io.BytesIO(b"one"), "a.md"))
    assert service.screen()[0].files == (("a.md", b"one"),)
    assert sent.attachments == []
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("payload_json", '{"content": "two"}', content_type="application/json")
    form.add_field("files[0]", b"two", filename="b.txt", content_type="text/plain")
    url = f"{service.environ()['SIGNOFF_DISCORD_API_URL']}/channels/{channel.id}/messages"
    signed = {"Authorization": f"Bot {TOKEN}"}
    async with aiohttp.ClientSession(headers=signed) as session, session.post(url, data=form) as reply:
        assert reply.status == 200
    assert (service.screen()[1].text, service.screen()[1].files) == ("two", (("b.txt", b"two"),))
    with pytest.raises(discord.HTTPException) as refused:
        await channel.send(view=view)
    assert refused.value.code == 50035
    assert service.journal.lines("broken") == ()


async def test_what_only_some_tests_need(service: DiscordService, client: Any) -> None:
    def says(text: str) -> Callable[[], Awaitable[str]]:
        return lambda: service.say(service.owner, text, service.home)

    await service.swapped(says("first"), says("second"))
    assert [(await client.heard.next("message")).content for _ in range(2)] == ["second", "first"]
    sent = await client.get_channel(int(service.home.channel)).send(view=_card("c1"))
    service.expire()
    assert not (await service.press(service.owner, str(sent.id), "Approve")).acknowledged
    press = await client.heard.next("interaction")
    with pytest.raises(discord.NotFound):
        await press.response.defer()
    service.expire(expired=False)
    pressing = asyncio.create_task(service.press(service.owner, str(sent.id), "Approve"))
    press = await client.heard.next("interaction")
    assert service.unacknowledged() == 1
    await press.response.defer()
    assert (await pressing).acknowledged
    assert service.unacknowledged() == 0


async def test_odd_things_are_told(service: DiscordService) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(service.gateway.url) as socket:
        await socket.receive_json()
        await socket.send_json({"op": 2, "d": {"token": TOKEN, "intents": 1 << 9, "properties": {}}})
        assert (await socket.receive_json())["t"] == "READY"
        await service.odd()
        told = [(await socket.receive_json())["t"] for _ in range(4)]
        assert told == ["SOMETHING_NEW", "MESSAGE_CREATE", "MESSAGE_UPDATE", "INTERACTION_CREATE"]


async def test_commands_are_registered_and_ordered(service: DiscordService, client: Any) -> None:
    option = {"name": "text", "description": "What", "type": 3, "required": False}
    command = {"name": "ask", "description": "Ask the team", "options": [option]}
    await client.http.bulk_upsert_global_commands(client.application_id, [command])
    ordering = asyncio.create_task(service.order(service.owner, "ask", "deploy it", service.home))
    order = await client.heard.next("interaction")
    assert (order.data["name"], order.data["options"][0]["value"]) == ("ask", "deploy it")
    await order.response.defer(ephemeral=True)
    assert (await ordering).acknowledged
    assert service.screen() == ()  # a promise is not a message
    await order.followup.send("done")
    assert [(some.text, some.only_for) for some in service.screen()] == [("done", service.owner.id)]
    await order.edit_original_response(content="done, really")
    assert service.screen()[0].text == "done, really"
    await service.redeliver()
    assert (await client.heard.next("interaction")).id == order.id
    with pytest.raises(discord.HTTPException) as refused:
        await client.http.bulk_upsert_global_commands(client.application_id, [command, command])
    assert refused.value.code == 50035


async def test_the_bot_is_thrown_out(service: DiscordService, client: Any) -> None:
    channel = client.get_channel(int(service.home.channel))
    await service.remove_bot(service.home)
    with pytest.raises(discord.Forbidden) as denied:
        await channel.send("hello?")
    assert denied.value.code == 50001
    await service.remove_bot(service.direct(service.owner))
    user = await client.fetch_user(int(service.owner.id))
    with pytest.raises(discord.Forbidden) as blocked:
        await user.send("hello?")
    assert blocked.value.code == 50007
    await service.kick()
    with pytest.raises(discord.Forbidden):
        await client.http.get_guild(client.guilds[0].id)
    await service.invite()
    assert (await client.heard.next("guild_join")).name == "Home"


async def test_planned_faults(service: DiscordService, client: Any) -> None:
    channel = client.get_channel(int(service.home.channel))
    service.faults.plan(Fault(method="messages.create", applied=True, how="cut"))
    with pytest.raises(aiohttp.ClientError):
        await channel.send("cut", nonce="n1")
    assert len(service.screen()) == 1
    await channel.send("cut", nonce="n1")
    assert len(service.screen()) == 1
    service.faults.plan(Fault(method="messages.*", how="garbage"))
    with pytest.raises(ValueError, match="Unterminated"):
        await channel.send("garbled")
    assert len(service.screen()) == 1
    service.faults.plan(Fault(method="messages.create", how="status", status=429, retry_after=0.1))
    await channel.send("slowly")
    assert service.journal.lines("fault", "messages.create")[-1].detail["status"] == 429
    assert len(service.screen()) == 2
    service.faults.plan(Fault(method="messages.create", how="status", status=503))
    with pytest.raises(discord.DiscordServerError):
        await channel.send("down")
    killed = []

    async def kill() -> None:
        killed.append(len(service.screen()))

    service.faults.plan(Fault(method="messages.create", applied=True, hook=kill))
    await channel.send("after the write")
    assert killed == [3]


async def test_too_early_a_retry_is_refused_again(service: DiscordService, client: Any) -> None:
    url = f"{service.environ()['SIGNOFF_DISCORD_API_URL']}/channels/{service.home.channel}/messages"
    service.faults.plan(Fault(method="messages.create", how="status", status=429, retry_after=30, everywhere=True))
    async with aiohttp.ClientSession(headers={"Authorization": f"Bot {TOKEN}"}) as session:
        for _ in range(2):
            async with session.post(url, json={"content": "now"}) as reply:
                told = await reply.json()
                assert (reply.status, told["global"], reply.headers["X-RateLimit-Global"]) == (429, True, "true")
    assert [line.detail["how"] for line in service.journal.lines("fault")] == ["status", "early"]
    assert service.screen() == ()


async def test_stop_and_start_keep_the_port_and_the_history(service: DiscordService, client: Any) -> None:
    await service.say(service.owner, "before", service.home)
    port = service.port
    await service.stop()
    await service.start()
    assert service.port == port
    await client.heard.next("resumed")
    await client.get_channel(int(service.home.channel)).send("back")
    assert [some.text for some in service.screen()] == ["back"]


def test_an_escaped_mark_is_read_as_itself() -> None:
    assert plain(r"\_a\_ _b_ \*c\* \d", lambda kind, some: some) == r"_a_ b *c* \d"
