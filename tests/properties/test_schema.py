"""Checking arguments never raises, and what it lets through stays let through."""

from hypothesis import given
from hypothesis import strategies as st

from core.rules.schema import check_arguments
from tests.properties.test_canonical import ANYTHING
from tests.unit.test_schema import SCHEMA


@given(ANYTHING | st.fixed_dictionaries({"site": st.sampled_from(["landing", "x"]), "n": st.integers()}))
def test_total_and_stable(value):
    first = check_arguments(SCHEMA, value)
    if isinstance(first, dict):
        assert check_arguments(SCHEMA, first) == first
    else:
        assert first
        assert all(isinstance(error, str) for error in first)
