"""No case is forgotten: each has a test of its own and one that shows it can fail, or a reason why not."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.cases.__main__ import table
from tests.cases.record import Came
from tests.cases.table import GAPS, PENDING, PLACES, TITLES, why_empty

NAMED = re.compile(r"def test_case_(\d\d)_(otherwise|console)?", re.MULTILINE)


def written() -> dict[int, set[str]]:
    found = defaultdict(set)
    for path in Path(__file__).parent.glob("test_*.py"):
        for case, kind in NAMED.findall(path.read_text("utf-8")):
            found[int(case)].add(kind)
    return found


def test_there_are_forty_six() -> None:
    assert list(TITLES) == list(range(1, 47))
    assert set(PENDING) | set(GAPS) <= set(TITLES)


@pytest.mark.parametrize("case", sorted(set(TITLES) - set(PENDING)))
def test_every_case_is_tested_and_can_fail(case: int) -> None:
    assert {"", "otherwise"} <= written()[case]
    assert ("console" in written()[case]) == (not why_empty(case, "console"))


def came(*without: tuple[int, str], **changes) -> list[Came]:
    """All that is to be tested passed, but for these."""
    cells = [(case, place) for case in TITLES for place in PLACES if not why_empty(case, place)]
    tests = [
        Came(case=case, place=place, test="t", passed=True) for case, place in cells if (case, place) not in without
    ]
    broken = [Came(case=case, place="engine", test="t", passed=True, otherwise=True) for case in TITLES]
    return [*tests, *broken]


def test_a_whole_table_is_no_error(capsys) -> None:
    assert table(came()) == 0
    assert "?" not in capsys.readouterr().out.replace('"', "")


@pytest.mark.parametrize("cell", [(7, "engine"), (13, "console")])
def test_an_empty_cell_without_a_reason_is_an_error(cell, capsys) -> None:
    assert table(came(cell)) == 1
    assert f"case_{cell[0]:02} on {cell[1]}: neither a test nor a reason" in capsys.readouterr().out


def test_a_case_that_cannot_be_seen_to_fail_is_an_error(capsys) -> None:
    assert table([one for one in came() if one.case != 5 or not one.otherwise]) == 1
    assert "case_05 on engine: nothing shows that it can fail" in capsys.readouterr().out


def test_a_failure_on_any_platform_is_an_error(capsys) -> None:
    failed = Came(case=1, place="slack", test="test_a_double_click[slack]", passed=False)
    assert table([*came(), failed]) == 1
    assert "case_01 on slack: test_a_double_click[slack] failed" in capsys.readouterr().out
