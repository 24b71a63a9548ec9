"""What libraries say to Python's own log, told in ours.

Laws of this file. Nothing is printed: the terminal belongs to people. A library's words are kept only as far as they
are its own, not what it filled in: that may be what a person wrote, or an address with a token in it. A library's
error is a warning of ours, because whoever called it says what came of it; asyncio's are bugs of ours.
"""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Callable
from typing import Any, Final

import structlog

WORDS_MAX: Final = 120
_OWN_WORDS: Final = re.compile(r"[^\n:({\[<'\"`=]*")


class Libraries(logging.Handler):
    """Warnings and errors of others, as events."""

    def emit(self, record: logging.LogRecord) -> None:
        more: dict[str, Any] = {"library": record.name, "line": f"{record.module}:{record.lineno}"}
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            more["error"] = type(error).__name__
        log = structlog.get_logger()
        with contextlib.suppress(OSError, ValueError):  # a full disk, or a log that is closed: there is nobody to tell
            if record.name == "asyncio" and record.levelno >= logging.ERROR:
                log.error("asyncio.complained", what=own_words(record), **more, exc_info=error)
            else:
                log.warning("library.complained", what=own_words(record), **more)


def own_words(record: logging.LogRecord) -> str:
    """The template without what fills it; of a text that came filled in, what stands before the first filling."""
    if not isinstance(record.msg, str):
        return type(record.msg).__name__
    found = None if record.args else _OWN_WORDS.match(record.msg)
    words = record.msg if found is None else found[0]
    return " ".join(words.split())[:WORDS_MAX].strip()


def listen_to_libraries() -> None:
    """From WARNING on, once in a process."""
    root = logging.getLogger()
    if not any(isinstance(handler, Libraries) for handler in root.handlers):
        root.addHandler(Libraries(logging.WARNING))


def redacting(redact: Callable[[str], str]) -> Callable[[Any, str, Any], str]:
    """The last step of the log: whatever was put into a line, it leaves without secrets."""
    return lambda _, __, line: redact(line)
