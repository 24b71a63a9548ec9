"""Whatever agents write and Telegram sends: nothing over the limits, no markup but ours, no update that breaks us."""

import json

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from bots.telegram import cards, forms, wire, words
from core.model.views import (
    Answer,
    Branch,
    DecidedCard,
    Field,
    Inbox,
    InboxItem,
    Line,
    Question,
    StatusLine,
    Trouble,
)
from core.rules.controls import control
from tests.fakes.telegram_text import keyboard, parse
from tests.unit.all_views import card, inquiry
from tests.unit.view_samples import NONCE

MARKUP = ["<b>", "</a>", "&lt;", '<a href="tg://user?id=1">', "*", "```", "|", "> ", "- ", "\n", "😀", "\u202e", "@all"]
texts = st.lists(st.one_of(st.text(max_size=20), st.sampled_from(MARKUP)), max_size=30).map("".join)
long_texts = st.tuples(texts, st.sampled_from([1, 1, 40, 400])).map(lambda pair: pair[0] * pair[1])
tuples = st.lists(long_texts, max_size=3).map(tuple)
numbers = st.integers(0, 10**12)
fields = st.lists(st.builds(Field, name=texts, shown=long_texts), max_size=12).map(tuple)
branches = st.lists(st.builds(Branch, roles=st.lists(texts, max_size=4).map(tuple), doing=long_texts), max_size=12)
inquiry_cards = st.builds(
    lambda **changes: msgspec.structs.replace(card(inquiry()), **changes),
    title=long_texts,
    line=long_texts,
    fields=fields,
    whole=fields,
    why=long_texts,
    needs=long_texts,
    hint=texts,
    tier=texts,
    more_n=st.integers(0, 99),
    edit=st.lists(st.builds(Question, name=texts, label=texts, about=texts, value=long_texts), max_size=12).map(tuple),
)
items = st.builds(
    InboxItem,
    inquiry=st.just("i-7f3a00112233"),
    title=texts,
    tier=texts,
    age_ms=numbers,
    overdue=st.booleans(),
    needs=texts,
    buttons=st.just(card(inquiry()).buttons[:2]),
)
views = st.one_of(
    st.builds(Line, text=long_texts, speaker=texts),
    st.builds(
        StatusLine,
        task=st.just("t-81c2"),
        branches=branches.map(tuple),
        steps=numbers,
        tokens=numbers,
        cost_microusd=numbers,
        started_at_ms=numbers,
        at_ms=numbers,
        done=texts,
        more=st.integers(0, 99),
    ),
    st.builds(
        Answer,
        task=st.just("t-81c2"),
        speaker=texts,
        text=long_texts,
        changed=tuples,
        risks=tuples,
        degraded=long_texts,
    ),
    inquiry_cards,
    st.builds(DecidedCard, inquiry=st.just("i-7f3a"), title=long_texts, headline=long_texts, outcome=long_texts),
    st.builds(Inbox, items=st.lists(items, max_size=60).map(tuple)),
    st.builds(Trouble, what=long_texts, means=long_texts, next_step=long_texts, remedy=long_texts),
)
OURS = {"bold", "italic", "strikethrough", "code", "pre", "blockquote", "text_link"}


@settings(deadline=None, max_examples=60)
@given(views)
def test_no_view_is_over_a_limit_or_speaks_for_itself(view):
    pieces = cards.draw(view, "UTC")
    assert pieces
    for piece in pieces:
        if not isinstance(piece, cards.Text):
            continue
        text, entities = parse(piece.html, "HTML")
        assert 0 < cards.units(text) <= cards.TEXT_MAX
        assert text == cards.shown(piece.html).strip()
        assert {entity["type"] for entity in entities} <= OURS
        assert not any(entity.get("url", "http").startswith("tg:") for entity in entities)
        assert "\u202e" not in text
        assert keyboard(wire.message(piece).get("reply_markup", {})) is not None


@settings(deadline=None, max_examples=60)
@given(inquiry_cards, st.sampled_from(sorted(words.FORMS)), texts, texts, st.booleans())
def test_every_form_fits_and_is_understood(some, verb, name, reply, again):
    form = forms.opened(some, control(NONCE, verb))
    text, entities = parse(forms.question(form, some, "team_bot", ("5", name), again=again).html, "HTML")
    assert 0 < cards.units(text) <= cards.TEXT_MAX
    assert forms.of_message({"entities": entities}) == form
    read = forms.answered(form, reply)
    assert set(read) <= set(form.names) if isinstance(read, dict) else len(forms.link(read, "")) <= 2_000


GOOD = {
    "update_id": 9,
    "message": {
        "message_id": 3,
        "date": 1_700_000_000,
        "chat": {"id": -100, "type": "supergroup"},
        "from": {"id": 5, "is_bot": False, "first_name": "Ana"},
        "text": "/ask@team_bot it",
        "entities": [{"type": "bot_command", "offset": 0, "length": 13}],
        "photo": [{"file_id": "f", "width": 1, "height": 1}],
        "document": {"file_id": "f", "file_size": 1},
        "reply_to_message": {
            "message_id": 2,
            "from": {"id": 77, "is_bot": True},
            "text": "x",
            "entities": [{"url": "x"}],
        },
    },
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=6,
)
ME = wire.Me(id="77", username="team_bot")


def paths(value, so_far=()):
    yield so_far
    if isinstance(value, dict | list):
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from paths(value[key], (*so_far, key))


@settings(deadline=None)
@given(st.sampled_from(list(paths(GOOD))), anything, st.sampled_from(["message", "edited_message", "callback_query"]))
def test_reading_is_total(path, value, kind):
    update = json.loads(json.dumps(GOOD))
    inner = update
    for step in path[:-1]:
        inner = inner[step]
    if path:
        inner[path[-1]] = value
    else:
        update = value
    if isinstance(update, dict) and "message" in update:
        update[kind] = update.pop("message")
    event = wire.read(update, ME, 0)
    if event is not None and not isinstance(event, wire.Press | wire.Reply):
        assert msgspec.json.decode(msgspec.json.encode(event), type=type(event)) == event
