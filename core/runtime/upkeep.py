"""Tend the memory of the team: once a week fewer entries, once a month patterns and a word to people.

Law: everything here has a derived id and does nothing the second time, so a death in between is made good by doing it
again, and how far it has come is noted last. A time that was missed is made up for once. It counts from when it is
first seen; a clock that was set back does nothing twice.
"""

from __future__ import annotations

from typing import Final

import msgspec

from core.model.events import Conversation, ScheduleFired, Sender
from core.model.ids import post_of
from core.model.memory import BOARD, ForgetMemories, Place, PutMemory, SupersedeMemory, private
from core.model.team import Team
from core.model.unit import (
    AddAudit,
    AddEvent,
    AddPost,
    Audit,
    Change,
    Refused,
    SetMeta,
    Unit,
)
from core.model.views import Line, Post
from core.rules import upkeep as rules
from core.rules.keeping import still
from core.rules.remembering import WEEK_MS, deduplicated
from core.runtime.context import Context, log

SLEEP_SECONDS: Final = 60.0
FACT: Final = "memory.upkeep"
ENTRIES_MAX: Final = 2_000
BATCH_MAX: Final = 200
"""Entries a transaction: others wait for the writer meanwhile."""
TRIES_MAX: Final = 20
DAY_MS: Final = 86_400_000


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """How far it has come: the due times that were dealt with."""

    weekly_ms: int
    monthly_ms: int


class Upkeep:
    """The loop that tends."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.sweep()
            await self._context.clock.sleep(SLEEP_SECONDS)

    async def sweep(self) -> None:
        """Do what is due."""
        context, team = self._context, await self._context.team()
        now_ms = context.clock.now_ms()
        due = Done(weekly_ms=rules.weekly_ms(team.zone, now_ms), monthly_ms=rules.monthly_ms(team.zone, now_ms))
        kept = await context.store.read.meta(FACT)
        if kept is None:
            await self._commit(_keep(due))
            return
        done = msgspec.json.decode(kept, type=Done)
        if due.weekly_ms > done.weekly_ms:
            await self._weekly(team, due.weekly_ms)
            done = msgspec.structs.replace(done, weekly_ms=due.weekly_ms)
            await self._commit(_keep(done))
        if due.monthly_ms > done.monthly_ms:
            await self._monthly(team, due.monthly_ms, since_ms=done.monthly_ms)
            await self._commit(_keep(msgspec.structs.replace(done, monthly_ms=due.monthly_ms)))

    async def _commit(self, *changes: Change) -> None:
        await self._context.store.commit(Unit(changes=changes))

    # --- Weekly -----------------------------------------------------------------------------------------------------

    async def _weekly(self, team: Team, due_ms: int) -> None:
        for place in rules.tended(team):
            await self._deduplicate(place, due_ms)
        await self._archive(due_ms)
        await self._clear(team)

    async def _deduplicate(self, place: Place, due_ms: int) -> None:
        """Layer 0 to 1. Entries that were replaced meanwhile are read again."""
        context, before_n, after_n = self._context, 0, 0
        for _ in range(TRIES_MAX):
            found = await context.store.read.memories((place,), ENTRIES_MAX)
            merged = deduplicated(found, context.clock.now_ms())[:BATCH_MAX]
            if not merged:
                break
            changes: list[Change] = []
            for one in merged:
                changes.append(PutMemory(memory=one.kept))
                changes += [SupersedeMemory(id=old, by=one.kept.id) for old in one.replaced]
            guards = still(old for one in merged for old in one.replaced)
            if isinstance(await context.store.commit(Unit(guards=guards, changes=tuple(changes))), Refused):
                continue
            before_n += sum(len(one.replaced) for one in merged)
            after_n += len(merged)
        if before_n:
            row = Audit(
                id=f"{place.key}:{due_ms}:memory.tended",
                at_ms=context.clock.now_ms(),
                what="memory.tended",
                subject=place.key,
                detail={"before": before_n, "after": after_n},
            )
            await self._commit(AddAudit(row=row))
            log.info("memory.tended", place=place.key, before=before_n, after=after_n)

    async def _archive(self, due_ms: int) -> None:
        """Notices older than a week leave the board; the archive keeps them."""
        notices = await self._context.store.read.memories((BOARD,), ENTRIES_MAX)
        old = [one for one in notices if one.at_ms < due_ms - WEEK_MS]
        if old:
            await self._commit(*(SupersedeMemory(id=one.id, by=f"archived:{due_ms}") for one in old))

    async def _clear(self, team: Team) -> None:
        """What has run out goes, and what was replaced and is old."""
        read, before_ms = self._context.store.read, self._context.clock.now_ms() - team.memory.superseded_days * DAY_MS
        while ids := await read.memories_spent(before_ms, ENTRIES_MAX):
            await self._commit(ForgetMemories(ids=ids))

    # --- Monthly ----------------------------------------------------------------------------------------------------

    async def _monthly(self, team: Team, due_ms: int, since_ms: int) -> None:
        """Ask each role for its patterns; tell people how much is new."""
        read, counts = self._context.store.read, []
        for role in team.roles.values():
            found = await read.memories((private(role.id),), ENTRIES_MAX)
            counts.append((role.id, sum(one.at_ms >= since_ms for one in found)))
            if brief := rules.patterns_brief(team, role, found, since_ms):
                await self._commit(AddEvent(event=self._event(team, role.id, brief, due_ms)))
                self._context.bus.notify("events")
        where, line = rules.told_in(team), rules.review(counts)
        if where is not None and line:
            post_id = post_of(FACT, due_ms)
            now_ms = self._context.clock.now_ms()
            post = Post(id=post_id, conversation=where, view=Line(text=line), slot=post_id, at_ms=now_ms)
            await self._commit(AddPost(post=post))
            self._context.bus.notify("posts")

    def _event(self, team: Team, role: str, brief: str, due_ms: int) -> ScheduleFired:
        """A second one with this key is refused: it was asked already."""
        nowhere = Conversation(platform="cli", account=team.name, channel="memory")
        return ScheduleFired(
            key=f"memory:{role}:{due_ms}",
            at_ms=self._context.clock.now_ms(),
            conversation=rules.told_in(team) or nowhere,
            sender=Sender(account="memory", name="the upkeep of the memory"),
            schedule="memory",
            scheduled_at_ms=due_ms,
            text=brief,
            role=role,
        )


def _keep(done: Done) -> SetMeta:
    return SetMeta(name=FACT, value=msgspec.json.encode(done).decode())
