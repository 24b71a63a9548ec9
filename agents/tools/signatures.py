"""What tools a Python file holds, read from its text alone: name, description, JSON Schema.

Law: nothing is imported and nothing runs. A tool is a function at the top of the file whose name does not begin with _;
its annotations are the grammar below and nothing else; its docstring is what agents read. Whatever is outside that is
an error with its line, so that no tool means something else to an agent than to Python.

    T = str | int | float | bool | list | list[T] | dict | dict[str, T] | Literal["a", 1] | Optional[T] | T | None
        | Annotated[T, "what it is"]
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import fastjsonschema

from core.model.team import Json

BYTES_MAX = 262_144
_NAME = re.compile(r"[a-z][a-z0-9_]{0,63}")
_PLAIN: dict[str, Json] = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "list": {"type": "array"},
    "dict": {"type": "object"},
}
_GRAMMAR = "str, int, float, bool, list[...], dict[str, ...], Literal[...], Optional[...] or Annotated[..., 'text']"
_ARGS = re.compile(r"^(?:Args|Arguments|Parameters):\s*$", re.MULTILINE)
_SECTION = re.compile(r"^[A-Z][A-Za-z ]*:\s*$")
_ARG = re.compile(r"^\s+(\w+)(?:\s*\([^)]*\))?\s*:\s*(.+)$")
_ABOUT_MAX = 2_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A function agents may call."""

    name: str
    about: str
    parameters: dict[str, Json]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """Why a file, or a function in it, is no tool."""

    what: str
    expected: str
    line: int


class _WrongError(Exception):
    def __init__(self, what: str, expected: str, node: ast.AST) -> None:
        super().__init__(what)
        self.mistake = Mistake(what=what, expected=expected, line=getattr(node, "lineno", 1))


def signatures(source: bytes) -> tuple[list[Signature], list[Mistake]]:
    """Every tool of a file, and all that is wrong with it. Never raises."""
    if len(source) > BYTES_MAX:
        return [], [Mistake(what=f"has {len(source)} bytes", expected=f"at most {BYTES_MAX}", line=0)]
    try:
        tree = ast.parse(source.decode("utf-8"))
    except SyntaxError as error:
        return [], [Mistake(what=f"not Python ({error.msg})", expected="a Python file", line=error.lineno or 1)]
    except (ValueError, RecursionError, MemoryError) as error:
        return [], [Mistake(what=f"not Python ({type(error).__name__})", expected="a plain Python file", line=1)]
    found: list[Signature] = []
    wrong: list[Mistake] = []
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) or node.name.startswith("_"):
            continue
        try:
            made = _signature(node)
            if any(one.name == made.name for one in found):
                raise _WrongError(f"{made.name} is there twice", "each name once", node)
            found.append(made)
        except _WrongError as error:
            wrong.append(error.mistake)
        except RecursionError:
            wrong.append(Mistake(what=f"{node.name}: a type without end", expected=_GRAMMAR, line=node.lineno))
    return found, wrong


def _signature(node: ast.FunctionDef | ast.AsyncFunctionDef) -> Signature:
    helper = "or a name that begins with _ for a helper"
    if not _NAME.fullmatch(node.name) or "__" in node.name:  # two of them join a server's name and its tool's
        raise _WrongError(
            f"{node.name} cannot be a tool's name", "small letters, digits and single _, at most 64", node
        )
    if isinstance(node, ast.AsyncFunctionDef):
        raise _WrongError(f"{node.name} is async", f"a plain function, {helper}", node)
    if node.decorator_list:
        raise _WrongError(f"{node.name} is decorated", f"a plain function, {helper}", node.decorator_list[0])
    doc = inspect.cleandoc(ast.get_docstring(node, clean=False) or "").strip()
    if not doc:
        raise _WrongError(f"{node.name} has no docstring", f"what it does, for agents to read, {helper}", node)
    spread = node.args.vararg or node.args.kwarg or next(iter(node.args.posonlyargs), None)
    if spread is not None:
        raise _WrongError(f"{node.name}: {spread.arg} has no name to call it by", "named arguments only", spread)
    about, described = _described(doc)
    properties: dict[str, Json] = {}
    required: list[str] = []
    for argument, default in _arguments(node.args):
        if argument.annotation is None:
            raise _WrongError(f"{node.name}: {argument.arg} has no type", _GRAMMAR, argument)
        schema = dict(_schema(argument.annotation))
        if "description" not in schema and argument.arg in described:
            schema["description"] = described[argument.arg]
        if default is None:
            required.append(argument.arg)
        else:
            schema["default"] = _default(schema, argument.arg, default)
        properties[argument.arg] = schema
    parameters: dict[str, Json] = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        parameters["required"] = required
    return Signature(name=node.name, about=about, parameters=parameters, line=node.lineno)


def _arguments(args: ast.arguments) -> Iterator[tuple[ast.arg, ast.expr | None]]:
    bare = len(args.args) - len(args.defaults)
    yield from zip(args.args, [*[None] * bare, *args.defaults], strict=True)
    yield from zip(args.kwonlyargs, args.kw_defaults, strict=True)


def _schema(node: ast.expr) -> dict[str, Json]:
    match node:
        case ast.Constant(value=str() as text):
            return _schema(_quoted(text, node))
        case ast.Name() | ast.Attribute():
            name = _name(node)
            if name not in _PLAIN:
                raise _WrongError(f"the type {name}", _GRAMMAR, node)
            return dict(_PLAIN[name])
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            return _either(left, right, node)
        case ast.Subscript(value=value, slice=inside):
            return _generic(_name(value), inside, node)
        case _:
            raise _WrongError(f"the type {ast.unparse(node)[:60]}", _GRAMMAR, node)


def _quoted(text: str, node: ast.expr) -> ast.expr:
    try:
        inside = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError):
        raise _WrongError(f"the type {text[:60]!r}", _GRAMMAR, node) from None
    for below in ast.walk(inside):
        if hasattr(below, "lineno"):
            below.lineno = node.lineno
    return inside


def _name(node: ast.expr) -> str:
    """`Literal`, `typing.Literal` and `t.Literal` are one: what a module is imported as is nobody's business."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            raise _WrongError(f"the type {ast.unparse(node)[:60]}", _GRAMMAR, node)


def _generic(name: str, inside: ast.expr, node: ast.expr) -> dict[str, Json]:
    parts = inside.elts if isinstance(inside, ast.Tuple) else [inside]
    match name, parts:
        case (("list" | "List"), [item]):
            return {"type": "array", "items": _schema(item)}
        case (("dict" | "Dict"), [key, value]) if _schema(key) == _PLAIN["str"]:
            return {"type": "object", "additionalProperties": _schema(value)}
        case "Optional", [item]:
            return _or_null(_schema(item))
        case "Literal", _:
            return {"enum": [_literal(part) for part in parts]}
        case "Annotated", [item, *notes]:
            said = [note.value for note in notes if isinstance(note, ast.Constant) and isinstance(note.value, str)]
            return _schema(item) | ({"description": said[0]} if said else {})
        case _:
            raise _WrongError(f"the type {ast.unparse(node)[:60]}", _GRAMMAR, node)


def _either(left: ast.expr, right: ast.expr, node: ast.expr) -> dict[str, Json]:
    for one, other in ((left, right), (right, left)):
        if isinstance(other, ast.Constant) and other.value is None:
            return _or_null(_schema(one))
    raise _WrongError(f"the type {ast.unparse(node)[:60]}", "T | None; two types at once cannot be told apart", node)


def _or_null(schema: dict[str, Json]) -> dict[str, Json]:
    about = {"description": schema.pop("description")} if "description" in schema else {}
    return {"anyOf": [schema, {"type": "null"}]} | about


def _literal(node: ast.expr) -> Json:
    value = _value(node)
    if not isinstance(value, str | int):
        raise _WrongError(f"Literal[{ast.unparse(node)[:60]}]", "texts and whole numbers", node)
    return value


def _value(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _WrongError(
            f"the value {ast.unparse(node)[:60]}", "a plain value: nothing runs to find it", node
        ) from None


def _default(schema: dict[str, Json], name: str, node: ast.expr) -> Json:
    value = _value(node)
    try:
        fastjsonschema.compile(schema)(value)
    except (ValueError, TypeError):
        raise _WrongError(f"{name}: the default {ast.unparse(node)[:60]}", "a value of its type", node) from None
    return value


def _described(doc: str) -> tuple[str, dict[str, str]]:
    """What is said before `Args:`, and what is said there of each argument."""
    match = _ARGS.search(doc)
    if match is None:
        return doc[:_ABOUT_MAX], {}
    described: dict[str, str] = {}
    last = ""
    for line in doc[match.end() :].splitlines():
        if _SECTION.match(line):
            break
        if argument := _ARG.match(line):
            last = argument[1]
            described[last] = argument[2].strip()
        elif last and line.strip():
            described[last] += f" {line.strip()}"
    return doc[: match.start()].strip()[:_ABOUT_MAX], described
