"""What Slack's clients make of what people type, press and fill in. Pure."""

from __future__ import annotations

import copy
from typing import Any

from tests.fakes.slack import blocks as kit

REQUIRED = "Please complete this required field."


def rich(text: str, mentioned: str) -> list[dict[str, Any]]:
    """What somebody typed, as the blocks a client sends along with it."""
    words: list[dict[str, Any]] = [{"type": "user", "user_id": mentioned}] if mentioned else []
    words.append({"type": "text", "text": f" {text}" if mentioned else text})
    return [{"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": words}]}]


def pressed(control: kit.Control, message: dict[str, Any], channel: str, ts: str) -> dict[str, Any]:
    """The part of a block_actions payload that is about the control and where it stands."""
    element = control.element
    action = {"type": element["type"], "action_id": element["action_id"], "block_id": control.block_id, "action_ts": ts}
    if element["type"] == "button":
        action |= {name: element[name] for name in ("text", "value", "style") if name in element}
    elif element["type"] in {"checkboxes", "multi_static_select"}:
        action["selected_options"] = [control.option]
    else:
        action["selected_option"] = control.option
    ephemeral = "only_for" in message
    container = {"type": "message", "message_ts": message["ts"], "channel_id": channel, "is_ephemeral": ephemeral}
    if "thread_ts" in message:
        container["thread_ts"] = message["thread_ts"]
    told = {} if ephemeral else {"message": copy.deepcopy(message)}
    return {"actions": [action], "container": container, "state": {"values": {}}, **told}


def labels(view: dict[str, Any]) -> tuple[str, ...]:
    return tuple(block["label"]["text"] for block in kit.inputs(view))


def filled(view: dict[str, Any], values: tuple[str, ...]) -> tuple[dict[str, Any], str]:
    """The view's state with these values, in the inputs' order; what is not given stays as it was. And what the client
    has against it, "" for nothing.
    """
    state: dict[str, Any] = {}
    for i, block in enumerate(kit.inputs(view)):
        element = block["element"]
        given = values[i] if i < len(values) else None
        value, wrong = _value(element, given)
        empty = not any(part for name, part in value.items() if name != "type")
        if empty and not block.get("optional"):
            return {}, f"{block['label']['text']}: {REQUIRED}"
        if wrong:
            return {}, f"{block['label']['text']}: {wrong}"
        state.setdefault(block["block_id"], {})[element["action_id"]] = value
    return state, ""


def _value(element: dict[str, Any], given: str | None) -> tuple[dict[str, Any], str]:
    kind = element["type"]
    if kind == "plain_text_input":
        text = element.get("initial_value") if given is None else given
        if text and len(text) > element.get("max_length", 3000):
            return {"type": kind, "value": text}, f"at most {element.get('max_length', 3000)} characters"
        if text and len(text) < element.get("min_length", 0):
            return {"type": kind, "value": text}, f"at least {element['min_length']} characters"
        return {"type": kind, "value": text or None}, ""
    if kind in {"checkboxes", "multi_static_select"}:
        wanted = {part.strip() for part in (given or "").split(",") if part.strip()}
        options = [o for o in element["options"] if {o["value"], o["text"]["text"]} & wanted]
        return {"type": kind, "selected_options": element.get("initial_options", []) if given is None else options}, ""
    if given is None:
        return {"type": kind, "selected_option": element.get("initial_option")}, ""
    option = next((o for o in element["options"] if given in {o["value"], o["text"]["text"]}), None)
    return {"type": kind, "selected_option": option}, "" if option or not given else f"there is no {given}"
