"""A pytest plugin: what every test of a case came to, a line each, in the file named by SIGNOFF_CASES.

A test is of the case in its name (`test_case_07_...`), or of those in its marks (`@pytest.mark.case(7)`). Its place is
the room or the adapter it runs in, `console` if its name says so, or else the engine.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest

RECORD = "SIGNOFF_CASES"
_NAMED = re.compile(r"test_case_(\d\d)_(otherwise_|console_)?")


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """One test of one case, in one place. `otherwise`: it breaks a precondition, to show that the case can fail."""

    case: int
    place: str
    test: str
    passed: bool
    otherwise: bool = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """Before `-m case` is looked at."""
    for item in items:
        if found := _NAMED.match(item.name):
            item.add_marker(pytest.mark.case(int(found[1])))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    report = yield
    if report.when == "call" or (report.when == "setup" and not report.passed):
        _write(item, passed=report.passed)
    return report


def _write(item, *, passed):
    named = _NAMED.match(item.name)
    kind = named[2] if named else None
    given = item.callspec.params if hasattr(item, "callspec") else {}
    place = given.get("place") or given.get("adapter") or ("console" if kind == "console_" else "engine")
    with Path(os.environ[RECORD]).open("ab") as lines:
        for n in {mark.args[0] for mark in item.iter_markers("case")}:
            came = Came(case=n, place=place, test=item.name, passed=passed, otherwise=kind == "otherwise_")
            lines.write(msgspec.json.encode(came) + b"\n")
