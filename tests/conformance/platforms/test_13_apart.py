"""Group 13: two workspaces on two services: what is said to the one is nothing to the other."""

import asyncio

import pytest

from tests.conformance.platforms.bot import Bot
from tests.conformance.platforms.services import service_of
from tests.conformance.platforms.stage import Stage, says

GROUP = 13
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_two_workspaces(stage, tmp_path):
    service = service_of(stage.service.name)
    await service.start()
    bot = Bot(service, tmp_path, stage.model.environ(), team="other")
    try:
        await bot.start()
        other = Stage(service=service, model=stage.model, bot=bot)
        here, there = await stage.ping(), await other.ping(word=f"other{stage.word()}")
        await here.once()
        await there.once()
        deploy = await other.say("deploy the landing page")
        card = await deploy.card()
        before_n = len(stage.bot.deployed())
        await other.press(service.second, card, "Approve")
        await deploy.until("landing is live")
        await asyncio.sleep(0.3)
        assert len(bot.deployed()) == 1
        assert len(stage.bot.deployed()) == before_n
        assert not [one for one in stage.service.screen() if says(one.text, there.word)]
        assert not [one for one in service.screen() if says(one.text, f"pong {here.word}")]
        order = await stage.order("tasks")
        listed = await order.find(lambda one: "t-" in one.text or "No task" in one.text)
        assert not says(listed.text, there.word)
    finally:
        assert await bot.stop() == 0, bot.output()
        await service.stop()
