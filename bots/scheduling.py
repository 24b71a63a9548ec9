"""The workspace's schedules, read with the team's reader and checked against its roles.

Law: a workspace with nothing to start by itself pays nothing for it: neither `schedules` nor apscheduler is imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.model.errors import ConfigError
from core.model.team import Team
from core.ports import Clock, Intake, Store

if TYPE_CHECKING:
    from schedules.firing import Schedules
    from schedules.load import Schedule, Surroundings

SLEEP_SECONDS_MAX = 30.0
"""For so long a changed team may go unnoticed here."""


def check(workspace: Path) -> list[ConfigError]:
    """All that is wrong with the schedules. A team.yaml that cannot be read is somebody else's error, and comes
    first.
    """
    if not _any_files(workspace):
        return []
    from agents.manifest import Manifest, read_file  # noqa: PLC0415 - as the law says
    from agents.team import FILE  # noqa: PLC0415
    from schedules.load import load  # noqa: PLC0415

    manifest = read_file(workspace / FILE, FILE, Manifest).value
    if manifest is None:
        return []
    roles = tuple(row.id for row in manifest.roles)
    _, errors = load(workspace, read_file, _around(manifest.team.name, manifest.team.zone, roles))
    return errors


class Rota:
    """The loop that starts work with nobody asking: the workspace's schedules, and what roles do unasked. It follows
    the team that is in force; what it needs is imported when there is something to start.
    """

    def __init__(self, workspace: Path, teams: Callable[[], Team], store: Store, clock: Clock) -> None:
        """Raises TeamErrors for schedules that are wrong."""
        self._teams = teams
        self._store = store
        self._clock = clock
        self._written = _written(workspace, teams())
        self._made_for = ""
        self._schedules: Schedules | None = None

    async def run(self, intake: Intake) -> None:
        """For ever."""
        while True:
            await self._clock.sleep(await self.sweep(intake))

    async def sweep(self, intake: Intake) -> float:
        """Start what is due. Returns how long nothing will be, in seconds, at most SLEEP_SECONDS_MAX."""
        team = self._teams()
        if team.version != self._made_for:
            self._schedules = await asyncio.to_thread(self._made, team)
            self._made_for = team.version
        seconds = await self._schedules.sweep(intake) if self._schedules is not None else SLEEP_SECONDS_MAX
        return min(seconds, SLEEP_SECONDS_MAX)

    def _made(self, team: Team) -> Schedules | None:
        if not self._written and not any(role.beats for role in team.roles.values()):
            return None
        from schedules.calendar import ScheduleCalendar  # noqa: PLC0415 - as the law says
        from schedules.firing import Schedules  # noqa: PLC0415
        from schedules.heartbeats import schedules_of  # noqa: PLC0415

        schedules = (*self._written, *schedules_of(team))
        return Schedules(schedules, ScheduleCalendar(schedules), self._store, self._clock)


def _written(workspace: Path, team: Team) -> tuple[Schedule, ...]:
    if not _any_files(workspace):
        return ()
    from agents.manifest import read_file  # noqa: PLC0415 - as the law says
    from agents.team import TeamErrors  # noqa: PLC0415
    from schedules.load import load  # noqa: PLC0415

    schedules, errors = load(workspace, read_file, _around(team.name, team.zone, tuple(team.roles)))
    if errors:
        raise TeamErrors(tuple(errors))
    return schedules


def _any_files(workspace: Path) -> bool:
    return any((workspace / "schedules").glob("*.yaml"))


def _around(team: str, zone: str, roles: tuple[str, ...]) -> Surroundings:
    from schedules.load import Surroundings  # noqa: PLC0415

    return Surroundings(team=team, zone=zone, roles=roles)
