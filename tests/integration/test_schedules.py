"""What starts work with nobody asking: fired once whatever dies, and nothing half-valid ever."""

import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agents import workspace
from agents.manifest import read_file
from agents.team import TeamErrors
from agents.team import load as load_team
from bots import cli, scheduling
from core.adapters.memory import MemoryStore
from core.adapters.models.scripted import say
from core.adapters.sqlite.store import SqliteStore
from core.adapters.system import LocalBus
from core.model.events import Conversation, ScheduleFired
from core.runtime.engine import Engine
from core.runtime.intake import StoreIntake
from schedules import firing
from schedules.calendar import ScheduleCalendar
from schedules.firing import LATE_MS, Schedules
from schedules.load import Schedule, Surroundings, load
from tests import small
from tests.engine_kit import MAIN, Clock, Table
from tests.team_kit import made

pytestmark = pytest.mark.usefixtures("unlogged")

MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
BERLIN = ZoneInfo("Europe/Berlin")


def ms(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=BERLIN).timestamp() * 1000)


def morning(**changes):
    given = {"id": "morning", "say": "look", "conversation": MAIN, "cron": "0 7 * * *", "zone": "Europe/Berlin"}
    return Schedule(**{**given, **changes})


def half_hour(**changes):
    return morning(**{"id": "pulse", "cron": "", "every_ms": 30 * MINUTE_MS, **changes})


@pytest.fixture(autouse=True)
def _long_sleeps(monkeypatch):
    """Nothing happens in between, so that a day is a few sweeps."""
    monkeypatch.setattr(firing, "SLEEP_SECONDS_MAX", 1800.0)


class KilledError(Exception):
    """The process has died."""


class Mortal:
    """A store whose process dies at its n-th commit: just before it, or just after."""

    def __init__(self, inner):
        self.inner, self.read = inner, inner.read
        self.dies_at, self.after = None, False

    async def commit(self, unit):
        if self.dies_at is not None:
            self.dies_at -= 1
            if self.dies_at < 0 and not self.after:
                raise KilledError
        answer = await self.inner.commit(unit)
        if self.dies_at is not None and self.dies_at < 0:
            raise KilledError
        return answer


class Day:
    """A workspace's days: schedules, a store, and a clock that is turned."""

    def __init__(self, *schedules, at="2026-06-01 12:00"):
        self.clock = Clock()
        self.clock.at_ms = ms(at)
        self.store = Mortal(MemoryStore(self.clock))
        self.start(*schedules)

    def start(self, *schedules):
        """The process begins, with these files."""
        self.schedules = schedules
        self.loop = Schedules(schedules, ScheduleCalendar(schedules), self.store, self.clock)
        self.intake = StoreIntake(self.store)

    async def sweep(self, at=None):
        if at is not None:
            self.clock.at_ms = at if isinstance(at, int) else ms(at)
        return await self.loop.sweep(self.intake)

    async def live(self, until):
        """Run as the engine does, until then."""
        end_ms = until if isinstance(until, int) else ms(until)
        while self.clock.at_ms <= end_ms:
            self.clock.at_ms += int(await self.sweep() * 1000)

    async def fired(self):
        events, _, _ = await self.store.inner.due(10_000)
        assert all(isinstance(stored.event, ScheduleFired) for stored in events)
        return [stored.event for stored in events]

    async def times(self):
        found = [datetime.fromtimestamp(event.scheduled_at_ms / 1000, BERLIN) for event in await self.fired()]
        return [f"{at:%m-%d %H:%M}" for at in found]


# --- Firing


async def test_it_fires_at_its_times_and_never_before_it_was_seen():
    day = Day(morning(role="ops", say="look at it"), half_hour())
    assert await day.sweep() == firing.SLEEP_SECONDS_MAX
    await day.live("2026-06-03 06:59")
    mornings = [event for event in await day.fired() if event.schedule == "morning"]
    (first,) = mornings
    assert first == ScheduleFired(
        key=f"schedule:morning:{ms('2026-06-02 07:00')}",
        at_ms=ms("2026-06-02 07:00"),
        conversation=MAIN,
        sender=first.sender,
        schedule="morning",
        scheduled_at_ms=ms("2026-06-02 07:00"),
        text="look at it",
        role="ops",
    )
    assert first.sender.account == "schedule:morning"
    assert len(await day.fired()) == 1 + 85  # and every half hour from 12:30 to 06:30


async def test_it_sleeps_until_its_time_and_no_longer_than_a_clock_may_be_wrong(monkeypatch):
    monkeypatch.setattr(firing, "SLEEP_SECONDS_MAX", 30.0)
    day = Day(morning(), at="2026-06-02 06:59")
    assert await day.sweep() == 30
    assert await day.sweep(ms("2026-06-02 06:59") + 50_250) == 9.75


@pytest.mark.parametrize(("misfire", "fired"), [("one", ["06-01 13:00", "06-04 07:00"]), ("skip", ["06-01 13:00"])])
async def test_after_three_days_down_what_was_missed_is_one_or_none(misfire, fired):
    day = Day(morning(cron="0 7,13 * * *", misfire=misfire))
    await day.live("2026-06-01 13:01")
    day.start(*day.schedules)
    await day.sweep("2026-06-04 12:00")
    assert await day.times() == fired
    await day.live("2026-06-04 13:00")
    assert await day.times() == [*fired, "06-04 13:00"]


@pytest.mark.parametrize(("late_ms", "n"), [(LATE_MS, 1), (LATE_MS + 1, 0)])
async def test_a_busy_moment_is_no_miss(late_ms, n):
    day = Day(morning(misfire="skip"))
    await day.sweep()
    await day.sweep(ms("2026-06-02 07:00") + late_ms)
    assert len(await day.fired()) == n


async def test_a_year_down_is_searched_and_not_counted():
    class Counting(ScheduleCalendar):
        asked_n = 0

        def next_after(self, schedule, after_ms):
            self.asked_n += 1
            return super().next_after(schedule, after_ms)

    day = Day(half_hour(every_ms=MINUTE_MS))
    await day.sweep()
    calendar = Counting(day.schedules)
    day.loop = Schedules(day.schedules, calendar, day.store, day.clock)
    await day.sweep("2027-06-01 12:00")
    assert await day.times() == ["06-01 12:00"]
    assert calendar.asked_n < 50


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("dies_at", range(5))
async def test_a_death_at_any_commit_neither_loses_nor_doubles(dies_at, after):
    day = Day(morning(), morning(id="noon", cron="0 12 * * *"), at="2026-06-01 20:00")
    day.store.dies_at, day.store.after = dies_at, after
    for until in ("2026-06-02 07:10", "2026-06-02 12:10", "2026-06-03 07:10"):
        try:
            await day.live(until)
        except KilledError:
            day.store.dies_at = None
            day.start(*day.schedules)
            await day.live(until)
    assert day.store.dies_at is None
    assert await day.times() == ["06-02 07:00", "06-02 12:00", "06-03 07:00"]


async def test_another_process_that_notices_the_same_time_changes_nothing():
    day = Day(morning())
    await day.sweep()
    day.store.dies_at, day.store.after = 0, True
    with pytest.raises(KilledError):
        await day.sweep("2026-06-02 07:00")
    day.store.dies_at = None
    day.start(*day.schedules)
    await day.sweep("2026-06-02 07:05")
    (event,) = await day.fired()
    assert event.at_ms == ms("2026-06-02 07:00")


async def test_a_schedule_with_other_times_is_new_and_one_with_other_words_is_not():
    day = Day(morning())
    await day.live("2026-06-02 08:00")
    day.start(morning(cron="0 9 * * *"))
    await day.sweep("2026-06-02 10:00")
    assert await day.times() == ["06-02 07:00"]
    day.start(morning(cron="0 9 * * *", say="look twice"))
    await day.sweep("2026-06-03 10:00")
    assert await day.times() == ["06-02 07:00", "06-03 09:00"]
    assert (await day.fired())[-1].text == "look twice"


async def test_a_clock_that_was_set_back_silences_nothing_and_repeats_nothing():
    day = Day(morning())
    await day.live("2026-06-03 08:00")
    day.clock.at_ms = ms("2026-06-02 06:00")
    await day.live("2026-06-04 08:00")
    assert await day.times() == ["06-02 07:00", "06-03 07:00", "06-04 07:00"]


async def test_no_time_to_come_is_no_reason_to_stop():
    class Never:
        def next_after(self, schedule, after_ms):
            return None

    day = Day(morning())
    day.loop = Schedules(day.schedules, Never(), day.store, day.clock)
    assert await day.sweep() == firing.SLEEP_SECONDS_MAX


async def test_the_loop_runs_for_ever_on_the_clock():
    class Turning(Clock):
        async def sleep(self, seconds):
            self.at_ms += int(seconds * 1000)
            if self.at_ms > ms("2026-06-03 12:00"):
                raise KilledError

    day = Day(morning())
    day.clock = Turning()
    day.clock.at_ms = ms("2026-06-01 12:00")
    day.start(morning())
    with pytest.raises(KilledError):
        await day.loop.run(day.intake)
    assert await day.times() == ["06-02 07:00", "06-03 07:00"]


async def test_the_real_store_keeps_what_has_fired(tmp_path):
    clock = Clock()
    store = await SqliteStore.open(tmp_path / "s.db", clock)
    schedules = (half_hour(),)
    for _ in range(2):
        await Schedules(schedules, ScheduleCalendar(schedules), store, clock).sweep(StoreIntake(store))
        clock.at_ms += 40 * MINUTE_MS
    await Schedules(schedules, ScheduleCalendar(schedules), store, clock).sweep(StoreIntake(store))
    await store.close()
    again = await SqliteStore.open(tmp_path / "s.db", clock)
    await Schedules(schedules, ScheduleCalendar(schedules), again, clock).sweep(StoreIntake(again))
    events, _, _ = await again.due(10)
    await again.close()
    assert [(e.event.scheduled_at_ms - small.NOW_MS) % (30 * MINUTE_MS) for e in events] == [0, 0]


async def test_the_engine_does_the_work_and_answers_where_the_schedule_says():
    table = Table({"ops": (say("All is well."),)})
    schedules = (half_hour(role="ops", say="Check the sites"),)
    loop = Schedules(schedules, ScheduleCalendar(schedules), table.store, table.clock)
    table.engine = Engine(table.context, sources={"schedules": loop.run})
    assert "source schedules" in table.engine.loops()
    await loop.sweep(table.engine.intake)
    table.turn_clock(seconds=1800)
    await loop.sweep(table.engine.intake)
    await table.settle()
    (task,) = await table.tasks()
    assert (task.role, task.brief.objective, task.initiators) == ("ops", "Check the sites", ())
    assert table.answer == "All is well."
    await table.close()


# --- Files

AROUND = Surroundings(team="acme", zone="Europe/Berlin", roles=("ceo", "devops"))


def read(tmp_path, **files):
    (tmp_path / "schedules").mkdir(exist_ok=True)
    for name, text in files.items():
        (tmp_path / "schedules" / f"{name}.yaml").write_text(text)
    return load(tmp_path, read_file, AROUND)


def test_what_is_left_out_comes_from_the_team(tmp_path):
    text = "- {id: morning, cron: '0 7  * * 1-5', say: ' Look '}\n"
    text += "- {id: pulse, every: 30m, say: Look, to: slack/C1/17.2}\n"
    (first, second), errors = read(tmp_path, a=text)
    assert errors == []
    assert first == Schedule(
        id="morning",
        say="Look",
        conversation=Conversation(platform="console", account="acme", channel="main", thread="schedule-morning"),
        cron="0 7 * * 1-5",
        zone="Europe/Berlin",
    )
    assert (second.every_ms, second.role, second.misfire) == (30 * MINUTE_MS, None, "one")
    assert second.conversation == Conversation(platform="slack", account="acme", channel="C1", thread="17.2")


@pytest.mark.parametrize(
    ("row", "line", "said"),
    [
        ("id: a\n  every: 1h\n  say: x\n  rol: devops", 4, "rol: unknown key: the keys id, say, cron"),
        ("id: A\n  every: 1h\n  say: x", 1, "id: 'A'"),
        ("id: a\n  every: 1h", 1, "say is missing"),
        ("id: a\n  every: 1h\n  say: ''", 3, "nothing to say"),
        ("id: a\n  every: 1h\n  say: x\n  role: devop", 4, "unknown role devop: one of: ceo, devops"),
        ("id: a\n  cron: 0 25 * * *\n  say: x", 2, "cron '0 25 * * *'"),
        ("id: a\n  cron: 0 7 30 2 *\n  say: x", 2, "there is no such date"),
        ("id: a\n  cron: 0 7 * * *\n  zone: Europe/Berlim\n  say: x", 3, "unknown time zone 'Europe/Berlim'"),
        ("id: a\n  cron: 0 7 * * *\n  zone: Europe\n  say: x", 3, "unknown time zone 'Europe'"),
        ("id: a\n  every: 1h\n  zone: UTC\n  say: x", 3, "zone has no meaning with every"),
        ("id: a\n  every: 90s\n  say: x", 2, "every '90s': a number and m, h or d"),
        ("id: a\n  every: 0m\n  say: x", 2, "every '0m'"),
        ("id: a\n  say: x", 1, "neither cron nor every"),
        ("id: a\n  every: 1h\n  cron: 0 7 * * *\n  say: x", 1, "both cron and every"),
        ("id: a\n  every: 1h\n  say: x\n  misfire: all", 4, "misfire: 'all': one of: one, skip"),
        ("id: a\n  every: 1h\n  say: x\n  to: irc/main", 4, "to 'irc/main': platform/channel"),
        ("id: a\n  every: 1h\n  say: x\n  to: console", 4, "to 'console'"),
        ("id: a\n  every: 1h\n  say: x\n  to: console//x", 4, "to 'console//x'"),
    ],
)
def test_every_mistake_has_its_line_and_what_was_expected(tmp_path, row, line, said):
    _, (error,) = read(tmp_path, a=f"- {row}\n")
    assert str(error).startswith(f"schedules/a.yaml:{line}: ")
    assert said in str(error)


def test_an_id_is_there_once_in_all_files_and_all_errors_come_at_once(tmp_path):
    good = "- {id: a, every: 1h, say: x}\n"
    _, errors = read(tmp_path, one=good, two=f"{good}- {{id: b, every: 1x, say: x, role: nobody}}\n", three="# off\n")
    assert [(error.file, error.line) for error in errors] == [
        ("schedules/three.yaml", 1),
        ("schedules/two.yaml", 1),
        ("schedules/two.yaml", 2),
        ("schedules/two.yaml", 2),
    ]
    assert "it is empty: a list [...]" in str(errors[0])
    assert "schedule a is there twice (schedules/one.yaml:1)" in str(errors[1])


# --- In the house


@pytest.fixture
def here(tmp_path, monkeypatch):
    workspace.init(tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    Path("schedules").mkdir()
    return tmp_path / "ws"


def test_check_names_file_and_line(here, capsys):
    (here / "schedules" / "a.yaml").write_text("- id: a\n  every: 1h\n  say: x\n  role: nobody\n")
    assert cli.main(["check"]) == 5
    assert "\nschedules/a.yaml:4: unknown role nobody: one of: " in capsys.readouterr().out
    (here / "schedules" / "a.yaml").write_text("- id: a\n  every: 1h\n  say: x\n  role: devops\n")
    assert cli.main(["check"]) == 0


def test_a_team_that_cannot_be_read_is_mended_first(here, capsys):
    (here / "schedules" / "a.yaml").write_text("- {id: a}\n")
    (here / "agents" / "team.yaml").write_text("version: 1\nteam: {name: x, zone: Nowhere/X, lead: a}\nroles: []\n")
    assert scheduling.check(here) == []


def test_a_zone_that_is_the_teams_mistake_is_told_once(tmp_path):
    (tmp_path / "schedules").mkdir()
    (tmp_path / "schedules" / "a.yaml").write_text("- {id: a, cron: '0 7 * * *', say: x}\n")
    assert load(tmp_path, read_file, Surroundings(team="acme", zone="No/Where", roles=()))[1] == []


HOUSE = """
import asyncio, os, sys
from pathlib import Path
from bots.app import House, Workspace
async def main():
    async with await House.open(Workspace(Path.cwd()), {}) as house:
        engine = await house.engine({})
        print(*[name for name in engine.loops() if name.startswith("source")], "|", *sys.modules)
asyncio.run(main())
"""


def opened(where):
    """Which sources an engine here has, and what it has loaded."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("SIGNOFF")}
    done = subprocess.run(
        [sys.executable, "-c", HOUSE], cwd=where, env=kept, capture_output=True, text=True, timeout=15
    )
    assert done.returncode == 0, done.stderr
    sources, _, modules = done.stdout.partition("|")
    return sources.strip(), set(modules.split())


def test_who_has_no_schedules_pays_nothing_for_them(here):
    late = {"apscheduler", "tzlocal", "schedules.load", "schedules.calendar", "schedules.firing"}
    sources, modules = opened(here)
    assert "source schedules" in sources
    assert modules & late == set()
    (here / "schedules" / "a.yaml").write_text("[]\n")
    assert opened(here)[1] & late == {"schedules.load"}


def test_who_has_schedules_runs_them(here):
    (here / "schedules" / "a.yaml").write_text("- {id: a, cron: '0 7 * * *', say: x}\n")
    sources, modules = opened(here)
    assert "source schedules" in sources
    assert "apscheduler" in modules
    assert "apscheduler.schedulers" not in modules


async def test_an_engine_does_not_start_with_half_a_schedule(here):
    (here / "schedules" / "a.yaml").write_text("- {id: a, every: 1h, say: x, role: nobody}\n")
    clock = Clock()
    with pytest.raises(TeamErrors, match=r"schedules/a\.yaml:1: unknown role nobody"):
        scheduling.Rota(here, lambda: load_team(here, environ={}), MemoryStore(clock), clock)


async def test_what_roles_do_unasked_follows_the_team_in_force(tmp_path):
    made(tmp_path)
    clock = Clock()
    store = MemoryStore(clock)
    teams = [load_team(tmp_path, environ={})]
    rota, intake = scheduling.Rota(tmp_path, lambda: teams[-1], store, clock), StoreIntake(store, LocalBus())
    assert await rota.sweep(intake) == scheduling.SLEEP_SECONDS_MAX
    (tmp_path / "agents/dev/HEARTBEAT.md").write_text("## Every 30 minutes\n- Look at the queue.\n")
    teams.append(load_team(tmp_path, environ={}))
    assert await rota.sweep(intake) <= scheduling.SLEEP_SECONDS_MAX
    clock.at_ms += 31 * 60_000
    await rota.sweep(intake)
    await rota.sweep(intake)
    ((stored,), _, _) = await store.due(10)
    assert isinstance(stored.event, ScheduleFired)
    assert (stored.event.role, stored.event.text) == ("dev", "Look at the queue.")
    teams.append(teams[0])
    clock.at_ms += 31 * 60_000
    assert await rota.sweep(intake) == scheduling.SLEEP_SECONDS_MAX
