"""A handoff that a person looks at first (`permissions.requires_review`): what is shown, and what becomes of it.

Laws of this file. What people approve is the handoff to the byte: the digest binds every field of it. An approved one
goes on as it is; if words came in meanwhile they are read first, and the same handoff then needs nobody again.
"""

from __future__ import annotations

import msgspec

from core.model.ids import CallId, inquiry_of
from core.model.inquiries import Action, Inquiry, Kind, Verb
from core.model.team import EffectClass, Json, Role, Team, Tier
from core.model.work import Call, CallState, Failure, Handoff, Task, Verdict
from core.rules import words
from core.rules.canonical import action_digest, intent_of
from core.rules.policy import Gates, panel_of, stages_or_one

HAND_OFF = "hand_off"


def handoff_of(arguments: dict[str, Json]) -> Handoff:
    """What the arguments of the call hand on. `degraded` is ours: no schema lets a model write it."""
    return Handoff(
        summary=str(arguments.get("summary") or "").strip(),
        changed=lines_of(arguments, "changed"),
        next_needs=lines_of(arguments, "next_needs"),
        risks=lines_of(arguments, "risks"),
        artifacts=lines_of(arguments, "artifacts"),
        degraded=str(arguments.get("degraded") or ""),
    )


def lines_of(arguments: dict[str, Json], name: str) -> tuple[str, ...]:
    """A list of texts; one text is a list of one."""
    value = arguments.get(name)
    if isinstance(value, str):
        return (value,) if value.strip() else ()
    return tuple(str(item) for item in value) if isinstance(value, list) else ()


def hands_off(call: Call) -> bool:
    """Whether this call hands off, and does not ask for what it needs first."""
    return call.name == HAND_OFF and not str(call.arguments.get("needs") or "").strip()


def in_prose(call: CallId, handoff: Handoff) -> Call:
    """A handoff that was only written: kept as the call it should have been, without a vendor's id."""
    arguments: dict[str, Json] = {"summary": handoff.summary, "degraded": handoff.degraded}
    return Call(id=call, use="", name=HAND_OFF, arguments=arguments, state=CallState.ENDED)


def labelled(call: Call, handoff: Handoff) -> Call:
    """The call, with the label of what it hands off: it stays, however many look at it first."""
    if not handoff.degraded:
        return call
    return msgspec.structs.replace(call, arguments={**call.arguments, "degraded": handoff.degraded})


def gates(team: Team, role: Role) -> Gates | None:
    """What a handoff of this role needs; None if it goes on at once, as it does under a definition without the rule."""
    rule = team.policy.review
    if rule is None or not role.permissions.requires_review:
        return None
    return Gates(
        tier=Tier.INTERNAL,
        stages=stages_or_one(rule),
        decide_ms=rule.decide_ms,
        execute_ms=rule.execute_ms,
        at_deadline=rule.at_deadline,
        reasons=(words.handoffs_are_reviewed(role.id),),
        verified=rule.verified,
        reason_required=rule.reason_required,
        allow_self=rule.allow_self,
        approve_reason=rule.approve_reason,
    )


def _action_of(task: Task, handoff: Handoff) -> Action:
    arguments: dict[str, Json] = {
        "summary": handoff.summary,
        "changed": list(handoff.changed),
        "risks": list(handoff.risks),
        "artifacts": list(handoff.artifacts),
        "next_needs": list(handoff.next_needs),
    }
    if handoff.degraded:
        arguments["degraded"] = handoff.degraded
    return Action(
        tool=HAND_OFF,
        arguments=arguments,
        resource=f"task:{task.id}",
        verb=HAND_OFF,
        effect=EffectClass.IDEMPOTENT,
        says=words.hands_off(task.title),
    )


def digest_of(task: Task, handoff: Handoff) -> str:
    """What an approval of this handoff binds."""
    return action_digest(_action_of(task, handoff))


def review(task: Task, call: Call, team: Team, handoff: Handoff, why: str, now_ms: int) -> Inquiry | Failure | None:
    """The inquiry to open before this handoff goes on; None if it need not wait; a Failure if nobody may look at it."""
    needed = gates(team, team.roles[task.role])
    action = _action_of(task, handoff)
    digest = action_digest(action)
    if needed is None or digest == task.reviewed:
        return None
    panel = panel_of(team, needed, task.initiators, task.chain)
    if isinstance(panel, Failure):
        return panel
    return Inquiry(
        id=inquiry_of(call.id, call.generation),
        kind=Kind.REVIEW,
        task=task.id,
        root=task.root,
        call=call.id,
        generation=call.generation,
        role=task.role,
        chain=task.chain,
        initiators=task.initiators,
        label=panel.label,
        conversation=task.conversation,
        why=why,
        action=action,
        digest=digest,
        intent=intent_of(task.root, action.resource, action.verb),
        verbs=(Verb.APPROVE, Verb.DENY, Verb.ASK_BACK, Verb.VIEW),
        tier=needed.tier,
        gates=needed.reasons,
        stages=panel.stages,
        reason_required=needed.reason_required,
        approve_reason=needed.approve_reason,
        verified=needed.verified,
        policy=team.policy.version,
        asked_at_ms=now_ms,
        decide_by_ms=now_ms + needed.decide_ms,
        execute_ms=needed.execute_ms,
        at_deadline=needed.at_deadline,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def rejected(verdict: Verdict) -> Failure:
    """People said no to the whole of it: the task is over."""
    who = " and ".join(verdict.by) or "nobody"
    return Failure(
        what=f"the work was not accepted: {who} said no to its handoff",
        why=verdict.reason or "no reason was given",
        recovery="Do not hand the same on another way. A person can give new work, with what should be different.",
    )


def not_yet(verdict: Verdict) -> Failure:
    """Not a no: somebody asks something first, or took the request back."""
    return Failure(
        what="the handoff was not taken yet",
        why=verdict.reason or "the request was withdrawn",
        recovery="Answer that in your work, then hand off again: a person looks at it anew.",
    )
