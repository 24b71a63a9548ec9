from __future__ import annotations

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from core.adapters.models.resilient import UNSEEN, Resilient
from core.model.errors import AuthenticationError, ContextOverflowError, OverloadedError, TerminalError
from core.model.team import ModelSpec
from core.model.work import Picture, Reply
from core.ports import Message, ModelRequest


class TurnedClock:
    """Time passes only by sleeping, or by hand."""

    def __init__(self):
        self.ms = 1_000_000
        self.slept = []

    def now_ms(self):
        return self.ms

    def monotonic_ms(self):
        return self.ms

    async def sleep(self, seconds):
        self.slept.append(seconds)
        self.ms += round(seconds * 1000)
        await asyncio.sleep(0)


class Steps:
    """A model that does what the list says, then answers for ever."""

    def __init__(self, *steps):
        self.steps = list(steps)
        self.calls = 0
        self.requests = []

    async def reply(self, request):
        self.calls += 1
        self.requests.append(request)
        step = self.steps.pop(0) if self.steps else Reply(text="fine")
        if isinstance(step, asyncio.Event):
            await step.wait()
            step = Reply(text="fine")
        if isinstance(step, Exception):
            raise step
        return step


def busy(retry_after_ms=None):
    return OverloadedError("The model is overloaded (529)", retry_after_ms=retry_after_ms)


def request(model="m"):
    return ModelRequest(
        model=ModelSpec(provider="p", model=model),
        system=(),
        tools=(),
        messages=(Message(role="user", text="hi"),),
        output_tokens_max=10,
        task="t-1",
    )


def made(*steps, jitter=0.0, **options):
    clock, inner = TurnedClock(), Steps(*steps)
    return Resilient(inner, clock, SimpleNamespace(jitter=lambda: jitter), **options), inner, clock


async def test_an_overloaded_model_is_tried_again_with_doubling_waits():
    model, inner, clock = made(busy(), busy(), busy())
    assert (await model.reply(request())).text == "fine"
    assert (inner.calls, clock.slept) == (4, [1, 2, 4])


async def test_waits_are_spread():
    model, _, clock = made(busy(), busy(), jitter=0.5)
    await model.reply(request())
    assert clock.slept == [1.25, 2.5]


async def test_it_gives_up_after_three_more_tries():
    model, inner, _ = made(*[busy() for _ in range(9)])
    with pytest.raises(OverloadedError, match="529"):
        await model.reply(request())
    assert inner.calls == 4


@pytest.mark.parametrize(("wish_ms", "waited"), [(40_000, 40), (200, 1), (3_600_000, 120), (0, 1)])
async def test_the_other_sides_wish_is_obeyed_when_longer_and_bounded(wish_ms, waited):
    model, _, clock = made(busy(wish_ms))
    await model.reply(request())
    assert clock.slept == [waited]


async def test_a_person_is_told_before_each_wait():
    told = []
    model, _, _ = made(busy(40_000), busy(), busy(), on_wait=lambda task, text: told.append((task, text)))
    await model.reply(request())
    assert told == [
        ("t-1", "The model is overloaded (529). Trying again in 40 s, up to 3 times; then I ask you."),
        ("t-1", "The model is overloaded (529). Trying again in 2 s, up to 2 times; then I ask you."),
        ("t-1", "The model is overloaded (529). Trying again in 4 s, once; then I ask you."),
    ]


async def test_other_errors_are_not_tried_again():
    model, inner, clock = made(TerminalError("no"))
    with pytest.raises(TerminalError):
        await model.reply(request())
    assert (inner.calls, clock.slept) == (1, [])


async def opened(**options):
    model, inner, clock = made(*[busy() for _ in range(5)], **options)
    for _ in range(2):
        with pytest.raises(OverloadedError, match="529"):
            await model.reply(request())
    assert inner.calls == 5
    return model, inner, clock


async def test_five_failures_open_the_breaker_and_it_says_when_it_closes():
    model, inner, clock = await opened()
    clock.ms += 60_000
    with pytest.raises(
        OverloadedError, match=r"m failed 5 times in a row.*tried again at \d\d:\d\d:\d\d UTC, in 240 s"
    ) as caught:
        await model.reply(request())
    assert caught.value.retry_after_ms == 240_000
    assert inner.calls == 5


async def test_another_model_has_a_breaker_of_its_own():
    model, _, _ = await opened()
    assert (await model.reply(request("other"))).text == "fine"


async def test_after_its_time_exactly_one_call_is_a_trial_and_success_closes_it():
    model, inner, clock = await opened()
    clock.ms += 300_000
    gate = asyncio.Event()
    inner.steps = [gate]
    async with asyncio.TaskGroup() as group:
        trial = group.create_task(model.reply(request()))
        await asyncio.sleep(0)
        with pytest.raises(OverloadedError, match="being tried"):
            await model.reply(request())
        gate.set()
    assert trial.result().text == "fine"
    assert (await model.reply(request())).text == "fine"
    assert inner.calls == 7


async def test_a_failed_trial_opens_it_again_without_a_retry():
    model, inner, clock = await opened()
    clock.ms += 300_000
    inner.steps = [busy()]
    with pytest.raises(OverloadedError, match="529"):
        await model.reply(request())
    with pytest.raises(OverloadedError, match="in 300 s"):
        await model.reply(request())
    assert inner.calls == 6


async def test_a_refusal_in_the_trial_shows_that_the_model_is_there():
    model, inner, clock = await opened()
    clock.ms += 300_000
    inner.steps = [TerminalError("bad request")]
    with pytest.raises(TerminalError):
        await model.reply(request())
    assert (await model.reply(request())).text == "fine"


async def test_a_cancelled_trial_leaves_the_trial_to_the_next_call():
    model, inner, clock = await opened()
    clock.ms += 300_000
    inner.steps = [asyncio.Event()]
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await model.reply(request())
    assert (await model.reply(request())).text == "fine"


async def test_success_starts_the_count_anew():
    model, inner, _ = made(*[busy() for _ in range(3)])
    await model.reply(request())
    inner.steps = [busy(), busy(), busy()]
    assert (await model.reply(request())).text == "fine"


SHOWN = Message(role="user", results=(("u", "a.png", False),), pictures=(("u", Picture(media="image/png", hash="h")),))


@pytest.mark.parametrize("error", [TerminalError("no images here"), ContextOverflowError("too large")])
async def test_a_model_that_refuses_pictures_is_asked_without_them(error):
    model, inner, clock = made(error)
    asked = msgspec.structs.replace(request(), messages=(*request().messages, SHOWN))
    assert (await model.reply(asked)).text == "fine"
    first, second = inner.requests
    assert first == asked
    assert second.messages == (*request().messages, Message(role="user", results=(("u", f"a.png\n{UNSEEN}", False),)))
    assert clock.slept == []


async def test_a_refusal_that_no_picture_explains_is_told():
    model, inner, _ = made(TerminalError("no"), TerminalError("still no"), AuthenticationError("the key is refused"))
    asked = msgspec.structs.replace(request(), messages=(SHOWN,))
    with pytest.raises(TerminalError, match="still no"):
        await model.reply(asked)
    with pytest.raises(AuthenticationError):
        await model.reply(asked)
    assert inner.calls == 3
