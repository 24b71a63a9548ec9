"""Group 14: events nobody has heard of, and known ones with fields missing, are acknowledged and do no harm."""

import pytest

GROUP = 14
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_odd_events(stage):
    await stage.service.odd()
    talk = await stage.ping()
    await talk.once()
    await stage.happened(lambda: stage.service.unacknowledged() == 0, "something was not acknowledged", seconds=5)


async def test_odd_events_while_down(stage):
    await stage.bot.kill("down")
    await stage.service.odd()
    talk = await stage.ping()
    await stage.bot.start()
    await talk.once()
    await stage.happened(lambda: stage.service.unacknowledged() == 0, "something was not acknowledged", seconds=5)
