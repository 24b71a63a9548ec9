"""Kill the real process with SIGKILL, again and again, all through a day of work. Nothing is lost, done twice, resolved
twice or stuck, and people are asked whether something happened only where nobody can know.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.integration.kill.day import HEAD, Day, Tally
from tests.integration.kill.windows import MIXED, WINDOWS

SOAK = bool(os.environ.get("SIGNOFF_SOAK"))
KILLS = 20 if SOAK else 4
"""In each window; twelve windows and a mixture of them."""
KILLS_A_DAY = 5
DAYS_MAX = 10 * KILLS
SIDE_BY_SIDE = 2

pytestmark = pytest.mark.proof


@pytest.mark.timeout(3_600 if SOAK else 600)
def test_nothing_is_lost_or_done_twice_however_often_the_process_is_killed(tmp_path, proved):
    seed = os.environ.get("SIGNOFF_SEED", "1")
    windows = (*WINDOWS, MIXED)
    with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        tallies = dict(
            zip(windows, pool.map(lambda window: _days(tmp_path / window, window, seed), windows), strict=True)
        )
    total = Tally()
    for tally in tallies.values():
        total.add(tally)
    table = "\n".join((HEAD, *(tally.row(window) for window, tally in tallies.items()), total.row("total")))
    (tmp_path / "kills.txt").write_text(table)
    proved(table)
    assert not total.faults
    assert all(tally.kills >= KILLS for tally in tallies.values())


def _days(root, window, seed):
    """As many days as it takes to be killed so often."""
    total = Tally()
    for n in range(DAYS_MAX):
        if total.kills >= KILLS or total.faults:
            break
        total.add(Day(root / str(n), f"{seed}:{window}:{n}").play(window, min(KILLS_A_DAY, KILLS - total.kills)))
    return total
