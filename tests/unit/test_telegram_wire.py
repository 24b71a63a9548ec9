"""Views as Telegram shows them, forms as questions and replies, updates as what they mean, and the pace.

The snapshots are what is sent. Write them anew with SIGNOFF_SNAPSHOTS=write, and read what changed.
"""

import json
import os
from pathlib import Path

import msgspec
import pytest

from bots import words as common
from bots.telegram import cards, checks, forms, wire, words
from bots.telegram.pace import Pace
from core.model.events import BotAdded, CommandReceived, Conversation, MessageEdited, MessageReceived
from core.model.inquiries import Verb
from core.model.views import Answer, Branch, Button, Field, Inbox, InboxItem, Line, Question, Trouble
from core.rules.controls import control
from tests.fakes.telegram_text import keyboard, parse
from tests.unit.all_views import LONG_ARGUMENTS, PROSE, VIEWS, acting, card, inquiry, status
from tests.unit.view_samples import NONCE

SNAPSHOTS = Path(__file__).parent / "snapshots" / "telegram"
MARKDOWN = """## Debt <b>now</b>

Two *real* problems & one ~~old~~, see [the list](https://acme.example/?a=1&b=2) or `make debt`:

1. **Tests**: slow
   - 40 s <script>
2. Types

> A quote
>
> > inside a quote

```python
print("<hi>")
```

| area | cost |
| --- | --- |
| tests | 3 days |

---

```
bare
```
"""
MORE = {"markdown": tuple(Answer(task="t-81c200112233", speaker="CTO", text=text) for text in ("", "*", MARKDOWN))}
ALL = VIEWS | MORE
SIZES = ("shortest", "usual", "longest")


def drawn(piece):
    match piece:
        case cards.Text(html, rows):
            return "\n".join([html, *("[" + "] [".join(button.label for button in row) + "]" for row in rows)])
        case cards.Whole(name, body):
            return f"<<file {name}, {len(body)} letters>>"
        case cards.Stored(artifact):
            return f"<<stored {artifact}>>"


@pytest.mark.parametrize("name", ALL)
def test_snapshot(name):
    sizes = zip(SIZES, ALL[name], strict=True)
    text = "".join(
        f"--- {size}\n" + "\n+++\n".join(drawn(piece) for piece in cards.draw(view, "UTC")) + "\n\n"
        for size, view in sizes
    )
    kept = SNAPSHOTS / f"{name}.txt"
    if os.environ.get("SIGNOFF_SNAPSHOTS") == "write":
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(text, "utf-8")
    assert text == kept.read_text("utf-8")


def test_there_is_no_snapshot_of_nothing():
    assert {path.name for path in SNAPSHOTS.iterdir()} == {f"{name}.txt" for name in ALL}


@pytest.mark.parametrize("name", ALL)
def test_telegram_takes_it(name):
    for view in ALL[name]:
        for piece in cards.draw(view, "Europe/Berlin"):
            if isinstance(piece, cards.Text):
                text, _ = parse(piece.html, "HTML")
                assert 0 < cards.units(text) <= cards.TEXT_MAX
                assert keyboard(wire.message(piece).get("reply_markup", {})) is not None


# --- Drawing ----------------------------------------------------------------------------------------------------------


def only(view):
    (piece,) = cards.draw(view, "UTC")
    return piece


def test_markup_in_views_is_text():
    text, entities = parse(only(Line(speaker="<b>x", text="<i>@everyone</i> & tg://user?id=1")).html, "HTML")
    assert text == "<b>x: <i>@everyone</i> & tg://user?id=1"
    assert {entity["type"] for entity in entities} == {"bold"}
    text, entities = parse(only(Answer(task="t-1", speaker="C", text="[x](https://t.me/b?signoff=1)")).html, "HTML")
    assert "text_link" not in {entity["type"] for entity in entities}


def test_lengths_are_counted_in_utf_16_units():
    assert [len(cards.draw(Line(text="😀" * n), "UTC")) for n in (2_048, 2_049)] == [1, 2]
    assert cards.clip("😀😀", 4) == "😀😀"
    assert cards.clip("😀😀😀", 4) == "😀…"
    assert only(Line(text=" \u200d")).html == words.EMPTY


def test_long_answers_are_pages_and_longer_ones_a_file():
    pages = cards.draw(Answer(task="t-81c2", speaker="C", text=PROSE * 34), "UTC")
    assert [type(page) for page in pages] == [cards.Text] * 4
    first, file, stored = cards.draw(
        Answer(task="t-81c2", speaker="C", text=PROSE * 80, risks=("some",), degraded="not", artifacts=("a",)), "UTC"
    )
    assert first.html.endswith(f"<i>{words.WHOLE_IN_FILE}</i>")
    assert file.name == "t-81c2.md"
    assert "## Risks\n\n- some\n" in file.body
    assert stored == cards.Stored("a")


def test_a_card_is_shortened_until_it_fits():
    fields = tuple(Field(name=f"f{n}", shown="x" * 800) for n in range(9))
    text, _ = parse(only(msgspec.structs.replace(card(inquiry()), fields=fields, more_n=2)).html, "HTML")
    assert common.more(9 - text.count("xxx\nf") - 1 + 2) in text
    empty = msgspec.structs.replace(card(inquiry()), fields=(Field(name="a", shown=" "), Field(name="b", shown="1\n2")))
    assert "<b>a</b>: (empty)\n<b>b</b>: <pre>1\n2</pre>" in only(empty).html


def test_who_decides_alone_sees_all_of_it():
    some = msgspec.structs.replace(card(acting(LONG_ARGUMENTS)), hint="you are the only person here")
    assert common.more(1)[-4:] not in only(some).html
    assert all(field.name in only(some).html for field in some.whole)


def test_more_branches_than_fit_are_counted():
    text = only(status(*(Branch(roles=("A",), doing="x") for _ in range(9)), more=2)).html
    assert "and 3 more" in text


def test_buttons_stand_side_by_side_unless_they_are_options():
    row = tuple(Button(control=control(NONCE, Verb.APPROVE), label=label) for label in ("Yes", "No", "Go", "Stop"))
    option = Button(control=control(NONCE, Verb.ANSWER, 0), label="Spain")
    some = msgspec.structs.replace(card(inquiry()), buttons=(*row, option, row[0]))
    assert [[button.label for button in r] for r in only(some).rows] == [
        ["Yes", "No", "Go"],
        ["Stop"],
        ["Spain"],
        ["Yes"],
    ]
    message = wire.message(cards.Text("x", ((Button(control="c", label=""),),)))
    assert message["reply_markup"]["inline_keyboard"] == [[{"text": "…", "callback_data": "c"}]]


def test_inbox_items_have_numbered_buttons():
    button = Button(control=control(NONCE, Verb.VIEW), label="View all")
    item = InboxItem(inquiry="i-1", title="T", tier="t", age_ms=1, overdue=True, needs="", buttons=(button,))
    assert [b.label for row in only(Inbox(items=(item,) * 2)).rows for b in row] == ["1. View all", "2. View all"]
    assert only(Trouble(what=" ")).html == words.EMPTY


# --- Forms ------------------------------------------------------------------------------------------------------------

DENY, EDIT, BACK, ANSWER = (control(NONCE, verb) for verb in (Verb.DENY, Verb.EDIT, Verb.ASK_BACK, Verb.ANSWER))
CARD = card(inquiry())
SITE = Question(name="site", label="Site", about="where", value="landing", options=("landing", "blog"))


def asked(some_control, some_card, again=False):
    form = forms.opened(some_card, some_control)
    html = forms.question(form, some_card, "team_bot", ("1", "<Ana>"), again=again).html
    text, entities = parse(html, "HTML")
    assert cards.units(text) <= cards.TEXT_MAX
    assert forms.of_message({"entities": entities}) == form
    assert entities[0]["url"] == "tg://user?id=1"
    assert 0 < len(forms.placeholder(form, some_card)) <= 64
    return form, text


def test_which_presses_open_a_form():
    approve = control(NONCE, Verb.APPROVE)
    assert all(map(forms.wants_form, (DENY, EDIT, BACK, ANSWER, approve)))
    assert forms.is_wanted(CARD, DENY)
    assert not forms.is_wanted(CARD, approve)
    assert forms.is_wanted(msgspec.structs.replace(CARD, approve_reason=True), approve)
    others = (control(NONCE, Verb.VIEW), control(NONCE, Verb.ANSWER, 0), "what")
    assert not any(map(forms.wants_form, others))


def test_one_question_is_answered_by_the_whole_reply():
    form, text = asked(DENY, CARD)
    assert text.startswith("<Ana>: Deny · DevOps asks to run deploy · i-7f3a\n")
    assert forms.answered(form, "site: not now\nreally") == {"reason": "site: not now\nreally"}
    assert forms.answered(form, " - ") == {"reason": ""}
    form, _ = asked(BACK, CARD)
    assert forms.answered(form, "-") == {"text": "-"}
    form, _ = asked(ANSWER, CARD)
    assert forms.answered(form, "42") == {"answer": "42"}


def test_edits_show_what_is_now():
    form, text = asked(EDIT, msgspec.structs.replace(CARD, edit=(SITE,)))
    assert text.endswith(f"Site\nwhere · one of landing, blog\nlanding\n{words.FORMS[Verb.EDIT]}")
    assert forms.answered(form, "blog") == {"site": "blog"}
    many = tuple(Question(name=f"n{n}", label="N", value="v") for n in range(11))
    form, text = asked(EDIT, msgspec.structs.replace(CARD, edit=many))
    assert form.names == ("edit",)
    assert '"n10": "v"' in text
    wide = (Question(name="n" * 700, label="N"), SITE)
    assert asked(EDIT, msgspec.structs.replace(CARD, edit=wide))[0].names == ("edit",)
    assert asked(ANSWER, msgspec.structs.replace(CARD, form=wide))[0].names == ("answer",)


def test_several_questions_are_lines_or_steps():
    long = Question(name="body", label="Body", value="x" * 300)
    some = msgspec.structs.replace(CARD, form=(SITE, long))
    form, text = asked(ANSWER, some)
    assert "site: landing" in text
    assert words.too_long_to_show("body") in text
    assert words.FORM_STEPS in text
    assert words.FORM_TOO_LONG in asked(ANSWER, some, again=True)[1]
    assert forms.answered(form, "noise\nSITE: blog\nand: more\nbody:\nb") == {"site": "blog\nand: more", "body": "b"}
    rest = forms.answered(form, "blog")
    assert rest == forms.Form(control=ANSWER, names=("body",), got=(("site", "blog"),))
    assert forms.answered(rest, "text") == {"site": "blog", "body": "text"}
    assert forms.answered(form, "long " * 400) == form
    unknown = forms.Form(control=ANSWER, names=("gone",))
    assert "gone" in forms.question(unknown, some, "team_bot", ("1", "")).html
    assert forms.placeholder(unknown, some) == "gone"


@pytest.mark.parametrize(
    "entities",
    [
        None,
        [None],
        [{"url": 5}],
        [{"url": "https://t.me/team_bot"}],
        [{"url": f"https://evil.example/?signoff={DENY}&n=reason"}],
        [{"url": f"https://t.me/team_bot?signoff={DENY}"}],
        [{"url": "https://t.me/team_bot?signoff=what&n=reason"}],
    ],
)
def test_other_links_are_no_forms(entities):
    assert forms.of_message({"entities": entities}) is None


# --- Updates ----------------------------------------------------------------------------------------------------------

ME = wire.Me(id="77", username="Team_Bot")
USER = {"id": 5, "is_bot": False, "first_name": "Ana", "last_name": "B\u202e"}
BOT = {"id": 77, "is_bot": True, "first_name": "Team", "username": "Team_Bot"}
GROUP = {"id": -100, "type": "supergroup", "title": "G"}
PRIVATE = {"id": 5, "type": "private"}


def message(text="hi", /, **more):
    plain = {"message_id": 3, "date": 1_700_000_000, "chat": GROUP, "from": USER, "text": text}
    return {key: value for key, value in (plain | more).items() if value is not None}


def heard(body, kind="message"):
    return wire.read({"update_id": 9, kind: body}, ME, 1_000)


def mark(kind, offset, length, **more):
    return [{"type": kind, "offset": offset, "length": length, **more}]


def test_a_message():
    event = heard(message(message_thread_id=8, is_topic_message=True))
    assert event == MessageReceived(
        key="telegram:77:message:-100:3",
        at_ms=1_700_000_000_000,
        conversation=Conversation(platform="telegram", account="77", channel="-100", thread="8"),
        sender=event.sender,
        text="hi",
        addressed=False,
    )
    assert (event.sender.account, event.sender.name) == ("telegram:5", "Ana B<U+202E>")
    assert heard(message(message_thread_id=8)).conversation.thread == ""
    assert heard(message(chat=PRIVATE)).addressed
    assert heard(message("a\x00\ud800", date=None)).text == "a?"
    assert heard(message(**{"from": {"id": 5, "username": "ana"}})).sender.name == "ana"


@pytest.mark.parametrize(
    ("text", "marks", "left"),
    [
        ("@team_bot do it", mark("mention", 0, 9), "do it"),
        ("😀 @TEAM_BOT do it", mark("mention", 3, 9), "😀 do it"),
        ("do it @team_bot", mark("mention", 6, 9), "do it"),
        ("Team, do it", mark("text_mention", 0, 5, user={"id": 77}), "do it"),
        ("@team_bot", [*mark("mention", 0, 9), None], None),
    ],
)
def test_our_name_is_taken_out(text, marks, left):
    event = heard(message(text, entities=marks))
    assert (event.text, event.addressed) == (left, True) if left else event is None


def test_other_names_stay():
    event = heard(message("@other and @team_bot_2", entities=mark("mention", 0, 6) + mark("mention", 11, 11)))
    assert (event.text, event.addressed) == ("@other and @team_bot_2", False)
    assert heard(message("x", entities=mark("text_mention", -4, 2, user={"id": 77}))).addressed is False


def test_replies_bring_what_they_answer():
    event = heard(message(reply_to_message=message("before", message_id=2)))
    assert (event.reply_to, event.addressed) == ("2", False)
    assert [(quote.speaker, quote.text, quote.by_agent) for quote in event.earlier] == [
        ("Ana B<U+202E>", "before", False)
    ]
    event = heard(message(reply_to_message=message(None, message_id=2, caption="ours", **{"from": BOT})))
    assert (event.addressed, event.earlier[0].by_agent) == (True, True)
    assert heard(message(reply_to_message={"message_id": 1, "forum_topic_created": {}, "from": BOT})).reply_to is None
    assert heard(message(reply_to_message=message("", message_id=2))).earlier == ()


def test_replies_to_a_form_are_its_answer_if_the_form_is_ours():
    form = forms.opened(CARD, DENY)
    _, entities = parse(forms.question(form, CARD, "Team_Bot", ("5", "Ana")).html, "HTML")
    ours = message("q", message_id=2, entities=entities, **{"from": BOT})
    reply = heard(message("no", reply_to_message=ours))
    assert (reply.form, reply.text, reply.message, reply.event.control) == (form, "no", 3, DENY)
    theirs = message("q", message_id=2, entities=entities)
    assert isinstance(heard(message("no", reply_to_message=theirs)), MessageReceived)
    assert heard(message("no!", reply_to_message=ours, edit_date=5), "edited_message") is None
    sticker = message(None, reply_to_message=ours, document={"file_id": "f"})
    assert isinstance(heard(sticker), MessageReceived)


def test_commands():
    def order(text, **more):
        return heard(message(text, entities=mark("bot_command", 0, 2), **more))

    event = order('/Edit@team_bot i-7f {"a": 1}')
    assert isinstance(event, CommandReceived)
    assert (event.name, event.arguments) == ("edit", ("i-7f", '{"a": 1}'))
    assert order("/inbox").arguments == ()
    assert order("/inbox@other_bot") is None
    assert isinstance(order("/start", chat=PRIVATE), BotAdded)
    link = order("/start ABC", chat=PRIVATE)
    assert (link.name, link.arguments) == ("link", ("ABC",))
    assert isinstance(heard(message("/etc/hosts")), MessageReceived)
    file = message(None, caption="/ask read it", caption_entities=mark("bot_command", 0, 4), document={"file_id": "f"})
    assert (heard(file).text, heard(file).addressed, len(heard(file).files)) == ("read it", True, 1)
    assert heard(message("/ask it now", entities=mark("bot_command", 0, 4)), "edited_message").text == "it now"


def test_files():
    photo = [{"file_id": "small", "width": 9, "height": 9}, {"file_id": "big", "width": 90, "height": 90}, None]
    document = {"file_id": "d", "file_name": "../\u202e.pdf", "mime_type": "application/pdf", "file_size": 7}
    event = heard(message(None, photo=photo, document=document, animation=document, voice={"file_id": "v"}))
    assert [(file.name, file.media, file.bytes_n, json.loads(file.ref)) for file in event.files] == [
        ("photo-3.jpg", "image/jpeg", 0, {"file_id": "big"}),
        ("../<U+202E>.pdf", "application/pdf", 7, {"file_id": "d"}),
        ("voice-3", "", 0, {"file_id": "v"}),
    ]
    assert event.text == ""


def test_edits_name_the_message_they_change():
    event = heard(message("better", edit_date=1_700_000_001), "edited_message")
    assert isinstance(event, MessageEdited)
    assert (event.key, event.original) == ("telegram:77:9", "telegram:77:message:-100:3")
    assert event.at_ms == 1_700_000_001_000


def test_presses():
    pressed = {"id": "q", "from": USER, "data": DENY, "message": message(**{"from": BOT})}
    press = heard(pressed, "callback_query")
    assert (press.query, press.message, press.private) == ("q", 3, False)
    assert (press.event.control, press.event.at_ms, press.event.key) == (DENY, 1_000, "telegram:77:9")
    assert heard(pressed | {"message": {"message_id": 3, "date": 0, "chat": PRIVATE}}, "callback_query").private
    assert heard(pressed | {"from": BOT}, "callback_query") is None
    assert heard({"id": "q", "from": USER, "data": DENY}, "callback_query") is None


def test_being_brought_somewhere():
    def member(was, now):
        states = {"old_chat_member": {"status": was}, "new_chat_member": {"status": now}}
        return heard({"chat": GROUP, "from": USER, "date": 5, **states}, "my_chat_member")

    assert isinstance(member("left", "member"), BotAdded)
    assert member("member", "administrator") is None
    assert member("member", "kicked") is None


@pytest.mark.parametrize(
    "body",
    [
        {},
        message(chat=None),
        message(chat={"id": 1, "type": "channel"}),
        message(**{"from": BOT}),
        message(**{"from": None}),
        message(sender_chat={"id": 1}),
        message(is_automatic_forward=True),
        message(message_id=True),
        message(None),
        message(["not", "text"]),
    ],
)
def test_what_is_nothing(body):
    assert heard(body) is None


def test_edits_of_nothing_are_nothing():
    assert heard(message(None), "edited_message") is None
    assert heard({}, "edited_message") is None
    assert wire.read([], ME, 0) is None
    assert wire.update_id({"update_id": "x"}) == 0


# --- Payloads ---------------------------------------------------------------------------------------------------------


def test_payloads():
    assert wire.place("5", "7", "-100:3") == {
        "chat_id": "5",
        "message_thread_id": "7",
        "reply_parameters": {"message_id": 3, "allow_sending_without_reply": True},
    }
    assert wire.place("5", "", "x") == {"chat_id": "5"}
    assert wire.receipt("5", {"message_id": 3, "chat": {"id": -100}}) == "-100:3"
    assert wire.receipt("5", {"message_id": 3}) == "5:3"
    assert wire.receipt("5", True) == ""
    assert wire.of_receipt("-100:3") == ("-100", "3")
    menu = (("ask", "TEXT", "work"), ("inbox", "", "what waits"))
    assert wire.commands(menu) == [
        {"command": "ask", "description": "work (TEXT)"},
        {"command": "inbox", "description": "what waits"},
    ]
    assert wire.member_roles({"status": "creator"}) == {"admin"}
    assert wire.member_roles(None) == frozenset()
    assert wire.who_am_i(BOT) == ME
    assert wire.who_am_i({"id": 1}) is None
    assert wire.force_reply("x")["selective"] is True


def test_the_self_check_reads_any_answer():
    assert checks.findings(None, None, "") == ((False, words.out_of_order("getMe")),)
    hook = {"url": "https://a.example", "pending_update_count": 3, "last_error_message": "refused"}
    assert checks.findings(BOT, hook, "https://a.example") == (
        (True, words.is_bot("Team_Bot")),
        (True, words.PRIVACY_ON),
        (True, words.other_webhook("https://a.example")),
        (True, words.pending(3)),
        (False, words.webhook_error("refused")),
    )


# --- Pace -------------------------------------------------------------------------------------------------------------


def test_a_chat_may_be_quick_for_a_moment():
    pace = Pace(30)
    assert [pace.wait_ms("5", 0) for _ in range(6)] == [0, 0, 0, 0, 0, 5_000]
    assert pace.wait_ms("6", 0) == 0
    assert pace.wait_ms("5", 5_000) == 0


def test_a_group_takes_twenty_a_minute_and_status_lines_leave_room():
    pace = Pace(30)
    assert [pace.wait_ms("-5", n * 1_000, spare=True) > 0 for n in range(12)] == [False] * 10 + [True, True]
    assert [pace.wait_ms("-5", 20_000 + n * 1_000) for n in range(11)] == [0] * 10 + [30_000]
    assert pace.wait_ms("-5", 60_000) == 0


def test_everything_together_has_a_limit():
    pace = Pace(2)
    assert [pace.wait_ms(str(n), 0) for n in range(3)] == [0, 0, 1_000]
    for n in range(6_000):
        pace.wait_ms(str(n), n * 1_000)


def test_whose_limit_it_was():
    pace = Pace(30)
    assert pace.scope("5", 0, 1_000) == "conversation"
    assert pace.scope("5", 500, 1_000) == "conversation"
    assert pace.scope("6", 600, 1_000) == "account"
    assert pace.scope("7", 9_000, 1_000) == "conversation"
