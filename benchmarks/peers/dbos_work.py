"""The same work on DBOS with SQLite: prints JSON.

Run by its own interpreter, as a script: FOLDER REPEATS TURNS APPROVALS.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from statistics import median

from dbos import DBOS

LANES = 16
TEXT = "x" * 480  # an entry of ours is about as long


@DBOS.step()
async def think(n: int) -> str:
    """A step: its result is recorded."""
    return f"{n}{TEXT}"


@DBOS.workflow()
async def chain(turns: int) -> int:
    """So many steps."""
    for n in range(turns):
        await think(n)
    return turns


@DBOS.workflow()
async def approval() -> str:
    """Think, ask, act, answer."""
    await think(0)
    answer = await DBOS.recv_async("decision", timeout_seconds=60)
    await think(1)
    await think(2)
    return str(answer)


async def step_rate(turns: int) -> float:
    """Steps a second, 16 workflows side by side."""
    begun = time.perf_counter()
    handles = [await DBOS.start_workflow_async(chain, turns) for _ in range(LANES)]
    for handle in handles:
        await handle.get_result()
    return LANES * turns / (time.perf_counter() - begun)


async def approval_rate(approvals: int) -> float:
    """Whole approvals a second, 16 at once."""

    async def lane() -> None:
        for _ in range(approvals // LANES):
            handle = await DBOS.start_workflow_async(approval)
            await DBOS.send_async(handle.workflow_id, "yes", "decision")
            if await handle.get_result() != "yes":
                raise RuntimeError("it was not answered")

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(LANES)))
    return approvals // LANES * LANES / (time.perf_counter() - begun)


async def main(repeats: int, turns: int, approvals: int) -> None:
    """Its settings are its own."""
    await step_rate(2)
    steps = [await step_rate(turns) for _ in range(repeats)]
    approved = [await approval_rate(approvals) for _ in range(repeats)]
    print(json.dumps({"step": median(steps), "approval": median(approved)}))


if __name__ == "__main__":
    logging.disable(logging.ERROR)
    database = Path(sys.argv[1]) / "dbos.db"
    DBOS(config={"name": "bench", "system_database_url": f"sqlite:///{database}", "run_admin_server": False})
    DBOS.launch()
    try:
        asyncio.run(main(*map(int, sys.argv[2:5])))
    finally:
        DBOS.destroy()
