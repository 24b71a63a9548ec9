"""What a picture is: its kind and its sides, read from the first bytes and from nothing that anybody calls it.

Law: pure, and total on any bytes. No picture is decoded: who looks at it is the model's vendor.
"""

from __future__ import annotations

from typing import Final

BYTES_MAX: Final = 5 * 1024 * 1024 // 4 * 3
"""5 MB in base64, which is what the strictest of the vendors measures; more, and it refuses the whole request."""
SIDE_MAX: Final = 8_000
_JPEG_SIZES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # ITU-T T.81, table B.1: the frames' markers
_JPEG_BARE: Final = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


def media_of(data: bytes) -> str:
    """A type that vendors take; "" for all else."""
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "image/png"
    if data.startswith(b"\xff\xd8\xff"):
        return "image/jpeg"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "image/gif"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "image/webp"
    return ""


def sides(data: bytes, media: str) -> tuple[int, int] | None:
    """Width and height in pixels; None if it does not say, which no whole picture does."""
    match media:
        case "image/png":
            found = (_big(data[16:20]), _big(data[20:24])) if data[12:16] == b"IHDR" and len(data) >= 24 else (0, 0)
        case "image/gif":
            found = (_little(data[6:8]), _little(data[8:10])) if len(data) >= 10 else (0, 0)
        case "image/jpeg":
            found = _jpeg(data)
        case "image/webp":
            found = _webp(data)
        case _:
            found = (0, 0)
    return found if min(found) > 0 else None


def _jpeg(data: bytes) -> tuple[int, int]:
    """Segment after segment, as far as the one that has the size."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == 0xFF or marker in _JPEG_BARE:  # a fill byte, or nothing follows
            at += 1 if marker == 0xFF else 2
        elif marker in _JPEG_SIZES:
            return _big(data[at + 7 : at + 9]), _big(data[at + 5 : at + 7])
        else:
            at += 2 + max(2, _big(data[at + 2 : at + 4]))
    return 0, 0


def _webp(data: bytes) -> tuple[int, int]:
    """RFC 9649: lossy, lossless or extended, by the first chunk's name."""
    if len(data) < 30:
        return 0, 0
    match data[12:16]:
        case b"VP8 " if data[23:26] == b"\x9d\x01\x2a":
            return _little(data[26:28]) & 0x3FFF, _little(data[28:30]) & 0x3FFF
        case b"VP8L" if data[20] == 0x2F:
            bits = _little(data[21:25])
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8X":
            return _little(data[24:27]) + 1, _little(data[27:30]) + 1
        case _:
            return 0, 0


def _big(raw: bytes) -> int:
    return int.from_bytes(raw, "big")


def _little(raw: bytes) -> int:
    return int.from_bytes(raw, "little")
