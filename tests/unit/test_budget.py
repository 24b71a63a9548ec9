"""Money and tokens, rounded to our disadvantage."""

import msgspec
import pytest

from core.model.team import Budget, ModelSpec
from core.model.unit import Room
from core.model.work import Usage
from core.rules.budget import UNLIMITED, cost, day_of, room, scope_of, task_stop, task_warning, worst_case
from tests.rules_kit import task, team

MODEL = ModelSpec(
    provider="p",
    model="m",
    input_microusd_per_mtok=3_000_000,
    output_microusd_per_mtok=15_000_000,
    cache_read_microusd_per_mtok=300_000,
    cache_write_microusd_per_mtok=3_750_000,
    output_tokens_max=2_000,
)
ROLE = team().roles["devops"]
SOFT = msgspec.structs.replace(ROLE, budget=Budget(hard_stop=False))


def test_the_day_is_the_teams():
    before_midnight_utc = 1_782_858_600_000  # 2026-06-30 22:30 UTC
    assert day_of("UTC", before_midnight_utc) == "2026-06-30"
    assert day_of("Europe/Berlin", before_midnight_utc) == "2026-07-01"
    assert scope_of("devops", "2026-07-01") == "role:devops:2026-07-01"


def test_the_most_a_call_may_cost_takes_the_dearest_price_and_the_smaller_output():
    assert worst_case(ROLE, MODEL) == (34_000, 32_000 * 375 // 100 + 2_000 * 15)
    assert worst_case(ROLE, msgspec.structs.replace(MODEL, output_tokens_max=9_000))[0] == 36_000
    assert worst_case(ROLE, msgspec.structs.replace(MODEL, thinking_tokens=500, output_tokens_max=9_000))[0] == 36_500


def test_cost_is_rounded_up():
    assert cost(Usage(), MODEL) == 0
    assert cost(Usage(cache_read_tokens=1), MODEL) == 1
    usage = Usage(input_tokens=1000, output_tokens=10, cache_read_tokens=100, cache_write_tokens=100)
    assert cost(usage, MODEL) == 3000 + 150 + 30 + 375


def test_room_holds_the_roles_day_and_a_soft_budget_only_warns():
    assert room(ROLE, "s", 1, 2) == Room(scope="s", tokens=1, microusd=2, tokens_max=500_000, microusd_max=5_000_000)
    assert room(SOFT, "s", 1, 2).tokens_max == room(SOFT, "s", 1, 2).microusd_max == UNLIMITED


@pytest.mark.parametrize(
    ("tokens", "turns", "stops", "warns"),
    [
        (39_999, 7, False, False),
        (40_000, 0, False, True),
        (0, 8, False, True),
        (49_999, 9, False, True),
        (50_000, 0, True, True),
        (0, 10, True, True),
    ],
)
def test_warn_at_80_and_stop_at_100_percent(tokens, turns, stops, warns):
    at = task(usage=Usage(output_tokens=tokens), turns=turns)
    assert (task_stop(at, ROLE) is not None) == stops
    assert (task_warning(at, ROLE) is not None) == warns
    assert task_stop(at, SOFT) is None


def test_the_words_say_how_much():
    at = task(usage=Usage(output_tokens=50_000))
    assert task_stop(at, ROLE).why == "devops has used 50000 of 50000 tokens"
    assert task_warning(at, ROLE) == "devops has used 50000 of 50000 tokens in this task"
