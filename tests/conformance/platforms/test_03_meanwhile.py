"""Group 3: what was said while the bot was down, in threads, more than a page; a live message racing the backfill."""

import asyncio

import pytest

GROUP = 3
PAGE_N = 110
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def _known_in_private(stage):
    """Not every service tells a bot of a private chat that began while it was away."""
    talk = await stage.ping(place=stage.service.direct(stage.service.owner))
    await talk.once()


async def test_said_while_down(stage):
    talk = await stage.ping()
    await talk.once()
    await _known_in_private(stage)
    await stage.bot.kill("down")
    thread = talk.shown()[0].place
    answer = talk.having(f"pong {talk.word}")[0]
    talks = [
        await stage.ping(),
        await stage.ping(place=stage.service.direct(stage.service.owner)),
        await stage.ping(place=thread, reply_to=answer.id if not thread.thread else "", mention=False),
    ]
    await stage.bot.start()
    for talk in talks:
        await talk.once()


async def test_more_than_a_page(stage):
    """In one conversation, so that the team hears them together; the model tells which reached it."""
    await _known_in_private(stage)
    await stage.bot.kill("down")
    place = stage.service.direct(stage.service.owner)
    talks = [await stage.ping(place=place) for _ in range(PAGE_N)]
    await stage.bot.start()
    words = [talk.word for talk in talks]
    await stage.happened(
        lambda: not set(words) - set(stage.model.pings),
        "some never reached the team",
        seconds=40,
    )
    stage.talks.clear()
    assert all(stage.model.pings.count(word) == 1 for word in words)


async def test_a_live_message_races_the_backfill(stage):
    await stage.bot.kill("down")
    talks = [await stage.ping() for _ in range(3)]
    await stage.bot.start(wait=False)
    connecting = asyncio.ensure_future(stage.bot.connected(stage.journal_n("request")))
    while not connecting.done():
        talks.append(await stage.ping())
        await asyncio.sleep(0.15)
    await connecting
    talks.append(await stage.ping())
    for talk in talks:
        await talk.once(seconds=40)
