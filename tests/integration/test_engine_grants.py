"""A grant at the moment it is used: whoever gave it still decides such things, and platforms are asked live."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from core.adapters.models.scripted import use
from core.model.inquiries import GrantState, InquiryState
from core.model.team import StageRule, Team, TierRule
from core.model.work import Phase
from core.rules import notes, replies
from core.runtime import grants
from tests.engine_kit import BOB, CAROL, DESK, YOU, company
from tests.engine_kit import Table as Company
from tests.integration.test_engine_bounds import FOR, bounded, levels, tune
from tests.integration.test_engine_places import MAPPED

MAILING = {"ops": [use("mail", to="all"), use("hand_off", summary="sent")]}
ONE, TWO = (StageRule(),), (StageRule(approve_n=2),)


def asked_of(stages: tuple[StageRule, ...] = ONE, **more: Any) -> Team:
    team = company(YOU, BOB, CAROL)
    tiers = {**team.policy.tiers, "external": TierRule(stages=stages, **more)}
    policy = msgspec.structs.replace(team.policy, tiers=tiers)
    return msgspec.structs.replace(team, policy=policy, platform_roles=MAPPED)


async def approved(*votes: str, team: Team | None = None) -> Company:
    """Approved by these, while everything is stopped, a minute and more ago: so that nothing has started yet."""
    table = Company(MAILING, team=team or asked_of())
    table.chat.held = {name: frozenset({"role:a"}) for name in ("chat:bob", "chat:carol")}
    await table.say("tell them", role="ops")
    await table.order("/stop all", "you", at=DESK)
    for vote in votes or ("bob",):
        await table.press("approve", vote)
    assert (await table.newest()).state is InquiryState.APPROVED
    assert not table.tools["mail"].ran
    table.turn_clock(seconds=61)
    return table


async def go_on(table: Company) -> None:
    await table.order("/resume all", "you", at=DESK)


async def state_of(table: Company) -> GrantState:
    row = await table.store.read.inquiry((await table.inquiries(active_only=False))[0].id)
    return row.grant.state


async def test_it_runs_where_they_still_hold_their_roles() -> None:
    table = await approved("bob", "carol", team=asked_of(TWO))
    asked: list[str] = []
    held = table.chat.roles

    async def roles(account, place):
        asked.append(account)
        return await held(account, place)

    table.chat.roles = roles
    await go_on(table)
    assert len(table.tools["mail"].ran) == 1
    assert sorted(asked) == ["chat:bob", "chat:carol"]


@pytest.mark.parametrize("lost", ["bob", "carol"])
async def test_case_19_a_role_lost_between_the_vote_and_the_start_ends_the_grant(lost) -> None:
    table = await approved("bob", "carol", team=asked_of(TWO))
    table.chat.held[f"chat:{lost}"] = frozenset({"role:other"})
    await go_on(table)
    assert not table.tools["mail"].ran
    assert await state_of(table) is GrantState.REVOKED
    assert "may no longer decide" in table.results()[-1]
    assert any(card.outcome.startswith(("not run", replies.VOTER_LEFT)) for card in table.decided)
    revoked = [row.row for row in await table.store.read.chain() if row.row.what == "grant.revoked"]
    assert [row.detail["why"] for row in revoked] == [replies.VOTER_LEFT]
    table.chat.held[f"chat:{lost}"] = frozenset({"role:a"})  # too late: it is void for good
    await table.settle_later(seconds=61, times=3)
    assert not table.tools["mail"].ran


async def test_while_nobody_can_be_asked_it_waits_and_is_not_lost() -> None:
    table = await approved()
    bobs = table.chat.held.pop("chat:bob")
    await go_on(table)
    for _ in range(4):
        assert not table.tools["mail"].ran
        assert await state_of(table) is GrantState.LIVE
        assert [card.outcome for card in table.decided] == [replies.UNSURE_YET]
        await table.settle_later(seconds=61, times=1)
    table.chat.held["chat:bob"] = bobs
    await table.settle_later(seconds=61, times=1)
    assert len(table.tools["mail"].ran) == 1
    assert await state_of(table) is GrantState.CONSUMED
    assert table.decided[-1].outcome.startswith("ran")
    assert len([p for p in table.chat.sent if getattr(p.view, "outcome", "") == replies.UNSURE_YET]) == 1


async def test_one_that_is_sure_to_have_left_ends_it_though_another_cannot_be_asked() -> None:
    table = await approved("bob", "carol", team=asked_of(TWO))
    del table.chat.held["chat:bob"]
    table.chat.held["chat:carol"] = frozenset()
    await go_on(table)
    assert await state_of(table) is GrantState.REVOKED


async def test_it_waits_no_longer_than_its_permission_lasts() -> None:
    table = await approved(team=asked_of(execute_ms=120_000))
    table.chat.held.clear()
    await go_on(table)
    await table.settle_later(seconds=61, times=3)
    assert await state_of(table) is not GrantState.LIVE
    table.chat.held = {"chat:bob": frozenset({"role:a"})}
    await table.settle_later(seconds=61, times=2)
    assert not table.tools["mail"].ran


async def test_one_who_waits_can_be_taken_back() -> None:
    table = await approved()
    roles = table.chat.held
    table.chat.held = {}
    await go_on(table)
    assert await table.order(f"/withdraw {(await table.newest()).id}", "bob", at=DESK) == notes.REVOKED
    table.chat.held = roles
    await table.settle_later(seconds=61, times=2)
    assert not table.tools["mail"].ran
    assert await state_of(table) is GrantState.REVOKED


@pytest.mark.parametrize("bounds", [True, False])
async def test_a_task_that_is_cancelled_while_it_waits_ends_at_once(bounds) -> None:
    if bounds:
        team = msgspec.structs.replace(bounded(YOU, BOB, CAROL), platform_roles=MAPPED)
        table = Company({"ops": [tune(), use("hand_off", summary="tuned")]}, team=team)
        table.chat.held = {"chat:bob": frozenset({"role:a"})}
        await table.say("tune it", role="ops")
        await table.order("/stop all", "you", at=DESK)
        await table.order(f"/approve {(await table.inquiry()).id} {FOR}", "bob")
        table.turn_clock(seconds=61)
    else:
        table = await approved()
    table.chat.held = {}
    await go_on(table)
    await table.settle_later(seconds=61, times=2)
    task = await table.task()
    await table.order(f"/cancel {task.id}", "you", at=DESK)
    await table.settle_later(seconds=61, times=1)
    assert (await table.task()).phase is Phase.CANCELLED
    assert not table.tools["mail"].ran + table.tools["run_command"].ran


async def test_an_override_needs_an_owners_role_at_the_start_too() -> None:
    boss = msgspec.structs.replace(CAROL, role="owner")
    team = asked_of(TWO, override=True)
    table = Company(MAILING, team=msgspec.structs.replace(team, people=(YOU, BOB, boss)))
    table.chat.held = {"chat:carol": frozenset({"role:o", "role:a"})}
    await table.say("tell them", role="ops")
    await table.order("/stop all", "you", at=DESK)
    await table.order(f"/override {(await table.inquiry()).id} it burns", "carol")
    assert (await table.newest()).state is InquiryState.APPROVED
    table.turn_clock(seconds=61)
    table.chat.held = {"chat:carol": frozenset({"role:a"})}
    await go_on(table)
    assert not table.tools["mail"].ran
    assert await state_of(table) is GrantState.REVOKED


@pytest.mark.parametrize("lost", [True, False])
async def test_each_use_of_a_bounded_grant_asks_anew(lost) -> None:
    team = msgspec.structs.replace(bounded(YOU, BOB, CAROL), platform_roles=MAPPED)
    script = {"ops": [tune(), use("ask_human", question="go on?"), tune(), use("hand_off", summary="tuned")]}
    table = Company(script, team=team)
    table.chat.held = {"chat:bob": frozenset({"role:a"})}
    await table.say("tune it", role="ops")
    asked = await table.inquiry()
    assert await table.order(f"/approve {asked.id} {FOR}", "bob") == notes.APPROVED
    assert levels(table) == ["low"]
    table.turn_clock(seconds=61)
    table.chat.held = {"chat:bob": frozenset()} if lost else {}
    await table.order("/answer yes", "you", at=DESK)
    assert levels(table) == ["low"]
    assert await state_of(table) is (GrantState.REVOKED if lost else GrantState.LIVE)
    table.chat.held = {"chat:bob": frozenset({"role:a"})}
    await table.settle_later(seconds=61, times=2)
    assert levels(table) == (["low"] if lost else ["low", "low"])


def test_waits_grow_up_to_a_minute() -> None:
    waits = [grants.wait_ms(since_ms) for since_ms in (-9, 0, 7_000, 14_000, 60_000, 10**9)]
    assert waits == [5_000, 5_000, 7_000, 14_000, 60_000, 60_000]


async def test_about_a_grant_that_is_over_nobody_is_asked() -> None:
    table = await approved()
    table.chat.held = {}
    row = await table.store.read.inquiry((await table.newest()).id)
    over = msgspec.structs.replace(row.grant, state=GrantState.REVOKED)
    assert await grants.by_those_who_may(table.context, over)
    with pytest.raises(grants.UnsureError):
        await grants.by_those_who_may(table.context, row.grant)
    gone = msgspec.structs.replace(row.grant, inquiry="i-gone")
    assert not await grants.by_those_who_may(table.context, gone)
