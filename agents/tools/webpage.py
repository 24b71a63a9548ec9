"""A web page's text, as somebody who looks at it would read it, made in a process of its own.

Law: pages are written by anybody, so none is parsed in the engine's process: the child has limits on memory, processor
time and what it may write, and no secrets. What a reader would not see (hidden elements, comments, scripts, characters
without a shape) is not told. Style sheets are not read: what only they hide is told.

The parent's half reads what the child wrote. The child's half is this same file, run as a program, without our others.
"""

from __future__ import annotations

import contextlib
import json
import re
import resource
import sys
import unicodedata
from typing import IO, Any, Final
from urllib.parse import urljoin, urlsplit

SECONDS_MAX: Final = 8.0
_CPU_SECONDS_MAX: Final = 6
_MEMORY_BYTES_MAX: Final = 512 * 1024 * 1024
_WRITTEN_BYTES_MAX: Final = 8 * 1024 * 1024
_LINK_CHARS_MAX: Final = 500

_DROPPED: Final = frozenset(
    {"head", "script", "style", "noscript", "template", "nav", "svg", "math", "canvas", "iframe", "object", "embed"}
    | {"audio", "video", "button", "select", "input", "textarea", "datalist", "progress", "meter", "map", "title"}
)
_PARAGRAPHS: Final = frozenset(
    {"p", "ul", "ol", "dl", "table", "pre", "blockquote", "section", "article", "main", "header", "footer", "aside"}
    | {"figure", "form", "fieldset", "details", "address", "h1", "h2", "h3", "h4", "h5", "h6"}
)
_LINES: Final = frozenset({"div", "li", "tr", "dt", "dd", "caption", "figcaption", "summary", "legend", "center"})
_KEPT_FORMATS: Final = "\u200c\u200d"
"""Persian, Indian scripts and emoji join with them."""
_SIZE: Final = r"(?:0*\.?0+)(?:px|pt|em|rem|ex|ch|%|vw|vh|cm|mm|in)?"
_HIDING: Final = re.compile(
    r"(?:^|;)(?:"
    r"display:none|visibility:(?:hidden|collapse)|content-visibility:hidden|opacity:(?:0*\.?0+)%?(?:;|$)"
    rf"|font-size:(?:{_SIZE}|[01]?(?:\.\d+)?p[xt])(?:;|$)|(?:max-)?(?:width|height):{_SIZE}(?:;|$)"
    r"|(?:left|top|right|bottom|text-indent|margin(?:-left|-top)?):-\d{3}|clip:rect\(|clip-path:inset\((?:50|100)%"
    r"|transform:[^;]*(?:scale[xy]?\(0|translate[^;]*-\d{4})|color:transparent"
    r")"
)


class PageError(Exception):
    """It cannot be read. The text says why."""


def clean(text: str) -> str:
    """Without characters that have no shape: orders can be written in them that people do not see."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    if text.isascii() and text.replace("\n", "").replace("\t", "").isprintable():
        return text
    return "".join(
        char
        for char in text
        if char in "\n\t" or char in _KEPT_FORMATS or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn"}
    )


def read(html: str, base: str, *, seconds_max: float = SECONDS_MAX) -> str:
    """The page's title and text. Blocks for `seconds_max` at most. Raises PageError, OSError."""
    from agents.tools import child  # noqa: PLC0415 - the child's half has none of our others

    return child.read(
        __file__, (base,), html.encode("utf-8", "replace"), seconds_max, lambda written: told(written.read())
    )


def told(written: bytes) -> str:
    """What the child's record comes to. Raises PageError."""
    if not written.endswith(b"\n"):
        raise PageError("it takes too long, or too much memory")
    record: dict[str, str] = json.loads(written)
    if trouble := record.get("trouble"):
        raise PageError(trouble)
    title = f"Title: {record['title']}\n\n" if record["title"] else ""
    return title + record["text"]


# --- The child ------------------------------------------------------------------------------------------------------


def extract(html: bytes, base: str) -> dict[str, str]:
    """Title and text, or the trouble."""
    try:
        from selectolax.lexbor import LexborHTMLParser  # noqa: PLC0415 - in the child alone
    except ImportError:
        return {"trouble": "this installation lacks the library selectolax"}
    tree = LexborHTMLParser(html)
    named = tree.css_first("base[href]")
    if named is not None:
        base = _joined(base, named.attributes.get("href")) or base
    title = tree.css_first("head > title")
    page = _Page(base)
    if tree.body is not None:
        _walk(tree.body, page)
    name = " ".join(clean(title.text()).split()) if title is not None else ""
    return {"title": name[:300], "text": clean(page.text())}


def _walk(root: Any, page: _Page) -> None:
    """Depth first, without recursion: pages nest as deep as they like."""
    stack = [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            page.leave(node.tag)
        elif node.is_text_node:
            page.write(node.text_content or "")
        elif node.is_element_node and not _unseen(node.tag, node.attributes):
            page.enter(node.tag, node.attributes)
            stack.append((node, True))
            at, child = len(stack), node.child
            while child is not None:
                stack.append((child, False))
                child = child.next
            stack[at:] = reversed(stack[at:])


def _unseen(tag: str, attributes: dict[str, str | None]) -> bool:
    if tag in _DROPPED or (tag == "dialog" and "open" not in attributes):
        return True
    if not attributes:
        return False
    style = re.sub(r"/\*.*?\*/|\s|!important", "", (attributes.get("style") or "").lower(), flags=re.DOTALL)
    return (
        "hidden" in attributes
        or (attributes.get("aria-hidden") or "").strip().lower() == "true"
        or (attributes.get("role") or "").strip().lower() == "navigation"
        or (tag != "img" and "0" in {attributes.get("width"), attributes.get("height")})
        or "\\" in style  # an escape: nobody needs one here but to hide what it says
        or _HIDING.search(style) is not None
    )


class _Page:
    """The text so far. Inside links and cells a break is a blank, so that each stays on its line."""

    def __init__(self, base: str) -> None:
        self._base = base
        self._lines: list[str] = []
        self._line: list[str] = []
        self._tight = 0
        self._pre = 0
        self._lists: list[int] = []  # the number of the last item, -1 for lists without numbers
        self._links: list[str] = []

    def enter(self, tag: str, attributes: dict[str, str | None]) -> None:
        self._around(tag)
        match tag:
            case "h1" | "h2" | "h3" | "h4" | "h5" | "h6":
                self._put("#" * int(tag[1]) + " ")
            case "ul" | "ol":
                self._lists.append(0 if tag == "ol" else -1)
            case "li":
                self._item()
            case "td" | "th":
                self._put(" | " if self._line else "")
                self._tight += 1
            case "pre":
                self._pre += 1
            case "br":
                self._break()
            case "hr":
                self._break()
                self._put("---")
                self._break()
            case "img" if alt := (attributes.get("alt") or "").strip():
                self.write(f"[image: {alt}]")
            case "a":
                self._tight += 1
                self._links.append(self._link(attributes.get("href")))
                self._put("[" if self._links[-1] else "")

    def leave(self, tag: str) -> None:
        match tag:
            case "ul" | "ol":
                self._lists.pop()
            case "td" | "th":
                self._tight -= 1
            case "pre":
                self._pre -= 1
            case "a":
                self._tight -= 1
                link = self._links.pop()
                self._put(f"]({link})" if link else "")
        self._around(tag)

    def write(self, text: str) -> None:
        if not self._pre:
            self._put(re.sub(r"\s+", " ", text))
            return
        first, *rest = text.split("\n")
        self._line.append(first)
        for line in rest:
            self._flush(keep=True)
            self._line.append(line)

    def text(self) -> str:
        self._break()
        text = "\n".join(self._lines)
        text = re.sub(r"\[\s*\]\(([^()\s]*)\)", r"<\1>", text)  # a link around nothing that is told
        return re.sub(r"\n{3,}", "\n\n", text).strip()

    def _put(self, text: str) -> None:
        if text:
            self._line.append(text)

    def _around(self, tag: str) -> None:
        if tag in _PARAGRAPHS or tag in _LINES:
            self._break(blank=tag in _PARAGRAPHS)

    def _break(self, *, blank: bool = False) -> None:
        if self._tight:
            self._put(" ")
            return
        self._flush()
        if blank and self._lines and self._lines[-1]:
            self._lines.append("")

    def _flush(self, *, keep: bool = False) -> None:
        line = "".join(self._line)
        self._line.clear()
        if keep or self._pre:
            self._lines.append(line.rstrip())
        elif line := re.sub(r"[ \t]+", " ", line).strip():
            self._lines.append(line)

    def _item(self) -> None:
        if self._lists and self._lists[-1] >= 0:
            self._lists[-1] += 1
            self._put(f"{self._lists[-1]}. ")
        else:
            self._put("- ")

    def _link(self, href: str | None) -> str:
        """Where it leads; "" if nowhere that could be fetched, or into this same page."""
        url = _joined(self._base, href)
        return url if url and url != self._base.partition("#")[0] else ""


def _joined(base: str, href: str | None) -> str:
    try:
        url = urljoin(base, (href or "").strip()).partition("#")[0]
        good = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return ""
    return url if good and len(url) <= _LINK_CHARS_MAX and not re.search(r"[\s()<>]", url) else ""


def _limit() -> None:
    """Before anything is read. Where a system does not know a limit, the parent's clock remains."""
    for kind, value in (
        (resource.RLIMIT_AS, _MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, _CPU_SECONDS_MAX),
        (resource.RLIMIT_FSIZE, _WRITTEN_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))


def main(stream: IO[bytes]) -> None:
    """`webpage.py BASE < page.html`"""
    _limit()
    sys.stdout.write(json.dumps(extract(stream.read(), sys.argv[1])) + "\n")


if __name__ == "__main__":
    main(sys.stdin.buffer)
