"""Briefs and handoffs: what is out of form comes back twice, deadlines are kept, conflicts are told or labelled."""

from __future__ import annotations

import msgspec
import pytest

from core.adapters.models.scripted import both, say, use
from core.model.team import Permissions
from core.model.work import Phase
from tests.engine_kit import BOB, YOU, Table, changed_role, company

PAIR = company(YOU, BOB)


def give(role: str, objective: str):
    return use("delegate", to=role, kind="build" if role == "dev" else "deployment", objective=objective)


def done(summary: str, **more):
    return use("hand_off", summary=summary, **more)


# --- Out of form ----------------------------------------------------------------------------------------------------

BAD_BRIEF = use("delegate", to="ops", kind=7)
BAD_HANDOFF = use("hand_off", summary=7)


async def test_a_brief_out_of_form_comes_back_with_its_errors_and_is_mended() -> None:
    table = Table({"cto": [BAD_BRIEF, BAD_BRIEF, give("ops", "look"), say("ok")], "ops": [done("fine")]}, team=PAIR)
    await table.say("go", role="cto")
    assert "delegate was not called" in table.results("cto")[0]
    assert table.answer == "ok"
    task = await table.task("cto")
    assert (task.amiss_n, task.amiss_all_n) == (0, 2)


@pytest.mark.parametrize("bad", [BAD_BRIEF, use("delegate", to=["ops"]), BAD_HANDOFF, done(" ")])
async def test_the_third_time_in_a_row_the_task_ends_with_the_errors(bad) -> None:
    table = Table({"cto": [bad] * 9}, team=PAIR)
    await table.say("go", role="cto")
    task = await table.task("cto")
    assert table.model.calls_of("cto") == 3
    assert task.phase is Phase.FAILED
    assert task.result.what.startswith("the form was wrong three times in a row: ")


async def test_a_childs_third_handoff_out_of_form_is_a_failure_for_who_asked() -> None:
    table = Table({"cto": [give("ops", "look"), say("it failed")], "ops": [BAD_HANDOFF] * 9}, team=PAIR)
    await table.say("go", role="cto")
    assert table.results("cto")[0].startswith("ops:\nFAILED: the form was wrong three times in a row: hand_off was not")
    assert table.answer == "it failed"


async def test_a_brief_that_lacks_what_its_kind_asks_for_counts_and_one_to_nobody_does_not() -> None:
    team = msgspec.structs.replace(PAIR, kinds={"deployment": ("steps",)})
    table = Table({"cto": [give("ops", "look")] * 9}, team=team)
    await table.say("go", role="cto")
    assert "needs steps" in (await table.task("cto")).result.what
    assert table.model.calls_of("cto") == 3
    other = Table({"cto": [use("delegate", to="ops", kind="poetry", objective="sing")] * 4 + [say("no")]}, team=PAIR)
    await other.say("go", role="cto")
    assert (await other.task("cto")).amiss_all_n == 0


async def test_wrong_arguments_of_a_tool_are_no_contract() -> None:
    table = Table({"ops": [use("look", at=7)] * 4 + [say("ok")]}, team=PAIR)
    await table.say("go", role="ops")
    assert table.answer == "ok"
    assert (await table.task()).amiss_all_n == 0


# --- Deadlines ------------------------------------------------------------------------------------------------------


def by(role: str, **more):
    kind = "build" if role == "dev" else "deployment"
    return use("delegate", to=role, kind=kind, objective="look", **more)


async def test_a_briefs_deadline_is_read_and_no_part_of_the_work_has_a_later_one() -> None:
    hands = {"dev": [by("ops", deadline_minutes=90), by("ops"), done("b")], "ops": lambda _r: done("a")}
    table = Table({"cto": [by("dev", deadline_minutes=30), say("ok")], **hands}, team=PAIR)
    began_ms = table.clock.now_ms()
    await table.say("go", role="cto")
    tasks = [task for task in await table.tasks() if task.role != "cto"]
    assert len(tasks) == 3
    assert {task.brief.deadline_ms for task in tasks} == {began_ms + 30 * 60_000}
    assert all("\nDeadline: 20" in r.messages[0].text for r in table.model.requests if r.role == "ops")


@pytest.mark.parametrize("minutes", [0, -5, 10**9])
async def test_what_is_no_time_is_no_deadline(minutes) -> None:
    table = Table({"cto": [by("ops", deadline_minutes=minutes), say("ok")], "ops": [done("a")]}, team=PAIR)
    await table.say("go", role="cto")
    assert (await table.task("ops")).brief.deadline_ms is None


async def test_what_is_not_done_by_its_deadline_is_a_failure_for_who_asked() -> None:
    async def around(request) -> None:
        if request.role == "ops":
            table.turn_clock(seconds=61)  # less than its wall clock
            await table.engine.dispatcher.sweep()

    hands = {"cto": [by("ops", deadline_minutes=1), say("too late")], "ops": [done("a")]}
    table = Table(hands, team=PAIR, around=around)
    await table.say("go", role="cto")
    assert (await table.task("ops")).phase is Phase.FAILED
    assert "the deadline of its brief has passed" in table.results("cto")[0]
    assert table.answer == "too late"


# --- One shared file, two roles -------------------------------------------------------------------------------------

FAN = both(give("ops", "the site"), give("dev", "the page"))
PAGE = "shared/page.html"


A = done("a", changed=[f"wrote {PAGE}"])
B = done("b", artifacts=[f"files/{PAGE}"])


async def joined(*last, ops=A, dev=B, team=PAIR):
    table = Table({"cto": [FAN, *last], "ops": [ops], "dev": [dev]}, team=team)
    await table.say("go", role="cto")
    return table


async def test_who_joins_two_handoffs_is_told_what_both_have_changed() -> None:
    table = await joined(say("There is a conflict over shared/page.html: ops's holds."))
    told = table.model.requests[-1].messages[-1].text
    assert told.startswith("Conflict: ")
    assert f"both changed {PAGE}" in told
    assert (await table.task("cto")).result.degraded == ""


async def test_what_is_handed_on_without_a_word_of_it_is_labelled() -> None:
    for last in (say("All done."), done("All done.", changed=["the page"])):
        table = await joined(last)
        label = f"two roles changed {PAGE}, and it does not say which holds"
        assert (await table.task("cto")).result.degraded == label


@pytest.mark.parametrize(
    ("ops", "dev"),
    [
        (done("a", changed=["wrote page.html"]), done("b", changed=["wrote page.html"])),  # each has its own
        (done("a", changed=["wrote shared/one.html"]), done("b", changed=["wrote shared/two.html"])),
        (done(f"read {PAGE}"), done("b", changed=[f"wrote {PAGE}"])),
        (use("hand_off", needs="which page?"), done("b", changed=[f"wrote {PAGE}"])),
    ],
)
async def test_files_of_their_own_and_what_is_only_read_are_no_conflict(ops, dev) -> None:
    table = await joined(say("All done."), ops=ops, dev=dev)
    task = await table.task("cto")
    assert task.disputed == ()
    assert task.result.degraded == ""


async def test_one_after_the_other_is_no_conflict() -> None:
    steps = [give("ops", "the site"), give("dev", "the page"), say("All done.")]
    hands = {"ops": [done("a", changed=[PAGE])], "dev": [done("b", changed=[PAGE])]}
    table = Table({"cto": steps, **hands}, team=PAIR)
    await table.say("go", role="cto")
    assert (await table.task("cto")).disputed == ()


async def test_the_same_role_twice_is_no_conflict() -> None:
    team = PAIR
    fan = both(give("ops", "the site"), give("ops", "something else entirely"))
    table = Table({"cto": [fan, say("ok")], "ops": lambda _r: done("a", changed=[PAGE])}, team=team)
    await table.say("go", role="cto")
    assert (await table.task("cto")).disputed == ()


# --- Labels stay ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("last", [say("All done."), done("All done.")])
async def test_a_label_stays_when_a_person_has_looked(last) -> None:
    team = changed_role(PAIR, "cto", permissions=Permissions(requires_review=True))
    team = msgspec.structs.replace(
        team, policy=msgspec.structs.replace(team.policy, review=team.policy.tiers["external"])
    )
    table = await joined(last, team=team)
    assert PAGE in (await table.inquiry()).action.arguments["degraded"]
    await table.press("approve", "bob")
    task = await table.task("cto")
    assert task.phase is Phase.DONE
    assert PAGE in task.result.degraded


async def test_a_flood_of_names_is_bounded() -> None:
    many = [f"shared/{n}.html" for n in range(500)]
    table = await joined(say("All done."), ops=done("a", changed=many), dev=done("b", artifacts=many))
    assert len((await table.task("cto")).disputed) == 20
