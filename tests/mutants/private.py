"""Sabotages of what is shown in private, of who is asked about again at the start, and of what a resource may name."""

from __future__ import annotations

from tests.mutants.edits import sabotage

_DIRECTS = "tests/integration/test_engine_directs.py -k "
_GRANTS = "tests/integration/test_engine_grants.py -k "
_SECRETS = "tests/unit/test_secrets.py -k "
_DIRECTS_FILE, _GRANTS_FILE = "core/runtime/directs.py", "core/runtime/grants.py"

PRIVATE = (
    sabotage(
        "private-button-of-anybody",
        "case_11",
        _DIRECTS + "case_11",
        _DIRECTS_FILE,
        "own = is_private(context, spoken) and private_place(context, account) == shown",
        "own = is_private(context, spoken)",
    ),
    sabotage(
        "private-button-pressed-anywhere",
        "case_11",
        _DIRECTS + "case_11",
        _DIRECTS_FILE,
        "own = is_private(context, spoken) and private_place(context, account) == shown",
        "own = private_place(context, account) == shown",
    ),
    sabotage(
        "roles-of-nowhere",
        "case_19",
        _DIRECTS + "roles_are_nobodys",
        _DIRECTS_FILE,
        "return next(others, spoken)",
        "return next(others, inquiry.conversation)",
    ),
    sabotage(
        "replaced-people-keep-a-private-button",
        "P3",
        _DIRECTS + "nothing_left_to_press",
        "core/rules/waiting.py",
        "elif replaced:",
        "elif step.direct:",
    ),
    sabotage(
        "reminders-for-who-has-voted",
        "case_38",
        _DIRECTS + "whom_a_reminder_names",
        "core/runtime/waiting.py",
        "if who not in found.people}",
        "if who in ()}",
    ),
    sabotage(
        "role-not-asked-about-at-the-start",
        "case_19",
        _GRANTS + "ends_the_grant",
        _GRANTS_FILE,
        "still_decides(row.inquiry, grant.by, team) and await _still_let(context, team, row, grant)",
        "still_decides(row.inquiry, grant.by, team)",
    ),
    sabotage(
        "doubt-starts",
        "P3",
        _GRANTS + "nobody_can_be_asked",
        _GRANTS_FILE,
        "return False if False in found else None if None in found else True",
        "return False not in found",
    ),
    sabotage(
        "doubt-takes-the-permission",
        "P5",
        _GRANTS + "nobody_can_be_asked",
        _GRANTS_FILE,
        "return False if False in found else None if None in found else True",
        "return not (False in found or None in found)",
    ),
    sabotage(
        "override-by-whom-no-owner-any-more",
        "case_25",
        _GRANTS + "override",
        "core/runtime/standing.py",
        "ours = OWNS if row.inquiry.label is Label.OVERRIDE else DECIDES",
        "ours = DECIDES",
    ),
    sabotage(
        "a-resource-names-a-secret",
        "case_29",
        _SECRETS + "however_short",
        "core/rules/actions.py",
        "resource=fill(command.resource, shown) or name",
        "resource=fill(command.resource, checked) or name",
    ),
    sabotage(
        "a-hidden-resource-hides-a-word",
        "P3",
        _SECRETS + "found_all_the_same",
        "core/rules/actions.py",
        "return path if real == fill(resource, shown) else",
        "return path if real else",
    ),
)
