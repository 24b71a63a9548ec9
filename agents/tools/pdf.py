"""A PDF's text, page by page, read in a process of its own.

Law: what people send may be made to hang or to grow, so no byte of it is parsed in the engine's process. The child has
limits on memory, processor time and what it may write, no secrets in its environment, and writes page after page: what
one page breaks, the pages before it are told all the same, and the reader can go on behind it.

The parent's half reads what the child wrote. The child's half is this same file, run as a program, without our others.
"""

from __future__ import annotations

import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any, Final

MAGIC: Final = b"%PDF-"
MAGIC_BYTES_MAX: Final = 1_024
"""A header may stand behind others' bytes, but not further down (ISO 32000-1, implementation note 13)."""
PAGES_MAX: Final = 100
SECONDS_MAX: Final = 10.0
_PAUSE_SECONDS: Final = 6.0
"""After this the child begins no further page: what it has is told, and the rest is for the next call."""
_MEMORY_BYTES_MAX: Final = 512 * 1024 * 1024
_WRITTEN_BYTES_MAX: Final = 4 * 1024 * 1024

_LOCKED: Final = "locked"
_BROKEN: Final = "broken"
_MISSING: Final = "missing"
_HEAVY: Final = "heavy"
_TROUBLES: Final = {
    _LOCKED: ("it is locked with a password", "ask for it without the password"),
    _BROKEN: ("it is damaged, or no PDF", "ask for it again, or for its text"),
    _HEAVY: ("it takes too long, or too much memory", "ask for a smaller file, or for its text"),
    _MISSING: ("this installation lacks the library pypdf", "hand off what you have and name this as a risk"),
}
_NO_TEXT: Final = "These pages hold no text: they may be scanned. Ask for the text, or for pictures of the pages."
_BLANK: Final = "(no text on this page)"
_UNREADABLE: Final = "(this page cannot be read)"
_CUT: Final = "(this page goes on; it is cut here)"


class PdfError(Exception):
    """It cannot be read. `recovery` is what the agent can do."""

    def __init__(self, why: str, recovery: str) -> None:
        super().__init__(why)
        self.why = why
        self.recovery = recovery


@dataclass(frozen=True, slots=True, kw_only=True)
class Excerpt:
    """Pages `first` to `last` of `pages_n`, each below a line that says which it is."""

    pages_n: int
    first: int
    last: int
    text: str


def is_pdf(data: bytes, name: str) -> bool:
    """By its first bytes; behind others' bytes only if it is called so."""
    return data.startswith(MAGIC) or (name.lower().endswith(".pdf") and MAGIC in data[:MAGIC_BYTES_MAX])


def read(data: bytes, first: int, bytes_max: int, *, seconds_max: float = SECONDS_MAX) -> Excerpt:
    """What fits of the text from page `first` on, at least that page. Blocks for `seconds_max` at most.
    Raises PdfError, OSError.
    """
    from agents.tools import child  # noqa: PLC0415 - the child's half has none of our others

    def made(written: IO[bytes]) -> Excerpt:
        return told(list(_records(written)), first)

    return child.read(__file__, (str(first), str(bytes_max)), data, seconds_max, made)


def _records(written: IO[bytes]) -> Iterator[dict[str, Any]]:
    """The whole lines; one that was cut off by a kill is none."""
    for line in written:
        if line.endswith(b"\n"):
            yield json.loads(line)


def told(records: list[dict[str, Any]], first: int) -> Excerpt:
    """What the child's records come to. Raises PdfError."""
    head, *rest = records or [{"trouble": _HEAVY}]
    if trouble := head.get("trouble"):
        raise PdfError(*_TROUBLES[trouble])
    pages_n = int(head["pages"])
    if not 1 <= first <= pages_n:
        raise PdfError(f"it has {pages_n} pages, and no page {first}", f"name a page from 1 to {pages_n} as offset")
    texts: list[str | None] = [record["text"] for record in rest if "text" in record]
    if not rest or "end" not in rest[-1]:
        texts.append(None)  # the page at which it was stopped
    if not any(texts) and None not in texts:
        return Excerpt(pages_n=pages_n, first=first, last=first + len(texts) - 1, text=_NO_TEXT)
    lines = [
        f"[page {n} of {pages_n}]\n{_UNREADABLE if text is None else text or _BLANK}"
        for n, text in enumerate(texts, start=first)
    ]
    return Excerpt(pages_n=pages_n, first=first, last=first + len(texts) - 1, text="\n".join(lines))


# --- The child ------------------------------------------------------------------------------------------------------


def extract(stream: IO[bytes], first: int, bytes_max: int, write: Callable[[dict[str, Any]], None]) -> None:
    """A record with the number of pages or the trouble, one for each page, one that says it is the end."""
    try:
        import pypdf  # noqa: PLC0415 - in the child alone
    except ImportError:
        write({"trouble": _MISSING})
        return
    stop_at = time.monotonic() + _PAUSE_SECONDS
    try:
        reader = pypdf.PdfReader(stream)
        if reader.is_encrypted and not reader.decrypt(""):
            write({"trouble": _LOCKED})
            return
        pages_n = len(reader.pages)
    except pypdf.errors.DependencyError:  # a cipher that needs another library
        write({"trouble": _LOCKED})
        return
    except MemoryError:
        write({"trouble": _HEAVY})
        return
    except Exception:  # noqa: BLE001 - whatever a parser raises at bytes from outside: they are no good PDF
        write({"trouble": _BROKEN})
        return
    write({"pages": pages_n})
    left = bytes_max
    for n in range(first - 1, min(pages_n, first - 1 + PAGES_MAX)):
        text = _page(reader, n)
        size = len((text or "").encode())
        begun = n >= first
        if begun and (size > left or time.monotonic() > stop_at):
            break
        if text is not None and size > left:
            text = f"{text.encode()[:left].decode('utf-8', 'ignore')}\n{_CUT}"
        write({"text": text})
        left -= size
    write({"end": True})


def _page(reader: Any, n: int) -> str | None:
    """A page's text, None if it cannot be read."""
    try:
        text = str(reader.pages[n].extract_text())
    except Exception:  # noqa: BLE001 - as above, and MemoryError: the other pages may be good
        return None
    return text.encode("utf-8", "replace").decode().replace("\x00", "").strip()


def _limit() -> None:
    """Before anything is read. Where a system does not know a limit, the parent's clock remains."""
    seconds = int(SECONDS_MAX)
    for kind, value in (
        (resource.RLIMIT_AS, _MEMORY_BYTES_MAX),
        (resource.RLIMIT_CPU, seconds),
        (resource.RLIMIT_FSIZE, _WRITTEN_BYTES_MAX),
        (resource.RLIMIT_CORE, 0),
    ):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (value, value))


def main() -> None:
    """`pdf.py FIRST BYTES_MAX < file.pdf`"""
    _limit()

    def write(record: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(record) + "\n")
        sys.stdout.flush()

    extract(sys.stdin.buffer, int(sys.argv[1]), int(sys.argv[2]), write)


if __name__ == "__main__":
    main()
