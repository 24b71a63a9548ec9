"""PDFs and pictures, made by hand: the smallest that say something."""

from __future__ import annotations

import struct
import zlib


def pdf(*pages: str | bytes, trailer: bytes = b"") -> bytes:
    """One page for each text; bytes are a page's content stream as it is, already deflated."""
    kids = " ".join(f"{4 + 2 * n} 0 R" for n in range(len(pages)))
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>".encode(),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    for n, page in enumerate(pages):
        stream = page if isinstance(page, bytes) else zlib.compress(_drawn(page))
        bodies.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >>"
            b" /Contents %d 0 R >>" % (5 + 2 * n)
        )
        bodies.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(stream), stream))
    out, places = bytearray(b"%PDF-1.7\n"), []
    for n, body in enumerate(bodies, start=1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (n, body)
    xref = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(bodies) + 1)
    out += b"".join(b"%010d 00000 n \n" % place for place in places)
    out += b"trailer\n<< /Size %d /Root 1 0 R %s >>\nstartxref\n%d\n%%%%EOF\n" % (len(bodies) + 1, trailer, xref)
    return bytes(out)


def _drawn(text: str) -> bytes:
    """Each line 12 points below the one before."""
    shown = b"".join(b"(%s) Tj 0 -12 Td\n" % line.encode("latin-1") for line in text.splitlines())
    return b"BT /F1 10 Tf 20 700 Td\n" + shown + b"ET" if text else b""


def png(width: int = 2, height: int = 1, *, padding: int = 0) -> bytes:
    """A picture that can be looked at; `padding` bytes of a text chunk make it larger."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\0" + b"\xff\0\0" * width for _ in range(min(height, 64))))
    more = chunk(b"tEXt", b"\0" * padding) if padding else b""
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + more + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def gif(width: int, height: int) -> bytes:
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\0\0\0;"


def jpeg(width: int, height: int, *, frame: int = 0xC0, before: bytes = b"") -> bytes:
    """The head of one: what is `before` the frame, which says the size."""
    return b"\xff\xd8" + before + struct.pack(">BBHBHH", 0xFF, frame, 11, 8, height, width) + b"\x01\x01\x11\0\xff\xd9"


def webp(kind: str, width: int, height: int) -> bytes:
    match kind:
        case "VP8 ":
            body = b"\0\0\0\x9d\x01\x2a" + struct.pack("<HH", width, height)
        case "VP8L":
            body = b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14) + b"\0" * 5
        case _:
            body = b"\0\0\0\0" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    return b"RIFF\0\0\0\0WEBP" + kind.encode() + struct.pack("<I", len(body)) + body
