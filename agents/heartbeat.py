"""HEARTBEAT.md: what a role does unasked. Headings say when, bullets what; nothing else means anything.

Law: a heading that is not of the grammar is an error with its line, so that nobody waits for work that never starts.
Each bullet of a time is a request of its own; those `On session start` become part of the prompt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from agents.findings import Findings
from core.model.team import Beat

FILE = "HEARTBEAT.md"
GRAMMAR = "`## Daily (07:00)`, `## Weekly (Monday 09:00)`, `## Every 30 minutes` or `## On session start`"
MINUTES_MAX = 10_080
ITEMS_MAX = 20
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_TIME = r"([01]\d|2[0-3]):([0-5]\d)"
_DAILY = re.compile(rf"daily \({_TIME}\)")
_WEEKLY = re.compile(rf"weekly \(({'|'.join(_DAYS)}) {_TIME}\)")
_EVERY = re.compile(r"every ([1-9]\d{0,4}) (minute|hour)s?")
_COMMENT = re.compile(r"<!--.*?-->", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """`beats` by time, in the order they are written; `session`: what a new conversation starts with."""

    beats: tuple[Beat, ...] = ()
    session: tuple[str, ...] = ()


def read_heartbeat(text: str, file: str, found: Findings) -> Heartbeat:
    """What a file says. Whatever is no heading of the grammar and no bullet under one is an error."""
    beats: list[Beat] = []
    session: list[str] = []
    when: Beat | None = None
    inside = headed = False
    for number, line, item in _lines(text):
        if line.startswith("#"):
            headed = True
            inside = line.lstrip("#").strip().lower() == "on session start"
            when = None if inside else _when(line)
            if when is None and not inside:
                found.fail(f"{line[:60]!r} is no time", GRAMMAR, file=file, line=number)
        elif not item:
            found.fail(f"{line[:60]!r} is no bullet", "`- ` and what to do", file=file, line=number)
        elif inside:
            session.append(item)
        elif when is not None:
            beats.append(Beat(say=item, cron=when.cron, every_minutes=when.every_minutes))
        elif not headed:
            found.fail("a bullet before any heading", GRAMMAR, file=file, line=number)
    if len(beats) > ITEMS_MAX:
        found.fail(f"{len(beats)} things to do unasked", f"at most {ITEMS_MAX}", file=file)
    return Heartbeat(beats=tuple(beats), session=tuple(session))


def _lines(text: str) -> list[tuple[int, str, str]]:
    """Number, text, and a bullet's words; an indented line goes on with the bullet above it."""
    kept = _COMMENT.sub(lambda comment: "\n" * comment[0].count("\n"), text)
    lines: list[tuple[int, str, str]] = []
    for number, raw in enumerate(kept.splitlines(), 1):
        line = raw.strip()
        if not line:
            continue
        if raw[0] in " \t" and lines and lines[-1][2] and not line.startswith(("-", "*", "#")):
            first, whole, item = lines.pop()
            lines.append((first, whole, f"{item} {line}"))
        else:
            lines.append((number, line, line[2:].strip() if line.startswith(("- ", "* ")) else ""))
    return lines


def _when(heading: str) -> Beat | None:
    """A beat with nothing to say yet; None for a heading that names no time."""
    said = " ".join(heading.removeprefix("##").split()).lower() if re.match(r"##[^#]", heading) else ""
    if daily := _DAILY.fullmatch(said):
        return Beat(say="", cron=f"{int(daily[2])} {int(daily[1])} * * *")
    if weekly := _WEEKLY.fullmatch(said):
        return Beat(say="", cron=f"{int(weekly[3])} {int(weekly[2])} * * {_DAYS.index(weekly[1])}")
    if every := _EVERY.fullmatch(said):
        minutes = int(every[1]) * (60 if every[2] == "hour" else 1)
        return Beat(say="", every_minutes=minutes) if minutes <= MINUTES_MAX else None
    return None
