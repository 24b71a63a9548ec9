"""Sets of people, each of which must say yes with so many, and people who count for one set only.

Law of this file: whether sets are filled is asked of a maximum matching, made anew from the people every time. So it
does not matter who spoke first, and nobody is counted where somebody else is needed more.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

import msgspec

from core.model.inquiries import Quorum, Stage

Group = tuple[Collection[str], int]
"""Whoever may fill it, and how many it takes."""


def sets_of(stage: Stage) -> tuple[Quorum, ...]:
    """The sets of a stage; the short form is one."""
    return stage.sets or (Quorum(eligible=stage.eligible, approve_n=stage.approve_n),)


def stage_of(sets: Sequence[Quorum], *, deny_n: int) -> Stage:
    """A stage of these sets; one alone is the short form."""
    eligible = tuple(dict.fromkeys(p for one in sets for p in one.eligible))
    several = tuple(sets) if len(sets) > 1 else ()
    return Stage(eligible=eligible, approve_n=sum(one.approve_n for one in sets), deny_n=deny_n, sets=several)


def with_sets(stage: Stage, eligible: Sequence[Iterable[str]]) -> Stage:
    """The same stage with other people in its sets, as many denials as there are people to deny at most."""
    sets = tuple(
        Quorum(eligible=tuple(dict.fromkeys(people)), approve_n=one.approve_n)
        for one, people in zip(sets_of(stage), eligible, strict=True)
    )
    new = stage_of(sets, deny_n=stage.deny_n)
    return msgspec.structs.replace(new, disjoint=stage.disjoint, deny_n=max(1, min(stage.deny_n, len(new.eligible))))


def without(stage: Stage, person: str) -> Stage:
    """The same stage, and this person decides nothing in it."""
    return with_sets(stage, [[p for p in one.eligible if p != person] for one in sets_of(stage)])


def seated(groups: Sequence[Group], people: Iterable[str]) -> tuple[tuple[str, ...], ...]:
    """Who fills which group when as many seats as can be are taken, each person at most one."""
    seats: list[list[str]] = [[] for _ in groups]

    def seat(person: str, tried: set[int]) -> bool:
        for n, (who, size) in enumerate(groups):
            if n in tried or person not in who:
                continue
            tried.add(n)
            if len(seats[n]) < size:
                seats[n].append(person)
                return True
            for at, sitting in enumerate(seats[n]):
                if seat(sitting, tried):
                    seats[n][at] = person
                    return True
        return False

    for person in dict.fromkeys(people):
        seat(person, set())
    return tuple(tuple(one) for one in seats)


def can_fill(groups: Sequence[Group]) -> bool:
    """Whether different people could fill them all."""
    if any(size > len(set(who)) for who, size in groups):
        return False
    found = seated(groups, sorted({p for who, _ in groups for p in who}))
    return all(len(sitting) >= size for sitting, (_, size) in zip(found, groups, strict=True))


def groups_of(stage: Stage) -> list[Group]:
    """The sets of a stage, to be filled."""
    return [(frozenset(one.eligible), one.approve_n) for one in sets_of(stage)]


def is_met(stage: Stage, approvers: Iterable[str]) -> bool:
    """Whether these people fill every set of the stage."""
    groups = groups_of(stage)
    found = seated(groups, approvers)
    return all(len(sitting) >= size for sitting, (_, size) in zip(found, groups, strict=True))
