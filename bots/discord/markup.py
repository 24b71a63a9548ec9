"""Text in Discord's own markdown: pure.

Law of this file: what was written by anybody is shown as the characters it is made of. Only blocks that `bots.markdown`
recognised become markup; a mention is never one, and a link shows where it leads. Lengths are counted in UTF-16 units,
of which there are never fewer than Discord counts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, assert_never

from bots.markdown import Block, Blocks, Code, Heading, List, Paragraph, Quote, Rule, Span, Table, aligned
from core.rules.text import readable, shorten

TABLE_COLUMNS: Final = 56  # wider ones wrap on a phone
RULE: Final = "─" * 12
FENCE: Final = "```"
_FENCE_INSIDE: Final = "``\u200b`"  # there is no other way to write a fence inside a fence

_URL: Final = re.compile(r"(https?://[^\s<>]*[^\s<>.,;:!?)'\"\]])")
_MARK: Final = re.compile(r"[\\*~`|\[\]<@]|(?<![^\W_])_|_(?![^\W_])")  # one inside a word is no mark
_LINE_START: Final = re.compile(r"^(\s*)([-+#>])", re.MULTILINE)
_NUMBER_START: Final = re.compile(r"^(\s*\d+)([.)])(?=\s)", re.MULTILINE)
_EDGES: Final = re.compile(r"(\s*)(.*?)(\s*)", re.DOTALL)


def units(text: str) -> int:
    """UTF-16 units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def inert(text: str) -> str:
    """Text that means nothing to Discord. Web addresses can be pressed, and show what they are."""
    pieces = _URL.split(readable(text))
    return "".join(f"<{piece}>" if i % 2 else _escaped(piece) for i, piece in enumerate(pieces))


def _escaped(text: str) -> str:
    marked = _MARK.sub(r"\\\g<0>", text)
    return _NUMBER_START.sub(r"\1\\\2", _LINE_START.sub(r"\1\\\2", marked))


def fitted(text: str, n: int) -> str:
    """As `inert`, in at most `n` units; a cut shows as an ellipsis."""
    shown = readable(text)
    if units(whole := inert(shown)) <= n:
        return whole
    # No character becomes more than two units, so that half as many always fit; most texts lose less.
    tries = (inert(shorten(shown, room)) for room in (n, n * 9 // 10, n * 3 // 4, n // 2))
    return next((cut for cut in tries if units(cut) <= n), "")


def fenced(text: str, language: str = "") -> str:
    """Preformatted lines."""
    return f"{FENCE}{language}\n{readable(text).replace(FENCE, _FENCE_INSIDE)}\n{FENCE}"


def bold(text: str) -> str:
    """Inert text in bold."""
    return _around("**", inert(text))


def _around(mark: str, text: str) -> str:
    """Marks do not count where they touch a space."""
    found = _EDGES.fullmatch(text)
    before, inside, after = found.groups() if found else ("", text, "")
    return f"{before}{mark}{inside}{mark}{after}" if inside else text


# --- Blocks ---------------------------------------------------------------------------------------------------------


def draw(blocks: Iterable[Block]) -> str:
    """Blocks as Discord's markdown."""
    text = ""
    before: Block | None = None
    for block in blocks:
        if before is not None:
            close = isinstance(before, Heading) or isinstance(block, List | Code | Table)
            text += "\n" if close or isinstance(before, Code | Table) else "\n\n"
        text += _block(block)
        before = block
    return text


def size(blocks: Blocks) -> int:
    """What `draw` makes, measured."""
    return units(draw(blocks))


def _block(block: Block) -> str:
    match block:
        case Paragraph(spans):
            return _spans(spans)
        case Heading(level, spans):
            return f"{'#' * min(level, 3)} {_spans(spans).replace(chr(10), ' ')}"
        case Code(text, language):
            return fenced(text, language)
        case Quote(blocks):
            return "\n".join(f"> {line}" for line in draw(blocks).split("\n"))
        case List(items, start):
            marks = ("-" if start is None else f"{start + n}." for n in range(len(items)))
            return "\n".join(_item(mark, item) for mark, item in zip(marks, items, strict=True))
        case Table():
            return fenced(aligned(block, TABLE_COLUMNS))
        case Rule():
            return RULE
        case _ as never:
            assert_never(never)


def _item(mark: str, blocks: Blocks) -> str:
    """The first line after its mark, the others below it. A fence must begin its line, so code is not indented."""
    indent = " " * (len(mark) + 1)
    lines = []
    for block in blocks:
        drawn = _block(block).split("\n")
        lines += drawn if isinstance(block, Code | Table) else [f"{indent}{line}".rstrip() for line in drawn]
    first = lines[0] if lines else ""
    if first.startswith(indent):
        return "\n".join([f"{mark} {first[len(indent) :]}", *lines[1:]])
    return "\n".join([mark, *lines]) if lines else mark


def _spans(spans: Iterable[Span]) -> str:
    text = ""
    for span in spans:
        drawn = _span(span)
        # Two styles side by side would be read as one mark.
        text += "\u200b" + drawn if text and drawn and text[-1] == drawn[0] and drawn[0] in "*~`" else drawn
    return text


def _span(span: Span) -> str:
    if span.text.isspace():
        return readable(span.text)
    drawn = _code(span.text) if span.code else _linked(span) if span.link else inert(span.text)
    for wanted, mark in ((span.strike, "~~"), (span.italic, "*"), (span.bold, "**")):
        if wanted:
            drawn = _around(mark, drawn)
    return drawn


def _linked(span: Span) -> str:
    """A text that looks like another address than its target is no link: both are shown."""
    target = inert(span.link)
    if span.link in {span.text, f"mailto:{span.text}"}:
        return inert(span.text)
    if not span.link.lower().startswith("http") or _URL.search(span.text) or target != f"<{span.link}>":
        return f"{inert(span.text)} ({target})"
    return f"[{_escaped(readable(span.text))}]({target})"


def _code(text: str) -> str:
    shown = readable(text).replace("\n", " ")
    if "``" in shown:
        return inert(shown)
    return f"`` {shown} ``" if "`" in shown else f"`{shown}`"
