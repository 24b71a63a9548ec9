"""Arguments come out complete, or as words an agent can act on."""

import pytest

from core.rules.schema import ARGUMENTS_BYTES_MAX, ERRORS_MAX, check_arguments

SCHEMA = {
    "type": "object",
    "properties": {
        "site": {"enum": ["landing", "docs"]},
        "n": {"type": "integer", "minimum": 1, "default": 3},
        "tags": {"type": "array", "items": {"type": "string"}, "default": []},
    },
    "required": ["site"],
    "additionalProperties": False,
}


def test_case_28_defaults_are_filled_in_and_the_callers_value_is_left_alone():
    given = {"site": "docs"}
    first = check_arguments(SCHEMA, given)
    first["tags"].append("mine")
    assert check_arguments(SCHEMA, given) == {"site": "docs", "n": 3, "tags": []}
    assert given == {"site": "docs"}


def test_errors_name_the_argument_and_all_of_them_come_at_once():
    errors = check_arguments(SCHEMA, {"site": "secret-value", "n": 0, "tags": [1], "zz": 1})
    assert errors == (
        "n must be bigger than or equal to 1",
        "site must be one of ['landing', 'docs']",
        "tags[0] must be string",
        "the arguments must not contain {'zz'} properties",
    )
    assert not any("secret-value" in error for error in errors)


def test_many_errors_are_cut():
    schema = {"type": "object", "properties": {f"a{n}": {"type": "string"} for n in range(30)}}
    assert len(check_arguments(schema, {f"a{n}": 1 for n in range(30)})) == ERRORS_MAX


@pytest.mark.parametrize("value", [None, [], "text", 3, float("nan")])
def test_only_an_object_is_arguments(value):
    assert check_arguments(SCHEMA, value) == ("the arguments must be a JSON object",)


def test_what_cannot_be_digested_is_an_error_with_its_path():
    (error,) = check_arguments(SCHEMA, {"n": float("nan")})
    assert error.startswith("$.n is not a finite number")


def test_size_is_bounded():
    assert isinstance(check_arguments({}, {"x": "y" * (ARGUMENTS_BYTES_MAX - 8)}), dict)
    assert "larger than 256 KB" in check_arguments({}, {"x": "y" * ARGUMENTS_BYTES_MAX})[0]


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "nope"},
        {"properties": {"a": {"pattern": "("}}},
        {"properties": 3},
        {"$ref": "foo"},
        {"$ref": "http://example.invalid/schema"},
        {"$ref": "file:///etc/hostname"},
    ],
)
def test_a_broken_schema_is_an_error_and_reaches_nobody(schema):
    (error,) = check_arguments(schema, {})
    assert "tool's own schema is broken" in error


def test_a_schema_that_never_ends_is_an_error():
    assert check_arguments({"allOf": [{"$ref": "#"}]}, {}) == ("the tool's own schema never ends: tell a person",)


def test_a_schema_that_is_not_json_is_an_error():
    (error,) = check_arguments({"default": 2**60}, {})
    assert error.startswith("$.default")
