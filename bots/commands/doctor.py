"""`signoff doctor`: look at everything a workspace needs, also when half of it is broken. Secrets are never printed."""

from __future__ import annotations

import argparse
import asyncio
import os
import shutil
import sqlite3
import stat
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import closing
from functools import partial
from typing import TypeVar

import msgspec

from agents.connections import PINS, configured
from agents.servers import Server
from agents.team import KEYS, check
from agents.tools.mcp.hub import Places, connected
from agents.tools.mcp.pins import Pin, offered, summary
from agents.tools.mcp.speech import EndedError, LoginNeededError
from bots import platforms
from bots.app import Workspace, read_environment
from bots.commands.place import run_async, workspace_of
from bots.commands.shapes import time_of
from core.adapters.sqlite import migrate
from core.adapters.sqlite.lock import EngineLock
from core.adapters.sqlite.reads import SqliteReads
from core.adapters.system import SystemClock
from core.model.errors import EngineRunningError, SignoffError
from core.ports import Health, Reads
from core.rules.text import human_duration

FREE_BYTES_MIN = 200 * 1024 * 1024
PYTHON_MIN = (3, 11)
SERVER_SECONDS_MAX = 20
DEAF_MS = 10 * 60 * 1000
"""Every platform is heard from more often than this, also on a quiet night: polls end, heartbeats are answered."""
_OK, _WRONG = True, False
_Finding = tuple[bool, str]
_Check = tuple[str, Callable[[Workspace], Iterator[_Finding]]]
_T = TypeVar("_T")


def doctor(parsed: argparse.Namespace) -> int:
    """One line each, `ok` or `--`. Exit code 1 if anything needs a hand."""
    workspace, wrong_n = workspace_of(parsed), 0
    for name, look in (*_CHECKS, *_platforms(workspace), *_servers(workspace)):
        try:
            findings = list(look(workspace))
        except (SignoffError, OSError, sqlite3.Error) as error:
            findings = [(_WRONG, str(error))]
        for good, found in findings:
            print(f"{'ok' if good else '--'}  {name}: {found}")
            wrong_n += not good
    return 1 if wrong_n else 0


def _clock(workspace: Workspace) -> Iterator[_Finding]:
    now_ms, last_ms = SystemClock().now_ms(), _last_traffic_ms(workspace)
    if last_ms is not None and last_ms > now_ms:
        behind = human_duration(last_ms - now_ms)
        yield _WRONG, f"{time_of(now_ms)}, but the last message is {behind} in the future: set the clock"
    else:
        yield _OK, str(time_of(now_ms))


def _python(_workspace: Workspace) -> Iterator[_Finding]:
    yield sys.version_info >= PYTHON_MIN, f"{sys.version.split()[0]} at {sys.executable}"


def _database(workspace: Workspace) -> Iterator[_Finding]:
    path = workspace.database
    if not path.is_file():
        yield _OK, "none yet"
        return
    migrate.verify(path)
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)) as connection:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    known = len(migrate.schema())
    if version > known:
        yield _WRONG, f"schema {version} is of a newer release, this one knows {known}: install that release"
    else:
        yield _OK, f"whole, {path.stat().st_size:,} bytes, schema {version} of {known}"


def _lock(workspace: Workspace) -> Iterator[_Finding]:
    yield _OK, _runs_here(workspace) or "nothing runs here"


def _runs_here(workspace: Workspace) -> str:
    """Who holds the engine's lock, "" if nobody does."""
    if not workspace.state.is_dir():
        return ""
    try:
        with EngineLock(workspace.state):
            return ""
    except EngineRunningError as error:
        return error.what


def _keys(workspace: Workspace) -> Iterator[_Finding]:
    environ = read_environment(workspace, os.environ)
    there = [name for name in KEYS if environ.get(name)]
    none = "none is set: the offline model answers, unless the preset needs none"
    yield _OK, ", ".join(f"{name} is set" for name in there) or none


def _env_file(workspace: Workspace) -> Iterator[_Finding]:
    path = workspace.root / ".env"
    if not path.is_file():
        yield _OK, "none"
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield _WRONG, f"mode {mode:o}: others can read it; chmod 600 {path}"
    else:
        yield _OK, f"mode {mode:o}"


def _team(workspace: Workspace) -> Iterator[_Finding]:
    errors, notices = check(workspace.root)
    for error in errors:
        yield _WRONG, str(error)
    for notice in notices:
        yield _OK, f"{notice.file}:{notice.line}: {notice.what}"
    if not errors and not notices:
        yield _OK, "right"


def _spool(workspace: Workspace) -> Iterator[_Finding]:
    if not workspace.spool.is_dir():
        yield _OK, "none yet"
    elif not os.access(workspace.spool, os.W_OK):
        yield _WRONG, f"{workspace.spool} cannot be written: no command can run"
    else:
        yield _OK, f"{sum(1 for _ in workspace.spool.iterdir())} records of commands"


def _disk(workspace: Workspace) -> Iterator[_Finding]:
    free = shutil.disk_usage(workspace.root).free
    yield free >= FREE_BYTES_MIN, f"{free // (1024 * 1024):,} MB free"


def _traffic(workspace: Workspace) -> Iterator[_Finding]:
    last_ms = _last_traffic_ms(workspace)
    yield _OK, f"last message at {time_of(last_ms)}" if last_ms is not None else "none yet"


def _last_traffic_ms(workspace: Workspace) -> int | None:
    async def newest(reads: Reads) -> int | None:
        return next((row.post.at_ms for row in await reads.posts(limit=1)), None)

    return _read(workspace, newest) if workspace.database.is_file() else None


def _read(workspace: Workspace, look: Callable[[Reads], Awaitable[_T]]) -> _T:
    found: list[_T] = []

    async def read() -> int:
        reads = SqliteReads(workspace.database, SystemClock())
        try:
            found.append(await look(reads))
        finally:
            await reads.close()
        return 0

    run_async(read())
    return found[0]


# --- Chat platforms -------------------------------------------------------------------------------------------------


def _platforms(workspace: Workspace) -> tuple[_Check, ...]:
    """One for each that is set up."""
    try:
        settings = read_environment(workspace, os.environ)
    except (SignoffError, OSError):
        return ()  # .env has a check of its own, which says so
    return tuple((known.name, partial(_platform, known, settings)) for known in platforms.chosen(settings))


def _platform(known: platforms.Known, settings: Mapping[str, str], workspace: Workspace) -> Iterator[_Finding]:
    """Its library and settings, what the platform says about us, and when something last came from there."""
    try:
        platforms.require(known, settings)
    except platforms.NotReadyError as error:
        yield _WRONG, error.said
        return
    yield _OK, "its library is installed"
    found: list[_Finding] = []

    async def examine() -> int:
        found.extend(await platforms.examine(known, settings))
        return 0

    run_async(examine())
    yield from found
    if workspace.database.is_file():
        kept = _read(workspace, lambda reads: reads.meta(f"health:{known.name}"))
        yield _health(kept, SystemClock().now_ms(), up=bool(_runs_here(workspace)))


def _health(kept: str | None, now_ms: int, *, up: bool) -> _Finding:
    """Evidence of traffic, as the engine wrote it down."""
    try:
        health = msgspec.json.decode(kept, type=Health) if kept else Health()
    except msgspec.MsgspecError:
        health = Health()
    if health == Health():
        return _OK, "no traffic yet"
    times = (
        ("connected", health.connected_at_ms),
        ("last heard", health.heard_at_ms),
        ("last sent", health.sent_at_ms),
    )
    said = ", ".join(f"{what} {_ago(at_ms, now_ms)}" for what, at_ms in times)
    if not up:
        return _OK, f"{said}; it is not running now"
    if health.trouble:
        return _WRONG, f"{said}; {health.trouble}"
    if now_ms - health.heard_at_ms > DEAF_MS:
        return _WRONG, f"{said}: it should have been heard since; restart signoff if that lasts"
    return _OK, said


def _ago(at_ms: int, now_ms: int) -> str:
    return f"{human_duration(max(0, now_ms - at_ms))} ago" if at_ms else "never"


# --- MCP servers ----------------------------------------------------------------------------------------------------


def _servers(workspace: Workspace) -> tuple[_Check, ...]:
    """One for each that a role may use."""
    try:
        settings = read_environment(workspace, os.environ)
        servers = configured(workspace.root)
    except (SignoffError, OSError):
        return ()  # both have checks of their own
    places = Places(folder=workspace.root / PINS, environ=settings)
    return tuple((f"mcp {name}", partial(_server, server, places)) for name, server in servers.items())


def _server(server: Server, places: Places, _workspace: Workspace) -> Iterator[_Finding]:
    """Whether it can be reached now, and whether it offers what was pinned."""
    pin = places.pins.read(server.name)
    found: list[Pin] = []

    async def look() -> int:
        async with asyncio.timeout(SERVER_SECONDS_MAX), connected(server, places, SystemClock()) as live:
            found.append(offered(server.name, await live.tools()))
        return 0

    try:
        run_async(look())
    except LoginNeededError as error:
        yield _WRONG, f"{error}: `signoff mcp login {server.name}`"
        return
    except (EndedError, TimeoutError) as error:
        yield _WRONG, str(error) or f"it does not answer in {SERVER_SECONDS_MAX} s"
        return
    now = found[0]
    allowed = summary(now, sum(not tool.refused and server.allows(tool.name) for tool in now.tools)).partition(": ")[2]
    if pin is None:
        yield _OK, f"{allowed}; not pinned yet: the next `signoff run` does that, or `signoff mcp trust {server.name}`"
    elif pin.digest != now.digest:
        yield _WRONG, f"it does not offer what was pinned: `signoff mcp trust {server.name}` shows the difference"
    else:
        yield _OK, f"{allowed}; as pinned"


_CHECKS: tuple[_Check, ...] = (
    ("clock", _clock),
    ("python", _python),
    ("database", _database),
    ("engine", _lock),
    ("keys", _keys),
    (".env", _env_file),
    ("team", _team),
    ("spool", _spool),
    ("disk", _disk),
    ("traffic", _traffic),
)
