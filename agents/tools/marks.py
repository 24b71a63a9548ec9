"""What is remembered of files: which contents were written by somebody who had read what came from outside.

Law: a mark is of content, whatever the file is called and wherever it is copied, and is made before the file is. What a
program wrote nobody has seen: there the time counts, by the file system's own clock. Marks are never taken back. Where
the record is damaged, everything counts as from outside, and nothing more is written that would need a mark.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from core.model.work import Failure, ToolResult
from core.ports import Workplace

STATE: Final = ".signoff"
NAME: Final = "marks.db"
SHARED: Final = "shared"
RUNS_MAX: Final = 1_000
EDITS_MAX: Final = 1_000
_GRACE_SECONDS: Final = 600
_BUSY_SECONDS: Final = 5.0
_VERSION: Final = 1
_SCHEMA: Final = f"""
    CREATE TABLE marks (size INTEGER, digest BLOB, PRIMARY KEY (size, digest)) WITHOUT ROWID;
    CREATE TABLE runs (
        attempt TEXT PRIMARY KEY, role TEXT NOT NULL, start_ns INTEGER NOT NULL, until_ns INTEGER NOT NULL
    );
    CREATE TABLE edits (attempt TEXT PRIMARY KEY, before TEXT NOT NULL, after TEXT NOT NULL);
    PRAGMA user_version = {_VERSION};
"""
_BEGIN_RUN: Final = """
    INSERT INTO runs VALUES (?, ?, ?, ?)
    ON CONFLICT (attempt) DO UPDATE SET until_ns = max(until_ns, excluded.until_ns)
"""


class MarksError(OSError):
    """The record is damaged, or cannot be written."""


class Judge:
    """Says what is from outside, as of now."""

    def __init__(self, db: sqlite3.Connection | None, *, broken: bool) -> None:
        self._db = db
        self._broken = broken

    def is_outside(self, above: str, facts: os.stat_result, content: Callable[[], bytes | None]) -> bool:
        """Of a file in files/<above>. `content` is asked only where the size is that of marked content."""
        if self._broken:
            return True
        if self._db is None:
            return False
        try:
            at_ns = facts.st_ctime_ns
            during = "SELECT 1 FROM runs WHERE ? IN (?, role) AND start_ns <= ? AND ? <= until_ns"
            if self._db.execute(during, (above, SHARED, at_ns, at_ns)).fetchone() is not None:
                return True
            if self._db.execute("SELECT 1 FROM marks WHERE size = ? LIMIT 1", (facts.st_size,)).fetchone() is None:
                return False
            data = content()
            marked = "SELECT 1 FROM marks WHERE size = ? AND digest = ?"
            return data is None or self._db.execute(marked, _key(data)).fetchone() is not None
        except sqlite3.Error:
            return True


class Marks:
    """The record of one workspace. Its calls block: use a thread."""

    def __init__(self, workspace: Path) -> None:
        self._path = workspace.absolute() / STATE / NAME
        self._checking = threading.Lock()
        self._checked = False

    @contextlib.contextmanager
    def judge(self) -> Iterator[Judge]:
        """For one look at some files. Never raises."""
        with contextlib.ExitStack() as stack:
            try:
                db = stack.enter_context(self._open()) if os.path.lexists(self._path) else None
                judge = Judge(db, broken=False)
            except (OSError, sqlite3.Error):
                judge = Judge(None, broken=True)
            yield judge

    def remember(self, data: bytes) -> None:
        """This content is from outside. Blank content says nothing, and is not. Raises MarksError."""
        if data.strip():
            with self._writing() as db:
                db.execute("INSERT OR IGNORE INTO marks VALUES (?, ?)", _key(data))

    def run_begins(self, attempt: str, role: str, seconds_max: int) -> None:
        """From now on a program writes in a role's own and the shared files what is from outside, at the longest for
        `seconds_max` and some grace. Raises MarksError.
        """
        with self._writing() as db:
            now_ns = self._now_ns()
            until_ns = now_ns + (seconds_max + _GRACE_SECONDS) * 1_000_000_000
            db.execute(_BEGIN_RUN, (attempt, role, now_ns, until_ns))
            if db.execute("SELECT count(*) FROM runs").fetchone()[0] > RUNS_MAX:
                _join_oldest(db)

    def run_ends(self, attempt: str) -> None:
        """It has ended. Raises MarksError."""
        with self._writing() as db:
            db.execute("UPDATE runs SET until_ns = min(until_ns, ?) WHERE attempt = ?", (self._now_ns(), attempt))

    def edit_begins(self, attempt: str, before: str, after: str) -> None:
        """A file's version is about to become `after`. Raises MarksError."""
        with self._writing() as db:
            db.execute("INSERT OR REPLACE INTO edits VALUES (?, ?, ?)", (attempt, before, after))
            oldest = "SELECT rowid FROM edits ORDER BY rowid DESC LIMIT -1 OFFSET ?"
            db.execute(f"DELETE FROM edits WHERE rowid IN ({oldest})", (EDITS_MAX,))  # noqa: S608 - our own words

    def edit_begun(self, attempt: str) -> tuple[str, str] | None:
        """The versions before and after, if this attempt had come so far. Raises MarksError."""
        if not os.path.lexists(self._path):
            return None
        with self._writing() as db:
            row = db.execute("SELECT before, after FROM edits WHERE attempt = ?", (attempt,)).fetchone()
        return (row[0], row[1]) if row else None

    def _now_ns(self) -> int:
        """By the clock that dates files: the workspace's own file system."""
        with tempfile.TemporaryFile(dir=self._path.parent) as file:
            return os.fstat(file.fileno()).st_ctime_ns

    @contextlib.contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            if not os.path.lexists(self._path):
                self._create()
            with self._open() as db, db:
                yield db
        except (OSError, sqlite3.Error) as error:
            raise MarksError(f"{STATE}/{NAME} is damaged, or cannot be written: {error}") from error

    @contextlib.contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Raises OSError, sqlite3.Error."""
        with contextlib.closing(sqlite3.connect(self._path, timeout=_BUSY_SECONDS)) as db:
            db.execute("PRAGMA synchronous = FULL")
            with self._checking:
                if not self._checked:
                    if db.execute("PRAGMA user_version").fetchone() != (_VERSION,):
                        raise sqlite3.DatabaseError("another version, or cut short")
                    if db.execute("PRAGMA quick_check(1)").fetchone() != ("ok",):
                        raise sqlite3.DatabaseError("its pages contradict each other")
                    self._checked = True
            yield db

    def _create(self) -> None:
        """Whole or not at all: an empty file would be one that has forgotten."""
        self._path.parent.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._path.parent) as folder:
            new = Path(folder) / NAME
            with contextlib.closing(sqlite3.connect(new)) as db:
                db.executescript(_SCHEMA)
            with contextlib.suppress(FileExistsError):
                os.link(new, self._path)
        folder_fd = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder_fd)
        finally:
            os.close(folder_fd)


async def run_marked(
    marks: Marks, place: Workplace, running: Callable[[], Awaitable[ToolResult]], *, declared: bool
) -> ToolResult:
    """Run a program that may write files. What it writes is from outside if its task has read such things; if it is
    `declared` to bring in such things, so is what it says.
    """
    outside = declared or place.untrusted
    if outside:
        try:
            await asyncio.to_thread(marks.run_begins, place.attempt, place.role, place.seconds_max)
        except MarksError as error:
            if not place.again:  # else it may have run, and that is what must be told
                return ToolResult(failure=failure_of(error), untrusted=declared)
    result = await running()
    if outside:
        with contextlib.suppress(MarksError):  # then it counts for as long as it might have run
            await asyncio.to_thread(marks.run_ends, place.attempt)
    return msgspec.structs.replace(result, untrusted=result.untrusted or declared)


def failure_of(error: MarksError) -> Failure:
    """In words for the agent."""
    recovery = "hand this off: a person must look at it"
    return Failure(what="what is from outside cannot be told apart", why=str(error), recovery=recovery)


def _key(data: bytes) -> tuple[int, bytes]:
    return len(data), hashlib.sha256(data).digest()


def _join_oldest(db: sqlite3.Connection) -> None:
    """Half of them become one for each role, that covers them all."""
    oldest = db.execute(
        "SELECT attempt, role, start_ns, until_ns FROM runs ORDER BY start_ns LIMIT ?", (RUNS_MAX // 2,)
    )
    rows = oldest.fetchall()
    for role in {row[1] for row in rows}:
        mine = [row for row in rows if row[1] == role]
        start_ns, until_ns = min(row[2] for row in mine), max(row[3] for row in mine)
        db.executemany("DELETE FROM runs WHERE attempt = ?", [(row[0],) for row in mine])
        db.execute("INSERT OR REPLACE INTO runs VALUES (?, ?, ?, ?)", (mine[0][0], role, start_ns, until_ns))
