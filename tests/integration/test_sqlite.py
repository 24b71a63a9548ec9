"""What SQLite and the operating system do to the store: kills, full disks, damaged files, other processes."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from core.adapters.sqlite import lock, migrate
from core.adapters.sqlite.store import SqliteStore
from core.model import unit as u
from core.model.errors import EngineRunningError, RetryableError, StoreFullError, StoreRefusedError
from core.model.inquiries import InquiryState
from core.model.team import Tier
from tests.conformance import store_cases as make

ROOT = Path(__file__).parents[2]


@pytest.fixture
def clock():
    return make.TurnedClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "signoff.db"


@pytest.fixture
async def store(path, clock):
    opened = await SqliteStore.open(path, clock)
    yield opened
    await opened.close()


def entry(n, text="x", of="t-1"):
    return u.Unit(changes=(u.AddEntry(task=of, n=n, entry=make.entry(text)),))


async def refusal(path, clock, **more):
    with pytest.raises(StoreRefusedError) as caught:
        await SqliteStore.open(path, clock, **more)
    assert "\n" not in str(caught.value)
    assert caught.value.remedy
    return str(caught.value)


def child(script, *arguments):
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


# --- Kills and disks ------------------------------------------------------------------------------------------------

COMMITTER = """
import asyncio, pathlib, sys
from core.adapters.sqlite.store import SqliteStore
from core.adapters.system import SystemClock
from core.model import unit as u
from tests.conformance import store_cases as make

async def main(path, of):
    store = await SqliteStore.open(pathlib.Path(path), SystemClock())
    async def one(lane):
        for n in range(lane, 10**9, 8):
            entry = u.AddEntry(task=of, n=n, entry=make.entry())
            await store.commit(u.Unit(changes=(entry, u.SetMeta(name=f"{of}:{n}", value="x"))))
            print(n, flush=True)
    async with asyncio.TaskGroup() as group:
        for lane in range(8):
            group.create_task(one(lane))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.proof
@pytest.mark.timeout(60)
async def test_what_was_acknowledged_survives_kill_9(path, clock):
    for life in range(4):
        with child(COMMITTER, path, f"t-{life}") as process:
            acked = {int(process.stdout.readline()) for _ in range(40 + 17 * life)}
            process.send_signal(signal.SIGKILL)
            acked |= {int(line) for line in process.stdout.read().split("\n")[:-1]}
        store = await SqliteStore.open(path, clock)
        kept = {n for n, _ in await store.read.journal(f"t-{life}")}
        assert acked <= kept
        for n in kept:  # whole units, never halves
            assert await store.read.meta(f"t-{life}:{n}") == "x"
        await store.close()
    migrate.verify(path)


async def test_a_full_disk_refuses_and_loses_nothing(store):
    def limit(cursor):
        pages = cursor.execute("PRAGMA page_count").fetchone()[0]
        cursor.execute(f"PRAGMA max_page_count = {pages + 20}")

    await store._writer.do(limit)
    accepted = []
    for start in range(0, 400, 40):
        batch = range(start, start + 40)
        answers = await asyncio.gather(*(store.commit(entry(n, "x" * 1500)) for n in batch), return_exceptions=True)
        accepted += [n for n, answer in zip(batch, answers, strict=True) if answer == u.Applied()]
        assert all(answer == u.Applied() or isinstance(answer, StoreFullError) for answer in answers)
    assert 0 < len(accepted) < 400
    with pytest.raises(StoreFullError, match="the disk is full: free some space"):
        await store.commit(u.Unit(changes=(u.AddEvent(event=make.event(text="x" * 100_000)),)))
    assert [n for n, _ in await store.read.journal("t-1")] == accepted

    await store._writer.do(lambda cursor: cursor.execute("PRAGMA max_page_count = 1073741823").fetchall())
    assert await store.commit(u.Unit(changes=(u.AddEvent(event=make.event()),))) == u.Applied()
    assert [n for n, _ in await store.read.journal("t-1")] == accepted


def failing_fsync(_):
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
    raise error


async def test_a_failed_fsync_ends_the_store(path, clock):
    died = []
    store = await SqliteStore.open(path, clock, die=died.append)
    with pytest.raises(RetryableError, match="closed"):
        await store._writer.do(failing_fsync)
    with pytest.raises(RetryableError, match="closed"):
        await store.commit(entry(1))
    assert died == ["disk I/O error"]
    await store.close()


def test_a_failed_fsync_ends_the_process(path):
    script = """
import asyncio, pathlib, sys
from core.adapters.sqlite.store import SqliteStore
from core.adapters.system import SystemClock
from tests.integration.test_sqlite import failing_fsync
async def main():
    store = await SqliteStore.open(pathlib.Path(sys.argv[1]), SystemClock())
    await store._writer.do(failing_fsync)
asyncio.run(main())
"""
    with child(script, path) as process:
        _, err = process.communicate()
    assert process.returncode == 74
    assert err.count("\n") == 1
    assert "check the disk" in err


async def test_one_jobs_own_fault_leaves_the_others_alone(store):
    too_large = u.Unit(changes=(u.SetMeta(name="leak", value="x"), u.AddEntry(task="t", n=2**70, entry=make.entry())))
    bad, good = await asyncio.gather(store.commit(too_large), store.commit(entry(1)), return_exceptions=True)
    assert isinstance(bad, OverflowError)
    assert good == u.Applied()
    with pytest.raises(OverflowError):
        await store.commit(too_large)
    assert await store.read.meta("leak") is None


# --- The writer -----------------------------------------------------------------------------------------------------


async def test_what_waits_is_committed_together(store):
    before = store.batches_n
    answers = await asyncio.gather(*(store.commit(entry(n)) for n in range(500)))
    assert set(answers) == {u.Applied()}
    assert store.batches_n - before < 100


async def test_backpressure_holds_but_loses_nobody(store):
    answers = await asyncio.gather(*(store.commit(entry(n)) for n in range(3000)))
    assert len(answers) == len(await store.read.journal("t-1")) == 3000


async def test_a_cancelled_awaiter_undoes_nothing(store):
    held = threading.Event()
    blocker = asyncio.ensure_future(store._writer.do(lambda _: held.wait(5)))
    waiting = asyncio.ensure_future(store.commit(entry(1)))
    await asyncio.sleep(0)
    waiting.cancel()
    held.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    await blocker
    assert await store.commit(entry(2)) == u.Applied()
    assert [n for n, _ in await store.read.journal("t-1")] == [1, 2]


async def test_a_database_locked_by_another_is_worth_a_retry(store, path):
    await store._writer.do(lambda cursor: cursor.execute("PRAGMA busy_timeout = 20").fetchall())
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(RetryableError, match="locked"):
            await store.commit(entry(1))
        other.execute("ROLLBACK")
    assert await store.commit(entry(1)) == u.Applied()


async def test_closing_finishes_what_is_queued(path, clock):
    store = await SqliteStore.open(path, clock)
    queued = [asyncio.ensure_future(store.commit(entry(n))) for n in range(50)]
    await asyncio.sleep(0)
    await store.close()
    await store.close()
    assert {await one for one in queued} == {u.Applied()}
    with pytest.raises(RetryableError, match="closed"):
        await store.commit(entry(99))


async def test_commits_of_others_are_noticed_and_ones_own_are_not(store, path, clock):
    noticed = asyncio.Event()
    store.watch(noticed.set)
    await store.commit(entry(1))
    await asyncio.sleep(0.6)
    assert not noticed.is_set()
    other = await SqliteStore.open(path, clock)
    await asyncio.sleep(0.6)
    noticed.clear()
    await other.commit(u.Unit(changes=(u.AddEvent(event=make.event()),)))
    async with asyncio.timeout(2):
        await noticed.wait()
    await other.close()
    assert len((await store.due(9))[0]) == 1


# --- Opening --------------------------------------------------------------------------------------------------------


async def test_a_newer_schema_is_refused(path, clock):
    await (await SqliteStore.open(path, clock)).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    assert "newer release (schema 99" in await refusal(path, clock)


async def test_a_file_that_is_no_database_is_refused_and_kept(path, clock):
    path.write_bytes(b"not a database at all " * 500)
    assert "is damaged" in await refusal(path, clock)
    assert path.read_bytes().startswith(b"not a database")


async def test_a_damaged_database_is_refused(path, clock):
    store = await SqliteStore.open(path, clock)
    for n in range(200):
        await store.commit(entry(n, "y" * 300))
    await store.close()
    raw = bytearray(path.read_bytes())
    for page in range(4096 * 3, len(raw), 4096):
        raw[page : page + 64] = b"\xff" * 64
    path.write_bytes(raw)
    message = await refusal(path, clock)
    assert "is damaged" in message
    assert "backup" in message
    with pytest.raises(StoreRefusedError, match="damaged"):
        migrate.verify(path)


async def test_a_missing_folder_is_refused(tmp_path, clock):
    assert "cannot be opened" in await refusal(tmp_path / "nowhere" / "s.db", clock)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
async def test_a_read_only_folder_is_refused(path, clock):
    path.parent.chmod(0o500)
    assert "cannot be opened for writing" in await refusal(path, clock)


async def test_a_backup_is_made_before_migrating(path, clock):
    (first,) = migrate.schema()[:1]
    store = await SqliteStore.open(path, clock, scripts=(first,))
    await store.commit(entry(1))
    await store.close()
    assert not (path.parent / "backups").exists()

    second = "-- more\nCREATE TABLE more (\n    x TEXT\n) STRICT;\nINSERT INTO more VALUES ('a;b');\n"
    store = await SqliteStore.open(path, clock, scripts=(first, second))
    assert await store.read.meta("schema") == "2"
    assert len(await store.read.journal("t-1")) == 1
    await store.close()
    (saved,) = (path.parent / "backups").iterdir()
    migrate.verify(saved)
    with closing(sqlite3.connect(saved)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (1,)
    assert "newer release (schema 2" in await refusal(path, clock, scripts=(first,))


async def test_what_an_earlier_release_left_can_be_filtered_and_searched(path, clock):
    """0002: its columns and tables are filled from what is there."""
    (first,) = migrate.schema()[:1]
    await (await SqliteStore.open(path, clock, scripts=(first,))).close()
    late = make.inquiry("i-1", people=(("ada",), ("bob",)), stage=1, overdue=True, tier=Tier.EXTERNAL)
    ended = make.inquiry("i-2", state=InquiryState.DENIED, ended=(7, ("ada",), "Too early"), why="For the site")
    over = make.inquiry("i-3", state=InquiryState.CANCELLED)
    with closing(sqlite3.connect(path)) as connection, connection:
        for one in (late, ended, over):
            body = msgspec.json.encode(one)
            columns = (one.id, one.root, one.state.value, not one.state.final, one.revision, one.version, body)
            connection.execute(
                "INSERT INTO inquiries (id, root, state, active, revision, version, body) VALUES (?, ?, ?, ?, ?, ?, ?)",
                columns,
            )
    store = await SqliteStore.open(path, clock)
    assert await store.read.waiting(person="bob", overdue=True, tier="external") == ((late,), 1)
    assert await store.read.waiting(person="ada") == ((), 0)
    assert await store.read.decisions(who="ada", what=("EARLY", "site")) == (ended,)
    assert await store.read.decisions() == (ended, over)
    await store.close()


async def test_a_migration_that_fails_changes_nothing(path, clock):
    (first,) = migrate.schema()[:1]
    await (await SqliteStore.open(path, clock, scripts=(first,))).close()
    await refusal(path, clock, scripts=(first, "CREATE TABLE fine (x TEXT);\nCREATE TABLE meta (x TEXT);\n"))
    store = await SqliteStore.open(path, clock, scripts=(first,))
    await store.commit(entry(1))
    await store.close()


async def test_two_may_open_a_new_database_at_once(path, clock):
    stores = await asyncio.gather(*(SqliteStore.open(path, clock) for _ in range(3)))
    for n, store in enumerate(stores):
        assert await store.commit(entry(n)) == u.Applied()
    for store in stores:
        await store.close()


# --- Backups --------------------------------------------------------------------------------------------------------


async def test_a_backup_of_a_database_in_use_can_be_restored(store, path, tmp_path):
    await store.commit(entry(1))
    saved = tmp_path / "elsewhere" / "copy.db"
    copying = asyncio.ensure_future(asyncio.to_thread(migrate.backup, path, saved))
    await asyncio.gather(copying, *(store.commit(entry(n)) for n in range(2, 50)))
    migrate.verify(saved)
    await store.commit(entry(99))
    await store.close()

    migrate.restore(saved, path)
    again = await SqliteStore.open(path, make.TurnedClock())
    kept = [n for n, _ in await again.read.journal("t-1")]
    await again.close()
    assert kept[0] == 1
    assert 99 not in kept
    with closing(sqlite3.connect(path.with_name("signoff.db.replaced"))) as old:
        assert old.execute("SELECT max(n) FROM entries").fetchone() == (99,)


def test_a_backup_of_nothing_is_refused_and_leaves_nothing(tmp_path):
    with pytest.raises(StoreRefusedError):
        migrate.backup(tmp_path / "none.db", tmp_path / "copy.db")
    with pytest.raises(StoreRefusedError):
        migrate.verify(tmp_path / "none.db")
    assert list(tmp_path.iterdir()) == []


# --- The engine lock ------------------------------------------------------------------------------------------------


def test_a_second_engine_is_refused_by_pid(tmp_path):
    with lock.EngineLock(tmp_path), pytest.raises(EngineRunningError, match=rf"pid {os.getpid()}\)"):
        lock.EngineLock(tmp_path).acquire()
    held = lock.EngineLock(tmp_path).acquire()
    held.release()
    held.release()


def test_a_lock_that_cannot_be_made_is_refused(tmp_path):
    with pytest.raises(StoreRefusedError, match="cannot be written"):
        lock.EngineLock(tmp_path / "nowhere").acquire()


def test_network_filesystems_are_refused(tmp_path, monkeypatch):
    mounts = [("/", "ext4"), (str(tmp_path), "nfs4"), (str(tmp_path / "disk"), "ext4")]
    assert lock.filesystem(tmp_path / "x", mounts) == "nfs4"
    assert lock.filesystem(tmp_path / "disk" / "x", mounts) == "ext4"
    assert lock.filesystem(tmp_path, []) == ""
    monkeypatch.setattr(lock, "_mounts", lambda: mounts)
    with pytest.raises(StoreRefusedError, match="network filesystem \\(nfs4\\)"):
        lock.EngineLock(tmp_path).acquire()


def test_what_mount_says_on_macos():
    shown = "/dev/disk1 on / (apfs, local)\nnas:/x on /Volumes/my disk (nfs, nodev)\nnonsense\n"
    assert lock.parse_mount(shown) == [("/", "apfs"), ("/Volumes/my disk", "nfs")]
