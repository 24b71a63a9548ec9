"""Open inquiries by the ten thousand: what the waiting costs a real process, beside one with nothing to wait for.

One request is driven by the engine until it waits for a person; its rows are then copied, each under ids of its own.
The audit chain is not copied: what it holds was sealed when it was written, and nothing waits in it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import statistics
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Final

from benchmarks.bench import Scale, place, remove
from benchmarks.process import Running, made
from benchmarks.report import Figure
from bots.app import House, Workspace
from core.rules.inbox import Wanted
from core.runtime import inbox

SETTLE_SECONDS: Final = 3.0
PAGES_N: Final = 20
READER: Final = "you"
REQUEST: Final = "@devops deploy the landing page"


async def measure(scale: Scale) -> AsyncIterator[Figure]:
    """The difference between two processes, one of which has `scale.inquiries` inquiries open."""
    folder = place("inquiries")
    try:
        workspace = made(folder)
        empty_mb, empty_cpu, empty_ms, _ = _look(workspace, scale)
        with Running(workspace) as child:
            child.ready()
            child.say(REQUEST)
            child.until("decide")
            await asyncio.sleep(SETTLE_SECONDS)
        open_n = multiply(workspace / ".signoff" / "signoff.db", scale.inquiries)
        full_mb, full_cpu, full_ms, early = _look(workspace, scale)
        pages_ms = await _pages(workspace, open_n)
    finally:
        remove(folder)
    many = f"{open_n:,} open"
    yield Figure(
        key="inquiries-memory", value=full_mb - empty_mb, note=f"{many}; {full_mb:.0f} MB beside {empty_mb:.0f}"
    )
    cpu_note = f"{many}; {full_cpu:.1f} % beside {empty_cpu:.1f}; right after the start {early:.0f} %"
    yield Figure(key="inquiries-cpu", value=max(0.0, full_cpu - empty_cpu), note=cpu_note)
    yield Figure(key="inquiries-ready", value=full_ms, note=f"{many}; {empty_ms:.0f} ms with none")
    page_note = f"{many}, all of them the reader's; median of {PAGES_N}, {max(pages_ms):.1f} ms at most"
    yield Figure(key="inbox-page", value=statistics.median(pages_ms), note=page_note)


def _look(workspace: Path, scale: Scale) -> tuple[float, float, float, float]:
    """Memory, CPU when it has settled, milliseconds to ready, CPU before it had settled."""
    with Running(workspace) as child:
        ready_ms = child.ready()
        early = child.cpu_percent(SETTLE_SECONDS)
        for _ in range(10):  # a start may have things to draw; idle is what comes after
            if child.cpu_percent(1.0) < 5:
                break
        cpu = child.cpu_percent(scale.idle_seconds)
        return child.memory_mb()[0], cpu, ready_ms, early


async def _pages(workspace: Path, open_n: int) -> list[float]:
    """Milliseconds for the first page of a person's inbox, read and drawn, again and again. The first is a cold one."""
    async with await House.open(Workspace(workspace), {}) as house:
        team, took_ms = house.teams.current(), []
        for _ in range(PAGES_N):
            begun = time.perf_counter()
            found = await inbox.page(house.store.read, team, Wanted(mine=True), READER)
            found.view(team, house.clock.now_ms())
            took_ms.append((time.perf_counter() - begun) * 1000)
            if found.total_n != open_n or len(found.inquiries) != inbox.SHOWN_MAX:
                raise RuntimeError(f"{found.total_n} of {open_n} wait for {READER}")
        return took_ms


def multiply(database: Path, copies: int) -> int:
    """Copy every task tree with an open inquiry until there are so many. Returns how many inquiries are active."""
    with closing(sqlite3.connect(database, isolation_level=None)) as connection:
        run = connection.execute
        run("PRAGMA synchronous = OFF")
        run("PRAGMA cache_size = -200000")
        tables = [name for (name,) in run("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()]
        inquiry, root = run("SELECT id, root FROM inquiries WHERE active = 1").fetchone()
        ids = [name for (name,) in run("SELECT id FROM tasks WHERE root = ?", (root,)).fetchall()]
        posts = [name for (name,) in run("SELECT id FROM posts WHERE conversation IN (SELECT conversation FROM tasks"
                                         " WHERE id = ?)", (root,)).fetchall()]  # fmt: skip
        (talk,) = run("SELECT conversation FROM tasks WHERE id = ?", (root,)).fetchone()
        names = [inquiry, *ids, *posts]
        run("BEGIN")
        run("CREATE TEMP TABLE copy (n INTEGER PRIMARY KEY)")
        run("WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < ?) INSERT INTO copy"
            " SELECT n FROM c", (copies - 1,))  # fmt: skip
        for table in ("tasks", "entries", "effects", "signals", "inquiries", "deliveries", "posts"):
            if table in tables:
                _copy(connection, table, names, talk)
        # Who decides is told of a row by its number, which the copies have got by now.
        run("INSERT INTO deciders (person, inquiry, voted, overdue, tier)"
            " SELECT d.person, i.seq, d.voted, d.overdue, d.tier FROM inquiries AS i, deciders AS d"
            " WHERE i.active = 1 AND d.inquiry = (SELECT seq FROM inquiries WHERE id = ?) AND i.seq <> d.inquiry",
            (inquiry,))  # fmt: skip
        run("COMMIT")
        (active,) = run("SELECT count(*) FROM inquiries WHERE active = 1").fetchone()
        run("PRAGMA wal_checkpoint(TRUNCATE)")
        return int(active)


def _copy(connection: sqlite3.Connection, table: str, names: list[str], talk: str) -> None:
    """Every row that names one of these, with the last eight digits of each id counted up."""
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    made_of = []
    for _, column, kind, *_ in columns:
        if column in {"seq", "n"} and table != "entries":
            continue
        if kind == "INTEGER":
            made_of.append((column, f"old.{column}"))
            continue
        text = f"CAST(old.{column} AS TEXT)"
        for name in names:
            text = f"replace({text}, '{name}', '{name[:6]}' || printf('%08x', copy.n))"
        text = f"replace({text}, '{talk}', '{talk}' || copy.n)"
        if column == "nonce_hash":
            text = f"old.{column} || copy.n"
        made_of.append((column, f"CAST({text} AS {kind})" if kind == "BLOB" else text))
    into = ", ".join(column for column, _ in made_of)
    values = ", ".join(value for _, value in made_of)
    key = {"entries": "task", "deliveries": "inquiry"}.get(table, "id")
    if table in {"effects", "signals"}:
        key = "task"
    found = " OR ".join(f"{key} = '{name}' OR {key} LIKE '{name}:%'" for name in names)
    connection.execute(  # our own names only
        f"INSERT INTO {table} ({into}) SELECT {values} FROM (SELECT * FROM {table} WHERE {found}) AS old JOIN copy"  # noqa: S608
    )
