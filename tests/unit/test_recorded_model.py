from __future__ import annotations

import msgspec
import pytest

from core.adapters.models.recorded import Recorded, RecordedModel, Recorder, Recording, digest_of, encode
from core.adapters.models.scripted import ScriptedModel, say, use
from core.model.errors import TerminalError
from core.model.team import ModelSpec, ToolSpec
from core.model.work import VendorTurn
from core.ports import Message, ModelRequest, Part

TOOL = ToolSpec(name="look", about="Look.", parameters={"type": "object"})


def request(text="hello", *, role="ops", prompt="Be brief.", tools=(TOOL,), turns=0, model="a"):
    messages = [Message(role="user", text=text)]
    for n in range(turns):
        messages += [Message(role="assistant", text=f"{n}"), Message(role="user", text="go on")]
    return ModelRequest(
        model=ModelSpec(provider="p", model=model),
        system=(Part(text=prompt),),
        tools=tools,
        messages=tuple(messages),
        output_tokens_max=100,
        role=role,
        task="t-1",
    )


async def recorded(*requests):
    kept: list[Recorded] = []
    model = Recorder(ScriptedModel(lambda asked: say(f"{asked.role}: {asked.messages[0].text}")), kept)
    for one in requests:
        await model.reply(one)
    return Recording(source="a test", replies=tuple(kept))


async def test_an_equal_request_gets_its_reply_in_whatever_order():
    recording = await recorded(request("one"), request("two"), request("one", role="dev"))
    model = RecordedModel(recording)
    assert (await model.reply(request("two"))).text == "ops: two"
    assert (await model.reply(request("one", role="dev"))).text == "dev: one"
    assert (await model.reply(request("one", model="b"))).text == "ops: one"
    assert model.stale == []


async def test_equal_requests_get_their_replies_one_after_another():
    kept = [Recorded(request=digest_of(request()), role="ops", turn=n, reply=say(f"{n}")) for n in range(2)]
    model = RecordedModel(Recording(source="a test", replies=tuple(kept)))
    assert [(await model.reply(request())).text for _ in range(2)] == ["0", "1"]


@pytest.mark.parametrize(
    "changed",
    [{"prompt": "Be long."}, {"tools": ()}, {"text": "hi"}, {"tools": (msgspec.structs.replace(TOOL, about="!"),)}],
)
async def test_a_changed_request_gets_the_roles_next_reply_and_is_stale(changed):
    model = RecordedModel(await recorded(request("other", role="dev"), request(), request("more", turns=1)))
    assert (await model.reply(request(**changed))).text == "ops: hello"
    assert (await model.reply(request("more", turns=1))).text == "ops: more"
    assert model.stale == ["turn 0 of ops was recorded of another request"]


async def test_a_recording_that_has_nothing_more_says_so():
    model = RecordedModel(await recorded(request()))
    await model.reply(request())
    with pytest.raises(TerminalError, match="nothing more for ops: run with --record"):
        await model.reply(request())


async def test_it_is_read_as_it_was_written_and_readable():
    calls = use("look", at='the "house"')
    kept = (
        Recorded(request="d", role="ops", turn=0, reply=calls),
        Recorded(request="e", role="ops", turn=1, reply=say("")),
    )
    recording = Recording(source="a test", replies=kept)
    written = encode(recording)
    assert msgspec.json.decode(written, type=Recording) == recording
    assert b'\n   "role": "ops"' in written
    assert b"recovered" not in written


def test_what_a_vendor_wants_back_is_no_part_of_the_request():
    turn = Message(role="assistant", text="hm", verbatim=VendorTurn(model="a", blocks=({"type": "thinking"},)))
    asked = request()
    bare = msgspec.structs.replace(turn, verbatim=None)
    one, other = (msgspec.structs.replace(asked, messages=(*asked.messages, each)) for each in (turn, bare))
    assert digest_of(one) == digest_of(other)
