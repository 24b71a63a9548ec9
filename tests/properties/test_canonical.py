"""Canonical bytes: total, stable, faithful."""

import json

from hypothesis import given
from hypothesis import strategies as st

from core.rules.canonical import InvalidArgumentsError, canonical

PLAIN = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(min_value=-(2**53) + 1, max_value=2**53 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
    ),
    max_leaves=12,
)
ANYTHING = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)


@given(PLAIN)
def test_bytes_read_back_as_the_same_value(value):
    assert json.loads(canonical(value), parse_int=float) == value


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), PLAIN))
def test_the_order_of_keys_does_not_matter(value):
    assert canonical(dict(reversed(value.items()))) == canonical(value)


@given(ANYTHING)
def test_total(value):
    try:
        raw = canonical(value)
    except InvalidArgumentsError:
        return
    assert isinstance(raw, bytes)
