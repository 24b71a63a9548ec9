"""Views as messages of Discord: pure.

Laws of this file. Whatever the view, each message keeps Discord's limits: what does not fit is shortened, goes into a
further message, or into a file. Cards are components of the second version, which replace each other in place; what
people read as talk is plain content. Nothing calls anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, Final, assert_never

import msgspec

from bots import markdown
from bots import words as common
from bots.discord import words
from bots.discord.markup import bold, draw, fenced, fitted, inert, size, units
from core.model.ids import digest_of, short
from core.model.views import (
    Answer,
    Button,
    DecidedCard,
    Field,
    Inbox,
    InboxItem,
    InquiryCard,
    Line,
    Post,
    StatusLine,
    Trouble,
    View,
)
from core.rules.text import human_count, human_duration, human_money, readable, shorten
from core.rules.words import SEPARATOR

Body = dict[str, Any]

CONTENT_MAX: Final = 2_000
TEXTS_MAX: Final = 4_000
COMPONENTS_MAX: Final = 40
ROW_BUTTONS_MAX: Final = 5
BUTTONS_MAX: Final = 25
LABEL_MAX: Final = 80
CONTROL_MAX: Final = 100
NONCE_MAX: Final = 25
FILE_NAME_MAX: Final = 100
FILE_BYTES_MAX: Final = 10_000_000  # what Discord takes from anybody

SCREEN: Final = 1_900
SCREENS_MAX: Final = 4
FILES_MAX: Final = 10
GROUP_OVER: Final = 8
ITEM_MAX: Final = 280
TELLING_MIN: Final = 500
BRANCHES_MAX: Final = 6

_V2: Final = 1 << 15
_MARKS: Final = 1 << 28  # far from the numbers that Discord gives, and no more than 32 bits
_SILENT: Final[Body] = {"parse": []}
_COLOURS: Final = {"good": 0x2E7D32, "bad": 0xC62828, "warn": 0xF9A825, "plain": 0x5865F2, "over": 0x747F8D}
_STYLES: Final = {"good": 3, "bad": 4}
_STATES: Final = {
    "approved": "good",
    "answered": "good",
    "done": "good",
    "denied": "bad",
    "failed": "bad",
    "rejected": "bad",
    "overdue": "warn",
    "expired": "warn",
}
_UNSAFE: Final = re.compile(r"[^\w.\- ]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file to send along."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `artifact` names a result's file that is still to be read and attached (`attached`)."""

    body: Body
    upload: Upload | None = None
    artifact: str = ""

    @property
    def is_card(self) -> bool:
        """Components of the second version. A message that has become one never becomes anything else."""
        return bool(self.body.get("flags", 0) & _V2)


Messages = tuple[Message, ...]
Read = Callable[[str], markdown.Blocks]


def messages(view: View) -> Messages:
    """What the view takes, at least one."""
    match view:
        case Line(text=text, speaker=speaker):
            head = f"{_speaker(speaker)}: " if speaker else ""
            return _talk(head, text, _plain, "text")
        case StatusLine():
            return (_content(_status(view)),)
        case Answer():
            return _answer(view)
        case InquiryCard():
            return (_card(_inquiry(view), _COLOURS["warn" if view.overdue else "plain"]),)
        case DecidedCard():
            return (_card(_decided(view), _COLOURS[_STATES.get(view.state, "over")]),)
        case Inbox():
            return (_card(_inbox(view), _COLOURS["plain"]),)
        case Trouble():
            return _trouble(view)
        case _ as never:
            assert_never(never)


def nonce(post: Post, part: int) -> str:
    """The same for every try of the same message."""
    return digest_of("discord", post.id, part)[:NONCE_MAX]


def marked(body: Body, post: Post, part: int) -> Body:
    """As it is created: with a key for now, and what of it stays when the key is forgotten."""
    keyed = {**body, "nonce": nonce(post, part), "enforce_nonce": True}
    if body.get("components"):
        first, *others = body["components"]
        keyed["components"] = [{**first, "id": mark(post, part)}, *others]
    return keyed


def mark(post: Post, part: int) -> int:
    """A component's number, which Discord keeps as long as the message."""
    return _MARKS | int(digest_of("mark", post.id, part)[:7], 16)


def attached(message: Message, found: tuple[str, bytes] | None) -> Message:
    """The message with its file, or with a line that says there is none."""
    name = file_name(found[0] if found else message.artifact)
    if found is None or len(found[1]) > FILE_BYTES_MAX:
        return _content(fitted(words.not_attached(name), CONTENT_MAX))
    return Message(body=message.body, upload=Upload(name=name, content=found[1]))


def file_name(name: str) -> str:
    """A name that means nothing to any filesystem."""
    last = readable(name).replace("\\", "/").rsplit("/", 1)[-1]
    return _UNSAFE.sub("_", last).strip(". ")[-FILE_NAME_MAX:] or words.FILE


def is_same(sent: Body, post: Post, part: int, message: Message, answers: str) -> bool:
    """Whether a message of our own that was found on Discord is this part of the post. Talk keeps nothing of its own:
    it reads the same, and answers the same message; see `is_telling`.
    """
    if sent.get("nonce"):
        return str(sent["nonce"]) == nonce(post, part)
    if message.is_card:
        components = sent.get("components")
        marks = (
            [some.get("id") for some in components if isinstance(some, dict)] if isinstance(components, list) else []
        )
        return mark(post, part) in marks
    reference = sent.get("message_reference")
    answered = str(reference.get("message_id") or "") if isinstance(reference, dict) else ""
    content = message.body.get("content")
    same = bool(content) and isinstance(content, str) and sent.get("content") == content.strip()
    return same and bool(sent.get("attachments")) == (message.upload is not None) and answered in {"", answers}


def is_telling(view: View, message: Message) -> bool:
    """Whether nothing else that we ever say there reads the same: it is marked, names its request, or is long."""
    content = message.body.get("content") or ""
    task = short(view.task) if isinstance(view, Answer | StatusLine) else ""
    return message.is_card or len(content) >= TELLING_MIN or (bool(task) and task in content)


# --- Talk -----------------------------------------------------------------------------------------------------------


def _content(text: str) -> Message:
    return Message(body={"content": text or inert(words.EMPTY), "allowed_mentions": _SILENT})


def _speaker(name: str) -> str:
    """Whoever speaks is plainly no person."""
    return f"{bold(shorten(name, 80))} ({common.AGENT})"


def _talk(head: str, text: str, read: Read, name: str, sections: markdown.Blocks = (), end: str = "") -> Messages:
    """A few screens; of a longer text the first, and the whole as a file. `end` is what `sections` say, as text."""
    room = SCREEN - units(head)
    whole = text + end
    if len(whole) <= SCREEN * SCREENS_MAX:
        screens = markdown.split((*read(text), *sections), size, room)
        if len(screens) <= SCREENS_MAX:
            first, *others = map(draw, screens or ((),))
            return (_content(head + first), *map(_content, others))
    file = f"{file_name(name)}.md"
    note = inert(words.goes_on_in(file))
    screens = markdown.split(read(text[: SCREEN * 2]), size, room - units(note) - 2)
    body = {"content": inert(words.whole(file)), "allowed_mentions": _SILENT}
    upload = Upload(name=file, content=whole.encode("utf-8", "replace"))
    return _content(f"{head}{draw(screens[0] if screens else ())}\n\n{note}"), Message(body=body, upload=upload)


def _plain(text: str) -> markdown.Blocks:
    return (markdown.Paragraph((markdown.Span(readable(text)),)),)


def _answer(view: Answer) -> Messages:
    head = f"{_speaker(view.speaker)}{SEPARATOR}{fitted(short(view.task), 40)}\n"
    lists = (
        (common.CHANGED, view.changed),
        (common.RISKS, view.risks),
        (common.NEXT, view.next_needs),
        (common.FILES, view.artifacts),
        (common.DEGRADED, (view.degraded,) if view.degraded else ()),
    )
    sections: list[markdown.Block] = []
    end = ""
    for title, lines in lists:
        if lines:
            sections.append(markdown.Paragraph((markdown.Span(title, bold=True),)))
            sections.append(markdown.List(tuple(_plain(line) for line in lines)))
            end += f"\n\n**{title}**\n\n" + "\n".join(f"- {line}" for line in lines)
    talk = _talk(head, view.text, markdown.parse, f"answer-{short(view.task)}", tuple(sections), end)
    return (*talk, *(_artifact(name) for name in view.artifacts[:FILES_MAX]))


def _artifact(name: str) -> Message:
    return Message(body={"content": inert(file_name(name)), "allowed_mentions": _SILENT}, artifact=name)


def _status(view: StatusLine) -> str:
    took = human_duration(max(view.at_ms - view.started_at_ms, 0))
    used = (common.tokens(human_count(view.tokens)), human_money(view.cost_microusd))
    if view.done:
        ended = f"{common.ENDED.get(view.done, view.done)} {took}"
        return fitted(SEPARATOR.join((ended, common.roles(view.roles_n), *used, short(view.task))), CONTENT_MAX)
    branches = [" > ".join(branch.roles) + SEPARATOR + branch.doing for branch in view.branches[:BRANCHES_MAX]]
    more = view.more + len(view.branches[BRANCHES_MAX:])
    if more:
        branches.append(common.and_more(more))
    totals = SEPARATOR.join((common.steps(view.steps), *used, took))
    lines = [f"{branches[0]}{SEPARATOR}{totals}"] if len(branches) == 1 else [*branches, totals]
    return "\n".join(fitted(line.replace("\n", " "), ITEM_MAX if len(lines) > 1 else SCREEN) for line in lines)


def _trouble(view: Trouble) -> Messages:
    """The labels stand in bold; what they say is plain."""
    others = ((common.MEANS, view.means), (common.NEXT_STEP, view.next_step), (common.REMEDY, view.remedy))
    said = [(label, readable(text)) for label, text in others if text]
    sections = tuple(
        markdown.Paragraph((markdown.Span(label, bold=True), markdown.Span(f": {text}"))) for label, text in said
    )
    end = "".join(f"\n\n{label}: {text}" for label, text in said)
    return _talk(f"**{common.TROUBLE}**: ", view.what, _plain, "trouble", sections, end)


# --- Cards ----------------------------------------------------------------------------------------------------------


def _card(components: Iterable[Body], colour: int) -> Message:
    container = {"type": 17, "accent_color": colour, "components": list(components)}
    return Message(body={"flags": _V2, "components": [container], "allowed_mentions": _SILENT})


def _text(text: str) -> Iterator[Body]:
    if text.strip():
        yield {"type": 10, "content": text}


def _inquiry(card: InquiryCard) -> Iterator[Body]:
    title = f"### {fitted(card.title, 300).replace(chr(10), ' ')}"
    if card.overdue:
        title = f"**{words.OVERDUE}**\n{title}"
    head = f"{title}\n{fitted(card.line, 500)}".rstrip()
    why = "\n".join(f"> {line}" for line in fitted(f'"{card.why}"', 600).split("\n")) if card.why else ""
    due = ""
    if card.decide_by_ms is not None:
        at = card.decide_by_ms // 1000
        due = words.by(f"<t:{at}:f>", f"<t:{at}:R>")
    facts = (fitted(card.tier, 80), due, fitted(card.needs, 300), inert(short(card.inquiry)))
    meta = SEPARATOR.join(filter(None, facts)).replace("\n", " ")
    hint = fitted(card.hint, 300)
    # Who decides alone is shown all of it: the hint stands on such cards only.
    fields, more_n = (card.whole, 0) if card.hint else (card.fields, card.more_n)
    room = TEXTS_MAX - sum(map(units, (head, why, meta, hint)))
    yield from _text(head)
    yield from _text(_fields(fields, more_n, room))
    yield from _text(why)
    yield from _text(meta)
    yield from _text(hint)
    yield from _rows(card.buttons)


def _fields(fields: tuple[Field, ...], more_n: int, room: int) -> str:
    """A line each, several for a text of several lines, and how many are not shown."""
    room -= 40
    lines: list[str] = []
    for n, field in enumerate(fields):
        name = f"**{fitted(field.name or words.NO_LABEL, 120)}**".replace("\n", " ")
        shown = readable(field.shown)
        line = f"{name}\n{fenced(shown)}" if "\n" in shown else f"{name}: {inert(shown)}"
        if units(line) >= room:
            more_n += len(fields) - n
            if not lines:
                lines.append(f"{name}: {fitted(shown.replace(chr(10), '⏎'), max(room - units(name) - 3, 0))}")
                more_n -= 1
            break
        lines.append(line)
        room -= units(line) + 1
    if more_n > 0:
        lines.append(common.more(more_n))
    return "\n".join(lines)


def _rows(buttons: tuple[Button, ...]) -> Iterator[Body]:
    """Rows of at most five. Discord refuses two buttons with one control."""
    once = {button.control: button for button in buttons if button.control}
    drawn = [_button(button) for button in once.values()][:BUTTONS_MAX]
    for start in range(0, len(drawn), ROW_BUTTONS_MAX):
        yield {"type": 1, "components": drawn[start : start + ROW_BUTTONS_MAX]}


def _button(button: Button) -> Body:
    label = shorten(readable(button.label).replace("\n", " "), LABEL_MAX).strip() or words.NO_LABEL
    style = _STYLES.get(button.style, 2)
    return {"type": 2, "style": style, "label": label, "custom_id": button.control[:CONTROL_MAX]}


def _decided(card: DecidedCard) -> Iterator[Body]:
    headline = fitted(card.headline, 1_200).replace("\n", " ")
    yield from _text(f"**{headline}**" if headline else "")
    yield from _text(fitted(f"{card.title} ({short(card.inquiry)})", 400))
    yield from _text(fitted(card.outcome, 1_800))


def _inbox(view: Inbox) -> Iterator[Body]:
    """As many buttons as Discord takes; what has no room for one is a line, and what has none for that, a number."""
    if not view.items:
        yield from _text(common.INBOX_EMPTY)
        return
    yield from _text(f"### {common.INBOX}")
    numbered = list(enumerate(_once(view.items), 1))
    groups = [("", numbered)]
    if len(numbered) > GROUP_OVER:
        by_tier = sorted(numbered, key=lambda pair: pair[1].tier)
        groups = [(tier, list(some)) for tier, some in groupby(by_tier, key=lambda pair: pair[1].tier)]
    room = TEXTS_MAX - 100
    # The container, the title and the last line; then as few as possible for each group and each item without button.
    left = COMPONENTS_MAX - 3
    hidden = 0
    for tier, items in groups:
        heading = f"**{fitted(tier, 80)}**\n".replace("\n\n", "\n") if tier else ""
        for n, item in items:
            line = heading + _item(n, item, grouped=bool(tier))
            room -= units(line)
            drawn = _with_button(line, item, left)
            cost = _count(drawn)
            if room < 0 or cost > left:
                hidden += 1
                continue
            left -= cost
            heading = ""
            yield from drawn
    if hidden:
        yield from _text(common.and_more(hidden))


def _once(items: tuple[InboxItem, ...]) -> Iterator[InboxItem]:
    """Discord refuses two buttons with one control, wherever in a message they stand."""
    seen: set[str] = set()
    for item in items:
        yield msgspec.structs.replace(item, buttons=tuple(b for b in item.buttons if b.control not in seen))
        seen.update(button.control for button in item.buttons)


def _with_button(line: str, item: InboxItem, left: int) -> list[Body]:
    """A section holds one button; more stand in a row below."""
    buttons = list(_rows(item.buttons[:ROW_BUTTONS_MAX]))
    if not buttons or left < 4:
        return list(_text(line))
    row = buttons[0]["components"]
    if len(row) == 1:
        return [{"type": 9, "components": list(_text(line)), "accessory": row[0]}]
    drawn = [*_text(line), *buttons]
    return drawn if _count(drawn) <= left else list(_text(line))


def _count(components: Iterable[Body]) -> int:
    return sum(1 + ("accessory" in some) + _count(some.get("components", ())) for some in components)


def _item(n: int, item: InboxItem, *, grouped: bool) -> str:
    late = words.OVERDUE.lower() if item.overdue else ""
    tier = "" if grouped else item.tier
    facts = (shorten(item.title, 120), tier, human_duration(item.age_ms), late, item.needs, short(item.inquiry))
    return f"**{n}.** " + fitted(SEPARATOR.join(filter(None, facts)).replace("\n", " "), ITEM_MAX)
