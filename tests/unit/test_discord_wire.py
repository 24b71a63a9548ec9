"""Views as Discord shows them, and what Discord tells us as events.

The snapshots are the bodies that are sent. Write them anew with SIGNOFF_SNAPSHOTS=write, and read what changed.
"""

import json
import os
import re
from pathlib import Path

import msgspec
import pytest

from bots import markdown
from bots.discord import cards, checks, forms, markup, wire, words
from core.model.events import (
    CommandReceived,
    ControlPressed,
    Conversation,
    FormSubmitted,
    MessageEdited,
    MessageReceived,
    Quote,
)
from core.model.ids import PostId
from core.model.inquiries import Kind, Label, Verb
from core.model.views import (
    Answer,
    Branch,
    Button,
    DecidedCard,
    Field,
    Inbox,
    InquiryCard,
    Line,
    Post,
    Question,
    Trouble,
)
from core.rules.commands import MENU
from core.rules.controls import control
from tests.fakes.discord import limits
from tests.fakes.discord.reading import text_of
from tests.unit.all_views import BRANCH, PROSE, acting, card, item, status
from tests.unit.view_samples import MONDAY_MS, NONCE, inquiry, question

SNAPSHOTS = Path(__file__).parent / "snapshots" / "discord"
HOSTILE = (
    "@everyone <@1> <@&2> <#3> <t:1:R> </x:1> <:e:1> [a](https://evil.example) **b** __c__ ~~d~~ ||e|| `f` ```g``` \\* "
    "a_b_c snake_case __d_e__f__ https://a.example/b_c.\n# h\n> q\n>>> q\n- l\n1. n\n-# s\n"
)
MARKDOWN = """# Test debt

**Small**, *mostly* ~~gone~~: `core.rules` has `` a`b ``, see [the report](https://acme.example/report) and
[https://bank.example](https://evil.example) or [mail](mailto:a@b.example).

| suite | tests |
| --- | ---: |
| unit | 410 |

1. first
   - nested
   ```python
   print("`` ``` ``")
   ```
2. second

> quoted
> twice

---

```
make check
```
"""
NAMES = {"user": "a person", "role": "a role", "channel": "a channel"}


def row(n, *, buttons=1, **changes):
    return item(n, buttons=tuple(Button(control=f"{n:016x}.v{m}", label="View") for m in range(buttons)), **changes)


LONG_ARGUMENTS = (
    {"command": "deploy"}
    | {f"argument_{n}": f"value_{n} *bold* " * 40 for n in range(9)}
    | {"ein Wörtchen 你好": {"deep": [1, "two"]}, "lines": "a\n```\nb"}
)
VIEWS = {
    "line": (
        Line(text="heard"),
        Line(text="waiting on i-7f3a; I read this next", speaker="CEO"),
        Line(text=HOSTILE + PROSE * 30, speaker="C*E*O"),
    ),
    "status": (
        status(Branch(roles=("CEO",), doing="thinking"), steps=1, tokens=0, cost_microusd=0, at_ms=MONDAY_MS),
        status(BRANCH),
        status(*(msgspec.structs.replace(BRANCH, doing=HOSTILE * 3) for _ in range(8)), more=3),
    ),
    "receipt": (
        status(done="failed", roles_n=1),
        status(done="done", roles_n=3, tokens=31_000, cost_microusd=190_000, at_ms=MONDAY_MS + 130_000),
        status(done="somehow", roles_n=12, tokens=10**9, cost_microusd=10**10, at_ms=MONDAY_MS + 10**9),
    ),
    "answer": (
        Answer(task="t-81c200112233", speaker="CEO", text="Yes."),
        Answer(
            task="t-81c200112233",
            speaker="CEO",
            text=MARKDOWN,
            changed=("site:landing",),
            risks=("The cache may be old for an hour.",),
            next_needs=("Somebody to write the post.",),
            artifacts=("shared/report.md",),
            degraded="The checks were skipped.",
        ),
        Answer(task="t-81c200112233", speaker="CEO", text=MARKDOWN * 40, artifacts=("a.md", "../b c?.md")),
    ),
    "approval": (
        card(acting({"command": "deploy"}, why="", decide_by_ms=None), needs=""),
        card(inquiry()),
        card(acting(LONG_ARGUMENTS, why=HOSTILE + PROSE, overdue=True)),
    ),
    "single_operator": (
        card(inquiry(label=Label.SINGLE), needs="you, twice"),
        card(inquiry(label=Label.SINGLE, pressed_once=True), needs="you, once more"),
        card(acting(LONG_ARGUMENTS, label=Label.SINGLE), needs="you, twice"),
    ),
    "question": (
        card(question(), needs=""),
        card(question(options=("Spain", "Norway")), needs="one answer"),
        card(question(question=PROSE * 3, options=tuple(f"Option {n}: {'o' * 90}" for n in range(9)))),
    ),
    "reconcile": (
        card(inquiry(kind=Kind.RECONCILE, why="", action=None), needs=""),
        card(inquiry(kind=Kind.RECONCILE)),
        card(acting(LONG_ARGUMENTS, kind=Kind.RECONCILE)),
    ),
    "decided": (
        DecidedCard(inquiry="i-7f3a00112233", title="CEO asks", headline="Withdrawn"),
        DecidedCard(
            inquiry="i-7f3a00112233",
            title="DevOps asks to run deploy",
            headline="Approved by Bo at 14:02",
            outcome="ran in 3.1 s, exit 0",
            state="approved",
        ),
        DecidedCard(
            inquiry="i-7f3a00112233", title="T" * 500, headline=f"Denied by Bo: {HOSTILE * 9}", outcome=HOSTILE * 9
        ),
    ),
    "inbox": (
        Inbox(items=()),
        Inbox(
            items=(
                row(7, overdue=True),
                row(2, title="CEO asks", tier="internal", needs="", buttons=2),
                row(1),
            )
        ),
        Inbox(items=tuple(row(60 - n, tier=("external", "infrastructure")[n % 2], title=HOSTILE) for n in range(50))),
    ),
    "trouble": (
        Trouble(what="no build"),
        Trouble(
            what="The model is overloaded (529).", next_step="Trying again in 40 s, up to 3 times; then I ask you."
        ),
        Trouble(what=PROSE, means=HOSTILE, next_step=PROSE, remedy=PROSE * 30),
    ),
}


def told(message):
    return {"body": message.body, "upload": message.upload and message.upload.name, "artifact": message.artifact}


def drawn(name):
    shown = {
        size: [told(message) for message in cards.messages(view)]
        for size, view in zip(("shortest", "usual", "longest"), VIEWS[name], strict=True)
    }
    return json.dumps(shown, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("name", VIEWS)
def test_snapshot(name):
    kept = SNAPSHOTS / f"{name}.json"
    if os.environ.get("SIGNOFF_SNAPSHOTS") == "write":
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(drawn(name), "utf-8")
    assert drawn(name) == kept.read_text("utf-8")


def test_there_is_no_snapshot_of_nothing():
    assert {path.name for path in SNAPSHOTS.iterdir()} == {f"{name}.json" for name in VIEWS}


@pytest.mark.parametrize("name", VIEWS)
def test_discord_takes_all_of_them(name):
    for view in VIEWS[name]:
        for message in cards.messages(view):
            assert not limits.message_errors(message.body)
            assert message.body["allowed_mentions"] == {"parse": []}


def test_what_is_hostile_is_read_as_it_was_written():
    (message,) = cards.messages(Line(text=HOSTILE))
    content = message.body["content"]
    assert re.sub(r"\\(.)|<(https?://[^>]*)>", r"\1\2", content).strip() == HOSTILE.strip()
    bare = re.sub(r"\\.|<https?://[^>]*>", "x", content)
    assert not re.search(r"[*~`|\[\]<@]|__|(?<!\w)_|_(?!\w)|^\s*([-#>+]|\d+[.)])\s", bare, re.MULTILINE)
    assert "a person" not in text_of(message.body, lambda kind, _: NAMES[kind])


def test_markdown_is_drawn():
    text = markup.draw(markdown.parse(MARKDOWN))
    assert "**Small**, *mostly* ~~gone~~: `core.rules` has `` a`b ``" in text
    assert "[the report](<https://acme.example/report>)" in text
    assert "<https://bank.example> (<https://evil.example>)" in text
    assert "mail (mailto:a\\@b.example)" in text
    assert '1. first\n   - nested\n```python\nprint("`` ``\u200b` ``")\n```\n2. second' in text
    assert "> quoted\n> twice" in text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("**a***b*", "**a**\u200b*b*"),
        ("**a ** b", "\\*\\*a \\*\\* b"),
        ("- ```\n  x\n  ```", "-\n```\nx\n```"),
        ("-", "-"),
        ("# a\nb", "# a\nb"),
        ("``` a``b ```", "a\\`\\`b"),
        ("<https://a.example>", "<https://a.example>"),
        ("<a@b.example>", "a\\@b.example"),
        ("[ **x** ](https://a.example/)", " **[x](<https://a.example/>)** "),
    ],
)
def test_corners_of_markdown(text, shown):
    assert markup.draw(markdown.parse(text)) == shown


def test_marks_stand_beside_words():
    spans = (markdown.Span(" a ", bold=True), markdown.Span(" ", italic=True))
    assert markup.draw((markdown.Paragraph(spans),)) == " **a**  "


def test_a_link_that_would_not_be_read_as_one_is_written_out():
    span = markdown.Span("see", link="https://a.example/x.")
    assert markup.draw((markdown.Paragraph((span,)),)) == "see (<https://a.example/x>.)"


@pytest.mark.parametrize("n", [0, 1, 2, 10, 100])
def test_a_cut_fits(n):
    for text in (HOSTILE, "*" * 200, "😀" * 200, "abc"):
        assert markup.units(markup.fitted(text, n)) <= n
    assert markup.fitted("abc", 3) == "abc"


def test_what_has_no_room_is_counted():
    def fields_of(view):
        return text_of(cards.messages(view)[0].body, lambda _, some: some)

    plain = card(inquiry())
    huge = Field(name="", shown="x" * 9_000)
    lines = Field(name="text", shown="a\nb" * 3_000)
    assert "… 2 more" in fields_of(msgspec.structs.replace(plain, fields=(huge, huge), more_n=1))
    assert "⏎" in fields_of(msgspec.structs.replace(plain, fields=(lines,)))
    assert "more" not in fields_of(msgspec.structs.replace(plain, fields=(huge,), more_n=0))


def test_buttons_are_given_once():
    twice = (Button(control="a", label="A\n"), Button(control="a", label="B"), Button(control="", label="C"))
    shown = msgspec.structs.replace(card(inquiry()), buttons=twice)
    body = cards.messages(shown)[0].body
    assert limits.walk is not None
    assert [some["label"] for some in limits.walk(body["components"]) if some["type"] == 2] == ["B"]
    inbox = cards.messages(Inbox(items=(row(1), row(1), row(2, buttons=0))))[0].body
    assert len([some for some in limits.walk(inbox["components"]) if "custom_id" in some]) == 1


def test_an_inbox_of_many_buttons_stays_within_the_limits():
    body = cards.messages(Inbox(items=tuple(row(n, buttons=5) for n in range(30))))[0].body
    assert not limits.message_errors(body)
    assert any("custom_id" in some for some in limits.walk(body["components"]))


def test_a_long_answer_is_a_screen_and_a_file():
    first, file, *others = cards.messages(VIEWS["answer"][2])
    assert "answer-t-81c2.md" in first.body["content"]
    assert file.upload.content.decode().startswith(MARKDOWN * 40)
    assert [other.artifact for other in others] == ["a.md", "../b c?.md"]
    assert cards.attached(others[1], ("../b c?.md", b"x")).upload == cards.Upload(name="b c_.md", content=b"x")
    assert cards.attached(others[1], None).body["content"].startswith("b c\\_.md could not")
    assert cards.attached(others[1], ("b", b"x" * 10_000_001)).upload is None


def test_a_text_that_its_marks_make_long_is_a_file_too():
    first, file = cards.messages(Line(text="*" * 7_000))
    assert "text.md" in first.body["content"]
    assert file.upload.content == b"*" * 7_000
    assert len(cards.messages(Line(text="word " * 1_000))) == 3


def test_an_empty_text_is_no_empty_message():
    assert cards.messages(Line(text=""))[0].body["content"]
    assert cards.messages(Answer(task="t-1", speaker="CEO", text=""))[0].body["content"]


@pytest.mark.parametrize(
    ("name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("..", "file"),
        ("C:\\x\\evil.exe", "evil.exe"),
        ("\u202egpj.exe", "_U_202E_gpj.exe"),
    ],
)
def test_file_names_mean_nothing_to_a_filesystem(name, safe):
    assert cards.file_name(name) == safe


def test_our_own_message_is_known_again():
    post = Post(
        id=PostId("p-1"),
        conversation=Conversation(platform="discord", account="1", channel="2"),
        view=Line(text="heard"),
        slot="s",
        at_ms=0,
    )
    (line,) = cards.messages(post.view)
    assert len(cards.nonce(post, 0)) == 25
    assert cards.nonce(post, 0) != cards.nonce(post, 1)
    assert cards.is_same({"nonce": cards.nonce(post, 0), "content": "other"}, post, 0, line, "")
    assert not cards.is_same({"nonce": "1", "content": "heard"}, post, 0, line, "")
    assert cards.is_same({"content": "heard"}, post, 0, line, "")
    assert not cards.is_same({"content": ""}, post, 0, cards.Message(body={}), "")
    assert not cards.is_same({"content": "heard", "attachments": [{}]}, post, 0, line, "")


def test_what_answers_another_message_is_another():
    post = said_post(Line(text="done"))
    (line,) = cards.messages(post.view)
    found = {"content": "done", "message_reference": {"message_id": "7"}}
    assert cards.is_same(found, post, 0, line, "7")
    assert not cards.is_same(found, post, 0, line, "8")
    assert cards.is_same({"content": "done", "message_reference": None}, post, 0, line, "8")  # that one was deleted


@pytest.mark.parametrize("view", [card(inquiry()), DecidedCard(inquiry="i-7f3a", title="T", headline="Denied by Bo")])
def test_a_card_bears_a_mark_of_its_post(view):
    one, other = said_post(view), said_post(view, "p-2")
    (message,) = cards.messages(view)
    sent = cards.marked(message.body, one, 0)
    kept = {"flags": sent["flags"], "components": sent["components"]}
    assert cards.is_same(kept, one, 0, message, "")
    assert not cards.is_same(kept, other, 0, message, "")
    assert not cards.is_same({"components": [{"custom_id": 1}, "x"]}, one, 0, message, "")
    assert not cards.is_same({}, one, 0, message, "")
    assert 0 < cards.mark(one, 0) < 1 << 31
    assert limits.message_errors(sent) == {}


def test_what_tells_its_post_from_every_other():
    def tells(view, n=0):
        return cards.is_telling(view, cards.messages(view)[n])

    assert tells(DecidedCard(inquiry="i-7f3a", title="T", headline="Denied by Bo"))
    assert tells(Answer(task="t-81c2", speaker="CTO", text="done"))
    assert tells(Answer(task="t-81c2", speaker="CTO", text="done " * 500), 1)
    assert not tells(Answer(task="t-81c2", speaker="CTO", text="done", artifacts=("report.md",)), 1)
    assert not tells(Line(text="done"))


def said_post(view, number="p-1"):
    place = Conversation(platform="discord", account="1", channel="2")
    return Post(id=PostId(number), conversation=place, view=view, slot="s", at_ms=0)


# --- Forms ----------------------------------------------------------------------------------------------------------

EDIT = control(NONCE, Verb.EDIT)
ANSWER = control(NONCE, Verb.ANSWER)


def modal(some_control, **changes):
    made = forms.modal(some_control, msgspec.structs.replace(card(inquiry()), **changes))
    assert not limits.modal_errors(made)
    return made


def inputs(made):
    return {some["component"]["custom_id"]: some["component"] for some in made["components"]}


def test_forms_of_one_text():
    assert not inputs(modal(control(NONCE, Verb.DENY)))["reason"]["required"]
    assert inputs(modal(control(NONCE, Verb.ASK_BACK)))["text"]["required"]
    assert list(inputs(modal(ANSWER, form=()))) == ["answer"]
    assert modal(ANSWER, form=(), line="")["components"][0].get("description") is None
    assert modal(ANSWER)["custom_id"] == ANSWER


def test_a_form_has_an_input_a_question():
    asked = (
        Question(name="a", label="", value="1"),
        Question(name="b", label="B" * 80, about="about", options=("x", "y", "x"), value="y", required=False),
        Question(name="c", label="C", options=("o" * 101,), long=True),
        Question(name="d", label="D", value="v" * 4_001),
    )
    found = inputs(modal(EDIT, edit=asked))
    assert list(found) == ["a", "b", "c"]
    assert found["a"]["value"] == "1"
    assert [option["default"] for option in found["b"]["options"]] == [False, True]
    assert found["c"]["style"] == 2


def test_what_a_modal_cannot_hold_is_one_input():
    many = tuple(Question(name=f"n{n}", label="L", value="v" * 900) for n in range(6))
    (only,) = inputs(modal(EDIT, edit=many)).values()
    assert list(json.loads(only["value"])) == ["n0", "n1", "n2", "n3"]
    assert list(inputs(modal(ANSWER, form=many))) == ["answer"]
    assert list(inputs(modal(EDIT, edit=(Question(name="", label="L"),)))) == ["edit"]
    assert "value" not in inputs(modal(EDIT, edit=()))["edit"]


def test_other_presses_need_no_form():
    for some in ("later-release", control(NONCE, Verb.ANSWER, 2)):
        assert not forms.wants_form(some)
        assert forms.modal(some, card(inquiry())) is None
    assert forms.modal(control(NONCE, Verb.APPROVE), card(inquiry())) is None
    assert inputs(modal(control(NONCE, Verb.APPROVE), approve_reason=True))["reason"]["required"]


def test_the_menu_is_one_of_discord():
    made = forms.commands((*MENU, ("bare", "", "")))
    assert not limits.command_errors(made)
    assert {some["name"] for some in made} >= {"ask", "inbox", "approve"}
    assert [some["options"][0]["required"] for some in made if some["name"] in {"ask", "deny"}] == [True, False]
    assert forms.commands_digest("1", made) != forms.commands_digest("2", made)


def test_the_invitation_asks_for_what_is_needed():
    assert forms.invite_url("42") == (
        "https://discord.com/oauth2/authorize?client_id=42&scope=bot+applications.commands&permissions=309237763072"
    )


# --- Messages -------------------------------------------------------------------------------------------------------

ME = wire.Me(id="900", roles=frozenset({"901"}))
SNOWFLAKE = wire.snowflake_at(MONDAY_MS)
CHANNEL = wire.Spot(guild="7")
THREAD = wire.Spot(guild="7", parent="77")


def said(**changes):
    plain = {
        "id": SNOWFLAKE,
        "channel_id": "70",
        "guild_id": "7",
        "type": 0,
        "author": {"id": "1", "username": "ana", "global_name": "Ana\u202e"},
        "content": "hello",
    }
    return plain | changes


def test_a_message():
    event = wire.received(said(), CHANNEL, ME)
    assert event.key == f"discord:message:{SNOWFLAKE}"
    assert event.at_ms == MONDAY_MS
    assert event.conversation == Conversation(platform="discord", account="7", channel="70", thread=SNOWFLAKE)
    assert (event.sender.account, event.sender.name) == ("discord:1", "Ana<U+202E>")
    assert (event.text, event.addressed) == ("hello", False)


def test_where_it_was_said():
    direct = wire.received(said(guild_id=None), wire.Spot(), ME)
    assert direct.conversation == Conversation(platform="discord", account="dm", channel="70")
    assert direct.addressed
    assert wire.received(said(), THREAD, ME).conversation.thread == "70"
    answering = said(referenced_message={"id": "5", "author": {"id": "1"}, "thread": {"id": "5"}})
    assert wire.received(answering, CHANNEL, ME).conversation.thread == "5"


def test_who_is_meant():
    named = said(
        content="<@!900> <@2> <@3> look <:ok:5> <@&901>", mentions=[{"id": "900"}, {"id": "2", "username": "bo"}]
    )
    event = wire.received(named, CHANNEL, ME)
    assert (event.text, event.addressed) == ("@bo @3 look :ok:", True)
    assert wire.received(said(content="<@&901> x", mention_roles=["901", 3]), CHANNEL, ME).addressed
    assert wire.received(said(content="<@900>", mentions=[{"id": "900"}]), CHANNEL, ME).text == ""
    answer = wire.received(said(referenced_message={"author": {"id": "900"}, "content": "I"}), CHANNEL, ME)
    assert (answer.addressed, answer.earlier) == (True, ())
    other = said(
        referenced_message={"author": {"id": "2", "username": "bo"}, "content": "red"},
        message_reference={"message_id": "5"},
    )
    event = wire.received(other, CHANNEL, ME)
    assert (event.addressed, event.reply_to, event.earlier) == (False, "5", (Quote(speaker="bo", text="red"),))


def test_earlier_messages():
    lines = [
        {"type": 21, "referenced_message": {"author": {"id": "2", "username": "bo"}, "content": "start"}},
        {"author": {"id": "900", "username": "Signoff"}, "content": "I"},
        {"author": {"id": "2", "username": "bo"}, "content": ""},
        {"content": "nobody"},
    ]
    assert wire.quotes(lines, ME) == (
        Quote(speaker="bo", text="start"),
        Quote(speaker="Signoff", text="I", by_agent=True),
    )


@pytest.mark.parametrize(
    "message",
    [
        {},
        said(id=None),
        said(channel_id="x"),
        said(author=None),
        said(author={"id": "900"}),
        said(author={"id": "1", "bot": True}),
        said(webhook_id="5"),
        said(type=7),
        said(content=""),
        said(content=None, attachments=[{}]),
        said(id=True),
    ],
)
def test_what_is_no_message(message):
    assert wire.received(message, CHANNEL, ME) is None


def test_files():
    some = {"id": "8", "filename": "../x", "content_type": "text/plain", "size": 3, "url": "https://cdn.example/x"}
    (file,) = wire.received(said(content="", attachments=[some, {"id": None}, "x"]), CHANNEL, ME).files
    assert (file.name, file.media, file.bytes_n) == ("../x", "text/plain", 3)
    assert json.loads(file.ref) == {"channel": "70", "message": SNOWFLAKE, "id": "8", "url": "https://cdn.example/x"}


def test_ids_may_be_numbers():
    assert wire.id_of({"id": 5}, "id") == "5"


def test_texts_can_be_stored():
    assert wire.received(said(content="half \ud800\x00" + "x" * 50_000), CHANNEL, ME).text.startswith("half ?x")


@pytest.mark.parametrize(
    ("text", "name", "arguments"),
    [("/tasks", "tasks", ()), ("/Deny i-7f3a too  early", "deny", ("i-7f3a", "too  early"))],
)
def test_typed_commands(text, name, arguments):
    event = wire.received(said(content=text, guild_id=None), wire.Spot(), ME)
    found = wire.typed(event)
    assert isinstance(found, CommandReceived)
    assert (found.name, found.arguments, found.key) == (name, arguments, event.key)


def test_typed_commands_stay_where_they_were_typed():
    there = msgspec.structs.replace(wire.received(said(content="/tasks"), CHANNEL, ME), addressed=True)
    assert wire.typed(there).conversation.thread == ""
    inside = msgspec.structs.replace(wire.received(said(content="/tasks"), THREAD, ME), addressed=True)
    assert wire.typed(inside).conversation.thread == "70"
    ask = msgspec.structs.replace(there, text="/ask ship it")
    assert wire.typed(ask) == msgspec.structs.replace(there, text="ship it")
    for text in ("/etc/hosts is wrong", "hm"):
        other = msgspec.structs.replace(there, text=text)
        assert wire.typed(other) is other
    assert isinstance(wire.typed(msgspec.structs.replace(there, addressed=False)), MessageReceived)


def test_edits():
    message, edit = wire.edited(said(edited_timestamp="2026-11-23T18:00:01+00:00"), CHANNEL, ME)
    assert message.text == "hello"
    assert isinstance(edit, MessageEdited)
    assert (edit.key, edit.original) == (f"discord:edit:{SNOWFLAKE}:{MONDAY_MS + 1000}", message.key)
    for stamp in (None, "soon"):
        assert wire.edited(said(edited_timestamp=stamp), CHANNEL, ME) is None


def test_when_a_server_was_joined():
    assert wire.joined_ms({"joined_at": "1970-01-01T00:00:01+00:00"}) == 1_000
    assert wire.joined_ms({"joined_at": None}) == wire.joined_ms({}) == 0


def test_places():
    guild = {
        "id": "7",
        "name": "Home",
        "joined_at": "2024",
        "channels": [
            {"id": "69", "type": 4},
            {"id": "70", "type": 0, "last_message_id": "5"},
            {"id": "71", "type": 15, "last_message_id": None},
            {"type": 0},
        ],
        "threads": [{"id": "80", "type": 11, "parent_id": "70"}],
        "roles": [{"id": "901", "tags": {"bot_id": "900"}}, {"id": "902"}],
    }
    found = wire.spots(guild)
    assert found["70"] == wire.Spot(guild="7", last_message="5")
    assert found["71"] == wire.Spot(guild="7", last_message="", writable=False)
    assert found["80"] == wire.Spot(guild="7", parent="70")
    assert not found["69"].writable
    assert wire.own_roles(guild, "900") == {"901"}
    event = wire.added(guild, MONDAY_MS)
    assert (event.key, event.conversation.channel) == ("discord:added:7:2024", "70")
    assert wire.added(guild | {"system_channel_id": "79"}, MONDAY_MS).conversation.channel == "79"
    assert wire.added({"id": "7"}, MONDAY_MS) is None


# --- Interactions ---------------------------------------------------------------------------------------------------


def acted(kind, data, **changes):
    plain = {
        "id": SNOWFLAKE,
        "token": "tok",
        "application_id": "900",
        "type": kind,
        "guild_id": "7",
        "channel": {"id": "70", "type": 0},
        "member": {"nick": "Nan", "user": {"id": "1", "username": "ana"}},
        "data": data,
    }
    return plain | changes


def test_a_command():
    some = wire.interaction(acted(2, {"name": "deny", "options": [{"name": "text", "value": "i-7f3a  no  way"}]}))
    assert (some.id, some.token, some.application, some.asks) == (SNOWFLAKE, "tok", "900", "")
    assert (some.event.name, some.event.arguments) == ("deny", ("i-7f3a", "no  way"))
    assert some.event.key == f"discord:interaction:{SNOWFLAKE}"
    assert some.event.sender.name == "Nan"
    assert some.event.conversation == Conversation(platform="discord", account="7", channel="70")


def test_an_ask():
    some = wire.interaction(acted(2, {"name": "ask", "options": [{"value": "ship it now"}]}))
    assert some.asks == "ship it now"
    assert wire.asked(some, "99").conversation.thread == "99"
    there = acted(2, {"name": "ask", "options": [{"value": "x"}]}, channel={"id": "80", "type": 11, "parent_id": "70"})
    assert wire.asked(wire.interaction(there), "99").conversation.thread == "80"


def test_a_press_and_a_form():
    direct = {"guild_id": None, "member": None, "user": {"id": "1"}, "channel": None, "channel_id": "60"}
    press = wire.interaction(acted(3, {"custom_id": "x.a"}, **direct))
    assert isinstance(press.event, ControlPressed)
    assert press.event.conversation == Conversation(platform="discord", account="dm", channel="60")
    assert (press.event.control, press.event.sender.name, press.asks) == ("x.a", "1", "")
    rows = [
        {"type": 18, "component": {"custom_id": "a", "value": "1"}},
        {"type": 18, "component": {"custom_id": "b", "values": ["y"]}},
        {"type": 18, "component": {"custom_id": "c", "values": []}},
        {"type": 1, "components": [{"custom_id": "d", "value": "2"}]},
        {"components": [{"components": [{"components": [{"components": [{"custom_id": "deep"}]}]}]}]},
    ]
    form = wire.interaction(acted(5, {"custom_id": "x.e", "components": rows}))
    assert isinstance(form.event, FormSubmitted)
    assert form.event.fields == {"a": "1", "b": "y", "c": "", "d": "2"}


@pytest.mark.parametrize(
    "data",
    [
        {},
        acted(1, {}),
        acted(2, {}),
        acted(3, {}),
        acted(5, {}),
        acted(99, {"name": "x"}),
        acted(2, {"name": "x"}, token=None),
    ],
)
def test_what_is_no_interaction(data):
    assert wire.interaction(data) is None


def test_findings():
    me = {"id": "900", "username": "Signoff"}
    well = checks.findings(me, {"id": "42", "flags": 1 << 19, "bot_public": False}, [{"name": "Home"}] * 7)
    assert [ok for ok, _ in well] == [True] * 4
    assert "and 2 more" in well[3][1]
    ill = checks.findings(me, {"bot_public": True}, [])
    assert [ok for ok, _ in ill] == [True, False, True, False]
    assert "client_id=900" in ill[3][1]
    assert ill[2][1] == words.PUBLIC


def test_what_the_card_does_not_say_is_not_there():
    bare = InquiryCard(
        inquiry="i-1",
        revision=1,
        title="",
        line="",
        fields=(),
        more_n=0,
        whole=(),
        why="",
        tier="",
        decide_by_ms=None,
        decide_within_ms=None,
        needs="",
        buttons=(),
    )
    assert not limits.message_errors(cards.messages(bare)[0].body)
    empty = DecidedCard(inquiry="i-1", title="", headline="")
    assert not limits.message_errors(cards.messages(empty)[0].body)
