"""Markdown that a model wrote, as blocks that every platform draws in its own way. Pure.

Law of this file: nothing that was written is lost, and nothing that was written acts. HTML is text, a link leads to the
web or to a mailbox or is no link, and no character hides or reorders what stands around it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Final, assert_never

from markdown_it import MarkdownIt
from markdown_it.tree import SyntaxTreeNode

from core.rules.text import readable

NESTING_MAX: Final = 20
LINK_MAX: Final = 1_000  # a longer target is written out as text, which can be cut
COLUMN_MIN: Final = 6  # narrower columns are read worse than records
GAP: Final = "  "


@dataclass(frozen=True, slots=True)
class Span:
    """A run of characters that look alike. `link` is "" or begins with http:, https: or mailto:."""

    text: str
    bold: bool = False
    italic: bool = False
    strike: bool = False
    code: bool = False
    link: str = ""


Spans = tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Prose. Line feeds in it are meant."""

    spans: Spans


@dataclass(frozen=True, slots=True)
class Heading:
    """A title, level 1 to 6."""

    level: int
    spans: Spans


@dataclass(frozen=True, slots=True)
class Code:
    """Preformatted lines without a last line feed. `language` is a plain word or ""."""

    text: str
    language: str = ""


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody else is said to have said."""

    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class List:
    """Items, each of blocks. `start` is the first number; None: bullets."""

    items: tuple[tuple[Block, ...], ...]
    start: int | None = None


@dataclass(frozen=True, slots=True)
class Table:
    """Cells of spans; every row is as long as the head."""

    head: tuple[Spans, ...]
    rows: tuple[tuple[Spans, ...], ...]


@dataclass(frozen=True, slots=True)
class Rule:
    """A line across."""


Block = Paragraph | Heading | Code | Quote | List | Table | Rule
Blocks = tuple[Block, ...]
Size = Callable[[Blocks], int]

_LANGUAGE: Final = re.compile(r"[A-Za-z0-9_+#.-]{1,32}", re.ASCII)
_LINK: Final = re.compile(r"(?:https?://|mailto:)[^\s<>\"]+", re.ASCII | re.IGNORECASE)
_SENTENCE: Final = re.compile(r"(?:[.!?…][\"'”’)\]]*\s+|[。！？]|\n+)")
_SPACE: Final = re.compile(r"\s+")
_JOINER: Final = "\u200d"
_CLUSTER_MAX: Final = 16

# --- Reading --------------------------------------------------------------------------------------------------------


def parse(text: str) -> Blocks:
    """The blocks of a text. Total: whatever cannot be read as markdown is a paragraph of its own characters."""
    # References would be taken out of the text, used or not: a model's footnotes would vanish.
    reader = MarkdownIt("commonmark", {"html": False, "maxNesting": NESTING_MAX})
    tokens = reader.enable(["table", "strikethrough"]).disable(["reference"]).parse(text)
    if any(token.level >= NESTING_MAX - 1 for token in tokens):  # the library leaves out what is nested deeper
        return (Paragraph((Span(readable(text)),)),)
    return _blocks(SyntaxTreeNode(tokens).children)


def _blocks(nodes: Iterable[SyntaxTreeNode]) -> Blocks:
    return tuple(_block(node) for node in nodes)


def _block(node: SyntaxTreeNode) -> Block:
    match node.type:
        case "heading":
            return Heading(int(node.tag[1]), _inline(node))
        case "fence" | "code_block":
            word = _LANGUAGE.match(node.info)
            return Code(readable(node.content.removesuffix("\n")), word[0] if word else "")
        case "blockquote":
            return Quote(_blocks(node.children))
        case "bullet_list":
            return List(tuple(_blocks(item.children) for item in node.children))
        case "ordered_list":
            return List(tuple(_blocks(item.children) for item in node.children), int(node.attrs.get("start", 1)))
        case "table":
            rows = tuple(
                tuple(_inline(cell) for cell in row.children) for part in node.children for row in part.children
            )
            return Table(rows[0], rows[1:])
        case "hr":
            return Rule()
        case _:
            return Paragraph(_inline(node))


def _inline(node: SyntaxTreeNode) -> Spans:
    return merged(span for inline in node.children for child in inline.children for span in _spans(child, Span("")))


def _spans(node: SyntaxTreeNode, style: Span) -> Iterator[Span]:
    match node.type:
        case "softbreak" | "hardbreak":  # models break lines where they want them broken
            yield replace(style, text="\n")
        case "code_inline":
            yield replace(style, text=readable(node.content), code=True)
        case "strong":
            yield from _children(node, replace(style, bold=True))
        case "em":
            yield from _children(node, replace(style, italic=True))
        case "s":
            yield from _children(node, replace(style, strike=True))
        case "link":
            yield from _linked(tuple(_children(node, style)), str(node.attrs["href"]), style)
        case "image":
            yield from _linked(tuple(_children(node, style)), str(node.attrs["src"]), style)
        case _:
            yield replace(style, text=readable(node.content))


def _children(node: SyntaxTreeNode, style: Span) -> Iterator[Span]:
    for child in node.children:
        yield from _spans(child, style)


def _linked(inside: Spans, target: str, style: Span) -> Iterator[Span]:
    inside = tuple(span for span in inside if span.text)
    if len(target) <= LINK_MAX and _LINK.fullmatch(target):
        yield from (replace(span, link=span.link or target) for span in inside or (replace(style, text=target),))
        return
    yield from inside
    if target:
        yield replace(style, text=f" ({readable(target)})" if inside else readable(target))


def merged(spans: Iterable[Span]) -> Spans:
    """Neighbours that look alike as one, and none that is empty."""
    runs = groupby((span for span in spans if span.text), key=lambda span: replace(span, text=""))
    return tuple(replace(style, text="".join(span.text for span in run)) for style, run in runs)


def plain(spans: Iterable[Span]) -> str:
    """The characters alone."""
    return "".join(span.text for span in spans)


# --- Tables as text -------------------------------------------------------------------------------------------------


def cells(text: str) -> int:
    """How many columns of a fixed-width font it takes."""
    return sum(_cells(letter) for letter in text)


def _cells(letter: str) -> int:
    if unicodedata.category(letter) in {"Mn", "Me", "Cf"}:
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1


def aligned(table: Table, width: int = 80) -> str:
    """Monospace text, at most `width` columns: padded columns with wrapped cells, or where there are too many
    columns, a record a row.
    """
    lines = [[_one_line(cell) for cell in row] for row in (table.head, *table.rows)]
    widths = [max(1, *(cells(row[i]) for row in lines)) for i in range(len(table.head))]
    room = width - len(GAP) * (len(widths) - 1)
    while sum(widths) > room and max(widths) > COLUMN_MIN:
        widths[widths.index(max(widths))] -= 1
    if sum(widths) > room:
        return "\n\n".join(_record(lines[0], row, width) for row in lines[1:] or lines)
    head, *rows = (_row(row, widths) for row in lines)
    return "\n".join((head, GAP.join("─" * n for n in widths), *rows))


def _one_line(spans: Spans) -> str:
    return _SPACE.sub(" ", plain(spans)).strip()


def _record(head: list[str], row: list[str], width: int) -> str:
    pairs = (name if name == cell else f"{name}: {cell}" for name, cell in zip(head, row, strict=True))
    return "\n".join(line for pair in pairs for line in _wrapped(pair, width))


def _row(row: list[str], widths: list[int]) -> str:
    columns = [_wrapped(cell, width) for cell, width in zip(row, widths, strict=True)]
    height = max(len(column) for column in columns)
    lines = ([column[i] if i < len(column) else "" for column in columns] for i in range(height))
    return "\n".join(GAP.join(map(_padded, line, widths)).rstrip() for line in lines)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cells(text))


def _wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` columns, cut at spaces where there are any. Always at least one."""
    lines = []
    while cells(text) > width:
        used, end = 0, 0
        while used + _cells(text[end]) <= width or end == 0:
            used += _cells(text[end])
            end += 1
        space = text.rfind(" ", 1, end + 1)
        cut = space if space > 0 else end
        lines.append(text[:cut].rstrip())
        text = text[cut:].lstrip()
    return [*lines, text]


# --- Cutting --------------------------------------------------------------------------------------------------------


def split(blocks: Blocks, size: Size, limit: int) -> tuple[Blocks, ...]:
    """Groups that each measure at most `limit`, in order, never an empty one. Nothing is lost but the line feed at
    which code was cut. `limit` is to leave room for at least one character of any block; less is exceeded by that.
    """
    groups: list[Blocks] = []
    now: Blocks = ()
    done = 0
    while done < len(blocks):
        start = done
        done += _most(len(blocks) - start, lambda n: size((*now, *blocks[start : start + n])), limit)  # noqa: B023  # called now
        now = (*now, *blocks[start:done])
        if done == len(blocks):
            break
        block = blocks[done]
        done += 1
        if size((block,)) <= limit:
            groups.append(now)
            now = (block,)
            continue
        before = now
        if before and size(before) > limit // 4:
            groups.append(before)
            before = ()
        # A title does not stand alone above what is too long: every piece leaves room for it, the first has it.
        first, *others = _broken(block, lambda some: size((*before, *some)), limit)  # noqa: B023  # called now
        *whole, now = ((*before, *first), *others)
        groups.extend(whole)
    return (*groups, now) if now else tuple(groups)


def _most(n: int, measured: Callable[[int], int], limit: int) -> int:
    """The largest number up to `n` that measures at most `limit`, 0 if none does. Measuring costs as much as what is
    measured, so it is never far beyond the answer, and what the last ones measured tells where to look.
    """
    low, low_size, high, high_size = 0, 0, n + 1, 0
    guess, halve = 1, False
    while high - low > 1:
        found = measured(guess)
        if found <= limit:
            low, low_size = guess, found
        else:
            high, high_size = guess, found
        if not high_size:
            guess = min(n, 4 * low, max(low + 1, low * limit // max(low_size, 1)))
        elif halve:
            guess = (low + high) // 2
        else:
            guess = low + (high - low) * (limit - low_size) // max(high_size - low_size, 1)
        guess, halve = min(max(guess, low + 1), high - 1), bool(high_size) and not halve
    return low


def _broken(block: Block, size: Size, limit: int) -> tuple[Blocks, ...]:
    match block:
        case Paragraph(spans):
            return _cut_spans(spans, Paragraph, size, limit)
        case Heading(level, spans):
            return _cut_spans(spans, lambda some: Heading(level, some), size, limit)
        case Code():
            return _cut_code(block, size, limit)
        case Quote(blocks):
            groups = split(blocks, lambda some: size((Quote(some),)), limit)
            return tuple((Quote(group),) for group in groups) or ((block,),)
        case List():
            return _cut_list(block, size, limit)
        case Table():
            return _cut_table(block, size, limit)
        case Rule():
            return ((block,),)
        case _ as never:
            assert_never(never)


def _longest(n: int, fits: Callable[[int], bool]) -> int:
    """The largest number up to `n` that fits, at least 1: what does not fit at all has to go on all the same."""
    low, high = 1, min(n, 64)
    while high < n and fits(high):  # what fits is short beside what is cut, and measuring costs
        low, high = high, min(n, 2 * high)
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _cut_spans(spans: Spans, make: Callable[[Spans], Block], size: Size, limit: int) -> tuple[Blocks, ...]:
    def head(n: int) -> Spans:
        return _halves(spans, n)[0]

    groups: list[Blocks] = []
    while size((make(spans),)) > limit and len(text := plain(spans)) > 1:
        n = _longest(len(text) - 1, lambda n: size((make(head(n)),)) <= limit)
        first, spans = _halves(spans, _good_end(text, n))
        groups.append((make(first),))
    return (*groups, (make(spans),))


def _halves(spans: Spans, n: int) -> tuple[Spans, Spans]:
    """Cut after `n` characters, which must be fewer than there are."""
    head: list[Span] = []
    rest = list(spans)
    while n >= len(rest[0].text):
        n -= len(rest[0].text)
        head.append(rest.pop(0))
    cut = rest[0]
    rest[0] = replace(cut, text=cut.text[n:])
    return merged((*head, replace(cut, text=cut.text[:n]))), tuple(rest)


def _good_end(text: str, n: int) -> int:
    """Where to cut so that at most `n` characters stand before it: after a sentence, after a word, anywhere."""
    for pattern, least in ((_SENTENCE, n // 2), (_SPACE, 1)):
        ends = [found.end() for found in pattern.finditer(text, 0, n) if found.end() >= least]
        if ends:
            return ends[-1]
    return _between_letters(text, n)


def _between_letters(text: str, n: int) -> int:
    """As `n`, but not inside what is seen as one letter."""
    for end in range(n, max(n - _CLUSTER_MAX, 0), -1):
        if text[end - 1] != _JOINER and _cells(text[end]) > 0:
            return end
    return n


def _cut_code(code: Code, size: Size, limit: int) -> tuple[Blocks, ...]:
    def fits(text: str) -> bool:
        return size((replace(code, text=text),)) <= limit

    lines = [piece for line in code.text.split("\n") for piece in _cut_line(line, fits)]
    groups: list[Blocks] = []
    while lines:
        n = _longest(len(lines), lambda n: fits("\n".join(lines[:n])))  # noqa: B023  # called now
        groups.append((replace(code, text="\n".join(lines[:n])),))
        lines = lines[n:]
    return tuple(groups)


def _cut_line(line: str, fits: Callable[[str], bool]) -> Iterator[str]:
    while len(line) > 1 and not fits(line):
        n = _longest(len(line) - 1, lambda n: fits(line[:n]))  # noqa: B023  # called now
        n = _between_letters(line, n)
        yield line[:n]
        line = line[n:]
    yield line


def _cut_list(block: List, size: Size, limit: int) -> tuple[Blocks, ...]:
    groups: list[Blocks] = []
    done = 0
    while done < len(block.items):
        start = None if block.start is None else block.start + done
        rest = List(block.items[done:], start)
        n = _longest(len(rest.items), lambda n: size((replace(rest, items=rest.items[:n]),)) <= limit)  # noqa: B023  # called now
        now = replace(rest, items=rest.items[:n])
        groups.extend(((now,),) if size((now,)) <= limit else _cut_item(now, size, limit))
        done += n
    return tuple(groups) or ((block,),)


def _cut_item(one: List, size: Size, limit: int) -> tuple[Blocks, ...]:
    """A list of one long item: its first part has the bullet, the others go on below it."""
    parts = split(one.items[0], lambda some: max(size((replace(one, items=(some,)),)), size(some)), limit)
    return ((replace(one, items=parts[:1]),), *parts[1:]) if parts else ((one,),)


def _cut_table(table: Table, size: Size, limit: int) -> tuple[Blocks, ...]:
    if not table.rows:
        return split(tuple(Paragraph(cell) for cell in table.head if cell), size, limit)
    groups: list[Blocks] = []
    done = 0
    while done < len(table.rows):
        rows = table.rows[done:]
        n = _longest(len(rows), lambda n: size((Table(table.head, rows[:n]),)) <= limit)  # noqa: B023  # called now
        now = Table(table.head, rows[:n])
        groups.extend(((now,),) if size((now,)) <= limit else split(_told(now), size, limit))
        done += n
    return tuple(groups)


def _told(table: Table) -> Blocks:
    """A table without columns: a paragraph a cell."""
    return tuple(
        Paragraph(merged((*(replace(span, bold=True) for span in name), Span(": "), *cell)))
        for row in table.rows
        for name, cell in zip(table.head, row, strict=True)
    )
