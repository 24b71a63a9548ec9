"""The machine's clock, its chance, and notices within one process."""

import asyncio
import re

from core.adapters.system import LocalBus, SystemClock, SystemIds


async def test_the_clocks_go():
    clock = SystemClock()
    before, wall = clock.monotonic_ms(), clock.now_ms()
    await clock.sleep(0.01)
    assert clock.monotonic_ms() - before >= 9
    assert clock.now_ms() >= wall > 1_700_000_000_000


def test_chance():
    ids = SystemIds()
    tokens = {ids.token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(re.fullmatch("[0-9a-f]{16}", token) for token in tokens)
    assert all(0 <= ids.jitter() <= 1 for _ in range(100))


async def test_a_notice_wakes_everyone_who_waits_for_its_topic():
    bus = LocalBus()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = [group.create_task(bus.wait("effects", 60)) for _ in range(3)]
        other = group.create_task(bus.wait("posts", 0.05))
        await asyncio.sleep(0)
        bus.notify("effects")
        await asyncio.wait(waiting)
        assert not other.done()


async def test_a_notice_before_the_wait_is_kept_once():
    bus = LocalBus()
    bus.notify("effects")
    bus.notify("effects")
    async with asyncio.timeout(5):
        await bus.wait("effects", 60)
        await bus.wait("effects", 0.01)


async def test_a_thread_may_notify():
    bus = LocalBus()
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        waiting = group.create_task(bus.wait("events", 60))
        await asyncio.sleep(0)
        await asyncio.to_thread(bus.notify, "events")
        await waiting


def test_a_notice_after_the_end_is_for_nobody():
    bus = LocalBus()
    asyncio.run(bus.wait("events", 0))
    bus.notify("events")
