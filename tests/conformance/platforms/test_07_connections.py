"""Group 7: a disconnection, an invalid session, a half-open socket, a second instance. The connection is built anew."""

import asyncio

import pytest

GROUP = 7
GONE_SECONDS = 1.0
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("how", ["close", "invalid", "conflict"])
async def test_a_connection_that_breaks(stage, how):
    before = await stage.ping()
    await before.once()
    await stage.service.disconnect(how)
    talk = await stage.ping()
    await asyncio.sleep(GONE_SECONDS)
    await stage.service.reconnectable()
    await talk.once(seconds=60)
    after = await stage.ping()
    await after.once()


async def test_a_connection_that_falls_silent(stage):
    """Connected but deaf: noticed by the traffic that is missing."""
    before = await stage.ping()
    await before.once()
    await stage.service.disconnect("silent")
    talk = await stage.ping()
    await asyncio.sleep(GONE_SECONDS)
    await stage.service.reconnectable()
    await talk.once(seconds=90)


async def test_one_after_another(stage):
    for how in ("close", "invalid"):
        await stage.service.disconnect(how)
        await asyncio.sleep(0.2)
        await stage.service.reconnectable()
    talk = await stage.ping()
    await talk.once(seconds=60)
