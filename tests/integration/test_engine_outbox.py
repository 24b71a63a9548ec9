"""What is said arrives once, in order, or is known not to have arrived."""

from __future__ import annotations

import asyncio

import pytest

from core.adapters.models.scripted import fail, say, use
from core.model.errors import (
    AmbiguousError,
    AuthenticationError,
    OverloadedError,
    RateLimitedError,
    RetryableError,
    StoreFullError,
    TerminalError,
)
from core.model.events import Conversation, MessageReceived
from core.model.ids import post_of
from core.model.inquiries import InquiryState
from core.model.unit import AddPost, ClaimPosts, PostState, Unit
from core.model.views import InquiryCard, Line, Post, StatusLine, Trouble
from core.model.work import Phase
from core.rules import notes
from core.rules.canonical import audit_hash
from core.runtime import sealer
from core.runtime.outbox import SEND_SECONDS_MAX, Outbox
from tests.engine_kit import BOB, DESK, MAIN, SIDE, YOU, Table, company

SHIP = use("run_command", command="ship", args={"site": "landing"})


def limited(seconds: int, scope: str = "conversation") -> RateLimitedError:
    return RateLimitedError("slow down", retry_after_ms=seconds * 1000, scope=scope)


async def post(table: Table, text: str, at=MAIN, *, slot: str = "", rank: int = 1) -> None:
    one = Post(
        id=post_of(text, at.key),
        conversation=at,
        view=Line(text=text),
        slot=slot or f"slot:{text}:{at.key}",
        rank=rank,
        at_ms=table.clock.now_ms(),
    )
    await table.store.commit(Unit(changes=(AddPost(post=one),)))


async def states(table: Table, at=MAIN) -> dict[str, PostState]:
    return {row.post.view.text: row.state for row in await table.store.read.posts(conversation=at)}


# --- Order -----------------------------------------------------------------------------------------------------------


async def test_a_conversation_is_told_in_order_and_cards_overtake_status_lines() -> None:
    table = Table()
    await post(table, "status", rank=2)
    for n in range(3):
        await post(table, f"{n}")
    await post(table, "card", rank=0)
    await table.settle()
    assert table.lines == ["card", "0", "1", "2", "status"]


async def test_a_limit_of_a_conversation_holds_that_one_and_keeps_its_order() -> None:
    table = Table()
    table.chat.troubles = [limited(5)]
    await post(table, "first")
    await post(table, "second")
    await table.settle()
    await post(table, "elsewhere", SIDE)
    await table.settle()
    assert table.lines == ["elsewhere"]
    table.turn_clock(seconds=4.9)
    await table.settle()
    assert table.lines == ["elsewhere"]
    table.turn_clock(seconds=0.1)
    await table.settle()
    assert table.lines == ["elsewhere", "first", "second"]


async def test_a_limit_of_the_account_holds_its_platform_and_no_other() -> None:
    table = Table()
    table.chat.troubles = [limited(5, "account")]
    await post(table, "first")
    await table.settle()
    await post(table, "elsewhere", SIDE)
    await post(table, "on the other platform", DESK)
    await table.settle()
    assert table.lines == []
    assert [p.view.text for p in table.desk.sent] == ["on the other platform"]
    table.turn_clock(seconds=5)
    await table.settle()
    assert sorted(table.lines) == ["elsewhere", "first"]


async def test_a_limit_that_names_no_time_is_waited_out_for_a_second() -> None:
    table = Table()
    table.chat.troubles = [limited(0)]
    await post(table, "first")
    await table.settle()
    assert table.lines == []
    table.turn_clock(seconds=1)
    await table.settle()
    assert table.lines == ["first"]


async def test_a_platform_out_of_order_is_tried_with_growing_waits_and_then_given_up() -> None:
    table = Table()
    waits_seconds = [1, 2, 4, 8, 16, 32, *[60] * 1500]
    table.chat.troubles = [RetryableError("out of order")] * len(waits_seconds)
    await post(table, "first")
    await table.settle()
    for wait_seconds in waits_seconds[:9]:
        table.turn_clock(seconds=wait_seconds - 0.1)
        await table.settle()
        before = len(table.chat.troubles)
        table.turn_clock(seconds=0.1)
        await table.settle()
        assert len(table.chat.troubles) == before - 1
    assert await states(table) == {"first": PostState.QUEUED}
    table.turn_clock(hours=24)
    await table.settle()
    assert await states(table) == {"first": PostState.DEAD}
    table.chat.troubles.clear()
    await post(table, "second")
    await table.settle()
    assert table.lines == ["second"]


async def test_an_outage_shorter_than_that_loses_nothing_and_keeps_its_own_wish() -> None:
    table = Table()
    table.chat.troubles = [RetryableError("busy", retry_after_ms=7_000)]
    await post(table, "first")
    await post(table, "second")
    await table.settle()
    table.turn_clock(seconds=6.9)
    await table.settle()
    assert table.lines == []
    table.turn_clock(seconds=0.1)
    await table.settle()
    assert table.lines == ["first", "second"]


async def test_what_a_refused_token_keeps_from_being_sent_is_sent_when_it_is_good_again() -> None:
    table = Table()
    days = 2 * 24 * 60
    table.chat.troubles = [AuthenticationError("the token was revoked", "put a new one into .env")] * (days + 1)
    await post(table, "first")
    await table.settle()
    await post(table, "elsewhere", SIDE)
    await post(table, "on the other platform", DESK)
    await table.settle()
    assert [p.view.text for p in table.desk.sent] == ["on the other platform"]
    assert len(table.chat.troubles) == days  # nobody else of that account knocked
    assert {row.error for row in await table.store.read.posts(conversation=MAIN)} == {
        "the token was revoked: put a new one into .env"
    }
    table.turn_clock(seconds=59.9)
    await table.settle()
    assert len(table.chat.troubles) == days
    for _ in range(30):
        table.turn_clock(hours=1)
        await table.settle()
    assert await states(table) == {"first": PostState.QUEUED}
    assert await states(table, SIDE) == {"elsewhere": PostState.QUEUED}
    table.chat.troubles.clear()
    table.turn_clock(seconds=60)
    await table.settle()
    assert sorted(table.lines) == ["elsewhere", "first"]


@pytest.mark.parametrize("trouble", [AuthenticationError("revoked"), RetryableError("not now"), limited(60)])
async def test_what_cannot_be_looked_for_now_is_looked_for_later(trouble: Exception) -> None:
    table = Table()
    table.chat.hangs = True
    await post(table, "first")
    await table.settle()
    await table.crash()
    table.chat.hangs, table.chat.cannot_tell = False, trouble
    await table.settle()
    table.chat.cannot_tell, table.chat.found = None, {post_of("first", MAIN.key): "m-before"}
    table.turn_clock(seconds=60)
    await table.settle()
    assert await states(table) == {"first": PostState.SENT}
    assert table.chat.sent == []


# --- Nobody knows ----------------------------------------------------------------------------------------------------


async def test_what_may_have_arrived_is_not_sent_again() -> None:
    table = Table()
    table.chat.troubles = [AmbiguousError("cut off after the write")]
    await post(table, "first")
    await post(table, "second")
    await table.settle()
    table.turn_clock(hours=1)
    await table.settle()
    assert table.lines == ["second"]
    assert (await states(table))["first"] is PostState.UNCERTAIN


async def test_a_send_that_hangs_is_uncertain() -> None:
    table = Table()
    table.chat.hangs = True
    await post(table, "first")
    await table.settle()
    table.pass_timeouts(SEND_SECONDS_MAX + 1)
    await table.settle()
    (row,) = await table.store.read.posts()
    assert (row.state, row.error) == (PostState.UNCERTAIN, "timeout")


@pytest.mark.parametrize("found", [True, False])
async def test_after_a_crash_it_looks_first_whether_the_message_arrived(found: bool) -> None:
    table = Table()
    table.chat.hangs = True
    await post(table, "first")
    await table.settle()
    await table.crash()
    table.chat.hangs = False
    if found:
        table.chat.found[post_of("first", MAIN.key)] = "m-before"
    await table.settle()
    (row,) = await table.store.read.posts()
    assert row.state is PostState.SENT
    assert row.receipt == ("m-before" if found else "m1")
    assert len(table.chat.sent) == (0 if found else 1)


async def test_after_a_crash_a_platform_that_cannot_tell_leaves_it_uncertain() -> None:
    table = Table()
    table.chat.hangs = True
    await post(table, "first")
    await table.settle()
    await table.crash()
    table.chat.hangs, table.chat.cannot_tell = False, AmbiguousError("this platform cannot tell")
    await table.settle()
    assert await states(table) == {"first": PostState.UNCERTAIN}
    assert table.chat.sent == []


async def test_a_platform_whose_code_breaks_is_asked_again_when_the_lease_lapses() -> None:
    table = Table(expect=("post.broke",))
    table.chat.troubles = [KeyError("no such field")]
    await post(table, "first")
    await post(table, "elsewhere", SIDE)
    await table.settle()
    assert table.lines == ["elsewhere"]
    table.turn_clock(seconds=61)
    await table.settle()
    assert table.lines == ["elsewhere", "first"]


async def test_a_full_disk_after_a_send_does_not_send_it_twice() -> None:
    table = Table()
    await table.settle()
    table.store.full_if = lambda unit: any(type(c).__name__ == "MovePost" for c in unit.changes)
    table.store.full_n = 2
    await post(table, "first")
    await table.settle()
    table.chat.found[post_of("first", MAIN.key)] = "m1"
    table.turn_clock(seconds=61)
    await table.settle()
    assert len(table.chat.sent) == 1
    assert await states(table) == {"first": PostState.SENT}


# --- Cards -----------------------------------------------------------------------------------------------------------


async def shipping(*troubles, team=None) -> Table:
    table = Table({"ops": [SHIP, say("shipped")]}, team=team)
    table.chat.troubles = [*troubles]
    await table.say("publish it", role="ops")
    return table


async def test_a_card_that_never_arrives_is_undeliverable_and_still_in_the_inbox() -> None:
    table = await shipping(TerminalError("the channel is gone"))
    asked = await table.inquiry()
    assert asked.state is InquiryState.UNDELIVERABLE
    (delivery,) = (await table.store.read.inquiry(asked.id)).deliveries
    assert delivery.state.value == "failed"
    assert await table.order("/approve") == notes.CONFIRM
    table.turn_clock(seconds=1)
    assert await table.order("/approve") == notes.APPROVED
    assert len(table.tools["run_command"].ran) == 1


async def test_a_card_that_may_have_arrived_counts_as_shown() -> None:
    table = await shipping(AmbiguousError("cut off"))
    asked = await table.inquiry()
    assert asked.state is InquiryState.OPEN
    (delivery,) = (await table.store.read.inquiry(asked.id)).deliveries
    assert delivery.state.value == "unknown"


async def test_a_card_that_waits_is_not_open_yet() -> None:
    table = await shipping(limited(5))
    assert (await table.inquiry()).state is InquiryState.CREATED
    table.turn_clock(seconds=5)
    await table.settle()
    assert (await table.inquiry()).state is InquiryState.OPEN


async def test_a_decision_while_its_card_is_being_sent_stands() -> None:
    table = Table({"ops": [SHIP, say("shipped")]}, team=company(YOU, BOB))
    table.chat.hangs = True
    await table.say("publish it", role="ops")
    assert (await table.inquiry()).state is InquiryState.CREATED
    (asked,) = await table.inquiries()
    await table.order(f"/deny {asked.id} no", "bob", at=SIDE)
    table.chat.silent.set()
    await table.settle()
    assert (await table.newest()).state is InquiryState.DENIED
    assert table.cards == []
    assert table.decided[-1].headline.startswith("Denied by Bob")


async def test_a_card_is_one_message_from_the_question_to_the_outcome() -> None:
    table = await shipping()
    await table.press("approve")
    table.turn_clock(seconds=1)
    await table.press("approve")
    (edits,) = [edits for edits in table.chat.messages.values() if edits[0].slot.startswith("card:")]
    assert isinstance(edits[0].view, InquiryCard)
    assert edits[-1].view.headline.startswith("Approved by You")
    assert edits[-1].view.outcome == "ran in 0.0 s"


async def test_an_inquiry_that_is_gone_does_not_stop_its_card_from_being_recorded(monkeypatch) -> None:
    table = Table({"ops": [SHIP, say("shipped")]})

    async def none(_self, _prefix):
        return ()

    monkeypatch.setattr(type(table.store.read), "inquiry_ids", none)
    await table.say("publish it", role="ops")
    assert (await table.store.read.counts()).posts_open == 0


async def test_a_vote_that_comes_while_the_card_is_recorded_is_kept() -> None:
    table = Table({"ops": [SHIP, say("shipped")]}, team=company(YOU, BOB))

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "MoveDelivery" for c in unit.changes):
            return False
        from msgspec.structs import replace

        from core.model.unit import PutInquiry

        (one,) = await table.inquiries()
        later = replace(one, version=one.version + 1, why="changed meanwhile")
        await table.store.inner.commit(Unit(changes=(PutInquiry(inquiry=later),)))
        return True

    table.store.meanwhile = meanwhile
    await table.say("publish it", role="ops")
    asked = await table.inquiry()
    assert (asked.state, asked.why) == (InquiryState.OPEN, "changed meanwhile")


# --- Status lines ----------------------------------------------------------------------------------------------------


async def test_a_status_line_is_drawn_at_most_once_a_second_and_ends_as_the_receipt() -> None:
    table = Table({"ops": [use("note", text="a"), use("note", text="b"), say("done")]})
    table.tools["note"].hold()
    await table.say("go", role="ops")

    async def drawn() -> int:
        return len([row for row in await table.store.read.posts() if isinstance(row.post.view, StatusLine)])

    before, more = await drawn(), []
    table.turn_clock(seconds=10)
    for seconds in (0, 0.4, 0.4, 0.2, 0.9, 0.1):
        table.turn_clock(seconds=seconds)
        await table.happens(MessageReceived, text="hurry")
        await table.engine.dispatcher.sweep()
        await table.engine.status.draw()
        more.append(await drawn() - before)
    assert more == [1, 1, 1, 2, 2, 3]
    table.tools["note"].let_go.set()
    await table.settle()
    (line,) = table.statuses
    assert (line.done, line.steps) == ("done", 3)
    (edits,) = [edits for edits in table.chat.messages.values() if isinstance(edits[-1].view, StatusLine)]
    assert len(edits) > 1


async def test_a_status_line_that_waits_is_replaced_by_a_newer_one() -> None:
    table = Table()
    table.chat.troubles = [limited(5)]
    for n in range(3):
        await post(table, f"{n}", slot="status:t")
        await table.settle()
    table.turn_clock(seconds=5)
    await table.settle()
    assert table.lines == ["2"]
    assert (await states(table))["1"] is PostState.SUPERSEDED


async def test_trouble_of_a_model_is_told_while_its_task_goes_on() -> None:
    never = asyncio.Event()

    async def hang(_request) -> None:
        await never.wait()

    table = Table({"ops": [say("x")]}, around=hang)
    await table.say("go", role="ops")
    task = await table.task()
    table.engine.status.note(task.id, "The model is overloaded. Trying again in 2 s.")
    table.engine.status.note("t-nobody", "lost")
    await table.engine.status.draw()
    await table.settle()
    troubles = [p.view for p in table.posts if isinstance(p.view, Trouble)]
    assert any("Trying again in 2 s" in one.what for one in troubles)
    assert len(troubles) == 1
    table.engine.status._change("t-nobody", ended=False)
    await table.engine.status.draw()


# --- The chain -------------------------------------------------------------------------------------------------------


async def test_everything_that_matters_is_sealed_in_one_chain_that_goes_on_after_a_crash() -> None:
    table = await shipping()
    await table.crash()
    await table.press("approve")
    table.turn_clock(seconds=1)
    await table.press("approve")
    assert await table.store.read.unsealed(10) == ()
    chain = await table.store.read.chain()
    head = ""
    for n, sealed in enumerate(chain, start=1):
        assert (sealed.seq, sealed.previous, sealed.hash) == (n, head, audit_hash(head, n, sealed.row))
        head = sealed.hash
    assert await table.store.read.chain_head() == (len(chain), head)
    happened = [sealed.row.what for sealed in chain]
    for what in ("task.begun", "inquiry.opened", "vote.cast", "grant.minted", "attempt.started", "task.finished"):
        assert what in happened


async def test_two_sealers_do_not_fork_the_chain() -> None:
    table = Table({"ops": [say("done")]})

    async def meanwhile(unit) -> bool:
        if not any(type(c).__name__ == "Seal" for c in unit.changes):
            return False
        await table.store.inner.commit(unit)
        return True

    table.store.meanwhile = meanwhile
    await table.say("go", role="ops")
    assert await table.engine.sealer.seal() == 0
    seqs = [sealed.seq for sealed in await table.store.read.chain()]
    assert seqs == list(range(1, len(seqs) + 1))


# --- The loops -------------------------------------------------------------------------------------------------------


async def until(so) -> None:
    async with asyncio.timeout(10):
        while not await so():  # noqa: ASYNC110 - the store has no event to wait for
            await asyncio.sleep(0.002)


async def running(table: Table, check) -> None:
    """The engine's own loops, until `check` is so."""
    engine = asyncio.ensure_future(table.engine.run())
    try:
        await until(check)
    finally:
        engine.cancel()
        await asyncio.wait((engine,))
    assert engine.cancelled()


async def test_the_engine_runs_by_itself_until_it_is_told_to_stop(monkeypatch) -> None:
    monkeypatch.setattr(sealer, "BATCH_MAX", 1)
    table = Table({"ops": [use("note", text="a"), say("done")]})

    async def asked() -> bool:
        if not await table.tasks():
            await table.happens(MessageReceived, text="go", role="ops", key="once")
        return bool(table.answers) and bool(await table.store.read.chain()) and await table.engine.idle()

    await running(table, asked)
    assert table.answer == "done"
    assert {
        "dispatcher",
        "worker",
        "outbox",
        "status",
        "sealer",
        "files",
        "health",
        "digests",
        "upkeep",
        "platform chat",
        "platform desk",
    } == set(table.engine.loops())


async def test_a_loop_that_breaks_is_started_again_and_one_that_ends_is_not(capsys) -> None:
    table = Table({"ops": [say("done")]})
    runs: dict[str, int] = {"chat": 0, "desk": 0}

    async def breaks(_intake) -> None:
        runs["chat"] += 1
        if runs["chat"] < 3:
            raise OSError("the socket is gone")
        await asyncio.Event().wait()

    async def ends(_intake) -> None:
        runs["desk"] += 1

    table.chat.run, table.desk.run = breaks, ends

    async def thrice() -> bool:
        return runs["chat"] == 3

    await running(table, thrice)
    assert runs == {"chat": 3, "desk": 1}
    assert {1.0, 2.0} <= set(table.clock.slept)
    assert "loop.broke" in capsys.readouterr().out


async def test_at_the_start_requests_that_move_are_looked_at_again_and_those_that_wait_are_not() -> None:
    table = await shipping()
    await table.crash()
    seen: list[str] = []
    table.context.on_change.append(lambda root, _ended: seen.append(root))
    elsewhere = Conversation(platform=MAIN.platform, account=MAIN.account, channel="other")
    await table.happens(MessageReceived, "you", elsewhere, text="a second one")
    await table.engine.dispatcher.sweep()
    seen.clear()

    async def looked() -> bool:
        return bool(seen)

    await running(table, looked)
    waiting = (await table.inquiry()).root
    assert seen
    assert waiting not in seen


async def test_without_places_or_platforms_nothing_is_claimed() -> None:
    table = Table()
    await post(table, "first")
    assert await Outbox(table.context, places=0).claim() == ()
    table.context.platforms = {}
    assert await Outbox(table.context).claim() == ()
    assert await table.engine.idle()


async def test_idle_means_that_all_there_is_waits_for_people_or_time() -> None:
    table = await shipping()
    assert await table.engine.idle()
    await post(table, "one more")
    assert not await table.engine.idle()
    table = Table({"ops": [fail(OverloadedError("busy"))]})
    await table.say("go", role="ops")
    assert (await table.task()).phase is Phase.FAILED
    assert await table.engine.idle()


async def test_a_disk_that_is_full_at_a_claim_touches_nothing_that_runs() -> None:
    table = Table({"ops": [use("note", text="a"), say("done")]}, expect=("claim.waits",))
    refusals, claims = 3, (table.store.claim_effects, table.store.claim_posts)

    async def full(claim):
        nonlocal refusals
        if refusals:
            refusals -= 1
            raise StoreFullError("the disk is full")
        return await claims[isinstance(claim, ClaimPosts)](claim)

    table.store.claim_effects = table.store.claim_posts = full
    await table.happens(MessageReceived, text="go", role="ops")

    async def answered() -> bool:
        return bool(table.answers)

    await running(table, answered)
    assert table.answer == "done"
    assert not refusals
    assert not [entry for entry in table.log if entry["event"] == "loop.broke"]
