"""The anchors: the rows and indexes of one durable step in hand-written SQL, as fast as Python's sqlite3 writes them.

The bodies are those of a step the engine has really committed; the schema and its settings are the store's own.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Final

import msgspec

from benchmarks.bench import place, remove
from core.adapters.sqlite import migrate
from core.model import unit as u

TASKS: Final = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Blobs:
    """What one durable step writes, encoded."""

    task: bytes
    entries: tuple[bytes, ...]
    effect: bytes


def blobs_of(unit: u.Unit) -> Blobs:
    """Raises ValueError when a step no longer is what the statements below write."""
    made = sorted(type(change).__name__ for change in unit.changes if not isinstance(change, u.AddEntry))
    if made != ["AddEffect", "EndEffect", "PutTask", "Reserve", "Settle"]:
        raise ValueError(f"a step now writes {made}: bring the raw statements up to date")
    task = next(change.task for change in unit.changes if isinstance(change, u.PutTask))
    effect = next(change.effect for change in unit.changes if isinstance(change, u.AddEffect))
    entries = tuple(change.entry for change in unit.changes if isinstance(change, u.AddEntry))
    encode = msgspec.json.encode
    return Blobs(task=encode(task), entries=tuple(encode(entry) for entry in entries), effect=encode(effect))


@contextmanager
def opened(blobs: Blobs) -> Iterator[Raw]:
    """A database of the store's own schema and settings, with 64 tasks in it."""
    folder = place("raw")
    try:
        with closing(migrate.connect(folder / "raw.db", now_ms=0)) as connection:
            raw = Raw(connection, blobs)
            raw.write(TASKS)  # warm
            yield raw
    finally:
        remove(folder)


class Raw:
    """Writes steps."""

    def __init__(self, connection: sqlite3.Connection, blobs: Blobs) -> None:
        self._cursor = connection.cursor()
        self._blobs = blobs
        self._versions = [1] * TASKS
        run = self._cursor.execute
        run("BEGIN IMMEDIATE")
        run("INSERT INTO budgets (scope) VALUES ('bench')")
        for n in range(TASKS):
            task = f"t-{n:012x}"
            columns = (task, task, f"/{task}/", "bench", f"bench/a/{n}/", "working", 1, 1, blobs.task)
            run(
                "INSERT INTO tasks (id, root, path, role, conversation, phase, open, version, body)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                columns,
            )
            self._effect(task, 1)
        run("COMMIT")

    def _effect(self, task: str, version: int) -> None:
        head = (f"{task}:{version}:e0", task, "bench", "started", 1, 1, "1:1", 0, 1, 0, self._blobs.effect)
        self._cursor.execute(
            "INSERT INTO effects (id, task, role, state, fence, attempt_n, holder, lease_until_ms, boot,"
            " not_before_ms, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            head,
        )
        self._cursor.execute(
            "INSERT INTO reservations (id, scope, tokens, microusd) VALUES (?, 'bench', 9000, 100)", (head[0],)
        )

    def rate(self, batch: int, commits: int) -> float:
        """Units a second, `batch` of them a commit."""
        begun = time.perf_counter()
        for _ in range(commits):
            self.write(batch)
        return batch * commits / (time.perf_counter() - begun)

    def write(self, tasks: int) -> None:
        """The next step of each of the first so many tasks, in one transaction."""
        run = self._cursor.execute
        run("BEGIN IMMEDIATE")
        for n in range(tasks):
            version = self._versions[n]
            task, ended = f"t-{n:012x}", f"t-{n:012x}:{version}:e0"
            new = (version + 1, "working", self._blobs.task, task, version)
            run("UPDATE tasks SET version = ?, phase = ?, body = ? WHERE id = ? AND version = ?", new)
            for k, entry in enumerate(self._blobs.entries):
                place_of = version * len(self._blobs.entries) + k
                run("INSERT INTO entries (task, n, body) VALUES (?, ?, ?)", (task, place_of, entry))
            run("UPDATE effects SET state = 'ended' WHERE id = ? AND fence = 1 AND state = 'started'", (ended,))
            run("UPDATE reservations SET settled = 1 WHERE id = ? AND scope = 'bench'", (ended,))
            self._effect(task, version + 1)
            run(
                "UPDATE budgets SET tokens = tokens + 110, microusd = microusd + 1,"
                " reserved_tokens = reserved_tokens + 0, reserved_microusd = reserved_microusd + 0"
                " WHERE scope = 'bench' AND tokens + reserved_tokens + 9000 <= 1000000000000"
            )
            self._versions[n] = version + 1
        run("COMMIT")
