"""Tools are read from Python text: the schema agents see is what the annotations say, or there is an error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.tools.signatures import BYTES_MAX, signatures
from core.rules.schema import check_arguments

WORDS = b'''\
"""Words."""
import typing as t
from typing import Annotated, Literal, Optional

raise SystemExit("nobody runs this")


def word_count(path: str, lines: bool = False) -> str:
    """Count the words of a file.

    It may count lines instead.

    Args:
        path: the file,
            below your folder
        lines (bool): lines instead of words
        other: nothing

    Returns:
        the count: a number
    """


def _helper(anything, *more):
    pass


class Thing:
    def method(self):
        pass


def everything(
    a: int,
    b: "float" = 1.5,
    *,
    c: Literal["x", 2] = "x",
    d: list[str],
    e: dict[str, list[int]] = {},
    f: Optional[str] = None,
    g: t.Annotated[int | None, "a number"] = None,
    h: None | bool = True,
    i: Annotated[Literal["on"], t, "a switch"] = "on",
    j: list = [1, {"a": None}],
    k: dict = {},
    m: t.List[t.Dict[str, int]] = [],
):
    """All there is."""
'''


def test_a_function_with_a_docstring_is_a_tool():
    made, wrong = signatures(WORDS)
    assert wrong == []
    assert [(one.name, one.line) for one in made] == [("word_count", 8), ("everything", 33)]
    assert made[0].about == "Count the words of a file.\n\nIt may count lines instead."
    assert made[0].parameters == {
        "type": "object",
        "properties": {
            "path": {"type": "string", "description": "the file, below your folder"},
            "lines": {"type": "boolean", "description": "lines instead of words", "default": False},
        },
        "additionalProperties": False,
        "required": ["path"],
    }


def test_every_type_has_a_schema():
    shapes = signatures(WORDS)[0][1].parameters
    assert shapes["required"] == ["a", "d"]
    assert shapes["properties"] == {
        "a": {"type": "integer"},
        "b": {"type": "number", "default": 1.5},
        "c": {"enum": ["x", 2], "default": "x"},
        "d": {"type": "array", "items": {"type": "string"}},
        "e": {
            "type": "object",
            "additionalProperties": {"type": "array", "items": {"type": "integer"}},
            "default": {},
        },
        "f": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "g": {"anyOf": [{"type": "integer"}, {"type": "null"}], "description": "a number", "default": None},
        "h": {"anyOf": [{"type": "boolean"}, {"type": "null"}], "default": True},
        "i": {"enum": ["on"], "description": "a switch", "default": "on"},
        "j": {"type": "array", "default": [1, {"a": None}]},
        "k": {"type": "object", "default": {}},
        "m": {
            "type": "array",
            "items": {"type": "object", "additionalProperties": {"type": "integer"}},
            "default": [],
        },
    }
    filled = check_arguments(shapes, {"a": 1, "d": ["x"]})
    assert isinstance(filled, dict)
    assert filled["h"] is True
    assert isinstance(check_arguments(shapes, {"a": "1", "d": []}), tuple)


DOC = '"""It."""'
WRONG = [
    ("def f(a): {d}", 1, "a has no type"),
    ("\n\ndef f(a: int): pass", 3, "no docstring"),
    ("def f(): \n    ''", 1, "no docstring"),
    ("async def f(): {d}", 1, "is async"),
    ("def f(*a: int): {d}", 1, "no name to call it by"),
    ("def f(**a: int): {d}", 1, "no name to call it by"),
    ("def f(a: int, /): {d}", 1, "no name to call it by"),
    ("@cache\ndef f(): {d}", 1, "is decorated"),
    ("def Big(): {d}", 1, "tool's name"),
    ("def f(): {d}\ndef f(): {d}", 2, "there twice"),
    ("def f(a: Path): {d}", 1, "the type Path"),
    ("def f(a: list[Path]): {d}", 1, "the type Path"),
    ("def f(a: dict[int, str]): {d}", 1, "the type dict[int, str]"),
    ("def f(a: list[int, str]): {d}", 1, "the type list[int, str]"),
    ("def f(a: set[int]): {d}", 1, "the type set[int]"),
    ("def f(a: int | str): {d}", 1, "the type int | str"),
    ("def f(a: (lambda: int)()): {d}", 1, "the type"),
    ("def f(a: x()[int]): {d}", 1, "the type x()"),
    ("def f(a: 'int['): {d}", 1, "the type 'int['"),
    ("\ndef f(a: 'Path'): {d}", 2, "the type Path"),
    ("def f(a: Literal[1.5]): {d}", 1, "Literal[1.5]"),
    ("def f(a: Literal[x]): {d}", 1, "the value x"),
    ("def f(a: int = open('x')): {d}", 1, "the value open('x')"),
    ("def f(a: int = 'x'): {d}", 1, "the default 'x'"),
    ("def f(a: bool = 1): {d}", 1, "the default 1"),
    ("def f(a: str = None): {d}", 1, "the default None"),
    ("def f(a: int\n", 1, "not Python"),
    ("x = '\0'", 1, "not Python"),
]


@pytest.mark.parametrize(("text", "line", "what"), WRONG)
def test_what_is_no_tool_has_a_line(text, line, what):
    _made, wrong = signatures(text.replace("{d}", DOC).encode())
    assert [(mistake.line, what in mistake.what) for mistake in wrong] == [(line, True)], wrong
    assert wrong[0].expected


def test_files_are_bounded_and_text():
    assert "at most" in signatures(b"#" * (BYTES_MAX + 1))[1][0].expected
    assert "not Python" in signatures(b"\xff")[1][0].what
    deep = f"def f(a: {'list[' * 60}int{']' * 60}): {DOC}"
    assert len(signatures(deep.encode())[0]) == 1
    assert signatures(f"x = {'(' * 5000}".encode())[1]


def test_one_mistake_hides_no_tool():
    made, wrong = signatures(f"def a(x): {DOC}\ndef b(): {DOC}\n".encode())
    assert [one.name for one in made] == ["b"]
    assert len(wrong) == 1


@given(st.text(alphabet="def f(a:int=1)|'\"[]{}\n ,*.@_-xL", max_size=60))
def test_any_text_is_tools_or_mistakes(text):
    signatures(f"def f(a: {text}): {DOC}".encode())
    signatures(text.encode())
