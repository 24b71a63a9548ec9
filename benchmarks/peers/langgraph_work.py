"""The same work on LangGraph with AsyncSqliteSaver, every step durable before the next: prints JSON.

Run by its own interpreter, as a script: FOLDER REPEATS TURNS APPROVALS.
"""

from __future__ import annotations

import asyncio
import json
import operator
import sys
import time
from pathlib import Path
from statistics import median
from typing import Annotated, Any, TypedDict
from uuid import uuid4

from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

LANES = 16
TEXT = "x" * 480  # an entry of ours is about as long


class State(TypedDict):
    """A journal, as LangGraph keeps one."""

    turns: int
    lines: Annotated[list[str], operator.add]


def chain(turns: int, saver: AsyncSqliteSaver) -> Any:
    """A node that runs so many times."""

    async def think(state: State) -> dict[str, Any]:
        return {"turns": state["turns"] + 1, "lines": [TEXT]}

    graph = StateGraph(State)
    graph.add_node("think", think)
    graph.add_edge(START, "think")
    graph.add_conditional_edges("think", lambda state: END if state["turns"] >= turns else "think")
    return graph.compile(checkpointer=saver)


def approval(saver: AsyncSqliteSaver) -> Any:
    """Think, ask, act, answer."""

    async def think(state: State) -> dict[str, Any]:
        return {"turns": state["turns"] + 1, "lines": [TEXT]}

    async def ask(_state: State) -> dict[str, Any]:
        return {"lines": [str(interrupt("publish the landing page?"))]}

    graph = StateGraph(State)
    for name, node in (("think", think), ("ask", ask), ("act", think), ("answer", think)):
        graph.add_node(name, node)
    for source, target in ((START, "think"), ("think", "ask"), ("ask", "act"), ("act", "answer"), ("answer", END)):
        graph.add_edge(source, target)
    return graph.compile(checkpointer=saver)


def talk() -> dict[str, Any]:
    """A thread of its own."""
    return {"configurable": {"thread_id": uuid4().hex}, "recursion_limit": 1000}


async def step_rate(saver: AsyncSqliteSaver, turns: int) -> float:
    """Steps a second, 16 threads side by side."""
    graph = chain(turns, saver)
    begun = time.perf_counter()
    runs = (graph.ainvoke({"turns": 0, "lines": []}, talk(), durability="sync") for _ in range(LANES))
    await asyncio.gather(*runs)
    return LANES * turns / (time.perf_counter() - begun)


async def approval_rate(saver: AsyncSqliteSaver, approvals: int) -> float:
    """Whole approvals a second, 16 at once."""
    graph = approval(saver)

    async def lane() -> None:
        for _ in range(approvals // LANES):
            thread = talk()
            asked = await graph.ainvoke({"turns": 0, "lines": []}, thread, durability="sync")
            if "__interrupt__" not in asked:
                raise RuntimeError("it did not ask")
            await graph.ainvoke(Command(resume="yes"), thread, durability="sync")

    begun = time.perf_counter()
    await asyncio.gather(*(lane() for _ in range(LANES)))
    return approvals // LANES * LANES / (time.perf_counter() - begun)


async def main(folder: Path, repeats: int, turns: int, approvals: int) -> None:
    """Its settings are its own, but for the durability that is compared: every commit reaches the disk."""
    async with AsyncSqliteSaver.from_conn_string(str(folder / "langgraph.db")) as saver:
        await saver.setup()
        await saver.conn.execute("PRAGMA synchronous = FULL")
        await step_rate(saver, 2)
        steps = [await step_rate(saver, turns) for _ in range(repeats)]
        approved = [await approval_rate(saver, approvals) for _ in range(repeats)]
    print(json.dumps({"step": median(steps), "approval": median(approved)}))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), *map(int, sys.argv[2:5])))
