"""Make a workspace and keep it: init, check, logs, backup, restore."""

from __future__ import annotations

import argparse
import os
import sys
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING

from core.model.errors import SignoffError, TerminalError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

KEY = "ANTHROPIC_API_KEY"
ENV_TEXT = """\
# Secrets of this workspace: only you can read this file. The process's own environment goes before it.
{line}
# Another model, spoken to as OpenAI is: OPENAI_BASE_URL=..., OPENAI_API_KEY=...
"""
FOLLOW_SECONDS = 0.25
CONFIG_WRONG = 5


# --- A new one ------------------------------------------------------------------------------------------------------


def init(parsed: argparse.Namespace) -> int:
    """Copy a team, keep a key. Nothing that exists is overwritten."""
    from agents import workspace  # noqa: PLC0415

    folder = Path(parsed.dir).expanduser()
    workspace.init(folder, parsed.team)
    key = _ask_for_key()
    _write_new(folder / ".env", ENV_TEXT.format(line=f"{KEY}={key}" if key else f"# {KEY}="), 0o600)
    _write_new(folder / ".gitignore", ".env\n.signoff/\n", 0o644)
    named = "" if folder.resolve() == Path.cwd() else f"cd {folder} && "
    print(f"made a team of {parsed.team} in {folder}; now: {named}signoff run")
    return 0


def _ask_for_key() -> str:
    """Never shown while it is typed."""
    if os.environ.get(KEY) or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return ""
    from getpass import getpass  # noqa: PLC0415

    return getpass(f"{KEY} (Enter: none, the offline model answers): ").strip()


def _write_new(path: Path, text: str, mode: int) -> None:
    try:
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    except FileExistsError:
        return  # somebody's own: it stays as it is
    with open(number, "w", encoding="utf-8") as file:  # noqa: PTH123 - a descriptor, made with its mode
        file.write(text)


# --- Is it right? ---------------------------------------------------------------------------------------------------


def check(parsed: argparse.Namespace) -> int:
    """Every error with its file and line; then what works but deserves a look."""
    from agents import team  # noqa: PLC0415
    from bots import scheduling  # noqa: PLC0415

    workspace = Path(parsed.workspace).expanduser().resolve()
    errors, notices = team.check(workspace)
    errors.extend(scheduling.check(workspace))
    for notice in notices:
        print(f"warning: {notice.file}:{notice.line}: {notice.what}")
    for error in errors:
        print(error)
    if errors:
        print(f"signoff: {len(errors)} to mend in the team's definition", file=sys.stderr)
        return CONFIG_WRONG
    print("the team's definition is right")
    return 0


# --- Logs -----------------------------------------------------------------------------------------------------------


def logs(parsed: argparse.Namespace) -> int:
    """The last lines of the log, readable; with --follow, what comes too."""
    path = _workspace(parsed) / ".signoff" / "logs" / "signoff.jsonl"
    try:
        file = path.open(encoding="utf-8", errors="replace")
    except FileNotFoundError as error:
        raise TerminalError(f"there is no log at {path}", "nothing has run here yet") from error
    with file:
        for text in deque(file, maxlen=max(parsed.lines, 0)):
            print(_readable(text))
        if parsed.follow:
            sys.stdout.flush()
            for text in _coming(file):
                print(_readable(text), flush=True)
    return 0


def _coming(file: TextIO) -> Iterator[str]:
    from time import sleep  # noqa: PLC0415

    begun = ""
    while True:
        begun += file.readline()
        if begun.endswith("\n"):
            yield begun
            begun = ""
        else:
            sleep(FOLLOW_SECONDS)


def _readable(text: str) -> str:
    """`2026-01-02T03:04:05Z warning event.waits key=... why=...`; what is not ours stays as it is."""
    import msgspec  # noqa: PLC0415

    try:
        fields = msgspec.json.decode(text, type=dict[str, object])
    except msgspec.MsgspecError:
        return text.rstrip("\n")
    head = [str(fields.pop(name, "-")) for name in ("timestamp", "level", "event")]
    trace = fields.pop("exception", None)
    rest = [f"{name}={value}" for name, value in fields.items()]
    return " ".join((*head, *rest)) + (f"\n{trace}" if trace else "")


# --- Backups --------------------------------------------------------------------------------------------------------


def backup(parsed: argparse.Namespace) -> int:
    """A whole and checked copy, while an engine may be at work."""
    from core.adapters.sqlite import migrate  # noqa: PLC0415

    database, file = _workspace(parsed) / ".signoff" / "signoff.db", Path(parsed.file).expanduser()
    if not database.is_file():
        raise TerminalError(f"there is no database at {database}", "nothing has run here yet")
    if file.exists():
        raise TerminalError(f"{file} is already there", "name a file that is not")
    migrate.backup(database, file)
    file.chmod(0o600)
    print(f"backed up to {file} ({file.stat().st_size:,} bytes)")
    return 0


def restore(parsed: argparse.Namespace) -> int:
    """Not while an engine runs. What was there is kept beside it. Raises EngineRunningError, StoreRefusedError."""
    from bots.commands.place import refuse_inside_a_run, workspace_of  # noqa: PLC0415
    from core.adapters.sqlite import migrate  # noqa: PLC0415
    from core.adapters.sqlite.lock import EngineLock  # noqa: PLC0415

    refuse_inside_a_run()
    workspace, file = workspace_of(parsed), Path(parsed.file).expanduser()
    if not file.is_file():
        raise TerminalError(f"there is no file {file}", "name a backup")
    workspace.make()
    with EngineLock(workspace.state):
        _refuse_foreign(file)
        kept = workspace.database.exists()
        migrate.restore(file, workspace.database)
    print(f"restored {file}" + (f"; what was there is {workspace.database}.replaced" if kept else ""))
    return 0


def _refuse_foreign(file: Path) -> None:
    """A database of something else, or of a later release, would only be found out at the next start."""
    import sqlite3  # noqa: PLC0415
    from contextlib import closing  # noqa: PLC0415

    from core.adapters.sqlite.migrate import schema  # noqa: PLC0415

    try:
        with closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            version = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.Error as error:
        raise SignoffError(f"{file} is no backup ({error})", "name another file") from error
    if not 1 <= version <= len(schema()):
        raise TerminalError(
            f"{file} has schema {version}, this release knows 1 to {len(schema())}", "name another file"
        )


def _workspace(parsed: argparse.Namespace) -> Path:
    return Path(parsed.workspace).expanduser().resolve()
