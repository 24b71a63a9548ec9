"""The one writer: a thread that owns the one writing connection and commits what waits, together.

It drains up to BATCH jobs, begins, gives each job a savepoint, commits once, then wakes all callers at once: the fsync
is the batching window, no timer is. A caller is answered only after the commit that holds its work is durable. A caller
that is cancelled meanwhile undoes nothing.

A full disk rolls the whole batch back (SQLite drops released savepoints too), and it is replayed job by job. After a
failed read or write of the disk nobody can know what is durable: the process ends.
"""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final, NamedTuple, NoReturn

from core.adapters.sqlite import changes
from core.model.errors import RetryableError, StoreFullError
from core.model.unit import Applied, Refused

BATCH: Final = 256
WAITING_MAX: Final = 1024
WATCH_SECONDS: Final = 0.25
EXIT_STATUS: Final = 74  # EX_IOERR of sysexits.h

_FATAL: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY}
)
_FULL: Final = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE})

Work = Callable[[sqlite3.Cursor], Any]


class Job(NamedTuple):
    """A unit (a Prepared) or a piece of work on the connection, and who waits for it."""

    work: changes.Prepared | Work
    answer: asyncio.Future[Any]


Outcome = tuple[asyncio.Future[Any], Any]


def end_process(why: str) -> NoReturn:
    """One line, then out: no handler may write again."""
    sys.stderr.write(f"signoff: the database cannot be trusted to write: {why}; check the disk, then start again\n")
    sys.stderr.flush()
    os._exit(EXIT_STATUS)


class Writer:
    """Belongs to the event loop it was made in. `connect` runs in the thread. `die` is called with one line when what
    is durable cannot be known any more; it should not return, and if it does every caller gets the error.
    """

    def __init__(self, connect: Callable[[], sqlite3.Connection], *, die: Callable[[str], None] = end_process) -> None:
        self.batches_n = 0
        self._connect = connect
        self._die = die
        self._loop = asyncio.get_running_loop()
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._room = asyncio.Semaphore(WAITING_MAX)
        self._watcher: Callable[[], None] | None = None
        self._dead: BaseException | None = None
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)

    async def start(self) -> None:
        """Raises what connecting raises."""
        opened: asyncio.Future[None] = self._loop.create_future()
        self._opened = opened
        self._thread.start()
        await opened

    async def do(self, work: changes.Prepared | Work) -> Any:
        """What the work returned, once it is durable. Raises StoreFullError; RetryableError while another process keeps
        the database locked. Waits when too much waits already.
        """
        await self._room.acquire()
        if self._closed or self._dead:
            self._room.release()
            raise RetryableError("the store is closed", "start signoff again") from self._dead
        answer: asyncio.Future[Any] = self._loop.create_future()
        self._queue.put(Job(work, answer))
        return await answer

    def watch(self, callback: Callable[[], None]) -> None:
        """Call it, in the loop, when another connection has committed."""
        self._watcher = callback

    async def close(self) -> None:
        """Everything queued is done first."""
        if not self._closed:
            self._closed = True
            self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    # --- In the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            connection = self._connect()
        except BaseException as error:  # noqa: BLE001  whatever it was, it is the opener's to handle
            self._wake([(self._opened, error)])
            return
        try:
            self._wake([(self._opened, None)])
            self._serve(connection)
        finally:
            connection.close()

    def _serve(self, connection: sqlite3.Connection) -> None:
        cursor = connection.cursor()
        seen = self._version(cursor)
        look_at = time.monotonic() + WATCH_SECONDS
        going = True
        while going:
            jobs: list[Job] = []
            try:
                job = self._queue.get(timeout=WATCH_SECONDS)
                while job is not None and len(jobs) < BATCH - 1:
                    jobs.append(job)
                    job = self._queue.get_nowait()
                if job is None:
                    going = False
                else:
                    jobs.append(job)
            except queue.Empty:
                pass
            if jobs:
                self._wake(self._together(connection, cursor, jobs))
            if self._watcher and (not jobs or time.monotonic() >= look_at):
                look_at = time.monotonic() + WATCH_SECONDS
                if (now := self._version(cursor)) != seen:
                    seen = now
                    self._loop.call_soon_threadsafe(self._watcher)

    @staticmethod
    def _version(cursor: sqlite3.Cursor) -> int:
        version: int = cursor.execute("PRAGMA data_version").fetchone()[0]
        return version

    def _together(self, connection: sqlite3.Connection, cursor: sqlite3.Cursor, jobs: list[Job]) -> list[Outcome]:
        """One transaction for all of them."""
        if self._dead:
            return [(job.answer, self._closed_error()) for job in jobs]
        try:
            outcomes = self._transaction(cursor, jobs)
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.rollback()
            if _full(error):
                if len(jobs) > 1:
                    return [outcome for job in jobs for outcome in self._together(connection, cursor, [job])]
                full = StoreFullError("the disk is full", "free some space; nothing that was accepted is lost")
                full.__cause__ = error
                return [(jobs[0].answer, full)]
            if _code(error) & 0xFF == sqlite3.SQLITE_BUSY:
                busy = RetryableError("another process keeps the database locked", "close what has it open")
                busy.__cause__ = error
                return [(job.answer, busy) for job in jobs]
            self._dead = error
            self._die(str(error))
            return [(job.answer, self._closed_error()) for job in jobs]
        self.batches_n += 1
        return outcomes

    def _transaction(self, cursor: sqlite3.Cursor, jobs: list[Job]) -> list[Outcome]:
        """Raises sqlite3.Error when the transaction as a whole did not happen."""
        alone = len(jobs) == 1
        outcomes: list[Outcome] = []
        execute = cursor.execute
        keep = True
        execute("BEGIN IMMEDIATE")
        for work, answer in jobs:
            if not alone:
                execute("SAVEPOINT job")
            outcome: Any
            try:
                outcome = changes.apply(cursor, work) if type(work) is changes.Prepared else work(cursor)  # type: ignore[operator]
                keep = type(outcome) is not Refused and not (type(outcome) is Applied and outcome.known)
            except Exception as error:
                if isinstance(error, sqlite3.Error) and _whole(error):
                    raise
                outcome = error  # this job's own fault, such as a number too large: the others go on
                keep = False
            if not alone:
                if not keep:
                    execute("ROLLBACK TO job")
                execute("RELEASE job")
            outcomes.append((answer, outcome))
        execute("ROLLBACK" if alone and not keep else "COMMIT")
        return outcomes

    def _closed_error(self) -> RetryableError:
        error = RetryableError("the store is closed", "start signoff again")
        error.__cause__ = self._dead
        return error

    def _wake(self, outcomes: list[Outcome]) -> None:
        try:
            self._loop.call_soon_threadsafe(self._settle, outcomes)
        except RuntimeError:
            return  # the loop is closed: nobody waits any more, and the work is done all the same

    def _settle(self, outcomes: list[Outcome]) -> None:
        """In the loop: wake everyone whose work this was."""
        for answer, outcome in outcomes:
            if answer is not self._opened:
                self._room.release()
            if answer.done():
                continue  # its caller was cancelled
            if isinstance(outcome, BaseException):
                answer.set_exception(outcome)
            else:
                answer.set_result(outcome)


def _code(error: sqlite3.Error) -> int:
    """SQLite's extended code; 0 for an error that the driver made up itself."""
    return getattr(error, "sqlite_errorcode", 0)


def _full(error: sqlite3.Error) -> bool:
    return _code(error) in _FULL


def _whole(error: sqlite3.Error) -> bool:
    """The error is not one job's: the transaction is gone, or cannot be trusted."""
    return _full(error) or _code(error) & 0xFF in _FATAL
