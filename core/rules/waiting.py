"""What happens by itself while an inquiry waits: reminders, and steps of an escalation (INQUIRIES.md, transition 4).

Laws of this file. Time decides nothing: it reminds, and it asks others. Whatever fell due while nobody looked is done
at once and said once: one reminder, and of several steps the newest. A step gives authority only to people whom the
policy's own selector means, and takes it from others only where enough are left to decide.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import msgspec

from core.model.events import Conversation
from core.model.inquiries import Inquiry, Label, Vote
from core.model.team import Absence, Escalation, EscalationStep, Policy, Team
from core.model.unit import InquiryRow
from core.rules.absence import awake_ms
from core.rules.audience import could_decide, in_private
from core.rules.decisions import Decision
from core.rules.policy import rule_for
from core.rules.quorum import sets_of, with_sets
from core.rules.transitions import move
from core.rules.votes import leaves_enough, needed

REMINDED_MS_MAX: Final = 7 * 86_400_000
"""What is overdue for longer is left to the inbox."""
_OWNERS: Final = Escalation(steps=(EscalationStep(after_ms=0, to=("owner",)),))
"""`escalate` without a policy of its own: the owners are asked, at the deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reminder:
    """What a reminder's time comes to. `people` are named in it, with nobody none is sent; `stands_for`: for whom
    somebody among them stands in. `due_ms`: look then.
    """

    decision: Decision
    people: tuple[str, ...] = ()
    stands_for: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    due_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Escalated:
    """What a step's time comes to. `called` are asked by the newest step, or instead of those before (`replaced`).
    `due_ms`: the next one's time.
    """

    decision: Decision
    called: tuple[str, ...] = ()
    replaced: bool = False
    due_ms: int | None = None


def _asked_at_ms(inquiry: Inquiry) -> int:
    return inquiry.asked_at_ms or inquiry.created_at_ms


def _stay(inquiry: Inquiry, now_ms: int, **changes: Any) -> Inquiry:
    """Transition 4; where nobody could be shown it yet, its state is left alone as well."""
    if inquiry.state.active:
        return move(inquiry, 4, inquiry.state, updated_at_ms=now_ms, **changes)
    return msgspec.structs.replace(inquiry, updated_at_ms=now_ms, **changes)


# --- Reminders --------------------------------------------------------------------------------------------------------


def reminder_due_ms(policy: Policy, inquiry: Inquiry) -> int | None:
    """When the next reminder falls due; None if there is none."""
    times = rule_for(policy, inquiry).remind_ms
    return _asked_at_ms(inquiry) + times[inquiry.reminded_n] if inquiry.reminded_n < len(times) else None


def remind(row: InquiryRow, team: Team, absences: Sequence[Absence], now_ms: int) -> Reminder:
    """Say that it still waits, to those who are needed and awake; wait for the first of them if nobody is."""
    inquiry, nothing = row.inquiry, Decision(inquiry=row.inquiry)
    due_ms = reminder_due_ms(team.policy, inquiry)
    if inquiry.state.final or due_ms is None or _is_long_overdue(inquiry, now_ms):
        return Reminder(decision=nothing)
    if due_ms > now_ms:
        return Reminder(decision=nothing, due_ms=due_ms)
    if inquiry.snoozed_until_ms > now_ms:
        return Reminder(decision=nothing, due_ms=inquiry.snoozed_until_ms)
    awake = _awake(row, team, absences, now_ms)
    ready = tuple(who for who, at_ms in awake.items() if at_ms <= now_ms)
    if awake and not ready:
        return Reminder(decision=nothing, due_ms=min(awake.values()))
    past = sum(_asked_at_ms(inquiry) + t <= now_ms for t in rule_for(team.policy, inquiry).remind_ms)
    new = _stay(inquiry, now_ms, reminded_n=past)
    people = ready if inquiry.state.active else ()
    recorded = "inquiry.reminded" if people else ""
    decision = Decision(
        inquiry=new, transition=4, changed=True, recorded=recorded, detail={"people": list(people)} if people else {}
    )
    stands_for = _stand_ins(row, team, absences, now_ms)
    return Reminder(decision=decision, people=people, stands_for=stands_for, due_ms=reminder_due_ms(team.policy, new))


def _stand_ins(row: InquiryRow, team: Team, absences: Sequence[Absence], now_ms: int) -> dict[str, tuple[str, ...]]:
    """Of those who are needed and away: whom they have for a delegate. Who is needed themselves stands for nobody."""
    people = needed(row.inquiry, row.votes, team)
    away = [one for one in absences if one.until_ms > now_ms and one.person in people and one.delegate not in people]
    return {one.delegate: tuple(a.person for a in away if a.delegate == one.delegate) for one in away if one.delegate}


def _is_long_overdue(inquiry: Inquiry, now_ms: int) -> bool:
    return inquiry.decide_by_ms is not None and now_ms - inquiry.decide_by_ms > REMINDED_MS_MAX


def _awake(row: InquiryRow, team: Team, absences: Sequence[Absence], now_ms: int) -> dict[str, int]:
    """When each of those who are needed may be reminded. The absent may when they are back, their delegates now."""
    inquiry = row.inquiry
    away = {one.person: one for one in absences if one.until_ms > now_ms}
    people = needed(inquiry, row.votes, team)
    could = {p for people in could_decide(team, inquiry, inquiry.stage) for p in people} if people else set()
    voted = {vote.principal for vote in row.votes}
    delegates = [away[p].delegate for p in people if p in away and away[p].delegate in could - voted]
    awake = {}
    for who in dict.fromkeys((*people, *delegates)):
        person = team.person(who)
        if person is not None:
            back_ms = away[who].until_ms if who in away else now_ms
            awake[who] = awake_ms(person, max(now_ms, back_ms))
    return awake


# --- Escalation -------------------------------------------------------------------------------------------------------


def escalation_of(policy: Policy, inquiry: Inquiry) -> Escalation | None:
    """The steps of this inquiry, by today's policy."""
    named = policy.escalations.get(rule_for(policy, inquiry).escalation)
    return named or (_OWNERS if inquiry.at_deadline == "escalate" else None)


def step_due_ms(policy: Policy, inquiry: Inquiry, n: int) -> int | None:
    """When the n-th step, repeats counted on, falls due: from the deadline on where that is what escalates."""
    chosen = escalation_of(policy, inquiry)
    start_ms = inquiry.decide_by_ms if inquiry.at_deadline == "escalate" else _asked_at_ms(inquiry)
    if chosen is None or start_ms is None or n >= len(chosen.steps) * (1 + chosen.repeat_n):
        return None
    rounds, at = divmod(n, len(chosen.steps))
    return start_ms + rounds * chosen.steps[-1].after_ms + chosen.steps[at].after_ms


def escalate(
    row: InquiryRow,
    team: Team,
    now_ms: int,
    directs: Mapping[str, Conversation] = MappingProxyType({}),
    stand_ins: Mapping[str, str] = MappingProxyType({}),
) -> Escalated:
    """Take every step that is due, in order. `directs`, `stand_ins`: as the step's Env has them."""
    inquiry, nothing = row.inquiry, Decision(inquiry=row.inquiry)
    chosen, n = escalation_of(team.policy, inquiry), inquiry.escalated_n
    if inquiry.state.final or chosen is None:
        return Escalated(decision=nothing)
    new, steps, replaced = inquiry, [], False
    while (due_ms := step_due_ms(team.policy, inquiry, n)) is not None and due_ms <= now_ms:
        step = chosen.steps[n % len(chosen.steps)]
        new, replaced = _taken(new, row.votes, team, step, directs, stand_ins)
        steps.append({"step": n + 1, "to": list(step.to), "replaced": replaced})
        n += 1
    if not steps:
        return Escalated(decision=nothing, due_ms=due_ms)
    newest = chosen.steps[(n - 1) % len(chosen.steps)]
    changes = {"stages": new.stages, "places": new.places, "left": new.left, "escalated_n": n}
    decision = Decision(
        inquiry=_stay(inquiry, now_ms, **changes),
        transition=4,
        changed=True,
        recorded="inquiry.escalated",
        detail={"steps": steps, "shown": n},
    )
    return Escalated(decision=decision, called=called(team, newest), replaced=replaced, due_ms=due_ms)


def called(team: Team, step: EscalationStep) -> tuple[str, ...]:
    """The people of a step: by id, or by our role."""
    return tuple(p.id for p in team.people if p.id in step.to or p.role in step.to)


def _taken(
    inquiry: Inquiry,
    votes: tuple[Vote, ...],
    team: Team,
    step: EscalationStep,
    directs: Mapping[str, Conversation],
    stand_ins: Mapping[str, str],
) -> tuple[Inquiry, bool]:
    """The inquiry after one step, and whether it replaced the people asked before."""
    new, replaced = _called_in(inquiry, votes, team, step)
    to_each = step.direct or rule_for(team.policy, inquiry).direct
    alone = in_private(new, team, directs, stand_ins)
    private = alone if to_each else ()
    here = (*step.deliver, *private)
    more = tuple(place for place in dict.fromkeys(here) if place not in {new.conversation, *new.places})
    left = tuple(place for place in new.left if place not in here)
    if step.replace and (step.deliver or step.direct):
        left = tuple(place for place in new.places if place not in here)
    elif replaced:  # those who are asked no longer have nothing left to press
        gone = {directs[p] for p in directs if directs[p] not in alone}
        left = tuple(place for place in new.places if place in {*left, *gone})
    return msgspec.structs.replace(new, places=(*new.places, *more), left=left), replaced


def _called_in(inquiry: Inquiry, votes: tuple[Vote, ...], team: Team, step: EscalationStep) -> tuple[Inquiry, bool]:
    people = called(team, step)
    if not people or inquiry.label is Label.SINGLE:
        return inquiry, False
    if step.replace:
        instead = _asking(inquiry, votes, team, people, instead=True)
        if leaves_enough(instead, votes, team):
            return instead, True
    return _asking(inquiry, votes, team, people, instead=False), False


def _asking(inquiry: Inquiry, votes: tuple[Vote, ...], team: Team, people: Iterable[str], *, instead: bool) -> Inquiry:
    """With these people added to every set whose selector means them; or instead of everybody who has not voted."""
    stages = []
    for n, (stage, could) in enumerate((s, could_decide(team, inquiry, k)) for k, s in enumerate(inquiry.stages)):
        voted = {v.principal for v in votes if v.stage == n}
        asked = [
            (*(p for p in one.eligible if not instead or p in voted), *(p for p in people if p in means))
            for one, means in zip(sets_of(stage), could, strict=True)
        ]
        stages.append(with_sets(stage, asked))
    return msgspec.structs.replace(inquiry, stages=tuple(stages))
