"""Arguments are checked against the tool's JSON Schema before anything is decided about them.

Checked arguments are complete: defaults are filled in, so that what a person approves and what runs is the same value.
Errors are sentences the agent can act on; they name the argument and what was expected, never its value.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import fastjsonschema
import msgspec

from core.model.team import Json
from core.rules.canonical import InvalidArgumentsError, canonical

ARGUMENTS_BYTES_MAX = 256 * 1024
ERRORS_MAX = 10
"""More errors than this are cut: an agent mends the first ones first, and the reply stays small."""

_BROKEN_SCHEMA = (ValueError, TypeError, AttributeError, LookupError, SyntaxError, RecursionError, re.error)
"""What the compiler raises on a schema that is none; a tool from outside must not stop the step."""


def check_arguments(schema: dict[str, Json], arguments: Json) -> dict[str, Json] | tuple[str, ...]:
    """The arguments with defaults filled in (a copy), or what is wrong with them, in words. Never raises."""
    if not isinstance(arguments, dict):
        return ("the arguments must be a JSON object",)
    try:
        if len(canonical(arguments)) > ARGUMENTS_BYTES_MAX:
            return (f"the arguments are larger than {ARGUMENTS_BYTES_MAX // 1024} KB: send less, or write a file",)
        validate = _compiled(msgspec.json.encode(schema, order="sorted"))
    except InvalidArgumentsError as error:
        return (str(error),)
    if isinstance(validate, str):
        return (f"the tool's own schema is broken ({validate}): tell a person",)
    filled = copy.deepcopy(arguments)
    try:
        validate(filled)  # fills in defaults; the schema they are from was looked at when it was compiled
    except fastjsonschema.JsonSchemaException as error:
        found = getattr(error, "errors", None) or [error]
        return tuple(_in_words(str(one)) for one in found[:ERRORS_MAX])
    except RecursionError:
        return ("the tool's own schema never ends: tell a person",)
    return filled


def why_broken(schema: dict[str, Json]) -> str:
    """Why no arguments can be checked by this schema; "" if they can. Never raises."""
    try:
        validate = _compiled(msgspec.json.encode(schema, order="sorted"))
    except InvalidArgumentsError as error:
        return str(error)
    return validate if isinstance(validate, str) else ""


@lru_cache(maxsize=512)
def _compiled(schema: bytes) -> Callable[[Any], Any] | str:
    """The validator, or why there is none. Raises InvalidArgumentsError for a schema with values no digest can hold."""
    parsed = json.loads(schema)  # unlike msgspec it keeps large integers as they are, and `canonical` refuses them
    canonical(parsed)
    try:
        validate: Callable[[Any], Any] = fastjsonschema.compile(
            parsed,
            handlers=dict.fromkeys(("http", "https", "ftp", "file", "data"), _refuse_to_fetch),
            fast_fail=False,
        )
    except _BROKEN_SCHEMA as error:
        return str(error)
    return validate


def _refuse_to_fetch(uri: str) -> Json:
    """Rules do no I/O, and a schema must not make us call anybody."""
    raise fastjsonschema.JsonSchemaDefinitionException(f"it refers to {uri}")


def _in_words(message: str) -> str:
    """`data.site must be ...` names our variable; the agent knows the argument as `site`."""
    if message.startswith("data "):
        return "the arguments " + message.removeprefix("data ")
    return message.removeprefix("data.").removeprefix("data")
