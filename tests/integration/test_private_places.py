"""Inquiries in private, on people's own screens: the engine, the real adapters and their fake services."""

from __future__ import annotations

import pytest

from core.model.inquiries import InquiryState
from tests.cases.kit import APPROVED, office, ran
from tests.cases.rooms.services import DiscordRoom, ServiceRoom, SlackRoom, TelegramRoom


@pytest.fixture(params=[TelegramRoom, DiscordRoom, SlackRoom], ids=lambda kind: kind.name)
async def room(request):
    some = request.param()
    await some.start()
    yield some
    await some.close()
    await some.stop()


async def asking(room: ServiceRoom, **rule):
    """Bob and Carol have spoken with the bot before, which Telegram wants; You gave the work, in the open."""
    table = await room.open(office(rule={"direct": True, **rule}))
    for who in ("bob", "carol"):
        await room.order(who, "/whoami", apart=True)
    await room.say("you", "@ops tell them", mention=True)
    return table


def mine(room: ServiceRoom, who: str):
    """The newest card in somebody's private chat."""
    here = room.service.direct(room.people[who]).channel
    return [card for card in room.cards() if card.place is not None and card.place.channel == here][-1]


async def test_it_is_decided_in_a_private_chat_and_every_screen_says_so(room) -> None:
    table = await asking(room)
    before_n = room.posts_n()
    assert len(room.cards()) >= 3
    assert APPROVED in await room.press("bob", "Approve", on=mine(room, "bob"))
    assert ran(table) == 1
    assert room.cards() == []
    for who in ("bob", "carol"):
        here = room.service.direct(room.people[who])
        told = [shown.text for shown in room.service.screen(here) if "Approved by Bob" in shown.text]
        assert len(told) == 1
    assert room.posts_n() <= before_n + 2  # the decision stands where the card stood; the answer is new
    row = await table.store.read.inquiry((await table.newest()).id)
    assert {delivery.state.value for delivery in row.deliveries} == {"finalised"}


async def test_a_reason_is_asked_for_in_private_too(room) -> None:
    table = await asking(room, approve_reason=True)
    if room.name == "telegram":
        room.service.forms = {*room.service.forms, "Approve"}
    assert APPROVED in await room.press("carol", "Approve", on=mine(room, "carol"), reason="it is tested")
    row = await table.store.read.inquiry((await table.newest()).id)
    assert [vote.reason for vote in row.votes] == ["it is tested"]
    assert ran(table) == 1


async def test_over_a_crash_a_private_card_is_the_same_message(room) -> None:
    table = await asking(room)
    card = mine(room, "bob")
    await table.crash()
    await room.quiet()
    assert mine(room, "bob").id == card.id
    assert APPROVED in await room.press("bob", "Approve", on=card)
    assert ran(table) == 1


async def test_whom_the_platform_does_not_let_us_write_to_holds_nothing_up(room) -> None:
    table = await room.open(office(rule={"direct": True}))
    await room.service.remove_bot(room.service.direct(room.people["bob"]))
    await room.say("you", "@ops tell them", mention=True)
    for _ in range(3):
        await room.later(seconds=30)
    assert (await table.inquiry()).state is InquiryState.OPEN
    bobs = room.service.direct(room.people["bob"]).channel
    assert not [card for card in room.cards() if card.place is not None and card.place.channel == bobs]
    in_the_open = next(card for card in room.cards() if card.place is not None and not card.place.private)
    assert APPROVED in await room.press("bob", "Approve", on=in_the_open)
    assert ran(table) == 1
