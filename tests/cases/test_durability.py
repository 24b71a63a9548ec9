"""Cases 36 to 46: what outlives a process, a platform, a clock and a task."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from bots.commands import auditing
from core.adapters.sqlite import migrate
from core.adapters.sqlite.store import SqliteStore
from core.model import unit as u
from core.model.errors import (
    AmbiguousError,
    RateLimitedError,
    RetryableError,
    StoreRefusedError,
    TerminalError,
)
from core.model.events import MessageReceived
from core.model.inquiries import DeliveryState, InquiryState, Verb
from core.model.views import DecidedCard, InquiryCard
from core.model.work import Phase
from core.runtime.engine import Engine
from tests.cases.kit import (
    APPROVALS,
    APPROVED,
    MAILING,
    asking,
    button,
    card,
    change_row,
    click,
    decided,
    loosen,
    office,
    ran,
    row_of,
    seen,
    state,
    votes,
)
from tests.cases.test_authority import CHAIN
from tests.engine_kit import MAIN, Table
from tests.simulation import company
from tests.simulation.checks import verify
from tests.simulation.company import ANA, BEN, CAL
from tests.simulation.scenarios import DEPLOY, approve, chain, wrap_up
from tests.simulation.scenarios import DONE as DEPLOYED
from tests.simulation.world import World, play

# --- 36, 37: deaths, and two at once --------------------------------------------------------------------------------


async def deploy(world: World) -> None:
    world.say("deploy the landing page")
    await world.settle()
    await approve(world)
    await wrap_up(world)


def world_of(*crash_at: int) -> World:
    team = company.company(ANA, BEN, CAL)
    return World(1, script=chain(DEPLOY, DEPLOYED), team=team, crash_at=frozenset(crash_at))


STEP = 5
"""Every boundary is the proof's (tests/simulation/test_every_boundary.py); here it is every fifth."""


@pytest.mark.parametrize("offset", range(1, STEP + 1, 2))
async def test_case_36_a_kill_at_a_boundary_runs_nothing_twice_and_nothing_unasked(offset: int) -> None:
    boundaries_n = (await play(world_of(), deploy)).hazards.count
    for boundary in range(offset, boundaries_n + 1, STEP * 2):
        world = await play(world_of(boundary), deploy)
        assert world.crashes
        verify(world)
        assert world.executions("deploy") <= 1 + len(world.unknowable)


async def test_case_36_otherwise_an_attempt_is_forgotten_and_it_runs_twice(monkeypatch) -> None:
    """The kill is just after the command ran. Without what was written before it, the next life runs it again."""
    commit = World._begin

    async def forgetful(self) -> None:
        inner = self.store.commit

        async def without(unit: u.Unit) -> u.Answer:
            kept = tuple(c for c in unit.changes if not isinstance(c, u.PutAttempt | u.MoveGrant | u.MoveAttempt))
            return await inner(msgspec.structs.replace(unit, changes=kept))

        if not self.lives and not self.crashes:
            self.store.commit = without
        await commit(self)

    monkeypatch.setattr(World, "_begin", forgetful)

    async def killed(world: World) -> None:
        world.say("deploy the landing page")
        await world.settle()
        world.crash_on("after run_command")
        await approve(world)

    world = await play(world_of(), killed)
    assert world.executions("deploy") == 2


def resume_twice(table: Table, *forgotten: type) -> None:
    """Just before a worker uses the grant, another one takes over all there is, and performs it."""
    loosen(table, *forgotten)

    async def another(unit: u.Unit) -> bool:
        if not any(isinstance(change, u.PutAttempt) for change in unit.changes):
            return False
        await table.store.inner.new_boot()
        second = Engine(table.context)
        for effect in await second.worker.claim():
            second.worker._busy += 1
            await second.worker._perform(effect)
        return True

    table.store.meanwhile = another


UNFENCED = (u.Fence, u.State, u.PutAttempt, u.MoveGrant, u.MoveAttempt)


async def resumed_twice(*forgotten: type) -> Table:
    table = await asking()
    resume_twice(table, *forgotten)
    await click(table, "bob")
    return table


async def test_case_37_two_workers_resume_and_one_runs_it() -> None:
    assert ran(await resumed_twice()) == 1


async def test_case_37_otherwise_nothing_fences_the_first_off_and_no_attempt_is_kept() -> None:
    assert ran(await resumed_twice(*UNFENCED)) == 2


# --- 38, 39: clocks and platforms -----------------------------------------------------------------------------------


@pytest.mark.parametrize("hours", [-48, 23, 24, 240, 24 * 400])
async def test_case_38_a_clock_that_jumps_approves_nothing_and_makes_no_storm(hours: float) -> None:
    table = await asking()
    before = {screen.name: len(screen.sent) for screen in (table.chat, table.desk)}
    await table.crash()
    table.turn_clock(hours=hours)
    await table.settle()
    asked = await table.newest()
    assert (asked.state, asked.overdue) == (InquiryState.OPEN, hours >= 24)
    assert all(len(screen.sent) - before[screen.name] <= 2 for screen in (table.chat, table.desk))
    assert ran(table) == 0


@pytest.mark.parametrize("hours", [-48, 240])
async def test_case_38_otherwise_a_person_decides_whatever_the_clock_says(hours: float) -> None:
    table = await asking()
    table.turn_clock(hours=hours)
    await table.settle()
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


SHOWING = {
    "down": [RetryableError("connection refused")] * 2,
    "429": [RateLimitedError("slow down", retry_after_ms=5_000, scope="account")],
    "unsure": [AmbiguousError("cut off")],
    "bot removed": [TerminalError("the bot was removed")],
}


@pytest.mark.parametrize("trouble", SHOWING)
async def test_case_39_one_place_is_in_trouble_and_the_other_decides(trouble: str) -> None:
    table = Table(MAILING, team=office())
    table.chat.troubles = list(SHOWING[trouble])
    await table.say("tell them", role="ops")
    assert await click(table, "bob", at=APPROVALS) == APPROVED
    await table.settle_later(seconds=60, times=4)
    assert [view.state for view in seen(table, APPROVALS) if isinstance(view, DecidedCard)] == ["approved"]
    if trouble in {"down", "429"}:
        assert [view.state for view in decided(table)] == ["approved"]
    assert ran(table) == 1


AFTERWARDS = {
    "message deleted": [TerminalError("the message is gone")] * 99,
    "thread archived": [TerminalError("the thread is archived")] * 99,
    "edit window closed": [TerminalError("it is too old to edit")] * 99,
    "unsure": [AmbiguousError("cut off")] * 3,
}


@pytest.mark.parametrize("trouble", AFTERWARDS)
async def test_case_39_a_message_that_cannot_be_edited_any_more_holds_nothing_up(trouble: str) -> None:
    table = await asking()
    send, pressed, troubles = table.chat.send, button(card(table)), list(AFTERWARDS[trouble])

    async def stuck(post: Any, edits: str, part: int = 0) -> str:
        if troubles and edits and isinstance(post.view, InquiryCard | DecidedCard):
            raise troubles.pop()
        return await send(post, edits, part)

    table.chat.send = stuck
    await click(table, "bob")
    await table.settle_later(seconds=60, times=4)
    assert [view.state for view in decided(table, APPROVALS)] == ["approved"]
    assert await table.control(pressed, "carol") == "Already approved by Bob."
    assert ran(table) == 1


async def test_case_39_otherwise_no_place_is_left_and_nothing_runs_until_a_person_finds_it() -> None:
    table = Table(MAILING, team=office())
    table.chat.troubles = table.desk.troubles = [TerminalError("gone")] * 2
    await table.say("tell them", role="ops")
    assert await state(table) is InquiryState.UNDELIVERABLE
    assert ran(table) == 0
    assert await table.order(f"/approve {(await table.newest()).id}", "bob") == APPROVED
    assert ran(table) == 1


# --- 40, 41, 42: what else people do ----------------------------------------------------------------------------------


async def test_case_40_a_task_that_is_cancelled_while_it_waits_runs_nothing() -> None:
    table = await asking()
    pressed = button(card(table))
    await table.order(f"/cancel {(await table.task()).id}", "you")
    assert await state(table) is InquiryState.CANCELLED
    assert (await table.task()).phase is Phase.CANCELLED
    assert await table.control(pressed, "bob") == "Too late: it was withdrawn."
    for place in (MAIN, APPROVALS):
        assert [view.state for view in decided(table, place)] == ["cancelled"]
    assert ran(table) == 0


async def test_case_40_a_live_grant_goes_with_its_task() -> None:
    table = await asking()
    await table.order("/stop ops")
    await click(table, "bob")
    await table.order(f"/cancel {(await table.task()).id}", "you")
    await table.order("/resume ops")
    assert ran(table) == 0


async def test_case_40_otherwise_another_task_is_cancelled() -> None:
    table = await asking()
    await table.say("hello", at=APPROVALS, role="ceo")
    await table.order(f"/cancel {(await table.task('ceo')).id}", "you")
    assert await click(table, "bob") == APPROVED
    assert ran(table) == 1


WORDS = ("yes", "approve", "approved", "/approve", "a", "ok do it", "cancel", "stop", "no", "👍")


@pytest.mark.parametrize("who", ["you", "bob"])
async def test_case_41_a_new_message_neither_cancels_nor_approves(who: str) -> None:
    table = await asking()
    for word in WORDS:
        await table.happens(MessageReceived, who, text=word)
    await table.settle()
    assert (await state(table), await votes(table)) == (InquiryState.OPEN, ())
    assert (await table.task()).phase is Phase.WORKING
    assert ran(table) == 0


async def test_case_41_otherwise_it_is_an_order() -> None:
    table = await asking()
    await table.say("yes", "bob")
    assert await table.order("/approve", "bob") == APPROVED
    assert ran(table) == 1


async def replied(*, yes_counts: bool, text: str = "yes", to: str = "", by: str = "bob") -> Table:
    """Somebody writes a word under the card, or under something else."""
    team = office()
    table = await asking(
        msgspec.structs.replace(team, policy=msgspec.structs.replace(team.policy, yes_counts=yes_counts))
    )
    (receipt,) = [r for r, edits in table.chat.messages.items() if isinstance(edits[-1].view, InquiryCard)]
    await table.happens(MessageReceived, by, text=text, reply_to={"": receipt, "nothing": None}.get(to, to))
    await table.settle()
    return table


WORDLESS = {
    "the policy does not say so": {"yes_counts": False},
    "it is no reply": {"yes_counts": True, "to": "nothing"},
    "it is a reply to something else": {"yes_counts": True, "to": "m-of-something-else"},
    "it says more": {"yes_counts": True, "text": "yes, but only after lunch"},
    "it is another word": {"yes_counts": True, "text": "ok"},
    "it is theirs": {"yes_counts": True, "by": "you"},
    "they may not": {"yes_counts": True, "by": "mia"},
}


@pytest.mark.parametrize("why", WORDLESS)
async def test_case_42_an_ordinary_yes_counts_for_nothing(why: str) -> None:
    table = await replied(**WORDLESS[why])
    assert (await state(table), await votes(table)) == (InquiryState.OPEN, ())
    assert ran(table) == 0


async def test_case_42_otherwise_it_is_a_reply_to_the_card_and_the_policy_says_so() -> None:
    assert ran(await replied(yes_counts=True)) == 1


# --- 43, 44: the store ------------------------------------------------------------------------------------------------

LATER = (*migrate.schema(), "CREATE TABLE later (id TEXT);\nALTER TABLE inquiries ADD COLUMN later INTEGER;\n")
BROKEN = (*migrate.schema(), "ALTER TABLE inquiries RENAME TO asked;\nSELECT no_such_function();\n")


async def on_disk(table: Table, path: Any) -> None:
    """The table's engine works on this database."""
    table.store.inner = store = await SqliteStore.open(path, table.clock)
    table.store.read = store.read
    await store.new_boot()


async def kept(path: Any) -> tuple[Table, str]:
    """Something is asked, and the process ends."""
    table = Table(MAILING, team=office())
    await on_disk(table, path)
    await table.say("tell them", role="ops")
    assert await state(table) is InquiryState.OPEN
    await table.store.inner.close()
    return table, button(card(table))


async def test_case_43_a_migration_with_inquiries_open(tmp_path) -> None:
    path = tmp_path / "signoff.db"
    table, pressed = await kept(path)
    migrate.connect(path, now_ms=table.clock.now_ms(), scripts=LATER).close()
    assert list((tmp_path / "backups").iterdir())
    with closing(sqlite3.connect(path)) as database:
        database.execute(f"PRAGMA user_version = {len(LATER) - 1}")  # so that this release opens it
    await on_disk(table, path)
    assert await state(table) is InquiryState.OPEN
    assert ran(table) == 0
    assert await table.control(pressed, "bob") == APPROVED
    assert [view.state for view in decided(table)] == ["approved"]
    assert ran(table) == 1
    await table.store.inner.close()


async def test_case_43_otherwise_it_fails_and_everything_is_as_it_was(tmp_path) -> None:
    path = tmp_path / "signoff.db"
    table, pressed = await kept(path)
    with pytest.raises(StoreRefusedError):
        migrate.connect(path, now_ms=table.clock.now_ms(), scripts=BROKEN)
    assert ran(table) == 0
    await on_disk(table, path)
    assert await table.control(pressed, "bob") == APPROVED
    assert ran(table) == 1
    await table.store.inner.close()


async def test_case_44_a_damaged_database_is_not_opened(tmp_path) -> None:
    path = tmp_path / "signoff.db"
    table, _ = await kept(path)
    whole = path.read_bytes()
    page = len(whole) // 4096 // 2 * 4096
    path.write_bytes(whole[:page] + b"\xff" * 4096 + whole[page + 4096 :])
    with pytest.raises(StoreRefusedError):
        await SqliteStore.open(path, table.clock)
    assert ran(table) == 0


async def test_case_44_a_row_that_cannot_be_read_approves_nothing(tmp_path) -> None:
    path = tmp_path / "signoff.db"
    table, pressed = await kept(path)
    table.expect = ("event.failed",)
    with closing(sqlite3.connect(path)) as database:
        columns = [row[1] for row in database.execute("PRAGMA table_info(inquiries)") if row[2].upper() == "BLOB"]
        database.execute(f"UPDATE inquiries SET {columns[-1]} = x'7b226b696e64223a'")
        database.commit()
    await on_disk(table, path)
    assert "Approved" not in await table.control(pressed, "bob")
    assert ran(table) == 0
    await table.store.inner.close()


UNDECIDED: tuple[dict[str, Any], ...] = (
    {"digest": "v1:0"},
    {"stages": ()},
    {"state": InquiryState.APPROVED},
    {"state": InquiryState.APPROVED, "resolution": None, "revision": 2},
)
"""What somebody wrote into a row."""


@pytest.mark.parametrize("change", UNDECIDED, ids=str)
async def test_case_44_a_row_that_says_what_nobody_decided_runs_nothing(change: dict[str, Any]) -> None:
    table = await asking(expect=("event.failed",))
    await change_row(table, lambda asked: msgspec.structs.replace(asked, **change))
    await table.control(button(card(table)), "bob")
    await table.crash()
    await table.settle()
    assert ran(table) == 0


async def test_case_44_otherwise_it_is_whole(tmp_path) -> None:
    path = tmp_path / "signoff.db"
    table, pressed = await kept(path)
    await on_disk(table, path)
    assert await table.control(pressed, "bob") == APPROVED
    assert ran(table) == 1
    await table.store.inner.close()


# --- 45: the audit chain ----------------------------------------------------------------------------------------------


async def audited() -> tuple[Any, tuple[int, str]]:
    """A chain of a whole decision, and the head that somebody wrote down."""
    table = await asking()
    await click(table, "bob")
    assert ran(table) == 1
    head = await table.store.read.chain_head()
    return table.store.inner._tables.chain, head


async def verified(chain: dict[int, Any], head: tuple[int, str] | None) -> int:
    async def rows(after: int, n: int) -> tuple[u.Sealed, ...]:
        return tuple(chain[seq] for seq in sorted(chain) if seq > after)[:n]

    async def unsealed(n: int) -> tuple[u.Audit, ...]:
        return ()

    house = SimpleNamespace(store=SimpleNamespace(read=SimpleNamespace(chain=rows, unsealed=unsealed)))
    return await auditing._verify(house, head)


def changed(rows: dict[int, Any]) -> None:
    row = msgspec.structs.replace(rows[3].row, principal="carol")
    rows[3] = msgspec.structs.replace(rows[3], row=row)


def deleted(rows: dict[int, Any]) -> None:
    del rows[3]


def reordered(rows: dict[int, Any]) -> None:
    rows[3], rows[4] = (
        msgspec.structs.replace(rows[4], seq=3),
        msgspec.structs.replace(rows[3], seq=4),
    )


def tail_cut(rows: dict[int, Any]) -> None:
    del rows[max(rows)]


@pytest.mark.parametrize("how", [changed, deleted, reordered, tail_cut], ids=lambda how: how.__name__)
async def test_case_45_what_was_done_to_the_chain_shows(how) -> None:
    rows, head = await audited()
    how(rows)
    with pytest.raises(TerminalError):
        await verified(rows, head)


async def test_case_45_otherwise_nothing_was_done_to_it_and_it_has_the_whole_story() -> None:
    rows, head = await audited()
    assert await verified(rows, head) == 0
    told = [rows[seq].row.what for seq in sorted(rows)]
    story = ["inquiry.opened", "inquiry.shown", "vote.cast", "grant.minted", "attempt.started", "attempt.ended"]
    assert [what for what in dict.fromkeys(told) if what in story] == story
    started = next(rows[seq].row for seq in rows if rows[seq].row.what == "attempt.started")
    minted = next(rows[seq].row for seq in rows if rows[seq].row.what == "grant.minted")
    assert started.detail["digest"] == minted.detail["digest"]


# --- 46: children -----------------------------------------------------------------------------------------------------


async def child_asks(verb: Verb, **fields: str) -> Table:
    table = Table(CHAIN, team=office())
    await table.say("tell everybody")
    asked = await table.inquiry()
    assert (asked.role, asked.conversation) == ("ops", MAIN)
    assert card(table).inquiry == asked.id
    assert {one.state for one in (await row_of(table)).deliveries} == {DeliveryState.POSTED}
    await click(table, "bob", verb, **fields)
    return table


async def test_case_46_a_childs_inquiry_is_shown_where_the_work_was_asked_for_and_resumes_the_child() -> None:
    table = await child_asks(Verb.APPROVE)
    assert [(await table.task(role)).phase for role in ("ops", "cto", "ceo")] == [Phase.DONE] * 3
    assert table.results("ops") == ["mail ok"]
    assert table.answer == "told"
    assert ran(table) == 1


async def test_case_46_otherwise_it_is_denied_and_the_child_goes_on_without_it() -> None:
    table = await child_asks(Verb.DENY, reason="not that way")
    assert "not that way" in table.results("ops")[0]
    assert (await table.task("ops")).phase is not Phase.WORKING
    assert ran(table) == 0
