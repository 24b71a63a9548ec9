"""What holds of Slack's wire whatever comes, and whatever is to be shown."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.slack import cards, forms, payloads, wire
from core.model.events import Conversation
from core.model.inquiries import Verb
from core.model.views import (
    Answer,
    Branch,
    Button,
    DecidedCard,
    Field,
    Inbox,
    InboxItem,
    InquiryCard,
    Line,
    Post,
    Question,
    StatusLine,
    Trouble,
)
from core.rules.controls import control
from tests.fakes.slack import blocks as kit

ME = wire.Me(team="T1", user="UBOT", bot="BBOT")
HERE = Conversation(platform="slack", account="T1", channel="C1")
HOSTILE = st.sampled_from(
    [
        "<!channel>",
        "<@U1>",
        "@everyone",
        "&",
        "<",
        "```",
        "*b*",
        "\u202e",
        "😀" * 30,
        "x" * 3_001,
        "\n",
        "- ",
        "|",
        "\x00",
    ]
)
TEXT = st.lists(st.one_of(HOSTILE, st.text(max_size=30)), max_size=5).map("".join)
MS = st.integers(0, 4_000_000_000_000)
STYLE = st.sampled_from(["plain", "good", "bad", "odd"])


def some(strategy, n=12):
    return st.lists(strategy, max_size=n).map(tuple)


CONTROLS = st.integers(0, 10**9).map(lambda n: f"{n:016x}.a")
BUTTONS = some(st.builds(Button, control=CONTROLS, label=TEXT, key=st.just(""), style=STYLE), 8).map(
    lambda found: tuple({button.control: button for button in found}.values())
)
FIELDS = some(st.builds(Field, name=TEXT, shown=TEXT))
QUESTIONS = some(
    st.builds(Question, name=TEXT, label=TEXT, about=TEXT, value=TEXT, options=some(TEXT, 5), required=st.booleans())
)
CARDS = st.builds(
    InquiryCard, inquiry=st.just("i-7f3a00112233"), revision=st.just(1), title=TEXT, line=TEXT, fields=FIELDS,
    more_n=st.integers(0, 9), whole=FIELDS, why=TEXT, tier=TEXT, decide_by_ms=st.none() | MS,
    decide_within_ms=st.none(), needs=TEXT, buttons=BUTTONS, hint=TEXT, overdue=st.booleans(), speaker=TEXT,
    form=QUESTIONS, edit=QUESTIONS,
)  # fmt: skip
VIEWS = st.one_of(
    st.builds(Line, text=TEXT, speaker=TEXT),
    st.builds(
        StatusLine, task=st.just("t-81c200112233"), steps=st.integers(0), tokens=st.integers(0, 10**12),
        cost_microusd=st.integers(0, 10**12), started_at_ms=MS, at_ms=MS, done=st.sampled_from(["", "done", "odd"]),
        branches=st.lists(st.builds(Branch, roles=some(TEXT, 3), doing=TEXT), min_size=1, max_size=6).map(tuple),
    ),
    st.builds(
        Answer, task=st.just("t-81c200112233"), speaker=TEXT, text=TEXT, changed=some(TEXT), risks=some(TEXT),
        next_needs=some(TEXT), artifacts=some(TEXT), degraded=TEXT,
    ),
    CARDS,
    st.builds(DecidedCard, inquiry=st.just("i-7f3a00112233"), title=TEXT, headline=TEXT, outcome=TEXT, speaker=TEXT),
    st.builds(
        Inbox,
        items=some(
            st.builds(
                InboxItem, inquiry=st.just("i-7f3a00112233"), title=TEXT, tier=TEXT, age_ms=st.integers(0, 10**12),
                overdue=st.booleans(), needs=TEXT, buttons=BUTTONS,
            ),
            30,
        ),
    ),
    st.builds(Trouble, what=TEXT, means=TEXT, next_step=TEXT, remedy=TEXT),
)  # fmt: skip


@given(VIEWS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_slack_takes_whatever_is_shown_and_nobody_is_called(view, by_name):
    post = Post(id="p-000000000001", conversation=HERE, view=view, slot="s", at_ms=0)
    found = cards.pieces(view, "UTC")
    assert found == cards.pieces(view, "UTC")
    assert found
    for part, piece in enumerate(found):
        if isinstance(piece, cards.Message):
            payload = payloads.posted(post, part, piece, by_name=by_name)
            blocks = [{**block, "block_id": str(n)} for n, block in enumerate(payload["blocks"])]
            assert kit.message_problems(blocks) == []
            assert not kit.too_long(blocks)
            assert 0 < len(payload["text"]) <= 4_000
            assert kit.pings(payload, names=payload["link_names"]) == ()
            assert payloads.holds({**payload, "ts": "1.000001"}, post, part) == "1.000001"
            json.dumps(payload).encode()


@given(CARDS, st.sampled_from([Verb.DENY, Verb.EDIT, Verb.ASK_BACK, Verb.ANSWER]))
@settings(max_examples=40, deadline=None)
def test_slack_opens_whatever_form_is_asked_for(card, verb):
    view = forms.modal(control("0" * 16, verb), verb, card, HERE)
    assert kit.view_problems(view) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
KEYS = st.sampled_from(
    ["type", "team", "team_id", "event", "user", "channel", "ts", "text", "files", "edited", "message", "thread_ts",
     "view", "state", "values", "actions", "trigger_id", "command", "channel_id", "user_id", "id", "callback_id",
     "private_metadata", "container", "subtype", "previous_message", "authorizations", "size", "value", "name"]
)  # fmt: skip
KNOWN = st.sampled_from(
    ["event_callback", "block_actions", "view_submission", "message", "app_mention", "message_changed", "T1", "U1",
     "C1", "UBOT", "1700000000.000100", "member_joined_channel", "0000000000000000.d", "<@UBOT> hi", "file_share"]
)  # fmt: skip
LIKELY = st.recursive(
    KNOWN | JSON,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=8),
    max_leaves=25,
)
BODIES = st.builds(
    lambda kind, team, rest: {**rest, "type": kind, "team_id": team, "team": {"id": team}},
    KNOWN,
    st.sampled_from(["T1", "T1", "T2"]),
    st.dictionaries(KEYS, LIKELY, max_size=8),
)


@given(JSON | LIKELY | BODIES)
@settings(max_examples=150, deadline=None)
def test_reading_is_total(body):
    found = wire.read(body, ME, 1)
    event = getattr(found, "event", None)
    if event is not None:
        msgspec.json.encode(event)
        assert event.key.startswith("slack:T1:")
        assert event.conversation.account == "T1"


@given(st.dictionaries(KEYS, LIKELY, max_size=8), st.lists(LIKELY, max_size=4))
@settings(max_examples=60, deadline=None)
def test_reading_history_is_total(message, messages):
    spoken = wire.message({**message, "channel": "C1"}, ME)
    if spoken is not None:
        msgspec.json.encode(wire.edit_of(spoken, ME))
    assert len(wire.quotes(messages, "1700000000.5", ME, {})) <= wire.EARLIER_MAX
    post = Post(id="p-000000000001", conversation=HERE, view=Line(text="x"), slot="s", at_ms=0)
    assert all(isinstance(payloads.holds(each, post, 0), str) for each in messages)
    assert all(isinstance(payloads.holds_file(each, "n"), str) for each in messages)
