from __future__ import annotations

import pytest

from core.adapters.models.scripted import ScriptedModel, both, fail, say, use, when
from core.model.errors import OverloadedError, TerminalError
from core.model.team import ModelSpec
from core.model.work import Stop
from core.ports import Message, ModelRequest


def request(*messages, role="ceo"):
    return ModelRequest(
        model=ModelSpec(provider="scripted", model="scripted"),
        system=(),
        tools=(),
        messages=messages or (Message(role="user", text="Deploy it"),),
        output_tokens_max=100,
        role=role,
    )


def asked(text):
    return Message(role="user", text=text)


def called(use_id="use-0-0", name="delegate", **arguments):
    return Message(role="assistant", uses=((use_id, name, arguments),))


def returned(text, use_id="use-0-0", is_error=False):
    return Message(role="user", results=((use_id, text, is_error),))


SCRIPT = {"ceo": [use("delegate", to="cto"), say("done")], "cto": [say("built")]}


async def test_each_turn_of_each_role_gets_its_step():
    model = ScriptedModel(SCRIPT)

    first = await model.reply(request())
    second = await model.reply(request(asked("Deploy it"), called(), returned("ok")))
    other = await model.reply(request(role="cto"))

    assert (first.uses[0].name, first.uses[0].arguments, first.stop) == ("delegate", {"to": "cto"}, Stop.TOOLS)
    assert (second.text, second.stop, other.text) == ("done", Stop.END, "built")


async def test_the_same_transcript_gets_the_same_reply_however_often_it_is_asked():
    model = ScriptedModel(SCRIPT)
    replies = [await model.reply(request()) for _ in range(3)]
    assert replies[0] == replies[1] == replies[2]
    assert (model.calls, model.calls_of("ceo"), model.calls_of("cto")) == (3, 3, 0)


async def test_calls_of_one_turn_and_of_different_turns_have_different_ids():
    model = ScriptedModel(lambda _: both(say("on it"), use("a"), use("b")))
    first = await model.reply(request())
    second = await model.reply(request(asked("x"), called(), returned("ok")))
    assert first.text == "on it"
    assert len({one.id for one in (*first.uses, *second.uses)}) == 4


async def test_rules_speak_first_and_look_at_role_turn_and_words():
    model = ScriptedModel(
        {"ceo": [say("by turn"), say("by turn")]},
        rules=[
            when(say("denied"), contains="DENIED by"),
            when(say("second"), role="ceo", turn=1, anywhere="urgent"),
            when(say("never"), role="cto"),
        ],
    )
    assert (await model.reply(request())).text == "by turn"
    assert (await model.reply(request(asked("urgent!"), called(), returned("ok")))).text == "second"
    assert (await model.reply(request(asked("urgent!"), called(), returned("Denied by Ana")))).text == "denied"


async def test_a_failing_step_raises_its_error():
    model = ScriptedModel({"ceo": [fail(OverloadedError("busy", retry_after_ms=40))]})
    with pytest.raises(OverloadedError) as caught:
        await model.reply(request())
    assert caught.value.retry_after_ms == 40


async def test_a_request_nothing_speaks_of_is_named():
    with pytest.raises(TerminalError, match=r"turn 0 of role 'qa' after 'Deploy it'"):
        await ScriptedModel(SCRIPT).reply(request(role="qa"))


async def test_latency_passes_on_the_clock():
    class Turned:
        slept = 0.0

        async def sleep(self, seconds):
            self.slept += seconds

    clock = Turned()
    await ScriptedModel(SCRIPT, clock=clock, latency_ms=250).reply(request())
    assert clock.slept == 0.25
