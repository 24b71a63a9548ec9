"""The matrix, the hops, the loops."""

import msgspec
import pytest

from core.model.work import Brief, Failure, Round
from core.rules.delegation import Allowed, Loop, hand_over, push_back
from tests.rules_kit import task, team

TEAM = team()
SHIP = Brief(objective="Put the new landing page online", kind="deployment")


def rounds(*objectives, source="cto", target="devops", kind="deployment"):
    return tuple(Round(source=source, target=target, kind=kind, objective=o) for o in objectives)


def test_an_allowed_hand_over_counts_its_hop_and_its_round():
    first = rounds("Something else")
    assert hand_over(TEAM, task("cto", hops=1, rounds=first), "devops", SHIP) == Allowed(
        hops=2, rounds=first + rounds(SHIP.objective), gated=False
    )


@pytest.mark.parametrize(
    ("brief", "gated"),
    [
        (Brief(objective="x", kind="deployment", requires_approval=True), False),
        (Brief(objective="DEPLOY it", kind="deployment"), False),
        (Brief(objective="x", kind="deployment", limits="not in Production"), False),
        (Brief(objective="x", kind="deployment"), True),
    ],
)
def test_case_22_a_gate_in_the_brief_or_above_gates_the_child(brief, gated):
    assert hand_over(TEAM, task("cto", gated=gated), "devops", brief).gated


@pytest.mark.parametrize(
    ("role", "target", "kind", "why", "recovery"),
    [
        ("devops", "cto", "deployment", "the matrix has no such row", "Hand it to one of: qa (test)"),
        ("cto", "devops", "test", "only for deployment", "devops (deployment); ceo (question)"),
        ("ceo", "ghost", "request", "no such row", "cto (request, incident)"),
    ],
)
def test_case_18_what_no_row_allows_comes_back_with_what_one_does(role, target, kind, why, recovery):
    failure = hand_over(TEAM, task(role), target, Brief(objective="x", kind=kind))
    assert isinstance(failure, Failure)
    assert why in failure.why
    assert recovery in failure.recovery


def test_a_role_without_rows_is_told_to_do_it_itself():
    alone = msgspec.structs.replace(TEAM, matrix=())
    assert "Do it yourself" in hand_over(alone, task("cto"), "devops", SHIP).recovery


def test_four_hops_pass_and_the_fifth_comes_back():
    assert hand_over(TEAM, task("cto", hops=3), "devops", SHIP).hops == 4
    assert "4 hops" in hand_over(TEAM, task("cto", hops=4), "devops", SHIP).why
    assert push_back(TEAM, task(hops=3)) == 4
    assert isinstance(push_back(TEAM, task(hops=4)), Failure)


def test_three_rounds_of_the_same_work_are_a_loop_for_the_supervisor_of_both():
    said = rounds("run the test of the page", "Run the test of the page!", "run test of page")
    back = msgspec.structs.replace(said[1], source="qa", target="devops", kind="test")
    history = (*(msgspec.structs.replace(r, source="devops", target="qa", kind="test") for r in said[:2]), back)
    brief = Brief(objective="run the test of the page", kind="test")
    assert isinstance(hand_over(TEAM, task("devops", rounds=history[:2]), "qa", brief), Allowed)
    loop = hand_over(TEAM, task("devops", rounds=history), "qa", brief)
    assert isinstance(loop, Loop)
    assert loop.supervisor == "cto"
    assert "cto decides" in loop.failure.recovery
    assert loop.failure.why.count("run the test of the page") >= 2


def test_sequential_repeats_count_through_the_rounds_that_come_back():
    at = task("cto")
    for _ in range(3):
        at = msgspec.structs.replace(at, rounds=hand_over(TEAM, at, "devops", SHIP).rounds)
    assert isinstance(hand_over(TEAM, at, "devops", SHIP), Loop)


@pytest.mark.parametrize(
    "history",
    [
        rounds(*["quite another thing entirely"] * 3),
        rounds(*[SHIP.objective] * 3, kind="test"),
        rounds(*[SHIP.objective] * 3, target="qa"),
    ],
)
def test_other_work_other_kinds_and_other_roles_are_no_loop(history):
    assert isinstance(hand_over(TEAM, task("cto", rounds=history), "devops", SHIP), Allowed)


def test_two_roles_with_nobody_above_go_to_people():
    loop = hand_over(
        TEAM,
        task("ceo", rounds=rounds(*["x"] * 3, source="cto", target="ceo", kind="request")),
        "cto",
        Brief(objective="x"),
    )
    assert loop.supervisor is None
    assert "a person decides" in loop.failure.recovery


@pytest.mark.parametrize(
    ("ops", "qa", "who"),
    [
        (("ceo", "people"), ("cto", "ceo"), "ceo"),
        (("people", "cto"), ("cto", "people"), None),
        (("qa", "cto", "ceo"), ("qa", "ceo"), "ceo"),
        (("ceo",), ("people",), "cto"),
    ],
)
def test_a_loop_goes_to_the_first_that_both_escalate_to(ops, qa, who):
    roles = {
        **TEAM.roles,
        "devops": msgspec.structs.replace(TEAM.roles["devops"], escalates_to=ops),
        "qa": msgspec.structs.replace(TEAM.roles["qa"], escalates_to=qa),
    }
    of = msgspec.structs.replace(TEAM, roles=roles)
    brief = Brief(objective="run the test of the page", kind="test")
    history = rounds(*[brief.objective] * 3, source="devops", target="qa", kind="test")
    assert hand_over(of, task("devops", rounds=history), "qa", brief).supervisor == who


def test_one_above_the_other_goes_to_whoever_is_above_both():
    loop = hand_over(TEAM, task("cto", rounds=rounds(*["..."] * 3)), "devops", Brief(objective="", kind="deployment"))
    assert loop.supervisor == "ceo"


def test_a_circle_of_superiors_ends():
    circle = {**TEAM.roles, "ceo": msgspec.structs.replace(TEAM.roles["ceo"], reports_to="cto")}
    of = msgspec.structs.replace(TEAM, roles=circle)
    assert hand_over(of, task("cto", rounds=rounds(*["x"] * 3)), "devops", Brief(objective="x", kind="deployment"))
