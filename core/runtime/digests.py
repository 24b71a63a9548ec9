"""Tell the day once a day: a message and the note that it was told commit together.

Law: its time is in its name, so a death in between neither loses nor doubles it. Of several times that were missed the
last is told, once, and it covers all of them. A digest counts from the moment its time is first seen, and again when
its time or place was changed; a clock that was set back tells nothing twice.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from core.model.ids import post_of
from core.model.team import DigestRule, Team
from core.model.unit import AddPost, Audit, InsertOnce, SetMeta, Spent, Unit
from core.model.views import Line, Post
from core.ports import Health, Reads
from core.rules import digest as rules
from core.rules.budget import day_of, scope_of
from core.runtime.context import Context
from core.runtime.handover import PREFIX

SLEEP_SECONDS_MAX = 30.0
"""For so long a clock that was set, or a machine that has slept, may go unnoticed."""
FACT = "digest"
TASKS_MAX = 1_000
AUDIT_MAX = 5_000
HANDED_MAX = 1_000
SLACK_MS = 60_000


class Told(msgspec.Struct, frozen=True, kw_only=True):
    """How far the days are told: up to `at_ms`. `rule` is what the time and place were."""

    at_ms: int
    rule: str
    told: bool = False  # a digest was sent for it; False: it only counts from then


class Digests:
    """The loop that tells."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def run(self) -> None:
        """For ever."""
        while True:
            await self._context.clock.sleep(await self.sweep())

    async def sweep(self) -> float:
        """Tell what is due. Returns how long nothing will be, in seconds, at most SLEEP_SECONDS_MAX."""
        context, now_ms = self._context, self._context.clock.now_ms()
        team = await context.team()
        if team.digest is None:
            return SLEEP_SECONDS_MAX
        told = await told_of(context.store.read)
        rule = _spelt(team, team.digest)
        if told is None or told.rule != rule:
            told = Told(at_ms=now_ms, rule=rule)
            await context.store.commit(Unit(changes=(_keep(told),)))
        due_ms = rules.due_ms(team.digest.at, team.zone, told.at_ms, now_ms)
        if due_ms is not None:
            await self._tell(team, team.digest, told, due_ms)
        return min(SLEEP_SECONDS_MAX, max(0.001, (rules.next_ms(team.digest.at, team.zone, now_ms) - now_ms) / 1000))

    async def _tell(self, team: Team, rule: DigestRule, told: Told, due_ms: int) -> None:
        context, now_ms = self._context, self._context.clock.now_ms()
        day = await gather(context.store.read, team, _since_ms(told, now_ms), now_ms)
        post_id = post_of(FACT, due_ms)
        view = Line(text=rules.digest(day, team))
        post = Post(id=post_id, conversation=rule.to, view=view, slot=post_id, at_ms=now_ms)
        once = InsertOnce(key=f"{FACT}:{due_ms}", digest=str(due_ms))
        kept = _keep(Told(at_ms=due_ms, rule=told.rule, told=True))
        await context.store.commit(Unit(guards=(once,), changes=(AddPost(post=post), kept)))
        context.bus.notify("posts")


def _since_ms(told: Told | None, now_ms: int) -> int:
    """Since the last one; a first one tells a day."""
    return told.at_ms if told is not None and told.told else now_ms - rules.DAY_MS


async def told_of(read: Reads) -> Told | None:
    """How far it has come."""
    kept = await read.meta(FACT)
    return msgspec.json.decode(kept, type=Told) if kept else None


def _keep(told: Told) -> SetMeta:
    return SetMeta(name=FACT, value=msgspec.json.encode(told).decode())


def _spelt(team: Team, rule: DigestRule) -> str:
    return f"{rule.at} {team.zone} {rule.to.key}"


# --- The rows of a day ------------------------------------------------------------------------------------------------


async def now(read: Reads, team: Team, now_ms: int) -> str:
    """What the next digest would say if it came at this moment."""
    return rules.digest(await gather(read, team, _since_ms(await told_of(read), now_ms), now_ms), team)


async def gather(read: Reads, team: Team, since_ms: int, now_ms: int) -> rules.Day:
    """A bounded number of rows, however much has happened."""
    newest = [row.task for row in await read.tasks(limit=TASKS_MAX)]
    roots = (task for task in newest if task.parent is None and task.phase.final)
    waiting, waiting_n = await read.waiting(limit=rules.ITEMS_MAX)
    _, overdue_n = await read.waiting(overdue=True, limit=1)
    audit = await _audit_since(read, since_ms)
    health = ((name.partition(":")[2], msgspec.json.decode(v, type=Health)) for name, v in await read.facts("health:"))
    return rules.Day(
        since_ms=since_ms,
        now_ms=now_ms,
        ended=tuple(task for task in roots if since_ms <= task.updated_at_ms <= now_ms),
        waiting=waiting,
        waiting_n=waiting_n,
        overdue_n=overdue_n,
        handed_n=len(await read.facts(PREFIX, HANDED_MAX)),
        yesterday=await _spent(read, team, _day_before(team.zone, now_ms)),
        today=await _spent(read, team, day_of(team.zone, now_ms)),
        audit=audit,
        cut=len(audit) >= AUDIT_MAX or len(newest) >= TASKS_MAX,
        troubles=tuple((platform, found.trouble) for platform, found in health if found.trouble),
        paused=await read.paused(),
        head=await read.chain_head(),
    )


async def _spent(read: Reads, team: Team, day: str) -> tuple[tuple[str, Spent], ...]:
    return tuple([(role, await read.spent(scope_of(role, day))) for role in team.roles])


def _day_before(zone: str, now_ms: int) -> str:
    """The day before, as budgets name it: noon of it, so that no change of the clock is in the way."""
    noon = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).replace(hour=12) - timedelta(days=1)
    return day_of(zone, int(noon.timestamp() * 1000))


async def _audit_since(read: Reads, since_ms: int) -> tuple[Audit, ...]:
    after = await seq_before(read, since_ms)
    rows = await read.chain(after, AUDIT_MAX)
    return tuple(sealed.row for sealed in rows if sealed.row.at_ms >= since_ms)


async def seq_before(read: Reads, since_ms: int) -> int:
    """The last link that is older. Searched, not counted: a chain of millions takes twenty looks. (Rows are in the
    order of their commits; those of one moment may differ by seconds, so a little more is read than needed.)
    """
    low, (high, _) = 0, await read.chain_head()
    while low < high:
        middle = (low + high) // 2
        (link,) = await read.chain(middle, 1)
        if link.row.at_ms < since_ms - SLACK_MS:
            low = middle + 1
        else:
            high = middle
    return low
