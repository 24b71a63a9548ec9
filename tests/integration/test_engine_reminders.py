"""A reminder outlives everything, comes once, and brings back only what it was set with."""

import msgspec
import pytest

from agents.tools.reminding import SPEC, ScheduleReminder
from core.adapters.models.scripted import say, use, when
from core.model.errors import StoreFullError
from core.ports import Workplace
from core.runtime import reminders
from core.runtime.reminders import StoreReminders, cancelled, open_ones
from tests.engine_kit import MAIN, MIA, SIDE, YOU, Table, changed_role, company


def table_of(script, *people, untrusted=False):
    team = company(*(people or (YOU, MIA)))
    ops = team.roles["ops"]
    team = changed_role(team, "ops", specs=(*ops.specs, SPEC), tools=(*ops.tools, SPEC.name))
    if untrusted:
        specs = tuple(
            msgspec.structs.replace(one, untrusted=True) if one.name == "fetch" else one
            for one in team.roles["ops"].specs
        )
        team = changed_role(team, "ops", specs=specs)
    table = Table(script, team=team, rules=(when(say("it is fine"), contains="A reminder you set yourself"),))
    kept = StoreReminders(table.store, table.clock, table.bus)
    table.tools[SPEC.name] = ScheduleReminder(kept, team)
    return table


def remind(text="look", when="in 3 hours"):
    return use(SPEC.name, text=text, when=when)


async def test_it_comes_once_to_its_conversation_and_its_role():
    table = table_of({"ops": [remind("look at the page"), say("I will")]})
    await table.say("look later", role="ops")
    assert table.answer == "I will"
    [kept] = await open_ones(table.store.read)
    assert (kept.role, kept.conversation, kept.people, kept.untrusted) == ("ops", MAIN, ("you",), False)
    table.turn_clock(hours=2.9)
    await table.settle()
    assert table.answers[-1].text == "I will"
    table.turn_clock(hours=0.2)
    await table.settle()
    assert "Reminder: look at the page" in table.lines
    assert table.answer == "it is fine"
    task = (await table.store.read.tasks())[0].task
    assert (task.role, task.initiators, task.asked_by, task.untrusted) == ("ops", ("you",), "you", False)
    assert task.brief.objective.endswith(": look at the page")
    assert await open_ones(table.store.read) == ()
    table.turn_clock(hours=24)
    await table.settle()
    assert len(table.answers) == 2
    facts = [row.what for row in await table.store.read.unsealed(999)]
    facts += [row.row.what for row in await table.store.read.chain()]
    assert facts.count("reminder.set") == facts.count("reminder.due") == 1


async def test_it_carries_over_that_its_work_had_read_the_web():
    table = table_of({"ops": [use("fetch", at="x"), remind(), say("I will")]}, untrusted=True)
    await table.say("look later", role="ops")
    [kept] = await open_ones(table.store.read)
    assert kept.untrusted
    table.turn_clock(hours=4)
    await table.settle()
    task = (await table.store.read.tasks())[0].task
    assert task.untrusted


async def test_who_may_no_longer_ask_starts_nothing():
    table = table_of({"ops": [remind(), say("I will")]})
    await table.say("look later", "mia", role="ops")
    table.teams.team = msgspec.structs.replace(table.teams.current(), people=(YOU,), version="team-2")
    table.turn_clock(hours=4)
    await table.settle()
    assert "Reminder: look" in table.lines
    assert len(table.answers) == 1


async def test_a_cancelled_one_does_not_come():
    table = table_of({"ops": [remind(), say("I will")]})
    await table.say("look later", role="ops")
    [kept] = await open_ones(table.store.read)
    await table.store.commit(cancelled(kept, "you", table.clock.now_ms()))
    assert await open_ones(table.store.read) == ()
    table.turn_clock(hours=4)
    await table.settle()
    assert not [line for line in table.lines if "Reminder" in line]
    assert (await table.store.read.counts()).signals_due == 0


def place(attempt="t-1:0:e0", where=MAIN):
    return Workplace(role="ops", task="t-1", root="t-1", attempt=attempt, seconds_max=10, conversation=where)


async def set_one(table, attempt="t-1:0:e0", when="in 3 hours", where=MAIN, text="x"):
    return await table.tools[SPEC.name].run({"text": text, "when": when}, place(attempt, where))


async def test_the_same_attempt_is_one_reminder():
    table = table_of({"ops": [say("done")]})
    first = await set_one(table)
    assert first.text.startswith("r-")
    assert await set_one(table) == first
    assert len(await open_ones(table.store.read)) == 1
    table.turn_clock(hours=4)
    await table.settle()
    assert (await set_one(table)).failure is None
    assert await open_ones(table.store.read) == ()
    tool = table.tools[SPEC.name]
    assert not tool.remembers
    await tool.cancel("t-1:0:e0")


async def test_there_are_only_so_many_in_one_conversation():
    table = table_of({})
    for n in range(20):
        assert (await set_one(table, f"t-1:{n}:e0", f"in {n + 1} hours")).failure is None
    refused = await set_one(table, "t-1:99:e0")
    assert "20 are open in this conversation" in refused.failure.why
    assert (await set_one(table, "t-1:100:e0", where=SIDE)).failure is None
    ones = await open_ones(table.store.read)
    assert [one.due_at_ms for one in ones] == sorted(one.due_at_ms for one in ones)
    assert len(ones) == 21


@pytest.mark.parametrize(
    ("when", "where", "why"),
    [("soon", MAIN, "is no time"), ("in 99 weeks", MAIN, "a year"), ("in 1 day", None, "nobody asked")],
)
async def test_what_cannot_be_kept_is_said(when, where, why):
    table = table_of({})
    result = await set_one(table, when=when, where=where)
    assert why in result.failure.why
    assert await open_ones(table.store.read) == ()


async def test_a_full_disk_keeps_nothing_and_a_later_try_does():
    table = table_of({})
    table.store.full_n = 1
    with pytest.raises(StoreFullError):
        await set_one(table)
    assert (await set_one(table)).failure is None
    assert len(await open_ones(table.store.read)) == 1


async def test_a_death_between_sign_and_work_loses_nothing():
    """The signal, the line and the event are one transaction: refused, all of it comes again."""
    table = table_of({"ops": [say("done")]})
    await table.settle()
    await set_one(table)
    table.turn_clock(hours=4)
    table.store.full_n = 1
    await table.settle()
    assert table.lines.count("Reminder: x") == 1
    assert table.answer == "it is fine"


def test_its_name_says_where_it_belongs():
    assert reminders.reminders.names_in(MAIN) == "reminder:chat/acme/main/:"
