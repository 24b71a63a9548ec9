"""A fake model server: Anthropic's Messages API on a real socket, with a gate that a test may close.

`ping X` is answered with `pong X`, or with the text kept for X; everything else is thought about by the offline model,
which routes and calls tools by the words of the request.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from typing import Any

from aiohttp import web

from core.adapters.models.offline import OfflineModel
from core.model.team import ModelSpec, ToolSpec
from core.ports import Message, ModelRequest, Part

_PING = re.compile(r"\bping (\w+)")


class ModelServer:
    """What it was asked is kept in `pings`."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.texts: dict[str, str] = {}
        self.pings: list[str] = []
        self.waiting_n = 0
        self._numbers = itertools.count(1)
        self._offline = OfflineModel()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application(client_max_size=50_000_000)
        app.router.add_post("/v1/messages", self._messages)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()

    async def stop(self) -> None:
        self.gate.set()
        if self._runner is not None:
            await self._runner.cleanup()

    def environ(self) -> dict[str, str]:
        assert self._runner is not None
        port = self._runner.addresses[0][1]
        return {"ANTHROPIC_API_KEY": "fake-key-of-no-value", "ANTHROPIC_BASE_URL": f"http://127.0.0.1:{port}"}

    async def _messages(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.waiting_n += 1
        try:
            await self.gate.wait()
        finally:
            self.waiting_n -= 1
        content, stop = await self._reply(body)
        usage = {"input_tokens": 20, "output_tokens": 5}
        answer = {"id": f"msg_{next(self._numbers)}", "type": "message", "role": "assistant", "model": body["model"]}
        return web.json_response({**answer, "content": content, "stop_reason": stop, "usage": usage})

    async def _reply(self, body: dict[str, Any]) -> tuple[list[dict[str, Any]], str]:
        pings = _PING.findall(_newest(body))
        if pings:
            self.pings += [ping for ping in pings if ping not in self.pings]
            said = "\n\n".join(self.texts.get(ping, f"pong {ping}") for ping in dict.fromkeys(pings))
            return [{"type": "text", "text": said}], "end_turn"
        reply = await self._offline.reply(_request(body))
        uses = [
            {"type": "tool_use", "id": f"toolu_{next(self._numbers)}", "name": use.name, "input": use.arguments}
            for use in reply.uses
        ]
        words = [{"type": "text", "text": reply.text}] if reply.text else []
        return words + uses, "tool_use" if uses else "end_turn"


def _blocks(turn: dict[str, Any]) -> list[dict[str, Any]]:
    content = turn["content"]
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _newest(body: dict[str, Any]) -> str:
    """What people said since the model spoke last, without what is quoted of earlier."""
    said: list[str] = []
    for turn in reversed(body["messages"]):
        if turn["role"] != "user":
            break
        said += [block["text"] for block in _blocks(turn) if block["type"] == "text"]
    return re.sub(r"<earlier>.*?</earlier>", "", "\n".join(reversed(said)), flags=re.DOTALL)


def _request(body: dict[str, Any]) -> ModelRequest:
    """What the adapter sent, in our own terms again."""
    tools = tuple(
        ToolSpec(name=tool["name"], about=tool["description"], parameters=tool["input_schema"])
        for tool in body.get("tools", ())
    )
    messages = []
    for turn in body["messages"]:
        blocks = _blocks(turn)
        messages.append(
            Message(
                role=turn["role"],
                text="\n\n".join(block["text"] for block in blocks if block["type"] == "text"),
                uses=tuple((b["id"], b["name"], b["input"]) for b in blocks if b["type"] == "tool_use"),
                results=tuple(
                    (b["tool_use_id"], str(b["content"]), bool(b.get("is_error")))
                    for b in blocks
                    if b["type"] == "tool_result"
                ),
            )
        )
    return ModelRequest(
        model=ModelSpec(provider="offline", model=body["model"]),
        system=tuple(Part(text=part["text"]) for part in body.get("system", ())),
        tools=tools,
        messages=tuple(messages),
        output_tokens_max=body["max_tokens"],
    )
