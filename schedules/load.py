"""`schedules/*.yaml`: what people write, checked and made whole.

Law: nothing half-valid ever fires. One reading finds every error of every file, each with its line and with what was
expected; `read` is the team's own reader, so that both kinds of file obey one grammar (agents/manifest.py). An example:

    - id: morning
      cron: "0 7 * * 1-5"       # minute hour day month weekday; 0 and 7 are Sunday
      zone: Europe/Berlin       # the team's zone unless said otherwise
      role: devops              # the lead unless said otherwise
      say: Check that every site is up
      misfire: skip             # one (the default): what was missed fires once, late; skip: not at all
    - id: pulse
      every: 30m                # 1m to 9999d, counted in UTC: 30m is every full and half hour
      say: Look at the queue
      to: console/main          # where the answer goes: platform/channel or platform/channel/thread

docs/schedules.md is the same for readers.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, Protocol
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from core.model.errors import ConfigError
from core.model.events import Conversation

PLATFORMS = ("console", "telegram", "discord", "slack")
_UNITS_MS = {"m": 60_000, "h": 3_600_000, "d": 86_400_000}


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One schedule as it is written."""

    id: Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_-]{0,31}$")]
    say: str
    cron: str = ""
    every: str = ""
    zone: str = ""
    role: str = ""
    misfire: Literal["one", "skip"] = "one"
    to: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """One schedule, whole and valid. Either `cron`, read in `zone`, or `every_ms` is set."""

    id: str
    say: str
    conversation: Conversation
    cron: str = ""
    every_ms: int = 0
    zone: str = "UTC"
    role: str | None = None  # None: whoever leads when it fires
    misfire: Literal["one", "skip"] = "one"

    @property
    def when(self) -> str:
        """Its times in one line. A schedule whose line has changed is a new one: it counts from when it is seen."""
        return f"{self.cron} {self.zone}" if self.cron else f"every {self.every_ms} ms"


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What a schedule must know of its team."""

    team: str
    zone: str
    roles: Collection[str]


class Document(Protocol):
    """A file as read; a value of None has errors."""

    @property
    def value(self) -> tuple[Row, ...] | None: ...

    @property
    def errors(self) -> list[ConfigError]: ...

    def line(self, *path: str | int) -> int: ...

    def fail(self, what: str, expected: str, *path: str | int) -> None: ...


class Read(Protocol):
    """The reader of the team's files."""

    def __call__(self, path: Path, file: str, shape: type[tuple[Row, ...]], /) -> Document: ...


def files_of(workspace: Path) -> tuple[Path, ...]:
    """Where schedules are written, by name."""
    return tuple(sorted((workspace / "schedules").glob("*.yaml")))


def load(workspace: Path, read: Read, around: Surroundings) -> tuple[tuple[Schedule, ...], list[ConfigError]]:
    """All that is right, and all that is wrong, in the order of the files."""
    schedules: dict[str, Schedule] = {}
    places: dict[str, str] = {}
    errors: list[ConfigError] = []
    for path in files_of(workspace):
        file = f"schedules/{path.name}"
        document = read(path, file, tuple[Row, ...])
        for n, row in enumerate(document.value or ()):
            if row.id in places:
                document.fail(f"schedule {row.id} is there twice ({places[row.id]})", "each id once", n, "id")
                continue
            places[row.id] = f"{file}:{document.line(n, 'id')}"
            schedules[row.id] = _Checked(document, n, row, around).schedule()
        errors.extend(sorted(document.errors, key=lambda error: error.line))
    return tuple(schedules.values()), errors


class _Checked:
    """One row. What is wrong is noted in the document, and something harmless stands in its place."""

    def __init__(self, document: Document, n: int, row: Row, around: Surroundings) -> None:
        self._document = document
        self._n = n
        self._row = row
        self._around = around

    def schedule(self) -> Schedule:
        row = self._row
        if not row.say.strip():
            self._fail("nothing to say", "the words that start the work", "say")
        if row.role and row.role not in self._around.roles:
            self._fail(f"unknown role {row.role}", f"one of: {', '.join(self._around.roles)}", "role")
        if bool(row.cron) == bool(row.every):
            both = f"schedule {row.id} has {'both cron and every' if row.cron else 'neither cron nor every'}"
            self._document.fail(both, "one of the two", self._n)
        if row.every and row.zone:
            self._fail("zone has no meaning with every", "cron, or no zone", "zone")
        zone = self._zone()
        if row.cron:
            self._cron(zone)
        return Schedule(
            id=row.id,
            say=row.say.strip(),
            conversation=self._conversation(),
            cron=" ".join(row.cron.split()),
            every_ms=self._every_ms() if row.every else 0,
            zone=zone,
            role=row.role or None,
            misfire=row.misfire,
        )

    def _fail(self, what: str, expected: str, key: str) -> None:
        self._document.fail(what, expected, self._n, key)

    def _zone(self) -> str:
        zone = self._row.zone or self._around.zone
        try:
            ZoneInfo(zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            if self._row.zone:  # the team's own is an error of team.yaml
                self._fail(f"unknown time zone {zone!r}", "an IANA name such as Europe/Berlin, or UTC", "zone")
            return "UTC"
        return zone

    def _cron(self, zone: str) -> None:
        from schedules.calendar import WallTimes  # noqa: PLC0415 - loads apscheduler, which nobody needs without a row

        try:
            WallTimes.parse(self._row.cron, zone)
        except ValueError as error:
            expected = 'minute hour day month weekday, such as "0 7 * * 1-5"'
            self._fail(f"cron {self._row.cron!r}: {error}", expected, "cron")

    def _every_ms(self) -> int:
        match = re.fullmatch(r"([1-9][0-9]{0,3})([mhd])", self._row.every)
        if match is None:
            self._fail(f"every {self._row.every!r}", "a number and m, h or d, such as 30m", "every")
            return _UNITS_MS["d"]
        return int(match[1]) * _UNITS_MS[match[2]]

    def _conversation(self) -> Conversation:
        """A thread of its own on the console: what is typed there meanwhile is no word to the schedule's task."""
        row, team = self._row, self._around.team
        if not row.to:
            return Conversation(platform="console", account=team, channel="main", thread=f"schedule-{row.id}")
        platform, *rest = row.to.split("/")
        if platform not in PLATFORMS or not 1 <= len(rest) <= 2 or not all(rest):
            self._fail(f"to {row.to!r}", f"platform/channel, the platform one of: {', '.join(PLATFORMS)}", "to")
        return Conversation(platform=platform, account=team, channel="".join(rest[:1]), thread="".join(rest[1:]))
