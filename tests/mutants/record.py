"""Sabotages of what people have seen, of the day that is told, and of the record."""

from __future__ import annotations

from tests.mutants.edits import At, sabotage

INBOX = "tests/integration/test_engine_inbox.py -k "

RECORD = (
    sabotage(
        "several-decided-unseen",
        "case_35",
        INBOX + "case_35",
        "core/rules/several.py",
        "    if revision == 0:\n        return notes.UNSEEN\n",
        "    if revision == 0:\n        return ''\n",
    ),
    sabotage(
        "several-decided-though-one-has-changed",
        "case_34",
        INBOX + "case_34",
        "core/rules/several.py",
        'return "" if revision == inquiry.revision else notes.STALE',
        'return ""',
    ),
    sabotage(
        "some-of-several",
        "case_34",
        INBOX + "case_34",
        "core/rules/several.py",
        "        return Together(refused=refused)\n",
        "        bad = {inquiry.id for inquiry, _ in refused}\n"
        "        return Together(write=tuple(one for one in judged if one.inquiry.id not in bad))\n",
    ),
    sabotage(
        "somebody-else-has-seen-it",
        "case_35",
        INBOX + "case_35",
        "core/rules/inbox.py",
        'return f"seen:{inquiry}:{person}"',
        'return f"seen:{inquiry}"',
    ),
    sabotage(
        "one-press-of-a-single-operator-for-several",
        "case_17",
        INBOX + "second_press",
        "core/rules/several.py",
        "write=first_presses or tuple(judged)",
        "write=tuple(judged)",
    ),
    sabotage(
        "a-week-of-digests",
        "case_38",
        INBOX + "after_a_week_once",
        "core/runtime/digests.py",
        "kept = _keep(Told(at_ms=due_ms, rule=told.rule, told=True))",
        "kept = _keep(Told(at_ms=told.at_ms + 86_400_000, rule=told.rule, told=True))",
    ),
    sabotage(
        "refused-press-not-on-record",
        "P7",
        INBOX + "refusal_is_on_record",
        At.INQUIRIES,
        "if pressed is not None and decision.note and not decision.changed:",
        "if pressed is not None and not pressed:",
    ),
    sabotage(
        "showing-not-on-record",
        "P7",
        INBOX + "refusal_is_on_record",
        At.INQUIRIES,
        'plan.audit(before.id, f"{delivery_id}:shown:{outcome.value}", "inquiry.shown", **showing)',
        "plan.env, showing",
    ),
    sabotage(
        "secrets-on-record",
        "case_29",
        "tests/unit/test_auditing.py -k secrets",
        "core/rules/auditing.py",
        "msgspec.json.encode(arguments_shown(action)).decode() if action",
        "msgspec.json.encode(action.arguments).decode() if action",
    ),
)
