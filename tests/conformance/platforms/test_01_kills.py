"""Group 1: kill -9 before commit, after commit before ack, after ack before run, before send, after the remote's 200
before our commit, in the middle of an upload. What was said is answered once, and what was approved runs once.
"""

import asyncio

import pytest

from tests.conformance.platforms.stage import UNCERTAIN, says
from tests.fakes.service import Fault

GROUP = 1
LONG = "\n\n".join(f"Paragraph {n}. " + "All is well, and here is why. " * 30 for n in range(60))
pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_before_the_commit(stage):
    with stage.bot.stuck():
        delivered_n = stage.journal_n("delivered")
        talk = await stage.ping()
        await stage.happened(lambda: stage.journal_n("delivered") > delivered_n, "it was never delivered")
        await asyncio.sleep(0.2)
        await stage.bot.kill("before commit")
    await stage.bot.start()
    await talk.once()
    await talk.until("done in")


async def test_after_the_commit_before_the_acknowledgement(stage):
    events_n = stage.bot.events_n()
    if stage.natives.deliver:
        fault = stage.plan(stage.natives.deliver, "after commit")
        talk = await stage.ping()
        await stage.met(fault)
    else:  # nothing is ever acknowledged there: what counts as accepted is our row
        talk = await stage.ping()
        await stage.happened(lambda: stage.bot.events_n() > events_n, "it was never committed")
        await stage.bot.kill("after commit")
    assert stage.bot.events_n() > events_n, "it was to be acknowledged before it was committed"
    await stage.bot.start()
    await talk.once(doubt=True)
    stage.doubtful.add(talk.word)


async def test_after_the_acknowledgement_before_the_work(stage):
    talk = await stage.asked()
    await stage.happened(lambda: stage.service.unacknowledged() == 0, "it was never acknowledged")
    await stage.bot.kill("after ack")
    stage.model.gate.set()
    await stage.bot.start()
    await talk.once()
    await talk.until("done in")


async def _at_the_answer(stage, method, window, *, applied, answer=""):
    """Kill the bot when it sends its answer."""
    talk = await stage.asked(answer=answer)
    fault = stage.plan(method, window, applied=applied)
    stage.model.gate.set()
    await stage.met(fault)
    await stage.bot.start()
    return talk


async def test_before_sending(stage):
    talk = await _at_the_answer(stage, stage.natives.send, "before send", applied=False)
    await talk.once(doubt=True)
    await talk.until("done in")
    stage.doubtful.add(talk.word)


async def test_after_the_remotes_200_before_our_commit(stage):
    talk = await _at_the_answer(stage, stage.natives.send, "after 200", applied=True)
    await talk.once(doubt=True)
    await talk.until("done in")
    assert talk.answers_n == 1


async def test_in_the_middle_of_an_upload(stage):
    word = stage.word()
    answer = f"pong {word}\n\n{LONG}\n\nthe end of {word}"
    talk = await stage.asked(word=word, answer=answer)
    fault = stage.plan(stage.natives.upload, "mid-upload")
    stage.model.gate.set()
    await stage.met(fault)
    await stage.bot.start()
    blind = stage.natives.blind
    await talk.find(lambda one: (blind and "ncertain" in one.text) or any(word.encode() in c for _, c in one.files))
    await asyncio.sleep(0.5)
    whole = [name for one in talk.shown() for name, content in one.files if f"the end of {word}".encode() in content]
    assert len(whole) <= 1
    assert blind or len(whole) == 1
    assert len([one for one in talk.shown() if says(one.text, f"pong {word}")]) <= 1
    stage.talks.remove(talk)  # its answer is in two places by design: the first screen, and the file


@pytest.mark.case(36)
async def test_before_and_after_a_card_is_shown(stage):
    for applied in (False, True):
        fault = stage.plan(stage.natives.send, "card", applied=applied)
        fault.times = 0
        talk = await stage.say("deploy the landing page")
        await talk.find(lambda one: True)
        fault.times = 1
        await stage.met(fault)
        await stage.bot.start()
        before_n = len(stage.bot.deployed())
        blind = stage.natives.blind
        line = await talk.find(
            lambda one: "Approve" in one.buttons or (blind and UNCERTAIN in one.text and "i-" in one.text)  # noqa: B023
        )
        await asyncio.sleep(0.5)
        cards = [one for one in talk.shown() if "Approve" in one.buttons]
        assert len(cards) == 1 or (blind and not applied and not cards)
        if cards:
            pressed = await stage.press(stage.service.second, cards[0], "Approve")
            assert pressed.acknowledged
        else:
            inquiry = next(word for word in line.text.split() if word.startswith("i-"))
            await stage.service.order(stage.service.second, "approve", inquiry, talk.place)
        await talk.until("is live")
        assert len(stage.bot.deployed()) == before_n + 1


@pytest.mark.case(36)
async def test_after_a_press_is_taken(stage):
    talk = await stage.say("deploy the docs")
    card = await talk.card()
    before_n, events_n = len(stage.bot.deployed()), stage.bot.events_n()
    pressing = asyncio.ensure_future(stage.press(stage.service.second, card, "Approve"))
    await stage.happened(lambda: stage.bot.events_n() > events_n, "the press was never committed")
    await stage.bot.kill("press")
    await stage.bot.start()
    await pressing
    await talk.until("docs is live")
    await talk.until("Approved by Ana")
    assert len(stage.bot.deployed()) == before_n + 1


async def test_while_the_service_is_slow_to_answer(stage):
    """The kill comes at no chosen moment: right after each of the first requests that a message causes."""
    for wait in (0.0, 0.05, 0.15):
        stage.service.faults.plan(Fault(method=stage.natives.send, how="wait", seconds=0.1))
        talk = await stage.ping()
        await asyncio.sleep(wait)
        await stage.bot.kill("any")
        await stage.bot.start()
        await talk.once(doubt=True)
        stage.doubtful.add(talk.word)
