"""Opening the database: its settings, its schema, and every reason to refuse it, each in one line with its remedy.

The schema's version is in PRAGMA user_version (and, for people, in meta). Before an older database is migrated it is
backed up beside itself. A newer one is refused: an older release must not guess.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from importlib import resources
from pathlib import Path
from typing import Final

from core.adapters.sqlite import lock
from core.model.errors import StoreRefusedError

BUSY_MS: Final = 10_000
CHECK_BYTES_MAX: Final = 64 * 1024 * 1024
"""A larger file is checked in full by `verify` and before a migration, not at every start."""

_CANNOT_OPEN: Final = frozenset({sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM})


def schema() -> tuple[str, ...]:
    """The scripts, in order; the n-th makes version n."""
    folder = resources.files("core.adapters.sqlite") / "schema"
    found = sorted((item for item in folder.iterdir() if item.name.endswith(".sql")), key=lambda item: item.name)
    return tuple(item.read_text("utf-8") for item in found)


def connect(
    path: Path, *, now_ms: int, synchronous: str = "FULL", scripts: tuple[str, ...] | None = None
) -> sqlite3.Connection:
    """A writing connection to a database that is sound and of this release's schema. Raises StoreRefusedError."""
    lock.refuse_network(path.parent)
    connection: sqlite3.Connection | None = None
    try:
        connection = sqlite3.connect(path, isolation_level=None, timeout=BUSY_MS / 1000, cached_statements=512)
        _configure(connection, synchronous)
        require(connection, "fts5")
        _check(connection, path)
        _migrate(connection, path, now_ms, schema() if scripts is None else scripts)
    except sqlite3.Error as error:
        if connection is not None:
            connection.close()
        raise _refusal(path, error) from error
    except BaseException:
        if connection is not None:
            connection.close()
        raise
    return connection


def _configure(connection: sqlite3.Connection, synchronous: str) -> None:
    if synchronous not in {"FULL", "NORMAL", "OFF"}:
        raise ValueError(synchronous)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA synchronous = {synchronous}")
    connection.execute("PRAGMA fullfsync = ON")  # macOS only: without it a disk may lie about fsync
    connection.execute("PRAGMA checkpoint_fullfsync = ON")
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute("PRAGMA secure_delete = ON")  # what is forgotten is overwritten; most systems' default anyway


def require(connection: sqlite3.Connection, module: str) -> None:
    """A part of SQLite that can be left out when it is built is there. Raises StoreRefusedError."""
    if connection.execute("SELECT 1 FROM pragma_module_list WHERE name = ?", (module,)).fetchone() is None:
        raise StoreRefusedError(
            f"the SQLite {sqlite3.sqlite_version} of this Python was built without {module}",
            "use a Python whose SQLite has it: those of python.org, Debian and Homebrew do",
        )


def _check(connection: sqlite3.Connection, path: Path) -> None:
    if path.stat().st_size <= CHECK_BYTES_MAX:
        _quick_check(connection, path)


def _quick_check(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise _corrupt(path, str(found).splitlines()[0])


def _migrate(connection: sqlite3.Connection, path: Path, now_ms: int, scripts: tuple[str, ...]) -> None:
    version = _version(connection)
    if version > len(scripts):
        raise StoreRefusedError(
            f"{path} was written by a newer release (schema {version}, this one knows {len(scripts)})",
            "install that release, or restore a backup",
        )
    if version == len(scripts):
        return
    if version:
        _quick_check(connection, path)
        backup(path, path.parent / "backups" / f"{path.stem}-schema{version}-{now_ms}{path.suffix}")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for number in range(_version(connection), len(scripts)):
            for statement in _statements(scripts[number]):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number + 1}")
        connection.execute("INSERT OR REPLACE INTO meta (name, value) VALUES ('schema', ?)", (str(len(scripts)),))
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA user_version").fetchone()[0]
    return version


def _statements(script: str) -> Iterator[str]:
    """One by one, because executescript would commit what is under way."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def backup(path_from: Path, path_to: Path) -> None:
    """A whole copy of a database that may be in use meanwhile; it is checked, and only then takes its name. Raises
    StoreRefusedError, and leaves no half of one behind.
    """
    half = path_to.with_name(path_to.name + ".part")
    try:
        path_to.parent.mkdir(parents=True, exist_ok=True)
        half.unlink(missing_ok=True)
        with (
            closing(sqlite3.connect(f"{path_from.resolve().as_uri()}?mode=ro", uri=True)) as source,
            closing(sqlite3.connect(half)) as target,
        ):
            source.backup(target)
            target.execute("PRAGMA journal_mode = DELETE")
            _quick_check(target, half)
        half.replace(path_to)
    except sqlite3.Error as error:
        half.unlink(missing_ok=True)
        raise _refusal(path_from, error) from error
    except OSError as error:
        raise StoreRefusedError(f"{path_to} cannot be written ({error.strerror})", "name another place") from error


def settle(path: Path) -> bool:
    """Bring the write-ahead log into the file and empty it, so that what was deleted is in neither. False: somebody
    reads or writes at this moment, and the log goes as they go on.
    """
    try:
        with closing(sqlite3.connect(path, timeout=BUSY_MS / 1000)) as connection:
            busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise _refusal(path, error) from error
    return not busy


def verify(path: Path) -> None:
    """The whole file is sound: every page and every index. Raises StoreRefusedError."""
    try:
        with closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0]
    except sqlite3.Error as error:
        raise _refusal(path, error) from error
    if found != "ok":
        raise _corrupt(path, str(found).splitlines()[0])


def restore(path_from: Path, path_to: Path) -> None:
    """Put a verified backup in the place of a database that nobody has open (hold the engine lock). What was there is
    kept beside it, as `NAME.replaced`.
    """
    verify(path_from)
    for suffix in ("", "-wal", "-shm"):
        old = path_to.with_name(path_to.name + suffix)
        if old.exists():
            old.replace(path_to.with_name(f"{path_to.name}.replaced{suffix}"))
    backup(path_from, path_to)


def _corrupt(path: Path, found: str) -> StoreRefusedError:
    return StoreRefusedError(f"{path} is damaged ({found})", "restore a backup from the folder backups beside it")


def _refusal(path: Path, error: sqlite3.Error) -> StoreRefusedError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
        return _corrupt(path, str(error))
    if code in _CANNOT_OPEN:
        return StoreRefusedError(
            f"{path} cannot be opened for writing ({error})", "make its folder exist and writable, or name another one"
        )
    if code == sqlite3.SQLITE_FULL:
        return StoreRefusedError(f"{path} cannot be opened: the disk is full", "free some space, then start again")
    if code == sqlite3.SQLITE_BUSY:
        return StoreRefusedError(f"{path} is locked by another process", "close what has it open, then start again")
    return StoreRefusedError(f"{path} cannot be opened ({error})", "check the disk, or restore a backup")
