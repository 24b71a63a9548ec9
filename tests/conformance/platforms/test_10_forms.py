"""Group 10: a form opens, is filled in and counts; a trigger that has expired; the arguments of slash commands."""

import asyncio

import pytest

GROUP = 10
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_deny_with_a_reason(stage):
    talk = await stage.say("deploy the landing page")
    card = await talk.card()
    before_n = len(stage.bot.deployed())
    pressed = await stage.press(stage.service.second, card, "Deny")
    assert pressed.form, pressed
    await stage.service.submit(stage.service.second, pressed.form, ("the <b>copy</b> is wrong",))
    decided = await talk.until("Denied by Ana")
    assert "the <b>copy</b> is wrong" in decided.text
    assert decided.buttons == ()
    await talk.until("done in", seconds=30)
    assert len(stage.bot.deployed()) == before_n


async def test_an_answer(stage):
    talk = await stage.say("ask me for the name of the ship")
    card = await talk.card("Answer")
    pressed = await stage.press(stage.service.owner, card, "Answer")
    assert pressed.form, pressed
    await stage.service.submit(stage.service.owner, pressed.form, ("Erebus & Terror",))
    await talk.until("Answered by You")


async def test_a_form_that_is_submitted_after_a_restart(stage):
    talk = await stage.say("ask me for the colour of the ship")
    card = await talk.card("Answer")
    pressed = await stage.press(stage.service.owner, card, "Answer")
    assert pressed.form, pressed
    await stage.bot.kill("form open")
    await stage.bot.start()
    await stage.service.submit(stage.service.owner, pressed.form, ("red",))
    await talk.until("Answered by You")


async def test_a_trigger_that_expired(stage):
    """No form can open any more; nothing breaks, and the next press opens one."""
    talk = await stage.say("deploy the docs")
    card = await talk.card()
    async with stage.expired():
        await stage.press(stage.service.second, card, "Deny")
        await asyncio.sleep(0.3)
    pressed = await stage.press(stage.service.second, card, "Deny")
    assert pressed.form
    await stage.service.submit(stage.service.second, pressed.form, ("no",))
    await talk.until("Denied by Ana")


async def test_the_arguments_of_a_slash_command(stage):
    talk = await stage.order("ask", "deploy the landing page")
    card = await talk.card()
    inquiry = next(word for word in card.text.replace("·", " ").split() if word.startswith("i-"))
    denied = await stage.service.order(stage.service.second, "deny", f"{inquiry}  not   <today> ", talk.place)
    assert denied.acknowledged
    decided = await talk.until("Denied by Ana")
    assert "not   <today>" in decided.text or "not <today>" in decided.text


@pytest.mark.parametrize("name", ["help", "whoami", "team", "tasks", "inbox"])
async def test_a_command_is_answered(stage, name):
    talk = await stage.order(name)
    await talk.find(lambda one: len(one.text) > 10, seconds=5)
