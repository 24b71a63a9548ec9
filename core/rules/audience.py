"""Who could decide an inquiry by today's policy, whoever was asked first: the bound of what escalation and a delegate
may add. Those who asked for it, and those who changed it, are never among them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

import msgspec

from core.model.events import Conversation
from core.model.inquiries import Inquiry, Kind, Label
from core.model.team import Absence, StageRule, Team, TierRule
from core.rules.policy import entitled, rule_for, rule_sets, stages_or_one
from core.rules.quorum import sets_of, with_sets

_QUESTIONS = frozenset({Kind.CHOICE, Kind.QUESTION, Kind.FORM})


def could_decide(team: Team, inquiry: Inquiry, stage: int) -> tuple[frozenset[str], ...]:
    """By set of the stage. Where fewer people than the rule needs decide in one stage, everybody of the rule could."""
    sets = sets_of(inquiry.stages[stage])
    if inquiry.kind in _QUESTIONS:
        return (frozenset(p.id for p in team.people if p.may_ask),) * len(sets)
    rule = rule_for(team.policy, inquiry)
    stages = stages_or_one(rule)
    if _is_of_this_shape(inquiry, stages):
        meant = [entitled(team, one) for one in rule_sets(stages[stage])]
    else:
        meant = [tuple(p for s in stages for one in rule_sets(s) for p in entitled(team, one))] * len(sets)
    barred = _barred(inquiry, rule)
    return tuple(frozenset(people) - barred for people in meant)


def _is_of_this_shape(inquiry: Inquiry, rules: Sequence[StageRule]) -> bool:
    ours, today = [len(sets_of(s)) for s in inquiry.stages], [len(rule_sets(rule)) for rule in rules]
    return inquiry.label is Label.FULL and ours == today


def _barred(inquiry: Inquiry, rule: TierRule) -> frozenset[str]:
    asked = () if rule.allow_self else inquiry.initiators
    return frozenset((*asked, *inquiry.editors))


def in_private(
    inquiry: Inquiry,
    team: Team,
    directs: Mapping[str, Conversation],
    stand_ins: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Conversation, ...]:
    """The private places of everybody who may decide it, as far as they have one, and of those who may in the place of
    somebody absent (`stand_ins`: delegates by the absent). A question, which the whole team may answer, is put to those
    who asked for the work, if it was a person who did.
    """
    people = dict.fromkeys(p for stage in inquiry.stages for p in stage.eligible)
    asked = [p for p in people if p in inquiry.initiators] if inquiry.kind in _QUESTIONS else []
    instead = () if inquiry.kind in _QUESTIONS else _seated_instead(inquiry, team, stand_ins)
    return tuple(dict.fromkeys(directs[p] for p in (*(asked or people), *instead) if p in directs))


def _seated_instead(inquiry: Inquiry, team: Team, stand_ins: Mapping[str, str]) -> Iterator[str]:
    """Delegates who have a seat in some stage while somebody of it is away."""
    for n, stage in enumerate(inquiry.stages if stand_ins else ()):
        due = msgspec.structs.replace(inquiry, stage=n)
        for absent in stage.eligible:
            delegate = stand_ins.get(absent, "")
            if delegate and with_delegate(due, team, (absent,), delegate) is not due:
                yield delegate


def stood_for(inquiry: Inquiry, absences: Sequence[Absence], who: str, now_ms: int) -> tuple[str, ...]:
    """The absent who could decide the stage that is due, and whose delegate this person is."""
    mine = [one.person for one in absences if one.delegate == who and one.until_ms > now_ms]
    return tuple(person for person in mine if person in inquiry.stages[inquiry.stage].eligible)


def with_delegate(inquiry: Inquiry, team: Team, absent: Sequence[str], delegate: str) -> Inquiry:
    """The inquiry with the delegate in every set of the due stage that one of the absent is in and whose selector means
    the delegate as well; the same object if there is none, or they are in it already.
    """
    stage, could = inquiry.stages[inquiry.stage], could_decide(team, inquiry, inquiry.stage)
    seated = [
        (*one.eligible, delegate) if delegate in means and not set(absent).isdisjoint(one.eligible) else one.eligible
        for one, means in zip(sets_of(stage), could, strict=True)
    ]
    new = with_sets(stage, seated)
    if new.eligible == stage.eligible and new.sets == stage.sets:
        return inquiry
    stages = (*inquiry.stages[: inquiry.stage], new, *inquiry.stages[inquiry.stage + 1 :])
    return msgspec.structs.replace(inquiry, stages=stages)
