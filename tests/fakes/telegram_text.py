"""Telegram's text, as strict as the Bot API is: which markup it takes, how long a text is, what people then read."""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, field
from typing import Any

TEXT_MAX = 4_096
CAPTION_MAX = 1_024
_TAGS = {
    "b": "bold",
    "strong": "bold",
    "i": "italic",
    "em": "italic",
    "u": "underline",
    "ins": "underline",
    "s": "strikethrough",
    "strike": "strikethrough",
    "del": "strikethrough",
    "tg-spoiler": "spoiler",
    "span": "spoiler",
    "a": "text_link",
    "code": "code",
    "pre": "pre",
    "blockquote": "blockquote",
    "tg-emoji": "custom_emoji",
}
_NAMED = {"lt": "<", "gt": ">", "amp": "&", "quot": '"'}
_ENTITY = re.compile(r"&(#\d{1,7}|#x[0-9a-fA-F]{1,6}|[a-z]+);?")
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9-]*)((?:\s+[a-zA-Z-]+(?:\s*=\s*(?:\"[^\"]*\"|'[^']*'|[^\s>\"']+))?)*)\s*>")
_ATTRIBUTE = re.compile(r"([a-zA-Z-]+)(?:\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^\s>\"']+)))?")


class ApiError(Exception):
    """A refusal, as the Bot API says it."""

    def __init__(self, code: int, description: str, **parameters: Any) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.parameters = parameters


def bad(description: str) -> ApiError:
    return ApiError(400, f"Bad Request: {description}")


def units(text: str) -> int:
    """Length as Telegram counts it: UTF-16 code units."""
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


@dataclass(slots=True)
class _Open:
    tag: str
    offset: int
    more: dict[str, str] = field(default_factory=dict)


def parse(text: str, mode: str) -> tuple[str, list[dict[str, Any]]]:
    """What people read, and its entities. Raises ApiError for markup that the Bot API does not take."""
    if not mode:
        return _trimmed(text, [])
    if mode.upper() != "HTML":
        raise bad(f"unsupported parse_mode {mode}")
    plain, stack, entities, at = "", list[_Open](), list[dict[str, Any]](), 0
    while at < len(text):
        character = text[at]
        if character == "&" and (found := _ENTITY.match(text, at)):
            known = _character(found[1])
            plain += known if known is not None else found[0]
            at = found.end()
        elif character == "<":
            found = _TAG.match(text, at)
            offset = len(text[:at].encode())
            if found is None:
                raise bad(f"can't parse entities: Unclosed or unsupported start tag at byte offset {offset}")
            if found[1]:
                _close(found[2].lower(), offset, units(plain), stack, entities)
            else:
                stack.append(_opened(found[2].lower(), found[3], offset, units(plain), stack))
            at = found.end()
        else:
            plain += character
            at += 1
    if stack:
        raise bad(f"can't parse entities: Can't find end tag corresponding to start tag \"{stack[-1].tag}\"")
    return _trimmed(plain, sorted(entities, key=lambda entity: (entity["offset"], -entity["length"])))


def _character(name: str) -> str | None:
    return html.unescape(f"&{name};") if name.startswith("#") else _NAMED.get(name)


def _opened(tag: str, rest: str, offset: int, units_n: int, stack: list[_Open]) -> _Open:
    if tag not in _TAGS:
        raise bad(f'can\'t parse entities: Unsupported start tag "{tag}" at byte offset {offset}')
    values = {name.lower(): a or b or c for name, a, b, c in _ATTRIBUTE.findall(rest)}
    if tag == "span" and values.get("class") != "tg-spoiler":
        raise bad(f'can\'t parse entities: Tag "span" must have class "tg-spoiler" at byte offset {offset}')
    if tag == "blockquote" and any(one.tag == "blockquote" for one in stack):
        raise bad(f"can't parse entities: Nested blockquotes at byte offset {offset}")
    more = {}
    if tag == "a":
        more = {"url": html.unescape(values.get("href", ""))}
    elif tag == "code" and values.get("class", "").startswith("language-"):
        more = {"language": values["class"].removeprefix("language-")}
    return _Open(tag, units_n, more)


def _close(tag: str, offset: int, units_n: int, stack: list[_Open], entities: list[dict[str, Any]]) -> None:
    if not stack:
        raise bad(f"can't parse entities: Unexpected end tag at byte offset {offset}")
    opened = stack.pop()
    if opened.tag != tag:
        raise bad(
            f"can't parse entities: Unmatched end tag at byte offset {offset}, "
            f'expected "</{opened.tag}>", found "</{tag}>"'
        )
    if units_n > opened.offset and not (tag == "a" and not opened.more["url"]):
        entities.append({"type": _TAGS[tag], "offset": opened.offset, "length": units_n - opened.offset, **opened.more})


def _trimmed(text: str, entities: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """White space around a text is dropped, and what is no text at all refused."""
    text = text.replace("\x00", "").replace("\r", "")
    stripped = text.lstrip()
    gone = units(text) - units(stripped)
    stripped = stripped.rstrip()
    length = units(stripped)
    moved = []
    for entity in entities:
        start = max(entity["offset"] - gone, 0)
        end = min(entity["offset"] + entity["length"] - gone, length)
        if end > start:
            moved.append({**entity, "offset": start, "length": end - start})
    return stripped, moved


def keyboard(markup: dict[str, Any]) -> list[list[dict[str, Any]]]:
    """The rows of an inline keyboard. Raises ApiError for buttons that Telegram does not take."""
    rows: list[list[dict[str, Any]]] = markup.get("inline_keyboard", [])
    if sum(len(row) for row in rows) > 100 or any(len(row) > 8 for row in rows):
        raise bad("REPLY_MARKUP_TOO_LONG")
    for row in rows:
        for button in row:
            if not str(button.get("text", "")).strip():
                raise bad("can't parse inline keyboard button: Text must be non-empty")
            data = button.get("callback_data")
            if data is None and not button.get("url"):
                raise bad("can't parse inline keyboard button: Text buttons are unallowed in the inline keyboard")
            if data is not None and not 1 <= len(str(data).encode()) <= 64:
                raise bad("BUTTON_DATA_INVALID")
    return rows
