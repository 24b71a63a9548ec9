"""`python -m benchmarks`: measure every row, print the table, write the results; the exit code says if one lacks."""

from __future__ import annotations

import argparse
import asyncio
import platform
import sys
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from benchmarks.bench import OUT, Scale, remove
from benchmarks.report import Figure, as_json, exit_code, render, tabulate
from benchmarks.rows import definitions, inquiries, memory, peers, platforms, program, replies, steps, tokens

RESULTS: Final = OUT / "results.json"


@dataclass(slots=True)
class Run:
    """What has been measured so far. A part that breaks leaves its rows missing and says why; the others go on."""

    scale: Scale
    figures: dict[str, Figure] = field(default_factory=dict)

    async def everything(self) -> None:
        """In this order: the later ones are read against the earlier ones."""
        await self._part("steps", lambda: steps.measure(self.scale))
        await self._part("replies", lambda: replies.measure(self.scale))
        await self._part("program", lambda: program.measure(self.scale))
        await self._part("tokens", lambda: tokens.measure(self.scale))
        await self._part("definitions", lambda: definitions.measure(self.scale))
        await self._part("platforms", lambda: platforms.measure(self.scale))
        await self._part("inquiries", lambda: inquiries.measure(self.scale))
        await self._part("memory", lambda: memory.measure(self.scale))
        if self.scale.peers:
            await self._part("peers", lambda: peers.measure(self.scale))

    async def _part(self, name: str, measure: Callable[[], Iterable[Figure] | AsyncIterator[Figure]]) -> None:
        begun = time.perf_counter()
        try:
            found = measure()
            if isinstance(found, AsyncIterator):
                async for figure in found:
                    self.figures[figure.key] = figure
            else:
                for figure in found:
                    self.figures[figure.key] = figure
        except Exception:  # noqa: BLE001 - the other rows are still worth having; this one is reported as missing
            print(f"{name} broke:\n{traceback.format_exc()}", file=sys.stderr)
        print(f"{name}: {time.perf_counter() - begun:.0f} s", file=sys.stderr, flush=True)


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="under a minute: every row, roughly")
    parser.add_argument("--peers", action=argparse.BooleanOptionalAction, default=True, help="LangGraph and DBOS too")
    parsed = parser.parse_args()
    scale = Scale.quick(peers=parsed.peers) if parsed.quick else Scale(peers=parsed.peers)
    OUT.mkdir(exist_ok=True)
    run = Run(scale)
    try:
        asyncio.run(run.everything())
    finally:
        remove(OUT / ".work")
    rows = tabulate(run.figures.values(), peers=scale.peers)
    print(render(rows))
    about = {"quick": parsed.quick, "python": platform.python_version(), "machine": platform.machine()}
    RESULTS.write_text(as_json(rows, **about), "utf-8")
    print(f"\nwritten to {RESULTS.relative_to(OUT.parents[1])}")
    return exit_code(rows)


if __name__ == "__main__":
    sys.exit(main())
