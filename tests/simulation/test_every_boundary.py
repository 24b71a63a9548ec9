"""Short scenarios, killed at every boundary there is: whatever the instant, the promises hold and the work ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.simulation.checks import verify
from tests.simulation.scenarios import EVERY, SHORT, Scenario
from tests.simulation.world import play

SEED = 1


def by_name(scenario: Scenario) -> str:
    return scenario.name


@pytest.mark.parametrize("scenario", EVERY, ids=by_name)
async def test_nothing_happens_to_it(scenario: Scenario) -> None:
    verify(await play(scenario.new_world(SEED), scenario.run))


@pytest.mark.proof
@pytest.mark.timeout(180)
@pytest.mark.parametrize("scenario", SHORT, ids=by_name)
async def test_it_dies_at_every_boundary(scenario: Scenario, proved: Callable[[str], None]) -> None:
    boundaries_n = (await play(scenario.new_world(SEED), scenario.run)).hazards.count
    for boundary in range(1, boundaries_n + 1):
        world = scenario.new_world(SEED, crash_at=frozenset({boundary}))
        await play(world, scenario.run)
        assert world.crashes, f"boundary {boundary} was never reached"
        verify(world)
    proved(f"{scenario.name}: killed at each of {boundaries_n} boundaries")
