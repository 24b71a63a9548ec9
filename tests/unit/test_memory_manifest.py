"""How a team remembers, as people write it."""

from __future__ import annotations

import pytest

from agents.checks import LEAD_TOOLS
from agents.folders import Findings
from agents.manifest import Manifest, read
from agents.memories import check_memory, rule_of
from agents.tools import base_specs
from agents.tools.memory import SPECS
from core.model.memory import MemoryRule, Secrecy

TEXT = """\
version: 1
team: {name: acme, lead: ceo}
roles:
  - {id: ceo, reports_to: null, tools: {allow: [hand_off]}}
"""


def found(more=""):
    document, findings = read(TEXT + more, "team.yaml", Manifest), Findings()
    check_memory(document, findings)
    return document, [*document.errors, *findings.errors]


def test_nothing_need_be_said():
    document, errors = found()
    assert errors == []
    assert rule_of(document.value.memory) == MemoryRule()


def test_everything_may_be_said():
    document, errors = found(
        "memory:\n  notes_hours: 8\n  in_view_max: 20\n  superseded_days: 30\n  bulletin: [ceo]\n"
        "  clearance: {ceo: personal}\n"
    )
    assert errors == []
    assert rule_of(document.value.memory) == MemoryRule(
        notes_hours=8, in_view_max=20, superseded_days=30, bulletin=("ceo",), clearance={"ceo": Secrecy.PERSONAL}
    )


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("  bulletin: [cfo]", "unknown role cfo"),
        ("  clearance: {cfo: public}", "unknown role cfo"),
        ("  clearance: {ceo: secret}", "secret"),
        ("  notes_hours: 0", "notes_hours"),
        ("  in_view_max: 501", "in_view_max"),
        ("  forget: never", "unknown key"),
    ],
)
def test_every_mistake_has_its_line(line, what):
    _, errors = found(f"memory:\n{line}\n")
    assert [error.line for error in errors] == [6]
    assert what in str(errors[0])


def test_a_file_that_is_none_is_somebody_elses_error():
    document = read("", "team.yaml", Manifest)
    findings = Findings()
    check_memory(document, findings)
    assert findings.errors == []


def test_the_tools_are_there_and_who_leads_may_have_them():
    assert set(SPECS) <= set(base_specs())
    assert set(SPECS) <= LEAD_TOOLS
