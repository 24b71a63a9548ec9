"""A scripted day of work in a workspace of its own, played with kills, and what must be true of it in the end.

What counts is counted elsewhere: executions by the command itself, what people saw by their screen, both in files of
their own. The engine's records are then held against them.
"""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from agents import workspace
from core.adapters.sqlite.store import SqliteStore
from core.adapters.system import SystemClock
from core.model.inquiries import InquiryState, Kind
from core.model.views import Answer, InquiryCard, Trouble
from core.model.work import Heard
from core.rules.canonical import audit_hash
from tests.integration.kill.people import STREET, Errand, Records, Sent
from tests.integration.kill.runner import Plan
from tests.integration.kill.windows import MIXED, OFTEN, RANDOM, WINDOWS, lines_of

ROOT = Path(__file__).parents[3]
LOG = Path(".signoff", "logs", "signoff.jsonl")
LIFE_SECONDS_MAX = 60
"""A life that neither ends nor dies by then is stuck."""

DAY = (
    Errand(id="deploy", text="deploy the landing page", deploys=("deploy landing",)),
    Errand(id="which", text="which version of the landing page is live?", asks=0),
    Errand(id="deny", text="deploy the docs", manner="deny"),
    Errand(id="edit", text="publish the landing page", manner="edit", deploys=("deploy docs",)),
    Errand(id="ask", text="ask me whether red or blue"),
    Errand(id="meanwhile", text="put the docs online", manner="meanwhile", deploys=("deploy docs",)),
    Errand(id="cancel", text="deploy the landing page", manner="cancel"),
    Errand(id="refresh", text="refresh the servers", asks=0),
    Errand(id="late", text="deploy the docs", manner="late", deploys=("deploy docs",), maybe=True),
    Errand(
        id="both", text="write a headline to headline.txt; deploy the brochure", deploys=("deploy landing",), asks=2
    ),
)

SCRIPT = """#!/bin/sh
sleep 0.05
printf '%s %s %s\\n' "$SIGNOFF_ATTEMPT" "{name} $*" "$$" >>"{executions}"
sleep 0.05
echo "{name} $* is done"
"""
REFRESH = """  refresh:
    about: Refresh the servers' caches
    argv: [./refresh.sh]
    tier: internal
    effect: idempotent
    resource: caches
    says: Runs ./refresh.sh on this machine
policy:
"""


@dataclass(slots=True)
class Tally:
    """One row of the table."""

    kills: int = 0
    lost: list[str] = field(default_factory=list)
    repeated: list[str] = field(default_factory=list)
    resolved: list[str] = field(default_factory=list)  # lost, or resolved twice
    stuck: list[str] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)  # errors in the engine's own log
    reconciles: int = 0
    unknowable: int = 0  # kills after which nobody can know

    def add(self, other: Tally) -> None:
        self.kills += other.kills
        self.reconciles += other.reconciles
        self.unknowable += other.unknowable
        for mine, theirs in zip(self._faults(), other._faults(), strict=True):
            mine.extend(theirs)

    def _faults(self) -> tuple[list[str], ...]:
        return self.lost, self.repeated, self.resolved, self.stuck, self.broken

    @property
    def faults(self) -> list[str]:
        asked = [] if self.reconciles <= self.unknowable else [f"{self.reconciles} reconciles, {self.unknowable} due"]
        return [fault for faults in self._faults() for fault in faults] + asked

    def row(self, window: str) -> str:
        counts = (self.kills, *(len(faults) for faults in self._faults()), self.reconciles, self.unknowable)
        return f"{window:<30}" + "".join(f"{n:>10}" for n in counts)


HEAD = f"{'window':<30}" + "".join(
    f"{name:>10}" for name in ("kills", "lost", "repeated", "resolved", "stuck", "errors", "reconcile", "(allowed)")
)


class Day:
    """A workspace, what stands outside it, and the lives of the process that does the work."""

    def __init__(self, root: Path, seed: str, errands: tuple[Errand, ...] = DAY) -> None:
        self.workspace = root / "workspace"
        self.records = Records(root / "outside")
        self.records.root.mkdir(parents=True)
        self.chance = random.Random(seed)
        self.errands = errands
        self.stuck = False
        self._lives = 0
        self._make()

    def _make(self) -> None:
        workspace.init(self.workspace)
        manifest = self.workspace / "agents" / "team.yaml"
        text = manifest.read_text("utf-8").replace("role: owner}", f'role: owner, accounts: ["{STREET}:you"]}}')
        text = text.replace("commands: [deploy, status]", "commands: [deploy, status, refresh]")
        manifest.write_text(text.replace("policy:\n", REFRESH), "utf-8")
        for name in ("deploy", "status", "refresh"):
            script = self.workspace / f"{name}.sh"
            script.write_text(SCRIPT.format(name=name, executions=self.records.executions), "utf-8")
            script.chmod(0o755)

    def start(self, window: str = "", k: int = 0, **more: float) -> subprocess.Popen[str]:
        """One life of the process. Its errors go to a file of its own."""
        self._lives += 1
        plan = Plan(
            workspace=str(self.workspace),
            records=str(self.records.root),
            errands=self.errands,
            window=window,
            k=k,
            **more,
        )
        file = self.records.root / f"plan-{self._lives}.json"
        file.write_bytes(msgspec.json.encode(plan))
        with file.with_suffix(".err").open("w") as errors:
            return subprocess.Popen(
                [sys.executable, "-m", "tests.integration.kill.runner", str(file)],
                cwd=ROOT,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def live(self, window: str = "") -> bool:
        """Live until the kill or the end. Whether it was killed. Raises AssertionError for any other end."""
        if window == MIXED:
            window = self.chance.choice(WINDOWS)
        k = self.chance.randint(1, OFTEN.get(window, 1))
        process = self.start(window if window != RANDOM else "", k)
        with process:
            try:
                if window == RANDOM:
                    self._kill(process)
                code = process.wait(LIFE_SECONDS_MAX)
            except subprocess.TimeoutExpired:
                process.kill()
                self.stuck = True
                return False
        errors = (self.records.root / f"plan-{self._lives}.err").read_text()
        assert code in {0, -signal.SIGKILL}, f"life {self._lives} ended with {code}: {errors}"
        assert not errors, errors
        return code == -signal.SIGKILL

    def _kill(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(self.chance.uniform(0, 1))
        process.kill()

    def play(self, window: str, kills_max: int) -> Tally:
        """The whole day, killed in this window up to so many times, and verified."""
        tally = Tally()
        while tally.kills < kills_max and self.live(window):
            tally.kills += 1
        if tally.kills == kills_max:
            self.live()
        tally.unknowable = sum(kill["window"] == "engine-and-supervisor" for kill in self.records.killed())
        asyncio.run(self._verify(tally))
        if self.stuck:
            tally.stuck.append(f"life {self._lives} did not end in {LIFE_SECONDS_MAX} s")
        return tally

    # --- What must hold ---------------------------------------------------------------------------------------------

    async def _verify(self, tally: Tally) -> None:
        store = await SqliteStore.open(self.workspace / ".signoff" / "signoff.db", SystemClock())
        try:
            rows = await store.read.tasks(limit=10_000)
            tally.stuck += [f"{row.task.id} {row.task.role} is {row.state}" for row in rows if not row.task.phase.final]
            roots = {row.task.id: row.task.root for row in rows}
            tally.lost += await self._lost(store, set(roots.values()))
            tally.repeated += self._repeated(roots)
            tally.resolved += await self._resolved(store)
            tally.resolved += await _broken_chain(store)
            tally.broken += [line for line in lines_of(self.workspace / LOG) if '"level":"error"' in line]
            asked = await store.read.inquiries(active_only=False, limit=10_000)
            tally.reconciles = sum(inquiry.kind is Kind.RECONCILE for inquiry in asked)
        finally:
            await store.close()

    async def _lost(self, store: SqliteStore, roots: set[str]) -> list[str]:
        """Every message started its one task, was heard by it once, and its answer was shown once."""
        wrong = [f"unknown task {root}" for root in roots - {e.task for e in self.errands}]
        times = Counter(sent.post.id for sent in self.records.sent())
        wrong += [f"post {post} was shown {n} times" for post, n in times.items() if n > 1]
        for errand in self.errands:
            shown = [
                sent
                for sent in self.records.sent()
                if isinstance(sent.post.view, Answer | Trouble) and sent.post.conversation == errand.conversation
            ]
            if await store.read.task(errand.task) is None:
                wrong.append(f"{errand.id} is unknown")
            if len(shown) != 1:
                wrong.append(f"{errand.id} was answered {len(shown)} times")
            if not errand.maybe and errand.deploys and not any(_tells(sent.post.view, errand) for sent in shown):
                wrong.append(f"{errand.id} ran, and the answer does not say so: {shown}")
            heard = [e for _, e in await store.read.journal(errand.task) if isinstance(e, Heard)]
            if len(heard) != (errand.manner == "meanwhile"):
                wrong.append(f"{errand.id} heard {len(heard)} words meanwhile")
        return wrong

    def _repeated(self, roots: dict[str, str]) -> list[str]:
        """By the command's own count: no attempt twice, and of what was approved each once."""
        executed = self.records.executed()
        wrong = [f"{attempt} ran {n} times" for attempt, n in Counter(a for a, _ in executed).items() if n > 1]
        for errand in self.errands:
            mine = [(a, line) for a, line in executed if roots[a.partition(":")[0]] == errand.task]
            deploys = tuple(line for _, line in mine if line.startswith("deploy "))
            if deploys != errand.deploys and not (errand.maybe and not deploys):
                wrong.append(f"{errand.id} ran {deploys}, not {errand.deploys}")
            if not errand.asks and not mine:
                wrong.append(f"{errand.id} ran nothing")
        return wrong

    async def _resolved(self, store: SqliteStore) -> list[str]:
        """Everything asked on a screen is one row, ended once; its task heard of it once; its grant was used once."""
        wrong: list[str] = []
        shown = {s.post.view.inquiry: s.post.conversation for s in self.records.sent() if _asks(s)}
        inquiries = {i.id: i for i in await store.read.inquiries(active_only=False, limit=10_000)}
        wrong += [f"{inquiry} was on screen and is gone" for inquiry in shown if inquiry not in inquiries]
        ends: Counter[str] = Counter()
        minted: Counter[str] = Counter()
        for sealed in await store.read.chain(limit=100_000):
            row = sealed.row
            if row.what == "inquiry.moved" and InquiryState(row.detail["state"]).final:
                ends[row.subject] += 1
            minted[row.subject] += row.what == "grant.minted"
        for errand in self.errands:
            asked = [i for i in inquiries.values() if i.conversation == errand.conversation]
            first = [i for i in asked if i.kind is not Kind.RECONCILE]
            if len(first) != errand.asks:
                wrong.append(f"{errand.id} asked {[i.id for i in first]}")
            for inquiry in asked:
                if not inquiry.state.final:
                    wrong.append(f"{inquiry.id} of {errand.id} is {inquiry.state}")
                revoked = errand.maybe and inquiry.state is InquiryState.CANCELLED
                if ends[inquiry.id] > 1 + revoked or minted[inquiry.id] > 1:
                    wrong.append(f"{inquiry.id} of {errand.id} ended {ends[inquiry.id]} times")
        return wrong


def _tells(view: object, errand: Errand) -> bool:
    """The command's own output reached the person who asked, or what another person saw of it did."""
    return isinstance(view, Answer) and (f": {errand.deploys[0]} is done" in view.text or "did happen" in view.text)


def _asks(sent: Sent) -> bool:
    return isinstance(sent.post.view, InquiryCard)


async def _broken_chain(store: SqliteStore) -> list[str]:
    previous, wrong = "", []
    for n, sealed in enumerate(await store.read.chain(limit=100_000), start=1):
        if (sealed.seq, sealed.previous, sealed.hash) != (n, previous, audit_hash(previous, n, sealed.row)):
            wrong.append(f"audit row {n} does not verify")
        previous = sealed.hash
    return wrong
