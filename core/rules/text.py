"""Text that people can trust their eyes with, and numbers as people write them. Pure.

Law of this file: after `visible` or `readable`, a text holds no character that hides, reorders or commands anything on
any screen. What was taken away is named in its place.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from core.rules import words

_JOINERS: Final = "\u200c\u200d"  # Persian, the scripts of India and many emoji cannot be written without them
_UNSEEN: Final = (
    # Unicode 16: categories Cc (but line feed), Cf, Cs, Zl, Zp, and what else is drawn as nothing at all
    "\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u17b4\u17b5"
    "\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\udfff\ufeff\uffa0\ufff0-\ufffb"
    "\U000110bd\U000110cd\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_HIDDEN: Final = re.compile(f"[{_UNSEEN}{_JOINERS}]")
_HIDDEN_IN_PROSE: Final = re.compile(f"[{_UNSEEN}]")


def visible(text: str) -> str:
    """For what is decided on: every control, bidi or invisible character as `<U+202E>`; only line feeds stay."""
    return _HIDDEN.sub(_named, text)


def readable(text: str) -> str:
    """For prose: as `visible`, but tabs become spaces, and joiners stay, because people's scripts need them."""
    return _HIDDEN_IN_PROSE.sub(_named, text.replace("\r\n", "\n").replace("\t", "    "))


def _named(found: re.Match[str]) -> str:
    return f"<U+{ord(found[0]):04X}>"


def shorten(text: str, n: int) -> str:
    """At most `n` characters; a cut shows as an ellipsis."""
    return text if len(text) <= n else text[: max(n - 1, 0)].rstrip() + words.ELLIPSIS[:n]


def one_line(text: str, n: int) -> str:
    """One visible line of at most `n` characters. (Making visible only lengthens, so cutting first loses nothing.)"""
    return shorten(visible(shorten(text, n + 1)).replace("\n", "⏎"), n)


def human_duration(ms: int) -> str:
    """`31 s`, `2 m 10 s`, `1 h 5 m`: the two largest units."""
    left = ms // 1000
    parts = []
    for unit, seconds in words.DURATION_UNITS:
        n, left = divmod(left, seconds)
        parts.append(f"{n} {unit}" if n > 0 else "")
    start = next((i for i, part in enumerate(parts) if part), None)
    if start is None:
        return words.UNDER_A_SECOND
    return " ".join(part for part in parts[start : start + 2] if part)


def human_money(microusd: int) -> str:
    """`$0.06`; something is never shown as nothing."""
    if 0 < microusd < 10_000:
        return words.UNDER_A_CENT
    return f"${microusd / 1_000_000:,.2f}"


def human_count(n: int) -> str:
    """`950`, `1.2k`, `12k`, `3.4M`: rounded down."""
    for factor, unit in ((1_000_000, "M"), (1_000, "k")):
        if n >= 10 * factor:
            return f"{n // factor}{unit}"
        if n >= factor:
            return f"{n // (factor // 10) / 10:g}{unit}"
    return str(n)


def human_time(ms: int, zone: str) -> str:
    """`Mon 18:00`, in that zone."""
    at = datetime.fromtimestamp(ms / 1000, _zone(zone))
    return f"{words.DAYS[at.weekday()]} {at:%H:%M}"


def human_when(ms: int, now_ms: int, zone: str) -> str:
    """As briefly as it is clear seen from now: `14:02`, `Mon 14:02`, `3 Nov 14:02`."""
    at, now = (datetime.fromtimestamp(t / 1000, _zone(zone)) for t in (ms, now_ms))
    days = abs((now.date() - at.date()).days)
    if days == 0:
        return f"{at:%H:%M}"
    return human_time(ms, zone) if days < 7 else f"{at.day} {words.MONTHS[at.month - 1]} {at:%H:%M}"


def _zone(name: str) -> tzinfo:
    return UTC if name == "UTC" else ZoneInfo(name)
