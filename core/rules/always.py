"""`/always`: what is asked is approved once, and a change of the policy is proposed to an owner, as a diff.

Laws of this file. The rule is what was shown, to the byte: its tool, resource, verb, arguments and role, until a day.
Nothing changes until an owner approves the diff; whoever proposed it, or asked for the work, does not.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import msgspec

from core.model.ids import CallId, InquiryId, inquiry_of
from core.model.inquiries import Action, Inquiry, Kind, Verb
from core.model.team import AllowRule, Amendment, EffectClass, Team, Tier
from core.model.work import Failure
from core.rules import notes, words
from core.rules.canonical import action_digest, intent_of
from core.rules.policy import OWNERS, Gates, panel_of, rule_of
from core.rules.values import holds_secret

DAYS: Final = 30
DAYS_MAX: Final = 366
TEAM_FILE: Final = "agents/team.yaml"


def id_of(inquiry: Inquiry) -> InquiryId:
    """The proposal that goes with an inquiry: one at most."""
    return inquiry_of(_call_of(inquiry), inquiry.revision)


def _call_of(inquiry: Inquiry) -> CallId:
    return CallId(f"{inquiry.id}:always")


def rule_from(inquiry: Inquiry, team: Team, until: str, now_ms: int) -> AllowRule | str:
    """The rule, or why there can be none. `until` is a day (its end, where the team is); "" is some weeks from now."""
    action = inquiry.action
    if inquiry.kind is not Kind.APPROVAL or action is None or inquiry.state.final:
        return notes.NOT_ALWAYS
    if inquiry.tier is Tier.INFRASTRUCTURE and not rule_of(team.policy, inquiry.tier).may_allow:
        return notes.NEVER_ALWAYS
    if any(holds_secret(value, name, action.secrets) for name, value in action.arguments.items()):
        return notes.NOT_HIDDEN
    zone = ZoneInfo(team.zone)
    today = datetime.fromtimestamp(now_ms / 1000, UTC).astimezone(zone).date()
    try:
        last = date.fromisoformat(until) if until else today + timedelta(days=DAYS)
    except ValueError:
        return notes.WHICH_DAY
    if not today <= last <= today + timedelta(days=DAYS_MAX):
        return notes.WHICH_DAY
    after = last + timedelta(days=1)
    until_ms = int(datetime(after.year, after.month, after.day, tzinfo=zone).timestamp() * 1000)
    return AllowRule(
        tool=action.tool,
        verb=action.verb,
        until_ms=until_ms,
        role=inquiry.role,
        resource=action.resource,
        arguments=action.arguments,
    )


def rule_in(proposal: Inquiry) -> AllowRule:
    """The rule that a proposal is about."""
    return msgspec.convert(proposal.action.arguments["rule"] if proposal.action else {}, AllowRule)


def amendment_in(proposal: Inquiry) -> Amendment:
    """The change that was shown."""
    action = proposal.action
    arguments = action.arguments if action else {}
    return Amendment(before=action.fingerprint if action else "", after=arguments["after"], diff=arguments["diff"])


def proposal(
    inquiry: Inquiry, team: Team, rule: AllowRule, amendment: Amendment, by: str, now_ms: int
) -> Inquiry | Failure:
    """The second inquiry, for an owner; a Failure where no owner is left who may decide it."""
    tier_rule = rule_of(team.policy, inquiry.tier)
    gates = Gates(
        tier=inquiry.tier,
        stages=OWNERS.stages,
        decide_ms=OWNERS.decide_ms,
        execute_ms=OWNERS.execute_ms,
        at_deadline="queue",
        reasons=(words.POLICY_IS_THE_OWNERS,),
        verified=tier_rule.verified,
        reason_required=False,
        allow_self=False,
    )
    initiators = tuple(dict.fromkeys((*inquiry.initiators, by)))
    panel = panel_of(team, gates, initiators, inquiry.chain)
    if isinstance(panel, Failure):
        return panel
    action = Action(
        tool=TEAM_FILE,
        arguments={"diff": amendment.diff, "rule": msgspec.to_builtins(rule), "after": amendment.after},
        resource=TEAM_FILE,
        verb="allow",
        effect=EffectClass.ONCE,
        fingerprint=amendment.before,
        says=words.allows(team.roles[rule.role].title if rule.role in team.roles else rule.role, rule.verb),
    )
    return Inquiry(
        id=id_of(inquiry),
        kind=Kind.POLICY,
        task=inquiry.task,
        root=inquiry.root,
        call=_call_of(inquiry),
        generation=inquiry.revision,
        role=inquiry.role,
        chain=inquiry.chain,
        initiators=initiators,
        label=panel.label,
        conversation=inquiry.conversation,
        why=words.proposed_by(by if (person := team.person(by)) is None else person.name),
        action=action,
        digest=action_digest(action),
        intent=intent_of(inquiry.root, action.resource, action.verb),
        verbs=(Verb.APPROVE, Verb.DENY, Verb.VIEW),
        tier=inquiry.tier,
        gates=gates.reasons,
        stages=panel.stages,
        verified=gates.verified,
        policy=team.policy.version,
        asked_at_ms=now_ms,
        decide_by_ms=now_ms + gates.decide_ms,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )
