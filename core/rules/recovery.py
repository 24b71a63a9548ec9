"""Read a call that a model wrote as text instead of making it (TEAM.md, Tools): allowed, flagged, counted.

Law: only a reply that is nothing but one call is one. Text around it, a name that is no tool of the role, arguments
that are no object: then it is prose, and nothing is guessed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec

from core.model.ids import EffectId, digest_of
from core.model.team import Json, ToolSpec
from core.model.work import Reply, Stop, ToolUse

_FENCE = re.compile(r"```(?:json|tool_call|tool_code)?\s*\n(.*?)\n?```", re.DOTALL)
_TAG = re.compile(r"<(tool_call|function_call|tool_use)>(.*?)</\1>", re.DOTALL)


def recovered(reply: Reply, specs: Sequence[ToolSpec], effect: EffectId) -> Reply:
    """The reply with the call it spells, marked; any other as it is."""
    if reply.uses or reply.stop is not Stop.END:
        return reply
    found = _call(reply.text.strip(), {spec.name for spec in specs})
    if found is None:
        return reply
    use = ToolUse(id=f"text_{digest_of(effect)[:16]}", name=found[0], arguments=found[1])
    return msgspec.structs.replace(reply, text="", uses=(use,), stop=Stop.TOOLS, recovered=True)


def _call(text: str, tools: set[str]) -> tuple[str, dict[str, Json]] | None:
    for wrapper, group in ((_TAG, 2), (_FENCE, 1)):
        if whole := wrapper.fullmatch(text):
            text = whole[group].strip()
    try:
        value = msgspec.json.decode(text, type=dict[str, Json])
    except msgspec.DecodeError:
        return None
    names = [value.pop(key) for key in ("name", "tool") if key in value]
    arguments = [value.pop(key) for key in ("arguments", "parameters", "input") if key in value]
    if value or len(names) != 1 or len(arguments) != 1:
        return None
    return (names[0], arguments[0]) if names[0] in tools and isinstance(arguments[0], dict) else None
