"""Sabotages of contracts between agents, of what is kept of a long transcript, and of what tools may do how often."""

from __future__ import annotations

from tests.mutants.edits import At, sabotage

_CONTRACTS = "tests/integration/test_engine_contracts.py -k "
_COMPACTION = "tests/integration/test_engine_compaction.py -k "

CONTRACTS = (
    sabotage(
        "a-summary-parts-a-result-from-its-call",
        "P8",
        _COMPACTION + "middle_becomes",
        "core/rules/transcript.py",
        "while 0 < at < len(turns) and not turns[at].by_agent:",
        "while 0 < at < len(turns) and turns[at].by_agent:",
    ),
    sabotage(
        "a-step-knows-a-time-its-entry-does-not",
        "P8",
        "tests/simulation/test_crowd.py -k 3611",
        At.PLAN,
        "entry = msgspec.structs.replace(entry, at_ms=env.now_ms)",
        "entry = msgspec.structs.replace(entry, at_ms=entry.at_ms)",
    ),
    sabotage(
        "a-full-window-is-noticed-when-it-is-too-late",
        "P5",
        _COMPACTION + "middle_becomes",
        "core/rules/compaction.py",
        "DUE_AT_PERCENT = 80",
        "DUE_AT_PERCENT = 100",
    ),
    sabotage(
        "what-does-not-fit-is-never-made-shorter",
        "P5",
        _COMPACTION + "cut_once",
        At.STEP,
        "    if turn.task.tight or turn.task.compacting:",
        "    if not turn.task.tight or turn.task.compacting:",
    ),
    sabotage(
        "the-summary-of-a-talk-is-not-kept",
        "P1",
        _COMPACTION + "eight_days",
        "core/runtime/thinking.py",
        "[SetMeta(name=kept.name, value=kept.value)] if kept else []",
        "[]",
    ),
    sabotage(
        "a-talk-that-begins-anew-remembers-the-old-one",
        "P1",
        _COMPACTION + "begins_anew",
        "core/rules/conversation.py",
        "return summary if summary.until_ms > since_ms else None",
        "return summary",
    ),
    sabotage(
        "what-was-read-outside-is-trusted-in-the-next-request",
        "P4",
        _COMPACTION + "marks_the_conversation",
        At.DISPATCH,
        "untrusted=any(line.untrusted for line in said)",
        "untrusted=any(line.untrusted and not line.by_agent for line in said)",
    ),
    sabotage(
        "nobody-is-asked-to-judge",
        "P4",
        _CONTRACTS + "accepts",
        "core/rules/judging.py",
        "if judge not in team.roles or judge == task.role or not task.brief.success_criteria:",
        "if judge in team.roles or judge == task.role or not task.brief.success_criteria:",
    ),
    sabotage(
        "no-judgement-is-taken-for-a-good-one",
        "P4",
        _CONTRACTS + "without_a_judgement",
        At.STEP,
        "handoff = handoff if judgement.accepted else judging.unjudged(handoff, judgement.why)",
        "handoff = handoff if judgement.accepted is not False else judging.unjudged(handoff, judgement.why)",
    ),
    sabotage(
        "work-is-sent-back-for-ever",
        "P5",
        _CONTRACTS + "sent_back_twice",
        "core/rules/judging.py",
        "SENT_BACK_MAX = 2",
        "SENT_BACK_MAX = 3",
    ),
    sabotage(
        "a-brief-without-what-its-kind-asks-for-goes-out",
        "P4",
        _CONTRACTS + "asks_for_its_fields",
        At.DELEGATION,
        'if not brief.fields.get(name, "").strip()]',
        "if name not in brief.fields]",
    ),
    sabotage(
        "every-tool-on-demand-is-shown-at-once",
        "P6",
        _CONTRACTS + "once_it_is_found",
        "core/rules/finding.py",
        "there = [spec for spec in specs if not spec.on_demand]",
        "there = list(specs)",
    ),
    sabotage(
        "a-call-is-guessed-out-of-prose",
        "P3",
        _CONTRACTS + "prose_about_a_call",
        "core/rules/recovery.py",
        "if value or len(names) != 1 or len(arguments) != 1:",
        "if len(names) != 1 or len(arguments) != 1:",
    ),
    sabotage(
        "a-run-that-had-to-wait-is-taken-for-one-that-was-lost",
        "P2",
        _CONTRACTS + "waits_for_the_next_one",
        At.PERFORM,
        "await self._requeue(current, error.wait_ms, unstarted=True)",
        "await self._requeue(current, error.wait_ms)",
    ),
    sabotage(
        "a-tools-limit-is-forgotten",
        "P4",
        _CONTRACTS + "waits_for_the_next_one",
        "core/runtime/limits.py",
        "started.append(now_ms)",
        "pass",
    ),
    sabotage(
        "the-outside-is-believed",
        "P4",
        _CONTRACTS + "of_the_outside",
        At.PERFORM,
        "is not None and spec.untrusted:",
        "is None and spec.untrusted:",
    ),
)
