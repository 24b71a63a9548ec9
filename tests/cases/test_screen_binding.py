"""Cases 26 to 35, what a decision binds, on people's own screens."""

from __future__ import annotations

import msgspec
import pytest

from core.adapters.models.scripted import use
from core.model.inquiries import Inquiry, InquiryState
from core.model.team import EffectClass, Tier
from core.rules import notes
from tests import small
from tests.cases.kit import (
    APPROVED,
    DONE,
    SHIPPING,
    change_row,
    office,
    ran,
    redefine,
    sent_to,
    state,
    with_tool,
)
from tests.cases.rooms import ON_PLATFORMS
from tests.cases.test_binding import (
    HOSTILE,
    LETTERS,
    POST,
    SECRET,
    SHOUT,
    another_program,
    mail_tool,
    no_program,
    tampered,
)

HIDDEN = {"\u202e", "\u2066", "\u200b", "\x1b"}

# --- 26: what changed since -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("changes", [another_program, no_program], ids=lambda change: change.__name__)
async def test_case_26_the_program_is_another_when_the_last_one_presses(room, changes) -> None:
    table = await room.asking(script=SHIPPING)
    await room.press("bob", "Approve")
    await changes(table)
    assert notes.ACTION_CHANGED in await room.press("carol", "Approve")
    assert await state(table) is InquiryState.CANCELLED
    assert room.cards() == []
    assert ran(table, "run_command") == 0


async def test_case_26_otherwise_it_is_the_same(room) -> None:
    table = await room.asking(script=SHIPPING)
    await room.press("bob", "Approve")
    assert APPROVED in await room.press("carol", "Approve")
    assert ran(table, "run_command") == 1


# --- 27, 28, 29: what can be read -------------------------------------------------------------------------------------


async def test_case_27_all_of_it_can_be_read_and_nothing_in_it_hides(room) -> None:
    table = await room.asking(script={"ops": [use("mail", to=HOSTILE), DONE]})
    whole = await room.press("bob", "View all")
    assert "and delete it" in whole
    assert "<U+202E>" in whole
    assert not HIDDEN & set(room.everything())
    assert ran(table) == 0


async def test_case_27_otherwise_it_is_approved_to_the_byte(room) -> None:
    table = await room.asking(script={"ops": [use("mail", to=HOSTILE), DONE]})
    assert APPROVED in await room.press("bob", "Approve")
    assert sent_to(table) == [{"to": HOSTILE}]


COPIES = {"copies": {"type": "integer", "default": 3}}


async def test_case_28_a_default_stands_on_the_card(room) -> None:
    table = await room.asking(with_tool(office(), mail_tool(COPIES)))
    text = " ".join(room.card().text.replace(":", " ").split())
    assert "to all" in text
    assert "copies 3" in text
    await room.press("bob", "Approve")
    assert sent_to(table) == [{"to": "all", "copies": 3}]


async def test_case_28_otherwise_there_is_another_default_by_now(room) -> None:
    table = await room.asking(with_tool(office(), mail_tool(COPIES)))
    more = mail_tool({**COPIES, "urgent": {"type": "boolean", "default": True}})
    await redefine(table, room.at_home(with_tool(office(), more)))
    assert notes.ACTION_CHANGED in await room.press("bob", "Approve")
    assert ran(table) == 0


async def with_secret(room):
    hidden = {"to": {"type": "string", "writeOnly": True}}
    spec = small.tool("mail", hidden, ("to",), tier=Tier.EXTERNAL, effect=EffectClass.ONCE, says="Mails {to}")
    return await room.asking(with_tool(office(), spec), {"ops": [use("mail", to=SECRET), DONE]})


async def test_case_29_a_secret_is_nowhere_to_be_read(room) -> None:
    table = await with_secret(room)
    assert "secret" in await room.press("bob", "View all")
    assert APPROVED in await room.press("bob", "Approve")
    assert not room.reads(SECRET)
    assert sent_to(table) == [{"to": SECRET}]


async def test_case_29_otherwise_another_secret_is_another_action(room) -> None:
    table = await with_secret(room)

    def another(asked: Inquiry) -> Inquiry:
        return msgspec.structs.replace(asked, action=msgspec.structs.replace(asked.action, arguments={"to": "other"}))

    await change_row(table, another)
    assert notes.ACTION_CHANGED in await room.press("bob", "Approve")
    assert ran(table) == 0


# --- 30, 31: edits, and grants for something else ---------------------------------------------------------------------


async def test_case_30_an_edit_that_does_not_fit(room) -> None:
    table = await room.asking()
    assert notes.INVALID_EDIT in await room.order("carol", '/edit {"to":5}')
    assert notes.NO_CHANGE in await room.press("carol", "Edit", to="all")
    assert (await table.inquiry()).revision == 1
    await redefine(table, room.at_home(with_tool(office(), mail_tool({}, tier=Tier.INFRASTRUCTURE))))
    assert notes.RAISES_TIER in await room.press("carol", "Edit", to="others")
    assert (await table.inquiry()).revision == 1
    assert ran(table) == 0


async def test_case_30_otherwise_it_fits_and_another_person_approves_it_as_it_is(room) -> None:
    table = await room.asking()
    assert notes.EDITED in await room.press("carol", "Edit", to="others")
    assert "others" in room.card().text
    assert notes.NOT_ELIGIBLE in await room.press("carol", "Approve")
    assert ran(table) == 0
    assert APPROVED in await room.press("bob", "Approve")
    assert sent_to(table) == [{"to": "others"}]


async def approved_then(room, arguments: dict[str, str]):
    """Approved while ops was stopped; by the time it goes on, the arguments are these."""
    table = await room.asking()
    await room.order("you", "/stop ops")
    assert APPROVED in await room.press("bob", "Approve")
    tampered(table, arguments)
    await room.order("you", "/resume ops")
    return table


async def test_case_31_what_was_approved_is_not_what_would_run(room) -> None:
    table = await approved_then(room, {"to": "everybody else"})
    assert room.reads("Approved by Bob")
    assert not room.reads("ran in")
    assert ran(table) == 0


async def test_case_31_otherwise_it_is(room) -> None:
    table = await approved_then(room, {"to": "all"})
    assert room.reads("ran in")
    assert ran(table) == 1


# --- 32, 33: what was denied, what was reworded -----------------------------------------------------------------------


async def denied_then_poked(room, at: str):
    script = {"ops": [use("mail", to="all"), use("poke", at=at), DONE]}
    table = await room.asking(with_tool(office(), POST, SHOUT), script)
    assert notes.DENIED in await room.press("bob", "Deny", reason="no")
    return table


async def test_case_32_the_denied_intent_is_not_even_asked_again(room) -> None:
    table = await denied_then_poked(room, "all")
    assert room.cards() == []
    assert ran(table, "poke") + ran(table) == 0


async def test_case_32_otherwise_it_is_about_something_else(room) -> None:
    table = await denied_then_poked(room, "nobody")
    assert "poke" in room.card().text
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table, "poke") == 1


async def reworded(room, **more: str):
    table = await room.asking(with_tool(office(), mail_tool({}, says="Sends a mail to {to}")))
    assert "Sends a mail to all" in room.card().text
    await redefine(table, room.at_home(with_tool(office(), mail_tool({}, **more))))
    return table


async def test_case_33_other_words_for_the_same(room) -> None:
    table = await reworded(room, says="Posts a letter to {to}")
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


async def test_case_33_otherwise_it_is_not_the_same(room) -> None:
    table = await reworded(room, says="Sends a mail to {to}", resource="letter:{to}")
    assert notes.ACTION_CHANGED in await room.press("bob", "Approve")
    assert ran(table) == 0


# --- 34, 35: several at once ------------------------------------------------------------------------------------------


async def two_letters(room):
    table = await room.asking(script=LETTERS)
    first, second = [one.id for one in await table.inquiries()]
    return table, first, second


@ON_PLATFORMS
async def test_case_34_one_of_them_was_changed_since_it_was_seen(room) -> None:
    table, first, second = await two_letters(room)
    await room.order("bob", "/inbox", apart=True)
    assert notes.EDITED in await room.order("carol", f'/edit {second} {{"to":"nobody"}}', apart=True)
    told = await room.order("bob", f"/approve {first} {second}", apart=True)
    assert APPROVED not in told
    assert "Nothing was approved" in told
    assert [one.state for one in await table.inquiries()] == [InquiryState.OPEN] * 2
    assert ran(table) == 0


async def test_case_34_otherwise_they_are_as_they_were(room) -> None:
    table, first, second = await two_letters(room)
    assert first[:6] in await room.order("bob", "/inbox", apart=True)
    told = await room.order("bob", f"/approve {first} {second}", apart=True)
    assert told.count(APPROVED) == 2
    assert ran(table) == 2


@ON_PLATFORMS
async def test_case_35_one_of_them_was_never_looked_at(room) -> None:
    table, first, second = await two_letters(room)
    assert "mail:all" in await room.order("bob", f"/view {first}", apart=True)
    told = await room.order("bob", f"/approve {first} {second}", apart=True)
    assert notes.UNSEEN in told
    assert ran(table) == 0


async def test_case_35_otherwise_both_were(room) -> None:
    table, first, second = await two_letters(room)
    for one in (first, second):
        await room.order("bob", f"/view {one}", apart=True)
    await room.order("bob", f"/approve {first} {second}", apart=True)
    assert ran(table) == 2
