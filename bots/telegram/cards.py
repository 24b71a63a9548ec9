"""Views as Telegram's HTML and inline keyboards: pure.

Laws of this file. No text of a view becomes markup: only this module writes tags. No message is longer than Telegram
takes, counted as Telegram counts: UTF-16 units after the markup is read. A card is shortened until it fits.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from html import escape, unescape
from itertools import groupby
from typing import Final, assert_never

from bots import markdown as md
from bots import words as common
from bots.telegram import words
from core.model.ids import short
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
from core.rules.controls import parse_control
from core.rules.text import human_count, human_duration, human_money, human_time, readable

TEXT_MAX: Final = 4_096
LABEL_MAX: Final = 64
PAGES_MAX: Final = 4
GROUP_OVER: Final = 8
BUTTONS_MAX: Final = 96
ROW_LETTERS_MAX: Final = 28  # what a phone shows of a row without cutting a label
TABLE_COLUMNS: Final = 36  # as above, in a fixed-width font
FORM_MARK: Final = "signoff="  # see forms.py: no text of a view may look like a form's link

_TAG: Final = re.compile(r"<[^>]*>")
_LIMITS: Final = {"title": 300, "line": 700, "why": 700, "facts": 500, "hint": 300, "row": 900}


@dataclass(frozen=True, slots=True)
class Text:
    """One message, and the rows of buttons below it."""

    html: str
    rows: tuple[tuple[Button, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Whole:
    """A file that we write: what was too long for messages."""

    name: str
    body: str


@dataclass(frozen=True, slots=True)
class Stored:
    """A file that agents made."""

    artifact: str


Piece = Text | Whole | Stored


def units(text: str) -> int:
    """Length as Telegram counts it."""
    return len(text.encode("utf-16-le", "replace")) // 2


def shown(html: str) -> str:
    """What people read of it."""
    return unescape(_TAG.sub("", html))


def clip(text: str, n: int) -> str:
    """Readable, and at most `n` units; a cut shows as an ellipsis."""
    text = readable(text)
    if units(text) <= n:
        return text
    return text.encode("utf-16-le", "replace")[: 2 * (n - 1)].decode("utf-16-le", "ignore").rstrip() + "…"


def _safe(text: str, n: int = TEXT_MAX) -> str:
    return escape(clip(text, n), quote=False)


def _tag(name: str, text: str, n: int = TEXT_MAX) -> str:
    return f"<{name}>{_safe(text, n)}</{name}>" if text.strip() else ""


# --- Markdown -------------------------------------------------------------------------------------------------------


def html(blocks: md.Blocks) -> str:
    """Blocks one below the other."""
    return "\n\n".join(_block(block, quoted=False) for block in blocks)


def _block(block: md.Block, *, quoted: bool) -> str:
    match block:
        case md.Paragraph(spans):
            return "".join(map(_span, spans))
        case md.Heading(_, spans):
            return f"<b>{escape(md.plain(spans), quote=False)}</b>"
        case md.Code(text, language):
            code = escape(text, quote=False)
            return f'<pre><code class="language-{language}">{code}</code></pre>' if language else f"<pre>{code}</pre>"
        case md.Quote(blocks):  # Telegram has no quotes in quotes
            inside = "\n".join(_block(some, quoted=True) for some in blocks)
            return inside if quoted else f"<blockquote>{inside}</blockquote>"
        case md.List(items, start):
            marks = ("•" if start is None else f"{start + i}." for i in range(len(items)))
            return "\n".join(_item(mark, item, quoted=quoted) for mark, item in zip(marks, items, strict=True))
        case md.Table():
            return f"<pre>{escape(md.aligned(block, TABLE_COLUMNS), quote=False)}</pre>"
        case md.Rule():
            return "———"
        case _ as never:
            assert_never(never)


def _item(mark: str, blocks: md.Blocks, *, quoted: bool) -> str:
    drawn = (
        ("   " + some.replace("\n", "\n   ") if isinstance(block, md.List) else some)
        for block in blocks
        for some in (_block(block, quoted=quoted),)
    )
    return f"{mark} " + "\n".join(drawn)


def _span(span: md.Span) -> str:
    text = escape(span.text, quote=False)
    if span.link and FORM_MARK not in span.link:
        text = f'<a href="{escape(span.link)}">{text}</a>'
    elif span.code:  # Telegram takes no other markup around code
        return f"<code>{text}</code>"
    for wanted, tag in ((span.bold, "b"), (span.italic, "i"), (span.strike, "s")):
        text = f"<{tag}>{text}</{tag}>" if wanted else text
    return text


def size(blocks: md.Blocks) -> int:
    """Units they take."""
    return units(shown(html(blocks)))


def _pages(blocks: md.Blocks, name: str, whole: str) -> Iterator[Piece]:
    """Some messages, or where they would be too many, the first of them and a file."""
    pages = md.split(blocks, size, TEXT_MAX)
    if len(pages) <= PAGES_MAX:
        yield from (Text(_something(html(page))) for page in pages or ((),))
        return
    first, *_ = md.split(blocks, size, TEXT_MAX - len(words.WHOLE_IN_FILE) - 2)
    yield Text(f"{_something(html(first))}\n\n<i>{words.WHOLE_IN_FILE}</i>")
    yield Whole(name, whole)


def _something(drawn: str) -> str:
    """Telegram refuses messages without a visible character."""
    return drawn if any(letter.isprintable() and not letter.isspace() for letter in shown(drawn)) else words.EMPTY


# --- Views ----------------------------------------------------------------------------------------------------------


def draw(view: View, zone: str) -> tuple[Piece, ...]:
    """The messages a view takes, in order, at least one."""
    match view:
        case Line():
            return tuple(_line(view))
        case StatusLine():
            return (Text(_status(view)),)
        case Answer():
            return tuple(_answer(view))
        case InquiryCard():
            return (_inquiry(view, zone),)
        case DecidedCard():
            return (Text(_decided(view)),)
        case Inbox():
            return (_inbox(view),)
        case Trouble():
            parts = ((common.MEANS, view.means), (common.NEXT_STEP, view.next_step), (common.REMEDY, view.remedy))
            lines = (f"{label}: {_safe(text, 900)}" for label, text in parts if text.strip())
            return (Text("\n".join((_tag("b", view.what, 900) or words.EMPTY, *lines))),)
        case _ as never:
            assert_never(never)


def plain(view: Line) -> str:
    """A line without markup, for an alert."""
    return readable(f"{view.speaker}: {view.text}" if view.speaker else view.text)


def _line(view: Line) -> Iterator[Piece]:
    speaker = (md.Span(f"{readable(view.speaker)}: ", bold=True),) if view.speaker else ()
    text = (md.Span(readable(view.text)),) if view.text else ()
    yield from _pages((md.Paragraph((*speaker, *text)),), "message.txt", plain(view))


def _status(view: StatusLine) -> str:
    took = human_duration(max(view.at_ms - view.started_at_ms, 0))
    used = (common.tokens(human_count(view.tokens)), human_money(view.cost_microusd))
    if view.done:
        ended = f"{common.ENDED.get(view.done, view.done)} {took}"
        facts = (ended, common.roles(view.roles_n), *used, short(view.task))
        return _tag("i", common.SEPARATOR.join(facts), 600)
    branches = [
        f"{_safe(' > '.join(branch.roles), 200)}{common.SEPARATOR}{_safe(branch.doing, 200)}"
        for branch in view.branches[:8]
    ]
    more = view.more + len(view.branches[8:])
    if more:
        branches.append(common.and_more(more))
    totals = common.SEPARATOR.join((common.steps(view.steps), *used, took))
    lines = [f"{branches[0]}{common.SEPARATOR}{totals}"] if len(branches) == 1 else [*branches, totals]
    return "<i>" + "\n".join(lines) + "</i>"


def _answer(view: Answer) -> Iterator[Piece]:
    facts = f"{common.SEPARATOR}{common.AGENT}{common.SEPARATOR}{short(view.task)}"
    head = md.Paragraph((md.Span(clip(view.speaker, 100), bold=True), md.Span(facts)))
    lists = (
        (common.CHANGED, view.changed),
        (common.RISKS, view.risks),
        (common.NEXT, view.next_needs),
        (common.FILES, view.artifacts),
    )
    blocks: list[md.Block] = [head, *md.parse(view.text)]
    for label, entries in lists:
        if entries:
            blocks.extend((md.Paragraph((md.Span(f"{label}:", bold=True),)), _bullets(entries)))
    if view.degraded:
        blocks.append(md.Paragraph((md.Span(f"{common.DEGRADED}: {readable(view.degraded)}", italic=True),)))
    sections = (f"## {label}\n\n" + "".join(f"- {entry}\n" for entry in entries) for label, entries in lists if entries)
    whole = "\n\n".join((view.text, *sections, *((f"{common.DEGRADED}: {view.degraded}",) if view.degraded else ())))
    yield from _pages(tuple(blocks), f"{short(view.task)}.md", whole)
    yield from (Stored(artifact) for artifact in view.artifacts)


def _bullets(entries: Iterable[str]) -> md.List:
    return md.List(tuple((md.Paragraph((md.Span(readable(entry)),)),) for entry in entries))


def _inquiry(card: InquiryCard, zone: str) -> Text:
    limits = _LIMITS
    mark = f"[{words.OVERDUE}] " if card.overdue else ""
    due = words.by(human_time(card.decide_by_ms, zone)) if card.decide_by_ms is not None else ""
    facts = common.SEPARATOR.join(filter(None, (card.tier, due, card.needs, short(card.inquiry))))
    head = (_tag("b", mark + card.title, limits["title"]), _safe(card.line, limits["line"]))
    why = f"<blockquote>{_safe(f'“{card.why}”', limits['why'])}</blockquote>" if card.why.strip() else ""
    tail = (why, _safe(facts, limits["facts"]), _tag("i", card.hint, limits["hint"]))
    # Who decides alone is shown all of it first: the hint stands on such cards only.
    fields, more_n = (card.whole, 0) if card.hint else (card.fields, card.more_n)
    rows = [_field(field) for field in fields]
    return Text(_fitted(head, rows, tail, more_n), _rows(card.buttons))


def _field(field: Field) -> str:
    name, value = _tag("b", field.name.replace("\n", " "), 120), clip(field.shown, _LIMITS["row"])
    if not value.strip():
        return f"{name}: {words.EMPTY}"
    tag = "pre" if "\n" in value else "code"
    return f"{name}: <{tag}>{escape(value, quote=False)}</{tag}>"


def _fitted(head: Iterable[str], rows: list[str], tail: Iterable[str], more_n: int) -> str:
    """As many rows as there is room for between head and tail, and how many there are besides."""
    top, bottom = "\n".join(filter(None, head)), "\n".join(filter(None, tail))

    def drawn(n: int) -> str:
        left = more_n + len(rows) - n
        middle = "\n".join((*rows[:n], *((common.more(left),) if left else ())))
        return "\n\n".join(filter(None, (top, middle, bottom)))

    return next(text for n in range(len(rows), -1, -1) if units(shown(text := drawn(n))) <= TEXT_MAX or n == 0)


def _rows(buttons: Iterable[Button], *, per_row: int = 3) -> tuple[tuple[Button, ...], ...]:
    """Short ones side by side; each option of a choice on a row of its own."""
    rows: list[tuple[Button, ...]] = []
    for button in buttons:
        parsed = parse_control(button.control)
        last = rows[-1] if rows else ()
        letters = sum(len(some.label) for some in last) + len(button.label)
        alone = parsed is not None and parsed[2] is not None
        if last and not alone and not _is_option(last[0]) and len(last) < per_row and letters <= ROW_LETTERS_MAX:
            rows[-1] = (*last, button)
        else:
            rows.append((button,))
    return tuple(rows)


def _is_option(button: Button) -> bool:
    parsed = parse_control(button.control)
    return parsed is not None and parsed[2] is not None


def _decided(card: DecidedCard) -> str:
    marks = {"approved": words.GOOD, "denied": words.BAD}
    mark = f"{marks[card.state]} " if card.state in marks else ""
    title = _safe(f"{clip(card.title, 300)} ({short(card.inquiry)})")
    return "\n".join(filter(None, (mark + _tag("b", card.headline, 1_000), title, _safe(card.outcome, 2_000))))


def _inbox(view: Inbox) -> Text:
    if not view.items:
        return Text(common.INBOX_EMPTY)
    numbered = list(enumerate(view.items, 1))
    lines: list[str] = []
    if len(numbered) > GROUP_OVER:
        numbered.sort(key=lambda pair: pair[1].tier)
        for tier, group in groupby(numbered, key=lambda pair: pair[1].tier):
            first, *others = (_row(n, item, grouped=True) for n, item in group)
            lines.extend((f"{_tag('b', tier, 60)}\n{first}", *others))
    else:
        lines.extend(_row(n, item, grouped=False) for n, item in numbered)
    drawn = _fitted((f"<b>{common.INBOX}</b>",), lines, (), 0)
    buttons = [
        Button(control=button.control, label=f"{n}. {button.label}", style=button.style)
        for n, item in sorted(numbered, key=lambda pair: pair[0])
        for button in item.buttons
    ]
    return Text(drawn, _rows(buttons[:BUTTONS_MAX], per_row=2))


def _row(n: int, item: InboxItem, *, grouped: bool) -> str:
    late = words.OVERDUE if item.overdue else ""
    tier = "" if grouped else item.tier
    facts = (clip(item.title, 160), tier, human_duration(item.age_ms), late, clip(item.needs, 120), short(item.inquiry))
    return f"{n}. {_safe(common.SEPARATOR.join(filter(None, facts)), 400)}"
