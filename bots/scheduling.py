"""The workspace's schedules, read with the team's reader and checked against its roles.

Law: a workspace without schedules pays nothing for them: neither `schedules` nor apscheduler is imported.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from core.model.errors import ConfigError
from core.model.team import Team
from core.ports import Clock, Store

if TYPE_CHECKING:
    from schedules.firing import Schedules
    from schedules.load import Surroundings


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


def schedules_of(workspace: Path, team: Team, store: Store, clock: Clock) -> Schedules | None:
    """The loop that fires them; None when there are none. Raises TeamErrors."""
    if not _any_files(workspace):
        return None
    from agents.manifest import read_file  # noqa: PLC0415 - as the law says
    from agents.team import TeamErrors  # noqa: PLC0415
    from schedules.load import load  # noqa: PLC0415

    schedules, errors = load(workspace, read_file, _around(team.name, team.zone, tuple(team.roles)))
    if errors:
        raise TeamErrors(tuple(errors))
    if not schedules:
        return None
    from schedules.calendar import ScheduleCalendar  # noqa: PLC0415
    from schedules.firing import Schedules  # noqa: PLC0415

    return Schedules(schedules, ScheduleCalendar(schedules), store, clock)


def _any_files(workspace: Path) -> bool:
    return any((workspace / "schedules").glob("*.yaml"))


def _around(team: str, zone: str, roles: tuple[str, ...]) -> Surroundings:
    from schedules.load import Surroundings  # noqa: PLC0415

    return Surroundings(team=team, zone=zone, roles=roles)
