"""What a sabotage is, and the places that many of them share."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """In this file, `old` becomes `new`."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True)
class Sabotage:
    """`breaks` is a promise (P1 to P8) or a case of INQUIRIES.md; `tests` is what pytest is asked to run. Where the
    house is defended twice, it takes more than one edit.
    """

    name: str
    breaks: str
    tests: str
    edits: tuple[Edit, ...]


def sabotage(name: str, breaks: str, tests: str, file: str, old: str, new: str, *more: Edit) -> Sabotage:
    return Sabotage(name, breaks, tests, (Edit(file, old, new), *more))


class Tests:
    """Selections: those that end in -k take a word."""

    LAWS = "tests/unit/test_laws.py -k "
    STORE = "tests/conformance/test_store.py -k "
    INQUIRY = "tests/unit/test_inquiry.py -k "
    POLICY = "tests/unit/test_policy.py -k "
    DELEGATION = "tests/unit/test_delegation.py"
    STEP = "tests/unit/test_step.py -k "
    ACTIONS = "tests/unit/test_actions.py"
    CANONICAL = "tests/unit/test_canonical.py"
    ROUTER = "tests/unit/test_router.py"
    VIEWS = "tests/unit/test_views.py -k "
    FILES = "tests/integration/test_file_tools.py -k "
    SUPERVISOR = "tests/integration/test_supervisor.py -k "
    SQLITE = "tests/integration/test_sqlite.py -k "


class At:
    """Files."""

    SQL = "core/adapters/sqlite/sql.py"
    MEMORY = "core/adapters/memory.py"
    CLAIMS = "core/adapters/memory_claims.py"
    PERFORM = "core/runtime/perform.py"
    DISPATCH = "core/runtime/dispatch.py"
    INQUIRIES = "core/runtime/inquiries.py"
    OUTBOX = "core/runtime/outbox.py"
    VOTING = "core/rules/voting.py"
    VOTES = "core/rules/votes.py"
    RULES = "core/rules/inquiry.py"
    REVISING = "core/rules/revising.py"
    POLICY = "core/rules/policy.py"
    DELEGATION = "core/rules/delegation.py"
    CANONICAL = "core/rules/canonical.py"
    CALLS = "core/rules/calls.py"
    STEP = "core/rules/step.py"
    ENDING = "core/rules/ending.py"
    THINKING = "core/runtime/thinking.py"
    PLAN = "core/rules/plan.py"
    SUPERVISOR = "agents/tools/supervisor.py"
    FILES = "agents/tools/files.py"
