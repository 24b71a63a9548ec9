"""Native forms, slash commands and the invitation: pure.

Law of this file: a form never shows a value cut, because what it shows is what is submitted.
"""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import urlencode

from bots.discord import words
from bots.discord.markup import units
from core.model.ids import digest_of
from core.model.inquiries import Verb
from core.model.views import InquiryCard, Question
from core.rules.controls import parse_control
from core.rules.text import one_line, readable

INPUTS_MAX: Final = 5
TITLE_MAX: Final = 45
LABEL_MAX: Final = 45
ABOUT_MAX: Final = 100
VALUE_MAX: Final = 4_000
OPTIONS_MAX: Final = 25
OPTION_MAX: Final = 100
NAME_MAX: Final = 100
FIELDS: Final[dict[Verb, str]] = {
    Verb.APPROVE: "reason",
    Verb.DENY: "reason",
    Verb.EDIT: "edit",
    Verb.ASK_BACK: "text",
    Verb.ANSWER: "answer",
}

SEE, WRITE, EMBED, ATTACH, HISTORY = 1 << 10, 1 << 11, 1 << 14, 1 << 15, 1 << 16
MAKE_THREADS, WRITE_IN_THREADS = 1 << 35, 1 << 38
PERMISSIONS: Final = SEE | WRITE | EMBED | ATTACH | HISTORY | MAKE_THREADS | WRITE_IN_THREADS

Json = dict[str, Any]


def invite_url(application_id: str) -> str:
    """Where to invite the bot, with what it needs and no more."""
    query = {"client_id": application_id, "scope": "bot applications.commands", "permissions": str(PERMISSIONS)}
    return f"https://discord.com/oauth2/authorize?{urlencode(query)}"


# --- Commands -------------------------------------------------------------------------------------------------------


def commands(menu: tuple[tuple[str, str, str], ...]) -> list[Json]:
    """Application commands: each takes one text, which only `ask` must have."""
    return [_command(name, arguments, about) for name, arguments, about in menu]


def _command(name: str, arguments: str, about: str) -> Json:
    option = {
        "type": 3,
        "name": words.OPTION,
        "description": one_line(arguments, ABOUT_MAX) or words.OPTION_ABOUT,
        "required": name == "ask",
    }
    return {
        "type": 1,
        "name": name,
        "description": one_line(about, ABOUT_MAX) or name,
        "contexts": [0, 1],  # servers, and direct messages with the bot
        "options": [option] if arguments else [],
    }


def commands_digest(application_id: str, some: list[Json]) -> str:
    """Changes when the commands do."""
    return digest_of("commands", application_id, json.dumps(some, sort_keys=True))


# --- Forms ----------------------------------------------------------------------------------------------------------


def wants_form(control: str) -> bool:
    """Whether a press may need words before it means anything; the card says whether an approval does."""
    parsed = parse_control(control)
    return parsed is not None and parsed[1] in FIELDS and parsed[2] is None


def modal(control: str, card: InquiryCard) -> Json | None:
    """The form for a press; None for one that needs none."""
    parsed = parse_control(control)
    if parsed is None or not wants_form(control):
        return None
    verb = parsed[1]
    if verb is Verb.APPROVE and not card.approve_reason:
        return None
    title = one_line(f"{words.TITLES[verb]}: {card.title}", TITLE_MAX)
    return {"custom_id": control, "title": title, "components": [_input(q) for q in _questions(verb, card)]}


def _questions(verb: Verb, card: InquiryCard) -> tuple[Question, ...]:
    asked = {Verb.ANSWER: card.form, Verb.EDIT: card.edit}.get(verb, ())
    shown = tuple(question for question in asked if units(question.value) <= VALUE_MAX)
    names = {question.name for question in shown if question.name and len(question.name) <= NAME_MAX}
    if shown and len(names) == len(shown) <= INPUTS_MAX:
        return shown
    label = words.MANY_ANSWERS if verb is Verb.ANSWER and card.form else words.LABELS[verb]
    about = card.line if verb is Verb.ANSWER else ""
    return (
        Question(
            name=FIELDS[verb],
            label=label,
            about=about,
            value=_as_json(shown) if shown else "",
            required=verb is not Verb.DENY,
            long=True,
        ),
    )


def _as_json(questions: tuple[Question, ...]) -> str:
    """As many values as there is room for; those left out stay as they are."""
    values: dict[str, str] = {}
    for question in questions:
        more = {**values, question.name: question.value}
        if units(_dumped(more)) <= VALUE_MAX:
            values = more
    return _dumped(values)


def _dumped(values: dict[str, str]) -> str:
    return json.dumps(values, ensure_ascii=False, indent=1)


def _input(question: Question) -> Json:
    label: Json = {"type": 18, "label": one_line(question.label, LABEL_MAX) or words.NO_LABEL}
    if about := one_line(question.about, ABOUT_MAX):
        label["description"] = about
    options = tuple(dict.fromkeys(question.options))
    if 0 < len(options) <= OPTIONS_MAX and all(0 < len(readable(option)) <= OPTION_MAX for option in options):
        chosen = [{"label": readable(x), "value": x, "default": x == question.value} for x in options]
        label["component"] = {
            "type": 3,
            "custom_id": question.name,
            "options": chosen,
            "required": question.required,
            "min_values": int(question.required),
            "max_values": 1,
        }
        return label
    text: Json = {
        "type": 4,
        "custom_id": question.name,
        "style": 2 if question.long else 1,
        "required": question.required,
        "max_length": VALUE_MAX,
    }
    if question.value:
        text["value"] = question.value
    label["component"] = text
    return label
