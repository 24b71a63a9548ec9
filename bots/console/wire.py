"""Views as lines of a terminal, and typed lines as what they mean: pure.

Laws of this file. No view can move the cursor, change a colour or hide a character: only this module writes escapes.
Colour never carries meaning alone. No drawn line is wider than the terminal, except one that is made of nothing else
than a character wider than it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, assert_never

from bots import words as common
from bots.console import words
from core.model.ids import short
from core.model.inquiries import Verb
from core.model.views import (
    Answer,
    Button,
    DecidedCard,
    Field,
    Inbox,
    InboxItem,
    InquiryCard,
    Line,
    StatusLine,
    Trouble,
    View,
)
from core.rules.text import human_count, human_duration, human_money, human_time, readable
from core.rules.views import parse_control

TEXT_BYTES_MAX: Final = 256 * 1024
WIDTH_MIN: Final = 20
GROUP_OVER: Final = 8
NAME_CELLS_MAX: Final = 24

TEXT_FIELD: Final = "text"
FIELDS: Final = {
    Verb.ANSWER: "answer",
    Verb.EDIT: "edit",
    Verb.DENY: "reason",
    Verb.APPROVE: "reason",
}  # of the forms that are submitted

_CODES: Final = {"bold": "1", "dim": "2", "good": "32", "bad": "31", "warn": "33"}
_SEPARATOR: Final = " · "


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What the terminal can do. `keys`: single letters are understood, so cards show them instead of commands."""

    width: int = 80
    colour: bool = False
    keys: bool = False
    zone: str = "UTC"


# --- Text in cells --------------------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """Columns a text takes on a terminal."""
    return len(text) if text.isascii() else sum(map(_cells_of, text))


def _cells_of(character: str) -> int:
    if unicodedata.category(character) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1


def wrap(text: str, width: int, indent: str = "", lead: str | None = None) -> list[str]:
    """Lines no wider than `width`, broken at spaces where there are any; line ends and leading spaces are kept. The
    first line begins with `lead`, which must be as wide as `indent` or wider; every other one with `indent`.
    """
    first, *others = text.split("\n")
    lines = list(_wrapped(first, max(width, 1), indent, indent if lead is None else lead))
    return lines + [line for paragraph in others for line in _wrapped(paragraph, max(width, 1), indent, indent)]


def _wrapped(paragraph: str, width: int, indent: str, lead: str) -> Iterator[str]:
    start = cells(indent)
    line, used = lead, cells(lead)
    for piece in re.findall(r" +|[^ ]+", paragraph):
        if used > start and used + cells(piece) > width:
            yield line.rstrip()
            line, used = indent, start
            if piece.isspace():
                continue
        for part in _broken(piece, width - start):
            if used > start and used + cells(part) > width:
                yield line.rstrip()
                line, used = indent, start
            line, used = line + part, used + cells(part)
    yield line.rstrip()


def _broken(piece: str, room: int) -> Iterator[str]:
    """A piece too long for any line, cut into what fits; everything else as it is."""
    part, used = "", 0
    for character in piece if cells(piece) > room else ():
        n = _cells_of(character)
        if part and used + n > room:
            yield part
            part, used = "", 0
        part, used = part + character, used + n
    yield part or piece


# --- Drawing --------------------------------------------------------------------------------------------------------


def draw(view: View, look: Look) -> tuple[str, ...]:
    """The view's lines, without line ends."""
    pen = _Pen(look)
    match view:
        case Line():
            pen.write(f"{view.speaker}: {view.text}" if view.speaker else view.text)
        case StatusLine():
            _status(pen, view)
        case Answer():
            _answer(pen, view)
        case InquiryCard():
            _inquiry(pen, view)
        case DecidedCard():
            pen.write(f"{view.title} ({short(view.inquiry)})", "dim")
            pen.write(view.headline, "bold")
            if view.outcome:
                pen.write(view.outcome)
        case Inbox():
            _inbox(pen, view)
        case Trouble():
            pen.write(f"{common.TROUBLE}: {view.what}", "bad")
            for label, text in (
                (common.MEANS, view.means),
                (common.NEXT_STEP, view.next_step),
                (common.REMEDY, view.remedy),
            ):
                pen.item(f"{label}:", text)
        case _:
            assert_never(view)
    return tuple(pen.lines)


def draw_whole(card: InquiryCard, look: Look) -> tuple[str, ...]:
    """View all: every argument, complete."""
    pen = _Pen(look)
    pen.write(f"{card.title} ({short(card.inquiry)})", "bold")
    pen.write(card.line)
    _table(pen, card.whole)
    return tuple(pen.lines)


class _Pen:
    """Collects lines; the only place where text becomes output, so the only place that must not be fooled."""

    def __init__(self, look: Look) -> None:
        self.look = look
        self.width = max(look.width, WIDTH_MIN)
        self.lines: list[str] = []

    def write(self, text: str, style: str = "", indent: str = "", lead: str | None = None) -> None:
        for line in wrap(readable(text), self.width, indent, lead):
            self.lines.append(self._dyed(line, style))

    def item(self, label: str, text: str, style: str = "") -> None:
        """A label and its text, which hangs below itself if the label is short; nothing if there is no text."""
        if text:
            lead = f"  {label} "
            self.write(text, style, indent=" " * (len(lead) if len(lead) < 8 else 4), lead=lead)

    def _dyed(self, line: str, style: str) -> str:
        return f"\x1b[{_CODES[style]}m{line}\x1b[0m" if self.look.colour and style and line else line


def _status(pen: _Pen, view: StatusLine) -> None:
    took = human_duration(max(view.at_ms - view.started_at_ms, 0))
    used = (common.tokens(human_count(view.tokens)), human_money(view.cost_microusd))
    if view.done:
        ended = f"{common.ENDED.get(view.done, view.done)} {took}"
        pen.write(_SEPARATOR.join((ended, common.roles(view.roles_n), *used, short(view.task))), "dim")
        return
    branches = [" > ".join(branch.roles) + _SEPARATOR + branch.doing for branch in view.branches]
    if view.more:
        branches.append(common.and_more(view.more))
    totals = _SEPARATOR.join((common.steps(view.steps), *used, took))
    lines = [f"{branches[0]}{_SEPARATOR}{totals}"] if len(branches) == 1 else [*branches, totals]
    for line in lines:
        pen.write(line, "dim")


def _answer(pen: _Pen, view: Answer) -> None:
    pen.write(f"{view.speaker} ({common.AGENT}){_SEPARATOR}{short(view.task)}", "bold")
    pen.write(view.text)
    lists = (
        (common.CHANGED, view.changed),
        (common.RISKS, view.risks),
        (common.NEXT, view.next_needs),
        (common.FILES, view.artifacts),
    )
    for label, entries in lists:
        if entries:
            pen.write(f"{label}:", "bold")
            for entry in entries:
                pen.item("-", entry)
    if view.degraded:
        pen.write(f"{common.DEGRADED}: {view.degraded}", "warn")


def _inquiry(pen: _Pen, card: InquiryCard) -> None:
    mark = f"[{words.OVERDUE}] " if card.overdue else ""
    pen.write(f"{mark}{card.title}", "bold")
    if card.line:
        pen.write(card.line)
    # Who decides alone is shown all of it first: the hint stands on such cards only.
    _table(pen, card.whole if card.hint else card.fields)
    if card.more_n and not card.hint:
        pen.write(common.more(card.more_n), indent="  ")
    if card.why:
        pen.write(f'"{card.why}"', "dim")
    due = words.by(human_time(card.decide_by_ms, pen.look.zone)) if card.decide_by_ms is not None else ""
    pen.write(_SEPARATOR.join(filter(None, (card.tier, due, card.needs, short(card.inquiry)))), "warn")
    if card.hint:
        pen.write(card.hint)
    if not card.buttons:
        return
    if pen.look.keys:
        keys = [f"[{button.key}] {button.label}" for button in card.buttons]
        together = "  ".join(keys)
        for line in [together] if cells(together) <= pen.width else keys:
            pen.write(line, "bold")
    else:
        pen.write(words.decide_by_typing(", ".join(_commands(card))))


def _commands(card: InquiryCard) -> Iterator[str]:
    """What to type where letters are not understood, each once."""
    for verb in dict.fromkeys(parsed[1] for button in card.buttons if (parsed := parse_control(button.control))):
        text = {Verb.DENY: " REASON", Verb.EDIT: " JSON", Verb.ASK_BACK: " TEXT", Verb.ANSWER: " TEXT"}.get(verb, "")
        yield f"/{verb.value.replace('_', '')} {short(card.inquiry)}{text}"


def _table(pen: _Pen, fields: tuple[Field, ...]) -> None:
    """Names in a column; a text of several lines below its name."""
    names = [readable(field.name).replace("\n", " ") for field in fields]
    column = max((n for name in names if (n := cells(name)) <= NAME_CELLS_MAX), default=0)
    for name, field in zip(names, fields, strict=True):
        shown = readable(field.shown)
        row = f"{name}{' ' * max(column - cells(name), 0)}  {shown}"
        if "\n" not in shown and cells(row) + 2 <= pen.width:
            pen.lines.append(f"  {row}".rstrip())
        else:
            pen.write(name, indent="  ")
            pen.write(shown, indent="      ")


def _inbox(pen: _Pen, view: Inbox) -> None:
    if not view.items:
        pen.write(common.INBOX_EMPTY)
        return
    pen.write(f"{common.INBOX}:", "bold")
    numbered = list(enumerate(view.items, 1))
    if len(numbered) <= GROUP_OVER:
        _items(pen, numbered)
        return
    by_tier = sorted(numbered, key=lambda pair: pair[1].tier)
    for tier, group in groupby(by_tier, key=lambda pair: pair[1].tier):
        pen.write(tier, "bold")
        _items(pen, list(group), grouped=True)


def _items(pen: _Pen, numbered: list[tuple[int, InboxItem]], *, grouped: bool = False) -> None:
    for n, item in numbered:
        late = words.OVERDUE if item.overdue else ""
        tier = "" if grouped else item.tier
        facts = (item.title, tier, human_duration(item.age_ms), late, item.needs, short(item.inquiry))
        pen.item(f"{n}.", _SEPARATOR.join(filter(None, facts)), "warn" if item.overdue else "")


# --- What was typed -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Nothing:
    """An empty line."""


@dataclass(frozen=True, slots=True)
class TooLong:
    """More than a message may be."""


@dataclass(frozen=True, slots=True)
class Message:
    """Said to the team."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command of ours: the first argument by itself, the rest untouched, since it may be JSON."""

    name: str
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Key:
    """A letter or number of the newest open card."""

    key: str


Typed = Nothing | TooLong | Message | Command | Key

_COMMAND: Final = re.compile(r"/([A-Za-z][A-Za-z_-]*)(?:\s+(.*))?", re.DOTALL)


def read_line(text: str, keys: frozenset[str] = frozenset()) -> Typed:
    """What a typed line means. `keys` are those of the newest open card; without one, a letter is a message."""
    said = read_text(text)
    if not isinstance(said, Message):
        return said
    if said.text.lower() in keys:
        return Key(said.text.lower())
    command = _COMMAND.fullmatch(said.text)
    return Command(command[1].lower(), tuple((command[2] or "").split(maxsplit=1))) if command else said


def read_text(text: str) -> Nothing | TooLong | Message:
    """Free text, bounded: zero bytes are dropped, and halves of characters replaced."""
    raw = text.replace("\x00", "").strip().encode("utf-8", "replace")
    if len(raw) > TEXT_BYTES_MAX:
        return TooLong()
    return Message(raw.decode()) if raw else Nothing()


class Splitter:
    """Cuts a stream of bytes into lines, and keeps no more of an endless one than shows that it is too long."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, chunk: bytes) -> list[str]:
        """The lines that this chunk completes."""
        *whole, rest = chunk.split(b"\n")
        lines = []
        for line in whole:
            lines.append(self._rest + line)
            self._rest = b""
        self._rest = (self._rest + rest)[: TEXT_BYTES_MAX + 1]
        return [line.decode("utf-8", "replace") for line in lines]

    def end(self) -> list[str]:
        """The last line, if it had no end."""
        rest, self._rest = self._rest, b""
        return [rest.decode("utf-8", "replace")] if rest else []


@dataclass(frozen=True, slots=True)
class Press:
    """Send the control as it is."""

    control: str


@dataclass(frozen=True, slots=True)
class AskFor:
    """Ask for a line of text first, then send the control with it. `optional`: an empty line will do."""

    control: str
    field: str
    question: str
    optional: bool


@dataclass(frozen=True, slots=True)
class ShowWhole:
    """Print all of the card; nobody else needs to hear of it."""


def press(button: Button, *, approve_reason: bool = False) -> Press | AskFor | ShowWhole:
    """What a key does. `approve_reason`: to approve takes a line of text, too."""
    parsed = parse_control(button.control)
    if parsed is None or parsed[2] is not None or parsed[1] not in {*words.QUESTIONS, Verb.VIEW}:
        return Press(button.control)
    verb = parsed[1]
    if verb is Verb.APPROVE and not approve_reason:
        return Press(button.control)
    if verb is Verb.VIEW:
        return ShowWhole()
    return AskFor(button.control, FIELDS.get(verb, TEXT_FIELD), words.QUESTIONS[verb], verb is Verb.DENY)
