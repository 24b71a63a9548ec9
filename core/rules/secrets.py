"""Which arguments of a call are secret: those that their JSON Schema calls `writeOnly`, at any depth.

Law of this file: what may be a secret is one. A mark in any branch of a schema counts, whether or not that branch is
the one that fits, and so does a reference that leads nowhere: views redact too much rather than too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Final

from core.model.team import Json
from core.rules import words
from core.rules.values import is_secret

_BRANCHES: Final = ("allOf", "anyOf", "oneOf", "if", "then", "else")
_ITEMS: Final = ("items", "additionalItems", "contains")
_ABSENT: Final = object()
_SECRET: Final[Mapping[str, Json]] = {"writeOnly": True}


def secrets_of(schema: Mapping[str, Json], arguments: Mapping[str, Json], under: str = "") -> tuple[str, ...]:
    """The paths of arguments that are secret (`auth.token`; items of a list have their list's), each after `under`.
    What is declared counts whether it is there or not.
    """
    found: set[str] = set()
    seen: set[tuple[int, str, int]] = set()  # schemas refer to themselves; values end
    ahead: list[tuple[object, object, str]] = [(schema, arguments, under)]
    while ahead:
        one, value, path = ahead.pop()
        key = (id(one), path, id(value))
        if not isinstance(one, Mapping) or key in seen:
            continue
        seen.add(key)
        if one.get("writeOnly") is True:
            found.add(path)
        ahead.extend((branch, value, path) for branch in _branches(one, schema, value))
        inside = value if isinstance(value, list) else ()
        ahead.extend((part, item, path) for part in _parts(one, _ITEMS) for item in inside)
        for name, part in _members(one, value):
            inner = value.get(name, _ABSENT) if isinstance(value, Mapping) else _ABSENT
            ahead.append((part, inner, f"{path}.{name}" if path else name))
    return tuple(sorted(found))


def redacted(arguments: Mapping[str, Json], secrets: tuple[str, ...], under: str = "") -> dict[str, Json]:
    """The arguments as people may read them."""
    prefix = f"{under}." if under else ""
    return {name: without_secrets(value, f"{prefix}{name}", secrets) for name, value in arguments.items()}


def without_secrets(value: Json, path: str, secrets: tuple[str, ...]) -> Json:
    """A secret is named by its own name or by its path (`auth.token`), at any depth."""
    if is_secret(path, secrets):
        return words.REDACTED
    if isinstance(value, dict):
        return redacted(value, secrets, path)
    if isinstance(value, list):
        return [without_secrets(inner, path, secrets) for inner in value]
    return value


def _branches(schema: Mapping[str, Json], root: Mapping[str, Json], value: object) -> Iterator[object]:
    """What else is said of the same value. Of what is not there only as far as it is spelled out: that ends."""
    yield from _parts(schema, _BRANCHES)
    target = schema.get("$ref")
    if not isinstance(target, str) or value is _ABSENT:
        return
    found: object = root
    for step in target.split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, Mapping) else None
    yield found if target.startswith("#") and isinstance(found, Mapping) else _SECRET


def _parts(schema: Mapping[str, Json], keywords: tuple[str, ...]) -> Iterator[object]:
    for keyword in keywords:
        part = schema.get(keyword)
        yield from part if isinstance(part, list) else (part,)


def _members(schema: Mapping[str, Json], value: object) -> Iterator[tuple[str, object]]:
    """What an object may hold, by name: what is declared whether it is there or not, all else as it is there."""
    declared, patterns = _mapping(schema.get("properties")), _mapping(schema.get("patternProperties"))
    yield from declared.items()
    for name in value if isinstance(value, Mapping) else ():
        yield from ((name, part) for pattern, part in patterns.items() if re.search(pattern, name))
        if name not in declared:
            yield name, schema.get("additionalProperties")


def _mapping(part: Json) -> Mapping[str, Json]:
    return part if isinstance(part, dict) else {}
