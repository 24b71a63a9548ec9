"""Group 5: everything is acknowledged at once, however long the model takes."""

import time

import pytest

GROUP = 5
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_messages_orders_and_presses_while_the_model_thinks(stage):
    asked = await stage.say("deploy the landing page")
    card = await asked.card()
    stage.model.gate.clear()
    started = time.monotonic()
    talk = await stage.ping()
    await stage.happened(lambda: stage.model.waiting_n > 0, "the model was never asked")
    await stage.happened(lambda: stage.service.unacknowledged() == 0, "not acknowledged in time", seconds=3)
    shown = await talk.find(lambda one: True, seconds=3)
    assert time.monotonic() - started < 3, "silence for more than a moment"
    assert "pong" not in shown.text
    pressed = await stage.press(stage.service.second, card, "Approve")
    assert pressed.acknowledged
    order = await stage.order("tasks")
    await order.find(lambda one: "t-" in one.text, seconds=3)
    for more in ("hurry up", "please", "it is late"):
        await stage.service.say(stage.service.owner, more, talk.place)
    await stage.happened(lambda: stage.service.unacknowledged() == 0, "not acknowledged in time", seconds=3)
    stage.model.gate.set()
    await talk.until(f"pong {talk.word}")
    await asked.until("landing is live")
