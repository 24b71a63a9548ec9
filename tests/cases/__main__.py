"""Run the cases everywhere, and print case x place.

A cell has how many tests passed, and after the bar how many broke a precondition to show that the case can fail; or the
letter of the reason why it is empty. Exits 1 if a test fails, if a case does not show in every place that it can fail
there, and if it has neither a test nor a reason.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

import msgspec

from tests.cases.record import RECORD, Came
from tests.cases.table import GAPS, PENDING, PLACES, TITLES, why_empty

FOLDERS = ("tests/cases", "tests/conformance/platforms")
WORKERS = 2


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "cases.jsonl")
        command = [sys.executable, "-m", "pytest", *FOLDERS, "-q", "-m", "case", "-p", "tests.cases.record"]
        command += ["-p", "no:cacheprovider", "--numprocesses", str(WORKERS), "--dist", "loadscope", *sys.argv[1:]]
        code = subprocess.call(command, env={**os.environ, RECORD: str(file)})
        lines = file.read_bytes().splitlines() if file.is_file() else []
    return table([msgspec.json.decode(line, type=Came) for line in lines]) or code


def table(came: list[Came]) -> int:
    """Print it. 1 if anything is wrong with it."""
    letters: dict[str, str] = {}
    wrong: list[str] = []
    print(f"\n{'case':<46}" + "".join(f"{place:<10}" for place in PLACES))
    for case, title in TITLES.items():
        cells = []
        for place in PLACES:
            here = [one for one in came if (one.case, one.place) == (case, place)]
            cells.append(_cell(case, place, here, letters))
            wrong += [f"case_{case:02} on {place}: {why}" for why in _wrong(case, place, here)]
        print(f"{case:>2} {title:<43}" + "".join(f"{cell:<10}" for cell in cells))
    totals = ["|".join(str(n) for n in _counts(one for one in came if one.place == place)) for place in PLACES]
    print(f"{'tests':<46}" + "".join(f"{total:<10}" for total in totals))
    print("\nEmpty cells:", *(f"{letter}  {why}" for why, letter in letters.items()), sep="\n  ")
    if PENDING | GAPS:
        print("\nOpen:", *(f"{case:>2} {why}" for case, why in sorted((PENDING | GAPS).items())), sep="\n  ")
    if wrong:
        print("\nWrong:", *wrong, sep="\n  ")
    return 1 if wrong else 0


def _cell(case: int, place: str, here: Iterable[Came], letters: dict[str, str]) -> str:
    here = tuple(here)
    if here:
        held_n, broken_n = _counts(here)
        return f"{held_n}" + (f"|{broken_n}" if broken_n else "") + ("" if all(one.passed for one in here) else " FAIL")
    why = why_empty(case, place)
    return letters.setdefault(why, chr(ord("a") + len(letters))) if why else "?"


def _counts(here: Iterable[Came]) -> tuple[int, int]:
    """Tests that it holds, and tests that it can fail."""
    broken = [one.otherwise for one in here]
    return broken.count(False), broken.count(True)


def _wrong(case: int, place: str, here: list[Came]) -> Iterable[str]:
    if case in PENDING:
        return
    if not any(not one.otherwise for one in here):
        if not why_empty(case, place):
            yield "neither a test nor a reason"
        return
    yield from (f"{one.test} failed" for one in here if not one.passed)
    if not why_empty(case, place) and not any(one.otherwise for one in here):
        yield "nothing shows that it can fail"


if __name__ == "__main__":
    sys.exit(main())
