"""Cases 15 to 25, authority, on people's own screens."""

from __future__ import annotations

import msgspec
import pytest

from core.adapters.models.scripted import say
from core.model.inquiries import InquiryState
from core.model.team import StageRule
from core.rules import notes, replies
from tests.cases.kit import (
    APPROVED,
    BY_TWO,
    MAILING,
    SHIPPING,
    office,
    ran,
    redefine,
    state,
    votes,
)
from tests.cases.rooms import ON_PLATFORMS
from tests.cases.test_authority import BY_BOB_OR_CAROL, CHAIN, OFFICE_OF_OWNERS, handed_down, without_bob
from tests.engine_kit import BOB, CAROL, MIA, YOU

# --- 15, 16: approvers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("who", "told"), [("mia", notes.NOT_ELIGIBLE), ("vic", notes.NOT_ELIGIBLE), ("eve", "")])
async def test_case_15_whoever_presses_without_being_an_approver(room, who: str, told: str) -> None:
    table = await room.asking()
    assert told in await room.press(who, "Approve")
    await room.order(who, f"/approve {(await table.inquiry()).id}")
    assert await votes(table) == ()
    assert "Approve" in room.card().buttons
    assert ran(table) == 0


async def test_case_15_otherwise_it_is_one(room) -> None:
    table = await room.asking()
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


async def test_case_16_nobody_is_left_who_could_be_asked(room) -> None:
    table = await room.asking(office(stages=(StageRule(people=("gone",)),)))
    assert room.cards() == []
    assert replies.NOTHING_OPEN in await room.order("bob", "/approve")
    assert ran(table) == 0


async def test_case_16_otherwise_somebody_is(room) -> None:
    table = await room.asking(office(stages=(StageRule(people=("bob", "gone")),)))
    assert "Bob" in room.card().text
    await room.press("bob", "Approve")
    assert ran(table) == 1


# --- 17, 18: never the one who asked, never a machine -----------------------------------------------------------------


async def test_case_17_who_asked_at_the_top_presses_what_is_asked_far_below(room) -> None:
    table = await room.open(office(), CHAIN)
    await room.say("you", "tell everybody", mention=True)
    assert "not You (asked)" in room.card().text
    assert notes.NOT_YOUR_OWN in await room.press("you", "Approve")
    assert notes.NOT_YOUR_OWN in await room.order("you", "/approve")
    assert ran(table) == 0


async def test_case_17_otherwise_the_tier_allows_it_by_name(room) -> None:
    table = await room.asking(office(rule={"allow_self": True}))
    assert APPROVED in await room.press("you", "Approve")
    assert ran(table) == 1


async def test_case_18_the_bots_own_words_in_the_conversation(room) -> None:
    table = await room.open(office(), {**MAILING, "ceo": [say("/approve"), say("Approved. yes.")]})
    await room.say("you", "@ops tell them", mention=True)
    for _ in range(2):
        await room.say("you", "@ceo see to it", mention=True)
    assert room.reads("/approve")
    assert await state(table) is InquiryState.OPEN
    assert table.store.inner._tables.votes == {}
    assert ran(table) == 0


async def test_case_18_otherwise_a_person_says_it(room) -> None:
    table = await room.asking()
    assert APPROVED in await room.order("bob", "/approve")
    assert ran(table) == 1


# --- 19, 20: who they are by then -------------------------------------------------------------------------------------


async def test_case_19_the_first_approver_is_gone_when_the_second_presses(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    assert notes.COUNTED in await room.press("bob", "Approve")
    await redefine(table, room.at_home(without_bob(stages=BY_TWO)))
    assert notes.COUNTED in await room.press("carol", "Approve")
    assert "Approve" in room.card().buttons
    assert ran(table) == 0


async def test_case_19_otherwise_they_are_still_there(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    await room.press("bob", "Approve")
    await redefine(table, room.at_home(office(YOU, BOB, CAROL, stages=BY_TWO)))
    assert APPROVED in await room.press("carol", "Approve")
    assert ran(table) == 1


@ON_PLATFORMS
async def test_case_20_an_account_that_is_another_persons_now(room) -> None:
    table = await room.asking()
    home = room.at_home(office(YOU, BOB, CAROL, MIA))
    others = {"bob": (), "mia": (room.account("bob"),)}
    people = tuple(msgspec.structs.replace(p, accounts=others.get(p.id, p.accounts)) for p in home.people)
    await redefine(table, msgspec.structs.replace(home, people=people))
    assert notes.NOT_ELIGIBLE in await room.press("bob", "Approve")
    assert ran(table) == 0


@ON_PLATFORMS
async def test_case_20_a_stranger_who_calls_themselves_bob(room) -> None:
    table = await room.asking()
    room.rename("eve", "Bob")
    told = await room.press("eve", "Approve")
    assert replies.STRANGER in told + await room.say("eve", "@ops approve it", mention=True)
    assert await votes(table) == ()
    assert ran(table) == 0


@ON_PLATFORMS
async def test_case_20_otherwise_only_the_name_changed(room) -> None:
    table = await room.asking()
    room.rename("bob", "Robert the Bold")
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


# --- 22, 23: gates of parents, stages of other people -----------------------------------------------------------------


async def test_case_22_what_was_asked_of_the_lead_gates_what_is_done_below(room) -> None:
    table = await room.open(office(), handed_down("Deploy the thing"))
    await room.say("you", "see to the thing", mention=True)
    assert "poke" in room.card().text
    assert (ran(table, "poke"), ran(table, "fetch")) == (0, 1)
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table, "poke") == 1


async def test_case_22_otherwise_nothing_above_it_is_gated(room) -> None:
    table = await room.open(office(), handed_down("Look after the thing"))
    await room.say("you", "see to the thing", mention=True)
    assert room.cards() == []
    assert ran(table, "poke") == 1


async def test_case_23_the_same_person_presses_in_both_stages(room) -> None:
    table = await room.asking(script=SHIPPING)
    assert notes.REVIEW_NEXT in await room.press("bob", "Approve")
    assert notes.ANOTHER_REVIEWER in await room.press("bob", "Approve")
    assert ran(table, "run_command") == 0


async def test_case_23_otherwise_another_person_does(room) -> None:
    table = await room.asking(script=SHIPPING)
    await room.press("bob", "Approve")
    assert APPROVED in await room.press("carol", "Approve")
    assert ran(table, "run_command") == 1


# --- 24, 25: delegates, and an owner's override -----------------------------------------------------------------------


async def test_case_24_who_asked_stands_in_for_an_approver(room) -> None:
    table = await room.asking()
    await room.order("bob", "/away 8 to you")
    assert notes.NOT_YOUR_OWN in await room.press("you", "Approve")
    assert ran(table) == 0


async def test_case_24_a_circle(room) -> None:
    table = await room.asking()
    assert "stands in for you" in await room.order("bob", "/away 8 to carol")
    assert notes.DELEGATE_CIRCLE in await room.order("carol", "/away 8 to bob")
    assert ran(table) == 0


async def test_case_24_otherwise_it_is_somebody_whom_the_policy_means(room) -> None:
    table = await room.asking(office(stages=BY_BOB_OR_CAROL))
    assert "Carol stands in for you" in await room.order("bob", "/away 8 to carol")
    assert APPROVED in await room.press("carol", "Approve")
    assert ran(table) == 1


async def overridden(room, by: str):
    team = office(*OFFICE_OF_OWNERS, MIA, stages=BY_TWO, rule={"override": True})
    table = await room.asking(team, by="mia")
    return table, await room.order(by, "/override the site is down")


async def test_case_25_an_approver_who_is_no_owner_overrides(room) -> None:
    table, told = await overridden(room, "bob")
    assert notes.OWNERS_ONLY in told
    assert "Approve" in room.card().buttons
    assert ran(table) == 0


async def test_case_25_otherwise_it_is_an_owner_and_the_card_says_so(room) -> None:
    table, told = await overridden(room, "olga")
    assert APPROVED in told
    assert room.reads("owner override")
    assert ran(table) == 1
