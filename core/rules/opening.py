"""How an inquiry starts: what is asked, of whom, until when. Everything a decision needs is frozen into it here.

New inquiries are `created` with version 0; whoever commits one gives it its version, its showing and its timer
(transition 1).
"""

from __future__ import annotations

import msgspec

from core.model.ids import CallId, inquiry_of
from core.model.inquiries import Action, DeliveryState, Inquiry, InquiryState, Kind, Label, Stage, Verb
from core.model.team import Json, Team, Tier
from core.model.work import Failure, Task
from core.rules.actions import RUN_COMMAND, Act, act_of
from core.rules.canonical import intent_of
from core.rules.policy import DAY_MS, DEFAULT_TIERS, Gates, Panel, gates_of, panel_of, required_n
from core.rules.transitions import move
from core.rules.values import holds_secret

OPTIONS_MAX = 25
"""What the narrowest platform can draw as buttons or in a list."""


def approval(
    *,
    call: CallId,
    generation: int,
    task: Task,
    act: Act,
    gates: Gates,
    panel: Panel,
    schema: dict[str, Json] | None,
    why: str,
    digest: str,
    policy_version: str,
    now_ms: int,
) -> Inquiry:
    """Ask whether an act may be done. `schema` is that of the tool's arguments; `why` are the agent's own words."""
    editable = _editable(act.action, schema)
    edit = (Verb.EDIT,) if editable else ()
    return Inquiry(
        id=inquiry_of(call, generation),
        kind=Kind.APPROVAL,
        task=task.id,
        root=task.root,
        call=call,
        generation=generation,
        role=task.role,
        chain=task.chain,
        initiators=task.initiators,
        label=panel.label,
        conversation=task.conversation,
        why=why,
        action=act.action,
        digest=digest,
        intent=intent_of(task.root, act.action.resource, act.action.verb),
        schema=schema,
        verbs=(Verb.APPROVE, Verb.DENY, *edit, Verb.ASK_BACK, Verb.VIEW),
        editable=editable,
        tier=gates.tier,
        gates=gates.reasons,
        stages=panel.stages,
        reason_required=gates.reason_required,
        approve_reason=gates.approve_reason,
        verified=gates.verified,
        policy=policy_version,
        decide_by_ms=now_ms + gates.decide_ms,
        execute_ms=gates.execute_ms,
        at_deadline=gates.at_deadline,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def question(
    *,
    call: CallId,
    generation: int,
    task: Task,
    kind: Kind,
    text: str,
    options: tuple[str, ...],
    why: str,
    team: Team,
    now_ms: int,
) -> Inquiry | Failure:
    """Ask people something. Everybody who may give work may answer, the one who asked first of all; one answer is
    enough. A form's options are the names of its fields.
    """
    wrong = _unaskable(kind, text, options)
    people = tuple(p.id for p in team.people if p.may_ask)
    if not wrong and not people:
        wrong = "nobody in team.yaml may answer"
    if wrong:
        return Failure(what="the question was not asked", why=wrong, recovery="Mend it, or go on without an answer.")
    fields: dict[str, Json] = {name: {"type": "string", "minLength": 1} for name in options}
    form: dict[str, Json] = {
        "type": "object",
        "properties": fields,
        "required": list(options),
        "additionalProperties": False,
    }
    return Inquiry(
        id=inquiry_of(call, generation),
        kind=kind,
        task=task.id,
        root=task.root,
        call=call,
        generation=generation,
        role=task.role,
        chain=task.chain,
        initiators=task.initiators,
        conversation=task.conversation,
        question=text,
        why=why,
        options=options if kind is Kind.CHOICE else (),
        schema=form if kind is Kind.FORM else None,
        verbs=(Verb.ANSWER, Verb.DISMISS),
        stages=(Stage(eligible=people, approve_n=1),),
        policy=team.policy.version,
        decide_by_ms=now_ms + DAY_MS,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def _unaskable(kind: Kind, text: str, options: tuple[str, ...]) -> str:
    if kind not in {Kind.CHOICE, Kind.QUESTION, Kind.FORM}:
        return f"{kind.value} is not a question"
    if not text.strip():
        return "it has no text"
    if kind is Kind.QUESTION:
        return ""
    if not options or any(not option.strip() for option in options) or len(set(options)) < len(options):
        return "its options must be different texts"
    return f"it has more than {OPTIONS_MAX} options" if len(options) > OPTIONS_MAX else ""


def reconcile(
    *,
    call: CallId,
    generation: int,
    task: Task,
    original: Inquiry | None,
    act_says: str,
    action: Action,
    digest: str,
    team: Team,
    now_ms: int,
) -> Inquiry:
    """Ask what became of an action that was started and left no outcome (transition 18). Running it again needs what
    the original needed; where there was none, what the policy asks today, and one approver at least.
    """
    gates = _gates_again(team, task, original, action)
    panel = _panel_again(team, task, original, gates)
    return Inquiry(
        id=inquiry_of(call, generation),
        kind=Kind.RECONCILE,
        task=task.id,
        root=task.root,
        call=call,
        generation=generation,
        role=task.role,
        chain=task.chain,
        initiators=task.initiators,
        label=panel.label,
        conversation=task.conversation,
        question=act_says,
        action=action,
        digest=digest,
        intent=intent_of(task.root, action.resource, action.verb),
        verbs=(Verb.HAPPENED, Verb.RERUN, Verb.GIVE_UP, Verb.VIEW),
        tier=gates.tier,
        gates=("it was started, and nobody can know what became of it", *gates.reasons),
        stages=panel.stages,
        verified=gates.verified,
        policy=team.policy.version,
        decide_by_ms=now_ms + gates.decide_ms,
        execute_ms=gates.execute_ms,
        supersedes=original.id if original else None,
        created_at_ms=now_ms,
        updated_at_ms=now_ms,
    )


def _gates_again(team: Team, task: Task, original: Inquiry | None, action: Action) -> Gates:
    names = {action.verb: action.fingerprint, action.tool: action.fingerprint}
    act = act_of(team, task.role, action.tool, action.arguments, names)
    gates = None
    if not isinstance(act, Failure):
        gates = gates_of(team, task.role, act, gated=task.gated, untrusted=task.untrusted)
    rule = DEFAULT_TIERS[Tier.EXTERNAL.value]
    tier = act.tier if not isinstance(act, Failure) else Tier.INFRASTRUCTURE
    return Gates(
        tier=original.tier if original else tier,
        stages=gates.stages if gates else rule.stages,
        decide_ms=gates.decide_ms if gates else rule.decide_ms,
        execute_ms=original.execute_ms if original else gates.execute_ms if gates else rule.execute_ms,
        at_deadline="queue",  # a deadline must not decide what happened
        reasons=original.gates if original else gates.reasons if gates else (),
        verified=original.verified if original else bool(gates and gates.verified),
        reason_required=False,
        allow_self=bool(gates and gates.allow_self),
    )


def _panel_again(team: Team, task: Task, original: Inquiry | None, gates: Gates) -> Panel:
    if original is not None:
        return Panel(label=original.label, stages=original.stages)
    panel = panel_of(team, gates, task.initiators, task.chain)
    if isinstance(panel, Failure):
        # Somebody has to say what happened, and the action was let through once without anybody: all who may approve,
        # those who asked too. An empty list fails closed: it waits in the inbox until it is withdrawn.
        everybody = tuple(p.id for p in team.people if p.may_approve)
        alone = Stage(eligible=everybody, approve_n=max(1, min(required_n(gates.stages), len(everybody))))
        return Panel(label=Label.REDUCED, stages=(alone,))
    return panel


def shown(inquiry: Inquiry, outcome: DeliveryState, now_ms: int) -> Inquiry:
    """What a delivery's outcome means for its inquiry (transitions 2 and 3); the same object if nothing."""
    state = inquiry.state
    waits = state in {InquiryState.CREATED, InquiryState.UNDELIVERABLE}
    if waits and outcome in {DeliveryState.POSTED, DeliveryState.UNKNOWN}:
        return opened(inquiry, now_ms)
    if state is InquiryState.CREATED and outcome in {DeliveryState.FAILED, DeliveryState.GONE}:
        return move(inquiry, 3, InquiryState.UNDELIVERABLE, updated_at_ms=now_ms)
    return inquiry


def opened(inquiry: Inquiry, now_ms: int) -> Inquiry:
    """Transition 2; shown only after its deadline, it is overdue at once."""
    late = inquiry.decide_by_ms is not None and inquiry.decide_by_ms <= now_ms
    return move(inquiry, 2, InquiryState.OPEN, overdue=inquiry.overdue or late, updated_at_ms=now_ms)


def asked_anew(inquiry: Inquiry, now_ms: int) -> Inquiry:
    """Another revision waits from the beginning: its reminders and its escalation, too."""
    return msgspec.structs.replace(
        inquiry,
        asked_at_ms=now_ms,
        reminded_n=0,
        escalated_n=0,
        extended_ms=0,
        snoozed_until_ms=0,
        left=(),
    )


def _editable(action: Action, schema: dict[str, Json] | None) -> tuple[str, ...]:
    """Paths a person may change. Which command is run is not one of them: that would be another action. Nor is a
    secret: nobody can judge what they are not shown.
    """
    if action.tool == RUN_COMMAND:
        paths = {f"args.{name}": value for name, value in action.arguments.get("args", {}).items()}
    else:
        paths = {**dict.fromkeys((schema or {}).get("properties", {})), **action.arguments}
    return tuple(path for path in sorted(paths) if not holds_secret(paths[path], path, action.secrets))
