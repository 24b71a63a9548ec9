"""Whatever agents and tools write: nothing hidden survives, cards keep their bounds, View all leaves nothing out."""

import unicodedata

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from bots.console import wire
from core.model.inquiries import Action, Kind, Label, Verb
from core.model.team import EffectClass
from core.model.work import Failure, Handoff
from core.rules import controls, forms, views
from tests.unit.view_samples import MONDAY_MS, NONCE, TEAM, inquiry, task

NASTY = "\x1b\x07\r\x00\x9b\u202e\u2066\u200b\u200d\u2028\ufeff\U000e0041"
texts = st.text(st.one_of(st.characters(exclude_categories=("Cs",)), st.sampled_from(NASTY)), max_size=200)
names = texts.filter(bool)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=6,
)
actions = st.builds(
    Action,
    tool=st.sampled_from(["run_command", "send_mail"]) | names,
    arguments=st.dictionaries(names | st.just("command"), values, max_size=9),
    resource=texts,
    verb=texts,
    effect=st.just(EffectClass.ONCE),
    says=texts.map(lambda text: text * 10),
)
inquiries = st.builds(
    inquiry,
    kind=st.sampled_from(Kind),
    action=st.none() | actions,
    role=st.sampled_from(["ceo", "devops"]) | names,
    why=texts.map(lambda text: text * 10),
    question=texts.map(lambda text: text * 10),
    options=st.lists(texts, max_size=40).map(tuple),
    label=st.sampled_from(Label),
    decide_by_ms=st.none() | st.integers(0, 2 * MONDAY_MS),
)
looks = st.builds(wire.Look, width=st.integers(1, 120), colour=st.booleans(), keys=st.booleans())


def hidden(text, allowed):
    return {c for c in text if c not in allowed and unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}


def every_text(view):
    stack = [msgspec.to_builtins(view)]
    while stack:
        match stack.pop():
            case str(text):
                yield text
            case dict(inner):
                stack += inner.values()
            case list(inner) | tuple(inner):
                stack += inner
            case _:
                pass


@given(texts)
def test_nothing_hidden_survives(text):
    assert not hidden(views.visible(text), "\n")
    assert not hidden(views.readable(text), "\n\u200c\u200d")
    assert views.visible(views.visible(text)) == views.visible(text)
    assert views.readable(views.visible(text)) == views.visible(text)


@given(inquiries, texts)
def test_a_card_keeps_its_bounds(some, needs):
    card = views.inquiry_card(some, TEAM, (), NONCE, MONDAY_MS, needs=needs)
    assert len(card.title) <= views.TITLE_MAX
    assert len(card.line) <= views.LINE_MAX
    assert len(card.why) <= views.WHY_MAX
    assert len(card.needs) <= views.NEEDS_MAX
    assert len(card.fields) <= views.FIELDS_MAX
    assert all(len(f.name) <= views.NAME_MAX and len(f.shown) <= views.SHOWN_MAX for f in card.fields)
    assert 1 <= len(card.buttons) <= views.OPTIONS_MAX + 2
    assert all(len(button.label) <= views.LABEL_MAX for button in card.buttons)
    assert all(len(button.control.encode("ascii")) <= controls.CONTROL_BYTES_MAX for button in card.buttons)
    assert all(views.parse_control(button.control) for button in card.buttons)
    assert len({button.key for button in card.buttons}) == len(card.buttons)
    for asked in (*card.form, *card.edit):
        assert len(asked.label) <= forms.LABEL_MAX
        assert len(asked.about) <= forms.ABOUT_MAX
        assert len(asked.value) <= forms.VALUE_MAX
        assert all(0 < len(option) <= forms.OPTION_MAX for option in asked.options if some.kind is Kind.APPROVAL)
    assert not any(hidden(text, "\n\u200c\u200d") for text in every_text(card))


def paths_of(some):
    """Arguments, and the members of objects whose names are no paths themselves."""
    for name, value in (some.action.arguments if some.action else {}).items():
        if isinstance(value, dict) and value and not any("." in member for member in value):
            yield from (f"{name}.{member}" for member in value)
        else:
            yield name


@given(inquiries)
def test_every_argument_is_on_the_whole_card(some):
    whole = [field.name for field in views.whole_of(some)]
    expected = [views.visible(path) for path in paths_of(some)]
    assert whole[: len(expected)] == expected


@given(actions, st.text("abcdefgh", min_size=8, max_size=12))
def test_a_secret_is_nowhere(action, secret):
    arguments = {**action.arguments, "token": {"value": ["~" + secret]}}
    action = msgspec.structs.replace(action, arguments=arguments, secrets=("token",), says=f"with ~{secret}")
    card = views.inquiry_card(inquiry(action=action), TEAM, (), NONCE, MONDAY_MS)
    assert not any("~" + secret in text for text in every_text(card))


@given(st.text(max_size=40) | st.from_regex(r"[0-9a-f]{16}\.[a-z][0-9]{0,5}", fullmatch=True))
def test_only_what_control_makes_is_read(text):
    parsed = views.parse_control(text)
    assert parsed is None or views.control(*parsed) == text


@given(st.sampled_from(Verb), st.none() | st.integers(0, 9999))
def test_controls_round_trip(verb, option):
    assert views.parse_control(views.control(NONCE, verb, option)) == (NONCE, verb, option)


@given(
    st.builds(Handoff, summary=texts, changed=st.lists(texts).map(tuple))
    | st.builds(Failure, what=texts, why=texts, recovery=texts),
    looks,
)
def test_no_answer_commands_the_terminal(result, look):
    drawn(views.answer_view(task(result=result), TEAM), look)


@given(inquiries, looks)
def test_no_card_commands_the_terminal(some, look):
    card = views.inquiry_card(some, TEAM, (), NONCE, MONDAY_MS)
    drawn(card, look)
    drawn(views.decided_card(some, TEAM, MONDAY_MS), look)


def drawn(view, look):
    for line in wire.draw(view, look):
        bare = line
        for code in wire._CODES.values():
            bare = bare.removeprefix(f"\x1b[{code}m")
        bare = bare.removesuffix("\x1b[0m")
        assert not hidden(bare, "\u200c\u200d")
        assert wire.cells(bare) <= max(look.width, wire.WIDTH_MIN)


@given(texts, st.sets(st.sampled_from(["a", "d", "1"])))
def test_every_typed_line_means_something(text, keys):
    match wire.read_line(text, frozenset(keys)):
        case wire.Key(key):
            assert key in keys
        case wire.Message(said):
            assert said.strip()
        case wire.Command(name):
            assert name
        case typed:
            assert isinstance(typed, wire.Nothing)


@given(st.lists(st.binary(max_size=50)))
def test_chunks_do_not_matter(chunks):
    splitter = wire.Splitter()
    lines = [line for chunk in chunks for line in splitter.feed(chunk)] + splitter.end()
    whole = wire.Splitter()
    assert lines == whole.feed(b"".join(chunks)) + whole.end()
