"""The day in a few lines: what was done, what waits, what failed, what it cost, what was unusual. Pure.

It ends with the head of the audit chain: written down outside the database, it is what a cut tail is found with.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from core.model.ids import short
from core.model.inquiries import Inquiry, Label
from core.model.team import Team
from core.model.unit import Audit, Spent
from core.model.work import Failure, Phase, Task
from core.rules import telling, words
from core.rules.text import human_count, human_duration, human_money, human_when, one_line
from core.rules.views import title_of, title_of_inquiry

DAY_MS: Final = 86_400_000
ITEMS_MAX: Final = 5
TITLE_MAX: Final = 70
WHY_MAX: Final = 90
_FAILED: Final = frozenset({Phase.FAILED, Phase.REJECTED})
_PERSON_KINDS: Final = {
    Label.REDUCED.value: telling.DIGEST_REDUCED,
    Label.SINGLE.value: telling.DIGEST_SINGLE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """Rows of the time since the last digest. `ended`: requests; `waiting`: the oldest of `waiting_n`. `cut`: there was
    more than is here.
    """

    since_ms: int
    now_ms: int
    ended: tuple[Task, ...] = ()
    waiting: tuple[Inquiry, ...] = ()
    waiting_n: int = 0
    overdue_n: int = 0
    handed_n: int = 0
    yesterday: tuple[tuple[str, Spent], ...] = ()  # by role
    today: tuple[tuple[str, Spent], ...] = ()
    audit: tuple[Audit, ...] = ()
    cut: bool = False
    troubles: tuple[tuple[str, str], ...] = ()  # by platform
    paused: tuple[str, ...] = ()
    head: tuple[int, str] = (0, "")


# --- When ------------------------------------------------------------------------------------------------------------


def time_of(text: str) -> time | None:
    """`09:00`; None for anything else."""
    hour, colon, minute = text.partition(":")
    whole = len(hour) == len(minute) == 2 and f"{hour}{minute}".isascii() and f"{hour}{minute}".isdigit()
    if not colon or not whole or int(hour) > 23 or int(minute) > 59:
        return None
    return time(int(hour), int(minute))


def due_ms(at: str, zone: str, after_ms: int, now_ms: int) -> int | None:
    """The latest time it was due after `after_ms` and up to now: of all that were missed, the last."""
    today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).date()
    moments = (_at(at, zone, today - timedelta(days=n)) for n in (-1, 0, 1))
    return next((ms for ms in moments if after_ms < ms <= now_ms), None)


def next_ms(at: str, zone: str, now_ms: int) -> int:
    """When it is due next."""
    today = datetime.fromtimestamp(now_ms / 1000, ZoneInfo(zone)).date()
    return min(ms for n in (-1, 0, 1, 2) if (ms := _at(at, zone, today + timedelta(days=n))) > now_ms)


def _at(at: str, zone: str, day: date) -> int:
    moment = datetime.combine(day, time_of(at) or time(0, 0), tzinfo=ZoneInfo(zone))
    return int(moment.timestamp() * 1000)


# --- What ------------------------------------------------------------------------------------------------------------


def digest(day: Day, team: Team) -> str:
    """The whole of it, plain text, bounded."""
    sections = (
        (telling.DIGEST_DONE, [t for t in day.ended if t.phase is Phase.DONE]),
        (telling.DIGEST_FAILED, [t for t in day.ended if t.phase in _FAILED]),
    )
    since = human_when(day.since_ms, day.now_ms, team.zone)
    lines = [telling.digest_title(team.name, since)]
    (done, finished), (failed, broken) = sections
    lines += _section(done, len(finished), (_title(task) for task in finished))
    lines += _section(telling.DIGEST_WAITING, day.waiting_n, (_waits(i, team, day.now_ms) for i in day.waiting))
    lines += _section(failed, len(broken), map(_failure, broken))
    lines.append(telling.digest_spent(*_sum(day.yesterday), *_sum(day.today), _most(day.yesterday, team)))
    unusual = [*_unusual(day)]
    lines += _section(telling.DIGEST_UNUSUAL, len(unusual), iter(unusual), limit=len(unusual))
    if day.cut:
        lines.append(telling.DIGEST_CUT)
    seq, head = day.head
    lines.append(telling.digest_head(seq, head) if seq else telling.DIGEST_NO_HEAD)
    return "\n".join(lines)


def _section(title: str, n: int, items: Iterable[str], *, limit: int = ITEMS_MAX) -> list[str]:
    shown = [f"- {item}" for _, item in zip(range(limit), items, strict=False)]
    more = [f"- {words.more(n - len(shown))}"] if n > len(shown) else []
    return [telling.digest_section(title, n), *shown, *more]


def _title(task: Task) -> str:
    return f"{one_line(task.title, TITLE_MAX)} ({short(task.id)})"


def _failure(task: Task) -> str:
    why = one_line(task.result.what, WHY_MAX) if isinstance(task.result, Failure) else task.phase.value
    return f"{_title(task)}: {why}"


def _waits(inquiry: Inquiry, team: Team, now_ms: int) -> str:
    age = human_duration(max(0, now_ms - inquiry.created_at_ms))
    late = telling.DIGEST_LATE if inquiry.overdue else ""
    facts = (one_line(title_of_inquiry(inquiry, team), TITLE_MAX), inquiry.tier.value, age, late, short(inquiry.id))
    return words.SEPARATOR.join(filter(None, facts))


def _sum(spent: tuple[tuple[str, Spent], ...]) -> tuple[str, str]:
    return (
        human_money(sum(one.microusd for _, one in spent)),
        human_count(sum(one.tokens for _, one in spent)),
    )


def _most(spent: tuple[tuple[str, Spent], ...], team: Team) -> str:
    role, most = max(spent, key=lambda one: (one[1].microusd, one[1].tokens), default=("", Spent()))
    return title_of(team, role) if most.microusd or most.tokens else ""


def _unusual(day: Day) -> Iterator[str]:
    """What a person would want to be asked about: nothing here is the ordinary course of a day."""
    happened = Counter(row.what for row in day.audit)
    if day.overdue_n:
        yield telling.digest_overdue(day.overdue_n)
    if day.handed_n:
        yield telling.digest_handed(day.handed_n)
    refused = Counter(bool(row.principal) for row in day.audit if row.what == "press.refused")
    if refused.total():
        yield telling.digest_refused(refused.total(), refused[False])
    for what, line in telling.DIGEST_EVENTS.items():
        if happened[what]:
            yield telling.digest_event(line, happened[what])
    labels = Counter(str(row.detail.get("label", "")) for row in day.audit if row.what == "inquiry.opened")
    for label, line in _PERSON_KINDS.items():
        if labels[label]:
            yield telling.digest_event(line, labels[label])
    yield from (telling.digest_trouble(platform, one_line(why, WHY_MAX)) for platform, why in day.troubles)
    yield from map(telling.digest_paused, day.paused[:ITEMS_MAX])
