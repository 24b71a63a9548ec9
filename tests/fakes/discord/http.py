"""Bodies in and out: JSON or a form with files in, exactly application/json out."""

from __future__ import annotations

import json
import math
from typing import Any, Final

from aiohttp import web

from tests.fakes.discord.world import File
from tests.fakes.discord.writing import Refused, Said

BODY_BYTES_MAX: Final = 26 * 1024 * 1024


async def read(request: web.Request) -> Said:
    """JSON, or a form with payload_json and files. A bare list is kept under ""."""
    if request.content_length is not None and request.content_length > BODY_BYTES_MAX:
        raise Refused(413, 40005, "Request entity too large")
    if request.content_type == "multipart/form-data":
        form = await request.post()
        payload = form.get("payload_json", "{}")
        assert isinstance(payload, str | bytes | bytearray), "payload_json is no file"
        body = json.loads(payload)
        files = []
        for name, value in form.items():
            if isinstance(value, web.FileField) and name.startswith("files["):
                content = value.file.read()
                value.file.close()
                files.append(File(name=value.filename, media=value.content_type, content=content))
        inner = body.get("data", body) if isinstance(body, dict) else {}
        renamed = {str(some.get("id")): some.get("filename") for some in inner.get("attachments") or ()}
        for i, file in enumerate(files):
            file.name = renamed.get(str(i)) or file.name
        return Said(body=body, files=files)
    raw = await request.read()
    try:
        body = json.loads(raw) if raw else {}
    except ValueError:
        raise Refused(400, 50109, "The request body contains invalid JSON.") from None
    return Said(body=body if isinstance(body, dict) else {"": body})


def answer_json(status: int, payload: Any, headers: dict[str, str] | None = None) -> web.Response:
    """Content-Type is exactly application/json: anything after it, and discord.py reads text."""
    if status == 204:
        return web.Response(status=204, headers=headers)
    return web.Response(
        status=status, body=json.dumps(payload).encode(), content_type="application/json", headers=headers
    )


def limited(seconds: float, everywhere: bool) -> web.Response:
    """`Via` is how discord.py knows it from a ban."""
    headers = {
        "Via": "1.1 google",
        "Retry-After": str(math.ceil(seconds)),
        "X-RateLimit-Scope": "global" if everywhere else "user",
    }
    if everywhere:
        headers["X-RateLimit-Global"] = "true"
    else:
        headers |= {"X-RateLimit-Remaining": "0", "X-RateLimit-Limit": "5", "X-RateLimit-Reset-After": f"{seconds:.3f}"}
    body = {"message": "You are being rate limited.", "retry_after": seconds, "global": everywhere, "code": 0}
    return answer_json(429, body, headers)
