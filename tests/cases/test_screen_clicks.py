"""Cases 1 to 14, clicks, on people's own screens."""

from __future__ import annotations

from dataclasses import replace

import msgspec
import pytest

from core.model.inquiries import InquiryState, Verb
from core.model.unit import PutGrant
from core.rules import notes, replies
from core.rules.views import control_nonce
from tests.cases.kit import (
    APPROVALS,
    APPROVED,
    BY_THREE,
    BY_TWO,
    click,
    meanwhile,
    office,
    ran,
    row_of,
    sent_to,
    state,
    votes,
)
from tests.cases.rooms import ON_PLATFORMS
from tests.cases.test_clicks import LATE, superseded
from tests.conformance.platforms.services import NATIVES
from tests.engine_kit import CAROL

# --- 1, 2, 3: one person, one vote ------------------------------------------------------------------------------------


async def test_case_01_two_clicks_of_one_person(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    assert notes.COUNTED in await room.press("bob", "Approve", twice=True)
    assert [vote.principal for vote in await votes(table)] == ["bob"]
    assert "Approve" in room.card().buttons
    assert ran(table) == 0


async def test_case_01_otherwise_the_second_is_somebody_elses(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    await room.press("bob", "Approve")
    assert APPROVED in await room.press("carol", "Approve")
    assert ran(table) == 1


async def test_case_02_here_and_on_the_desk(room) -> None:
    table = await room.asking(office(stages=BY_TWO), also=(APPROVALS,))
    assert notes.COUNTED in await room.press("bob", "Approve")
    assert await click(table, "bob", at=APPROVALS) == notes.SEEN
    assert [vote.principal for vote in await votes(table)] == ["bob"]
    assert ran(table) == 0


async def test_case_02_otherwise_on_the_desk_it_is_another_person(room) -> None:
    table = await room.asking(office(stages=BY_TWO), also=(APPROVALS,))
    await room.press("bob", "Approve")
    assert await click(table, "carol", at=APPROVALS) == APPROVED
    await room.quiet()
    assert room.reads("Approved by Bob and Carol")
    assert ran(table) == 1


@ON_PLATFORMS
async def test_case_03_what_the_service_delivers_again(room) -> None:
    """Slack sends no click twice; what is typed, it does: there the vote is a word that the policy counts."""
    types = room.name == "slack"
    team = office(stages=BY_TWO)
    team = msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, yes_counts=types))
    table = await room.asking(team, also=room.its_own_channel())
    if types:
        await room.say("bob", "yes", under=room.card_to_reply_to())
    else:
        await room.press("bob", "Approve")
    assert [vote.principal for vote in await votes(table)] == ["bob"]
    await table.crash()
    await room.during(room.service.redeliver(3), hears=True)
    assert [vote.principal for vote in await votes(table)] == ["bob"]
    assert ran(table) == 0


@ON_PLATFORMS
async def test_case_03_otherwise_it_is_another_click_of_another_person(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    await room.press("bob", "Approve")
    await table.crash()
    await room.press("carol", "Approve")
    assert ran(table) == 1


# --- 4, 5, 6: conflicts and races -------------------------------------------------------------------------------------


async def test_case_04_approve_and_then_deny(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    await room.press("bob", "Approve")
    assert notes.CONFLICT in await room.press("bob", "Deny", reason="on second thoughts")
    assert [vote.verb for vote in await votes(table)] == [Verb.APPROVE]
    await room.press("carol", "Approve")
    assert ran(table) == 1


async def test_case_04_otherwise_the_first_was_taken_back(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    await room.press("bob", "Approve")
    assert notes.TAKEN_BACK in await room.order("bob", "/withdraw")
    assert notes.DENIED in await room.press("bob", "Deny", reason="on second thoughts")
    assert room.reads_denied("Bob", "on second thoughts")
    assert ran(table) == 0


async def test_case_05_somebody_denies_it_at_the_same_time(room) -> None:
    table = await room.asking()
    meanwhile(table, CAROL, Verb.DENY, "no")
    assert "Already denied by Carol." in await room.press("bob", "Approve")
    assert room.reads_denied("Carol", "no")
    assert not room.reads("Approved by")
    assert (await row_of(table)).grant is None
    assert ran(table) == 0


async def test_case_05_otherwise_nobody_does(room) -> None:
    table = await room.asking()
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


async def test_case_06_two_want_the_last_seat(room) -> None:
    table = await room.asking(office(stages=BY_TWO))
    await room.press("dave", "Approve")
    meanwhile(table, CAROL)
    assert "Already approved by Dave, Carol." in await room.press("bob", "Approve")
    assert room.reads("Approved by Dave and Carol")
    assert ran(table) == 1


async def test_case_06_otherwise_there_are_three(room) -> None:
    table = await room.asking(office(stages=BY_THREE))
    meanwhile(table, CAROL)
    assert notes.COUNTED in await room.press("bob", "Approve")
    assert ran(table) == 0
    assert APPROVED in await room.press("dave", "Approve")
    assert ran(table) == 1


# --- 7, 8, 9: around the commit ---------------------------------------------------------------------------------------


@ON_PLATFORMS
async def test_case_07_people_see_it_before_the_service_says_its_id(room) -> None:
    table = await room.open(office())
    async with room.holding_back(NATIVES[room.name].send):
        await room.say("you", "@ops tell them", mention=True)
        assert {one.receipt for one in (await row_of(table)).deliveries} == {""}
        await room.press("bob", "Approve")
        assert await state(table) is InquiryState.APPROVED
    await room.quiet()
    assert room.cards() == []
    assert room.reads("Approved by Bob")
    assert ran(table) == 1


@ON_PLATFORMS
async def test_case_07_otherwise_the_button_is_of_no_showing(room) -> None:
    table = await room.open(office())
    async with room.holding_back(NATIVES[room.name].send):
        await room.say("you", "@ops tell them", mention=True)
        asked = await table.inquiry()
        shown, unknown = (control_nonce("kit", f"{asked.id}:{revision}") for revision in (1, 2))
        await room.press("bob", "Approve", on=room.card().forged(shown, unknown))
    await room.quiet()
    assert await votes(table) == ()
    assert ran(table) == 0


@ON_PLATFORMS
async def test_case_08_the_click_cannot_be_answered_any_more(room) -> None:
    table = await room.asking()
    card = room.card()
    room.service.expire()
    await room.press("bob", "Approve", on=card)
    await room.service.reconnectable()
    assert room.reads("Approved by Bob")
    assert room.cards() == []
    assert ran(table) == 1


@ON_PLATFORMS
async def test_case_08_otherwise_it_did_not_count_either(room) -> None:
    table = await room.asking()
    room.service.expire()
    await room.press("mia", "Approve")
    await room.service.reconnectable()
    assert "Approve" in room.card().buttons
    assert ran(table) == 0


async def test_case_09_nothing_says_approved_while_it_is_not_committed(room) -> None:
    table = await room.asking()
    seen: list[bool] = []

    def full(unit) -> bool:
        minting = any(isinstance(change, PutGrant) for change in unit.changes)
        if minting:
            seen.append(room.reads("Approved"))
        return minting

    table.store.full_n, table.store.full_if = 3, full
    await room.press("bob", "Approve")
    assert seen == [False] * 3
    assert room.reads("Approved by Bob")
    assert ran(table) == 1


async def test_case_09_otherwise_nothing_is_ever_committed(room) -> None:
    table = await room.asking()
    told = await room.press("mia", "Approve")
    assert "Approved" not in told
    assert not room.reads("Approved by")
    assert ran(table) == 0


# --- 10, 11: buttons from elsewhere -----------------------------------------------------------------------------------


@ON_PLATFORMS
@pytest.mark.parametrize("forged", ["0123456789abcdef", "{nonce}0", ""])
async def test_case_10_a_button_that_is_none_of_ours(room, forged: str) -> None:
    table = await room.asking()
    nonce = control_nonce("kit", f"{(await table.inquiry()).id}:1")
    told = await room.press("bob", "Approve", on=room.card().forged(nonce, forged.format(nonce=nonce)))
    assert replies.UNKNOWN_BUTTON in told
    assert (await state(table), await votes(table)) == (InquiryState.OPEN, ())
    assert ran(table) == 0


@ON_PLATFORMS
async def test_case_10_otherwise_it_is_ours(room) -> None:
    table = await room.asking()
    nonce = control_nonce("kit", f"{(await table.inquiry()).id}:1")
    assert APPROVED in await room.press("bob", "Approve", on=room.card().forged(nonce, nonce))
    assert ran(table) == 1


@ON_PLATFORMS
async def test_case_11_its_button_under_a_message_elsewhere(room) -> None:
    table = await room.asking()
    ours = room.card()
    await room.say("bob", "@ops tell them", apart=True)
    elsewhere = next(card for card in room.cards() if card.place.channel != ours.place.channel)
    assert replies.UNKNOWN_BUTTON in await room.press("bob", "Approve", on=replace(elsewhere, look=ours.look))
    assert table.store.inner._tables.votes == {}
    assert ran(table) == 0


@ON_PLATFORMS
async def test_case_11_otherwise_it_is_where_it_was_shown(room) -> None:
    table = await room.asking()
    ours = room.card()
    await room.say("bob", "@ops tell them", apart=True)
    assert APPROVED in await room.press("bob", "Approve", on=ours)
    assert ran(table) == 1


# --- 12, 13, 14: too late, and which one ------------------------------------------------------------------------------


@ON_PLATFORMS
async def test_case_12_the_button_of_what_was_asked_before_it_was_changed(room) -> None:
    table = await room.asking()
    old = room.card()
    assert notes.EDITED in await room.press("carol", "Edit", to="some")
    assert notes.STALE in await room.press("bob", "Approve", on=old)
    assert await votes(table) == ()
    assert ran(table) == 0


async def test_case_12_otherwise_it_is_todays(room) -> None:
    table = await room.asking()
    old = room.card()
    await room.press("carol", "Edit", to="some")
    assert "some" in room.card().text
    assert APPROVED in await room.press("bob", "Approve")
    assert "Already approved by Bob." in await room.press("dave", "Approve", on=old)
    assert sent_to(table) == [{"to": "some"}]


async def befalls(room, why: str) -> None:
    """As people, clocks and agents do it here."""
    table = room.table
    match why:
        case "timeout":
            await room.later(hours=24)
        case "cancel":
            await room.order("you", f"/cancel {(await table.task()).id}")
        case "supersede":
            await superseded(table)
        case "expiry":
            await room.order("you", "/stop ops")
            await room.press("carol", "Approve")
            await room.later(hours=25)
            await room.order("you", "/resume ops")
    await room.quiet()


@pytest.mark.parametrize("why", LATE)
async def test_case_13_whoever_comes_too_late_reads_what_happened_instead(room, why: str) -> None:
    _, after, told = LATE[why]
    table = await room.asking(office(rule={"at_deadline": "deny"}))
    old = room.card()
    await befalls(room, why)
    assert told in await room.press("bob", "Approve", on=old)
    assert await state(table) is after
    assert room.cards() == []
    assert ran(table) == 0


async def test_case_13_otherwise_it_is_in_time(room) -> None:
    table = await room.asking(office(rule={"at_deadline": "deny"}))
    await room.later(hours=23)
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


async def test_case_14_a_bare_word_with_two_open_asks_which(room) -> None:
    table = await room.asking()
    await room.say("you", "@ops tell them", mention=True)
    first, second = await table.inquiries()
    told = await room.order("bob", "/approve")
    assert "Which one?" in told
    assert ran(table) == 0
    assert APPROVED in await room.order("bob", f"/approve {second.id}")
    assert (await table.inquiry()).id == first.id
    assert ran(table) == 1


async def test_case_14_otherwise_only_one_is(room) -> None:
    table = await room.asking()
    assert APPROVED in await room.order("bob", "/approve")
    assert ran(table) == 1
