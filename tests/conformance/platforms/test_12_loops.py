"""Group 12: our own messages, other bots' and edited ones make no loop."""

import asyncio

import pytest

from tests.fakes.service import Someone

GROUP = 12
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_other_bots_are_not_heard(stage):
    other = getattr(stage.service, "other_bot", Someone(id="B0OTHER", name="Other", is_bot=True))
    talk = await stage.say("ping bot", who=other)
    await asyncio.sleep(1)
    assert talk.shown() == ()
    assert "bot" not in stage.model.pings


async def test_our_own_messages_are_not_heard(stage):
    """An answer that would be a request, if we heard it."""
    word, inner = stage.word(), stage.word()
    talk = await stage.ping(word=word, answer=f"pong {word}: @signoff @ceo ping {inner}")
    await talk.until("done in")
    await asyncio.sleep(1)
    assert inner not in stage.model.pings
    assert talk.answers_n == 1


async def test_an_edited_message_is_asked_about_not_obeyed(stage):
    talk = await stage.ping()
    await talk.once()
    shown_n = len(talk.shown())
    word = stage.word()
    for n in range(3):
        await stage.service.edit(stage.service.owner, talk.message, f"ping {word} {n}")
    await asyncio.sleep(1)
    assert word not in stage.model.pings
    assert len(talk.shown()) <= shown_n + 3


async def test_edited_while_it_is_worked_on(stage):
    talk = await stage.asked()
    await stage.service.edit(stage.service.owner, talk.message, f"ping {talk.word} now")
    await talk.until("You changed your request")
    stage.model.gate.set()
    await talk.once()


async def test_it_falls_silent(stage):
    """With nothing to do the bot asks nothing but whether there is something."""
    talk = await stage.ping()
    await talk.once()
    await talk.until("done in")
    await asyncio.sleep(1)
    applied_n = stage.journal_n("applied")
    await asyncio.sleep(1.5)
    assert stage.journal_n("applied") == applied_n
