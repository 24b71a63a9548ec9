from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.model import ids
from core.model.errors import ConfigError, RateLimitedError
from core.model.team import Person
from core.model.work import Usage
from tests.stored import TAGGED, encode, values_of


@pytest.mark.parametrize("made", TAGGED, ids=lambda made: made.__name__)
@given(data=st.data())
def test_what_is_stored_comes_back_as_it_was(made: type, data: st.DataObject) -> None:
    value: Any = data.draw(values_of(made))
    assert msgspec.json.decode(encode(value), type=made) == value


@given(st.lists(st.text(), max_size=4), st.lists(st.text(), max_size=4))
def test_different_parts_have_different_digests(one: list[str], other: list[str]) -> None:
    assert (ids.digest_of(*one) == ids.digest_of(*other)) == (one == other)


def test_ids_are_derived_and_short_to_read() -> None:
    task = ids.task_of_event("telegram:1")
    assert task == ids.task_of_event("telegram:1") != ids.task_of_event("telegram:2")
    call = ids.call_of(task, 3, 0)
    assert ids.child_of(call) != ids.child_of(call, 2)
    inquiry = ids.inquiry_of(call, 1)
    assert ids.grant_of(inquiry, 1, 1) != ids.grant_of(inquiry, 2, 1)
    assert ids.post_of("a", "bc") != ids.post_of("ab", "c")
    assert ids.effect_of(task, 3, 0) == f"{task}:3:e0"
    assert ids.short(task) == task[:6]
    assert ids.short("all") == "all"


def test_usage_adds_up() -> None:
    one = Usage(input_tokens=1, output_tokens=2, cache_read_tokens=3, cache_write_tokens=4, cost_microusd=5)
    assert one.plus(one).tokens == 20
    assert one.plus(one).cost_microusd == 10


def test_errors_say_where_and_what_to_do() -> None:
    assert str(ConfigError("unknown key x", file="team.yaml", line=3, expected="one of a, b")) == (
        "team.yaml:3: unknown key x: one of a, b"
    )
    assert str(ConfigError("missing", file="team.yaml")) == "team.yaml: missing"
    assert RateLimitedError("429", retry_after_ms=5, scope="account").retry_after_ms == 5


@pytest.mark.parametrize(
    ("role", "approve", "ask"),
    [("owner", True, True), ("approver", True, True), ("member", False, True), ("viewer", False, False)],
)
def test_what_people_may(role: str, approve: bool, ask: bool) -> None:
    person = Person(id="p", name="P", role=role)
    assert (person.may_approve, person.may_ask) == (approve, ask)
