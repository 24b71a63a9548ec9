"""`signoff run` for a scripted day, with a fuse: `python -m tests.integration.kill.runner PLAN.json`.

It composes what bots/app.py composes, wraps four ports, and exits 0 when the day is done and everything is recorded.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from pathlib import Path

import msgspec

from bots.app import House, Workspace, set_up_log
from core.runtime.engine import Engine
from tests.integration.kill import windows
from tests.integration.kill.people import STREET, Errand, Records, Street


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One life of the process."""

    workspace: str
    records: str
    errands: tuple[Errand, ...]
    window: str = ""
    k: int = 0
    model_seconds: float = 0.01


async def run(plan: Plan) -> None:
    workspace, records = Workspace(Path(plan.workspace)), Records(Path(plan.records))
    fuse = windows.Fuse(plan.window, plan.k, records.kills)
    async with await House.open(workspace, {}) as house:
        set_up_log(workspace)
        with house.lock():
            house.store = windows.Store(house.store, fuse)
            street = Street(records, plan.errands, house.store.read, fuse)
            engine = await house.engine({STREET: street})
            _wrap(engine, fuse, workspace, plan.model_seconds)
            print("ready", flush=True)
            running = asyncio.ensure_future(engine.run())
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
            while not (running.done() or await _done(engine, plan.errands)):
                await house.clock.sleep(0.05)
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await running


def _wrap(engine: Engine, fuse: windows.Fuse, workspace: Workspace, model_seconds: float) -> None:
    context = engine.context
    inner = context.tools
    context.models = {name: windows.Model(model, fuse, model_seconds) for name, model in context.models.items()}
    context.tools = lambda team: {n: windows.Tool(t, fuse, workspace.spool) for n, t in inner(team).items()}


async def _done(engine: Engine, errands: tuple[Errand, ...]) -> bool:
    """Every piece of work has ended, everything was said, and every fact is in the chain."""
    read = engine.context.store.read
    for errand in errands:
        task = await read.task(errand.task)
        if task is None or not task.phase.final:
            return False
    return await engine.idle() and not await read.unsealed(1)


if __name__ == "__main__":
    asyncio.run(run(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Plan)))
