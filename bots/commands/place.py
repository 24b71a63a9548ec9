"""Where a command works and for whom. On a command line a person is asserted, and the system's user is recorded."""

from __future__ import annotations

import argparse
import os
import pwd
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from bots.app import House, Workspace, set_up_log
from core.model.errors import DeniedError, SignoffError, TerminalError
from core.model.events import Conversation, Sender
from core.model.team import Person, Team

PLATFORM = "cli"
_Id = TypeVar("_Id", bound=str)


class UsageError(SignoffError):
    """It was typed wrong."""


def workspace_of(parsed: argparse.Namespace) -> Workspace:
    """The one that was named, else the current folder."""
    return Workspace(Path(parsed.workspace).expanduser().resolve())


@asynccontextmanager
async def opened(parsed: argparse.Namespace, *, debug: bool = False) -> AsyncIterator[House]:
    """The workspace, its log set up. Raises ConfigError, StoreRefusedError."""
    workspace = workspace_of(parsed)
    workspace.make()
    set_up_log(workspace, debug=debug)
    async with await House.open(workspace, os.environ) as house:
        yield house


def with_house(work: Callable[[argparse.Namespace, House], Awaitable[int]]) -> Callable[[argparse.Namespace], int]:
    """A command that needs no more than the opened workspace."""

    async def inside(parsed: argparse.Namespace) -> int:
        async with opened(parsed) as house:
            return await work(parsed, house)

    return lambda parsed: run_async(inside(parsed))


def run_async(main: Coroutine[Any, Any, int]) -> int:
    """Imported late by nobody: asyncio comes with the house."""
    import asyncio  # noqa: PLC0415

    return asyncio.run(main)


def refuse_inside_a_run() -> None:
    """No agent decides by running the command line. Raises DeniedError."""
    from agents.tools.spool import inside_a_run  # noqa: PLC0415

    if inside_a_run():
        raise DeniedError("this was started by a tool's run, and agents do not decide", "a person has to do it")


def os_user() -> str:
    """As the system knows it; the environment could say anything."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def person_of(parsed: argparse.Namespace, team: Team) -> Person:
    """Who the command speaks for. Raises DeniedError for somebody the team does not know."""
    if parsed.person is not None:
        person = team.person(parsed.person)
        if person is None:
            raise DeniedError(
                f"there is no person {parsed.person}", f"known are: {', '.join(p.id for p in team.people)}"
            )
        return person
    if len(team.people) == 1:
        return team.people[0]
    named = team.person(os_user()) or next((p for p in team.people if p.role == "owner"), None)
    if named is None:
        raise DeniedError("nobody can tell who you are", "say it with --as PERSON")
    return named


def sender_of(person: Person) -> Sender:
    """What is recorded of a command's sender."""
    return Sender(account=f"{PLATFORM}:{os_user()}", name=person.name, asserted=person.id)


def conversation_of(house: House) -> Conversation:
    """A thread of the command's own, so that its answers can be told from all others."""
    team = house.teams.current()
    return Conversation(platform=PLATFORM, account=team.name, channel=os_user(), thread=house.ids.token())


def moment_of(typed: str | None, zone: str) -> int:
    """A day, or a day and a time, of the team's zone, as UTC milliseconds; 0 for nothing typed. Raises UsageError."""
    if typed is None:
        return 0
    try:
        moment = datetime.fromisoformat(typed)
    except ValueError:
        raise UsageError(f"{typed[:40]} is no date", "2026-01-31, or 2026-01-31T09:00") from None
    at = moment if moment.tzinfo else moment.replace(tzinfo=ZoneInfo(zone))
    return int(at.timestamp() * 1000)


async def the_only(kind: str, typed: str, find: Callable[[str], Awaitable[tuple[_Id, ...]]]) -> _Id:
    """The id that a prefix stands for; its letter may be left out. Raises TerminalError."""
    letter = f"{kind[0]}-"
    ids = await find(typed if typed.startswith(letter) else letter + typed) if typed else ()
    if not ids:
        there = "signoff inbox" if kind == "inquiry" else "signoff tasks --all"
        raise TerminalError(f"there is no {kind} {typed[:40]}", f"`{there}` lists them")
    if len(ids) > 1:
        raise TerminalError(f"{typed} could be {', '.join(ids)}", "give more of the id")
    return ids[0]


def record(workspace: str, error: BaseException) -> str:
    """Keep a bug's trace in the log; the line for the person."""
    import structlog  # noqa: PLC0415

    what = f"something broke that should not ({type(error).__name__})"
    place = Workspace(Path(workspace).expanduser().resolve())
    try:
        set_up_log(place)
    except OSError:
        return f"{what}: {error}. There is no log to see more in"
    structlog.get_logger().error("command.broke", exc_info=error)
    return f"{what}: see {place.log}"
