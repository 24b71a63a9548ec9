"""Hand an event to the engine, whether one runs or not (ARCHITECTURE.md, The engine lock).

Engine up: it is committed, and the engine notices. Engine down: we take the lock for a moment and deal with it, and
perform no effect. An engine that goes in between, or another command that holds the lock, changes nothing: we look
again.
"""

from __future__ import annotations

from dataclasses import dataclass

from bots.app import House
from core.model.errors import EngineRunningError, TerminalError
from core.model.events import Event
from core.model.ids import TaskId
from core.model.views import Line

PATIENCE_MS = 10_000
LOOK_SECONDS = 0.05
LOOKS_PER_LOCK = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What came of an event: the lines it was answered with, its task, and whether an engine is up."""

    lines: tuple[str, ...]
    task: TaskId | None
    engine_up: bool


async def deliver(house: House, event: Event) -> Delivered:
    """Commit it and wait until it is dealt with. Raises StoreFullError, TerminalError when nobody takes it up."""
    await house.intake.accept(event)
    give_up_ms = house.clock.monotonic_ms() + PATIENCE_MS
    engine_up, looks_n = True, 0
    while True:
        if looks_n % LOOKS_PER_LOCK == 0 and await _deal_with_it_here(house):
            engine_up = False
        if (found := await _outcome(house, event, engine_up=engine_up)) is not None:
            return found
        if house.clock.monotonic_ms() > give_up_ms:
            raise TerminalError("signoff has not taken it up yet", "it is kept; look again with `signoff tasks`")
        looks_n += 1
        await house.clock.sleep(LOOK_SECONDS)


async def _deal_with_it_here(house: House) -> bool:
    """False if another process holds the lock. Events and due signals only: nothing leaves this process."""
    lock = house.lock()
    try:
        lock.acquire()
    except EngineRunningError:
        return False
    try:
        engine = await house.engine({})
        give_up_ms = house.clock.monotonic_ms() + PATIENCE_MS
        while await engine.dispatcher.sweep() == 0 and house.clock.monotonic_ms() < give_up_ms:
            pass
    finally:
        lock.release()
    return True


async def _outcome(house: House, event: Event, *, engine_up: bool) -> Delivered | None:
    """None while it is new: whoever deals with an event gives it a task or answers in its conversation."""
    read = house.store.read
    posts = await read.posts(conversation=event.conversation)
    task = await read.event_task(event.key)  # after the posts: one transaction may write both, between the two looks
    if task is None and not posts:
        return None
    views = (row.post.view for row in reversed(posts))
    lines = tuple(view.text for view in views if isinstance(view, Line) and view.text)
    return Delivered(lines=lines, task=task, engine_up=engine_up)
