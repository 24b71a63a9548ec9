"""Views as Block Kit: pure.

Laws of this file. Whatever the view, a piece is within Slack's limits: 50 blocks, a header of 150, a button of 75, 25
buttons in a row, and not more than some 13,000 characters in all blocks together, of which every block costs 125
(measured, slackapi/bolt-js #2509). People's and agents' words are never read as markup.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Final, assert_never

from bots import words as common
from bots.markdown import Blocks, Paragraph, Span, parse, split
from bots.slack import words
from bots.slack.markup import (
    SCREEN_MAX,
    Json,
    bullets,
    cut,
    drawn,
    escape,
    note,
    passage,
    plain,
    rich,
    run,
    units,
    weight,
)
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
from core.rules.text import human_count, human_duration, human_money, human_time, readable

HEADER_MAX: Final = 150
BUTTON_MAX: Final = 75
ACTION_ID_MAX: Final = 255
ROW_MAX: Final = 25
ROWS_MAX: Final = 2
SPOKEN_MAX: Final = 2900
ESCAPED_MAX: Final = 3900  # chat.update takes 4,000
SCREENS_MAX: Final = 4
LINE_MAX: Final = 11_000
TEXT_MAX: Final = 2_500
LINE_SHOWN_MAX: Final = 800
FACT_MAX: Final = 200
ARTIFACTS_MAX: Final = 10
ENTRIES_MAX: Final = 12
ENTRY_MAX: Final = 400
LIST_MAX: Final = 1_500
VALUE_MAX: Final = 1_500
TABLE_MAX: Final = 4_500
ROW_COST: Final = 12
ITEMS_MAX: Final = 15
ITEM_MAX: Final = 200
ITEM_BUTTONS_MAX: Final = 3
GROUP_OVER: Final = 8
TIERS_MAX: Final = 8

_STYLES: Final = {"good": "primary", "bad": "danger"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message. `text` is what notifications and screen readers have: escaped already."""

    blocks: tuple[Json, ...]
    text: str
    speaker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file made of the view itself."""

    name: str
    body: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """A file of the workspace, by the name a result has for it."""

    artifact: str


Piece = Message | Upload | Shared


def pieces(view: View, zone: str) -> tuple[Piece, ...]:
    """The messages and files that show a view, in order: the same ones every time."""
    match view:
        case Line():
            return _line(view)
        case StatusLine():
            return (_message([note(_status(view))]),)
        case Answer():
            return _answer(view)
        case InquiryCard():
            return (_message(list(_inquiry(view, zone)), view.speaker),)
        case DecidedCard():
            return (_message(list(_decided(view)), view.speaker),)
        case Inbox():
            return (_message(list(_inbox(view))),)
        case Trouble():
            return (_message(list(_trouble(view))),)
        case _:
            assert_never(view)


def prefixed(message: Message) -> Message:
    """For a workspace where we may not speak under a role's name: the name stands above the text."""
    if not message.speaker:
        return message
    speaker = cut(message.speaker, BUTTON_MAX)
    blocks = (rich(passage(run(speaker, bold=True))), *message.blocks)
    return Message(blocks=blocks, text=f"{escape(speaker)}: {message.text}")


def _message(blocks: list[Json], speaker: str = "") -> Message:
    said = "\n".join(line for block in blocks for line in _spoken(block) if line.strip())
    text = escape(cut(said, SPOKEN_MAX).strip() or words.NOTHING)
    if units(text) > ESCAPED_MAX:
        text = escape(cut(said, ESCAPED_MAX // 5))
    return Message(blocks=tuple(blocks), text=text, speaker=cut(speaker, BUTTON_MAX) if speaker.strip() else "")


def _spoken(block: Json) -> Iterator[str]:
    """What a block says, a line at a time; buttons say nothing."""
    match block["type"]:
        case "header" | "section":
            yield block["text"]["text"]
        case "context":
            yield common.SEPARATOR.join(_fact(element) for element in block["elements"])
        case "rich_text":
            for element in block["elements"]:
                if element["type"] == "rich_text_list":
                    yield from (words.BULLET + _runs(item) for item in element["elements"])
                else:
                    yield _runs(element).rstrip("\n")
        case _:
            return


def _fact(element: Json) -> str:
    """A date is markup: what it falls back to is said."""
    text: str = element["text"]
    return text.rpartition("|")[2].rstrip(">") if element["type"] == "mrkdwn" else text


def _runs(element: Json) -> str:
    return "".join(part["text"] for part in element["elements"])


def _bold(text: str) -> Json:
    return rich(passage(run(text, bold=True)))


def _prose(text: str, n: int = TEXT_MAX) -> list[Json]:
    shown = cut(text, n).strip()
    return [rich(passage(run(shown)))] if shown else []


# --- Lines and answers ----------------------------------------------------------------------------------------------


def _line(view: Line) -> tuple[Message, ...]:
    """All of it, however long: what is asked for in full is shown in full."""
    text = readable(view.text).strip() or words.NOTHING
    return tuple(_message(drawn(some), view.speaker) for some in split((Paragraph((Span(text),)),), weight, LINE_MAX))


def _answer(view: Answer) -> tuple[Piece, ...]:
    lists = (
        (common.CHANGED, view.changed),
        (common.RISKS, view.risks),
        (common.NEXT, view.next_needs),
        (common.FILES, view.artifacts),
    )
    tail: list[Json] = []
    whole = True
    for label, entries in lists:
        if entries:
            shown, all_shown = _listed(entries)
            whole = whole and all_shown
            tail.append(rich(passage(run(label, bold=True)), bullets(shown)))
    if view.degraded:
        tail.append(_bold(cut(f"{common.DEGRADED}: {view.degraded}", ENTRY_MAX)))
    tail.append(note(common.SEPARATOR.join((common.AGENT, short(view.task)))))
    shared = tuple(Shared(artifact=artifact) for artifact in view.artifacts[:ARTIFACTS_MAX])
    screens = [drawn(screen) for screen in _screens(view.text)]
    if whole and len(screens) <= SCREENS_MAX:
        *first, last = screens or [[]]
        texts = (*(_message(blocks, view.speaker) for blocks in first), _message([*last, *tail], view.speaker))
        return (*texts, *shared)
    head = _message([*(screens[0] if screens else []), note(words.REST_IN_FILE), *tail], view.speaker)
    file = Upload(name=f"{short(view.task)}.md", body=_markdown(view.text, lists).encode("utf-8", "replace"))
    return (head, file, *shared)


def _listed(entries: tuple[str, ...]) -> tuple[list[str], bool]:
    """As many as there is room for, and whether that is all of all of them."""
    shown: list[str] = []
    used = 0
    for entry in entries[:ENTRIES_MAX]:
        line = cut(entry, ENTRY_MAX).strip() or words.NOTHING
        used += units(line)
        if used > LIST_MAX:
            break
        shown.append(line)
    left = len(entries) - len(shown)
    whole = not left and all(units(entry) <= ENTRY_MAX for entry in entries)
    return ([*shown, common.and_more(left)] if left else shown), whole


def _screens(text: str) -> tuple[Blocks, ...]:
    """The text in pieces of a screen; of one that becomes a file anyway, as many as show that it does."""
    enough = (SCREENS_MAX + 2) * SCREEN_MAX
    return split(parse(text if len(text) <= enough else text[:enough] + "\n"), weight, SCREEN_MAX)


def _markdown(text: str, lists: Iterable[tuple[str, tuple[str, ...]]]) -> str:
    """The whole answer as a file."""
    sections = [f"## {label}\n\n" + "".join(f"- {entry}\n" for entry in entries) for label, entries in lists if entries]
    return "\n".join((text.rstrip() + "\n", *sections))


# --- Cards ----------------------------------------------------------------------------------------------------------


def _inquiry(card: InquiryCard, zone: str) -> Iterator[Json]:
    mark = f"[{words.OVERDUE}] " if card.overdue else ""
    yield {"type": "header", "text": plain(mark + card.title, HEADER_MAX)}
    yield from _prose(card.line, LINE_SHOWN_MAX)
    # Who decides alone is shown all of it first: the hint stands on such cards only.
    shown, left = _table(card.whole if card.hint else card.fields)
    left += 0 if card.hint else card.more_n
    if shown:
        yield rich({"type": "rich_text_list", "style": "bullet", "indent": 0, "elements": shown})
    if left:
        yield note(common.more(left))
    if card.why.strip():
        yield rich({"type": "rich_text_quote", "elements": [run(f'"{cut(card.why.strip(), LINE_SHOWN_MAX)}"')]})
    due: list[Json] = []
    if card.decide_by_ms is not None:
        due = [{"type": "mrkdwn", "text": _date(card.decide_by_ms, zone)}]
    before = [plain(card.tier, FACT_MAX)] if card.tier else []
    after = [plain(text, FACT_MAX) for text in (card.needs, short(card.inquiry)) if text.strip()]
    yield {"type": "context", "elements": [*before, *due, *after]}
    if card.hint:
        yield from _prose(card.hint, ENTRY_MAX)
    yield from _rows(card.buttons)


def _date(at_ms: int, zone: str) -> str:
    """In the reader's own zone; the team's where Slack cannot."""
    said = words.by(human_time(at_ms, zone))
    return f"<!date^{at_ms // 1000}^{words.BY} {{date_short_pretty}} {{time}}|{said}>"


def _table(fields: tuple[Field, ...]) -> tuple[list[Json], int]:
    """Name and value of each, while there is room; and how many are left."""
    rows: list[Json] = []
    used = 0
    for field in fields:
        name, shown = cut(field.name, FACT_MAX) or words.NOTHING, cut(field.shown, VALUE_MAX)
        used += units(name) + units(shown) + ROW_COST
        if used > TABLE_MAX:
            break
        rows.append(passage(run(name, bold=True), run("  " + shown)))
    return rows, len(fields) - len(rows)


def _rows(buttons: tuple[Button, ...]) -> Iterator[Json]:
    drawable = [button for button in buttons if 0 < units(button.control) <= ACTION_ID_MAX][: ROW_MAX * ROWS_MAX]
    for start in range(0, len(drawable), ROW_MAX):
        yield {"type": "actions", "elements": [_button(button) for button in drawable[start : start + ROW_MAX]]}


def _button(button: Button) -> Json:
    style = _STYLES.get(button.style)
    return {
        "type": "button",
        "text": plain(button.label, BUTTON_MAX),
        "action_id": button.control,
        "value": button.control,
        **({"style": style} if style else {}),
    }


def _decided(card: DecidedCard) -> Iterator[Json]:
    mark = words.MARKS.get(card.state, "")
    yield _bold(cut(f"{mark} {card.headline}".strip() or words.NOTHING, TEXT_MAX))
    yield note(common.SEPARATOR.join(filter(None, (cut(card.title, HEADER_MAX), short(card.inquiry)))))
    yield from _prose(card.outcome)


# --- Lines and lists ------------------------------------------------------------------------------------------------


def _status(view: StatusLine) -> str:
    took = human_duration(max(view.at_ms - view.started_at_ms, 0))
    used = (common.tokens(human_count(view.tokens)), human_money(view.cost_microusd))
    if view.done:
        ended = f"{common.ENDED.get(view.done, view.done)} {took}"
        return common.SEPARATOR.join((ended, common.roles(view.roles_n), *used, short(view.task)))
    branches = [" > ".join(branch.roles) + common.SEPARATOR + branch.doing for branch in view.branches]
    if view.more:
        branches.append(common.and_more(view.more))
    totals = common.SEPARATOR.join((common.steps(view.steps), *used, took))
    return f"{branches[0]}{common.SEPARATOR}{totals}" if len(branches) == 1 else "\n".join((*branches, totals))


def _inbox(view: Inbox) -> Iterator[Json]:
    if not view.items:
        yield from _prose(common.INBOX_EMPTY)
        return
    yield {"type": "header", "text": plain(common.INBOX, HEADER_MAX)}
    numbered = list(enumerate(view.items[:ITEMS_MAX], 1))
    if len(view.items) <= GROUP_OVER:
        for n, item in numbered:
            yield from _item(n, item)
    else:
        tiers = sorted(numbered, key=lambda pair: pair[1].tier)
        for headings, (tier, group) in enumerate(groupby(tiers, key=lambda pair: pair[1].tier)):
            if headings < TIERS_MAX:  # more than there are
                yield _bold(cut(tier, FACT_MAX) or words.NOTHING)
            for n, item in group:
                yield from _item(n, item, grouped=True)
    if len(view.items) > ITEMS_MAX:
        yield note(common.and_more(len(view.items) - ITEMS_MAX))


def _item(n: int, item: InboxItem, *, grouped: bool = False) -> Iterator[Json]:
    late = words.OVERDUE if item.overdue else ""
    tier = "" if grouped else item.tier
    facts = (item.title, tier, human_duration(item.age_ms), late, item.needs, short(item.inquiry))
    line = plain(f"{n}. {common.SEPARATOR.join(filter(None, facts))}", ITEM_MAX)
    rows = list(_rows(item.buttons[:ITEM_BUTTONS_MAX]))
    if len(rows) == 1 and len(rows[0]["elements"]) == 1:
        yield {"type": "section", "text": line, "accessory": rows[0]["elements"][0]}
        return
    yield {"type": "section", "text": line}
    yield from rows


def _trouble(view: Trouble) -> Iterator[Json]:
    yield _bold(cut(f"{common.TROUBLE}: {view.what}", TEXT_MAX))
    labelled = ((common.MEANS, view.means), (common.NEXT_STEP, view.next_step), (common.REMEDY, view.remedy))
    rows = [passage(run(f"{label}: ", bold=True), run(cut(text, TEXT_MAX))) for label, text in labelled if text]
    if rows:
        yield rich({"type": "rich_text_list", "style": "bullet", "indent": 0, "elements": rows})
