"""What a brief must not pass on by itself: work for which its reader would have to call a person (CONSTITUTION.md)."""

from __future__ import annotations

from core.model.team import Team
from core.model.work import Brief
from core.rules.triggers import fired


def for_a_person(team: Team, target: str, brief: Brief) -> str:
    """Why this brief goes to a person and not to `target`, in words; "" if it need not. A role is asked the same again
    for good reasons (another page, another try), and the matrix bounds its rounds: so only words and deletions count.
    """
    if not team.policy.brief_triggers:
        return ""
    text = "\n".join((brief.objective, *brief.success_criteria, brief.context, brief.limits))
    return fired(team.roles[target].triggers, text, ())
