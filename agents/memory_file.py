"""MEMORY.md: what is remembered somewhere, as a file that people read, edit and give back.

Law: a file says what it was shown of, and from when; what has come since is not touched by it. Every line is an entry,
a heading of ours, a comment or empty. A file with a mistake changes nothing, and the mistake has its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from agents.redaction import Redacted
from core.model.errors import ConfigError
from core.model.memory import TEXT_BYTES_MAX, Layer, Memory, Place, memory_of
from core.model.team import Person
from core.rules.budget import day_of
from core.rules.text import one_line

SECTIONS: Final = {"Principles": Layer.PRINCIPLE, "Patterns": Layer.PATTERN, "Facts": Layer.FACT}
FILE_BYTES_MAX: Final = 4_000_000
_SHOWN_MAX: Final = 4_000
_HEAD: Final = re.compile(r"<!-- signoff memory (?P<place>\S+) as of (?P<ms>\d+)\b.*-->")
_ENTRY: Final = re.compile(
    r"[-*] (?:(?P<day>\d{4}-\d\d-\d\d) )?(?P<text>.*?)\s*(?:<!-- (?P<id>m-[0-9a-f]+)\b[^>]*-->)?\s*"
)
_WHY: Final = re.compile(r"(?P<text>.+?)\s*\(why: (?P<why>.+)\)")
_COMMENT: Final = re.compile(r"<!--.*-->")
_LEGEND: Final = (
    "One entry a line. Change a line to replace it, remove it to forget it, write one to add it; keep the marks."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """What a file comes to: entries to keep, each with the one it replaces ("" for a new one), and ids to forget."""

    kept: tuple[tuple[Memory, str], ...] = ()
    forgotten: tuple[str, ...] = ()
    masked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    n: int
    layer: Layer
    text: str
    why: str = ""
    id: str = ""
    day: str = ""


# --- Out ------------------------------------------------------------------------------------------------------------


def written(place: Place, found: Iterable[Memory], zone: str, now_ms: int) -> str:
    """The file. Facts that are kept stand among the facts; the newest come first."""
    entries = sorted(found, key=lambda one: (-one.at_ms, one.id))
    parts = [f"# Memory of {place.owner or place.scope.value}"]
    parts.append(f"<!-- signoff memory {place.key} as of {now_ms}. {_LEGEND} -->")
    for title, layer in SECTIONS.items():
        lines = (_shown(one, zone) for one in entries if _section(one.layer) is layer)
        parts.append("\n".join((f"\n## {title}", *lines)))
    return "\n".join(parts) + "\n"


def _section(layer: Layer) -> Layer:
    return Layer.FACT if layer is Layer.KEPT else layer


def _shown(one: Memory, zone: str) -> str:
    marks = [one.id, f"by {one.by}"]
    marks += [f"about {one.about}"] if one.about else []
    marks += [f"until {day_of(zone, one.expires_at_ms)}"] if one.expires_at_ms is not None else []
    marks += ["from outside"] if one.untrusted else []
    why = f" (why: {_plain(one.reason)})" if one.reason else ""
    return f"- {day_of(zone, one.at_ms)} {_plain(one.text)}{why} <!-- {_plain(', '.join(marks))} -->"


def _plain(text: str) -> str:
    """One line that can neither end nor begin a comment."""
    return one_line(text, _SHOWN_MAX).replace("<", "‹").replace(">", "›")


# --- In -------------------------------------------------------------------------------------------------------------


class Reader:
    """Reads one file back. `found` is what is there now, `by` who gives the file, `redact` masks what they wrote."""

    def __init__(
        self,
        place: Place,
        found: Iterable[Memory],
        by: Person,
        *,
        redact: Callable[..., Redacted],
        zone: str,
        now_ms: int,
        name: str = "MEMORY.md",
    ) -> None:
        self._place = place
        self._there = {one.id: one for one in found}
        self._by = by
        self._redact = redact
        self._zone = zone
        self._now_ms = now_ms
        self._name = name

    def read(self, text: str) -> Edit:
        """What it comes to. Raises ConfigError with the first line that is wrong; then nothing may be changed."""
        lines, as_of_ms = self._lines(text)
        masked: dict[str, None] = {}
        kept: list[tuple[Memory, str]] = []
        for line in lines:
            old = self._there.get(line.id)
            if old is None or (line.text, line.why) != (_plain(old.text), _plain(old.reason)):
                kept.append((self._entry(line, old, masked), line.id))
        named = {line.id for line in lines}
        gone = (one.id for one in self._there.values() if one.at_ms <= as_of_ms and one.id not in named)
        return Edit(kept=tuple(kept), forgotten=tuple(gone), masked=tuple(masked))

    def _fail(self, what: str, n: int, expected: str) -> ConfigError:
        return ConfigError(what, file=self._name, line=n, expected=expected)

    def _lines(self, text: str) -> tuple[list[_Line], int]:
        if not text.strip():
            raise self._fail("it is empty", 1, "the entries; to forget one, remove its line")
        lines: list[_Line] = []
        layer, as_of_ms, seen = Layer.FACT, 0, dict[str, int]()
        for n, raw in enumerate(text.splitlines(), start=1):
            line = raw.strip()
            if head := _HEAD.fullmatch(line):
                if head["place"] != self._place.key:
                    raise self._fail(f"it is the memory of {head['place']}", n, self._place.key)
                as_of_ms = int(head["ms"])
            elif line.startswith("## "):
                title = line.removeprefix("## ").strip()
                if title not in SECTIONS:
                    raise self._fail(f"there is no section {title[:40]}", n, ", ".join(SECTIONS))
                layer = SECTIONS[title]
            elif entry := _ENTRY.fullmatch(line):
                found = self._line(n, layer, entry)
                if found.id in seen:
                    raise self._fail(f"{found.id} is there twice", n, f"once, as on line {seen[found.id]}")
                lines.append(found)
                seen |= {found.id: n} if found.id else {}
            elif line and not line.startswith("# ") and not _COMMENT.fullmatch(line):
                raise self._fail("neither an entry nor a heading", n, "- an entry, on one line")
        if seen and not as_of_ms:
            raise self._fail(
                "the line that says of when it is has gone", 2, "<!-- signoff memory ... -->, as it was shown"
            )
        return lines, as_of_ms

    def _line(self, n: int, layer: Layer, entry: re.Match[str]) -> _Line:
        text, why, some_id = entry["text"], "", entry["id"] or ""
        if layer is Layer.PRINCIPLE:
            reasoned = _WHY.fullmatch(text)
            if reasoned is None:
                raise self._fail("a principle without its reason", n, "the principle (why: the reason)")
            text, why = reasoned["text"], reasoned["why"]
        if not text:
            raise self._fail("an empty entry", n, "a sentence; to forget one, remove its line")
        old = self._there.get(some_id)
        if some_id and old is None:
            raise self._fail(f"{some_id} is not in use any more", n, "`signoff memory show` has what is")
        if old is not None and _section(old.layer) is not layer:
            raise self._fail(f"{some_id} is in another section", n, "it where it was; or a new line, without the mark")
        return _Line(n=n, layer=layer, text=text, why=why, id=some_id, day=entry["day"] or "")

    def _entry(self, line: _Line, old: Memory | None, masked: dict[str, None]) -> Memory:
        """A new entry by this person, in the place of an old one. What was from outside they have read."""
        about = old.about if old is not None else ""
        texts = [self._redact(text, contacts=bool(about)) for text in (line.text, line.why)]
        masked.update((kind, None) for text in texts for kind in text.masked)
        if any(len(text.text.encode("utf-8", "replace")) > TEXT_BYTES_MAX for text in texts):
            raise self._fail(f"longer than {TEXT_BYTES_MAX} bytes", line.n, "what matters, in a sentence or two")
        made = Memory(
            id=memory_of("edit", self._place.key, line.id or self._now_ms, line.n, texts[0].text, texts[1].text),
            place=self._place,
            text=texts[0].text,
            reason=texts[1].text,
            at_ms=self._now_ms if old is not None else self._dated(line),
            by=self._by.id,
            by_person=True,
            layer=old.layer if old is not None else line.layer,
            people=(self._by.id,),
        )
        if old is None:
            return made
        people = tuple(dict.fromkeys((*old.people, self._by.id)))
        return msgspec.structs.replace(
            made,
            secrecy=old.secrecy,
            about=about,
            people=people,
            expires_at_ms=old.expires_at_ms,
            sources=(old.id,),
        )

    def _dated(self, line: _Line) -> int:
        """The day that was written before a new entry, if it is one that has been."""
        try:
            day = date.fromisoformat(line.day)
        except ValueError:
            return self._now_ms
        return min(self._now_ms, int(datetime.combine(day, time(), ZoneInfo(self._zone)).timestamp() * 1000))
