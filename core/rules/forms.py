"""Native forms: an input for each thing a person may fill in, and what they filled in as a value again.

Laws of this file. An input is found by the name it was drawn with, and its text is read by the schema's type. What was
drawn and comes back as it was is no change, whatever a platform does to blanks and line ends. Secrets are not drawn.
Reading only makes values: whether they fit is for the same validator as ever to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, assert_never

import msgspec

from core.model.inquiries import Inquiry, Kind
from core.model.team import Json
from core.model.views import Question
from core.rules import notes, words
from core.rules.text import one_line, visible
from core.rules.values import holds_secret, text_form

ANSWER: Final = "answer"
"""The name of the one input of a question, and of a whole form's JSON."""
LABEL_MAX: Final = 40
ABOUT_MAX: Final = 100
OPTION_MAX: Final = 75
OPTIONS_MAX: Final = 25
VALUE_MAX: Final = 3_000
"""What the narrowest platform's input can hold."""
LONG_OVER: Final = 100
"""What is longer than this, or may be, gets an input of several lines."""

_ABSENT: Final = object()


@dataclass(frozen=True, slots=True)
class Unfit:
    """A text that is no value of its type: why, in words."""

    why: str


# --- Drawn ------------------------------------------------------------------------------------------------------------


def form_of(inquiry: Inquiry) -> tuple[Question, ...]:
    """What an answer asks for: a form's properties, one long text for a question, a list where buttons do not do."""
    match inquiry.kind:
        case Kind.FORM:
            required = _required(inquiry)
            return tuple(
                _question(name, schema, schema.get("default", _ABSENT), required=name in required)
                for name, schema in _properties(inquiry.schema).items()
            )
        case Kind.QUESTION:
            about = one_line(inquiry.question, ABOUT_MAX)
            return (Question(name=ANSWER, label=words.YOUR_ANSWER, about=about, long=True),)
        case Kind.CHOICE:
            options = tuple(_chosen(inquiry))
            return (Question(name=ANSWER, label=words.YOUR_ANSWER, options=options),)
        case Kind.APPROVAL | Kind.REVIEW | Kind.RECONCILE | Kind.POLICY:
            return ()
        case _:
            assert_never(inquiry.kind)


def edit_of(inquiry: Inquiry) -> tuple[Question, ...]:
    """What an edit may change, with its values as they are now. What no input could hold whole is not among them: it is
    not to be cut by whoever only looks.
    """
    return tuple(
        _question(path, schema, value, required=False)
        for path, schema, value in _paths(inquiry)
        if len(visible(_text(value, schema))) <= VALUE_MAX
    )


def _question(name: str, schema: Mapping[str, Json], value: Json, *, required: bool) -> Question:
    text = visible(_text(value, schema))
    return Question(
        name=visible(name),
        label=one_line(str(schema.get("title") or name), LABEL_MAX),
        about=one_line(str(schema.get("description") or ""), ABOUT_MAX),
        value=text if len(text) <= VALUE_MAX else "",
        options=tuple(_choices(schema)),
        required=required,
        long=_is_long(schema, text),
    )


def _is_long(schema: Mapping[str, Json], text: str) -> bool:
    longest = schema.get("maxLength")
    may_be = isinstance(longest, int) and longest > LONG_OVER
    return may_be or "\n" in text or len(text) > LONG_OVER or bool(_types(schema) & {"array", "object"})


def _text(value: Json, schema: Mapping[str, Json]) -> str:
    """A value as an input holds it; "" for one that is not there."""
    if value is _ABSENT:
        return ""
    choices = _choices(schema)
    if choices:
        return next((text for text, choice in choices.items() if _same(choice, value)), "")
    if isinstance(value, str) and _types(schema) == {"string"}:
        return value
    return text_form(value, indent=2 if isinstance(value, dict | list) else 0)


def _choices(schema: Mapping[str, Json]) -> dict[str, Json]:
    """Text to value, where there are few values and their texts can be told apart; else nothing, and it is typed."""
    values = schema.get("enum", [False, True] if _types(schema) == {"boolean"} else ())
    if not isinstance(values, list) or len(values) > OPTIONS_MAX:
        return {}
    bare = all(isinstance(value, str) for value in values)
    texts = [one_line(value if bare else text_form(value, indent=0), OPTION_MAX) for value in values]
    told_apart = len({text.casefold() for text in texts}) == len(texts) and all(text.strip() for text in texts)
    return dict(zip(texts, values, strict=True)) if told_apart else {}


def _chosen(inquiry: Inquiry) -> dict[str, str]:
    """A choice's options by the text they are drawn with."""
    chosen: dict[str, str] = {}
    for option in inquiry.options:
        chosen.setdefault(one_line(option, OPTION_MAX), option)
    return chosen


def _paths(inquiry: Inquiry) -> Iterator[tuple[str, Mapping[str, Json], Json]]:
    """Each editable path that is no secret, its schema, and its value or _ABSENT."""
    if inquiry.action is None:
        return
    arguments, properties = inquiry.action.arguments, _properties(inquiry.schema)
    for path in inquiry.editable:
        outer, dot, inner = path.partition(".")
        inside = arguments.get(outer)
        if dot and isinstance(inside, dict):
            schema, value = _properties(properties.get(outer)).get(inner, {}), inside.get(inner, _ABSENT)
        else:
            schema, value = properties.get(path, {}), arguments.get(path, _ABSENT)
        if not holds_secret(value, path, inquiry.action.secrets):
            yield path, schema, value


def _properties(schema: Mapping[str, Json] | None) -> dict[str, Mapping[str, Json]]:
    found = schema.get("properties") if schema else None
    if not isinstance(found, dict):
        return {}
    return {name: inner if isinstance(inner, dict) else {} for name, inner in found.items()}


def _required(inquiry: Inquiry) -> tuple[str, ...]:
    return tuple((inquiry.schema or {}).get("required", ()))


def _types(schema: Mapping[str, Json]) -> set[str]:
    found = schema.get("type")
    return {found} if isinstance(found, str) else {str(one) for one in found} if isinstance(found, list) else set()


# --- Read -------------------------------------------------------------------------------------------------------------


def answer_of(inquiry: Inquiry, fields: Mapping[str, str]) -> Json | Unfit:
    """What was filled in, as the answer. A whole form may also come as JSON, as on a command line."""
    typed = fields.get(ANSWER, "")
    match inquiry.kind:
        case Kind.FORM if set(fields) == {ANSWER} and isinstance(whole := _json(typed), dict):
            return _whole(inquiry, whole)
        case Kind.FORM:
            return _object(inquiry, fields)
        case Kind.CHOICE:
            return _chosen(inquiry).get(typed, typed)
        case _:
            return typed


def _whole(inquiry: Inquiry, typed: Mapping[str, Json]) -> Json | Unfit:
    """A whole form in one input was drawn with texts for values: what is still such a text is read as if it had an
    input of its own.
    """
    properties = _properties(inquiry.schema)
    by_name = {shown: name for name in properties for shown in (visible(name), name)}
    named = {by_name.get(shown, shown): value for shown, value in typed.items()}
    texts = {
        name: value
        for name, value in named.items()
        if isinstance(value, str) and name in properties and _is_text_of(properties[name], value)
    }
    read = _object(inquiry, {visible(name): value for name, value in texts.items()})
    if isinstance(read, Unfit):
        return read
    return {**{name: value for name, value in named.items() if name not in texts}, **read}


def _is_text_of(schema: Mapping[str, Json], value: str) -> bool:
    """Whether it stands for a value, and is not one: as it was drawn, or where no string is wanted."""
    drawn = visible(_text(schema.get("default", _ABSENT), schema))
    types = _types(schema)
    return value == drawn or bool(_choices(schema)) or bool(types and "string" not in types)


def _object(inquiry: Inquiry, fields: Mapping[str, str]) -> dict[str, Json] | Unfit:
    read = {
        name: _read(fields[visible(name)], schema, name)
        for name, schema in _properties(inquiry.schema).items()
        if fields.get(visible(name), "").strip()
    }
    wrong = [value.why for value in read.values() if isinstance(value, Unfit)]
    return Unfit("; ".join(wrong)) if wrong else read


def edit_by(inquiry: Inquiry, fields: Mapping[str, str]) -> dict[str, Json] | Unfit:
    """What was changed, by path: only what differs from what it was."""
    changed: dict[str, Json] = {}
    wrong: list[str] = []
    for path, schema, value in _paths(inquiry):
        before = _text(value, schema)
        text = fields.get(visible(path), before).replace("\r\n", "\n")
        if text.strip() in {before.strip(), visible(before).strip()}:
            continue
        read = _read(_restored(text, before), schema, path)
        if isinstance(read, Unfit):
            wrong.append(read.why)
        elif not _same(read, value):
            changed[path] = read
    return Unfit("; ".join(wrong)) if wrong else changed


def _read(text: str, schema: Mapping[str, Json], name: str) -> Json | Unfit:
    types, choices = _types(schema), _choices(schema)
    if choices:
        found = {shown.casefold(): value for shown, value in choices.items()}
        wanted = text.strip().casefold()
        return found[wanted] if wanted in found else Unfit(notes.choose(name, tuple(choices)))
    if types == {"string"}:
        return text
    value = _json(text)
    if value is _ABSENT:
        return text if not types or "string" in types else Unfit(notes.write(name, tuple(sorted(types))))
    if types == {"integer"} and isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _json(text: str) -> Json:
    try:
        return msgspec.json.decode(text.encode("utf-8", "replace"))
    except msgspec.DecodeError:
        return _ABSENT


def _restored(text: str, before: str) -> str:
    """Characters that were drawn by their names, as themselves again; names that were written as such stay."""
    hidden = {visible(character): character for character in before if visible(character) != character}
    for name, character in hidden.items():
        if name not in before:
            text = text.replace(name, character)
    return text


def _same(one: Json, other: Json) -> bool:
    """`1` is not `True`, though Python says so."""
    return type(one) is type(other) and bool(one == other)
