"""What happens to the memory by itself, week by week and month by month, whatever dies in between."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from core.model import unit as u
from core.model.memory import BOARD, Layer, Memory, private
from core.model.team import DigestRule
from core.model.views import Line
from core.rules.remembering import WEEK_MS
from core.rules.upkeep import monthly_ms, weekly_ms
from core.runtime.upkeep import BATCH_MAX, FACT
from tests import engine_kit as kit
from tests.memory_kit import Room, acting, remembering

DAY = 24.0
OPS = private("ops")


@pytest.fixture
async def room():
    made = Room(team=msgspec.structs.replace(remembering(), digest=DigestRule(at="09:00", to=kit.SIDE)))
    await made.engine.upkeep.sweep()
    yield made
    await made.close()


async def tend(room, *, days):
    """So many days go by, and it is time."""
    room.turn_clock(hours=DAY * days)
    await room.engine.upkeep.sweep()
    await room.settle()


def sides(room):
    lines = (post.view for post in room.posts if post.conversation == kit.SIDE)
    return [view.text for view in lines if isinstance(view, Line)]


async def test_facts_are_kept_once_after_a_week(room):
    for fact in ("Deploys are on Tuesdays", "deploys are on tuesdays.", "The wiki moved"):
        await room.does(("remember", {"fact": fact}), role="ops")
        room.turn_clock(seconds=1)
    await room.does(("remember", {"fact": "For today", "days": 0}), role="ops")
    await room.engine.upkeep.sweep()
    assert len(await room.noted(OPS)) == 4  # it is not Monday yet
    await tend(room, days=7)
    found = await room.noted(OPS)
    assert {(one.text, one.layer) for one in found} == {
        ("deploys are on tuesdays.", Layer.KEPT),
        ("The wiki moved", Layer.KEPT),
    }
    await room.does(role="ops")
    assert len((await room.begun("ops")).memory) == 2
    assert [s.row.detail for s in await room.store.read.chain() if s.row.what == "memory.tended"] == [
        {"before": 3, "after": 2}
    ]
    assert await room.store.read.memories_spent(0, 9) == ()  # the note of that day is gone for good


async def test_another_engine_does_nothing_twice(room):
    for fact in ("Deploys are on Tuesdays", "deploys are on tuesdays"):
        await room.does(("remember", {"fact": fact}), role="ops")
    room.turn_clock(hours=DAY * 7)
    await room.engine.upkeep.sweep()
    before = await room.noted(OPS)
    kept = await room.store.read.meta(FACT)
    await room.store.inner.commit(u.Unit(changes=(u.SetMeta(name=FACT, value='{"weekly_ms":0,"monthly_ms":0}'),)))
    await room.crash()
    await room.engine.upkeep.sweep()  # as if it had died before it noted how far it had come
    assert await room.noted(OPS) == before
    assert await room.store.read.meta(FACT) == kept
    room.turn_clock(hours=-DAY * 14)
    await room.engine.upkeep.sweep()  # the clock was set back
    assert await room.store.read.meta(FACT) == kept


async def test_weeks_that_were_missed_are_made_up_for_once(room):
    await room.does(("remember", {"fact": "Deploys are on Tuesdays"}), role="ops")
    await tend(room, days=30)
    (one,) = await room.noted(OPS)
    assert one.layer is Layer.KEPT
    assert f'"weekly_ms":{weekly_ms("UTC", room.clock.at_ms)}' in await room.store.read.meta(FACT)


async def test_an_entry_that_is_replaced_meanwhile_is_read_again(room):
    for fact in ("Deploys are on Tuesdays", "The wiki moved"):
        await room.does(("remember", {"fact": fact}), role="ops")
    wiki, _ = await room.noted(OPS)

    async def meanwhile(unit):
        if any(isinstance(change, u.PutMemory) for change in unit.changes):
            await room.store.inner.commit(u.Unit(changes=(u.SupersedeMemory(id=wiki.id, by="m-0"),)))
            return True
        return False

    room.store.meanwhile = meanwhile
    await tend(room, days=7)
    assert [(one.text, one.layer) for one in await room.noted(OPS)] == [("Deploys are on Tuesdays", Layer.KEPT)]


async def test_many_are_tended_a_batch_at_a_time(room):
    many = tuple(u.PutMemory(memory=_fact(f"m-{n}", f"Fact {n}", room.clock.at_ms)) for n in range(BATCH_MAX + 5))
    await room.store.inner.commit(u.Unit(changes=many))
    await tend(room, days=7)
    assert {one.layer for one in await room.noted(OPS)} == {Layer.KEPT}


async def test_notices_leave_the_board_after_a_week_and_the_archive_after_long(room):
    await room.does(("post_bulletin", {"text": "The office moved"}))
    await tend(room, days=7)
    assert len(await room.noted(BOARD)) == 1  # not a week old when it was last Monday
    await tend(room, days=7)
    assert await room.noted(BOARD) == ()
    (old,) = await room.store.read.memories_archived(BOARD)
    assert old.superseded_by == f"archived:{weekly_ms('UTC', room.clock.at_ms)}"
    assert old.at_ms < room.clock.at_ms - WEEK_MS
    await tend(room, days=90)
    assert await room.store.read.memories_archived(BOARD) == ()


# --- Monthly --------------------------------------------------------------------------------------------------------


def _fact(name, text, at_ms):
    return Memory(id=name, place=OPS, text=text, at_ms=at_ms, by="ops")


async def test_once_a_month_a_role_is_asked_for_patterns_and_people_are_told(room):
    facts = tuple(_fact(f"m-{n:012}", f"Site {n} broke on a Friday", room.clock.at_ms) for n in range(10))
    await room.store.inner.commit(u.Unit(changes=tuple(u.PutMemory(memory=one) for one in facts)))

    def finds(request):
        told = request.messages[0].text
        ids = [line[1:].partition("]")[0] for line in told.splitlines() if line.startswith("[m-")]
        uses = (("remember", {"fact": "Fridays are bad", "of": ids[-2:]}),)
        steps = acting(*uses)
        return steps[sum(message.role == "assistant" for message in request.messages)]

    room.script["ops"] = finds
    await tend(room, days=31)
    pattern = next(one for one in await room.noted(OPS) if one.layer is Layer.PATTERN)
    assert pattern.text == "Fridays are bad"
    assert len(pattern.sources) == 2
    (review,) = [line for line in sides(room) if line.startswith("The team's memory")]
    assert "(ops 10)" in review
    tasks_n = len(await room.tasks())
    await room.store.inner.commit(
        u.Unit(changes=(u.SetMeta(name=FACT, value=f'{{"weekly_ms":{room.clock.at_ms},"monthly_ms":0}}'),))
    )
    await room.engine.upkeep.sweep()
    await room.settle()
    assert len(await room.tasks()) == tasks_n  # asked once, told once
    assert len([line for line in sides(room) if line.startswith("The team's memory")]) == 1
    assert f'"monthly_ms":{monthly_ms("UTC", room.clock.at_ms)}' in await room.store.read.meta(FACT)


async def test_where_nobody_is_to_be_told_nobody_is(room):
    room.teams.team = msgspec.structs.replace(room.whole, digest=None)
    await room.does(("remember", {"fact": "Deploys are on Tuesdays"}), role="ops")
    await tend(room, days=31)
    assert sides(room) == []


async def test_the_loop_looks_every_minute(room):
    loop = asyncio.ensure_future(room.engine.upkeep.run())
    for _ in range(20):
        await asyncio.sleep(0)
    loop.cancel()
    assert 60.0 in room.clock.slept
