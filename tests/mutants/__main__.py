"""Apply each sabotage to a copy of the tree and see that its tests fail there: `python -m tests.mutants [NAME ...]`.

Law: a sabotage is killed when the tests that pass without it fail with it, and not because it is itself broken code.
Exits 0 only if every one of them is.
"""

from __future__ import annotations

import os
import queue
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from tests.mutants.edits import Sabotage
from tests.mutants.sabotages import SABOTAGES

ROOT = Path(__file__).resolve().parents[2]
WORKERS_N = 2
SECONDS_MAX = 60
WITHOUT = ("cacheprovider", "unraisableexception", "threadexception")
"""What sabotaged code leaves lying about must not end pytest before it has said which test failed."""
FAILED = 1  # pytest: tests were run and some failed; 2 to 5 mean that it could not run them
BROKEN = ("NameError", "SyntaxError", "IndentationError", "ImportError", "ModuleNotFoundError", "UnboundLocalError")
"""Not a broken promise but a broken sabotage."""
_FAILURE = re.compile(r"^(?:FAILED|ERROR) (\S+?)(?:\[.*?\])?(?: - (.*))?$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What became of one run. `good`: a sabotage was killed, or unsabotaged tests passed."""

    good: bool
    why: str
    seconds: float


class Copy:
    """A tree of one worker's own. Every write gets a time of its own, so that no stale bytecode is taken for it."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._writes_n = 0

    def run(self, tests: str) -> tuple[int, str]:
        """Pytest's exit code (-1 when it did not end in time) and what it printed."""
        without = (word for plugin in WITHOUT for word in ("-p", f"no:{plugin}"))
        command = (sys.executable, "-m", "pytest", "-x", "-q", *without, *shlex.split(tests))
        environment = {
            **os.environ,
            "COLUMNS": "500",  # a summary line is cut to it, and its reason is read
            "HYPOTHESIS_STORAGE_DIRECTORY": str(self._root),
            "PYTHONPATH": str(self._root),
        }
        try:
            ended = subprocess.run(
                command, cwd=self._root, env=environment, capture_output=True, text=True, timeout=SECONDS_MAX
            )
        except subprocess.TimeoutExpired:
            return -1, ""
        return ended.returncode, ended.stdout + ended.stderr

    @contextmanager
    def with_(self, sabotage: Sabotage) -> Iterator[None]:
        """The tree with the sabotage in it, and afterwards without."""
        files = {edit.file for edit in sabotage.edits}
        before = {file: (self._root / file).read_text("utf-8") for file in files}
        try:
            for file, text in sabotaged(sabotage, before).items():
                self._write(file, text)
            yield
        finally:
            for file, text in before.items():
                self._write(file, text)

    def _write(self, file: str, text: str) -> None:
        path = self._root / file
        path.write_text(text, "utf-8")
        self._writes_n += 1
        at = time.time() + self._writes_n
        os.utime(path, (at, at))


def sabotaged(sabotage: Sabotage, files: dict[str, str]) -> dict[str, str]:
    """The files' new texts. Raises ValueError when the sabotage no longer applies."""
    new = dict(files)
    for edit in sabotage.edits:
        n = new[edit.file].count(edit.old)
        if n != 1:
            raise ValueError(f"no longer applies: {edit.file} has it {n} times")
        new[edit.file] = new[edit.file].replace(edit.old, edit.new)
        compile(new[edit.file], edit.file, "exec", dont_inherit=True)
    return new


def together(selections: Iterable[str]) -> dict[str, str]:
    """By test file, one selection that has all of its: unsabotaged they are run once, not once each."""
    words: dict[str, set[str]] = {}
    for selection in selections:
        file, _, word = selection.partition(" -k ")
        words.setdefault(file, set()).add(word)
    return {
        file: file if "" in some else f"{file} -k {shlex.quote(' or '.join(sorted(some)))}"
        for file, some in words.items()
    }


def passes(tests: str, copy: Copy) -> Verdict:
    """Whether the tests pass as things are."""
    began = time.monotonic()
    code, printed = copy.run(tests)
    failure = _FAILURE.search(printed)
    why = "" if code == 0 else f"pytest exits {code}: {failure[0] if failure else printed.strip()[-200:]}"
    return Verdict(good=code == 0, why=why, seconds=time.monotonic() - began)


def kills(sabotage: Sabotage, copy: Copy) -> Verdict:
    """Whether its tests fail with it, and which did."""
    began = time.monotonic()
    verdict = partial(_verdict, began)
    try:
        with copy.with_(sabotage):
            code, printed = copy.run(sabotage.tests)
    except (ValueError, SyntaxError, OSError) as error:
        return verdict(good=False, why=str(error))
    failure = _FAILURE.search(printed)
    if code == 0:
        return verdict(good=False, why="SURVIVED")
    if code != FAILED or failure is None:
        return verdict(good=False, why=f"pytest exits {code}: {printed.strip()[-200:]!r}")
    test, reason = failure[1].rpartition("::")[2], failure[2] or ""
    if reason.startswith(BROKEN):
        return verdict(good=False, why=f"the sabotage is broken: {reason}")
    return verdict(good=True, why=test)


def _verdict(began: float, *, good: bool, why: str) -> Verdict:
    return Verdict(good=good, why=why, seconds=time.monotonic() - began)


# --- All of them ------------------------------------------------------------------------------------------------------


@contextmanager
def copies() -> Iterator[queue.SimpleQueue[Copy]]:
    """A copy of what is tracked, or would be, for every worker."""
    listed = subprocess.run(
        ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    free: queue.SimpleQueue[Copy] = queue.SimpleQueue()
    with tempfile.TemporaryDirectory(prefix="signoff-mutants-") as folder:
        for n in range(WORKERS_N):
            for name in filter(None, listed.split("\0")):
                if (ROOT / name).is_file():
                    target = Path(folder) / str(n) / name
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy2(ROOT / name, target)
            free.put(Copy(Path(folder) / str(n)))
        yield free


def main(names: Iterable[str]) -> int:
    """Those whose names contain one of `names`, or all."""
    wanted = tuple(names)
    chosen = [one for one in SABOTAGES if not wanted or any(name in one.name for name in wanted)]
    selections = together(one.tests for one in chosen)
    began = time.monotonic()
    with copies() as free, ThreadPoolExecutor(WORKERS_N) as pool:

        def in_a_copy(work: Callable[[Copy], Verdict]) -> Verdict:
            copy = free.get()
            try:
                return work(copy)
            finally:
                free.put(copy)

        sound = dict(
            zip(selections, pool.map(in_a_copy, [partial(passes, s) for s in selections.values()]), strict=True)
        )
        for file, verdict in sound.items():
            if not verdict.good:
                print(f"without any sabotage, {file} fails: {verdict.why}", flush=True)
        judged = pool.map(in_a_copy, [partial(kills, one) for one in chosen])
        killed_n = 0
        print(f"{'sabotage':38} {'breaks':8} {'s':>5}  killed by", flush=True)
        for one, verdict in zip(chosen, judged, strict=True):
            good = verdict.good and sound[one.tests.split(" ", 1)[0]].good
            killed_n += good
            line = f"{one.name:38} {one.breaks:8} {verdict.seconds:5.1f}  {'' if good else 'NOT KILLED: '}{verdict.why}"
            print(line, flush=True)
    print(f"{killed_n}/{len(chosen)} killed, in {time.monotonic() - began:.0f} s")
    return 0 if chosen and killed_n == len(chosen) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
