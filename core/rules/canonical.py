"""One value, one spelling: what is digested is RFC 8785 JSON, or it is refused.

A digest that two processes compute differently would let an approved action and a run one differ. So everything that
JSON leaves to the reader (NaN, integers a double cannot hold, lone surrogates, keys that are no strings) is an error
here, with the JSON path of the culprit, and never a silent conversion. Digests start with their version: `v1:`.
"""

from __future__ import annotations

import hashlib
import math
import re

import msgspec
import rfc8785

from core.model.errors import TerminalError
from core.model.ids import digest_of
from core.model.inquiries import Action
from core.model.team import Json
from core.model.unit import Audit

_INTEGER_MAX = 2**53 - 1  # RFC 8785, 3.2.2.3: beyond this a double no longer tells neighbours apart
_DEPTH_MAX = 64  # the canonicaliser recurses; hostile nesting must not end in a RecursionError
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")


class InvalidArgumentsError(TerminalError):
    """The value has no canonical form. `path` is where: `$.files[2].size`."""

    def __init__(self, path: str, why: str) -> None:
        super().__init__(f"{path} {why}", "send plain JSON values")
        self.path = path


def canonical(value: Json) -> bytes:
    """RFC 8785 bytes. Raises InvalidArgumentsError."""
    _refuse_oddities(value, "$", 0)
    return rfc8785.dumps(value)


def sha256_hex(raw: bytes) -> str:
    """SHA-256 as 64 hex digits."""
    return hashlib.sha256(raw).hexdigest()


def action_digest(action: Action) -> str:
    """What an approval binds. `says` and `secrets` are how the action is shown, so rewording them changes nothing.

    Raises InvalidArgumentsError.
    """
    bound = {
        "tool": action.tool,
        "server": action.server,
        "arguments": action.arguments,
        "resource": action.resource,
        "verb": action.verb,
        "effect": action.effect.value,
        "fingerprint": action.fingerprint,
    }
    return "v1:" + sha256_hex(canonical(bound))


def intent_of(root: str, resource: str, verb: str) -> str:
    """What a denial blocks in a root task, whichever tool tries it and however it is worded."""
    return "v1:" + digest_of("intent", root, resource, verb)


def audit_hash(previous: str, seq: int, row: Audit) -> str:
    """The link of one audit row: it covers its place and everything before it. Raises InvalidArgumentsError."""
    return sha256_hex(canonical({"previous": previous, "seq": seq, "row": msgspec.to_builtins(row)}))


def _refuse_oddities(value: Json, path: str, depth: int) -> None:
    if depth > _DEPTH_MAX:
        raise InvalidArgumentsError(path, f"is nested deeper than {_DEPTH_MAX}")
    match value:
        case None | bool():
            pass
        case str():
            if not _encodable(value):
                raise InvalidArgumentsError(path, "holds half a surrogate pair, which is no character")
        case int():
            if abs(value) > _INTEGER_MAX:
                raise InvalidArgumentsError(path, "is an integer beyond ±(2^53 - 1): send it as a string")
        case float():
            if not math.isfinite(value):
                raise InvalidArgumentsError(path, "is not a finite number")
        case list() | tuple():
            for n, item in enumerate(value):
                _refuse_oddities(item, f"{path}[{n}]", depth + 1)
        case dict():
            for key, item in value.items():
                if not isinstance(key, str):
                    raise InvalidArgumentsError(path, f"has the key {key!r}, which is not a string")
                inner = f"{path}.{key}" if _NAME.fullmatch(key) else f"{path}[{key!a}]"
                if not _encodable(key):
                    raise InvalidArgumentsError(inner, "has half a surrogate pair in its name")
                _refuse_oddities(item, inner, depth + 1)
        case _:
            raise InvalidArgumentsError(path, f"is a {type(value).__name__}, which is not JSON")


def _encodable(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
