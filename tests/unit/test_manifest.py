"""The reader of what people write: whatever is in a file, the answer is a value or errors with lines."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.manifest import BYTES_MAX, CommandRow, Manifest, PersonRow, Preset, read, read_file

ROWS = [
    ("", 1, "it is empty", "the keys id, name"),
    ("# nothing\n", 1, "it is empty", "the keys id, name"),
    ("[a, b]", 1, "a list", "the keys id, name"),
    ("text", 1, "'text'", "the keys id, name"),
    ("id: a\nname:\nrole: owner", 2, "name: nothing", "text"),
    ("id: a\nname: {x: y}\nrole: owner", 2, "name: a mapping", "text"),
    ("id: a\nname: 2026-11-21\nrole: owner", 2, "'2026-11-21'", "put it in quotes"),
    ("id: a\nname: x\nrole: owner\naccounts: telegram:1", 4, "accounts: 'telegram:1'", "a list [...] of text"),
    ("id: a\nname: x\nrole: owner\naccounts: [1]", 4, "accounts: '1'", "put it in quotes"),
    ("id: a\nname: x\nrole: owner\n5: x", 4, "'5' as a key", "put it in quotes"),
    ("id: a\nname: x\nrole: owner\n<<: {zone: UTC}", 4, "as a key", "text"),
    ("id: a\nname: x\x00", 1, "not YAML", "plain text"),
    ("id: a\n---\nid: b", 2, "not YAML", "YAML"),
    ("id: 'a", 1, "not YAML", "YAML"),
]


@pytest.mark.parametrize(("text", "line", "what", "expected"), ROWS)
def test_what_is_wrong_has_a_line(text, line, what, expected):
    document = read(text, "f.yaml", PersonRow)
    found = [str(error) for error in document.errors if what in str(error)]
    assert found, document.errors
    assert found[0].startswith(f"f.yaml:{line}: ")
    assert expected in found[0]


def test_lines_count_from_where_the_text_stands():
    document = read("id: a\nname: 5\nrole: owner", "SOUL.md", PersonRow, lines_before=10)
    assert [error.line for error in document.errors] == [12]


def test_free_values_are_json():
    text = 'argv: [x]\nargs: {a: {enum: [1, 2.5, true, null, "x"], of: {deep: [[]]}}}'
    row = read(text, "f", CommandRow).value
    assert row.args == {"a": {"enum": [1, 2.5, True, None, "x"], "of": {"deep": [[]]}}}
    for bad, what in (
        ("2026-01-01", "text; put it in quotes"),
        ("!!binary aGk=", "plain YAML"),
        ("{1: 2}", "as a key"),
    ):
        errors = read(f"argv: [x]\nargs: {{a: {bad}}}", "f", CommandRow).errors
        assert errors
        assert what in str(errors[0])


def test_free_values_are_mappings_where_that_is_asked():
    assert "a mapping" in str(read("argv: [x]\nargs: [a]", "f", CommandRow).errors[0])


def test_files_are_bounded_and_text(tmp_path):
    path = tmp_path / "f"
    assert "cannot be read" in str(read_file(path, "f", Manifest).errors[0])
    path.write_bytes(b"a: \xff")
    assert "is not UTF-8" in str(read_file(path, "f", Manifest).errors[0])
    path.write_bytes(b"# " + b"x" * BYTES_MAX)
    assert f"at most {BYTES_MAX}" in str(read_file(path, "f", Manifest).errors[0])


@given(st.text(alphabet="ab:-[]{}, \n#&*!|>'\"?%@`5.~", max_size=60))
def test_any_text_is_a_value_or_errors(text):
    for shape in (PersonRow, Preset, CommandRow):
        document = read(text, "f", shape)
        assert (document.value is None) <= bool(document.errors)
        assert all(error.line >= 1 for error in document.errors)
