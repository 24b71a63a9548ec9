"""Anthropic's Messages API. Requests are deterministic, stable parts first, so that a conversation's prefix stays warm.

Four cache breakpoints, all the API allows: the last tool, the last stable system part, and the last two of the user's
turns. Two, because the newer writes the cache that the next request reads, where it is the older one.

A turn in which the model has thought goes back as it came, block for block, for as long as the same model goes on: the
API signs what was thought, wants it back beside the calls that came of it, and refuses it changed or out of order.
"""

from __future__ import annotations

import asyncio
import base64
import re
from typing import Any

from core.adapters.models.vendor import Vendor, clean, effort_of, loaded, number, output_limit, sent
from core.model.errors import AuthenticationError
from core.model.team import Json
from core.model.work import Picture, Reply, Stop, ToolUse, Usage, VendorTurn
from core.ports import Message, ModelRequest

_VENDOR = Vendor(
    package="anthropic",
    title="Anthropic",
    key_name="ANTHROPIC_API_KEY",
    pip="pip install anthropic",
)
_WARM: dict[str, Json] = {"type": "ephemeral"}
_WARM_TURNS = 2
_ID = re.compile(r"[^A-Za-z0-9_-]")
_THOUGHT = frozenset({"thinking", "redacted_thinking"})
_CONTINUED = "(The conversation goes on.)"
_STOPS = {
    "end_turn": Stop.END,
    "stop_sequence": Stop.END,
    "tool_use": Stop.TOOLS,
    "max_tokens": Stop.CUT,
    "model_context_window_exceeded": Stop.CUT,
    "refusal": Stop.REFUSED,
}


class AnthropicModel:
    """A ModelProvider. The SDK is imported at the first call; retries are not its business (`Resilient` does them)."""

    def __init__(self, key: str, *, base_url: str | None = None, timeout_seconds: float = 120.0) -> None:
        self._key = key
        self._base_url = base_url or None
        self._timeout_seconds = timeout_seconds
        self._opening = asyncio.Lock()
        self._client: Any = None
        self._sdk: Any = None

    async def reply(self, request: ModelRequest) -> Reply:
        """One turn."""
        if not self._key:
            raise AuthenticationError("There is no key for Anthropic", f"set {_VENDOR.key_name}")
        client = await self._open()
        body = body_of(request)

        async def send() -> bytes:
            answer = await client.messages.with_raw_response.create(**body)
            content: bytes = answer.http_response.content
            return content

        return reply_of(await sent(_VENDOR, self._sdk, self._key, self._timeout_seconds, send), request.model.model)

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                self._sdk = await loaded(_VENDOR)
                self._client = await asyncio.to_thread(  # it reads certificates from the disk
                    self._sdk.AsyncAnthropic,
                    api_key=self._key,
                    base_url=self._base_url,
                    timeout=self._timeout_seconds,
                    max_retries=0,
                )
        return self._client


def body_of(request: ModelRequest) -> dict[str, Json]:
    """The request as the API wants it; equal requests make equal bytes."""
    body: dict[str, Json] = {
        "model": request.model.model,
        "max_tokens": output_limit(request),
    }
    if request.model.thinking_tokens:
        # Its models take no budget since 4.7 (a 400); what was thought need not be sent: nobody reads it.
        body["thinking"] = {"type": "adaptive", "display": "omitted"}
        body["output_config"] = {"effort": effort_of(request.model)}
    tools: list[dict[str, Json]] = [
        {"name": tool.name, "description": clean(tool.about), "input_schema": tool.parameters} for tool in request.tools
    ]
    if tools:
        tools[-1]["cache_control"] = _WARM
        body["tools"] = tools
    parts = sorted((part for part in request.system if part.text.strip()), key=lambda part: not part.stable)
    system: list[dict[str, Json]] = [{"type": "text", "text": clean(part.text)} for part in parts]
    stable_n = sum(1 for part in parts if part.stable)
    if stable_n:
        system[stable_n - 1]["cache_control"] = _WARM
    if system:
        body["system"] = system
    body["messages"] = _messages(request.messages, request.model.model)
    return body


def _messages(messages: tuple[Message, ...], model: str) -> list[dict[str, Json]]:
    """Turns that alternate and begin and end with the user's; in those, results come before words."""
    turns: list[tuple[str, list[dict[str, Json]], list[dict[str, Json]]]] = []
    for message in messages:
        first, then = _verbatim(message, model) or _blocks(message)
        if not first and not then:
            continue
        if turns and turns[-1][0] == message.role:
            turns[-1][1].extend(first)
            turns[-1][2].extend(then)
        else:
            turns.append((message.role, first, then))
    continued: list[dict[str, Json]] = [{"type": "text", "text": _CONTINUED}]
    if not turns or turns[0][0] == "assistant":
        turns.insert(0, ("user", [], list(continued)))
    if turns[-1][0] == "assistant":
        turns.append(("user", [], continued))
    made: list[dict[str, Json]] = [{"role": role, "content": first + then} for role, first, then in turns]
    for turn in [turn for turn in made if turn["role"] == "user"][-_WARM_TURNS:]:
        turn["content"][-1] = {**turn["content"][-1], "cache_control": _WARM}
    return made


def _verbatim(message: Message, model: str) -> tuple[list[dict[str, Json]], list[dict[str, Json]]] | None:
    """The turn as this very model wrote it; None where it is another's, or its calls are no longer the same."""
    kept = message.verbatim
    if kept is None or kept.model != model:
        return None
    calls = [_ID.sub("_", str(block.get("id"))) for block in kept.blocks if block.get("type") == "tool_use"]
    same = calls == [_ID.sub("_", use) for use, _, _ in message.uses]
    return (list(kept.blocks), []) if same else None


def _blocks(message: Message) -> tuple[list[dict[str, Json]], list[dict[str, Json]]]:
    """What must come first in the turn, and what follows it: results before words, words before calls."""
    words: list[dict[str, Json]] = [{"type": "text", "text": clean(message.text)}] if message.text.strip() else []
    if message.role == "assistant":
        uses = [
            {"type": "tool_use", "id": _ID.sub("_", use), "name": name, "input": arguments}
            for use, name, arguments in message.uses
        ]
        return words, uses
    results: list[dict[str, Json]] = []
    shown = dict(message.pictures)
    for use, text, is_error in message.results:
        block: dict[str, Json] = {"type": "tool_result", "tool_use_id": _ID.sub("_", use), "content": clean(text)}
        if use in shown:
            block["content"] = [{"type": "text", "text": clean(text)}, _image(shown[use])]
        if is_error:
            block["is_error"] = True
        results.append(block)
    return results, words


def _image(picture: Picture) -> dict[str, Json]:
    body = base64.b64encode(picture.body).decode()
    return {"type": "image", "source": {"type": "base64", "media_type": picture.media, "data": body}}


def reply_of(answer: dict[str, Json], model: str) -> Reply:
    """The answer in our terms. What is missing is empty; a call's arguments are passed on as they came."""
    texts: list[str] = []
    uses: list[ToolUse] = []
    content = answer.get("content")
    for block in content if isinstance(content, list) else ():
        match block:
            case {"type": "text", "text": str(text)}:
                texts.append(text)
            case {"type": "tool_use", "name": str(name), **rest}:
                use = rest.get("id")
                uses.append(ToolUse(id=str(use or f"use-{len(uses)}"), name=name, arguments=rest.get("input")))
            case _:
                pass  # thinking, and kinds of block that come to be: nothing the engine acts on
    thought = [block for block in _dicts(content) if block.get("type") in _THOUGHT]
    used = answer.get("usage")
    usage = used if isinstance(used, dict) else {}
    named = answer.get("model")
    return Reply(
        text="".join(texts),
        uses=tuple(uses),
        stop=_STOPS.get(str(answer.get("stop_reason")), Stop.TOOLS if uses else Stop.END),
        usage=Usage(
            input_tokens=number(usage.get("input_tokens")),
            output_tokens=number(usage.get("output_tokens")),
            cache_read_tokens=number(usage.get("cache_read_input_tokens")),
            cache_write_tokens=number(usage.get("cache_creation_input_tokens")),
        ),
        model=named if isinstance(named, str) and named else model,
        verbatim=VendorTurn(model=model, blocks=tuple(_dicts(content))) if thought else None,
    )


def _dicts(content: Json) -> list[dict[str, Json]]:
    return [block for block in content if isinstance(block, dict)] if isinstance(content, list) else []
