"""A server's result, as agents may have it.

Law: text is bounded, shows every hidden character by name, and cannot end the fence that results from outside stand in.
One picture, if its bytes are one and it is small; of everything else one line says that it was there.
"""

from __future__ import annotations

import base64
import binascii
from typing import Any, Final

import msgspec

from agents.tools import pictures
from agents.tools.mcp.speech import Answer
from core.model.work import Picture
from core.rules.fences import inert
from core.rules.text import one_line, readable

TEXT_BYTES_MAX: Final = 16_384
PICTURE_BYTES_MAX: Final = 512 * 1024


def answer_of(result: Any) -> Answer:
    """From the SDK's CallToolResult, or anything that has its attributes."""
    lines: list[str] = []
    picture: Picture | None = None
    for block in result.content:
        match block.type:
            case "text":
                lines.append(block.text)
            case "image":
                shown = None if picture else _picture(block.data)
                picture = picture or shown
                lines += (
                    []
                    if shown
                    else [f"(a picture is left out: {'one is shown' if picture else 'it is none, or too large'})"]
                )
            case "resource_link":
                lines.append(f"(a resource: {one_line(str(block.uri), 500)})")
            case "resource" if isinstance(text := getattr(block.resource, "text", None), str):
                lines.append(text)
            case kind:
                lines.append(f"({one_line(str(kind), 20)} is left out: only text and pictures can be read)")
    if not lines and picture is None and result.structured_content is not None:
        lines.append(msgspec.json.encode(result.structured_content).decode())
    return Answer(text=bounded("\n".join(lines)), failed=bool(result.is_error), picture=picture)


def bounded(text: str, bytes_max: int = TEXT_BYTES_MAX) -> str:
    """At most so many bytes, and one line that says what was cut."""
    clean = inert(readable(text[: 4 * bytes_max]))
    raw = clean.encode("utf-8", "replace")
    if len(raw) <= bytes_max and len(text) <= 4 * bytes_max:
        return clean
    kept = raw[: bytes_max - 100].decode("utf-8", "ignore")
    return f"{kept}\n(cut here: the server sent {len(text):,} characters)"


def _picture(data: str) -> Picture | None:
    try:
        body = base64.b64decode(data, validate=True) if len(data) <= 2 * PICTURE_BYTES_MAX else b""
    except (binascii.Error, ValueError):
        return None
    media = pictures.media_of(body)
    sides = pictures.sides(body, media) if media and len(body) <= PICTURE_BYTES_MAX else None
    if sides is None or max(sides) > pictures.SIDE_MAX:
        return None
    return Picture(media=media, hash="", body=body)
