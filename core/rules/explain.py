"""What would happen to a call, and why, in words. Nothing is asked and nothing is done.

Law of this file: it decides nothing. The call is taken up by the very function that takes up an agent's (`open_calls`),
for a task that is made for the purpose, and what that function decided is put into words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from core.model.effects import AskHuman, Delegate, GiveOver
from core.model.events import Conversation
from core.model.ids import TaskId
from core.model.inquiries import Inquiry, Kind, Label, Stage
from core.model.team import EscalationStep, Json, Person, Team
from core.model.work import Brief, Reply, Task, ToolUse
from core.rules import telling, words
from core.rules.actions import Act
from core.rules.calls import open_calls
from core.rules.policy import allowed_by, gates_of, rule_for, rule_of
from core.rules.quorum import sets_of
from core.rules.step import Env
from core.rules.text import human_duration
from core.rules.views import names_of, title_of, title_of_inquiry, visible
from core.rules.waiting import escalation_of

_ORIGIN = Conversation(platform="origin", account="", channel="")
_TASK = TaskId("t-000000000000")


def explain(
    team: Team,
    role: str,
    tool: str,
    arguments: Json,
    *,
    asked_by: str = "",
    fingerprints: Mapping[str, str],
    now_ms: int = 0,
) -> tuple[str, ...]:
    """Line by line. `asked_by` "" is nobody in person, as when a schedule asks. `fingerprints` as in the step's Env.
    `now_ms`: when it would happen, for what is allowed for good until a day; at 0 nothing is.
    Raises KeyError for a role the team does not have.
    """
    task = _task(team, role, asked_by)
    env = Env(now_ms=now_ms, team=team, fingerprints=fingerprints)
    use = ToolUse(id="explained", name=tool, arguments=arguments)
    out = open_calls(task, Reply(uses=(use,)), team, env, 0)
    lines = []
    for failure in (result.failure for _, result in out.settled if result.failure):
        lines += [telling.explain_refused(failure.what), telling.explain_why(failure.why)]
        lines.append(telling.explain_remedy(failure.recovery))
    for _, act, _grant in out.acts:
        lines += _at_once(team, role, act, now_ms)
    for effect in out.effects:
        match effect:
            case AskHuman(inquiry=inquiry) if inquiry.kind is Kind.APPROVAL:
                lines += _asked(team, inquiry)
            case AskHuman(inquiry=inquiry):
                lines.append(telling.explain_question(names_of(team, inquiry.stages[0].eligible)))
            case Delegate():
                lines.append(telling.explain_delegates(title_of(team, effect.role)))
            case GiveOver():
                lines.append(telling.explain_given_over(title_of(team, effect.role), effect.why))
            case _:  # pragma: no cover - a task that was just made has no child to answer
                lines.append(telling.EXPLAIN_NO_PERSON)
    if out.ending is not None:
        lines.append(telling.EXPLAIN_ENDS)
    return tuple(map(visible, lines))


def _task(team: Team, role: str, asked_by: str) -> Task:
    """As if the request had come down the reporting lines."""
    chain: list[str] = []
    above = team.roles[role].reports_to
    while above is not None and above in team.roles and above not in chain:
        chain.insert(0, above)
        above = team.roles[above].reports_to
    return Task(
        id=_TASK,
        root=_TASK,
        role=role,
        depth=len(chain),
        title="",
        brief=Brief(objective=words.SOMETHING),
        conversation=_ORIGIN,
        asked_by=asked_by,
        initiators=(asked_by,) if asked_by else (),
        chain=tuple(chain),
        definition=team.version,
        created_at_ms=0,
        updated_at_ms=0,
    )


def _at_once(team: Team, role: str, act: Act, now_ms: int) -> Iterator[str]:
    yield telling.explain_at_once(act.action.says)
    allowed = allowed_by(team.policy, role, act, now_ms)
    if allowed is not None and rule_of(team.policy, act.tier).stages:
        yield telling.explain_allowed(human_duration(allowed.until_ms - now_ms))
    else:
        yield telling.explain_free(act.tier.value)
    for gated, untrusted in ((True, False), (False, True)):
        gates = gates_of(team, role, act, gated=gated, untrusted=untrusted, now_ms=now_ms)
        if gates is not None:
            yield telling.explain_unless("; ".join(gates.reasons))


def _asked(team: Team, inquiry: Inquiry) -> Iterator[str]:
    action, rule = inquiry.action, rule_for(team.policy, inquiry)
    yield telling.explain_asks(title_of_inquiry(inquiry, team))
    yield action.says if action else inquiry.question
    yield telling.explain_tier(inquiry.tier.value)
    yield from map(telling.explain_because, inquiry.gates)
    yield telling.EXPLAIN_LABELS[inquiry.label]
    for n, stage in enumerate(inquiry.stages, 1):
        for one in sets_of(stage):
            yield telling.explain_stage(n, len(inquiry.stages), one.approve_n, names_of(team, one.eligible))
        yield telling.explain_denials(stage.deny_n)
    for person in team.people:
        if why := _why_not(person, inquiry):
            yield telling.explain_may_not(person.name, why)
    if rule.override:
        yield telling.EXPLAIN_OVERRIDE
    yield from _conditions(inquiry)
    yield telling.explain_shown((*map(_place, rule.deliver), *_each(direct=rule.direct)))
    yield from _times(team, inquiry)


def _why_not(person: Person, inquiry: Inquiry) -> str:
    """Why somebody decides no stage of it; "" if they decide one."""
    if any(person.id in stage.eligible for stage in inquiry.stages):
        return ""
    if not person.may_approve:
        return telling.explain_role(person.role)
    return telling.EXPLAIN_ASKED if person.id in inquiry.initiators else telling.EXPLAIN_NOT_NAMED


def _conditions(inquiry: Inquiry) -> Iterator[str]:
    if inquiry.verified:
        yield telling.EXPLAIN_VERIFIED
    if inquiry.reason_required:
        yield telling.EXPLAIN_DENY_REASON
    if inquiry.approve_reason:
        yield telling.EXPLAIN_APPROVE_REASON
    if _are_other_people(inquiry.stages) and inquiry.label is Label.FULL:
        yield telling.EXPLAIN_OTHERS


def _are_other_people(stages: tuple[Stage, ...]) -> bool:
    return len(stages) > 1 and all(stage.disjoint for stage in stages)


def _times(team: Team, inquiry: Inquiry) -> Iterator[str]:
    rule = rule_for(team.policy, inquiry)
    for after_ms in rule.remind_ms:
        yield telling.explain_reminder(human_duration(after_ms))
    inbox = telling.explain_inbox(_place(team.policy.inbox)) if team.policy.inbox else ""
    ends = {"deny": telling.EXPLAIN_DENIED, "escalate": telling.EXPLAIN_ESCALATES}
    at_deadline = ends.get(inquiry.at_deadline, telling.EXPLAIN_OVERDUE)
    yield telling.explain_deadline(
        human_duration((inquiry.decide_by_ms or 0) - inquiry.created_at_ms), at_deadline, inbox
    )
    escalation = escalation_of(team.policy, inquiry)
    for step in escalation.steps if escalation else ():
        yield _step(step, from_deadline=inquiry.at_deadline == "escalate")
    if escalation is not None and escalation.repeat_n:
        yield telling.explain_repeats(escalation.repeat_n)
    yield telling.explain_grant(human_duration(inquiry.execute_ms), inquiry.digest)
    if rule.bounded is not None and inquiry.kind is Kind.APPROVAL:
        yield telling.explain_bounded(rule.bounded.count_max, f"{rule.bounded.hours_max:g}")


def _step(step: EscalationStep, *, from_deadline: bool) -> str:
    whom = ", ".join((*step.to, *map(_place, step.deliver), *_each(direct=step.direct))) or words.NOBODY
    after = human_duration(step.after_ms) if step.after_ms else ""
    return telling.explain_step(after, whom, from_deadline=from_deadline, replaces=step.replace)


def _each(*, direct: bool) -> tuple[str, ...]:
    return (telling.EXPLAIN_DIRECT,) if direct else ()


def _place(place: Conversation) -> str:
    """As team.yaml spells it."""
    thread = f"/{place.thread}" if place.thread else ""
    return f"{place.platform}:{place.account}/{place.channel}{thread}"
