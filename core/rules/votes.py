"""Counting votes. The count is made anew from the votes every time, so it cannot drift from them.

A vote counts while its voter may still approve and was eligible for its stage. One that is only kept, because nobody
could tell its voter's standing, approves nothing; as a denial it counts, because that is the safe side. The stage due
is the first whose quorum is not met: a vote taken back in an earlier stage reopens that one, and later votes wait.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from core.model.inquiries import Inquiry, InquiryState, Kind, Label, Quorum, Stage, Verb, Vote
from core.model.team import Team
from core.rules.audience import could_decide
from core.rules.quorum import can_fill, groups_of, is_met, seated, sets_of
from core.rules.words import in_place_of

APPROVING = frozenset({Verb.APPROVE, Verb.RERUN})
NAMES_MAX = 5
"""More names than this are counted, not listed: the line must fit a card."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """`stage` is the first that is not met; None if all are. `by` approved, `denied_by` denied the stage that is due,
    `any_first` says whether anybody has voted in the first stage.
    """

    stage: int | None
    by: tuple[str, ...]
    denied_by: tuple[str, ...]
    any_first: bool

    @property
    def state(self) -> InquiryState:
        """Where an inquiry with these votes is, if they do not decide it."""
        if self.stage:
            return InquiryState.IN_REVIEW
        return InquiryState.COLLECTING if self.any_first else InquiryState.OPEN


def count(inquiry: Inquiry, votes: Iterable[Vote], team: Team) -> Count:
    """Count the active votes of this revision."""
    valid = [vote for vote in votes if _valid(inquiry, vote, team)]
    by: list[str] = []
    due: int | None = None
    for n, stage in enumerate(inquiry.stages):
        approved = _approvers(valid, n)
        by.extend(p for p in approved if p not in by)
        if not is_met(stage, approved):
            due = n
            break
    at = inquiry.stage if due is None else due
    denied = dict.fromkeys(v.principal for v in valid if v.stage in {at, inquiry.stage} and v.verb is Verb.DENY)
    return Count(stage=due, by=tuple(by), denied_by=tuple(denied), any_first=any(v.stage == 0 for v in valid))


def denied(inquiry: Inquiry, counted: Count) -> bool:
    """Whether the deny threshold of the stage that was being decided is reached. Denials win over approvals."""
    return len(counted.denied_by) >= inquiry.stages[inquiry.stage].deny_n


def own_vote(inquiry: Inquiry, votes: Iterable[Vote], principal: str, stage: int) -> Vote | None:
    """The active vote of this person in this stage."""
    return next(
        (
            v
            for v in votes
            if v.active and v.principal == principal and v.stage == stage and v.revision == inquiry.revision
        ),
        None,
    )


def voted_elsewhere(inquiry: Inquiry, votes: Iterable[Vote], principal: str) -> bool:
    """Whether this person approved another stage, and the two must be different people."""
    return any(
        v.active
        and v.revision == inquiry.revision
        and v.principal == principal
        and v.verb in APPROVING
        and v.stage != inquiry.stage
        and inquiry.stages[max(v.stage, inquiry.stage)].disjoint
        for v in votes
    )


def leaves_enough(inquiry: Inquiry, votes: Iterable[Vote], team: Team) -> bool:
    """Whether people are left for everything that is still due. Else the last seat could never be filled."""
    valid = [vote for vote in votes if _valid(inquiry, vote, team)]
    taken = {vote.principal for vote in valid if vote.verb in APPROVING}
    due = []
    for n, stage in enumerate(inquiry.stages):
        mine = set(_approvers(valid, n))
        if stage.disjoint and not is_met(stage, mine):
            due += [(set(who) - (taken - mine), size) for who, size in groups_of(stage)]
    return can_fill(due)


def _approvers(votes: Iterable[Vote], stage: int) -> list[str]:
    return list(dict.fromkeys(v.principal for v in votes if v.stage == stage and v.verb in APPROVING))


def _valid(inquiry: Inquiry, vote: Vote, team: Team) -> bool:
    if not vote.active or vote.revision != inquiry.revision or vote.stage >= len(inquiry.stages):
        return False
    if not vote.checked and vote.verb is not Verb.DENY:
        return False
    person = team.person(vote.principal)
    return person is not None and person.may_approve and person.id in inquiry.stages[vote.stage].eligible


# --- In words -------------------------------------------------------------------------------------------------------


def needs_of(
    inquiry: Inquiry, votes: tuple[Vote, ...], team: Team, stand_ins: Mapping[str, str] = MappingProxyType({})
) -> str:
    """What is still needed, for whoever reads it: `1 of 2: Bob or Carol, then 1 more; not You (asked)`. The first
    number is how many are missing, the second how many could. "" when nothing is. `stand_ins`: delegates by the absent;
    one who may is among those who could, as in `Bob (for Ana)`.
    """
    if inquiry.state.final or not inquiry.stages:
        return ""
    if inquiry.kind in {Kind.CHOICE, Kind.QUESTION, Kind.FORM, Kind.RECONCILE} and not votes:
        return f"an answer from {_either(inquiry.stages[0].eligible, team)}"
    if inquiry.label is Label.SINGLE:
        presses = "one more press" if inquiry.pressed_once else "two presses"
        return f"{presses} by {_either(inquiry.stages[0].eligible, team)}"
    counted = count(inquiry, votes, team)
    at = inquiry.stage if counted.stage is None else counted.stage
    stage = inquiry.stages[at]
    valid = [vote for vote in votes if _valid(inquiry, vote, team)]
    voted = _approvers(valid, at)
    gone = set(counted.by) if stage.disjoint else set(voted)
    words = "; and ".join(
        f"{missing} of {len(left)}: {_either(left, team, for_whom)}"
        for missing, left, for_whom in (
            (missing, *_with_stand_ins(inquiry, at, left, gone, team, stand_ins))
            for missing, left in _missing(stage, voted, gone)
        )
    )
    later = sum(s.approve_n for s in inquiry.stages[at + 1 :])
    if later:
        words += f", then {later} more"
    asked = tuple(p for p in inquiry.initiators if all(p not in s.eligible for s in inquiry.stages))
    return f"{words}; not {_either(asked, team)} (asked)" if asked else words


def _with_stand_ins(
    inquiry: Inquiry, at: int, people: tuple[str, ...], gone: set[str], team: Team, stand_ins: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Of one set: these people and the delegates of the absent among them, and for whom each of those stands."""
    for_whom: dict[str, str] = {}
    for absent in people if stand_ins else ():
        delegate = stand_ins.get(absent, "")
        if delegate in {*people, *gone} or not delegate:
            continue
        means = [could for one, could in _sets(inquiry, at, team) if absent in one.eligible]
        if any(delegate in could for could in means):
            for_whom.setdefault(delegate, absent)
    return (*people, *for_whom), for_whom


def _sets(inquiry: Inquiry, at: int, team: Team) -> Iterator[tuple[Quorum, frozenset[str]]]:
    return zip(sets_of(inquiry.stages[at]), could_decide(team, inquiry, at), strict=True)


def _missing(stage: Stage, voted: list[str], gone: set[str]) -> list[tuple[int, tuple[str, ...]]]:
    """How many of whom each set still needs; of a stage that is met, its first."""
    groups = groups_of(stage)
    rows = [
        (size - len(sitting), tuple(p for p in one.eligible if p not in gone))
        for one, (_, size), sitting in zip(sets_of(stage), groups, seated(groups, voted), strict=True)
    ]
    return [row for row in rows if row[0]] or rows[:1]


def needed(inquiry: Inquiry, votes: tuple[Vote, ...], team: Team) -> tuple[str, ...]:
    """Who could bring it further now: of the stage that is due, those whose set has a place left."""
    if inquiry.state.final or not inquiry.stages:
        return ()
    counted = count(inquiry, votes, team)
    at = inquiry.stage if counted.stage is None else counted.stage
    stage = inquiry.stages[at]
    voted = _approvers([vote for vote in votes if _valid(inquiry, vote, team)], at)
    gone = set(counted.by) if stage.disjoint else set(voted)
    return tuple(dict.fromkeys(p for _, left in _missing(stage, voted, gone) for p in left))


def names_of(people: Iterable[str], team: Team) -> tuple[str, ...]:
    """People's names; an id whose person has left stands for itself."""
    found = ((p, team.person(p)) for p in people)
    return tuple(person.name if person else p for p, person in found)


def _either(people: tuple[str, ...], team: Team, for_whom: Mapping[str, str] = MappingProxyType({})) -> str:
    names = names_of(people, team)
    whom = names_of([for_whom.get(p, "") for p in people], team)
    names = tuple(in_place_of(name, absent) if absent else name for name, absent in zip(names, whom, strict=True))
    if len(names) > NAMES_MAX:
        names = (*names[: NAMES_MAX - 1], f"{len(names) - NAMES_MAX + 1} others")
    if len(names) < 2:
        return names[0] if names else "nobody"
    return f"{', '.join(names[:-1])} or {names[-1]}"
