"""Text for Slack: inert, bounded, and markdown as rich text. Pure.

Laws of this file. What somebody wrote is only ever put into rich text or plain text, where Slack reads no markup, or
escaped where there is nothing else. Lengths are counted in UTF-16 units, which are never fewer than characters.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, assert_never

from bots.markdown import Block, Blocks, Code, Heading, List, Paragraph, Quote, Rule, Span, Spans, Table, aligned
from core.rules.text import readable

Json = dict[str, Any]

SECTION_MAX: Final = 3000
SCREEN_MAX: Final = 3000
TABLE_WIDTH: Final = 60  # a phone held upright shows about half of it and scrolls; wider ones wrap on a laptop
INDENT_MAX: Final = 6
ITEM_COST: Final = 8
ELLIPSIS: Final = "…"


def units(text: str) -> int:
    """Length in UTF-16."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def cut(text: str, n: int) -> str:
    """At most `n` UTF-16 units of it, readable; a cut shows as an ellipsis."""
    text = readable(text[: n + 1]) if len(text) > n else readable(text)
    if units(text) <= n:
        return text
    raw = text.encode("utf-16-le")[: 2 * (n - 1)]
    return raw.decode("utf-16-le", "ignore").rstrip() + ELLIPSIS


def clip(text: str, n: int) -> str:
    """The first `n` units as they are: for what is typed on, not read."""
    return (
        text if units(text) <= n else text.encode("utf-16-le", "surrogatepass")[: 2 * n].decode("utf-16-le", "ignore")
    )


def escape(text: str) -> str:
    """For fields that Slack reads as its markup: nothing in it mentions or links."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, n: int) -> Json:
    """A plain text object of at most `n` units; Slack wants at least one."""
    return {"type": "plain_text", "text": cut(text, n).strip() or ELLIPSIS, "emoji": False}


def run(text: str, **style: bool) -> Json:
    """A run of rich text."""
    return {"type": "text", "text": text, **({"style": style} if style else {})}


def rich(*elements: Json) -> Json:
    """A block of rich text."""
    return {"type": "rich_text", "elements": list(elements)}


def passage(*runs: Json) -> Json:
    """A paragraph of rich text."""
    return {"type": "rich_text_section", "elements": [some for some in runs if some.get("text") != ""]}


def note(*texts: str) -> Json:
    """A line in small grey letters."""
    return {"type": "context", "elements": [plain(text, SECTION_MAX) for text in texts]}


# --- Markdown -------------------------------------------------------------------------------------------------------


def drawn(blocks: Blocks) -> list[Json]:
    """One block of rich text, or none for nothing."""
    elements = [element for block in blocks for element in _elements(block)]
    spaced: list[Json] = []
    for n, element in enumerate(elements):
        last = n == len(elements) - 1
        both = not last and element["type"] == elements[n + 1]["type"] == "rich_text_section"
        spaced.append(_apart(element) if both else element)
    return [rich(*spaced)] if spaced else []


def weight(blocks: Blocks) -> int:
    """What a message's bound counts: characters, and something for every element, since they cost bytes as well."""
    return sum(_weight(element) for block in drawn(blocks) for element in block["elements"])


def _weight(element: Json) -> int:
    inner = element.get("elements")
    own = units(element.get("text", "")) + units(element.get("url", "")) + ITEM_COST
    return own + sum(_weight(some) for some in inner) if isinstance(inner, list) else own


def _apart(section: Json) -> Json:
    """Two paragraphs would stand on consecutive lines: an empty one parts them."""
    return {**section, "elements": [*section["elements"], run("\n\n")]}


def _elements(block: Block) -> Iterator[Json]:
    match block:
        case Paragraph(spans):
            yield from _section(spans)
        case Heading(_, spans):
            yield from _section(spans, bold=True)
        case Code(text):
            yield {"type": "rich_text_preformatted", "elements": [run(text or " ")]}
        case Quote(blocks):
            runs = list(_inside(blocks))
            if runs:
                yield {"type": "rich_text_quote", "elements": runs}
        case List():
            yield from _list(block, 0)
        case Table():
            yield {"type": "rich_text_preformatted", "elements": [run(aligned(block, TABLE_WIDTH) or " ")]}
        case Rule():
            yield passage(run("———"))
        case _:
            assert_never(block)


def _section(spans: Spans, *, bold: bool = False) -> Iterator[Json]:
    runs = [_run(span, bold=bold) for span in spans if span.text]
    if runs:
        yield passage(*runs)


def _run(span: Span, *, bold: bool = False) -> Json:
    style = {
        "bold": span.bold or bold,
        "italic": span.italic,
        "strike": span.strike,
        "code": span.code,
    }
    style = {name: True for name, on in style.items() if on}
    if span.link:
        return {"type": "link", "url": span.link, "text": span.text, **({"style": style} if style else {})}
    return run(span.text, **style)


def _list(block: List, indent: int) -> Iterator[Json]:
    """Slack has no lists in lists, but lists that are indented: an item's own blocks end one and begin another."""
    pending: list[Json] = []
    done = 0

    def flush() -> Iterator[Json]:
        if pending:
            yield _items(block, pending, indent, done - len(pending))
            pending.clear()

    for item in block.items:
        first, rest = (item[0], item[1:]) if item and isinstance(item[0], Paragraph | Heading) else (None, item)
        runs = [some for section in (_elements(first) if first else ()) for some in section["elements"]]
        pending.append(passage(*(runs or [run(" ")])))
        done += 1
        if rest:
            yield from flush()
        for inner in rest:
            if isinstance(inner, List):
                yield from _list(inner, min(indent + 1, INDENT_MAX))
            else:
                yield from _elements(inner)
    yield from flush()


def _items(block: List, items: list[Json], indent: int, before: int) -> Json:
    drawn_list = {
        "type": "rich_text_list",
        "style": "bullet" if block.start is None else "ordered",
        "indent": indent,
        "elements": list(items),
    }
    offset = 0 if block.start is None else max(block.start - 1, 0) + before
    return {**drawn_list, "offset": offset} if offset else drawn_list


def _inside(blocks: Blocks) -> Iterator[Json]:
    """Blocks as one run of text: what a quotation can hold."""
    for n, block in enumerate(blocks):
        if n:
            yield run("\n")
        match block:
            case Paragraph(spans) | Heading(_, spans):
                yield from (_run(span) for span in spans if span.text)
            case Code(text):
                yield run(text or " ", code=True)
            case Quote(inner):
                yield from _inside(inner)
            case List(items):
                for number, item in enumerate(items):
                    yield run(("\n" if number else "") + "• ")
                    yield from _inside(item)
            case Table():
                yield run(aligned(block, TABLE_WIDTH) or " ", code=True)
            case Rule():
                yield run("———")
            case _:
                assert_never(block)


# --- Reading --------------------------------------------------------------------------------------------------------


def bullets(entries: Iterable[str]) -> Json:
    """A list of literal lines."""
    return {
        "type": "rich_text_list",
        "style": "bullet",
        "indent": 0,
        "elements": [passage(run(entry)) for entry in entries],
    }
