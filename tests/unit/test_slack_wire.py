"""Views as Slack shows them, and Slack's payloads as what they say.

The snapshots are the payloads of chat.postMessage. Write them anew with SIGNOFF_SNAPSHOTS=write, and read what changed.
"""

import json
import os
from pathlib import Path

import msgspec
import pytest

from bots import words as common
from bots.slack import cards, forms, markup, payloads, wire, words
from bots.slack.checks import manifest, scopes
from core.model.events import (
    BotAdded,
    CommandReceived,
    ControlPressed,
    Conversation,
    FormSubmitted,
    MessageReceived,
    Quote,
    Sender,
)
from core.model.inquiries import Verb
from core.model.views import Answer, Button, Field, Inbox, InquiryCard, Line, Post, Question
from core.rules.controls import control
from tests.fakes.slack import blocks as kit
from tests.unit.all_views import VIEWS, item
from tests.unit.view_samples import MONDAY_MS, NONCE

SNAPSHOTS = Path(__file__).parent / "snapshots" / "slack"
ME = wire.Me(team="T1", user="UBOT", bot="BBOT")
HERE = Conversation(platform="slack", account="T1", channel="C1", thread="1700000000.000100")
TS = "1700000001.000200"
NOW = 1_700_000_009_000


def post(view, **changes):
    plain = Post(id="p-000000000001", conversation=HERE, view=view, slot="s", at_ms=MONDAY_MS)
    return msgspec.structs.replace(plain, **changes)


def shown(view):
    """Every piece as it would be sent."""
    for part, piece in enumerate(cards.pieces(view, "UTC")):
        match piece:
            case cards.Message():
                yield payloads.posted(post(view), part, piece, by_name=True)
            case cards.Upload():
                yield {"file": piece.name, "body": piece.body.decode()}
            case cards.Shared():
                yield {"artifact": piece.artifact}


# --- Views ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VIEWS)
def test_snapshot(name):
    sizes = zip(("shortest", "usual", "longest"), VIEWS[name], strict=True)
    drawn = json.dumps({size: list(shown(view)) for size, view in sizes}, indent=2, ensure_ascii=False) + "\n"
    kept = SNAPSHOTS / f"{name}.json"
    if os.environ.get("SIGNOFF_SNAPSHOTS") == "write":
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(drawn, "utf-8")
    assert drawn == kept.read_text("utf-8")


def test_there_is_no_snapshot_of_nothing():
    assert {path.stem for path in SNAPSHOTS.iterdir()} == set(VIEWS)


@pytest.mark.parametrize("name", VIEWS)
def test_slack_takes_every_view(name):
    for view in VIEWS[name]:
        for payload in shown(view):
            if "blocks" in payload:
                assert kit.message_problems(payload["blocks"]) == []
                assert not kit.too_long(payload["blocks"])
                assert 0 < len(payload["text"]) <= 4000


def message(view):
    piece = cards.pieces(view, "UTC")[0]
    assert isinstance(piece, cards.Message)
    return piece


def seen(piece):
    return kit.readable({"blocks": list(piece.blocks)}, {})


def test_hostile_markup_calls_nobody_and_links_nowhere():
    evil = "<!channel> <@U1> <https://evil.example|bank> @everyone *bold* `x` :skull:"
    piece = message(Line(text=evil))
    assert seen(piece) == evil
    payload = payloads.posted(post(Line(text=evil)), 0, piece, by_name=True)
    assert kit.pings(payload, names=False) == ()
    assert payload["link_names"] is False
    assert "<!channel>" not in payload["text"]


def test_hostile_markup_in_an_answer_is_text():
    piece = message(Answer(task="t-1", speaker="CEO", text="<!here> <@U1> **yes** [x](javascript:alert)"))
    assert "<!here> <@U1> yes [x](javascript:alert)" in seen(piece)
    assert kit.pings({"blocks": list(piece.blocks), "text": piece.text}, names=False) == ()


def test_a_role_speaks_under_its_own_name_where_it_may():
    piece = message(Line(text="done", speaker="CTO"))
    by_name = payloads.posted(post(Line(text="done")), 0, piece, by_name=True)
    assert by_name["username"] == "CTO"
    assert by_name["icon_emoji"] == payloads.icon("CTO")
    otherwise = payloads.posted(post(Line(text="done")), 0, piece, by_name=False)
    assert "username" not in otherwise
    assert otherwise["text"] == "CTO: done"
    assert kit.readable(otherwise, {}) == "CTO\ndone"


def test_the_product_itself_has_no_name_of_its_own():
    piece = message(Line(text="heard"))
    assert "username" not in payloads.posted(post(Line(text="heard")), 0, piece, by_name=True)
    assert cards.prefixed(piece) is piece


def test_a_post_without_a_thread_is_not_in_one():
    there = msgspec.structs.replace(HERE, thread="")
    payload = payloads.posted(post(Line(text="x"), conversation=there), 0, message(Line(text="x")), by_name=True)
    assert "thread_ts" not in payload


def test_a_whole_long_line_is_shown_in_several_messages():
    text = "".join(f"line {n} of many\n" for n in range(3_000))
    pieces = cards.pieces(Line(text=text, private=True, to="slack:U1"), "UTC")
    assert len(pieces) > 3
    assert "".join(seen(piece) for piece in pieces).replace("\n", "") == text.replace("\n", "")
    for piece in pieces:
        assert not kit.too_long(list(piece.blocks))


def test_an_empty_line_says_so():
    assert seen(message(Line(text=" "))) == words.NOTHING


def test_a_long_answer_goes_on_in_messages_and_a_longer_one_in_a_file():
    paragraph = "word " * 100 + "\n\n"
    few = cards.pieces(Answer(task="t-81c200112233", speaker="CEO", text=paragraph * 15), "UTC")
    assert [type(piece) for piece in few] == [cards.Message] * 3
    many = cards.pieces(Answer(task="t-81c200112233", speaker="CEO", text=paragraph * 400, risks=("r",)), "UTC")
    assert [type(piece) for piece in many] == [cards.Message, cards.Upload]
    assert many[1].name == "t-81c2.md"
    assert many[1].body.decode() == (paragraph * 400).rstrip() + "\n\n## Risks\n\n- r\n"
    assert words.REST_IN_FILE in seen(many[0])
    assert common.RISKS in seen(many[0])


@pytest.mark.parametrize("changed", [tuple(f"file {n}" for n in range(40)), ("x" * 5_000,), ("y" * 399,) * 9])
def test_what_a_list_leaves_out_is_in_the_file(changed):
    pieces = cards.pieces(Answer(task="t-1", speaker="CEO", text="", changed=changed, artifacts=("a.md",)), "UTC")
    assert [type(piece) for piece in pieces] == [cards.Message, cards.Upload, cards.Shared]
    assert all(entry in pieces[1].body.decode() for entry in changed)
    assert not kit.too_long(list(pieces[0].blocks))


def test_the_largest_answer_fits():
    entry = tuple("z" * 390 for _ in range(100))
    view = Answer(
        task="t-1", speaker="C" * 500, text="&" * 50_000, changed=entry, risks=entry, next_needs=entry, artifacts=entry,
        degraded="d" * 5_000,
    )  # fmt: skip
    for payload in shown(view):
        if "blocks" in payload:
            assert kit.message_problems(payload["blocks"]) == []
            assert not kit.too_long(payload["blocks"])
            assert len(payload["text"]) <= 4000


def card(**changes):
    plain = InquiryCard(
        inquiry="i-7f3a00112233", revision=1, title="DevOps asks", line="Runs it", fields=(), more_n=0, whole=(),
        why="", tier="internal", decide_by_ms=None, decide_within_ms=None, needs="", buttons=(),
    )  # fmt: skip
    return msgspec.structs.replace(plain, **changes)


def test_the_largest_card_fits():
    big = Field(name="n" * 300, shown="v" * 3_000)
    button = Button(control="c" * 20, label="l" * 200)
    view = card(
        title="t" * 500, line="l" * 5_000, fields=(big,) * 30, whole=(big,) * 30, more_n=3, why="w" * 5_000,
        tier="t" * 500, needs="n" * 500, hint="h" * 5_000, overdue=True, decide_by_ms=MONDAY_MS, speaker="s" * 90,
        buttons=tuple(msgspec.structs.replace(button, control=f"c{n}") for n in range(90)),
    )  # fmt: skip
    (payload,) = shown(view)
    assert kit.message_problems(payload["blocks"]) == []
    assert not kit.too_long(payload["blocks"])


def test_a_deadline_is_shown_in_the_readers_zone_and_said_in_the_teams():
    piece = message(card(decide_by_ms=MONDAY_MS, tier=""))
    assert f"<!date^{MONDAY_MS // 1000}^by {{date_short_pretty}} {{time}}|by Mon 18:00>" in json.dumps(piece.blocks)
    assert "by Mon 18:00" in piece.text


def test_a_control_that_slack_cannot_carry_is_left_out():
    view = card(buttons=(Button(control="", label="a"), Button(control="x" * 256, label="b")))
    assert all(block["type"] != "actions" for block in message(view).blocks)


def test_an_inbox_has_a_button_an_item_and_is_bounded():
    one, two = Button(control="c1", label="View"), Button(control="c2", label="Deny")
    some = tuple(msgspec.structs.replace(item(n), buttons=(one,), tier=f"tier {n}") for n in range(40))
    (payload,) = shown(Inbox(items=some))
    assert kit.message_problems(payload["blocks"]) == []
    assert sum("accessory" in block for block in payload["blocks"]) == cards.ITEMS_MAX
    assert payload["text"].endswith("and 25 more")
    (payload,) = shown(Inbox(items=(msgspec.structs.replace(item(1), buttons=(one, two)),)))
    assert [block["type"] for block in payload["blocks"]] == ["header", "section", "actions"]


# --- Markdown -------------------------------------------------------------------------------------------------------

MARKDOWN = """# Title

A *soft* **hard** ~~gone~~ `code` [link](https://a.example) paragraph.

Another one.

- one
  1. inner
  2. next
- two

      code in it
- three
-

5. five
6. six

> quoted **words**
>
> - listed
> - again
>
> ```
> fenced
> ```
>
> | a | b |
> |---|---|
> | 1 | 2 |
>
> ---
>
> > deeper

```python
print("<!channel>")
```

| name | n |
|------|---|
| a    | 1 |

---
"""


def test_markdown_is_drawn_natively():
    piece = message(Answer(task="t-1", speaker="CEO", text=MARKDOWN))
    assert kit.message_problems(list(piece.blocks)) == []
    elements = piece.blocks[0]["elements"]
    kinds = [element["type"].removeprefix("rich_text_") for element in elements]
    assert kinds == [
        *("section", "section", "section", "list", "list", "list", "preformatted", "list"),
        *("list", "quote", "preformatted", "preformatted", "section"),
    ]
    assert [e["indent"] for e in elements if e["type"] == "rich_text_list"] == [0, 1, 0, 0, 0]
    assert elements[8]["offset"] == 4
    assert {"type": "link", "url": "https://a.example", "text": "link"} in elements[1]["elements"]
    assert {"type": "text", "text": "hard", "style": {"bold": True}} in elements[1]["elements"]
    assert 'print("<!channel>")' in seen(piece)


def test_an_empty_answer_has_only_its_lists():
    assert [block["type"] for block in message(Answer(task="t-1", speaker="CEO", text="")).blocks] == ["context"]


@pytest.mark.parametrize(
    "text", ["```\n```", ">", "> ```\n> ```", "#", "[](https://a.example)", "- \n-", "> #", "- a\n\n  b"]
)
def test_nothing_in_a_block_is_nothing_that_slack_refuses(text):
    (payload,) = shown(Answer(task="t-1", speaker="CEO", text=text))
    assert kit.message_problems(payload["blocks"]) == []
    assert all(element.get("elements") != [] for block in payload["blocks"] for element in block["elements"])


def test_lengths_are_counted_in_utf_16():
    assert markup.units("a😀") == 3
    assert markup.cut("😀" * 10, 9) == "😀" * 4 + "…"
    assert markup.cut("short", 5) == "short"
    assert markup.clip("😀" * 3, 4) == "😀😀"
    assert markup.clip("abc", 4) == "abc"
    assert markup.plain("", 5)["text"] == "…"


# --- Messages -------------------------------------------------------------------------------------------------------


def said(event=None, **changes):
    plain = {"type": "message", "channel": "C1", "user": "U1", "ts": TS, "text": "hello", "channel_type": "channel"}
    body = {"type": "event_callback", "team_id": "T1", "event_id": "Ev1", "event_time": 1_700_000_001}
    return wire.read({**body, "event": {**plain, **(event or {})}, **changes}, ME, NOW)


def test_a_message_that_names_nobody_is_in_a_thread_of_its_own():
    found = said()
    assert found == wire.Spoken(
        ts=TS,
        event=MessageReceived(
            key=f"slack:T1:C1:{TS}",
            at_ms=1_700_000_001_000,
            conversation=Conversation(platform="slack", account="T1", channel="C1", thread=TS),
            sender=Sender(account="slack:U1"),
            text="hello",
            addressed=False,
        ),
    )


def test_a_mention_is_one_event_however_it_comes():
    text = "hey <@UBOT>: @cto how big is <https://a.example|our debt>?"
    found = said({"text": text})
    mentioned = said({"type": "app_mention", "text": text, "channel_type": None})
    assert found == mentioned
    assert found.event.addressed
    assert found.event.text == "hey @cto how big is our debt (https://a.example)?"


def test_history_has_the_same_message():
    body = {"user": "U1", "ts": TS, "text": "hello", "type": "message"}
    assert wire.message({**body, "channel": "C1"}, ME) == said()


def test_in_a_thread():
    found = said({"thread_ts": "1700000000.000100", "parent_user_id": "UBOT"})
    assert found.ours
    assert found.event.addressed
    assert found.event.conversation.thread == found.thread == found.event.reply_to == "1700000000.000100"
    assert not said({"thread_ts": "1700000000.000100"}).event.addressed
    assert said({"thread_ts": TS}).thread == ""


def test_in_private():
    found = said({"channel": "D1", "channel_type": "im"})
    assert found.event.addressed
    assert found.event.conversation.thread == ""
    assert said({"channel": "D1", "thread_ts": "1700000000.000100"}).event.conversation.thread == "1700000000.000100"


@pytest.mark.parametrize(
    "changes",
    [
        {"user": "UBOT"},
        {"bot_id": "B2"},
        {"subtype": "bot_message"},
        {"subtype": "channel_join"},
        {"subtype": "message_deleted"},
        {"text": ""},
        {"ts": "now"},
        {"ts": None},
        {"channel": ""},
        {"user": 7},
        {"type": "reaction_added"},
        {"type": ["message"]},
    ],
)
def test_what_is_no_message_is_ignored(changes):
    assert isinstance(said(changes), wire.Ignored)


def test_a_name_alone_is_a_call():
    assert said({"text": "<@UBOT|signoff>"}).event.addressed


def test_another_workspace_is_told_apart():
    assert said(team_id="T2") == wire.Ignored(what="event_callback", team="T2")
    assert said(team_id=None).team == "(none)"
    assert isinstance(said(team_id="T2", authorizations=[{"team_id": "T1"}]), wire.Spoken)


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("a &amp; b &lt;c&gt;", "a & b <c>"),
        ("<@U2> and <@U3|ana>", "@U2 and @ana"),
        ("<#C2|general> <#C3>", "#general #C3"),
        ("<!here> <!subteam^S1|@devs> <!subteam^S1> <!date^1^{time}|noon> <!x|y>", "@here @devs @subteam noon @y"),
        ("<https://a.example> <http://b.example|b.example> <mailto:a@b.example|a@b.example>",
         "https://a.example b.example a@b.example"),
        ("<https://c.example|https://c.example>", "https://c.example"),
        ("line\n<@UBOT>  two", "line\n two"),
        ("lone \ud800 half", "lone ? half"),
    ],
)  # fmt: skip
def test_text_is_what_a_person_reads(written, read):
    assert said({"text": written}).event.text == read


def test_files_come_by_reference():
    files = [
        {
            "id": "F1",
            "name": "../a.pdf",
            "mimetype": "application/pdf",
            "size": 12,
            "url_private_download": "https://f",
        },
        {"id": "F2", "title": "b", "size": -1, "url_private": "https://g"},
        {"id": "F3", "mode": "tombstone"},
        {"name": "no id"},
        "junk",
    ]
    found = said({"files": files, "text": "", "subtype": "file_share", "user_profile": {"display_name": "Ana"}})
    one, two = found.event.files
    assert (one.name, one.media, one.bytes_n, json.loads(one.ref)) == (
        "../a.pdf", "application/pdf", 12, {"id": "F1", "url": "https://f"},
    )  # fmt: skip
    assert (two.name, two.bytes_n) == ("b", 0)
    assert found.event.sender.name == "Ana"
    assert wire.attachments([{"id": "F9"}])[0].name == "F9"


def edited(now, before, **changes):
    inner = {"user": "U1", "ts": TS, "text": now, "edited": {"user": "U1", "ts": "1700000005.000000"}, **changes}
    return said(
        {"subtype": "message_changed", "ts": "1700000005.1", "message": inner, "previous_message": {"text": before}}
    )


def test_an_edit_names_what_it_changes():
    found = edited("hello <@UBOT>", "hello")
    assert isinstance(found, wire.Rewritten)
    assert found.event.key == f"slack:T1:edit:C1:{TS}:1700000005.000000"
    assert found.event.original == f"slack:T1:C1:{TS}" == found.message.key
    assert found.event.text == "hello"
    assert found.event.at_ms == 1_700_000_005_000


def test_an_unfolded_link_or_a_bots_edit_is_no_edit():
    assert isinstance(edited("same", "same"), wire.Ignored)
    assert isinstance(edited("new", "old", edited=None), wire.Ignored)
    assert isinstance(edited("new", "old", user="UBOT"), wire.Ignored)


def test_the_bot_was_added_and_others_are_none_of_its_business():
    joined = {"type": "member_joined_channel", "user": "UBOT", "channel": "C1", "inviter": "U1"}
    found = said(joined).event
    assert isinstance(found, BotAdded)
    assert (found.key, found.sender.account, found.at_ms) == ("slack:T1:Ev1", "slack:U1", 1_700_000_001_000)
    assert said({**joined, "inviter": None}, event_time="x").event.at_ms == NOW
    assert isinstance(said({**joined, "user": "U2"}), wire.Ignored)
    assert isinstance(said({**joined, "channel": None}), wire.Ignored)


def test_earlier_lines_of_a_thread():
    messages = [
        {"ts": "1700000000.2", "user": "U2", "text": "second <@UBOT>"},
        {"ts": "1700000000.1", "user": "U1", "text": "first"},
        {"ts": "1700000000.3", "bot_id": "B2", "username": "CI", "text": "built"},
        {"ts": "1700000000.4", "text": "who?"},
        {"ts": "1700000000.5", "user": "U1", "text": ""},
        {"ts": TS, "user": "U1", "text": "the question"},
        "junk",
    ]
    assert wire.quotes(messages, TS, ME, {"U1": "Ana"}) == (
        Quote(speaker="Ana", text="first"),
        Quote(speaker="U2", text="second @UBOT"),
        Quote(speaker="CI", text="built", by_agent=True),
        Quote(speaker=words.SOMEBODY, text="who?"),
    )
    assert wire.quotes([*messages, {"ts": "1.0", "bot_id": "BBOT"}], TS, ME, {}) == ()


def test_of_a_long_thread_the_opening_line_and_the_last_ones():
    lines = [{"ts": f"1600000000.{n:06d}", "user": "U1", "text": str(n)} for n in range(21)]
    assert [quote.text for quote in wire.quotes(lines[:20], TS, ME, {})] == [str(n) for n in range(20)]
    assert [quote.text for quote in wire.quotes(lines, TS, ME, {})] == ["0", *(str(n) for n in range(2, 21))]


# --- Commands, buttons, forms ---------------------------------------------------------------------------------------


def typed(text, **changes):
    body = {
        "command": "/signoff", "text": text, "team_id": "T1", "channel_id": "C1", "user_id": "U1", "user_name": "ana",
        "trigger_id": "1.2.3", "response_url": "https://hooks",
    }  # fmt: skip
    return wire.read({**body, **changes}, ME, NOW)


def test_a_command_is_read_like_everywhere():
    found = typed('  Edit i-7f3a {"a": 1}\n')
    assert isinstance(found.event, CommandReceived)
    assert (found.event.name, found.event.arguments) == ("edit", ("i-7f3a", '{"a": 1}'))
    assert (found.event.key, found.response_url) == ("slack:T1:1.2.3", "https://hooks")
    assert typed("").event.name == "help"
    assert typed("ask").event.name == "ask"
    assert isinstance(typed("inbox", trigger_id=None), wire.Ignored)


def test_ask_is_a_message():
    found = typed("ask  deploy it\nnow")
    assert isinstance(found, wire.Asked)
    assert (found.event.text, found.event.addressed, found.name) == ("deploy it\nnow", True, "ana")
    assert typed("ask x", user_name="").name == words.SOMEBODY
    assert payloads.anchor(found)["text"] == "ana asks: deploy it\nnow"


APPROVE, DENY = control(NONCE, Verb.APPROVE), control(NONCE, Verb.DENY)


def pressed(some_control, **changes):
    body = {
        "type": "block_actions", "team": {"id": "T1"}, "user": {"id": "U1", "name": "ana"}, "channel": {"id": "C1"},
        "message": {"ts": TS, "thread_ts": "1700000000.000100"}, "trigger_id": "1.2.3", "response_url": "https://hooks",
        "actions": [{"action_id": some_control, "value": some_control, "type": "button"}],
    }  # fmt: skip
    return wire.read({**body, **changes}, ME, NOW)


def test_a_press():
    found = pressed(APPROVE)
    assert found == wire.Pressed(
        event=ControlPressed(
            key="slack:T1:1.2.3", at_ms=NOW, conversation=HERE, sender=Sender(account="slack:U1", name="ana"),
            control=APPROVE,
        ),
        verb=Verb.APPROVE,
        trigger="1.2.3",
        response_url="https://hooks",
    )  # fmt: skip
    assert pressed(DENY).verb is Verb.DENY
    assert pressed(control(NONCE, Verb.ANSWER, 2)).verb is None
    assert pressed("nonsense").event.control == "nonsense"


def test_a_press_on_a_message_that_is_in_no_thread():
    assert pressed(APPROVE, message={"ts": TS, "thread_ts": TS}).event.conversation.thread == ""
    ephemeral = pressed(APPROVE, message=None, channel=None, container={"channel_id": "C2", "thread_ts": "1.5"})
    assert (ephemeral.event.conversation.channel, ephemeral.event.conversation.thread) == ("C2", "1.5")


@pytest.mark.parametrize("changes", [{"actions": []}, {"actions": "x"}, {"trigger_id": ""}, {"user": {}}])
def test_a_press_of_nothing_is_ignored(changes):
    assert isinstance(pressed(APPROVE, **changes), wire.Ignored)


def questions(*names, **changes):
    return tuple(Question(name=name, label=name.title(), **changes) for name in names)


def modal(verb, **changes):
    view = forms.modal(control(NONCE, verb), verb, card(**changes), HERE)
    assert kit.view_problems(view) == []
    return view


def submitted(view, *values, **changes):
    """Fill in the inputs in order."""
    state = {}
    for block, value in zip(kit.inputs(view), values, strict=True):
        element = block["element"]
        chosen = {"selected_option": {"value": value}} if "options" in element else {"value": value}
        state[block["block_id"]] = {element["action_id"]: {"type": element["type"], **chosen}}
    body = {"type": "view_submission", "team": {"id": "T1"}, "user": {"id": "U1"}, "trigger_id": "4.5"}
    return wire.read({**body, "view": {**view, "id": "V1", "state": {"values": state}}, **changes}, ME, NOW)


@pytest.mark.parametrize(
    ("verb", "name", "optional"),
    [
        (Verb.DENY, "reason", True),
        (Verb.ASK_BACK, "text", False),
        (Verb.ANSWER, "answer", False),
        (Verb.EDIT, "edit", False),
    ],
)
def test_a_form_comes_back_with_its_control_and_its_place(verb, name, optional):
    view = modal(verb)
    (asked,) = kit.inputs(view)
    assert asked["optional"] is optional
    found = submitted(view, "because").event
    assert isinstance(found, FormSubmitted)
    assert (found.control, found.fields, found.conversation) == (control(NONCE, verb), {name: "because"}, HERE)
    assert found.key == "slack:T1:4.5"
    assert submitted(view, None, trigger_id=None).event.fields == {name: ""}


def test_an_edit_form_has_the_values_of_now():
    view = modal(Verb.EDIT, edit=(*questions("site", value="landing"), *questions("text", value="a\nb", about="why")))
    first, second = kit.inputs(view)
    assert (first["element"]["initial_value"], first["element"]["multiline"]) == ("landing", False)
    assert (second["element"]["multiline"], second["hint"]["text"]) == (True, "why")
    assert submitted(view, "shop", "b").event.fields == {"site": "shop", "text": "b"}


def test_what_no_input_can_hold_is_left_as_it_is_and_named():
    view = modal(Verb.EDIT, edit=(*questions("short", value="s"), *questions("long", value="x" * 3_001)))
    assert len(kit.inputs(view)) == 1
    assert "long" in view["blocks"][2]["elements"][0]["text"]
    everything = modal(Verb.EDIT, edit=questions("long", value="x" * 3_001))
    assert kit.inputs(everything)[0]["element"]["action_id"] == "edit"


def test_more_than_a_form_can_ask_is_asked_as_json():
    many = modal(Verb.EDIT, edit=questions(*(f"f{n}" for n in range(91))))
    assert [block["element"]["action_id"] for block in kit.inputs(many)] == ["edit"]
    unnamed = modal(Verb.EDIT, edit=questions("n" * 256))
    assert [block["element"]["action_id"] for block in kit.inputs(unnamed)] == ["edit"]


def test_a_question_with_options_is_a_list_to_choose_from():
    view = modal(Verb.ANSWER, form=questions("market", options=("Spain", "Norway"), value="Norway", required=False))
    element = kit.inputs(view)[0]["element"]
    assert element["initial_option"]["value"] == "Norway"
    assert submitted(view, "Spain").event.fields == {"market": "Spain"}
    assert "initial_option" not in kit.inputs(modal(Verb.ANSWER, form=questions("m", options=("a",))))[0]["element"]


@pytest.mark.parametrize("options", [("x" * 76,), ("",), ("a", "a"), tuple(map(str, range(101)))])
def test_options_that_no_list_can_hold_are_typed(options):
    (block,) = kit.inputs(modal(Verb.ANSWER, form=questions("market", options=options)))
    assert block["element"]["type"] == "plain_text_input"
    assert block["hint"]["text"].startswith("1.")


def test_a_question_without_a_name_has_a_name_of_slacks():
    (block,) = kit.inputs(modal(Verb.ANSWER, form=questions("")))
    assert "action_id" not in block["element"]


def test_a_long_form_fits():
    big = questions(*(f"f{n}" for n in range(120)), about="a" * 3_000, value="😀" * 3_000)
    assert len(kit.inputs(modal(Verb.ANSWER, form=big, title="t" * 9_000, line=""))) == forms.INPUTS_MAX


def test_a_form_that_is_not_ours_is_ignored():
    view = modal(Verb.DENY)
    assert isinstance(submitted({**view, "callback_id": "other"}, "x"), wire.Ignored)
    assert isinstance(submitted({**view, "callback_id": None}, "x"), wire.Ignored)
    assert isinstance(submitted(view, "x", user={}), wire.Ignored)
    assert submitted({**view, "private_metadata": "junk"}, "x").event.conversation.channel == ""


def test_a_form_full_of_junk_has_no_answers():
    view = {**modal(Verb.DENY), "id": "V1"}
    body = {"type": "view_submission", "team": {"id": "T1"}, "user": {"id": "U1"}}
    for state in ("x", {"values": 7}, {"values": {"a": 1}}, {"values": {"a": {"reason": 1}}}):
        found = wire.read({**body, "view": {**view, "state": state}}, ME, NOW)
        assert set(found.event.fields.values()) <= {""}


@pytest.mark.parametrize("body", [None, 7, [], "x", {}, {"type": "event_callback"}, {"type": 1}])
def test_anything_else_is_ignored(body):
    assert isinstance(wire.read(body, ME, NOW), wire.Ignored)


def test_an_unknown_kind_is_named():
    assert wire.read({"type": "shortcut", "team": {"id": "T1"}}, ME, NOW) == wire.Ignored(what="shortcut")


# --- What was sent, found again -------------------------------------------------------------------------------------


def test_a_message_is_known_by_what_it_carries():
    payload = payloads.updated(post(Line(text="x")), 2, message(Line(text="x")), TS, "C1", by_name=False)
    there = {**payload, "ts": TS}
    assert payloads.holds(there, post(Line(text="x")), 2) == TS
    assert payloads.holds(there, post(Line(text="x")), 1) == ""
    assert (
        payloads.holds({**there, "metadata": {**payload["metadata"], "event_type": "x"}}, post(Line(text="x")), 2) == ""
    )
    assert payloads.holds("junk", post(Line(text="x")), 2) == ""


def test_a_file_is_known_by_its_title():
    title = payloads.file_title("a.md", post(Line(text="x")), 2)
    there = {
        "user": "UBOT",
        "files": ["junk", {"id": "F0", "title": "a.md"}, {"id": "F1", "name": "a.md", "title": title}],
    }
    assert payloads.holds_file(there, title) == "F1"
    assert payloads.holds_file(there, payloads.file_title("a.md", post(Line(text="x")), 1)) == ""
    assert payloads.holds_file(None, title) == ""
    assert len(payloads.file_title("x" * 150, post(Line(text="x")), 11)) < 200


def test_names_and_moments():
    assert payloads.file_name("../../etc/pass\u202ewd") == "pass<U+202E>wd"
    assert payloads.file_name("c:\\x\\") == "file"
    assert wire.moment_ms("1700000001.5") == 1_700_000_001_500
    assert wire.moment_ts(1_700_000_001_005) == "1700000001.005000"
    assert wire.later("2.1", "2.000200")
    assert not wire.later("", "1.0")


def test_whispers_have_the_name_in_the_text():
    assert payloads.whispered(message(Line(text="no", speaker="CTO")))["text"] == "CTO: no"


def test_trouble_names_what_to_do():
    assert "chat:write" in words.add_scope("chat:write")
    assert "no_text" in words.refused("no_text")
    assert "500" in words.out_of_order("500")
    assert "Acme" in words.signed_in("signoff", "Acme")
    assert "users:read" in words.scopes_missing("users:read")


def test_the_manifest_is_ready_to_paste():
    described = json.loads(manifest())
    assert described["settings"]["socket_mode_enabled"] is True
    assert described["features"]["slash_commands"][0]["command"] == "/signoff"
    assert "chat:write" in scopes()
