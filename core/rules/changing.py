"""A change of the team's files that people approve before it is in force (`policy.changes`).

Laws of this file. Nobody knows who edited a file, so nobody is barred: the policy says who approves. What is approved
is one edition, by its hash, in place of another, and shown whole: what is too long to be shown is not asked. The rule
that governs is the one in force, never the one that is proposed.
"""

from __future__ import annotations

from typing import Final

from core.model.events import Conversation
from core.model.ids import CallId, InquiryId, TaskId, digest_of, inquiry_of
from core.model.inquiries import Action, Inquiry, Kind, Verb
from core.model.team import EffectClass, Team, Tier
from core.model.work import Failure
from core.rules import words
from core.rules.canonical import action_digest, intent_of
from core.rules.policy import CHANGE, OWNERS, Gates, panel_of, rule_of

FOLDER: Final = "agents/"
DIFF_CHARS_MAX: Final = 200_000
HEAD: Final = "=== "
NAMES_MAX: Final = 6
_TIER: Final = Tier.INFRASTRUCTURE


def id_of(before: str, after: str, generation: int) -> InquiryId:
    """The question whether one edition takes the place of another; `generation` counts how often it was taken back."""
    return inquiry_of(_call_of(before, after), generation)


def _call_of(before: str, after: str) -> CallId:
    return CallId(f"change:{before[:12]}:{after[:12]}")


def is_change(inquiry: Inquiry) -> bool:
    """Whether it asks to put edited files in force."""
    return inquiry.kind is Kind.POLICY and inquiry.action is not None and inquiry.action.verb == CHANGE


def before_of(inquiry: Inquiry) -> str:
    """The edition that it would replace."""
    return inquiry.action.fingerprint if inquiry.action else ""


def after_of(inquiry: Inquiry) -> str:
    """The edition that it would put in force."""
    return str(inquiry.action.arguments["after"]) if inquiry.action else ""


def proposal(
    team: Team, before: str, after: str, diff: str, where: Conversation, generation: int, now_ms: int
) -> Inquiry | Failure:
    """What people are asked; a Failure where nobody may decide it. `team` is in force."""
    rule = team.policy.changes or OWNERS
    gates = Gates(
        tier=_TIER,
        stages=rule.stages,
        decide_ms=rule.decide_ms,
        execute_ms=rule.execute_ms,
        at_deadline="queue",
        reasons=(words.CHANGES_ARE_APPROVED,),
        verified=rule_of(team.policy, _TIER).verified,
        reason_required=False,
        allow_self=False,
    )
    if len(diff) > DIFF_CHARS_MAX:
        return Failure(what=words.CHANGE_OF_TEAM, why=words.CHANGE_TOO_LONG, recovery=words.CHANGE_TOO_LONG)
    panel = panel_of(team, gates, (), ())
    if isinstance(panel, Failure):
        return panel
    call = _call_of(before, after)
    root = TaskId("t-" + digest_of(call)[:12])
    action = Action(
        tool=FOLDER,
        arguments={"diff": diff, "after": after},
        resource=FOLDER,
        verb=CHANGE,
        effect=EffectClass.ONCE,
        fingerprint=before,
        says=words.changes(names_in(diff), NAMES_MAX),
    )
    return Inquiry(
        id=id_of(before, after, generation),
        kind=Kind.POLICY,
        task=root,
        root=root,
        call=call,
        generation=generation,
        role=team.lead,
        label=panel.label,
        conversation=where,
        action=action,
        digest=action_digest(action),
        intent=intent_of(root, action.resource, action.verb),
        verbs=(Verb.APPROVE, Verb.DENY, Verb.VIEW),
        tier=_TIER,
        gates=gates.reasons,
        stages=panel.stages,
        verified=gates.verified,
        policy=team.policy.version,
        asked_at_ms=now_ms,
        decide_by_ms=now_ms + gates.decide_ms,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def names_in(diff: str) -> tuple[str, ...]:
    """What differs, by the heads of its pages."""
    heads = (line.removeprefix(HEAD) for line in diff.splitlines() if line.startswith(HEAD))
    return tuple(name for head in heads for name in head.split(", "))
