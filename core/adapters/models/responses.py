"""OpenAI's Responses API, as wire format only: how its models that think take tools.

Nothing is stored at the vendor. A turn in which the model has thought goes back item for item, for as long as the same
model goes on, because its calls and its thoughts are only accepted together.
"""

from __future__ import annotations

import base64

import msgspec

from core.adapters.models.vendor import clean, effort_of, number, output_limit
from core.model.errors import OverloadedError
from core.model.team import Json
from core.model.work import Reply, Stop, ToolUse, Usage, VendorTurn
from core.ports import Message, ModelRequest

_CUT = {"max_output_tokens": Stop.CUT, "content_filter": Stop.REFUSED}


def body_of(request: ModelRequest) -> dict[str, Json]:
    """The request as the API wants it; equal requests make equal bytes."""
    body: dict[str, Json] = {
        "model": request.model.model,
        "max_output_tokens": output_limit(request),
        "store": False,
        "include": ["reasoning.encrypted_content"],
    }
    if request.model.thinking_tokens:
        body["reasoning"] = {"effort": effort_of(request.model)}
    if request.tools:
        body["tools"] = [
            {
                "type": "function",
                "name": tool.name,
                "description": clean(tool.about),
                "parameters": tool.parameters,
                "strict": False,
            }
            for tool in request.tools
        ]
    parts = sorted((part for part in request.system if part.text.strip()), key=lambda part: not part.stable)
    if parts:
        body["instructions"] = "\n\n".join(clean(part.text) for part in parts)
    body["input"] = [item for message in request.messages for item in _items(message, request.model.model)]
    return body


def _items(message: Message, model: str) -> list[dict[str, Json]]:
    text = clean(message.text)
    if message.role == "user":
        return _results(message) + ([_said("user", "input_text", text)] if text.strip() else [])
    kept = message.verbatim
    if kept is not None and kept.model == model:
        calls = [block.get("call_id") for block in kept.blocks if block.get("type") == "function_call"]
        if calls == [use for use, _, _ in message.uses]:
            return list(kept.blocks)
    items = [_said("assistant", "output_text", text)] if text.strip() else []
    for use, name, arguments in message.uses:
        told = msgspec.json.encode(arguments).decode()
        items.append({"type": "function_call", "call_id": use, "name": name, "arguments": told})
    return items


def _said(role: str, kind: str, text: str) -> dict[str, Json]:
    return {"type": "message", "role": role, "content": [{"type": kind, "text": text}]}


def _results(message: Message) -> list[dict[str, Json]]:
    shown = dict(message.pictures)
    items: list[dict[str, Json]] = []
    for use, text, is_error in message.results:
        output: Json = f"Error: {clean(text)}" if is_error else clean(text)
        if use in shown:
            body = base64.b64encode(shown[use].body).decode()
            url = f"data:{shown[use].media};base64,{body}"
            output = [{"type": "input_text", "text": output}, {"type": "input_image", "image_url": url}]
        items.append({"type": "function_call_output", "call_id": use, "output": output})
    return items


def reply_of(answer: dict[str, Json], model: str) -> Reply:
    """The answer in our terms. Raises OverloadedError for one that the vendor could not finish."""
    if answer.get("status") == "failed":
        raise OverloadedError("OpenAI could not finish its answer")
    output = answer.get("output")
    items = [item for item in output if isinstance(item, dict)] if isinstance(output, list) else []
    texts: list[str] = []
    uses: list[ToolUse] = []
    refused = False
    for item in items:
        match item:
            case {"type": "message", "content": list(blocks)}:
                refused = refused or any(isinstance(b, dict) and b.get("type") == "refusal" for b in blocks)
                texts += [_text_of(block) for block in blocks]
            case {"type": "function_call", "name": str(name), **rest}:
                use = str(rest.get("call_id") or f"use-{len(uses)}")
                uses.append(ToolUse(id=use, name=name, arguments=arguments_of(rest.get("arguments"))))
            case _:
                pass  # thinking, and kinds of item that were not asked for
    details = answer.get("incomplete_details")
    why = str(details.get("reason")) if isinstance(details, dict) else ""
    named = answer.get("model")
    thought = any(item.get("type") == "reasoning" for item in items)
    return Reply(
        text="".join(texts),
        uses=tuple(uses),
        stop=Stop.REFUSED if refused else _CUT.get(why, Stop.TOOLS if uses else Stop.END),
        usage=_usage(answer.get("usage")),
        model=named if isinstance(named, str) and named else model,
        verbatim=VendorTurn(model=model, blocks=tuple(items)) if thought else None,
    )


def _text_of(block: Json) -> str:
    text = (block.get("text") or block.get("refusal")) if isinstance(block, dict) else None
    return text if isinstance(text, str) else ""


def arguments_of(raw: Json) -> Json:
    """Arguments come as JSON text; an empty text is a call without arguments, what is no JSON is None."""
    if not isinstance(raw, str):
        return raw
    if not raw.strip():
        return {}
    try:
        return msgspec.json.decode(raw.encode("utf-8", "replace"))
    except msgspec.DecodeError:
        return None


def _usage(raw: Json) -> Usage:
    """`input_tokens` counts what was read from the cache and written to it, too; ours are apart."""
    used: dict[str, Json] = raw if isinstance(raw, dict) else {}
    told = used.get("input_tokens_details")
    details: dict[str, Json] = told if isinstance(told, dict) else {}
    read, written = number(details.get("cached_tokens")), number(details.get("cache_write_tokens"))
    return Usage(
        input_tokens=max(0, number(used.get("input_tokens")) - read - written),
        output_tokens=number(used.get("output_tokens")),
        cache_read_tokens=read,
        cache_write_tokens=written,
    )
