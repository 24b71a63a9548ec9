"""The bot as its users start it: a process of its own in a workspace of its own, killed and started again at will."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path

from agents import workspace
from tests.fakes.service import Service

ROOT = Path(__file__).parents[3]
START_SECONDS = 30
LEAVE_SECONDS = 10
LOOK_SECONDS = 0.005
SECRETS = ("_TOKEN", "_API_KEY", "_API_URL", "_BASE_URL", "_SIGNING_SECRET")
TROUBLE = ("Traceback", "was never retrieved", "was destroyed", "never awaited", "ResourceWarning")
LOUD = ("second-poller",)
"""Errors that are somebody else's, and are to be told as such."""
DEPLOY = """#!/bin/sh
printf '%s %s\\n' "$SIGNOFF_ATTEMPT" "$*" >>"{file}"
echo "$1 is live"
"""


class Bot:
    """One workspace and the lives of the process in it."""

    def __init__(self, service: Service, folder: Path, environ: Mapping[str, str], team: str = "signoff") -> None:
        self.service = service
        self.workspace = folder / "workspace"
        self.executions = folder / "executions"
        self._more = dict(environ)
        self._process: subprocess.Popen[bytes] | None = None
        self._output = folder / "output"
        self._make(team)

    def _make(self, team: str) -> None:
        """A team of three; the owner and a second person, who may approve, are known by their accounts."""
        workspace.init(self.workspace)
        name, you, ana = self.service.name, self.service.owner.id, self.service.second.id
        people = (
            f'  - {{id: you, name: You, role: owner, accounts: ["{name}:{you}"]}}\n'
            f'  - {{id: ana, name: Ana, role: approver, accounts: ["{name}:{ana}"]}}'
        )
        manifest = self.workspace / "agents" / "team.yaml"
        text = manifest.read_text("utf-8").replace("  - {id: you, name: You, role: owner}", people)
        text = text.replace("  name: signoff\n", f"  name: {team}\n")
        text = re.sub(r"day: \{[^}]*\}", "day: {tokens: 90000000, usd: 900.00}", text)
        head, found, tail = text.partition("    tier: infrastructure\n    effect: once\n")
        assert found
        manifest.write_text(f"{head}    tier: external\n    effect: once\n{tail}", "utf-8")
        script = self.workspace / "deploy.sh"
        script.write_text(DEPLOY.format(file=self.executions), "utf-8")
        script.chmod(0o755)

    # --- Life -------------------------------------------------------------------------------------------------------

    async def start(self, *, wait: bool = True) -> None:
        """Return when the service has it connected. Fails with what it printed if it ends before that."""
        environ = {name: value for name, value in os.environ.items() if not name.endswith(SECRETS)}
        environ |= {"PYTHONUNBUFFERED": "1", **self._more, **self.service.environ()}
        asked_n = len(self.service.journal.lines("request"))
        with self._output.open("ab") as output:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - killed at an instant of ours, waited for by poll
                [sys.executable, "-m", "bots", "--workspace", str(self.workspace), "run"],
                cwd=ROOT,
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if wait:
            await self.connected(asked_n)

    async def connected(self, asked_n: int = 0) -> None:
        """Since it has asked for something, and receives."""
        try:
            async with asyncio.timeout(START_SECONDS):
                while len(self.service.journal.lines("request")) <= asked_n:
                    self._alive()
                    await asyncio.sleep(LOOK_SECONDS)
                await self.service.connected()
        except TimeoutError:
            raise AssertionError(f"not connected in {START_SECONDS} s:\n{self.output()}") from None

    def _alive(self) -> None:
        assert self._process is not None
        code = self._process.poll()
        assert code is None, f"the bot ended with {code}:\n{self.output()}"

    @property
    def dead(self) -> bool:
        return self._process is None or self._process.poll() is not None

    async def kill(self, window: str = "") -> None:
        """SIGKILL, now. What stood in the way of the next life (a closed socket, mostly) is seen before it begins."""
        assert self._process is not None
        self._alive()
        self._process.kill()
        self._process.wait()
        self.service.journal.note("killed", window)
        await asyncio.sleep(0.1)

    async def stop(self) -> int:
        """SIGTERM. The exit code."""
        if self._process is None or self._process.poll() is not None:
            return 0
        self._process.send_signal(signal.SIGTERM)
        try:
            return await asyncio.to_thread(self._process.wait, LEAVE_SECONDS)
        finally:
            self._process.kill()
            self._process.wait()

    def output(self) -> str:
        """All that was printed, by every life."""
        return self._output.read_text("utf-8", "replace") if self._output.is_file() else ""

    def troubles(self) -> list[str]:
        """What no life may print or log: traces, leaks, errors that are ours."""
        log = self.workspace / ".signoff" / "logs" / "signoff.jsonl"
        logged = log.read_text("utf-8").splitlines() if log.is_file() else []
        wrong = [line for line in logged if '"level":"error"' in line and not any(word in line for word in LOUD)]
        return wrong + [line for line in self.output().splitlines() if any(word in line for word in TROUBLE)]

    @property
    def pid(self) -> int:
        """Of the life that goes on."""
        assert self._process is not None
        return self._process.pid

    # --- What it did ------------------------------------------------------------------------------------------------

    def deployed(self) -> list[str]:
        """Every run of the deploy script, by its own word: attempt and arguments."""
        return self.executions.read_text("utf-8").splitlines() if self.executions.is_file() else []

    @property
    def database(self) -> Path:
        return self.workspace / ".signoff" / "signoff.db"

    def events_n(self) -> int:
        """How many events are committed."""
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT count(*) FROM events").fetchone()[0])

    def sending_n(self) -> int:
        """How many messages are not sent, or not known to be."""
        query = "SELECT count(*) FROM posts WHERE state IN ('queued', 'sending')"
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            return int(connection.execute(query).fetchone()[0])

    def notes(self) -> Counter[tuple[str, str]]:
        """Of how many events each private line is the answer, by its reader's id and its text."""
        query = "SELECT json_extract(CAST(body AS TEXT), '$.view') FROM posts"
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            views = [json.loads(row[0]) for row in connection.execute(query)]
        private = [view for view in views if view.get("private") and view.get("event")]
        said = {(view["event"], view["to"], view["text"]) for view in private}
        return Counter((to.partition(":")[2], text) for _, to, text in said)

    def state(self) -> str:
        """For a failure's message: what was printed and logged last, and what waits to be sent."""
        query = "SELECT seq, slot, state, attempt_n, part, receipt, error FROM posts ORDER BY seq DESC LIMIT 6"
        with closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as connection:
            posts = [" ".join(map(str, row)) for row in connection.execute(query)]
        log = self.workspace / ".signoff" / "logs" / "signoff.jsonl"
        logged = log.read_text("utf-8").splitlines()[-6:] if log.is_file() else []
        return "\n".join(["--- printed:", *self.output().splitlines()[-6:], "--- posts:", *posts, "--- log:", *logged])

    @contextmanager
    def stuck(self) -> Iterator[None]:
        """Nothing can be committed for a while: somebody else writes."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            finally:
                connection.execute("ROLLBACK")
