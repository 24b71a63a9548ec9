"""Group 2: the same event four times, two in the other order, the retry first. Each is answered once."""

import asyncio

import pytest

from tests.fakes.service import Fault

GROUP = 2
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_the_same_four_times(stage):
    talk = await stage.ping()
    await stage.service.redeliver(3)
    await talk.once()
    await stage.service.redeliver(1)
    await talk.once()
    assert stage.model.pings.count(talk.word) == 1


async def test_in_the_other_order(stage):
    first, second = stage.word(), stage.word()
    talks = []

    def saying(word):
        async def say():
            talks.append(await stage.ping(word=word))

        return say

    try:
        await stage.service.swapped(saying(first), saying(second))
    except NotImplementedError:
        await saying(first)()
        await saying(second)()
    for talk in talks:
        await talk.once()


async def test_the_retry_first(stage):
    """The first delivery gets lost on its way; what comes is the second."""
    if not stage.natives.deliver:
        await stage.service.disconnect("close")
        talk = await stage.ping()
        await stage.service.reconnectable()
    else:
        fault = stage.service.faults.plan(Fault(method=stage.natives.deliver, applied=True, how="cut"))
        talk = await stage.ping()
        await stage.met(fault)
    await talk.once(seconds=40)


@pytest.mark.case(3)
async def test_a_press_again(stage):
    talk = await stage.say("deploy the landing page")
    card = await talk.card()
    before_n = len(stage.bot.deployed())
    await stage.press(stage.service.second, card, "Approve")
    await stage.service.redeliver(3)
    await talk.until("landing is live")
    await stage.service.redeliver(1)
    await asyncio.sleep(0.5)
    assert len(stage.bot.deployed()) == before_n + 1
