"""No case is forgotten: each has a test of its own and one that shows it can fail, or a reason why not."""

from __future__ import annotations

import inspect
import re
from collections import defaultdict
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest

from tests.cases.__main__ import table
from tests.cases.record import Came
from tests.cases.rooms import ROOMS
from tests.cases.table import GAPS, PENDING, PLACES, TITLES, why_empty

NAMED = re.compile(r"test_case_(\d\d)_(otherwise|console)?")


def places_of(test: Callable[..., object]) -> tuple[str, ...]:
    """Where it runs, by what it takes."""
    if "room" not in inspect.signature(test).parameters:
        return ("console",) if "_console_" in test.__name__ else ("engine",)
    marks = [mark for mark in getattr(test, "pytestmark", ()) if mark.name == "parametrize" and mark.args[0] == "place"]
    return tuple(marks[0].args[1]) if marks else tuple(ROOMS)


def written() -> dict[tuple[int, str], set[bool]]:
    """By case and place: whether a test breaks a precondition of it."""
    found = defaultdict(set)
    for path in Path(__file__).parent.glob("test_*.py"):
        for name, test in vars(import_module(f"tests.cases.{path.stem}")).items():
            if of := NAMED.match(name):
                for place in places_of(test):
                    found[int(of[1]), place].add(of[2] == "otherwise")
    return found


def test_there_are_forty_six() -> None:
    assert list(TITLES) == list(range(1, 47))
    assert set(PENDING) | set(GAPS) <= set(TITLES)


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("case", sorted(set(TITLES) - set(PENDING)))
def test_every_case_is_tested_wherever_it_can_be_and_can_fail_there(case: int, place: str) -> None:
    assert written()[case, place] == (set() if why_empty(case, place) else {False, True})


def came(*without: tuple[int, str], **changes) -> list[Came]:
    """All that is to be tested passed, but for these."""
    cells = [(case, place) for case in TITLES for place in PLACES if not why_empty(case, place)]
    tests = [
        Came(case=case, place=place, test="t", passed=True) for case, place in cells if (case, place) not in without
    ]
    broken = [Came(case=case, place=place, test="t", passed=True, otherwise=True) for case, place in cells]
    return [*tests, *broken]


def test_a_whole_table_is_no_error(capsys) -> None:
    assert table(came()) == 0
    assert "?" not in capsys.readouterr().out.replace('"', "")


@pytest.mark.parametrize("cell", [(7, "engine"), (13, "console")])
def test_an_empty_cell_without_a_reason_is_an_error(cell, capsys) -> None:
    assert table(came(cell)) == 1
    assert f"case_{cell[0]:02} on {cell[1]}: neither a test nor a reason" in capsys.readouterr().out


def test_a_case_that_cannot_be_seen_to_fail_is_an_error(capsys) -> None:
    assert table([one for one in came() if (one.case, one.place) != (5, "slack") or not one.otherwise]) == 1
    assert "case_05 on slack: nothing shows that it can fail" in capsys.readouterr().out


def test_a_failure_on_any_platform_is_an_error(capsys) -> None:
    failed = Came(case=1, place="slack", test="test_a_double_click[slack]", passed=False)
    assert table([*came(), failed]) == 1
    assert "case_01 on slack: test_a_double_click[slack] failed" in capsys.readouterr().out
