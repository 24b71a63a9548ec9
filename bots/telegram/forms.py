"""Forms on Telegram, which has none: a question that wants a reply. Pure.

Law of this file: the question carries all that is needed to understand its reply, in a link of its own text. Nothing
is remembered, so an answer is understood after any restart.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from html import escape
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from bots import words as common
from bots.telegram import words
from bots.telegram.cards import FORM_MARK, Text, clip, units
from core.model.ids import short
from core.model.inquiries import Verb
from core.model.views import InquiryCard, Question
from core.rules.controls import parse_control
from core.rules.text import one_line
from core.rules.words import BUTTONS

LINK_MAX: Final = 1_200
INPUTS_MAX: Final = 10
VALUE_MAX: Final = 200  # so that the most inputs with the longest values fit one message
ONE_VALUE_MAX: Final = 2_000
PLACEHOLDER_MAX: Final = 64
_HOST: Final = "https://t.me/"  # a press leads back to the bot's own chat


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """What is asked for, and what was answered so far."""

    control: str
    names: tuple[str, ...]
    got: tuple[tuple[str, str], ...] = ()


def wants_form(control: str) -> bool:
    """Whether a press may open a form instead of being one, if its card wants it (`is_wanted`)."""
    parsed = parse_control(control)
    return parsed is not None and parsed[1] in words.FORMS and parsed[2] is None


def is_wanted(card: InquiryCard, control: str) -> bool:
    """Whether that button of this card needs words first: to approve only where an approval needs a reason."""
    return _verb(control) is not Verb.APPROVE or card.approve_reason


def questions(card: InquiryCard, verb: Verb) -> tuple[Question, ...]:
    """What that button asks for: one question, or several where there are and where a reply can hold them."""
    match verb:
        case Verb.APPROVE:
            return (Question(name="reason", label=words.PLACEHOLDERS[verb]),)
        case Verb.DENY:
            return (Question(name="reason", label=words.PLACEHOLDERS[verb], required=False),)
        case Verb.EDIT if not 0 < len(card.edit) <= INPUTS_MAX or _too_wide(card.edit):
            values = {question.name: question.value for question in card.edit}
            example = json.dumps(values, ensure_ascii=False)
            return (Question(name="edit", label=words.PLACEHOLDERS[verb], about=words.EDIT_JSON, value=example),)
        case Verb.EDIT:
            return card.edit
        case Verb.ANSWER if card.form and len(card.form) <= INPUTS_MAX and not _too_wide(card.form):
            return card.form
        case Verb.ANSWER:
            return (Question(name="answer", label=words.PLACEHOLDERS[verb]),)
        case _:
            return (Question(name="text", label=words.PLACEHOLDERS[Verb.ASK_BACK]),)


def _too_wide(some: tuple[Question, ...]) -> bool:
    return len(urlencode([("n", question.name) for question in some])) > LINK_MAX // 2


def opened(card: InquiryCard, control: str) -> Form:
    """The form behind a button for which `wants_form` is true."""
    return Form(control=control, names=tuple(question.name for question in questions(card, _verb(control))))


def _verb(control: str) -> Verb:
    parsed = parse_control(control)
    return parsed[1] if parsed else Verb.ASK_BACK


# --- The question ---------------------------------------------------------------------------------------------------


def link(form: Form, username: str) -> str:
    """The form as a link."""
    pairs = [(FORM_MARK[:-1], form.control), *(("n", name) for name in form.names)]
    for name, value in form.got:
        pairs += [("g", name), ("v", value)]
    return f"{_HOST}{username}?{urlencode(pairs)}"


def of_message(message: dict[str, Any]) -> Form | None:
    """The form that a message of the bot's own asks for; None for any other."""
    entities = message.get("entities")
    for entity in entities if isinstance(entities, list) else ():
        url = entity.get("url") if isinstance(entity, dict) else None
        form = _of_link(url) if isinstance(url, str) else None
        if form is not None:
            return form
    return None


def _of_link(url: str) -> Form | None:
    _, mark, query = url.partition(f"?{FORM_MARK}")
    if not (mark and url.startswith(_HOST)):
        return None
    control, *pairs = parse_qsl(f"c={query}", keep_blank_values=True)
    by = {key: [value for name, value in pairs if name == key] for key in "ngv"}
    if not by["n"] or parse_control(control[1]) is None:
        return None
    return Form(control=control[1], names=tuple(by["n"]), got=tuple(zip(by["g"], by["v"], strict=False)))


def question(form: Form, card: InquiryCard, username: str, who: tuple[str, str], *, again: bool = False) -> Text:
    """The message that asks. `who`, an id and a name, is mentioned: only theirs is the keyboard that opens."""
    verb = _verb(form.control)
    by_name = {some.name: some for some in questions(card, verb)}
    asked = [by_name.get(name, Question(name=name, label=name)) for name in form.names]
    account, name = who
    greeting = f'<a href="tg://user?id={escape(account)}">{_safe(one_line(name, 60) or account, 60)}</a>'
    where = f'<a href="{escape(link(form, username))}">{escape(short(card.inquiry))}</a>'
    title = f"<b>{BUTTONS[verb]}</b>{common.SEPARATOR}{_safe(card.title, 300)}{common.SEPARATOR}{where}"
    lines = [f"{greeting}: {title}"]
    lines.extend(_one(asked[0], verb) if len(asked) == 1 else _several(asked, again=again))
    return Text("\n".join(lines))


def placeholder(form: Form, card: InquiryCard) -> str:
    """What stands in the empty input field."""
    by_name = {some.name: some.label for some in questions(card, _verb(form.control))}
    return one_line(by_name.get(form.names[0]) or form.names[0], PLACEHOLDER_MAX)


def _one(some: Question, verb: Verb) -> list[str]:
    lines = [] if some.label == words.PLACEHOLDERS[verb] else [f"<b>{_safe(some.label, 200)}</b>"]
    about = _about(some)
    lines.extend([_safe(about, 600)] if about else [])
    lines.extend([f"<pre>{_safe(some.value, ONE_VALUE_MAX)}</pre>"] if some.value else [])
    return [*lines, words.FORMS[verb]]


def _several(asked: list[Question], *, again: bool) -> list[str]:
    shown = [some for some in asked if units(some.value) <= VALUE_MAX]
    template = "\n".join(f"{some.name}: {some.value}" for some in shown)
    hints = [f"{some.name}: {about}" for some in shown if (about := _about(some))]
    hints.extend(words.too_long_to_show(some.name) for some in asked if some not in shown)
    return [
        words.FORM_TOO_LONG if again else words.FORM_LINES,
        f"<pre>{_safe(template, 3_000)}</pre>",
        *(_safe(hint, 80) for hint in hints),
        *(() if again else (words.FORM_STEPS,)),
    ]


def _about(some: Question) -> str:
    return common.SEPARATOR.join(filter(None, (some.about, words.one_of(", ".join(some.options)) * bool(some.options))))


def _safe(text: str, n: int) -> str:
    return escape(clip(text, n), quote=False)


# --- The reply ------------------------------------------------------------------------------------------------------


def answered(form: Form, text: str) -> dict[str, str] | Form:
    """The fields, when the reply has the last of them; else the form that asks for the rest. The same form again: what
    was said is too long to carry along.
    """
    if len(form.names) == 1:
        bare = "" if _verb(form.control) is Verb.DENY and text.strip() == words.NO_REASON else text
        return dict(form.got) | {form.names[0]: bare}
    lines = _lines(form, text)
    if lines:
        return dict(form.got) | lines
    first, *others = form.names
    rest = replace(form, names=tuple(others), got=(*form.got, (first, text)))
    return rest if len(link(rest, "")) <= LINK_MAX else form


def _lines(form: Form, text: str) -> dict[str, str]:
    """`name: value` lines; what follows one without a name of its own belongs to it."""
    fields: dict[str, str] = {}
    now = ""
    names = {name.casefold(): name for name in form.names}
    for line in text.split("\n"):
        before, colon, after = line.partition(":")
        name = names.get(before.strip().casefold()) if colon else None
        if name is not None:
            now = name
            fields[now] = after.strip()
        elif now:
            fields[now] += f"\n{line}"
    return {name: value.strip() for name, value in fields.items()}
