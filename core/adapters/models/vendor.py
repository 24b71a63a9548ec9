"""What the vendors' SDKs have in common: late import, a deadline, and their errors turned into ours.

No error of ours ever holds the key: messages are bounded, the key is cut out of them, and the vendor's exception, which
holds the request with its headers, is not chained.
"""

from __future__ import annotations

import asyncio
import importlib
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from types import ModuleType

import msgspec

from core.model.errors import (
    AuthenticationError,
    ContextOverflowError,
    OverloadedError,
    SignoffError,
    TerminalError,
)
from core.model.team import Json, ModelSpec
from core.ports import ModelRequest

MESSAGE_MAX = 300
MEDIUM_TOKENS = 4_096
HIGH_TOKENS = 16_384

_TOO_LONG = re.compile(
    r"context.{0,20}(?:length|window|limit)|prompt is too long|too many (?:input )?tokens|request_too_large"
    r"|maximum.{0,20}context|input.{0,30}too long|exceeds?.{0,30}context",
    re.IGNORECASE | re.DOTALL,
)
_NO_MONEY = re.compile(r"insufficient_quota|credit balance|billing", re.IGNORECASE)
_TRANSIENT = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """Whose API it is, in words for people."""

    package: str
    title: str
    key_name: str
    pip: str


async def loaded(vendor: Vendor) -> ModuleType:
    """The SDK, imported in a thread: it takes seconds, and events must not wait. Raises TerminalError."""
    try:
        return await asyncio.to_thread(importlib.import_module, vendor.package)
    except ImportError as error:
        raise TerminalError(
            f"The {vendor.package} package cannot be imported ({error})", f"{sys.executable} -m {vendor.pip}"
        ) from error


async def sent(
    vendor: Vendor, sdk: ModuleType, key: str, timeout_seconds: float, send: Callable[[], Awaitable[bytes]]
) -> dict[str, Json]:
    """The body of the vendor's answer, as JSON. Raises our errors only; a cancellation passes through."""
    trouble: SignoffError
    try:
        async with asyncio.timeout(timeout_seconds):
            body = await send()
        decoded = msgspec.json.decode(body)
        if isinstance(decoded, dict):
            return decoded
        trouble = _unreadable(vendor)
    except TimeoutError:
        trouble = _late(vendor, timeout_seconds)
    except (msgspec.DecodeError, UnicodeDecodeError):
        trouble = _unreadable(vendor)
    except sdk.APIStatusError as error:
        trouble = of_status(vendor, error.response.status_code, error.response.headers, error.response.text, key)
    except sdk.APITimeoutError:
        trouble = _late(vendor, timeout_seconds)
    except sdk.APIError:  # no connection, or one that was cut
        trouble = OverloadedError(
            f"{vendor.title} cannot be reached, or the connection was cut", "check the network and the base URL"
        )
    raise trouble


def of_status(vendor: Vendor, status: int, headers: Mapping[str, str], body: str, key: str) -> SignoffError:
    """Our error for an HTTP status, with the vendor's own words where they help."""
    said = message_of(body, key)
    if status in {401, 403}:
        return AuthenticationError(
            f"{vendor.title} refused the key ({status}): {said}",
            f"set {vendor.key_name} to a valid key, start signoff again, and retry what failed",
        )
    if (status in {400, 422} and _TOO_LONG.search(body)) or status == 413:
        return ContextOverflowError(f"The request is larger than the model's window ({status}): {said}")
    if status == 402 or (status in _TRANSIENT and _NO_MONEY.search(body)):
        return TerminalError(
            f"{vendor.title} wants payment ({status}): {said}", "look at the account's plan and credit"
        )
    retry_after_ms = retry_after(headers)
    if status in {503, 529}:
        return OverloadedError(f"The model is overloaded ({status})", retry_after_ms=retry_after_ms)
    if status == 429:
        return OverloadedError("The model asks us to slow down (429)", retry_after_ms=retry_after_ms)
    if status >= 500 or status in _TRANSIENT:
        return OverloadedError(f"The model is out of order ({status})", retry_after_ms=retry_after_ms)
    return TerminalError(f"{vendor.title} refused the request ({status}): {said}")


def message_of(body: str, key: str) -> str:
    """The vendor's message out of an error body, on one line, bounded, without the key."""
    text = body
    try:
        decoded = msgspec.json.decode(body.encode("utf-8", "replace"))
    except msgspec.DecodeError:
        decoded = None
    if isinstance(decoded, dict):
        error = decoded.get("error", decoded)
        text = str(error.get("message") or error) if isinstance(error, dict) else str(error)
    if key:
        text = text.replace(key, "***")
    line = " ".join(text.split())
    return line if len(line) <= MESSAGE_MAX else line[: MESSAGE_MAX - 1] + "…"


def retry_after(headers: Mapping[str, str]) -> int | None:
    """The wish in `retry-after-ms` or `retry-after` (seconds, or a date, read against the answer's own date)."""
    try:
        if ms := headers.get("retry-after-ms"):
            return max(0, int(float(ms)))
        wish = headers.get("retry-after")
        if not wish:
            return None
        if re.fullmatch(r"\s*\d+(?:\.\d*)?\s*", wish):
            return int(float(wish) * 1000)
        date = headers.get("date")
        if not date:
            return None
        return max(0, int((parsedate_to_datetime(wish) - parsedate_to_datetime(date)).total_seconds() * 1000))
    except (ValueError, TypeError, OverflowError):  # not a wish one can read
        return None


def effort_of(model: ModelSpec) -> str:
    """What vendors make of a budget nowadays: a word for how hard to think. Their models all know these three."""
    tokens = model.thinking_tokens
    return "low" if tokens < MEDIUM_TOKENS else "medium" if tokens < HIGH_TOKENS else "high"


def output_limit(request: ModelRequest) -> int:
    """What may be written at most. Vendors count what is thought among it, so that comes on top of the answer."""
    return min(request.output_tokens_max + request.model.thinking_tokens, request.model.output_tokens_max)


def clean(text: str) -> str:
    """Text that can be sent: half a surrogate pair, which only broken input has, becomes a question mark."""
    return text.encode("utf-8", "replace").decode("utf-8")


def number(value: Json) -> int:
    """A count out of a vendor's answer; what is no count is 0."""
    return value if isinstance(value, int) and value > 0 else 0


def _unreadable(vendor: Vendor) -> SignoffError:
    return OverloadedError(f"{vendor.title} sent an answer that cannot be read")


def _late(vendor: Vendor, seconds: float) -> SignoffError:
    return OverloadedError(f"{vendor.title} did not answer within {seconds:g} s")
