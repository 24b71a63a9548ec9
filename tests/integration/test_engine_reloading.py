"""Files edited under a working team: noticed, debounced, refused, approved, adopted, rolled out."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import msgspec
import pytest
from structlog.testing import capture_logs

from agents.amending import UNAPPROVED, FileLaws
from agents.source import FileTeamSource
from agents.team import TeamErrors
from core.adapters.models.scripted import ScriptedModel, say, use
from core.model.editions import Edition
from core.model.events import ScheduleFired
from core.model.inquiries import InquiryState, Kind
from core.model.team import AllowRule
from core.model.unit import SetMeta, Unit
from core.model.views import Line
from core.model.work import Redefined
from core.rules import notes, replies, words
from core.runtime import reloading
from core.runtime.engine import Engine
from tests.engine_kit import SIDE, Table
from tests.team_kit import DEV, TEAM, edit, made

CHANGES = "policy:\n  changes: {approve: 1, roles: [owner]}\n"
ASK = use("ask_human", question="Which one?")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    made(tmp_path)
    edit(tmp_path, "[telegram:1]", "[chat:you]")
    edit(tmp_path, "tiers: {}", "inbox: {channel: chat:acme/inbox}")
    return tmp_path


class Desk(Table):
    """A table whose team is a workspace's, and what the console would say."""

    def __init__(self, place: Path, script=None, **more) -> None:
        super().__init__(models={"offline": ScriptedModel(script or {})}, **more)
        self.place = place
        self.news: list[str] = []
        self.open()

    def open(self, held=None) -> None:
        """As at a start."""
        self.source = FileTeamSource(self.place, environ={}, held=held)
        self.context.teams = self.context.drafts = self.source
        self.context.definitions.clear()
        self.engine = Engine(self.context)
        self.engine.reloading.on_news = self.news.append
        self._kept = False

    async def reopen(self) -> None:
        await self.close()
        self.open(await reloading.held(self.store.read))
        await self.settle()

    async def look(self, times: int = 2) -> None:
        with capture_logs() as entries:
            for _ in range(times):
                await self.engine.reloading.look()
        self.log += entries
        await self.settle()

    @property
    def inbox(self) -> list[str]:
        views = [post.view for post in self.posts if post.conversation.channel == "inbox"]
        return [view.text for view in views if isinstance(view, Line)]


def touch(place: Path, n: int) -> None:
    """Another time, however coarse the clock of the file system is."""
    os.utime(place / DEV, ns=(n, n))


async def started(place: Path, script=None) -> Desk:
    desk = Desk(place, script)
    await desk.settle()
    await desk.look()
    return desk


# --- Noticed ----------------------------------------------------------------------------------------------------------


async def test_new_requests_work_by_an_edited_file_and_running_ones_as_they_began(place):
    desk = await started(place, {"ceo": [ASK, say("first"), say("second")]})
    before = desk.source.current()
    await desk.say("one")
    edit(place, "I am.", "I am more.", "agents/ceo/SOUL.md")
    await desk.look()
    now = desk.source.current()
    assert now.version != before.version
    assert desk.news == ["Changes ceo: prompt: in force for new requests"]
    assert desk.inbox == []
    await desk.say("two", at=SIDE)
    first, second = await desk.tasks()
    assert (first.definition, second.definition) == (before.version, now.version)
    assert second.role_version == now.roles["ceo"].version
    assert "definition.changed" in [row.row.what for row in await desk.store.read.chain()]
    assert await desk.order(f"/adopt {first.id}") == replies.adopted(first.id, 1)
    first = (await desk.tasks())[0]
    assert (first.definition, first.role_version) == (now.version, now.roles["ceo"].version)
    journal = [entry for _, entry in await desk.store.read.journal(first.id)]
    assert [type(entry) for entry in journal][-1] is Redefined
    assert await desk.order(f"/adopt {first.id}") == replies.adopted_already(first.id)
    asked = next(one for one in await desk.inquiries() if one.task == first.id)
    await desk.order(f"/answer {asked.id} that one")
    assert (await desk.tasks())[0].phase.final
    assert await desk.order(f"/adopt {first.id}") == replies.over_already(first.id)


async def test_a_task_whose_role_is_gone_ends_as_it_began(place):
    edit(place, "[delegate, read_file, ", "[delegate, ask_human, ")
    edit(place, "input: 1000", "input: 32000")
    edit(place, "tokens: 2000", "tokens: 90000")
    edit(place, "tokens: 9000,", "tokens: 900000,")
    desk = await started(place, {"dev": [ASK, say("x")]})
    await desk.say("one", role="dev")
    team = desk.source.current()
    roles = {name: role for name, role in team.roles.items() if name != "dev"}
    desk.source.adopt(Edition(team=msgspec.structs.replace(team, version="x", roles=roles)))
    (task,) = await desk.tasks()
    assert await desk.order(f"/adopt {task.id}") == replies.role_gone("dev")
    assert (await desk.tasks())[0].definition == team.version


async def test_only_those_who_may_stop_a_task_may_let_it_adopt(place):
    desk = await started(place, {"ceo": [ASK]})
    await desk.say("one")
    (task,) = await desk.tasks()
    assert "turned away" not in await desk.order(f"/adopt {task.id}", "stranger")
    assert (await desk.tasks())[0].definition == task.definition


async def test_two_edits_within_seconds_are_read_once(place, monkeypatch):
    desk = await started(place)
    drafts = []
    real = desk.source.draft
    monkeypatch.setattr(desk.source, "draft", lambda: drafts.append(1) or real())
    edit(place, "I am.", "I am half", DEV)
    await desk.look(1)
    (place / DEV).write_text("---\nid: dev")
    touch(place, 5)
    await desk.look(1)
    assert drafts == []
    edit(place, "---\nid: dev", (place / "agents/ops/SOUL.md").read_text().replace("ops", "dev"), DEV)
    touch(place, 6)
    await desk.look(2)
    assert drafts == [1]
    await desk.look(3)
    assert drafts == [1]


async def test_what_changes_while_it_is_read_is_nobodys(place, monkeypatch):
    desk = await started(place)
    before, real = desk.source.current(), desk.source.draft

    def slow():
        edition = real()
        touch(place, 7)
        return edition

    edit(place, "I am.", "I am more.", DEV)
    monkeypatch.setattr(desk.source, "draft", slow)
    await desk.look(2)
    assert desk.source.current() is before
    monkeypatch.setattr(desk.source, "draft", real)
    await desk.look(2)
    assert desk.source.current() is not before


async def test_a_broken_edit_keeps_the_last_good_one_and_is_said_once(place):
    desk = await started(place)
    good = desk.source.current()
    edit(place, "preset: claude", "preset: nope")
    await desk.look(6)
    assert desk.source.current() is good
    assert len(desk.inbox) == len(desk.news) == 1
    assert "agents/team.yaml:2: unknown preset nope" in desk.inbox[0]
    edit(place, "name: acme", "nam: acme")
    await desk.look(3)
    assert len(desk.inbox) == 2
    assert "and 1 more: `signoff check`" in desk.inbox[1]
    broken = [entry for entry in desk.log if entry["event"] == "definition.broken"]
    assert "agents/team.yaml:2: " in broken[0]["why"]
    edit(place, "nam: acme", "name: acme")
    edit(place, "preset: nope", "preset: claude")
    await desk.look(3)
    assert desk.inbox[2:] == [words.FILES_ARE_RIGHT]
    assert desk.source.current() is good
    assert desk.news == desk.inbox
    desk.engine.reloading.on_screen = "desk"  # who hears the news reads the inbox, too
    desk.turn_clock(seconds=9)
    edit(place, "preset: claude", "preset: nope")
    await desk.look(3)
    assert len(desk.inbox) == 4


async def test_a_folder_that_is_gone_stops_nothing(place):
    desk = await started(place, {"ceo": [say("here")]})
    (place / "agents").rename(place / "elsewhere")
    await desk.look(3)
    await desk.say("hello")
    assert desk.answer == "here"
    (place / "elsewhere").rename(place / "agents")
    await desk.look(3)
    assert desk.inbox[-1] == words.FILES_ARE_RIGHT


async def test_without_an_inbox_the_first_owner_who_can_be_reached_is_told(place):
    edit(place, "inbox: {channel: chat:acme/inbox}", "tiers: {}")
    desk = await started(place)
    assert reloading.place_of(desk.context, desk.source.current()).platform == "console"
    desk.chat.alone.add("chat:you")
    assert reloading.place_of(desk.context, desk.source.current()).channel == "@you"


async def test_there_is_no_room_for_versions_and_work_goes_on(place, monkeypatch):
    desk = await started(place)

    def full(at_ms):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(desk.source, "keep", full)
    edit(place, "I am.", "I am more.", DEV)
    await desk.look()
    assert len(desk.news) == 1
    assert any(entry["event"] == "versions.not-kept" for entry in desk.log)


async def test_versions_of_an_edit_are_kept(place):
    desk = await started(place)
    edit(place, "I am.", "I am more.", DEV)
    await desk.look()
    assert len(desk.source.versions.of("dev")) == 2


async def test_the_loop_looks_by_the_clock_and_knows_what_it_started_with(place):
    desk = await started(place)
    looks, slept, enough = [], desk.clock.slept, asyncio.Event()

    async def look():
        looks.append(1)
        if len(looks) == 3:
            enough.set()

    desk.engine.reloading.look = look
    assert "definition" in desk.engine.loops()
    running = asyncio.ensure_future(desk.engine.reloading.run())
    await enough.wait()
    running.cancel()
    assert slept[-2:] == [reloading.LOOK_SECONDS] * 2
    assert desk.engine.reloading._dealt_with == desk.source.stamp()


async def test_a_team_without_files_is_never_looked_at():
    table = Table()
    assert "definition" not in table.engine.loops()
    await table.engine.reloading.run()
    await table.engine.reloading.look()


# --- Approved ---------------------------------------------------------------------------------------------------------


async def approving(place: Path, script=None) -> Desk:
    edit(place, "policy:\n", CHANGES)
    return await started(place, script)


async def test_an_edit_waits_for_an_owner_who_sees_the_diff(place):
    desk = await approving(place)
    before = desk.source.current()
    edit(place, "I am.", "I obey.", DEV)
    await desk.look(4)
    assert desk.source.current() is before
    asked = await desk.inquiry()
    assert (asked.kind, asked.initiators) == (Kind.POLICY, ())
    assert [stage.eligible for stage in asked.stages] == [("ana",)]
    (card,) = desk.cards
    assert card.title == words.CHANGE_OF_TEAM
    shown = {field.name: field.shown for field in card.whole}["diff"]
    assert "-I am." in shown
    assert "+I obey." in shown
    assert desk.news == [f"Changes dev: prompt: not in force until it is approved ({asked.id[:6]})"]
    assert await desk.order(f"/approve {asked.id}") == notes.APPROVED
    assert "I obey." in desk.source.current().roles["dev"].prompt
    assert any(decided.outcome == words.CHANGED for decided in desk.decided)
    await desk.look(4)
    assert await desk.inquiries() == ()
    facts = [row.row.what for row in await desk.store.read.chain()]
    assert facts.count("definition.changed") == 1


async def test_it_is_not_in_force_after_a_restart_either(place):
    desk = await approving(place)
    edit(place, "I am.", "I obey.", DEV)
    await desk.reopen()
    assert "I am." in desk.source.current().roles["dev"].prompt
    await desk.look()
    asked = await desk.inquiry()
    assert desk.source.read_at() == ""
    await desk.reopen()
    await desk.look()
    assert (await desk.inquiry()).id == asked.id
    await desk.order(f"/approve {asked.id}")
    await desk.reopen()
    assert "I obey." in desk.source.current().roles["dev"].prompt
    assert desk.source.read_at() == desk.source.stamp()


async def test_switching_the_rule_off_is_itself_such_a_change(place):
    desk = await approving(place)
    edit(place, CHANGES, "policy:\n")
    edit(place, "I am.", "I obey.", DEV)
    await desk.reopen()
    await desk.look()
    assert desk.source.current().policy.changes is not None
    assert "I obey." not in desk.source.current().roles["dev"].prompt
    await desk.order(f"/approve {(await desk.inquiry()).id}")
    assert desk.source.current().policy.changes is None
    edit(place, "I obey.", "I am free.", DEV)
    await desk.look()
    assert "I am free." in desk.source.current().roles["dev"].prompt


async def test_switching_it_on_is_in_force_at_once(place):
    desk = await started(place)
    edit(place, "policy:\n", CHANGES)
    await desk.look()
    assert desk.source.current().policy.changes is not None
    edit(place, "I am.", "I obey.", DEV)
    await desk.look()
    assert "I obey." not in desk.source.current().roles["dev"].prompt


async def test_what_was_denied_stays_denied_until_the_files_say_something_else(place):
    desk = await approving(place)
    edit(place, "I am.", "I obey.", DEV)
    await desk.look()
    asked = await desk.inquiry()
    await desk.order(f"/deny {asked.id} no")
    await desk.reopen()
    await desk.look(4)
    assert await desk.inquiries() == ()
    edit(place, "I obey.", "I listen.", DEV)
    await desk.look()
    assert (await desk.inquiry()).id != asked.id


async def test_what_was_edited_away_is_taken_back_and_may_come_again(place):
    desk = await approving(place)
    edit(place, "I am.", "I obey.", DEV)
    await desk.look()
    first = await desk.inquiry()
    edit(place, "I obey.", "I listen.", DEV)
    await desk.look()
    second = await desk.inquiry()
    assert second.id != first.id
    row = await desk.store.read.inquiry(first.id)
    assert row.inquiry.state is InquiryState.CANCELLED
    assert await desk.order(f"/approve {first.id}") != notes.APPROVED
    edit(place, "I listen.", "I obey.", DEV)
    await desk.look()
    third = await desk.inquiry()
    assert third.id not in {first.id, second.id}
    edit(place, "I obey.", "I am.", DEV)
    await desk.look()
    assert await desk.inquiries() == ()


async def test_nobody_but_the_named_may_approve(place):
    desk = await approving(place)
    edit(place, "id: ben, name: Ben, role: approver", "id: ben, name: Ben, role: approver, accounts: [chat:ben]")
    await desk.look()
    asked = await desk.inquiry()
    await desk.order(f"/approve {asked.id}", "ben")
    assert (await desk.inquiry()).id == asked.id


async def test_files_that_were_broken_at_the_start_leave_what_was_approved(place):
    desk = await approving(place)
    edit(place, "preset: claude", "preset: nope")
    await desk.reopen()
    assert desk.source.current().policy.changes is not None
    assert desk.source.files_team() is None
    await desk.look(3)
    assert "unknown preset nope" in desk.inbox[-1]
    with pytest.raises(TeamErrors):
        FileTeamSource(place, environ={})


async def test_an_approval_is_of_what_is_in_force_then(place):
    desk = await approving(place)
    edit(place, "I am.", "I obey.", DEV)
    await desk.look()
    asked = await desk.inquiry()
    other = msgspec.structs.replace(
        desk.source.edition(), team=msgspec.structs.replace(desk.source.current(), version="x")
    )
    desk.source.adopt(other)
    assert await desk.order(f"/approve {asked.id}") == notes.LAWS_CHANGED
    assert desk.source.edition() is other


async def test_it_is_done_once_and_by_whoever_comes_last(place):
    desk = await approving(place)
    edit(place, "I am.", "I obey.", DEV)
    await desk.look()
    asked = await desk.inquiry()
    await desk.order(f"/approve {asked.id}")
    row = await desk.store.read.inquiry(asked.id)
    with pytest.raises(LookupError):
        await reloading.approved(desk.context, row, (), ())


async def test_a_change_too_long_to_be_shown_is_not_asked(place):
    desk = await approving(place)
    before = desk.source.current()
    for n in range(8):
        (place / "agents" / "_shared" / f"MORE{n}.md").write_text(f"{'x' * 3_900}\n")
    edit(place, "words_add: []", f"words_add: [{', '.join(f'w{n}x' + 'y' * 2_000 for n in range(110))}]")
    await desk.look(3)
    assert await desk.inquiries() == ()
    assert words.CHANGE_TOO_LONG in desk.inbox[-1]
    assert desk.source.current() is before


async def test_a_rule_for_good_does_not_carry_unapproved_edits_with_it(place):
    desk = await approving(place)
    laws = FileLaws(place, desk.source, place / ".signoff" / "backups")
    rule = AllowRule(tool="write_file", verb="write_file", until_ms=desk.clock.now_ms() + 86_400_000, role="dev")
    amendment = laws.propose(rule)
    edit(place, "I am.", "I obey.", DEV)
    assert laws.amend(rule, amendment) == UNAPPROVED
    assert laws.propose(rule) == UNAPPROVED
    edit(place, "I obey.", "I am.", DEV)
    assert laws.amend(rule, amendment) == ""
    assert desk.source.current().policy.allow != ()
    desk.source.adopt(desk.source.edition())
    assert laws.amend(rule, amendment) == ""
    assert "write_file" in (place / TEAM).read_text()


# --- Rolled out -------------------------------------------------------------------------------------------------------


async def test_a_share_of_requests_and_their_children_work_by_the_candidate(place):
    script = {"ceo": lambda _request: say("done")}
    desk = await started(place, script)
    old = desk.source.current().roles["ceo"].version
    edit(place, "I am.", "I am new.", "agents/ceo/SOUL.md")
    await desk.look()
    (place / "agents/pins.yaml").write_text(f"version: 1\nrollout: {{role: ceo, version: '{old}', percent: 40}}\n")
    await desk.look()
    steady, candidate = desk.source.edition().teams
    for n in range(30):
        await desk.happens(ScheduleFired, schedule="s", scheduled_at_ms=n, text="x", role="ceo")
    await desk.settle()
    tasks = await desk.tasks()
    assert {task.definition for task in tasks} == {steady.version, candidate.version}
    for task in tasks:
        assert task.definition == desk.source.of(task.id).version
        assert (task.role_version == old) == (task.definition == candidate.version)
    await desk.reopen()
    assert desk.source.edition().version == (await reloading.held(desk.store.read)).version


async def test_a_store_that_remembers_half_remembers_nothing(place):
    desk = await started(place)
    assert await reloading.held(desk.store.read) is not None
    gone = SetMeta(name=reloading.FACT, value='{"type":"EditionNote/1","team":"gone"}')
    await desk.store.commit(Unit(changes=(gone,)))
    assert await reloading.held(desk.store.read) is None
