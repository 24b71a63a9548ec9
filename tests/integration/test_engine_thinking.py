"""What a model thought goes back to it with the calls that came of it, over the journal and a crash."""

from __future__ import annotations

import msgspec

from core.adapters.models.scripted import say, use
from core.model.work import VendorTurn
from tests.engine_kit import Table

THOUGHT = VendorTurn(
    model="scripted", blocks=({"type": "thinking", "signature": "s"}, {"type": "tool_use", "id": "u1"})
)


class Thoughtful:
    """Thinks, looks, answers."""

    def __init__(self):
        self.requests = []

    async def reply(self, request):
        self.requests.append(request)
        if len(request.messages) > 1:
            return say("Seen.")
        looks = use("look", at="it")
        uses = (msgspec.structs.replace(looks.uses[0], id="u1"),)
        return msgspec.structs.replace(looks, uses=uses, verbatim=THOUGHT)


async def test_a_turn_that_was_thought_about_is_sent_back_as_it_came():
    model = Thoughtful()
    table = Table(model=model)
    await table.say("what is there?", role="ops")
    assert [message.verbatim for message in model.requests[-1].messages] == [None, THOUGHT, None]
    await table.close()


async def test_it_survives_a_crash():
    model = Thoughtful()
    table = Table(model=model)
    table.tools["look"].hold()
    await table.say("what is there?", role="ops")
    await table.crash()
    table.tools["look"].does = None
    await table.settle()
    assert model.requests[-1].messages[1].verbatim == THOUGHT
    await table.close()
