"""Cases 1 to 14: clicks."""

from __future__ import annotations

import msgspec
import pytest

from bots.console import wire
from core.model.errors import StoreFullError, TerminalError
from core.model.events import ControlPressed
from core.model.inquiries import GrantState, InquiryState, Verb
from core.model.unit import PutGrant
from core.model.views import DecidedCard, Line
from core.rules import inquiry as rules
from core.rules import notes, replies
from core.rules.views import control, control_nonce
from core.runtime import inquiries
from tests.cases.kit import (
    APPROVALS,
    APPROVED,
    BY_THREE,
    BY_TWO,
    MAILING,
    asking,
    button,
    card,
    click,
    decided,
    drawn,
    meanwhile,
    office,
    ran,
    row_of,
    sent_to,
    state,
    typed,
    votes,
)
from tests.engine_kit import CAROL, DESK, MAIN, SIDE, YOU, Table

# --- 1, 2, 3: one person, one vote ------------------------------------------------------------------------------------


async def test_case_01_a_double_click_is_one_vote() -> None:
    table = await asking(office(stages=BY_TWO))
    pressed = button(card(table))
    for _ in range(2):
        await table.happens(ControlPressed, "bob", control=pressed)
    await table.settle()
    assert [vote.principal for vote in await votes(table)] == ["bob"]
    assert ran(table) == 0


async def test_case_01_an_operators_double_click_is_one_of_their_two_presses() -> None:
    table = await asking(office(YOU))
    pressed = button(card(table))
    for _ in range(2):
        await table.happens(ControlPressed, "you", control=pressed)
    await table.settle()
    assert ran(table) == 0
    table.turn_clock(seconds=0.999)
    assert await table.control(pressed, "you") == notes.CONFIRM
    assert ran(table) == 0


async def test_case_01_otherwise_an_operator_presses_again_after_a_second() -> None:
    table = await asking(office(YOU))
    await click(table, "you")
    table.turn_clock(seconds=1)
    await click(table, "you")
    assert ran(table) == 1


async def test_case_01_otherwise_the_second_click_is_somebody_elses() -> None:
    table = await asking(office(stages=BY_TWO))
    pressed = button(card(table))
    for who in ("bob", "carol"):
        await table.happens(ControlPressed, who, control=pressed)
    await table.settle()
    assert ran(table) == 1


async def test_case_01_console_a_letter_typed_twice_is_one_vote() -> None:
    table = await asking(office(stages=BY_TWO))
    for _ in range(2):
        await table.control(typed(card(table), "a"), "bob")
    assert [vote.principal for vote in await votes(table)] == ["bob"]
    assert ran(table) == 0
    assert await table.control(typed(card(table), "a"), "carol") == APPROVED
    assert ran(table) == 1


async def test_case_02_the_same_person_on_two_platforms_is_one_vote() -> None:
    table = await asking(office(stages=BY_TWO))
    assert await click(table, "bob") == notes.COUNTED
    assert await click(table, "bob", at=APPROVALS) == notes.SEEN
    assert len(await votes(table)) == 1
    assert ran(table) == 0


async def test_case_02_otherwise_two_people_on_two_platforms() -> None:
    table = await asking(office(stages=BY_TWO))
    await click(table, "bob")
    assert await click(table, "carol", at=APPROVALS) == APPROVED
    assert ran(table) == 1


async def redelivered(second: str, who: str) -> Table:
    """A press, the engine's death, and a press again under that key."""
    table = await asking(office(stages=BY_TWO))
    pressed = button(card(table))
    await table.happens(ControlPressed, "bob", control=pressed, key="chat:first")
    await table.settle()
    await table.crash()
    for _ in range(3):
        await table.happens(ControlPressed, who, control=pressed, key=second)
    await table.settle()
    return table


async def test_case_03_a_callback_that_comes_again_is_nothing_new() -> None:
    table = await redelivered("chat:first", "bob")
    assert len(await votes(table)) == 1
    assert ran(table) == 0


async def test_case_03_a_callback_is_one_persons() -> None:
    table = await redelivered("chat:first", "carol")
    assert [vote.principal for vote in await votes(table)] == ["bob"]
    assert ran(table) == 0


async def test_case_03_otherwise_it_is_another_callback_of_another_person() -> None:
    assert ran(await redelivered("chat:second", "carol")) == 1


# --- 4, 5, 6: conflicts and races -------------------------------------------------------------------------------------


async def test_case_04_a_second_opinion_is_a_conflict_and_overwrites_nothing() -> None:
    table = await asking(office(stages=BY_TWO))
    await click(table, "bob")
    assert await click(table, "bob", Verb.DENY, APPROVALS, reason="on second thoughts") == notes.CONFLICT
    assert [vote.verb for vote in await votes(table)] == [Verb.APPROVE]
    await click(table, "carol")
    assert ran(table) == 1


async def test_case_04_otherwise_the_first_vote_was_taken_back() -> None:
    table = await asking(office(stages=BY_TWO))
    await click(table, "bob")
    assert await table.order("/withdraw", "bob") == notes.TAKEN_BACK
    assert await click(table, "bob", Verb.DENY, APPROVALS, reason="on second thoughts") == notes.DENIED
    await table.order(f"/approve {(await table.newest()).id}", "carol")
    assert ran(table) == 0


async def test_case_05_approve_meets_deny_and_the_denial_stands() -> None:
    table = await asking()
    meanwhile(table, CAROL, Verb.DENY, "no")
    assert await click(table, "bob") == "Already denied by Carol."
    assert await state(table) is InquiryState.DENIED
    assert (await row_of(table)).grant is None
    assert ran(table) == 0


async def test_case_05_deny_meets_approve_and_it_runs_once() -> None:
    table = await asking()
    meanwhile(table, CAROL)
    assert await click(table, "bob", Verb.DENY, reason="no") == "Already approved by Carol."
    assert await state(table) is InquiryState.APPROVED
    assert ran(table) == 1


async def test_case_05_otherwise_nobody_denies_it_meanwhile() -> None:
    table = await asking()
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


async def test_case_06_two_race_for_the_last_seat() -> None:
    table = await asking(office(stages=BY_TWO))
    await click(table, "dave")
    meanwhile(table, CAROL)
    assert await click(table, "bob") == "Already approved by Dave, Carol."
    grants = table.store.inner._tables.grants.values()
    assert [grant.by for grant in grants] == [("dave", "carol")]
    assert ran(table) == 1


async def test_case_06_otherwise_there_is_another_seat_and_both_get_one() -> None:
    table = await asking(office(stages=BY_THREE))
    meanwhile(table, CAROL)
    assert await click(table, "bob") == notes.COUNTED
    assert len(await votes(table)) == 2
    assert ran(table) == 0
    assert await click(table, "dave") == APPROVED
    assert ran(table) == 1


# --- 7, 8, 9: around the commit ---------------------------------------------------------------------------------------


async def unsent() -> Table:
    """Both cards are on their way, and no platform has said under which id."""
    table = Table(MAILING, team=office())
    table.chat.hangs = table.desk.hangs = True
    await table.say("tell them", role="ops")
    assert {one.receipt for one in (await row_of(table)).deliveries} == {""}
    return table


async def test_case_07_a_click_before_the_message_has_an_id() -> None:
    table = await unsent()
    asked = await table.inquiry()
    assert asked.state is InquiryState.CREATED
    await table.control(control(control_nonce("kit", f"{asked.id}:1"), Verb.APPROVE), "bob")
    assert ran(table) == 1
    for screen in (table.chat, table.desk):
        screen.hangs = False
        screen.silent.set()
    await table.settle()
    for place in (MAIN, APPROVALS):
        assert [one.state for one in decided(table, place)] == ["approved"]
    assert ran(table) == 1
    await table.close()


async def test_case_07_otherwise_the_nonce_is_of_no_showing() -> None:
    table = await unsent()
    asked = await table.inquiry()
    await table.control(control(control_nonce("kit", f"{asked.id}:2"), Verb.APPROVE), "bob")
    await table.control(control(control_nonce("another secret", f"{asked.id}:1"), Verb.APPROVE), "bob")
    assert ran(table) == 0
    await table.close()


async def test_case_08_acknowledging_fails_and_the_message_is_updated_all_the_same() -> None:
    table = await asking()
    send = table.chat.send

    async def deaf(post, edits, part=0):
        if isinstance(post.view, Line) and post.view.private:
            raise TerminalError("the interaction is over")
        return await send(post, edits, part)

    table.chat.send = deaf
    assert await click(table, "bob") == ""
    for place in (MAIN, APPROVALS):
        (left,) = decided(table, place)
        assert left.headline.startswith("Approved by Bob")
    assert ran(table) == 1


async def test_case_08_otherwise_it_fails_before_the_commit() -> None:
    table = await asking()
    pressed = button(card(table))
    table.store.full_n = 1
    with pytest.raises(StoreFullError):
        await table.happens(ControlPressed, "bob", control=pressed)
    await table.settle()
    assert decided(table) == []
    assert ran(table) == 0


async def test_case_09_approved_is_not_said_before_it_is_committed() -> None:
    table = await asking()
    table.store.full_n, table.store.full_if = 3, lambda unit: any(isinstance(c, PutGrant) for c in unit.changes)
    said: list[str] = []

    async def watching() -> bool:
        said.extend(str(post.view) for post in table.chat.sent + table.desk.sent if "pproved" in str(post.view))
        return False

    await table.happens(ControlPressed, "bob", control=button(card(table)))
    for left in (2, 1, 0):
        await table.engine.dispatcher.sweep()
        await watching()
        for post in await table.engine.outbox.claim():
            table.engine.outbox._busy += 1
            await table.engine.outbox._send(post)
        assert table.store.full_n == left
        assert not [post for post in table.chat.sent + table.desk.sent if isinstance(post.view, DecidedCard)]
    assert said == []
    assert ran(table) == 0


async def test_case_09_otherwise_the_commit_succeeds() -> None:
    table = await asking()
    await click(table, "bob")
    assert [post for post in table.chat.sent + table.desk.sent if isinstance(post.view, DecidedCard)]
    assert ran(table) == 1


# --- 10, 11: buttons from elsewhere -----------------------------------------------------------------------------------


@pytest.mark.parametrize("forged", ["", "approve", "x" * 500, "0123456789abcdef.a", "{nonce}.z", "{nonce}.A", "\x00.a"])
async def test_case_10_a_forged_callback_is_nobodys(forged: str) -> None:
    table = await asking()
    nonce = button(card(table)).partition(".")[0]
    assert await table.control(forged.format(nonce=nonce), "bob") == replies.UNKNOWN_BUTTON
    assert (await state(table), await votes(table)) == (InquiryState.OPEN, ())
    assert ran(table) == 0


async def test_case_10_a_button_of_another_workspace_is_nobodys() -> None:
    table = await asking()
    elsewhere = msgspec.structs.replace(MAIN, account="another")
    assert await table.control(button(card(table)), "bob", at=elsewhere) == replies.UNKNOWN_BUTTON
    assert ran(table) == 0


async def test_case_10_otherwise_it_is_ours() -> None:
    table = await asking()
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


async def test_case_11_a_button_forwarded_to_another_channel_counts_nothing() -> None:
    table = await asking()
    here, there = button(card(table)), button(card(table, APPROVALS))
    for pressed, place in ((here, SIDE), (here, APPROVALS), (there, MAIN), (there, DESK)):
        assert await table.control(pressed, "bob", at=place) == replies.UNKNOWN_BUTTON
    assert await votes(table) == ()
    assert ran(table) == 0


async def test_case_11_otherwise_it_is_pressed_where_it_was_shown() -> None:
    table = await asking()
    thread = msgspec.structs.replace(APPROVALS, thread="7")
    assert await table.control(button(card(table, APPROVALS)), "bob", at=thread) == APPROVED
    assert ran(table) == 1


# --- 12, 13: too late -------------------------------------------------------------------------------------------------


async def edited() -> tuple[Table, str]:
    table = await asking()
    old = button(card(table))
    assert await table.order('/edit {"to":"some"}', "carol") == notes.EDITED
    return table, old


async def test_case_12_a_button_of_an_earlier_revision_is_stale() -> None:
    table, old = await edited()
    assert await table.control(old, "bob") == notes.STALE
    assert await votes(table) == ()
    assert ran(table) == 0


async def test_case_12_otherwise_it_is_the_button_of_todays_revision() -> None:
    table, old = await edited()
    assert await click(table, "bob", at=APPROVALS) == APPROVED
    assert sent_to(table) == [{"to": "some"}]
    assert await table.control(old, "dave") == "Already approved by Bob."
    assert ran(table) == 1


async def test_case_12_console_the_old_letter_is_stale_and_the_new_card_shows_what_is_asked() -> None:
    table = await asking()
    old = typed(card(table), "a")
    await table.order('/edit {"to":"some"}', "carol")
    assert await table.control(old, "bob") == notes.STALE
    assert "some" in drawn(card(table))
    assert ran(table) == 0
    assert await table.control(typed(card(table), "a"), "bob") == APPROVED
    assert ran(table) == 1


async def overdue_and_denied(table: Table) -> None:
    table.turn_clock(hours=24)
    await table.settle()


async def cancelled(table: Table) -> None:
    await table.order(f"/cancel {(await table.task()).id}")


async def superseded(table: Table) -> None:
    """As the agent's newer request does: the rule, written by the engine."""
    asked = await table.inquiry()

    def replaced(facts: inquiries.Facts) -> rules.Decision:
        return rules.supersede(facts.row, "i-newer", "ops", table.clock.now_ms())

    await inquiries.apply(table.context, asked.id, replaced)
    await table.settle()


async def granted_in_vain(table: Table) -> None:
    """Approved while its role was stopped, and not used in time."""
    await table.order("/stop ops")
    await click(table, "carol")
    table.turn_clock(hours=25)
    await table.order("/resume ops")


LATE = {
    "timeout": (overdue_and_denied, InquiryState.DENIED, "Already denied by deadline."),
    "cancel": (cancelled, InquiryState.CANCELLED, "Too late: it was withdrawn."),
    "supersede": (superseded, InquiryState.SUPERSEDED, "Too late: it was replaced by a newer request."),
    "expiry": (granted_in_vain, InquiryState.EXPIRED, "Too late: it has expired."),
}


@pytest.mark.parametrize("why", LATE)
async def test_case_13_a_click_too_late_is_told_what_happened_instead(why: str) -> None:
    befalls, after, told = LATE[why]
    table = await asking(office(rule={"at_deadline": "deny"}))
    pressed = button(card(table))
    await befalls(table)
    assert await table.control(pressed, "bob") == told
    assert await state(table) is after
    assert ran(table) == 0
    assert decided(table)[-1].state == after.value


async def test_case_13_a_click_after_consumption_runs_nothing_again() -> None:
    table = await asking()
    pressed = button(card(table))
    await click(table, "carol")
    (grant,) = table.store.inner._tables.grants.values()
    assert grant.state is GrantState.CONSUMED
    assert await table.control(pressed, "bob") == "Already approved by Carol."
    assert ran(table) == 1


async def test_case_13_otherwise_it_is_in_time() -> None:
    table = await asking(office(rule={"at_deadline": "deny"}))
    pressed = button(card(table))
    table.turn_clock(hours=23)
    await table.settle()
    assert await table.control(pressed, "bob") == APPROVED
    assert ran(table) == 1


async def test_case_13_console_a_decided_card_has_no_letters() -> None:
    table = await asking(office(rule={"at_deadline": "deny"}))
    before = drawn(card(table))
    assert "[a] Approve" in before
    await overdue_and_denied(table)
    after = drawn(decided(table)[-1])
    assert after.splitlines()[1].startswith("Denied by the deadline at ")
    assert "[" not in after
    assert ran(table) == 0


# --- 14: which one ----------------------------------------------------------------------------------------------------


async def two_open() -> Table:
    table = await asking()
    await table.say("tell them again", role="ops", at=SIDE)
    assert len(await table.inquiries()) == 2
    return table


async def test_case_14_a_bare_approval_with_several_open_asks_which() -> None:
    table = await two_open()
    assert (await table.order("/approve", "bob")).startswith("Which one? Open are i-")
    assert [one.state for one in await table.inquiries()] == [InquiryState.OPEN] * 2
    assert ran(table) == 0


async def test_case_14_an_id_means_that_one_alone() -> None:
    table = await two_open()
    first, second = await table.inquiries()
    assert await table.order(f"/approve {second.id}", "bob") == APPROVED
    assert (await table.inquiry()).id == first.id
    assert ran(table) == 1


async def test_case_14_otherwise_only_one_is_open() -> None:
    table = await asking()
    assert await table.order("/approve", "bob") == APPROVED
    assert ran(table) == 1


async def test_case_14_console_a_letter_is_the_newest_cards_and_every_card_names_its_id() -> None:
    table = await two_open()
    first, second = await table.inquiries()
    newest = card(table, SIDE)
    assert second.id[:6] in drawn(newest)
    assert first.id[:6] in drawn(card(table))
    plain = wire.Look(width=100)
    assert f"/approve {second.id[:6]}" in drawn(newest, plain)
    assert await table.control(typed(newest, "a"), "bob", at=SIDE) == APPROVED
    assert (await table.inquiry()).id == first.id
    assert ran(table) == 1
