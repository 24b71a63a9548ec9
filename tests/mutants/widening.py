"""What widens a permission, or changes one: bounded grants, rules for good, reviews, reopened approvals."""

from __future__ import annotations

from tests.mutants.edits import At, sabotage

_BOUNDS = "tests/integration/test_engine_bounds.py"
_REVISING = "tests/integration/test_engine_revising.py"
_ALWAYS = "tests/integration/test_engine_always.py"
_ALLOW = "tests/unit/test_allow.py"

WIDENING = (
    sabotage(
        "use-not-counted",
        "P3",
        "tests/conformance/test_store.py -k bounded_grant",
        At.SQL,
        "WHERE id = :id AND state = 'live' AND coalesce(json_extract(CAST(body AS TEXT), '$.used_n'), 0) = :used_n - 1",
        "WHERE id = :id AND state = 'live'",
    ),
    sabotage(
        "bounds-cover-any-argument",
        "case_31",
        _BOUNDS,
        "core/rules/bounds.py",
        "return action_digest(msgspec.structs.replace(act.action, arguments=arguments)) == grant.digest",
        "return True",
    ),
    sabotage(
        "bounds-for-every-role",
        "P3",
        _BOUNDS,
        "core/rules/bounds.py",
        " or grant.role != role:",
        ":",
    ),
    sabotage(
        "bounds-of-one-stage-are-enough",
        "P3",
        _BOUNDS,
        "core/rules/bounds.py",
        "return first.bounds if first is not None and len(set(said)) == 1 else None",
        "return first.bounds if first is not None else None",
    ),
    sabotage(
        "void-grant-still-used",
        "case_26",
        _BOUNDS,
        "core/runtime/grants.py",
        "if not bounds.holds(row, team, inquiries.fingerprint_now(context, row.inquiry)):",
        "if False:",
    ),
    sabotage(
        "old-verdict-still-heard",
        "P3",
        _REVISING,
        "core/runtime/reopening.py",
        "        plan.changes.append(CloseSignal(id=verdict))\n",
        "",
    ),
    sabotage(
        "old-effect-still-queued",
        "P3",
        _REVISING,
        "core/runtime/reopening.py",
        "    plan.changes.append(EndEffect(id=call.effect))\n",
        "",
    ),
    sabotage(
        "prose-needs-no-review",
        "P4",
        _REVISING,
        At.STEP,
        'match reviewing.review(turn.task, call, turn.env.team, handoff, "", turn.env.now_ms):',
        "match None:",
    ),
    sabotage(
        "rule-never-ends",
        "P3",
        _ALLOW,
        "core/rules/policy.py",
        "and 0 < now_ms < rule.until_ms",
        "and 0 < now_ms",
    ),
    sabotage(
        "infrastructure-allowed-for-good",
        "P3",
        _ALLOW,
        "core/rules/policy.py",
        "if act.tier is Tier.INFRASTRUCTURE and not rule_of(policy, act.tier).may_allow:",
        "if False:",
    ),
    sabotage(
        "laws-not-looked-at-again",
        "P4",
        _ALWAYS,
        At.REVISING,
        "if case.fingerprint != action.fingerprint:",
        "if False:",
    ),
)
