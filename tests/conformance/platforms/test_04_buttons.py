"""Group 4: a button after a restart, a double click, the wrong person, an expired token, two people at once."""

import asyncio
from contextlib import suppress

import pytest

GROUP = 4
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _card(stage, text="deploy the landing page"):
    talk = await stage.say(text)
    return talk, await talk.card(), len(stage.bot.deployed())


@pytest.mark.case(36)
async def test_after_a_restart(stage):
    talk, card, before_n = await _card(stage)
    await stage.happened(lambda: stage.bot.sending_n() == 0, "something is never sent")
    await stage.bot.kill("card open")
    await stage.bot.start()
    pressed = await stage.press(stage.service.second, card, "Approve")
    assert pressed.acknowledged
    await talk.until("Approved by Ana")
    await talk.until("landing is live")
    decided = next(one for one in talk.shown() if one.id == card.id)
    assert decided.buttons == ()
    assert len(stage.bot.deployed()) == before_n + 1


@pytest.mark.case(1)
async def test_a_double_click(stage):
    talk, card, before_n = await _card(stage)
    async with asyncio.TaskGroup() as group:
        for _ in range(2):
            group.create_task(_quietly(stage, stage.service.second, card))
    await talk.until("landing is live")
    await asyncio.sleep(0.3)
    assert len(stage.bot.deployed()) == before_n + 1
    assert len(talk.having("Approved by")) == 1


@pytest.mark.case(6)
async def test_two_people_at_once(stage):
    talk, card, before_n = await _card(stage)
    async with asyncio.TaskGroup() as group:
        for who in (stage.service.owner, stage.service.second):
            group.create_task(_quietly(stage, who, card))
    await talk.until("landing is live")
    await asyncio.sleep(0.3)
    assert len(stage.bot.deployed()) == before_n + 1


async def _quietly(stage, who, card):
    """A click that comes too late may find no button any more: that is what people see, too."""
    with suppress(AssertionError, LookupError):
        await stage.press(who, card, "Approve")


@pytest.mark.case(15)
@pytest.mark.parametrize("label", ["Approve", "Deny"])
async def test_a_stranger(stage, label):
    talk, card, before_n = await _card(stage)
    pressed = await stage.press(stage.service.stranger, card, label)
    assert pressed.acknowledged
    assert not pressed.form
    await asyncio.sleep(0.5)
    now = next(one for one in talk.shown() if one.id == card.id)
    assert now.buttons == card.buttons
    assert len(stage.bot.deployed()) == before_n
    public = [one for one in talk.shown() if not one.only_for and "Sorry" in one.text]
    assert public == [], "a refusal is for the person alone"
    await stage.press(stage.service.second, card, "Approve")
    await talk.until("landing is live")


@pytest.mark.case(8)
async def test_an_expired_token(stage):
    talk, card, before_n = await _card(stage)
    async with stage.expired():
        await stage.press(stage.service.second, card, "Approve")
        await talk.until("landing is live")
    assert len(stage.bot.deployed()) == before_n + 1


@pytest.mark.case(13)
async def test_too_late(stage):
    """The press of somebody whose screen was slow: told privately what happened instead."""
    talk, card, before_n = await _card(stage)
    pressing = asyncio.ensure_future(_quietly(stage, stage.service.second, card))
    await _quietly(stage, stage.service.owner, card)
    await pressing
    await talk.until("landing is live")
    await asyncio.sleep(0.3)
    assert len(stage.bot.deployed()) == before_n + 1
    assert len([one for one in talk.shown() if one.buttons]) == 0
