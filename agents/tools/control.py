"""The calls that never run as tools: the step itself delegates, asks people, finds tools and ends tasks.

Law: what the model sees here is the whole contract between agents; the step checks it again, whatever a schema lets by.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from core.model.team import EffectClass, Json, Tier, ToolSpec
from core.rules import finding

DELEGATE = "delegate"
ASK_HUMAN = "ask_human"
HAND_OFF = "hand_off"
FIND_TOOLS = finding.NAME


def shape(properties: dict[str, Json], required: tuple[str, ...] = ()) -> dict[str, Json]:
    """A JSON Schema of type object that takes these properties and no others."""
    schema: dict[str, Json] = {"type": "object", "properties": properties, "additionalProperties": False}
    return schema | {"required": list(required)} if required else schema


def _text(about: str = "") -> dict[str, Any]:
    return {"type": "string", "description": about} if about else {"type": "string"}


def _texts(about: str = "") -> dict[str, Any]:
    return {"type": "array", "items": {"type": "string"}} | ({"description": about} if about else {})


def find_tools(names: tuple[str, ...]) -> ToolSpec:
    """`find_tools` as a role with these tools on demand sees it."""
    return ToolSpec(
        name=FIND_TOOLS,
        about=f"More tools of yours, by name or by what they do: {', '.join(names)}" if names else "Find more tools",
        parameters=shape({"query": _text()}, ("query",)),
        tier=Tier.READ,
        effect=EffectClass.READ,
    )


def delegate(
    targets: tuple[str, ...],
    kinds: tuple[str, ...],
    lines: tuple[str, ...],
    asked: Mapping[str, tuple[str, ...]] = MappingProxyType({}),
) -> ToolSpec:
    """`delegate` as one role sees it: `lines` say who each target is, `asked` what kinds ask for besides."""
    more = "; ".join(f"{kind}: {', '.join(names)}" for kind, names in asked.items() if kind in kinds)
    fields = {"type": "object", "additionalProperties": {"type": "string"}, "description": f"required for {more}"}
    return ToolSpec(
        name=DELEGATE,
        about="\n".join(
            (
                "Give work to another role; its handoff is the result. Independent work: several calls in one turn.",
                *lines,
            )
        ),
        parameters=shape(
            {
                "to": {"enum": list(targets)},
                "kind": {"enum": list(kinds)},
                "objective": _text("the outcome, in full: it sees nothing else"),
                "success_criteria": _texts("how one can tell it is done"),
                "context": _text("facts it needs, no more"),
                "limits": _text(),
                "deadline_minutes": {"type": "integer", "minimum": 1},
                **({"fields": fields} if more else {}),
                "requires_approval": {"type": "boolean", "description": "a person must see it before it acts"},
                "task": _text("to answer a role that asked back: its task"),
                "answer": _text("with `task`, and nothing else"),
            }
        ),
        tier=Tier.INTERNAL,
        effect=EffectClass.IDEMPOTENT,
    )


ASK = ToolSpec(
    name=ASK_HUMAN,
    about="Ask a person what only a person can decide. Never to confirm a request or an action: gates do that.",
    parameters=shape(
        {
            "question": _text(),
            "kind": {"enum": ["question", "choice"], "default": "question"},
            "options": _texts("for a choice"),
            "why": _text("one sentence"),
        },
        ("question",),
    ),
    tier=Tier.INTERNAL,
    effect=EffectClass.IDEMPOTENT,
)

FINISH = ToolSpec(
    name=HAND_OFF,
    about="End this task with its result, alone in its turn. `summary`; or, to push back, only `needs`.",
    parameters=shape(
        {
            "summary": _text("what came of it"),
            "changed": _texts(),
            "next_needs": _texts("what the next one must know"),
            "risks": _texts(),
            "artifacts": _texts("paths of files"),
            "needs": _text("what you must know before you can do it"),
        }
    ),
    tier=Tier.INTERNAL,
    effect=EffectClass.IDEMPOTENT,
)


def specs() -> dict[str, ToolSpec]:
    """These as nobody in particular sees them."""
    return {spec.name: spec for spec in (delegate((), (), ()), ASK, FINISH, find_tools(()))}
