"""What people ask about how things are set, answered from what is stored."""

from __future__ import annotations

from core.model.events import Event
from core.model.team import Person, Team
from core.model.unit import Change, SetMeta
from core.model.views import Trouble
from core.model.work import Task
from core.rules import history, replies, views, words
from core.rules.budget import day_of, scope_of
from core.rules.text import human_count, human_money
from core.runtime.context import Context

DECISIONS_MAX = 8
MUTE_HOURS = 8
MUTE_HOURS_MAX = 168
HOUR_MS = 3_600_000


def models(team: Team) -> str:
    """Which model each role thinks with, and at what price."""
    lines = []
    for role in team.roles.values():
        model = team.model_of(role.id)
        prices = (model.input_microusd_per_mtok, model.output_microusd_per_mtok)
        costs = words.prices(*map(human_money, prices)) if any(prices) else ""
        lines.append(words.thinks_with(role.title, f"{model.provider}/{model.model}", role.complexity, costs))
    return "\n".join(lines)


def result(task: Task, team: Team) -> str:
    """What a finished request came to, for who may have missed it."""
    if not task.phase.final:
        return ""
    view = views.answer_view(task, team)
    return f"{view.what}\n{view.means}\n{view.remedy}" if isinstance(view, Trouble) else view.text


async def budgets(context: Context, team: Team) -> str:
    """What each role has spent today, of how much."""
    day = day_of(team.zone, context.clock.now_ms())
    lines = []
    for role in team.roles.values():
        spent = await context.store.read.spent(scope_of(role.id, day))
        lines.append(
            words.spent(
                role.title,
                human_count(spent.tokens),
                human_count(role.budget.day_tokens_max),
                human_money(spent.microusd),
                human_money(role.budget.day_microusd_max),
            )
        )
    return "\n".join(lines)


async def decisions(context: Context, team: Team, text: str) -> str:
    """What was decided about what has these words in it, the latest first."""
    read, now_ms = context.store.read, context.clock.now_ms()
    found = await read.decisions(what=tuple(text.split()), limit=DECISIONS_MAX)
    votes = await read.votes(tuple(inquiry.id for inquiry in found))
    lines = [history.told(one, [v for v in votes if v.inquiry == one.id], team, now_ms) for one in found]
    return "\n".join(lines) or (replies.NOTHING_DECIDED if text.strip() else replies.NO_DECISIONS)


def mute(event: Event, hours: str, now_ms: int) -> tuple[str, tuple[Change, ...]]:
    """A line, and what must be kept for it."""
    name = muted_name(event.conversation.key)
    if hours.strip().lower() == "off":
        return replies.UNMUTED, (SetMeta(name=name, value="0"),)
    wanted = hours.strip() or str(MUTE_HOURS)
    if not wanted.isascii() or not wanted.isdigit() or not 0 < int(wanted) <= MUTE_HOURS_MAX:
        return replies.MUTED_NOT, ()
    return replies.muted(int(wanted)), (SetMeta(name=name, value=str(now_ms + int(wanted) * HOUR_MS)),)


def muted_name(conversation: str) -> str:
    """The fact that says until when a conversation gets no status lines."""
    return f"mute:{conversation}"


def new_name(conversation: str) -> str:
    """The fact that says when a conversation was begun anew."""
    return f"new:{conversation}"


async def talk_began_ms(context: Context, conversation: str) -> int:
    """When somebody said /new there; 0 for never."""
    return int(await context.store.read.meta(new_name(conversation)) or 0)


async def is_muted(context: Context, conversation: str, now_ms: int) -> bool:
    """No status lines there for now."""
    return int(await context.store.read.meta(muted_name(conversation)) or 0) > now_ms


def who(person: Person, account: str, evidence: str) -> str:
    """`/whoami`."""
    return words.who(person.name, person.role, account, evidence)


def greeting(team: Team) -> str:
    """Four lines for a new place: who is here, and how to ask."""
    lead = team.roles[team.lead].title
    others = [role.title for role in team.roles.values() if role.id != team.lead]
    return words.greeting(team.name, lead, words.names(tuple(others)), next(iter(team.roles)))
