"""Group 9: an edit that changes nothing is success; an edit of a message that was deleted is a new message."""

import pytest

from tests.fakes.service import Fault

GROUP = 9
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_an_edit_that_changes_nothing(stage):
    """The edit took effect, its answer got lost; the next try changes nothing."""
    talk = await stage.asked()
    fault = stage.service.faults.plan(Fault(method=stage.natives.edit, applied=True, how="cut"))
    stage.model.gate.set()
    await stage.met(fault)
    await talk.once()
    await talk.until("done in")


async def test_a_status_line_that_was_deleted(stage):
    talk = await stage.asked()
    status = await talk.until("thinking")
    await stage.service.delete(status.id)
    stage.model.gate.set()
    await talk.once()
    receipt = await talk.until("done in")
    assert receipt.id != status.id


async def test_a_card_that_was_deleted(stage):
    talk = await stage.say("deploy the docs")
    card = await talk.card()
    inquiry = next(word for word in card.text.replace("·", " ").split() if word.startswith("i-"))
    await stage.service.delete(card.id)
    before_n = len(stage.bot.deployed())
    await stage.service.order(stage.service.second, "approve", inquiry, talk.place)
    await talk.until("docs is live")
    assert len(stage.bot.deployed()) == before_n + 1
    await talk.until("Approved by Ana")
