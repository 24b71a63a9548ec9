"""A message in, its reply out, with a model that answers at once: how many commits must wait for each other, and what
the way costs beside them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from statistics import median
from typing import Final

from benchmarks.bench import People, Scale, in_a_row, opened, running
from benchmarks.report import Figure
from benchmarks.rows import raw, steps
from core.adapters.models.scripted import say

RAW_UNITS: Final = 8


async def measure(scale: Scale) -> AsyncIterator[Figure]:
    """Beside each message, what a raw unit a commit costs on this disk at that moment."""
    people = People()
    over: list[float] = []
    times: list[float] = []
    chains: list[list[str]] = []
    with raw.opened(await steps.a_step_of(scale.turns)) as anchor:
        async with (
            opened("replies", lambda _request: say("Hello!"), people=people) as (engine, _, timeline),
            running(engine, people),
        ):
            await people.ask("warm", "hello")
            for n in range(scale.messages):
                timeline.commits.clear()
                begun, ended = await people.ask(f"m{n}", "hello")
                chain = in_a_row(timeline.commits, begun, ended)
                chains.append(chain)
                times.append((ended - begun) * 1000)
                over.append(times[-1] - len(chain) * 1000 / anchor.rate(1, RAW_UNITS))
    longest = max(chains, key=len)
    yield Figure(key="reply", value=median(times))
    yield Figure(key="reply-commits", value=len(longest), note=f"the most of {len(chains)} messages")
    yield Figure(key="reply-over", value=median(over))
