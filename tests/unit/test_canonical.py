"""What is digested, what is refused, and digests that must never change."""

import json

import msgspec
import pytest

from core.model.inquiries import Action
from core.model.team import EffectClass
from core.model.unit import Audit
from core.rules.canonical import InvalidArgumentsError, action_digest, audit_hash, canonical, intent_of, sha256_hex

ACTION = Action(
    tool="run_command",
    arguments={"command": "deploy", "args": {"site": "landing", "dry": False, "n": 3, "ratio": 0.5}},
    resource="site:landing",
    verb="deploy",
    effect=EffectClass.ONCE,
    fingerprint="ab" * 32,
)


def changed(**fields):
    return msgspec.structs.replace(ACTION, **fields)


def test_keys_are_sorted_and_numbers_have_one_spelling():
    assert canonical({"b": 1.0, "a": [True, None, "é\n"], "c": (1e21, 0.000001)}) == (
        '{"a":[true,null,"é\\n"],"b":1,"c":[1e+21,0.000001]}'.encode()
    )


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (float("nan"), "$"),
        ({"a": [1, float("inf")]}, "$.a[1]"),
        ({"a": {"b c": 2**53}}, "$.a['b c']"),
        ({"n": -(2**53)}, "$.n"),
        ({"s": "\ud800"}, "$.s"),
        ({"\udc00": 1}, "$['\\udc00']"),
        ({1: "x"}, "$"),
        ({"x": {1, 2}}, "$.x"),
        ({"x": b"raw"}, "$.x"),
    ],
)
def test_what_has_no_canonical_form_is_refused_with_its_path(value, path):
    with pytest.raises(InvalidArgumentsError) as caught:
        canonical(value)
    assert caught.value.path == path
    assert str(caught.value).startswith(path)


def test_the_widest_integers_pass():
    assert canonical([2**53 - 1, 1 - 2**53]) == b"[9007199254740991,-9007199254740991]"


def test_hostile_nesting_is_an_error_and_not_a_crash():
    deep = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidArgumentsError, match="nested deeper"):
        canonical(deep)


def test_golden_digests():
    """They are in people's databases: a change here voids every open approval."""
    assert action_digest(ACTION) == "v1:ad58527c45c9120d165ba14656ecbde0cedf80971e4237c0f7e2ba7fadf33ad8"
    assert (
        action_digest(changed(arguments={}, fingerprint="", effect=EffectClass.READ))
        == "v1:9c2f22132f00b4b65f5698b4372b82cfe7eac7ffeec523f192920bcd36c8fb00"
    )
    assert (
        action_digest(changed(server="mcp", arguments={"text": "ünïcode \U0001f600"}))
        == "v1:4d7780815ed9ddd0be4a572a168655c980b82a97651d80dc358ba0036bedcf68"
    )
    assert (
        intent_of("t-0", "site:landing", "deploy")
        == "v1:52fb73540ed1cfdab002d4bcc078ac16c8ace9488f1a1d3f56fa396a5972ffb0"
    )
    assert sha256_hex(b"") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    row = Audit(id="a", at_ms=1, what="vote.cast", subject="i-1", detail={"stage": 0})
    assert audit_hash("", 1, row) == "6974dc320cb0b6bdaeacf20be24c16dfec362073c93ad4bcaded0b94bd593441"


def test_case_33_wording_does_not_change_the_digest():
    assert action_digest(changed(says="Anything", secrets=("args",))) == action_digest(ACTION)


@pytest.mark.parametrize(
    "fields",
    [
        {"tool": "x"},
        {"server": "x"},
        {"arguments": {"command": "deploy", "args": {"site": "docs"}}},
        {"arguments": {**ACTION.arguments, "extra": None}},
        {"resource": "x"},
        {"verb": "x"},
        {"effect": EffectClass.IDEMPOTENT},
        {"fingerprint": "x"},
    ],
)
def test_case_26_everything_bound_changes_the_digest(fields):
    assert action_digest(changed(**fields)) != action_digest(ACTION)


def test_an_intent_is_its_root_resource_and_verb():
    assert (
        len({intent_of(*parts) for parts in [("a", "b", "c"), ("ab", "", "c"), ("a", "bc", ""), ("b", "b", "c")]}) == 4
    )


def test_the_chain_covers_place_and_predecessor():
    row = Audit(id="a", at_ms=1, what="x", subject="y")
    assert len({audit_hash("", 1, row), audit_hash("", 2, row), audit_hash("h", 1, row)}) == 3


def test_it_agrees_with_json_on_plain_values():
    value = {"z": [1, 2.5, "x", None, False], "a": {}}
    assert json.loads(canonical(value)) == value
