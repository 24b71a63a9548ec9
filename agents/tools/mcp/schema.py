"""A tool's input schema as a server sends it, made into one that is safe to hold, to compile and to show.

Law: the schema is rebuilt from the keywords below and from nothing else. What is left out only ever lets more through,
and the server checks its own arguments anyway; what cannot be rebuilt refuses its tool. No regular expression of a
server's is kept, because it would run here; no `writeOnly`, because it would hide an argument from who approves it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import msgspec

from core.model.team import Json
from core.rules.schema import why_broken
from core.rules.text import readable, shorten, visible

BYTES_MAX: Final = 16_384
DEPTH_MAX: Final = 12
NODES_MAX: Final = 512
REFS_MAX: Final = 64
ENUM_MAX: Final = 256
ABOUT_CHARS_MAX: Final = 500
_TYPES: Final = frozenset({"null", "boolean", "object", "array", "number", "integer", "string"})
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")
"""What every vendor of models takes as the name of an argument."""
_REF: Final = re.compile(r"#/(?:\$defs|definitions)/([A-Za-z0-9_.-]{1,64})")
_SIZES: Final = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_BOUNDS: Final = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_BRANCHES: Final = ("anyOf", "oneOf", "allOf")
_NUMBER_MAX: Final = 2**53


class RefusedError(ValueError):
    """This schema cannot be used; the message says why."""


def clean(schema: object) -> dict[str, Json]:
    """The schema, rebuilt. Raises RefusedError."""
    if not isinstance(schema, dict):
        raise RefusedError("its schema is no object")
    try:
        size = len(msgspec.json.encode(schema))
    except (RecursionError, msgspec.MsgspecError, TypeError):
        raise RefusedError("its schema is no JSON, or too deep") from None
    if size > BYTES_MAX:
        raise RefusedError(f"its schema has {size:,} bytes, more than {BYTES_MAX:,}")
    if schema.get("type", "object") != "object" or any(key in schema for key in (*_BRANCHES, "$ref")):
        raise RefusedError("its arguments are not one plain object")
    rebuilt = _Builder(schema).whole()
    if why := why_broken(rebuilt):
        raise RefusedError(f"its schema does not compile: {shorten(visible(why), 120)}")
    return rebuilt


class _Builder:
    def __init__(self, schema: Mapping[str, Any]) -> None:
        self._schema = schema
        self._nodes_n = 0
        self._refs: dict[str, set[str]] = {}  # by definition, those it refers to; "" is the schema itself
        self._refs_n = 0
        self._in = ""

    def whole(self) -> dict[str, Json]:
        built = self._node(self._schema, 0)
        built["type"] = "object"
        built.setdefault("properties", {})
        built.setdefault("additionalProperties", "patternProperties" in self._schema)
        given = {**_mapping(self._schema, "definitions"), **_mapping(self._schema, "$defs")}
        definitions: dict[str, Json] = {}
        ahead = sorted(self._refs.get("", ()))
        while ahead:
            name = ahead.pop()
            if name in definitions:
                continue
            if name not in given:
                raise RefusedError(f"its schema refers to {name}, which is not there")
            self._in = name
            definitions[name] = self._node(given[name], 1)
            ahead.extend(sorted(self._refs.get(name, ())))
        self._refuse_circles()
        return built | ({"$defs": definitions} if definitions else {})

    def _refuse_circles(self) -> None:
        done: set[str] = set()

        def walk(name: str, above: tuple[str, ...]) -> None:
            if name in above:
                raise RefusedError(f"its schema refers to itself ({name})")
            if name not in done:
                for inner in sorted(self._refs.get(name, ())):
                    walk(inner, (*above, name))
            done.add(name)

        walk("", ())

    def _node(self, node: object, depth: int) -> dict[str, Json]:
        self._nodes_n += 1
        if self._nodes_n > NODES_MAX or depth > DEPTH_MAX:
            raise RefusedError("its schema has too many parts, or too many levels")
        if isinstance(node, bool):
            return {} if node else {"enum": []}
        if not isinstance(node, dict):
            raise RefusedError("a part of its schema is no object")
        if "$ref" in node:
            return self._reference(node["$ref"])
        built: dict[str, Json] = {}
        for key, take in self._keywords(depth):
            if key in node and (value := take(node[key])) is not None:
                built[key] = value
        if "patternProperties" in node and built.get("additionalProperties") is False:
            del built["additionalProperties"]
        return built

    def _reference(self, ref: object) -> dict[str, Json]:
        match = _REF.fullmatch(ref) if isinstance(ref, str) else None
        self._refs_n += 1
        if match is None or self._refs_n > REFS_MAX:
            raise RefusedError("its schema refers to something outside it, or refers too often")
        self._refs.setdefault(self._in, set()).add(match[1])
        return {"$ref": f"#/$defs/{match[1]}"}

    def _keywords(self, depth: int) -> Iterator[tuple[str, Callable[[Any], Json]]]:
        yield "type", _type
        yield "description", _about
        yield "properties", lambda value: self._properties(value, depth)
        yield "required", _required
        yield "additionalProperties", lambda value: value if isinstance(value, bool) else self._node(value, depth + 1)
        yield "items", lambda value: {} if isinstance(value, list) else self._node(value, depth + 1)
        for key in _BRANCHES:
            yield key, lambda value: self._branches(value, depth)
        yield "enum", _enum
        yield "const", _value
        yield "default", _value
        for key in _SIZES:
            yield key, lambda value: value if _is_count(value) else None
        for key in _BOUNDS:
            yield key, lambda value: value if _is_number(value) else None
        yield "multipleOf", lambda value: value if _is_number(value) and value > 0 else None
        yield "uniqueItems", lambda value: value if isinstance(value, bool) else None

    def _properties(self, value: object, depth: int) -> Json:
        if not isinstance(value, dict):
            raise RefusedError("properties of its schema is no object")
        for name in value:
            if not _NAME.fullmatch(name):
                raise RefusedError(f"{shorten(visible(name), 60)!r} cannot be an argument's name")
        return {name: self._node(inner, depth + 1) for name, inner in value.items()}

    def _branches(self, value: object, depth: int) -> Json:
        if not isinstance(value, list) or not value:
            raise RefusedError("a choice in its schema is no list")
        return [self._node(inner, depth + 1) for inner in value]


def _mapping(schema: Mapping[str, Any], key: str) -> dict[str, Any]:
    found = schema.get(key)
    return found if isinstance(found, dict) else {}


def _type(value: object) -> Json:
    types = value if isinstance(value, list) else [value]
    if not types or not all(isinstance(one, str) and one in _TYPES for one in types):
        raise RefusedError("its schema has a type that JSON does not know")
    return value


def _about(value: object) -> Json:
    return shorten(readable(value), ABOUT_CHARS_MAX) if isinstance(value, str) else None


def _required(value: object) -> Json:
    if not isinstance(value, list) or not all(isinstance(name, str) and _NAME.fullmatch(name) for name in value):
        raise RefusedError("required of its schema is no list of arguments")
    return value


def _enum(value: object) -> Json:
    if not isinstance(value, list) or len(value) > ENUM_MAX:
        raise RefusedError(f"a choice in its schema is no list, or longer than {ENUM_MAX}")
    return _value(value)


def _value(value: object) -> Json:
    """A value is data that agents send back: one with characters that nobody sees is refused, not mended."""
    for text in _texts(value):
        if visible(text) != text:
            raise RefusedError("a value in its schema has characters that nobody can see")
    return value


def _texts(value: object) -> Iterator[str]:
    match value:
        case str():
            yield value
        case list():
            for inner in value:
                yield from _texts(inner)
        case dict():
            for key, inner in value.items():
                yield key
                yield from _texts(inner)
        case int() | float() if abs(value) > _NUMBER_MAX:
            raise RefusedError("a number in its schema is too large")
        case _:
            return


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _NUMBER_MAX


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _NUMBER_MAX
