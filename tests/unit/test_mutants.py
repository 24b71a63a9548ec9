"""The list that `make mutants` works through fits the tree, and the harness knows a survivor when it sees one."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from tests.mutants.__main__ import ROOT, Copy, kills, sabotaged, together
from tests.mutants.edits import Edit, Sabotage
from tests.mutants.sabotages import SABOTAGES


def test_names_are_unique_and_promises_are_ours():
    assert {name: n for name, n in Counter(one.name for one in SABOTAGES).items() if n > 1} == {}
    assert [one.name for one in SABOTAGES if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", one.name)] == []
    assert [one.name for one in SABOTAGES if not re.fullmatch(r"P[1-8]|case_\d\d", one.breaks)] == []
    assert {f"P{n}" for n in range(1, 9)} <= {one.breaks for one in SABOTAGES}
    assert len(SABOTAGES) >= 30


@pytest.mark.parametrize("sabotage", SABOTAGES, ids=lambda one: one.name)
def test_every_sabotage_applies(sabotage):
    before = {edit.file: (ROOT / edit.file).read_text("utf-8") for edit in sabotage.edits}
    assert sabotaged(sabotage, before) != before
    assert (ROOT / sabotage.tests.split()[0]).is_file()


def test_what_passes_without_sabotage_is_run_once_by_file():
    assert together(["a.py -k x", "a.py -k y", "b.py", "b.py -k z"]) == {"a.py": "a.py -k 'x or y'", "b.py": "b.py"}


LAW = "def double(n):\n    return n + n\n"
TEST = "from law import double\n\n\ndef test_double():\n    assert double(3) == 6\n"


@pytest.mark.parametrize(
    ("old", "new", "tests", "good", "why"),
    [
        ("n + n", "n * n", "test_law.py", True, "test_double"),
        ("n + n", "2 * n", "test_law.py", False, "SURVIVED"),
        ("n - n", "2 * n", "test_law.py", False, "no longer applies: law.py has it 0 times"),
        ("n", "m", "test_law.py", False, "no longer applies: law.py has it 4 times"),
        ("n + n", "m", "test_law.py", False, "the sabotage is broken: NameError"),
        ("double(n)", "twice(n)", "test_law.py", False, "pytest exits 2"),
        ("n + n", "n * n", "test_law.py -k nothing", False, "pytest exits 5"),
    ],
)
def test_only_a_test_that_fails_kills(tmp_path, old, new, tests, good, why):
    (tmp_path / "law.py").write_text(LAW)
    (tmp_path / "test_law.py").write_text(TEST)
    verdict = kills(Sabotage("some", "P1", tests, (Edit("law.py", old, new),)), Copy(tmp_path))
    assert verdict.good is good
    assert verdict.why.startswith(why)
    assert (tmp_path / "law.py").read_text() == LAW
