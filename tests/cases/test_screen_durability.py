"""Cases 37 to 46, what outlives clocks, platforms and tasks, on people's own screens."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import msgspec
import pytest

from core.adapters.sqlite import migrate
from core.model.errors import StoreRefusedError
from core.model.inquiries import InquiryState
from core.model.work import Phase
from tests.cases.kit import APPROVED, change_row, office, ran, state, votes
from tests.cases.rooms import ON_PLATFORMS
from tests.cases.test_authority import CHAIN
from tests.cases.test_durability import BROKEN, LATER, UNDECIDED, UNFENCED, on_disk, resume_twice
from tests.conformance.platforms.services import NATIVES
from tests.fakes.service import Fault

# --- 37: two at once --------------------------------------------------------------------------------------------------


async def test_case_37_two_workers_have_it_and_people_read_of_one_run(room) -> None:
    table = await room.asking()
    resume_twice(table)
    assert APPROVED in await room.press("bob", "Approve")
    await table.crash()
    await room.quiet()
    assert room.cards() == []
    assert room.reads("ran in")
    assert ran(table) == 1


async def test_case_37_otherwise_nothing_fences_the_first_off(room) -> None:
    table = await room.asking()
    resume_twice(table, *UNFENCED)
    await room.press("bob", "Approve")
    assert ran(table) == 2


# --- 38, 39: clocks and platforms -------------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-48, 23, 24, 240])
async def test_case_38_what_people_find_after_the_clock_has_jumped(room, hours: int) -> None:
    table = await room.asking()
    before_n = room.posts_n()
    await table.crash()
    await room.later(hours=hours)
    assert ((await table.newest()).state, (await table.newest()).overdue) == (InquiryState.OPEN, hours >= 24)
    assert ("overdue" in room.everything().lower()) == (hours >= 24)
    assert room.posts_n() - before_n <= 2
    assert "Approve" in room.card().buttons
    assert ran(table) == 0


async def test_case_38_otherwise_a_person_decides_it_late(room) -> None:
    table = await room.asking()
    await room.later(hours=240)
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


TROUBLE = {
    "refused": {"status": 500, "how": "status"},
    "slow down": {"status": 429, "how": "status", "retry_after": 0.001},
    "cut off": {"how": "cut", "applied": True},
}


@ON_PLATFORMS
@pytest.mark.parametrize("trouble", TROUBLE)
async def test_case_39_the_service_is_in_trouble_while_it_is_decided(room, trouble: str) -> None:
    table = await room.asking()
    room.service.faults.plan(Fault(method=NATIVES[room.name].edit, times=1, **TROUBLE[trouble]))
    await room.press("bob", "Approve")
    for _ in range(4):
        await room.later(seconds=60)
    assert room.reads("Approved by Bob")
    assert room.cards() == []
    assert ran(table) == 1


@ON_PLATFORMS
async def test_case_39_the_card_was_deleted(room) -> None:
    table = await room.asking()
    await room.service.delete(room.card().id)
    assert APPROVED in await room.order("bob", f"/approve {(await table.newest()).id}")
    assert ran(table) == 1


@ON_PLATFORMS
async def test_case_39_otherwise_nobody_decides_and_nothing_is_run_for_want_of_a_card(room) -> None:
    table = await room.asking()
    await room.service.delete(room.card().id)
    for _ in range(4):
        await room.later(hours=12)
    assert await state(table) is InquiryState.OPEN
    assert ran(table) == 0


# --- 40, 41, 42: what else people do ----------------------------------------------------------------------------------


async def test_case_40_its_task_is_cancelled(room) -> None:
    table = await room.asking()
    old = room.card()
    await room.order("you", f"/cancel {(await table.task()).id}")
    assert (await table.task()).phase is Phase.CANCELLED
    assert room.cards() == []
    assert "Too late: it was withdrawn." in await room.press("bob", "Approve", on=old)
    assert ran(table) == 0


async def test_case_40_otherwise_another_task_is(room) -> None:
    table = await room.asking()
    await room.say("you", "@ceo hello", mention=True)
    await room.order("you", f"/cancel {(await table.task('ceo')).id}")
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


@pytest.mark.parametrize("who", ["you", "bob"])
async def test_case_41_people_go_on_talking(room, who: str) -> None:
    table = await room.asking()
    for word in ("yes", "approved", "ok do it", "cancel", "no", "👍"):
        await room.say(who, word, mention=True)
    assert (await state(table), await votes(table)) == (InquiryState.OPEN, ())
    assert (await table.task()).phase is Phase.WORKING
    assert "Approve" in room.card().buttons
    assert ran(table) == 0


async def test_case_41_otherwise_one_of_them_gives_an_order(room) -> None:
    table = await room.asking()
    await room.say("bob", "yes", mention=True)
    assert APPROVED in await room.order("bob", "/approve")
    assert ran(table) == 1


async def replied(room, *, yes_counts: bool, by: str = "bob", text: str = "yes"):
    team = office()
    team = msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, yes_counts=yes_counts))
    table = await room.asking(team, also=room.its_own_channel())
    await room.say(by, text, under=room.card_to_reply_to())
    return table


@ON_PLATFORMS
@pytest.mark.parametrize(
    "how",
    [{"yes_counts": False}, {"yes_counts": True, "by": "mia"}, {"yes_counts": True, "text": "yes, but after lunch"}],
    ids=["the policy does not say so", "they may not", "it says more"],
)
async def test_case_42_a_yes_under_the_card_that_counts_for_nothing(room, how) -> None:
    table = await replied(room, **how)
    assert (await state(table), await votes(table)) == (InquiryState.OPEN, ())
    assert ran(table) == 0


@ON_PLATFORMS
async def test_case_42_otherwise_the_policy_lets_it_count(room) -> None:
    table = await replied(room, yes_counts=True)
    assert room.reads("Approved by Bob")
    assert ran(table) == 1


# --- 43, 44: the store ------------------------------------------------------------------------------------------------


async def kept(room, path):
    """Something is asked, and the store is closed while its card stands on the screen."""
    table = await room.open(office())
    await on_disk(table, path)
    await table.engine.keep_definition()
    await room.say("you", "@ops tell them", mention=True)
    await table.store.inner.close()
    return table


@pytest.mark.parametrize("scripts", [LATER], ids=["a later release"])
async def test_case_43_its_card_was_shown_by_an_earlier_release(room, tmp_path, scripts) -> None:
    path = tmp_path / "signoff.db"
    table = await kept(room, path)
    migrate.connect(path, now_ms=table.clock.now_ms(), scripts=scripts).close()
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(scripts) - 1}")  # so that this release opens it
    await on_disk(table, path)
    assert await state(table) is InquiryState.OPEN
    assert APPROVED in await room.press("bob", "Approve")
    assert room.reads("Approved by Bob")
    assert ran(table) == 1


async def test_case_43_otherwise_the_migration_fails_and_the_card_is_as_it_was(room, tmp_path) -> None:
    path = tmp_path / "signoff.db"
    table = await kept(room, path)
    with pytest.raises(StoreRefusedError):
        migrate.connect(path, now_ms=table.clock.now_ms(), scripts=BROKEN)
    assert "Approve" in room.card().buttons
    assert ran(table) == 0
    await on_disk(table, path)
    assert APPROVED in await room.press("bob", "Approve")


@pytest.mark.parametrize("change", UNDECIDED, ids=str)
async def test_case_44_a_press_on_what_somebody_wrote_into_the_store(room, change) -> None:
    table = await room.asking(expect=("event.failed",))
    await change_row(table, lambda asked: msgspec.structs.replace(asked, **change))
    assert APPROVED not in await room.press("bob", "Approve")
    assert not room.reads("ran in")
    assert ran(table) == 0


async def test_case_44_otherwise_nobody_wrote_into_it(room) -> None:
    table = await room.asking()
    await change_row(table, lambda asked: asked)
    assert APPROVED in await room.press("bob", "Approve")
    assert ran(table) == 1


# --- 45, 46: the record, and a child's inquiry ------------------------------------------------------------------------


async def test_case_45_the_digest_has_the_head_that_a_cut_tail_is_found_with(room) -> None:
    table = await room.asking()
    await room.press("bob", "Approve")
    told = await room.order("you", "/digest")
    rows = table.store.inner._tables.chain
    heads = [seq for seq, sealed in rows.items() if f"{seq}:{sealed.hash}" in told]
    assert len(heads) == 1
    assert heads[0] >= max(seq for seq, sealed in rows.items() if sealed.row.what == "attempt.ended")
    assert ran(table) == 1


async def test_case_45_otherwise_the_tail_was_cut_and_the_head_is_another(room) -> None:
    table = await room.asking()
    await room.press("bob", "Approve")
    chain = table.store.inner._tables.chain
    whole = chain[max(chain)]
    for seq in sorted(chain)[-3:]:
        del chain[seq]
    told = await room.order("you", "/digest")
    assert whole.hash not in told
    assert ran(table) == 1


async def test_case_46_what_a_child_asks_is_asked_where_the_work_was_given(room) -> None:
    table = await room.open(office(), CHAIN)
    await room.say("you", "tell everybody", mention=True)
    assert "OPS asks" in room.card().text
    assert APPROVED in await room.press("bob", "Approve")
    assert [(await table.task(role)).phase for role in ("ops", "cto", "ceo")] == [Phase.DONE] * 3
    assert room.reads("told")
    assert ran(table) == 1


async def test_case_46_otherwise_it_is_denied(room) -> None:
    table = await room.open(office(), CHAIN)
    await room.say("you", "tell everybody", mention=True)
    await room.press("bob", "Deny", reason="not that way")
    assert "not that way" in table.results("ops")[0]
    assert ran(table) == 0
