"""Work that is judged, and work that outgrows its window: what the company goes through in scenarios, told apart."""

from __future__ import annotations

import msgspec

from core.adapters.models.scripted import Script, Step, say, turn_of, use
from core.model.work import Usage
from core.ports import ModelRequest
from core.rules import compaction

_FULL = Usage(input_tokens=7_000, output_tokens=10)  # of the 8,000 a call of the company may read
_TURNS_N = 9


def _judged(request: ModelRequest) -> Step:
    """The first version is sent back, the second accepted, as often as either is asked about."""
    verdict = "REJECTED: no date" if "first version" in request.messages[0].text else "ACCEPTED"
    return use("hand_off", summary=verdict)


JUDGED: dict[str, Script] = {
    "ceo": [use("delegate", to="cto", kind="build", objective="Write the page"), say("The page is written.")],
    "cto": [
        use("delegate", to="developer", kind="build", objective="Write the page", success_criteria=["it has a date"]),
        use("hand_off", summary="written"),
    ],
    "developer": [use("note", text="page"), use("hand_off", summary="first version"), use("hand_off", summary="dated")],
    "qa": _judged,
}


def _growing(request: ModelRequest) -> Step:
    """Nine notes, then the end. The turn is told by what was noted last, which a summary does not take away."""
    if request.system[0].text == compaction.ORDER:
        return say("- the notes so far")
    if turn_of(request) == 0 and "<so_far>" not in request.messages[0].text:
        noted = 0
    else:
        noted = max(int(str(a["text"])) for message in request.messages for _, _, a in message.uses)
    if noted == _TURNS_N:
        return use("hand_off", summary="all is noted")
    step = use("note", text=str(noted + 1))
    return msgspec.structs.replace(step, usage=_FULL) if noted == _TURNS_N - 3 else step


GROWING: dict[str, Script] = {
    "ceo": [use("delegate", to="cto", kind="build", objective="Note it all"), say("It is noted.")],
    "cto": [use("delegate", to="devops", kind="operate", objective="Note it all"), use("hand_off", summary="noted")],
    "devops": _growing,
}
