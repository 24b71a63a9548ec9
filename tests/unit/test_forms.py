"""Native forms: what is asked, in which words, and what the texts that come back mean."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model.inquiries import Action, Kind, Verb
from core.model.team import EffectClass
from core.model.views import Question
from core.rules import forms, notes, views, words
from core.rules.forms import Unfit, answer_of, edit_by, edit_of, form_of
from core.rules.text import visible
from tests.rules_kit import NOW, PEOPLE, Desk, approval, person, question, team
from tests.unit.view_samples import NONCE, TEAM, inquiry

SCHEMA = {
    "type": "object",
    "properties": {
        "name": {"type": "string", "title": "Your name", "description": "as on the invoice"},
        "n": {"type": "integer", "default": 3},
        "rate": {"type": "number"},
        "sure": {"type": "boolean"},
        "colour": {"enum": ["red", "blue"]},
        "size": {"enum": [1, "1", None]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "note": {"type": ["string", "null"], "maxLength": 2000},
        "any": True,
    },
    "required": ["name", "n"],
}


def form(schema=SCHEMA, **changes):
    return inquiry(kind=Kind.FORM, action=None, schema=schema, **changes)


def acting(arguments, editable=None, properties=None, secrets=()):
    action = Action(tool="t", arguments=arguments, resource="", verb="", effect=EffectClass.ONCE, secrets=secrets)
    paths = tuple(arguments) if editable is None else editable
    return inquiry(action=action, editable=paths, schema={"properties": properties or {}})


def named(questions):
    return {one.name: one for one in questions}


# --- What is asked ----------------------------------------------------------------------------------------------------


def test_a_form_has_an_input_for_each_property():
    asked = named(form_of(form()))
    assert list(asked) == list(SCHEMA["properties"])
    assert asked["name"] == Question(name="name", label="Your name", about="as on the invoice")
    assert (asked["n"].value, asked["n"].label, asked["n"].required) == ("3", "n", True)
    assert (asked["rate"].required, asked["rate"].options, asked["any"].options) == (False, (), ())
    assert asked["sure"].options == ("false", "true")
    assert asked["colour"].options == ("red", "blue")
    assert asked["size"].options == ("1", '"1"', "null")
    assert [name for name, one in asked.items() if one.long] == ["tags", "note"]


@pytest.mark.parametrize("schema", [None, {}, {"properties": 5}])
def test_a_form_without_properties_asks_for_nothing(schema):
    assert form_of(form(schema)) == ()


def test_a_question_has_one_long_input_and_a_choice_a_list():
    (asked,) = form_of(inquiry(kind=Kind.QUESTION, action=None, question="Which market?\nAnd why?"))
    assert asked == Question(name="answer", label=words.YOUR_ANSWER, about="Which market?⏎And why?", long=True)
    choice = inquiry(kind=Kind.CHOICE, action=None, options=("a" * 90, "b", "b", "a" * 91))
    (asked,) = form_of(choice)
    assert asked.options == ("a" * 74 + "…", "b")
    assert answer_of(choice, {"answer": asked.options[0]}) == "a" * 90
    assert answer_of(choice, {"answer": "c"}) == "c"


@pytest.mark.parametrize("kind", [Kind.APPROVAL, Kind.REVIEW, Kind.RECONCILE])
def test_what_is_decided_by_a_press_has_no_form(kind):
    assert form_of(inquiry(kind=kind)) == ()


@pytest.mark.parametrize(
    "enum", [list(range(26)), ["a", "A"], ["x" * 80 + "1", "x" * 80 + "2"], ["", "a"], "no list", [" ", "b"]]
)
def test_values_that_cannot_be_told_apart_in_a_list_are_typed(enum):
    (asked,) = form_of(form({"properties": {"x": {"enum": enum}}}))
    assert asked.options == ()


def test_an_edit_shows_every_path_with_its_value_now():
    asked = acting(
        {"to": "all", "n": 5, "digits": "5", "body": "a\nb", "args": {"site": "docs", "deep": {"x": [1]}}, "on": True},
        ("to", "n", "digits", "body", "args.site", "args.deep", "args.more", "on", "gone", "a.b"),
        {
            "to": {"enum": ["all", "some"], "description": "who"},
            "digits": {"type": "string"},
            "args": {"properties": {"site": {"title": "Site"}}},
            "on": {"type": "boolean"},
            "gone": {"type": "string"},
        },
    )
    found = named(edit_of(asked))
    assert list(found) == list(asked.editable)
    assert (found["to"].value, found["to"].options, found["to"].about) == ("all", ("all", "some"), "who")
    assert (found["n"].value, found["digits"].value, found["on"].value) == ("5", "5", "true")
    assert (found["args.site"].label, found["args.site"].value) == ("Site", "docs")
    assert found["args.deep"].value == '{\n  "x": [\n    1\n  ]\n}'
    assert (found["gone"].value, found["args.more"].value, found["a.b"].value) == ("", "", "")
    assert (found["body"].long, found["to"].long, found["args.deep"].long) == (True, False, True)
    assert not any(one.required for one in found.values())


def test_what_no_input_holds_is_left_to_an_edit_as_json():
    asked = acting({"body": "x" * 3001, "to": "y" * 3000})
    assert [one.name for one in edit_of(asked)] == ["to"]
    (wide,) = form_of(form({"properties": {"x": {"type": "string", "default": "x" * 3001}}}))
    assert wide.value == ""


def test_a_value_outside_its_list_is_drawn_as_nothing():
    (asked,) = edit_of(acting({"to": "others"}, properties={"to": {"enum": ["all"]}}))
    assert asked.value == ""


def test_case_29_a_secret_is_in_no_form_and_no_form_changes_one():
    asked = acting(
        {"to": "a", "token": "hunter2", "auth": {"user": "u", "key": "k-1"}, "list": [{"pin": "1"}]},
        ("to", "token", "auth", "auth.user", "auth.key", "list"),
        secrets=("token", "auth.key", "list.pin"),
    )
    assert list(named(edit_of(asked))) == ["to", "auth.user"]
    assert edit_by(asked, {"token": "x", "auth": "{}", "auth.key": "y", "list": "[]", "to": "b"}) == {"to": "b"}


def test_a_card_brings_its_forms():
    card = views.inquiry_card(approval(team()), team(), (), NONCE, NOW, delivery="i-1:1")
    assert (card.speaker, card.kind, card.delivery) == ("DevOps", "approval", "i-1:1")
    assert [one.name for one in card.edit] == ["args.note", "args.site"]
    assert card.form == ()
    shut = views.inquiry_card(approval(team(), verbs=(Verb.APPROVE,)), team(), (), NONCE, NOW)
    assert shut.edit == ()
    asked = views.inquiry_card(question(team(), Kind.FORM, ("city", "street")), team(), (), NONCE, NOW)
    assert [one.name for one in asked.form] == ["city", "street"]
    over = views.decided_card(question(team()), TEAM, NOW)
    assert (over.speaker, over.state) == ("DevOps", "open")


# --- What comes back --------------------------------------------------------------------------------------------------


def test_a_form_is_read_by_its_types():
    fields = {
        "name": " Ana ",
        "n": "7",
        "rate": "0.5",
        "sure": "True",
        "colour": "RED",
        "size": "null",
        "tags": '["a"]',
        "note": "null",
        "any": "[1]",
        "other": "left out",
    }
    assert answer_of(form(), fields) == {
        "name": " Ana ",
        "n": 7,
        "rate": 0.5,
        "sure": True,
        "colour": "red",
        "size": None,
        "tags": ["a"],
        "note": None,
        "any": [1],
    }
    assert answer_of(form(), {"note": "plain", "any": "plain", "n": "3.0", "name": " "}) == {
        "note": "plain",
        "any": "plain",
        "n": 3,
    }


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("n", "three", "n: write a whole number"),
        ("rate", "1,5", "rate: write a number"),
        ("sure", "perhaps", "sure: choose one of false, true"),
        ("colour", "green", "colour: choose one of red, blue"),
        ("tags", "a, b", "tags: write a JSON list"),
    ],
)
def test_a_text_that_is_no_value_of_its_type_says_what_would_be(name, text, why):
    assert answer_of(form(), {name: text}) == Unfit(why)


def test_a_type_nobody_knows_is_named_as_it_is():
    asked = form({"properties": {"x": {"type": ["integer", "decimal"]}}})
    assert answer_of(asked, {"x": "?"}) == Unfit("x: write decimal or a whole number")


def test_a_whole_form_may_come_as_json_and_a_field_of_that_name_is_still_one():
    assert answer_of(form(), {"answer": '{"name": "Ana"}'}) == {"name": "Ana"}
    assert answer_of(form(), {"answer": "[1]"}) == {}
    own = form({"properties": {"answer": {"type": "string"}}})
    assert answer_of(own, {"answer": "yes"}) == {"answer": "yes"}
    assert answer_of(inquiry(kind=Kind.QUESTION), {"answer": "blue"}) == "blue"
    assert answer_of(inquiry(kind=Kind.QUESTION), {}) == ""


def test_a_whole_form_in_one_input_is_read_by_its_types_too():
    """Where a platform's form has too few inputs, all of it is drawn as one: texts for values."""
    typed = {"name": "", "n": "7", "sure": "True", "colour": "RED", "size": "null", "tags": '["a"]', "note": "null"}
    drawn = {question.name: question.value for question in form_of(form())}
    assert answer_of(form(), {"answer": json.dumps({**drawn, **typed})}) == {
        "n": 7,
        "sure": True,
        "colour": "red",
        "size": None,
        "tags": ["a"],
        "note": "null",
    }
    assert answer_of(form(), {"answer": '{"n": "three"}'}) == Unfit("n: write a whole number")
    assert answer_of(form(), {"answer": '{"n": 3, "any": "7", "who": 1}'}) == {"n": 3, "any": "7", "who": 1}
    nothing = form({"properties": {"x\u202e": {"type": ["string", "null"], "default": None}}})
    (asked,) = form_of(nothing)
    assert answer_of(nothing, {"answer": json.dumps({asked.name: asked.value})}) == {"x\u202e": None}


def test_only_what_differs_is_an_edit():
    asked = acting(
        {"to": "all", "n": 5, "body": "a\nb ", "on": True, "more": {"x": 1}},
        ("to", "n", "body", "on", "more", "new"),
        {"n": {"type": "integer"}, "on": {"type": "boolean"}, "body": {"type": "string"}},
    )
    same = {one.name: one.value for one in edit_of(asked)}
    assert edit_by(asked, same) == {}
    assert edit_by(asked, {**same, "body": "a\r\nb", "more": '{"x":1}', "n": "5.0"}) == {}
    assert edit_by(asked, {"to": "some", "n": "6", "on": "false", "new": "1", "more": "{}"}) == {
        "to": "some",
        "n": 6,
        "on": False,
        "more": {},
        "new": 1,
    }
    assert edit_by(asked, {"n": "", "on": "?"}) == Unfit("n: write a whole number; on: choose one of false, true")
    assert edit_by(inquiry(action=None, editable=("to",)), {"to": "x"}) == {}


def test_what_was_drawn_by_its_name_goes_back_as_itself():
    typed = {"path": {"type": "string"}, "says": {"type": "string"}}
    asked = acting({"path": "a\u202eb\tc", "says": "<U+0009>\t"}, properties=typed)
    shown = named(edit_of(asked))
    assert shown["path"].value == "a<U+202E>b<U+0009>c"
    assert edit_by(asked, {"path": shown["path"].value, "says": shown["says"].value}) == {}
    assert edit_by(asked, {"path": shown["path"].value + "!", "says": shown["says"].value + "!"}) == {
        "path": "a\u202eb\tc!",
        "says": "<U+0009><U+0009>!",
    }


values = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-1, 1) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=4), inner, max_size=2),
    max_leaves=4,
)


@given(st.dictionaries(st.text(min_size=1, max_size=6), values, max_size=4), st.text(max_size=12))
def test_a_form_that_comes_back_as_it_was_changes_nothing_and_any_text_is_read(arguments, text):
    asked = acting(arguments)
    questions = edit_of(asked)
    assert edit_by(asked, {one.name: one.value for one in questions}) == {}
    assert isinstance(edit_by(asked, {one.name: text for one in questions}), dict | Unfit)
    assert all(visible(t) == t for one in questions for t in (one.name, one.label, one.about, one.value))


# --- At the desk ------------------------------------------------------------------------------------------------------


def test_an_answer_by_form_is_checked_as_ever():
    desk = Desk(team(), question(team(), Kind.FORM, ("city",)))
    assert desk.press("bob", Verb.ANSWER, fields={"city": " "}).note.startswith(notes.INVALID_ANSWER)
    done = desk.press("bob", Verb.ANSWER, fields={"city": "Bonn"})
    assert done.verdict.answer == {"city": "Bonn"}
    typed = msgspec.structs.replace(
        question(team(), Kind.FORM, ("n",)), schema={"type": "object", "properties": {"n": {"type": "integer"}}}
    )
    desk = Desk(team(), typed)
    assert desk.press("bob", Verb.ANSWER, fields={"n": "x"}).note == f"{notes.INVALID_ANSWER}: n: write a whole number."


def test_an_edit_by_form_is_an_edit_like_any_other():
    of = team((*PEOPLE, person("dave")))
    desk = Desk(of, approval(of))
    assert desk.press("bob", Verb.EDIT, fields={"args.site": "landing", "args.note": ""}).note == notes.NO_CHANGE
    wrong = desk.press("bob", Verb.EDIT, fields={"args.site": "moon"})
    assert wrong.note.startswith(f"{notes.INVALID_EDIT}: ")
    done = desk.press("bob", Verb.EDIT, fields={"args.site": "docs"})
    assert (done.transition, desk.inquiry.action.arguments["args"]["site"]) == (11, "docs")
    typed = {"type": "object", "properties": {"args": {"properties": {"site": {"enum": ["docs", "landing"]}}}}}
    listed = Desk(of, approval(of, schema=typed))
    refused = listed.press("bob", Verb.EDIT, fields={"args.site": "moon"})
    assert refused.note == f"{notes.INVALID_EDIT}: args.site: choose one of docs, landing."


def test_secrets_are_not_among_the_editable_paths():
    from core.rules.opening import _editable

    action = Action(
        tool="run_command",
        arguments={"command": "c", "args": {"site": "s", "token": "t"}},
        resource="",
        verb="",
        effect=EffectClass.ONCE,
        secrets=("token",),
    )
    assert _editable(action, None) == ("args.site",)
    mail = msgspec.structs.replace(action, tool="mail", arguments={"to": "a", "token": {"x": "t"}})
    assert _editable(mail, {"properties": {"token": {}, "n": {}}}) == ("n", "to")


def test_the_inbox_has_a_button_where_there_is_a_showing_to_look_at():
    one = approval(team())
    (item,) = views.inbox_view(((one, "needs"),), team(), NOW, {one.id: NONCE}).items
    assert [views.parse_control(b.control) for b in item.buttons] == [(NONCE, Verb.VIEW, None)]
    (item,) = views.inbox_view(((one, "needs"),), team(), NOW).items
    assert item.buttons == ()
    assert forms.OPTIONS_MAX == 25
