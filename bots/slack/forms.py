"""Forms as Slack's modals, and what was filled in: pure.

Laws of this file. A form carries its control and the conversation it was opened in; nothing else is trusted when it
comes back. Whatever an inquiry asks, the form is within Slack's limits.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bots.slack import words
from bots.slack.markup import SECTION_MAX, Json, clip, note, plain, units
from core.model.events import Conversation
from core.model.inquiries import Verb
from core.model.views import InquiryCard, Question
from core.rules.controls import parse_control

TITLE_MAX: Final = 24
LABEL_MAX: Final = 2000
HINT_MAX: Final = 2000
INITIAL_MAX: Final = 3000
NAME_MAX: Final = 255
OPTIONS_MAX: Final = 100
OPTION_MAX: Final = 75
INPUTS_MAX: Final = 90

_EDIT: Final = Question(name="edit", label=words.LABELS[Verb.EDIT], long=True)
_ONE: Final = {
    Verb.APPROVE: Question(name="reason", label=words.LABELS[Verb.APPROVE], long=True),
    Verb.DENY: Question(name="reason", label=words.LABELS[Verb.DENY], required=False, long=True),
    Verb.ASK_BACK: Question(name="text", label=words.LABELS[Verb.ASK_BACK], long=True),
    Verb.ANSWER: Question(name="answer", label=words.LABELS[Verb.ANSWER], long=True),
}


def form_verb(control: str) -> Verb | None:
    """What a button's form is for, if its card wants one (`is_wanted`); None for one that never does."""
    parsed = parse_control(control)
    if parsed is None or parsed[2] is not None:
        return None
    return parsed[1] if parsed[1] in words.TITLES else None


def is_wanted(verb: Verb, card: InquiryCard) -> bool:
    """Whether a press needs words before it means anything: an approval only where one needs a reason."""
    return verb is not Verb.APPROVE or card.approve_reason


def modal(control: str, verb: Verb, card: InquiryCard, conversation: Conversation) -> Json:
    """The view for views.open."""
    asked, left_out = _questions(verb, card)
    about: list[Json] = [{"type": "section", "text": plain(card.title, SECTION_MAX)}]
    if card.line.strip():
        about.append(note(card.line))
    if left_out:
        about.append(note(words.TOO_LONG_FOR_FORM + ", ".join(left_out)))
    place = {"channel": conversation.channel, "thread": conversation.thread}
    return {
        "type": "modal",
        "callback_id": control,
        "private_metadata": msgspec.json.encode(place).decode(),
        "title": plain(words.TITLES[verb], TITLE_MAX),
        "submit": plain(words.SUBMIT, TITLE_MAX),
        "close": plain(words.CLOSE, TITLE_MAX),
        "blocks": [*about, *(_input(n, question) for n, question in enumerate(asked))],
    }


def _questions(verb: Verb, card: InquiryCard) -> tuple[tuple[Question, ...], list[str]]:
    """What the form asks for, and the names of what no input of Slack's can hold."""
    if verb is Verb.EDIT:
        named = all(0 < units(question.name) <= NAME_MAX for question in card.edit)
        if not card.edit or not named or len(card.edit) > INPUTS_MAX:
            return (_EDIT,), []
        fitting = tuple(question for question in card.edit if units(question.value) <= INITIAL_MAX)
        return fitting or (_EDIT,), [q.name for q in card.edit if units(q.value) > INITIAL_MAX]
    if verb is Verb.ANSWER and card.form:
        return card.form[:INPUTS_MAX], []
    return (_ONE[verb],), []


def _input(n: int, question: Question) -> Json:
    hint = question.about
    if question.options and not _selectable(question.options):
        listed = "\n".join(words.option(i, text) for i, text in enumerate(question.options, 1))
        hint = f"{hint}\n{listed}".strip()
    block: Json = {
        "type": "input",
        "block_id": f"input-{n}",
        "optional": not question.required,
        "label": plain(question.label or question.name, LABEL_MAX),
        "element": _element(question),
    }
    return {**block, "hint": plain(hint, HINT_MAX)} if hint.strip() else block


def _selectable(options: tuple[str, ...]) -> bool:
    fit = all(0 < units(option) <= OPTION_MAX for option in options)
    return fit and len(options) <= OPTIONS_MAX and len(set(options)) == len(options)


def _element(question: Question) -> Json:
    name = {"action_id": clip(question.name, NAME_MAX)} if question.name else {}
    if question.options and _selectable(question.options):
        options = [{"text": plain(option, OPTION_MAX), "value": option} for option in question.options]
        now = [option for option in options if option["value"] == question.value]
        select: Json = {"type": "static_select", "options": options, **name}
        return {**select, "initial_option": now[0]} if now else select
    long = question.long or "\n" in question.value
    text: Json = {"type": "plain_text_input", "multiline": long, **name}
    return {**text, "initial_value": clip(question.value, INITIAL_MAX)} if question.value else text


# --- What was filled in ---------------------------------------------------------------------------------------------


def filled(view: Json) -> tuple[str, dict[str, str], str, str] | None:
    """Control, fields, channel and thread of a submitted form; None for one that is not ours."""
    control = view.get("callback_id")
    if not isinstance(control, str) or form_verb(control) is None:
        return None
    try:
        place = msgspec.json.decode(str(view.get("private_metadata")), type=dict[str, str])
    except msgspec.MsgspecError:
        place = {}
    state = view.get("state")
    values = state.get("values") if isinstance(state, dict) else None
    fields: dict[str, str] = {}
    for block in values.values() if isinstance(values, dict) else ():
        for name, element in block.items() if isinstance(block, dict) else ():
            fields[name] = _value(element)
    return control, fields, place.get("channel", ""), place.get("thread", "")


def _value(element: Any) -> str:
    if not isinstance(element, dict):
        return ""
    chosen = element.get("selected_option")
    value = chosen.get("value") if isinstance(chosen, dict) else element.get("value")
    return value if isinstance(value, str) else ""
