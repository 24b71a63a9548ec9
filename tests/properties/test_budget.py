"""A call never costs more than what was held for it."""

from hypothesis import given
from hypothesis import strategies as st

from core.model.team import ModelSpec
from core.model.work import Usage
from core.rules.budget import cost, worst_case
from tests.rules_kit import team

ROLE = team().roles["devops"]
PRICE = st.integers(min_value=0, max_value=100_000_000)


@given(
    st.tuples(PRICE, PRICE, PRICE, PRICE),
    st.lists(st.integers(0, 32_000), min_size=3, max_size=3),
    st.integers(0, 4000),
)
def test_what_was_held_covers_what_was_used(prices, read, written):
    model = ModelSpec(
        provider="p",
        model="m",
        input_microusd_per_mtok=prices[0],
        output_microusd_per_mtok=prices[1],
        cache_read_microusd_per_mtok=prices[2],
        cache_write_microusd_per_mtok=prices[3],
    )
    total = sum(read) or 1
    fresh, cached, kept = (n * 32_000 // max(total, 32_000) for n in read)
    usage = Usage(input_tokens=fresh, cache_read_tokens=cached, cache_write_tokens=kept, output_tokens=written)
    tokens, microusd = worst_case(ROLE, model)
    assert usage.tokens <= tokens
    assert cost(usage, model) <= microusd
