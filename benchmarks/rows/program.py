"""The real program: how fast it is there, how much it holds, and what it first sends to a model.

The model is a server on loopback that speaks Anthropic's Messages API, so that the vendor's SDK is loaded and counted.
"""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from statistics import median
from typing import Any, Final

from benchmarks.bench import Scale, place, remove
from benchmarks.process import SECONDS_MAX, SIGNOFF, Running, environment, made
from benchmarks.report import Figure

MESSAGES: Final = 20
SETTLE_SECONDS: Final = 1.5
"""What a start still does after it is ready is counted too."""


def measure(scale: Scale) -> Iterator[Figure]:
    """Medians; bodies are exact."""
    yield Figure(key="version", value=median(_version() for _ in range(3 * scale.repeats + 1)))
    starts = [_start() for _ in range(scale.repeats)]
    yield Figure(key="ready", value=median(ms for ms, _, _ in starts), note="from exec to the first answer in code")
    rss, pss = median(rss for _, rss, _ in starts), median(pss for _, _, pss in starts)
    yield Figure(key="memory-idle", value=rss, note=f"resident; proportional {pss:.0f} MB")
    yield from _after_messages()


def _version() -> float:
    begun = time.perf_counter()
    subprocess.run(  # noqa: S603  our own words
        [SIGNOFF, "--version"], check=True, capture_output=True, timeout=SECONDS_MAX, env=environment()
    )
    return (time.perf_counter() - begun) * 1000


def _start() -> tuple[float, float, float]:
    folder = place("start")
    try:
        with Running(made(folder)) as child:
            ready_ms = child.ready()
            time.sleep(SETTLE_SECONDS)
            return (ready_ms, *child.memory_mb())
    finally:
        remove(folder)


def _after_messages() -> Iterator[Figure]:
    folder = place("messages")
    bodies: list[bytes] = []
    try:
        with vendor(bodies) as url, Running(made(folder), ANTHROPIC_API_KEY="k", ANTHROPIC_BASE_URL=url) as child:
            child.ready()
            child.say("hello")
            child.until("Hello, and done.")
            first, second = bodies[:2]
            for n in range(1, MESSAGES):
                child.say(f"hello {n}")
                child.until("Hello, and done.")
            time.sleep(SETTLE_SECONDS)
            rss, pss = child.memory_mb()
    finally:
        remove(folder)
    note = f"resident; proportional {pss:.0f} MB; the vendor's SDK loaded"
    yield Figure(key="memory-used", value=rss, note=note)
    yield Figure(key="first-body", value=len(first), note="shipped twelve, as sent over HTTP")
    kept = prefix_of(second).startswith(prefix_of(first))
    note = f"{len(prefix_of(first))} bytes, byte for byte but for the cache marks of the last turns"
    yield Figure(key="prefix", value=float(kept), note=note)
    new = 100 * (1 - len(prefix_of(first)) / len(prefix_of(second)))
    yield Figure(key="prefix-new", value=new, note="above its caching floor a vendor bills only this in full")


def prefix_of(body: bytes) -> bytes:
    """A request up to the end of its last message, in the order the vendor caches: tools, system, messages. The cache
    marks on messages move on with the conversation and are no part of what is compared.
    """
    request = json.loads(body)
    for message in request["messages"]:
        for block in message["content"]:
            block.pop("cache_control", None)
    parts = (request.get("tools", []), request.get("system", []), *request["messages"])
    return b"\n".join(json.dumps(part, ensure_ascii=False).encode() for part in parts)


@contextmanager
def vendor(bodies: list[bytes]) -> Iterator[str]:
    """Answers each first turn with a call the rules answer themselves, each second with words."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            bodies.append(body)
            answer = json.dumps(_answer(json.loads(body))).encode()
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


def _answer(request: dict[str, Any]) -> dict[str, Any]:
    turned = any(message["role"] == "assistant" for message in request["messages"])
    content: dict[str, Any] = {"type": "text", "text": "Hello, and done."}
    if not turned:
        content = {"type": "tool_use", "id": "u1", "name": "delegate", "input": {"to": "nobody"}}
    return {
        "id": "m",
        "type": "message",
        "role": "assistant",
        "model": request["model"],
        "content": [content],
        "stop_reason": "end_turn" if turned else "tool_use",
        "usage": {"input_tokens": 900, "output_tokens": 20},
    }
