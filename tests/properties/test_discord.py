"""Whatever people, models and Discord come up with: Discord takes what we send, and nothing it sends breaks us."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bots import markdown
from bots.discord import cards, forms, markup, wire
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
from core.rules.controls import control, parse_control
from tests.fakes.discord import limits

MARKS = st.text("*_~`|<>@#-+.:()[]!\\ \n1a😀\u202e", max_size=60)
BITS = st.one_of(
    st.text(max_size=40), MARKS, st.sampled_from(["@everyone", "```", "<@1>", "https://a.example/x_y)", "- "])
)
TEXT = st.builds(lambda parts, n: "".join(parts) * n, st.lists(BITS, max_size=5), st.sampled_from([1, 1, 3, 40]))
NUMBER = st.integers(0, 10**13)
CONTROL = st.builds(
    lambda verb, option: f"0123456789abcdef.{verb}{option}",
    st.sampled_from("adebvnxwhrg"),
    st.sampled_from(["", "0", "7"]),
)
BUTTON = st.builds(Button, control=CONTROL, label=TEXT, style=st.sampled_from(["plain", "good", "bad", "new"]))
BUTTONS = st.lists(BUTTON, max_size=40).map(tuple)
FIELDS = st.lists(st.builds(Field, name=TEXT, shown=TEXT), max_size=12).map(tuple)
LINES = st.lists(TEXT, max_size=4).map(tuple)
QUESTION = st.builds(
    Question,
    name=TEXT,
    label=TEXT,
    about=TEXT,
    value=TEXT,
    options=LINES,
    required=st.booleans(),
    long=st.booleans(),
)
QUESTIONS = st.lists(QUESTION, max_size=7).map(tuple)
CARD = st.builds(
    InquiryCard,
    inquiry=TEXT,
    revision=NUMBER,
    title=TEXT,
    line=TEXT,
    fields=FIELDS,
    more_n=st.integers(0, 99),
    whole=FIELDS,
    why=TEXT,
    tier=TEXT,
    decide_by_ms=st.none() | NUMBER,
    decide_within_ms=st.none(),
    needs=TEXT,
    buttons=BUTTONS,
    hint=TEXT,
    overdue=st.booleans(),
    form=QUESTIONS,
    edit=QUESTIONS,
    approve_reason=st.booleans(),
)
ITEM = st.builds(
    InboxItem, inquiry=TEXT, title=TEXT, tier=TEXT, age_ms=NUMBER, overdue=st.booleans(), needs=TEXT, buttons=BUTTONS
)
VIEW = st.one_of(
    st.builds(Line, text=TEXT, speaker=TEXT),
    st.builds(
        StatusLine,
        task=TEXT,
        branches=st.lists(st.builds(Branch, roles=LINES, doing=TEXT), max_size=9).map(tuple),
        steps=NUMBER,
        tokens=NUMBER,
        cost_microusd=NUMBER,
        started_at_ms=NUMBER,
        at_ms=NUMBER,
        done=TEXT,
        roles_n=NUMBER,
        more=st.integers(0, 9),
    ),
    st.builds(
        Answer,
        task=TEXT,
        speaker=TEXT,
        text=TEXT,
        changed=LINES,
        risks=LINES,
        next_needs=LINES,
        artifacts=LINES,
        degraded=TEXT,
    ),
    CARD,
    st.builds(DecidedCard, inquiry=TEXT, title=TEXT, headline=TEXT, outcome=TEXT, state=TEXT),
    st.builds(Inbox, items=st.lists(ITEM, max_size=30).map(tuple)),
    st.builds(Trouble, what=TEXT, means=TEXT, next_step=TEXT, remedy=TEXT),
)

KEYS = st.sampled_from(
    [
        "id",
        "type",
        "channel_id",
        "guild_id",
        "author",
        "member",
        "user",
        "content",
        "mentions",
        "mention_roles",
        "attachments",
        "filename",
        "size",
        "url",
        "bot",
        "nick",
        "username",
        "referenced_message",
        "message_reference",
        "message_id",
        "thread",
        "edited_timestamp",
        "token",
        "application_id",
        "data",
        "name",
        "custom_id",
        "options",
        "value",
        "values",
        "components",
        "component",
        "channel",
        "parent_id",
        "channels",
        "threads",
        "roles",
        "tags",
        "bot_id",
    ]
)
LEAF = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-5, 20),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["1", "900", "5000000000", "2026-11-23T18:00:00+00:00", "9" * 20, "\ud800", "<@900>", "/ask x"]),
)
ANY = st.recursive(
    LEAF, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=10), max_leaves=40
)
DATA = st.fixed_dictionaries(
    {"id": st.just("5000000000"), "channel_id": st.just("7")}, optional={"author": ANY, "content": ANY, "data": ANY}
).flatmap(lambda base: st.dictionaries(KEYS, ANY, max_size=12).map(lambda more: base | more))
ME = wire.Me(id="900", roles=frozenset({"901"}))


@settings(max_examples=150, deadline=None)
@given(VIEW)
def test_discord_takes_every_view(view):
    found = cards.messages(view)
    assert found
    for message in found:
        assert limits.message_errors(message.body) == {}
        assert any(message.body.get(name) for name in ("content", "components"))
        assert message.body["allowed_mentions"] == {"parse": []}
        msgspec.json.encode(message.body)


@settings(max_examples=100, deadline=None)
@given(CARD, CONTROL)
def test_discord_takes_every_form(card, some_control):
    form = forms.modal(some_control, card)
    approves = parse_control(some_control)[1] is Verb.APPROVE
    wanted = forms.wants_form(some_control) and (card.approve_reason or not approves)
    assert (form is None) != wanted
    if form is not None:
        assert limits.modal_errors(form) == {}
        assert len(some_control) <= 32
        assert control(*parse_control(form["custom_id"])) == some_control


@settings(max_examples=200, deadline=None)
@given(TEXT, st.integers(0, 300))
def test_text_is_inert_and_fits(text, n):
    shown = markup.inert(text)
    bare = markup._URL.sub("", shown.replace("\\\\", "")) if "http" not in shown else ""
    for at, letter in enumerate(bare):
        assert letter not in "*~`|[]<@" or bare[at - 1] == "\\"
    assert markup.units(markup.fitted(text, n)) <= n


@settings(max_examples=100, deadline=None)
@given(TEXT)
def test_what_a_model_wrote_is_cut_into_what_fits(text):
    for part in markdown.split(markdown.parse(text), markup.size, 400):
        assert markup.size(part) <= 400


@settings(max_examples=300, deadline=None)
@given(DATA | ANY)
def test_nothing_that_discord_says_breaks_us(data):
    data = data if isinstance(data, dict) else {"x": data}
    for where in (wire.Spot(), wire.Spot(guild="7"), wire.Spot(guild="7", parent="8")):
        event = wire.received(data, where, ME)
        if event is not None:
            msgspec.json.encode(wire.typed(event))
        edit = wire.edited(data, where, ME)
        if edit is not None:
            msgspec.json.encode(edit)
    some = wire.interaction(data)
    if some is not None:
        msgspec.json.encode(some.event)
        wire.asked(some, "1")
    wire.spots(data)
    wire.own_roles(data, "900")
    wire.added(data, 1)
    wire.quotes([data], ME)
    wire.joined_ms(data)
    for view in (Line(text="done"), DecidedCard(inquiry="i-1", title="T", headline="H")):
        place = Conversation(platform="discord", account="1", channel="2")
        looked_for = Post(id="p-1", conversation=place, view=view, slot="s", at_ms=0)
        cards.is_same(data, looked_for, 0, cards.messages(view)[0], "")
