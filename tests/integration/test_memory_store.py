"""What is remembered in the real store: forgetting leaves no byte, and a platform without the index is refused."""

import sqlite3
from contextlib import closing

import pytest

from core.adapters.sqlite import migrate
from core.adapters.sqlite.store import SqliteStore
from core.model import unit as u
from core.model.errors import StoreRefusedError
from tests.conformance import store_cases as make

SECRET = "Xylophonquartz"


def bytes_of(folder):
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


@pytest.fixture
async def store(tmp_path):
    made = await SqliteStore.open(tmp_path / "s.db", make.TurnedClock())
    yield made
    await made.close()


async def test_what_is_forgotten_is_in_no_byte_of_the_files(store, tmp_path):
    for n in range(300):
        who, what = (("ana",), f"{SECRET} {n} is what ana said") if n % 7 == 0 else ((), f"Something else {n}")
        await store.commit(u.Unit(changes=(u.PutMemory(memory=make.memory(f"m-{n}", what, people=who)),)))
    await store.commit(u.Unit(changes=(u.SupersedeMemory(id="m-7", by="m-8"),)))
    assert migrate.settle(tmp_path / "s.db")
    found = bytes_of(tmp_path)
    assert SECRET.encode() in found
    assert SECRET.lower().encode() in found  # the words it was found by
    await store.commit(u.Unit(changes=(u.ForgetMemories(person="ana"),)))
    assert migrate.settle(tmp_path / "s.db")
    found = bytes_of(tmp_path)
    assert SECRET.encode() not in found
    assert SECRET.lower().encode() not in found
    assert b"Something else 299" in found
    with closing(sqlite3.connect(tmp_path / "s.db")) as connection:
        assert connection.execute("SELECT count(*) FROM memory_words").fetchone() == (257,)
        connection.execute("INSERT INTO memory_words (memory_words) VALUES ('integrity-check')")
    migrate.verify(tmp_path / "s.db")


async def test_rows_and_words_are_kept_by_one_unit(store):
    taken = u.Version(table=u.Table.TASK, id="t", version=7)
    answer = await store.commit(u.Unit(guards=(), changes=(u.PutMemory(memory=make.memory()), _refused())))
    assert isinstance(answer, u.Refused)
    assert await store.read.memories_found(("tuesdays",), (make.DEV,), make.CLEARED, 9) == ()
    assert isinstance(await store.commit(u.Unit(guards=(taken,), changes=())), u.Refused)


def _refused():
    return u.UseGrant(id="nobody", used_n=1)


def test_a_sqlite_without_the_index_is_refused_in_a_line():
    with closing(sqlite3.connect(":memory:")) as connection:
        migrate.require(connection, "fts5")
        with pytest.raises(StoreRefusedError, match="built without fts9: use a Python"):
            migrate.require(connection, "fts9")


async def test_somebody_who_reads_keeps_the_log(store, tmp_path, monkeypatch):
    monkeypatch.setattr(migrate, "BUSY_MS", 10)
    with closing(sqlite3.connect(tmp_path / "s.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM memories").fetchone()
        await store.commit(u.Unit(changes=(u.PutMemory(memory=make.memory()),)))
        assert not migrate.settle(tmp_path / "s.db")
    assert migrate.settle(tmp_path / "s.db")


async def test_a_database_of_the_release_before_gets_its_tables(tmp_path):
    path = tmp_path / "old.db"
    old = await SqliteStore.open(path, make.TurnedClock(), scripts=migrate.schema()[:2])
    await old.close()
    new = await SqliteStore.open(path, make.TurnedClock())
    await new.commit(u.Unit(changes=(u.PutMemory(memory=make.memory()),)))
    assert await new.read.memories((make.DEV,)) == (make.memory(),)
    await new.close()


def test_settling_what_is_no_database_is_refused(tmp_path):
    path = tmp_path / "x.db"
    path.write_text("nothing of the kind, and long enough to be read as one" * 50)
    with pytest.raises(StoreRefusedError):
        migrate.settle(path)
