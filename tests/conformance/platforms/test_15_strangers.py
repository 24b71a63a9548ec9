"""Group 15: an unknown person gets one polite line and nothing else."""

import asyncio

import pytest

GROUP = 15
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_stranger_writes(stage):
    stranger = stage.service.stranger
    talk = await stage.say("ping stranger", who=stranger, place=stage.service.direct(stranger))
    await talk.until("Sorry")
    await asyncio.sleep(0.5)
    (line,) = talk.shown()
    assert "\n" not in line.text
    assert "stranger" not in stage.model.pings
    assert stage.bot.workspace.name not in line.text


async def test_a_stranger_orders(stage):
    stranger = stage.service.stranger
    place = stage.service.fresh()
    before = {one.id for one in stage.service.screen()}
    for name, arguments in (("ask", "ping strange"), ("approve", "i-1"), ("stop", "all"), ("team", "")):
        await stage.service.order(stranger, name, arguments, place)
    await asyncio.sleep(1)
    fresh = [one for one in stage.service.screen() if one.id not in before]
    assert all("Sorry" in one.text for one in fresh), fresh
    assert "strange" not in stage.model.pings
    talk = await stage.ping()
    await talk.once()


async def test_a_stranger_among_us(stage):
    """In a group, too: no work, and no detail in front of everybody."""
    talk = await stage.say("ping strangely", who=stage.service.stranger)
    await asyncio.sleep(1)
    assert "strangely" not in stage.model.pings
    assert all("Sorry" in one.text for one in talk.shown())
