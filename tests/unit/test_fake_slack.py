"""The fake Slack, driven by Slack's own libraries: what they believe of it, a test may believe."""

import asyncio
import contextlib

import aiohttp
import pytest
from aiohttp import web
from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler
from slack_bolt.app.async_app import AsyncApp
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient
from slack_sdk.webhook.async_client import AsyncWebhookClient

from tests.fakes.service import Fault, Place
from tests.fakes.slack import SlackService
from tests.fakes.slack import blocks as kit

BOT = "U0SIGNOFF"
HOME = "C0HOME"


@pytest.fixture
async def slack():
    service = SlackService()
    service.deliveries.gaps = (0.0, 0.02, 0.02)
    await service.start()
    yield service
    await service.stop()


@pytest.fixture
def api(slack):
    given = slack.environ()
    return AsyncWebClient(token=given["SLACK_BOT_TOKEN"], base_url=given["SIGNOFF_SLACK_API_URL"], retry_handlers=[])


class Listener:
    """Slack's own socket client. `acks`: whether it acknowledges what it gets; `got`: the requests, in order."""

    def __init__(self, slack, api, *, acks=True):
        self.client = SocketModeClient(
            app_token=slack.environ().get("SLACK_APP_TOKEN", ""), web_client=api, ping_interval=0.1
        )
        self.client.socket_mode_request_listeners.append(self._take)
        self.acks = acks
        self.got = []

    async def _take(self, client, request):
        self.got.append(request)
        if self.acks:
            await client.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))

    @property
    def events(self):
        return [request.payload["event"] for request in self.got if request.type == "events_api"]

    async def until(self, n):
        await settled(lambda: len(self.got) >= n)
        return self.got


@contextlib.asynccontextmanager
async def listening(slack, api, *, acks=True):
    listener = Listener(slack, api, acks=acks)
    await listener.client.connect()
    await slack.connected()
    try:
        yield listener
    finally:
        await listener.client.close()
        await asyncio.sleep(0)


@contextlib.asynccontextmanager
async def bolt(slack, api):
    """An AsyncApp that waits for listeners, connected."""
    app = AsyncApp(client=api, token=api.token, process_before_response=True)
    handler = AsyncSocketModeHandler(app, slack.environ()["SLACK_APP_TOKEN"], ping_interval=0.5)

    async def go():
        await handler.connect_async()
        await slack.connected()

    try:
        yield app, go
    finally:
        await handler.close_async()
        await asyncio.sleep(0)


async def settled(condition):
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110  # what is awaited has no Event of its own
            await asyncio.sleep(0.005)


def section(text="hello"):
    return {"type": "section", "text": {"type": "mrkdwn", "text": text}}


def button(label="Approve", control="n1.a"):
    return {"type": "button", "text": {"type": "plain_text", "text": label}, "action_id": control, "value": control}


def actions(*labels):
    return {"type": "actions", "elements": [button(label, f"n{i}") for i, label in enumerate(labels)]}


def modal(**more):
    reason = {
        "type": "input",
        "block_id": "reason",
        "label": {"type": "plain_text", "text": "Reason"},
        "element": {"type": "plain_text_input", "action_id": "reason"},
    }
    common = {"type": "modal", "callback_id": "deny", "private_metadata": "n1.d", "blocks": [reason]}
    return {
        **common,
        "title": {"type": "plain_text", "text": "Deny"},
        "submit": {"type": "plain_text", "text": "Send"},
        **more,
    }


def error(caught):
    return caught.value.response["error"]


# --- The Web API -----------------------------------------------------------------------------------------------------


async def test_it_says_who_the_bot_is_and_what_it_may(slack, api):
    answer = await api.auth_test()
    assert (answer["user_id"], answer["team_id"]) == (BOT, "T0FAKE")
    assert "chat:write" in answer.headers["x-oauth-scopes"].split(",")


@pytest.mark.parametrize("token", ["xoxb-wrong", "xapp-1-T0FAKE-fake"])
async def test_it_refuses_other_tokens(slack, api, token):
    api.token = token
    with pytest.raises(SlackApiError) as caught:
        await api.auth_test()
    assert error(caught) in {"invalid_auth", "not_allowed_token_type"}


async def test_metadata_comes_back_from_history_only_if_asked_for(slack, api):
    metadata = {"event_type": "signoff_post", "event_payload": {"post": "p1", "part": 0}}
    sent = await api.chat_postMessage(channel=HOME, text="hello", metadata=metadata)
    without = await api.conversations_history(channel=HOME)
    with_it = await api.conversations_history(channel=HOME, include_all_metadata=True)
    assert "metadata" not in without["messages"][0]
    assert with_it["messages"][0]["metadata"] == metadata
    assert with_it["messages"][0]["ts"] == sent["ts"]
    await api.chat_update(channel=HOME, ts=sent["ts"], text="changed")
    kept = await api.conversations_history(channel=HOME, include_all_metadata=True)
    assert (kept["messages"][0]["text"], kept["messages"][0]["metadata"]) == ("changed", metadata)


async def test_history_comes_in_pages_newest_first_and_new_messages_shift_nothing(slack, api):
    slack.api.page_max = 2
    said = [await slack.say(slack.owner, str(i), slack.home) for i in range(5)]
    found, cursor = [], None
    while cursor != "":
        page = await api.conversations_history(channel=HOME, cursor=cursor, limit=200)
        found += [m["text"] for m in page["messages"]]
        cursor = page.get("response_metadata", {}).get("next_cursor", "")
        assert page["has_more"] == bool(cursor)
        await slack.say(slack.owner, "meanwhile", slack.home)
    assert found == ["4", "3", "2", "1", "0"]
    second = said[1].partition(":")[2]
    after = await api.conversations_history(channel=HOME, oldest=second, latest=said[3].partition(":")[2])
    assert [m["text"] for m in after["messages"]] == ["2"]
    inclusive = await api.conversations_history(channel=HOME, oldest=second, latest=second, inclusive=True)
    assert [m["text"] for m in inclusive["messages"]] == ["1"]


async def test_replies_are_in_their_thread_oldest_first_and_not_in_history(slack, api):
    root = await slack.say(slack.owner, "root", slack.home)
    ts = root.partition(":")[2]
    await slack.say(slack.second, "one", slack.home, reply_to=root)
    await slack.say(slack.second, "two", Place(channel=HOME, thread=ts))
    slack.api.page_max = 2
    first = await api.conversations_replies(channel=HOME, ts=ts)
    rest = await api.conversations_replies(channel=HOME, ts=ts, cursor=first["response_metadata"]["next_cursor"])
    assert [m["text"] for m in first["messages"] + rest["messages"]] == ["root", "one", "two"]
    top = await api.conversations_history(channel=HOME)
    assert [(m["text"], m["reply_count"]) for m in top["messages"]] == [("root", 2)]
    with pytest.raises(SlackApiError) as caught:
        await api.conversations_replies(channel=HOME, ts="1.000000")
    assert error(caught) == "thread_not_found"


async def test_places_people_and_groups(slack, api):
    slack.direct(slack.owner)
    mine = await api.users_conversations(types="public_channel,private_channel,im", limit=2)
    rest = await api.users_conversations(
        types="public_channel,private_channel,im", cursor=mine["response_metadata"]["next_cursor"]
    )
    assert [c["id"] for c in mine["channels"] + rest["channels"]] == [HOME, "D0OWNER", "G0SECRET"]
    assert (await api.conversations_open(users="U0ANA"))["channel"]["id"] == "D0ANA"
    assert (await api.conversations_info(channel=HOME))["channel"]["is_member"]
    assert (await api.users_info(user="U0OWNER"))["user"]["is_admin"]
    assert (await api.usergroups_list())["usergroups"][0]["id"] == "S0INFRA"
    assert (await api.usergroups_users_list(usergroup="S0INFRA"))["users"] == ["U0ANA"]
    slack.set_roles(slack.second, ())
    assert (await api.usergroups_users_list(usergroup="S0INFRA"))["users"] == []


async def test_who_is_put_out_of_a_channel_cannot_write_there(slack, api):
    await slack.remove_bot(slack.home)
    with pytest.raises(SlackApiError) as public:
        await api.chat_postMessage(channel=HOME, text="hello")
    await slack.remove_bot(slack.secret_home)
    with pytest.raises(SlackApiError) as private:
        await api.chat_postMessage(channel="G0SECRET", text="hello")
    assert (error(public), error(private)) == ("not_in_channel", "channel_not_found")


async def test_a_deleted_message_cannot_be_edited_and_its_thread_is_gone(slack, api):
    sent = await api.chat_postMessage(channel=HOME, text="hello")
    await slack.delete(f"{HOME}:{sent['ts']}")
    with pytest.raises(SlackApiError) as edited:
        await api.chat_update(channel=HOME, ts=sent["ts"], text="again")
    with pytest.raises(SlackApiError) as replied:
        await api.chat_postMessage(channel=HOME, thread_ts=sent["ts"], text="reply")
    assert (error(edited), error(replied)) == ("message_not_found", "thread_not_found")


BAD = {
    "too many blocks": [section()] * 51,
    "a long section": [section("x" * 3001)],
    "a long header": [{"type": "header", "text": {"type": "plain_text", "text": "x" * 151}}],
    "a marked header": [{"type": "header", "text": {"type": "mrkdwn", "text": "x"}}],
    "a long button": [actions("x" * 76)],
    "a long value": [{"type": "actions", "elements": [button() | {"value": "x" * 2001}]}],
    "many buttons": [actions(*["x"] * 26)],
    "one id twice": [{"type": "actions", "elements": [button(), button()]}],
    "a long id": [{"type": "actions", "elements": [button(control="x" * 256)]}],
    "nothing": [section("")],
    "an unknown block": [{"type": "container"}],
    "an unknown field": [section() | {"colour": "red"}],
    "an unknown style": [{"type": "actions", "elements": [button() | {"style": "good"}]}],
    "a block id twice": [section() | {"block_id": "a"}, section() | {"block_id": "a"}],
}


@pytest.mark.parametrize("blocks", BAD.values(), ids=BAD.keys())
async def test_it_refuses_the_blocks_that_slack_refuses(slack, api, blocks):
    with pytest.raises(SlackApiError) as caught:
        await api.chat_postMessage(channel=HOME, text="x", blocks=blocks)
    assert error(caught) == "invalid_blocks"
    assert caught.value.response["response_metadata"]["messages"]
    assert slack.screen() == ()


async def test_it_takes_what_is_just_within_the_limits(slack, api):
    await api.chat_postMessage(channel=HOME, text="x", blocks=[section("x" * 3000), actions(*["x" * 75] * 25)])
    await api.chat_postMessage(channel=HOME, text="x", blocks=[section()] * 50)
    with pytest.raises(SlackApiError) as together:
        await api.chat_postMessage(channel=HOME, text="x", blocks=[section("x" * 3000)] * 5)
    with pytest.raises(SlackApiError) as text:
        await api.chat_postMessage(channel=HOME, text="x" * 40_001)
    assert (error(together), error(text)) == ("msg_blocks_too_long", "msg_too_long")


async def test_a_scope_that_is_missing_is_named(slack, api):
    slack.api.scopes = "commands"
    with pytest.raises(SlackApiError) as caught:
        await api.chat_postMessage(channel=HOME, text="hello")
    assert (error(caught), caught.value.response["needed"]) == ("missing_scope", "chat:write")


@pytest.mark.parametrize(
    ("text", "more", "pinged"),
    [
        ("<!channel> hello", {}, ("channel",)),
        ("<@U0ANA> hello", {}, ("U0ANA",)),
        ("&lt;!channel&gt; hello", {}, ()),
        ("@here hello", {"link_names": True}, ("here",)),
        ("@here hello", {}, ()),
        ("`<!channel>`", {}, ()),
    ],
)
async def test_whom_a_message_calls_is_in_the_journal(slack, api, text, more, pinged):
    await api.chat_postMessage(channel=HOME, text=text, **more)
    await api.chat_postMessage(channel=HOME, text="x", blocks=[section(text)], **more)
    for line in slack.journal.lines("applied", "chat.postMessage"):
        assert (line.detail["pinged"], line.detail["pings"]) == (bool(pinged), pinged)


async def test_plain_text_calls_nobody(slack, api):
    header = {"type": "header", "text": {"type": "plain_text", "text": "<!channel>"}}
    await api.chat_postMessage(channel=HOME, text="x", blocks=[header])
    assert slack.journal.lines("applied")[0].detail["pinged"] is False


def test_people_read_words_not_marks():
    text = "*bold* _it_ ~no~ <https://a.b|link> &lt;b&gt; <!date^1^{time}|14:02> <@U1>\n```\n*raw* &amp;\n```"
    assert kit.mrkdwn(text, {"U1": "ana"}) == "bold it no link <b> 14:02 @ana\n*raw* &"


async def test_the_screen_shows_text_names_buttons_and_edits(slack, api):
    sent = await api.chat_postMessage(
        channel=HOME, text="x", blocks=[section("*DevOps* asks"), actions("Approve", "Deny")], username="DevOps"
    )
    (shown,) = slack.screen(slack.home)
    assert (shown.text, shown.buttons, shown.author) == ("DevOps asks", ("Approve", "Deny"), "DevOps")
    assert sent["message"]["subtype"] == "bot_message"
    assert "user" not in sent["message"]
    await api.chat_update(channel=HOME, ts=sent["ts"], text="Approved")
    (shown,) = slack.screen(slack.home)
    assert (shown.text, shown.buttons, shown.edits_n) == ("Approved", (), 1)


async def test_an_ephemeral_message_is_for_one_and_not_in_history(slack, api):
    await api.chat_postEphemeral(channel=HOME, user="U0ANA", text="psst")
    (shown,) = slack.screen()
    assert (shown.only_for, shown.text) == ("U0ANA", "psst")
    assert (await api.conversations_history(channel=HOME))["messages"] == []


# --- Files -----------------------------------------------------------------------------------------------------------


async def test_a_file_goes_up_in_three_steps(slack, api):
    answer = await api.files_upload_v2(channel=HOME, filename="../a.md", content=b"# hi", initial_comment="whole")
    (shown,) = slack.screen()
    assert (shown.files, shown.text) == ((("../a.md", b"# hi"),), "whole")
    told = await api.files_info(file=answer["file"]["id"])
    assert told["file"]["shares"]["public"][HOME][0]["ts"] == shown.native["ts"]


async def test_a_file_comes_down_only_with_the_token(slack, api):
    async with listening(slack, api) as listener:
        await slack.say(slack.owner, "look", slack.home, files=(("a.txt", "text/plain", b"content"),))
        await listener.until(1)
    (event,) = listener.events
    assert event["subtype"] == "file_share"
    url = event["files"][0]["url_private"]
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers={"Authorization": f"Bearer {api.token}"}) as answer:
            assert await answer.read() == b"content"
        async with session.get(url) as answer:
            assert (answer.status, answer.content_type) == (200, "text/html")


# --- Events ----------------------------------------------------------------------------------------------------------


async def test_a_mention_is_two_events_of_one_message(slack, api):
    async with listening(slack, api) as listener:
        message = await slack.say(slack.owner, "how big & <old>?", slack.home, mention=True)
        first, second = (r.payload for r in await listener.until(2))
    assert (first["event"]["type"], second["event"]["type"]) == ("app_mention", "message")
    assert first["event"]["ts"] == second["event"]["ts"] == message.partition(":")[2]
    assert first["event_id"] != second["event_id"]
    assert second["event"]["text"] == f"<@{BOT}> how big &amp; &lt;old&gt;?"
    assert len(slack.journal.lines("acknowledged", "events_api")) == 2


async def test_the_bot_hears_itself_edits_and_deletions(slack, api):
    async with listening(slack, api) as listener:
        await api.chat_postMessage(channel=HOME, text="mine")
        message = await slack.say(slack.owner, "helo", slack.home)
        await slack.edit(slack.owner, message, "hello")
        await slack.delete(message)
        await slack.add_bot(slack.owner, Place(channel="C0NEW"))
        await slack.redeliver()
        await listener.until(6)
    own, _, edited, deleted, joined, again = listener.events
    assert own["bot_id"] == slack.api.bot_id
    assert (edited["subtype"], edited["message"]["text"], edited["hidden"]) == ("message_changed", "hello", True)
    assert (deleted["subtype"], deleted["deleted_ts"]) == ("message_deleted", message.partition(":")[2])
    assert (joined["type"], joined["user"], joined["channel"]) == ("member_joined_channel", BOT, "C0NEW")
    assert again == joined
    assert listener.got[4].payload["event_id"] == listener.got[5].payload["event_id"]


async def test_what_is_not_acknowledged_comes_again_three_times(slack, api):
    slack.deliveries.ack_seconds = 0.03
    async with listening(slack, api, acks=False) as listener:
        await slack.say(slack.owner, "hello", slack.home)
        got = await listener.until(4)
        await settled(lambda: slack.journal.lines("lost"))
    assert [(r.retry_attempt, r.retry_reason) for r in got] == [
        (0, ""),
        (1, "timeout"),
        (2, "timeout"),
        (3, "timeout"),
    ]
    assert len({r.payload["event_id"] for r in got}) == 1
    assert len({r.envelope_id for r in got}) == 4


async def test_what_was_on_a_socket_that_broke_comes_on_the_next(slack, api):
    async with listening(slack, api, acks=False) as listener:
        await slack.say(slack.owner, "hello", slack.home)
        await listener.until(1)
    await settled(lambda: not slack.deliveries.links)
    async with listening(slack, api) as listener:
        (again,) = await listener.until(1)
    assert (again.retry_attempt, again.retry_reason) == (1, "connection_failed")


async def test_what_finds_no_socket_is_left_to_history(slack, api):
    await slack.say(slack.owner, "anybody?", slack.home)
    await settled(lambda: slack.journal.lines("lost", "events_api"))
    async with listening(slack, api) as listener:
        await slack.say(slack.owner, "hello", slack.home)
        await listener.until(1)
    assert [e["text"] for e in listener.events] == ["hello"]
    page = await api.conversations_history(channel=HOME)
    assert [m["text"] for m in page["messages"]] == ["hello", "anybody?"]


async def test_several_sockets_share_what_there_is(slack, api):
    async with listening(slack, api) as one, listening(slack, api) as other:
        await settled(lambda: len(slack.deliveries.links) == 2)
        for i in range(4):
            await slack.say(slack.owner, str(i), slack.home)
        await settled(lambda: len(one.got) + len(other.got) == 4)
        assert len(one.got) == len(other.got) == 2


async def test_a_dropped_acknowledgement_brings_the_event_again(slack, api):
    slack.deliveries.ack_seconds = 0.05
    slack.faults.plan(Fault(method="ack.events_api", how="status"))
    async with listening(slack, api) as listener:
        await slack.say(slack.owner, "hello", slack.home)
        assert [r.retry_attempt for r in await listener.until(2)] == [0, 1]


# --- Connections -----------------------------------------------------------------------------------------------------


async def test_a_refresh_makes_the_client_connect_anew(slack, api):
    async with listening(slack, api) as listener:
        (old,) = slack.deliveries.links
        slack.refresh(warning=True)
        await settled(lambda: slack.deliveries.links and old not in slack.deliveries.links)
        await slack.connected()
        await slack.say(slack.owner, "hello", slack.home)
        await listener.until(1)


async def test_a_closed_connection_cannot_be_had_back_until_it_can(slack, api):
    async with listening(slack, api) as listener:
        await slack.disconnect("close")
        await settled(lambda: not slack.deliveries.links)
        with pytest.raises(SlackApiError):
            await api.apps_connections_open(app_token=slack.environ()["SLACK_APP_TOKEN"])
        await slack.reconnectable()
        await slack.connected()
        await slack.say(slack.owner, "hello", slack.home)
        await listener.until(1)


async def test_a_silent_socket_answers_no_ping_and_is_given_up(slack, api):
    async with listening(slack, api) as listener:
        (old,) = slack.deliveries.links
        await slack.disconnect("silent")
        await slack.say(slack.owner, "hello", slack.home)
        await asyncio.sleep(0.05)
        assert not listener.got
        await slack.reconnectable()
        await slack.connected()
        assert old not in slack.deliveries.links or len(slack.deliveries.links) == 2
        (again,) = await listener.until(1)
        assert again.payload["event"]["text"] == "hello"


async def test_a_second_instance_takes_its_share_and_what_it_leaves_comes_back(slack, api):
    slack.deliveries.ack_seconds = 0.05
    async with listening(slack, api) as listener:
        await slack.disconnect("conflict")
        for i in range(4):
            await slack.say(slack.owner, str(i), slack.home)
        await slack.reconnectable()
        await settled(lambda: {e["text"] for e in listener.events} == {"0", "1", "2", "3"})


async def test_a_ticket_is_good_once(slack, api):
    url = (await api.apps_connections_open(app_token=slack.environ()["SLACK_APP_TOKEN"]))["url"]
    async with aiohttp.ClientSession() as session:
        async with session.ws_connect(url) as ws:
            hello = await ws.receive_json()
            assert (hello["type"], hello["num_connections"]) == ("hello", 1)
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_it_comes_back_on_the_same_port_with_everything_it_knew(slack, api):
    before = slack.environ()
    await slack.say(slack.owner, "hello", slack.home)
    await slack.stop()
    await slack.start()
    assert slack.environ() == before
    assert len((await api.conversations_history(channel=HOME))["messages"]) == 1


# --- Commands, buttons, forms: with Bolt -----------------------------------------------------------------------------


async def test_bolt_hears_a_mention_and_answers_in_the_thread(slack, api):
    async with bolt(slack, api) as (app, go):

        @app.event("app_mention")
        async def mentioned(event, say):
            await say(text="here", thread_ts=event["ts"])

        @app.event("message")
        async def rest():
            pass

        await go()
        message = await slack.say(slack.owner, "hello", slack.home, mention=True)
        thread = message.partition(":")[2]
        shown = await slack.until(lambda s: s, place=Place(channel=HOME, thread=thread))
        assert shown[0].text == "here"
        await settled(lambda: len(slack.journal.lines("acknowledged", "events_api")) == 3)


async def test_bolt_takes_a_command(slack, api):
    async with bolt(slack, api) as (app, go):

        @app.command("/signoff")
        async def command(ack, command):
            await ack(f"heard {command['text']}")

        await go()
        pressed = await slack.order(slack.owner, "ask", "deploy it", slack.home)
        assert (pressed.acknowledged, pressed.note) == (True, "heard ask deploy it")
        assert [s.only_for for s in slack.screen()] == ["U0OWNER"]
        in_thread = await slack.order(slack.owner, "ask", "x", Place(channel=HOME, thread="1.0"))
        assert not in_thread.acknowledged


async def test_bolt_opens_a_form_and_gets_it_back(slack, api):
    async with bolt(slack, api) as (app, go):
        fields = []

        @app.action("n1")
        async def deny(ack, body, client):
            assert body["container"]["message_ts"] == body["message"]["ts"]
            await client.views_open(trigger_id=body["trigger_id"], view=modal())
            await ack()

        @app.view("deny")
        async def submitted(ack, view):
            fields.append((view["private_metadata"], view["state"]["values"]["reason"]["reason"]["value"]))
            if len(fields) == 1:
                await ack(response_action="errors", errors={"reason": "too short"})
            else:
                await ack()

        await go()
        await api.chat_postMessage(channel=HOME, text="x", blocks=[actions("Approve", "Deny")])
        (card,) = slack.screen()
        pressed = await slack.press(slack.owner, card.id, "Deny")
        assert (pressed.acknowledged, pressed.inputs) == (True, ("Reason",))
        empty = await slack.submit(slack.owner, pressed.form, ("",))
        assert (empty.acknowledged, fields) == (False, [])
        short = await slack.submit(slack.owner, pressed.form, ("no",))
        assert (short.note, short.form) == ("too short", pressed.form)
        assert await slack.submit(slack.owner, pressed.form, ("not today",)) == type(pressed)(acknowledged=True)
        assert fields == [("n1.d", "no"), ("n1.d", "not today")]


async def test_a_press_nobody_acknowledges_fails_and_never_comes_again(slack, api):
    slack.deliveries.ack_seconds = 0.05
    await api.chat_postMessage(channel=HOME, text="x", blocks=[actions("Approve")])
    async with listening(slack, api, acks=False) as listener:
        pressed = await slack.press(slack.owner, slack.screen()[0].id, "Approve")
        await slack.redeliver()
        await asyncio.sleep(0.1)
    assert (pressed.acknowledged, [r.type for r in listener.got].count("interactive")) == (False, 1)


async def test_an_edited_card_can_still_be_pressed_where_it_has_not_arrived(slack, api):
    sent = await api.chat_postMessage(channel=HOME, text="x", blocks=[actions("Approve")])
    await api.chat_update(channel=HOME, ts=sent["ts"], text="Approved", blocks=[])
    async with listening(slack, api) as listener:
        assert (await slack.press(slack.second, f"{HOME}:{sent['ts']}", "Approve")).acknowledged
    press = next(r for r in listener.got if r.type == "interactive")
    assert press.payload["actions"][0]["value"] == "n0"


async def test_a_trigger_opens_one_form_within_three_seconds(slack, api):
    trigger = slack.api.trigger()
    await api.views_open(trigger_id=trigger, view=modal())
    with pytest.raises(SlackApiError) as twice:
        await api.views_open(trigger_id=trigger, view=modal())
    late = slack.api.trigger()
    slack.api.triggers[late] -= 3.1
    with pytest.raises(SlackApiError) as expired:
        await api.views_open(trigger_id=late, view=modal())
    assert (error(twice), error(expired)) == ("exchanged_trigger_id", "expired_trigger_id")


@pytest.mark.parametrize(
    "wrong",
    [
        {"title": {"type": "plain_text", "text": "x" * 25}},
        {"private_metadata": "x" * 3001},
        {"blocks": [modal()["blocks"][0] | {"label": {"type": "plain_text", "text": "x" * 2001}}]},
        {"blocks": []},
    ],
)
async def test_it_refuses_the_forms_that_slack_refuses(slack, api, wrong):
    with pytest.raises(SlackApiError) as caught:
        await api.views_open(trigger_id=slack.api.trigger(), view=modal(**wrong))
    assert error(caught) == "invalid_arguments"


async def test_a_response_url_is_good_five_times(slack, api):
    async with listening(slack, api) as listener:
        await api.chat_postMessage(channel=HOME, text="x", blocks=[actions("Approve")])
        await slack.press(slack.owner, slack.screen()[0].id, "Approve")
    press = next(r for r in listener.got if r.type == "interactive")
    hook = AsyncWebhookClient(press.payload["response_url"])
    assert (await hook.send(text="psst")).status_code == 200
    assert (await hook.send(text="done", replace_original=True)).status_code == 200
    assert [(s.text, s.only_for) for s in slack.screen()] == [("done", ""), ("psst", "U0OWNER")]
    answers = [(await hook.send(text="more")).status_code for _ in range(4)]
    assert answers == [200, 200, 200, 404]


# --- Faults ----------------------------------------------------------------------------------------------------------


async def test_a_message_may_arrive_though_the_answer_does_not(slack, api):
    slack.faults.plan(Fault(method="chat.postMessage", applied=True, how="cut"))
    with pytest.raises(aiohttp.ClientError):
        await api.chat_postMessage(channel=HOME, text="hello")
    slack.faults.plan(Fault(method="chat.postMessage", how="cut"))
    with pytest.raises(aiohttp.ClientError):
        await api.chat_postMessage(channel=HOME, text="never")
    assert [s.text for s in slack.screen()] == ["hello"]


async def test_the_sdk_sends_twice_unless_it_is_told_not_to(slack, api):
    """Why the adapter brings its own retry handlers."""
    hasty = AsyncWebClient(token=api.token, base_url=api.base_url)
    slack.faults.plan(Fault(method="chat.postMessage", applied=True, how="cut"))
    await hasty.chat_postMessage(channel=HOME, text="hello")
    assert [s.text for s in slack.screen()] == ["hello", "hello"]


async def test_it_holds_whom_it_told_to_wait(slack, api):
    slack.faults.plan(Fault(method="chat.postMessage", how="status", status=429, retry_after=0.05))
    with pytest.raises(SlackApiError) as caught:
        await api.chat_postMessage(channel=HOME, text="hello")
    assert (error(caught), caught.value.response.headers["Retry-After"]) == ("ratelimited", "1")
    with pytest.raises(SlackApiError):
        await api.chat_postMessage(channel=HOME, text="too soon")
    await api.chat_postMessage(channel="G0SECRET", text="elsewhere")
    await asyncio.sleep(0.06)
    await api.chat_postMessage(channel=HOME, text="hello")
    assert [s.text for s in slack.screen()] == ["elsewhere", "hello"]
    assert [line.detail["how"] for line in slack.journal.lines("fault")] == ["status", "too soon"]


async def test_server_errors_and_garbage(slack, api):
    slack.faults.plan(Fault(method="chat.*", how="status", status=503))
    with pytest.raises(SlackApiError) as caught:
        await api.chat_postMessage(channel=HOME, text="hello")
    assert caught.value.response.status_code == 503
    slack.faults.plan(Fault(method="chat.*", how="garbage", applied=True))
    with pytest.raises(SlackApiError):
        await api.chat_postMessage(channel=HOME, text="hello")
    hooked = []

    async def hook():
        hooked.append(len(slack.screen()))

    slack.faults.plan(Fault(method="chat.*", applied=True, hook=hook))
    await api.chat_postMessage(channel=HOME, text="hello")
    assert hooked == [2]


# --- HTTP mode -------------------------------------------------------------------------------------------------------


async def test_in_http_mode_requests_are_signed_and_come_again():
    got = []

    async def take(request):
        if request.method == "GET":
            return web.Response(status=404)
        body = await request.text()
        got.append((SignatureVerifier(secret).is_valid_request(body, dict(request.headers)), dict(request.headers)))
        return web.Response(status=500 if len(got) == 1 else 200, text="")

    app = web.Application()
    app.router.add_route("*", "/slack/events", take)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    slack = SlackService(http=f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events")
    slack.deliveries.gaps = (0.0, 0.02, 0.02)
    await slack.start()
    try:
        secret = slack.environ()["SLACK_SIGNING_SECRET"]
        await slack.connected()
        await slack.say(slack.owner, "hello", slack.home)
        await settled(lambda: len(got) == 2)
        assert [good for good, _ in got] == [True, True]
        assert got[1][1]["X-Slack-Retry-Num"] == "1"
        assert (await slack.order(slack.owner, "team", "", slack.home)).acknowledged
    finally:
        await slack.stop()
        await runner.cleanup()
