"""Who may hand what to whom, how often, and how far (TEAM.md, The matrix in force). Nothing else can happen.

A refusal names what is allowed instead, so that the agent can go on; a loop goes to the supervisor of both, once.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.model.team import Team
from core.model.work import Brief, Failure, Round, Task
from core.rules.policy import word_in_brief

SAME_WORK = 0.5
"""Jaccard overlap of two objectives' words from which on they are the same work, reworded."""

_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The hand-over may be made. `rounds` is all of them, this one included: it replaces the task's, and the child
    gets the same. `gated`: the child's effects need a person.
    """

    hops: int
    rounds: tuple[Round, ...]
    gated: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """The same work has gone to and fro too often. `supervisor` None: people."""

    failure: Failure
    supervisor: str | None


def hand_over(team: Team, task: Task, target: str, brief: Brief) -> Allowed | Loop | Failure:
    """Whether the task's role may hand this brief to `target`."""
    refused = _outside_matrix(team, task.role, target, brief.kind) or incomplete(team, brief) or _too_far(team, task)
    if refused is not None:
        return refused
    now = Round(source=task.role, target=target, kind=brief.kind, objective=brief.objective)
    same = [earlier for earlier in task.rounds if same_work(earlier, now)]
    if len(same) >= team.rounds_max:
        return _loop(team, now, same)
    return Allowed(
        hops=task.hops + 1,
        rounds=(*task.rounds, now),
        gated=task.gated or brief.requires_approval or word_in_brief(team.policy, brief),
    )


def push_back(team: Team, task: Task) -> int | Failure:
    """The hops after asking back: questions count."""
    return _too_far(team, task) or task.hops + 1


def _outside_matrix(team: Team, source: str, target: str, kind: str) -> Failure | None:
    rows = [row for row in team.targets(source) if row.target in team.roles]
    kinds = [k for row in rows if row.target == target for k in row.kinds]
    if kind in kinds:
        return None
    why = (
        f"the matrix allows {source} > {target} only for {', '.join(kinds)}" if kinds else "the matrix has no such row"
    )
    allowed = "; ".join(f"{row.target} ({', '.join(row.kinds)})" for row in rows)
    return Failure(
        what=f"{source} may not hand {kind} to {target}",
        why=why,
        recovery=f"Hand it to one of: {allowed}" if allowed else "Do it yourself, or hand it back with what you need",
    )


def incomplete(team: Team, brief: Brief) -> Failure | None:
    """Why its kind does not take the brief as it is."""
    missing = [name for name in team.kinds.get(brief.kind, ()) if not brief.fields.get(name, "").strip()]
    if not missing:
        return None
    return Failure(
        what=f"the brief is not complete: a {brief.kind} needs {', '.join(missing)}",
        why="whoever gets it would have to ask back",
        recovery="Delegate again with these in `fields`; if you do not know them, find out first",
    )


def _too_far(team: Team, task: Task) -> Failure | None:
    if task.hops < team.hops_max:
        return None
    return Failure(
        what="this work has been passed on too often",
        why=f"it has made {task.hops} hops, questions included, and {team.hops_max} are the most",
        recovery="Finish with what is known, and name in the handoff what is missing",
    )


def same_work(one: Round, other: Round) -> bool:
    """The same kind between the same two, in either direction, in mostly the same words."""
    if {one.source, one.target} != {other.source, other.target} or one.kind != other.kind:
        return False
    a, b = (set(_WORD.findall(r.objective.casefold())) for r in (one, other))
    return len(a & b) >= SAME_WORK * len(a | b)


def _loop(team: Team, now: Round, same: list[Round]) -> Loop:
    supervisor = _supervisor(team, now.source, now.target)
    history = "; ".join(f"{r.source} > {r.target}: {r.objective}" for r in (*same, now))
    return Loop(
        failure=Failure(
            what=f"{now.source} and {now.target} hand the same work to and fro",
            why=f"{len(same)} rounds of it: {history}",
            recovery=f"{supervisor or 'a person'} decides: answer, adjust the brief, or give it to another role",
        ),
        supervisor=supervisor,
    )


def _supervisor(team: Team, one: str, other: str) -> str | None:
    """The first that both escalate to, `people` among them; where they name nobody in common, the nearest role both
    report to. None: a person.
    """
    named = (who for who in team.roles[one].escalates_to if who in team.roles[other].escalates_to)
    above = _above(team, other)
    nearest = next((role for role in _above(team, one) if role in above and role not in {one, other}), None)
    first = next((who for who in named if who not in {one, other}), nearest)
    return first if first in team.roles else None


def _above(team: Team, role: str) -> tuple[str, ...]:
    chain: list[str] = []
    at = team.roles[role].reports_to
    while at is not None and at in team.roles and at not in chain:
        chain.append(at)
        at = team.roles[at].reports_to
    return tuple(chain)
