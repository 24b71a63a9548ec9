"""However roles hand work about, hops are bounded and nothing goes where no row leads."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core.model.work import Brief, Failure
from core.rules.delegation import Allowed, Loop, hand_over
from tests.rules_kit import task, team

TEAM = team()
ROLES = st.sampled_from([*TEAM.roles, "ghost"])
KINDS = st.sampled_from(["request", "deployment", "test", "bug", "question", "nonsense"])


@given(st.lists(st.tuples(ROLES, KINDS, st.text(max_size=8)), max_size=12), st.sampled_from([*TEAM.roles]))
def test_depth_and_matrix_hold(steps, start):
    at = task(start)
    for target, kind, objective in steps:
        answer = hand_over(TEAM, at, target, Brief(objective=objective, kind=kind))
        if isinstance(answer, Allowed):
            assert any(r.source == at.role and r.target == target and kind in r.kinds for r in TEAM.matrix)
            assert answer.hops <= TEAM.hops_max
            at = msgspec.structs.replace(at, role=target, hops=answer.hops, rounds=answer.rounds)
        else:
            assert isinstance(answer, Loop | Failure)
