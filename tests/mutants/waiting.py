"""Sabotages of P3 while an inquiry waits: sets, escalation, delegates, overrides, and a storm of reminders."""

from __future__ import annotations

from tests.mutants.edits import At, sabotage

_QUORUM = "tests/unit/test_quorum.py -k "
_WAITING = "tests/unit/test_waiting.py -k "
_TENDING = "tests/unit/test_tending.py -k "
_ENGINE = "tests/integration/test_engine_waiting.py -k "
_POLICIES = "tests/unit/test_policies.py -k "

WAITING = (
    sabotage(
        "one-person-fills-two-sets",
        "P3",
        _QUORUM + "fills_one_seat",
        "core/rules/quorum.py",
        "    groups = groups_of(stage)\n    found = seated(groups, approvers)\n    return all(",
        "    groups = groups_of(stage)\n    found = [[p for p in approvers if p in who] for who, _ in groups]\n"
        "    return all(",
    ),
    sabotage(
        "first-come-keeps-the-seat",
        "P3",
        _QUORUM + "whoever_comes_first",
        "core/rules/quorum.py",
        "if seat(sitting, tried):",
        "if seat(sitting, {*tried, *range(len(groups))}):",
    ),
    sabotage(
        "approved-by-whom-the-policy-means-no-longer",
        "P3",
        _QUORUM + "means_no_longer",
        At.POLICY,
        "return not meant.issuperset(by)",
        "return not meant",
    ),
    sabotage(
        "escalation-seats-anybody",
        "P3",
        _WAITING + "replace_the_others",
        "core/rules/waiting.py",
        "if p in means)",
        ")",
    ),
    sabotage(
        "replaced-people-decide",
        "P3",
        _WAITING + "replace_the_others",
        "core/rules/waiting.py",
        "if not instead or p in voted)",
        ")",
    ),
    sabotage(
        "everybody-replaced-and-nobody-left",
        "P5",
        _WAITING + "too_few_would_be_left",
        "core/rules/waiting.py",
        "if leaves_enough(instead, votes, team):",
        "if votes is not None:",
    ),
    sabotage(
        "every-missed-reminder-is-sent",
        "case_38",
        _WAITING + "case_38_after_downtime",
        "core/rules/waiting.py",
        "reminded_n=past)",
        "reminded_n=inquiry.reminded_n + 1)",
    ),
    sabotage(
        "reminder-lost-when-the-clock-goes-back",
        "P5",
        _ENGINE + "set_back",
        At.PLAN,
        "if not (isinstance(c, CloseSignal) and c.id == signal_id)]",
        "]",
    ),
    sabotage(
        "buttons-of-a-place-that-was-left",
        "P3",
        _ENGINE + "asked_no_longer",
        "core/runtime/orders.py",
        "if not looks and delivery.conversation in row.inquiry.left:",
        "if not looks and delivery is None:",
    ),
    sabotage(
        "delegate-outside-the-selector",
        "case_24",
        _TENDING + "case_24",
        "core/rules/audience.py",
        "if delegate in means and not",
        "if not",
    ),
    sabotage(
        "delegation-in-a-circle",
        "case_24",
        "tests/unit/test_absence.py -k circle",
        "core/rules/absence.py",
        "return notes.DELEGATE_CIRCLE if at else",
        'return "" if at else',
    ),
    sabotage(
        "delegate-leaves-no-trace",
        "P7",
        _ENGINE + "says_for_whom",
        "core/rules/auditing.py",
        "if vote.stands_for else {}",
        "if False else {}",
    ),
    sabotage(
        "approver-overrides",
        "case_25",
        _TENDING + "case_25",
        "core/rules/tending.py",
        'if person.role != "owner" or',
        "if",
    ),
    sabotage(
        "requester-overrides",
        "case_25",
        _TENDING + "case_25",
        "core/rules/tending.py",
        "if person.id in {*inquiry.initiators, *inquiry.editors}:",
        "if person.id in inquiry.editors:",
    ),
    sabotage(
        "override-without-the-policys-word",
        "case_25",
        _TENDING + "case_25",
        "core/rules/tending.py",
        " or not rule_for(case.team.policy, inquiry).override:",
        ":",
    ),
    sabotage(
        "override-without-a-label",
        "case_25",
        _TENDING + "case_25",
        "core/rules/tending.py",
        "inquiry=msgspec.structs.replace(inquiry, label=Label.OVERRIDE)",
        "inquiry=inquiry",
    ),
    sabotage(
        "a-yes-anywhere-counts",
        "case_42",
        _ENGINE + "case_42",
        "core/runtime/replying.py",
        "if is_receipt_of(d.receipt, event.reply_to)",
        "if d.receipt",
    ),
    sabotage(
        "a-yes-counts-unasked",
        "case_42",
        _ENGINE + "case_42",
        "core/runtime/replying.py",
        "if not team.policy.yes_counts or",
        "if",
    ),
    sabotage(
        "quorum-nobody-can-reach-loads",
        "case_21",
        _POLICIES + "case_21",
        "agents/policies.py",
        "if not wrong and rule.approve_n > len(who):",
        "if rule.approve_n < 0:",
    ),
)
